"""What is too old is forgotten, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.records import EventKind, Organization, Source
from resolvers.context import Gateway
from resolvers.organizations import add_organization
from storage.chats import ChatsSeen
from storage.store import open_store
from switchboard.retention import forget_old, forgetting
from switchboard.settings import EventSettings, MirrorSettings, Settings
from tests.builders import T0, a_chat
from tests.fakes import FakeSource, a_connector, capabilities
from tests.resolvers.gateways import a_gateway
from tests.switchboard.access import Clock

pytestmark = pytest.mark.anyio


@dataclass
class World:
    """A gateway whose clock is moved by hand, with a local source and one of `acorn`."""

    gateway: Gateway
    clock: Clock
    acme: Organization
    local: Source
    acorn: Source

    async def see(self, source: Source, native_id: str) -> None:
        chat = a_chat(native_id, organization_id=self.acme.id, source_id=source.id)
        seen = ChatsSeen(
            organization_id=self.acme.id,
            source_id=source.id,
            rows=[chat],
            started_at=self.clock(),
            from_newest=True,
            is_whole=False,
            is_own_write=True,
        )
        await self.gateway.store.database.write(lambda tx: self.gateway.store.chats.observe(tx, seen))

    async def known(self) -> set[str]:
        store = self.gateway.store
        return {
            native_id
            for source in (self.local, self.acorn)
            for native_id in await store.chats.native_ids(self.acme.id, source.id)
        }

    async def logged(self) -> list[str]:
        events = await self.gateway.store.events.after(self.acme.id, 0, 100)
        return [event.native_id for event in events if event.kind is EventKind.CHAT_CREATED]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    async with open_store(f"sqlite:///{tmp_path / 'store.db'}", clock=clock) as store:

        async def unit(tx: Any) -> tuple[Organization, Source]:
            acme = await add_organization(store, tx, slug="acme", name="Acme", at=T0)
            return acme, await store.sources.add(
                tx, organization_id=acme.id, key="oak", vendor="acorn", display_name="Oak", created_at=T0
            )

        acme, acorn = await store.database.write(unit)
        local = await store.sources.by_key(acme.id, "local")
        assert local is not None
        known = {
            "local": a_connector("local", FakeSource, capabilities(reads_from_store=True)),
            "acorn": a_connector("acorn", FakeSource),
        }
        yield World(a_gateway(store, connectors=known, clock=clock), clock, acme, local, acorn)


async def test_events_are_forgotten_after_their_time(world: World) -> None:
    settings = Settings(events=EventSettings(retention_days=7))
    await world.see(world.acorn, "old")
    world.clock.pass_(days=6)
    await world.see(world.acorn, "new")
    await forget_old(world.gateway, settings)
    assert await world.logged() == ["old", "new"]
    world.clock.pass_(days=1, seconds=1)
    await forget_old(world.gateway, settings)
    assert await world.logged() == ["new"]


async def test_chats_of_vendors_are_forgotten_when_long_unseen_and_local_ones_never(world: World) -> None:
    settings = Settings(mirror=MirrorSettings(retention_days=90))
    await world.see(world.acorn, "old")
    await world.see(world.local, "ours")
    world.clock.pass_(days=89)
    await world.see(world.acorn, "new")
    await forget_old(world.gateway, settings)
    assert await world.known() == {"old", "ours", "new"}
    world.clock.pass_(days=2)
    await forget_old(world.gateway, settings)
    assert await world.known() == {"ours", "new"}


async def test_it_forgets_at_the_start_and_leaves_no_task(world: World) -> None:
    await world.see(world.acorn, "old")
    world.clock.now += timedelta(days=365)
    before = asyncio.all_tasks()
    async with forgetting(world.gateway, Settings(), every_seconds=0.001):
        async with asyncio.timeout(5):
            while await world.known():
                continue
    assert asyncio.all_tasks() == before
