"""A gateway of fakes over a real store."""

from collections.abc import AsyncIterator
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
from resolvers.writes import ChatLocks
from storage.database import Transaction
from storage.store import Store, open_store
from tests.builders import T0, a_principal
from tests.fakes import FakeSource, a_connector


@dataclass
class Room:
    """One organization on a gateway of fakes; `context()` is one request."""

    gateway: Gateway
    organization: Organization
    sources: dict[str, FakeSource]

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
        connectors = {key: a_connector(key, _adopting(source), source.capabilities) for key, source in by_key.items()}
        organization = await store.database.write(lambda tx: _fill(store, tx, list(by_key)))
        cursors = Cursors([b"k" * 32])
        feed = Feed(cursors)
        store.on_commit(feed.committed)
        gateway = Gateway(
            store=store,
            sources=Sources(store, connectors, lambda sealed: {}, utc_now),
            connectors=connectors,
            cursors=cursors,
            feed=feed,
            replies=Replies(),
            drains=Drains(),
            locks=ChatLocks(),
            seal_credentials=lambda credentials: b"",
            tuning=tuning or Tuning(),
        )
        yield Room(gateway, organization, by_key)
        await gateway.replies.drain(1)
        await gateway.drains.aclose()


def _adopting(fake: FakeSource) -> Any:
    def connect(source: Source) -> FakeSource:
        fake.adopt(source)
        return fake

    return connect


async def _fill(store: Store, tx: Transaction, keys: list[str]) -> Organization:
    organization = await store.organizations.add(tx, "acme", "Acme", T0)
    for key in keys:
        await store.sources.add(
            tx, organization_id=organization.id, key=key, vendor=key, display_name=key, created_at=T0
        )
    return organization


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path
