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
from resolvers.watching.feeds import Feeds
from resolvers.webhooks import WebhookTokens
from resolvers.writes import ChatLocks
from storage.database import Transaction
from storage.presence import Alone
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

    def restarted(self, **parts: Any) -> "Room":
        """The same store and sources, as a process finds them that has just started; the one before is dead, as far as it knows."""
        gateway = gateway_over(self.gateway.store, self.sources, **parts)
        return Room(gateway, self.organization, self.sources, self.neighbour)

    def with_a_second_process(self, **parts: Any) -> tuple["Room", "Room"]:
        """This process and another one on the same store, which know that both live."""
        first, second = Together(), Together()
        first.others, second.others = {second.own}, {first.own}
        return self.restarted(presence=first, **parts), self.restarted(presence=second, **parts)

    @property
    def feeds(self) -> Feeds:
        """What watches the sources."""
        assert isinstance(self.gateway.watching, Feeds)
        return self.gateway.watching

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


class Together(Alone):
    """A process that knows of `others`."""

    def __init__(self) -> None:
        super().__init__()
        self.others: set[str] = set()

    def living(self) -> frozenset[str]:
        return super().living() | self.others


@asynccontextmanager
async def a_room(
    folder: Path, *sources: FakeSource, tuning: Tuning | None = None, feeds: Feeds | None = None
) -> AsyncIterator[Room]:
    """A gateway whose sources are these, each a vendor of its own called by its key."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(f"sqlite:///{folder / 'test.db'}", readers=2))
        by_key = {source.source.key: source for source in sources}
        organization, neighbour = await store.database.write(lambda tx: _fill(store, tx, sources))
        gateway = gateway_over(store, by_key, tuning, feeds)
        try:
            yield Room(gateway, organization, by_key, neighbour)
        finally:
            await gateway.watching.aclose()
            await gateway.replies.drain(1)
            await gateway.drains.aclose()


def gateway_over(
    store: Store,
    fakes: Mapping[str, FakeSource],
    tuning: Tuning | None = None,
    feeds: Feeds | None = None,
    **parts: Any,
) -> Gateway:
    """All parts of a process that has just started."""
    feeds = feeds or Feeds()
    connectors = {
        key: a_connector(key, _adopting(source), source.capabilities, source.form) for key, source in fakes.items()
    }
    cursors = Cursors([b"k" * 32])
    feed = Feed(cursors)
    store.on_commit(feed.committed)
    store.on_settled(feed.settled)
    sources = Sources(store, connectors, lambda sealed: {}, utc_now)
    sources.on_changed(feeds.changed)
    return Gateway(
        store=store,
        sources=sources,
        connectors=connectors,
        cursors=cursors,
        feed=feed,
        replies=Replies(),
        drains=Drains(),
        locks=ChatLocks(feeds.wrote),
        watching=feeds,
        seal_credentials=lambda credentials: b"",
        webhook_tokens=WebhookTokens([b"w" * 32]),
        tuning=tuning or Tuning(),
        **parts,
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
