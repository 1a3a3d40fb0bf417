"""A gateway of fakes over a real store."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from domain.records import Organization, Role, Scope, Source
from resolvers.context import Context, Gateway, Tuning, utc_now
from resolvers.cursors import Cursors
from resolvers.drains import Drains
from resolvers.feed import Feed
from resolvers.replies import Replies
from resolvers.routing import Sources
from resolvers.webhooks import WebhookTokens
from resolvers.writes import ChatLocks
from storage.database import Transaction
from storage.store import Store, open_store
from tests.builders import T0, a_principal
from tests.fakes import FakeSource, a_connector


@dataclass
class Room:
    """One organization on a gateway of fakes; `context()` is one request. `neighbour` is another tenant, without sources."""

    gateway: Gateway
    organization: Organization
    sources: dict[str, FakeSource]
    neighbour: Organization

    @property
    def source(self) -> FakeSource:
        """The first source."""
        return next(iter(self.sources.values()))

    def restarted(self) -> "Room":
        """The same store and sources, as a process finds them that has just started."""
        return Room(gateway_over(self.gateway.store, self.sources), self.organization, self.sources, self.neighbour)

    def context(self, **changes: Any) -> Context:
        """A request of an admin with all scopes."""
        fields: dict[str, Any] = {
            "gateway": self.gateway,
            "organization": self.organization,
            "principal": a_principal(),
            "role": Role.ADMIN,
            "scopes": frozenset(Scope),
            "request_id": "test",
        }
        return Context(**{**fields, **changes})


@asynccontextmanager
async def a_room(folder: Path, *sources: FakeSource, tuning: Tuning | None = None) -> AsyncIterator[Room]:
    """A gateway whose sources are these, each a vendor of its own called by its key."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(f"sqlite:///{folder / 'test.db'}"))
        by_key = {source.source.key: source for source in sources}
        organization, neighbour = await store.database.write(lambda tx: _fill(store, tx, sources))
        gateway = gateway_over(store, by_key, tuning)
        yield Room(gateway, organization, by_key, neighbour)
        await gateway.replies.drain(1)
        await gateway.drains.aclose()


def gateway_over(store: Store, sources: Mapping[str, FakeSource], tuning: Tuning | None = None) -> Gateway:
    """All parts of a process that has just started."""
    connectors = {
        key: a_connector(key, _adopting(source), source.capabilities, source.form) for key, source in sources.items()
    }
    cursors = Cursors([b"k" * 32])
    feed = Feed(cursors)
    store.on_commit(feed.committed)
    return Gateway(
        store=store,
        sources=Sources(store, connectors, lambda sealed: {}, utc_now),
        connectors=connectors,
        cursors=cursors,
        feed=feed,
        replies=Replies(),
        drains=Drains(),
        locks=ChatLocks(),
        seal_credentials=lambda credentials: b"",
        webhook_tokens=WebhookTokens([b"w" * 32]),
        tuning=tuning or Tuning(),
    )


def _adopting(fake: FakeSource) -> Any:
    def connect(source: Source) -> FakeSource:
        fake.adopt(source)
        return fake

    return connect


async def _fill(store: Store, tx: Transaction, fakes: Sequence[FakeSource]) -> tuple[Organization, Organization]:
    organization = await store.organizations.add(tx, "acme", "Acme", T0)
    for fake in fakes:
        wanted = fake.source
        await store.sources.add(
            tx,
            organization_id=organization.id,
            key=wanted.key,
            vendor=wanted.key,
            display_name=wanted.key,
            options=wanted.options,
            visibility=wanted.visibility,
            owner=wanted.owner,
            created_at=T0,
        )
    return organization, await store.organizations.add(tx, "globex", "Globex", T0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path
