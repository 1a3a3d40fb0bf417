"""A store in a fresh file, with an organization and a source in it, and a clock that stands still until it is moved."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from domain.records import Chat, Event, Message, MessageRole, Organization, Source
from domain.source import MessageWindow
from storage.chats import ChatsSeen
from storage.database import Transaction
from storage.messages import MessagesSeen
from storage.observations import Observed
from storage.store import Store, open_store
from tests.storage.tenancy import strangers

T = TypeVar("T")
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """A time so long after the start of all tests."""
    return START + timedelta(seconds=seconds)


@dataclass
class Clock:
    """The present time, as far as the store can tell."""

    now: datetime = field(default_factory=lambda: at(1000))

    def __call__(self) -> datetime:
        return self.now


@dataclass
class World:
    """A store with one organization and one source, and short words for what the tests do with them."""

    store: Store
    clock: Clock
    organization: Organization
    source: Source

    async def write(self, unit: Callable[[Transaction], Awaitable[T]]) -> T:
        return await self.store.database.write(unit)

    def chat(self, native_id: str = "c", **told: Any) -> Chat:
        """A chat of which only `told` is said."""
        return Chat(
            organization_id=self.organization.id,
            source_id=self.source.id,
            native_id=native_id,
            told=frozenset(told),
            **told,
        )

    async def see(self, *chats: Chat, **reading: Any) -> Observed:
        seen = self.reading_of(*chats, **reading)
        return await self.write(lambda tx: self.store.chats.observe(tx, seen))

    def reading_of(
        self,
        *chats: Chat,
        started: float = 10,
        from_newest: bool = True,
        is_whole: bool = True,
        is_own_write: bool = False,
    ) -> ChatsSeen:
        return ChatsSeen(
            organization_id=self.organization.id,
            source_id=chats[0].source_id if chats else self.source.id,
            rows=chats,
            started_at=at(started),
            from_newest=from_newest,
            is_whole=is_whole,
            is_own_write=is_own_write,
        )

    def message(self, native_id: str, parent_id: str | None = None, *, chat_id: str = "c", **values: Any) -> Message:
        values.setdefault("role", MessageRole.USER)
        values.setdefault("text", f"words of {native_id}")
        return Message(
            organization_id=self.organization.id,
            source_id=self.source.id,
            chat_id=chat_id,
            native_id=native_id,
            parent_id=parent_id,
            **values,
        )

    async def see_messages(self, *messages: Message, **reading: Any) -> Observed:
        seen = self.reading_of_messages(*messages, **reading)
        return await self.write(lambda tx: self.store.messages.observe(tx, seen))

    def reading_of_messages(
        self,
        *messages: Message,
        started: float = 20,
        is_whole: bool = True,
        includes_newest: bool = True,
        chat_id: str = "c",
        **rest: Any,
    ) -> MessagesSeen:
        return MessagesSeen(
            organization_id=self.organization.id,
            source_id=self.source.id,
            chat_id=chat_id,
            messages=messages,
            started_at=at(started),
            is_whole=is_whole,
            includes_newest=includes_newest,
            **rest,
        )

    async def get(self, native_id: str = "c") -> Chat | None:
        return await self.store.chats.get(self.organization.id, self.source.id, native_id)

    async def path(self, chat_id: str = "c") -> list[str]:
        """The native ids along the active path."""

        window = await self.store.messages.window(
            self.organization.id, self.source.id, chat_id, MessageWindow(first=100)
        )
        return [message.native_id for message in window.messages]

    async def events(self) -> list[Event]:
        return await self.store.events.after(self.organization.id, 0, 10_000)

    async def news(self) -> list[tuple[str, str]]:
        """(kind, native id) of the whole log."""
        return [(event.kind.value, event.native_id) for event in await self.events()]


async def an_organization(store: Store, slug: str = "acme", vendor: str = "kodey") -> tuple[Organization, Source]:
    """An organization with one source."""

    async def unit(tx: Transaction) -> tuple[Organization, Source]:
        organization = await store.organizations.add(tx, slug, slug.title(), START)
        source = await store.sources.add(
            tx,
            organization_id=organization.id,
            key=f"{slug}-{vendor}",
            vendor=vendor,
            display_name=vendor.title(),
            created_at=START,
        )
        return organization, source

    return await store.database.write(unit)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An empty place."""
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
async def world(url: str) -> AsyncIterator[World]:
    clock = Clock()
    async with open_store(url, readers=2, clock=clock) as store:
        statements: list[str] = []
        for connection in store.database._all:
            await connection.set_trace_callback(statements.append)
        organization, source = await an_organization(store)
        yield World(store, clock, organization, source)
        assert strangers(statements) == []
