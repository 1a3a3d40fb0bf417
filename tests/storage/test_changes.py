"""What others commit is noticed, whoever they are."""

import asyncio
from pathlib import Path

import pytest

from domain.records import EventKind
from storage.changes import changes
from storage.database import Transaction
from storage.store import open_store
from tests.storage.conftest import World, an_organization, at
from tests.storage.test_events import start_logger
from tests.tier import count

pytestmark = pytest.mark.anyio


async def log_one(world: World, name: str) -> None:
    async def unit(tx: Transaction) -> None:
        await world.store.events.append(
            tx, world.organization.id, EventKind.CHAT_CREATED, world.source.id, name, name, 1, at=at(1)
        )

    await world.write(unit)


async def test_only_what_is_new_is_told(world: World, url: str) -> None:
    with changes(url) as watched:
        assert watched.heads([world.organization.id]) == {world.organization.id: 0}
        assert watched.heads([world.organization.id]) == {}
        await log_one(world, "a")
        assert watched.heads([world.organization.id]) == {world.organization.id: 1}
        assert watched.heads([world.organization.id]) == {}


async def test_only_the_organizations_that_are_asked_for_are_told(world: World, url: str) -> None:
    other, _ = await an_organization(world.store, "globex")
    with changes(url) as watched:
        await log_one(world, "a")
        assert watched.heads([other.id]) == {other.id: 0}
        await log_one(world, "b")
        assert watched.heads([]) == {}


async def test_other_processes_are_noticed(world: World, url: str) -> None:
    number = count(long=500, least=20)
    with changes(url) as watched:
        process = start_logger(url, world.organization.id, "other", number)
        seen = [0]
        async with asyncio.timeout(60):
            while seen[-1] < number:
                seen += watched.heads([world.organization.id]).values()
                await asyncio.sleep(0.001)
        assert seen == sorted(seen)
        assert await asyncio.to_thread(process.wait) == 0


async def test_reopened_store_is_seen_as_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    async with open_store(url, readers=1) as store:
        organization, _ = await an_organization(store)
        with changes(url) as watched:
            assert watched.heads([organization.id]) == {organization.id: 0}
