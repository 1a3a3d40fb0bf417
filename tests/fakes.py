"""An in-memory source with any kind of pager, for what is hard to arrange with a vendor: ties, failures, changes between pages."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from domain.capabilities import (
    Capabilities,
    Capability,
    ChatOrder,
    ChatOrderField,
    native,
    overlay,
)
from domain.paging import sorted_chats
from domain.records import Account, Agent, Chat, Check, Folder, Health, Message, Source
from domain.source import Connector, MessagesRead, MessageWindow, SourcePage
from resolvers.context import utc_now

NEWEST_FIRST = ChatOrder(ChatOrderField.UPDATED_AT, descending=True)
ROW = frozenset({"title", "created_at", "updated_at"})


def capabilities(*native_orders: ChatOrder, **changes: Any) -> Capabilities:
    """Lists, reads and sends; keeps nothing else itself."""
    support = {
        Capability.CREATE_CHAT: native(),
        Capability.LIST_CHATS: native(),
        Capability.READ_CHAT: native(),
        Capability.LIST_MESSAGES: native(),
        Capability.READ_MESSAGE: native(),
        Capability.SEND_MESSAGE: native(),
        Capability.DELETE_CHAT: native(),
        Capability.PIN_CHAT: overlay(),
        Capability.ARCHIVE_CHAT: overlay(),
        Capability.TAG_CHAT: overlay(),
        Capability.MOVE_CHAT: overlay(),
    }
    return Capabilities(support=support, native_orders=native_orders, row_fields=ROW, **changes)


@dataclass
class FakeSource:
    """A source whose rows are a list. `fails` is raised by every reading call; `hold` is awaited before each answer.

    With native orders it pages by `page_size`; ties are shown in reverse of the gateway's order, as a vendor may.
    """

    source: Source
    chats: list[Chat] = field(default_factory=list)
    messages: dict[str, list[Message]] = field(default_factory=dict)
    capabilities: Capabilities = field(default_factory=capabilities)
    page_size: int = 3
    fails: Exception | None = None
    hold: asyncio.Event | None = None
    calls: list[str] = field(default_factory=list)

    def adopt(self, source: Source) -> None:
        """Become the source of this record: every row is of it."""
        self.source = source
        ids = {"organization_id": source.organization_id, "source_id": source.id}
        self.chats = [replace(chat, **ids) for chat in self.chats]
        self.messages = {
            chat: [replace(message, **ids) for message in messages] for chat, messages in self.messages.items()
        }

    async def _asked(self, operation: str) -> None:
        self.calls.append(operation)
        if self.hold is not None:
            await self.hold.wait()
        if self.fails is not None:
            raise self.fails

    def health(self) -> Health:
        return Health()

    async def aclose(self) -> None:
        return None

    async def check(self) -> Sequence[Check]:
        await self._asked("check")
        return [Check("reachable", True, "It answers.")]

    async def account(self) -> Account | None:
        return None

    async def list_chats(self, order: ChatOrder, token: str | None) -> SourcePage[Chat]:
        assert order in self.capabilities.native_orders
        started_at = utc_now()
        await self._asked("list_chats")
        page = int(token or 0)
        rows = [replace(chat, told=ROW) for chat in self._in_vendor_order(order)]
        shown = rows[page * self.page_size : (page + 1) * self.page_size]
        return SourcePage(
            shown,
            started_at,
            next=str(page + 1) if (page + 1) * self.page_size < len(rows) else None,
            previous=str(page - 1) if page > 0 else None,
        )

    def _in_vendor_order(self, order: ChatOrder) -> list[Chat]:
        rows = sorted_chats(list(reversed(self.chats)), order)
        rows.sort(key=lambda chat: chat.native_id, reverse=True)
        rows.sort(key=lambda chat: chat.updated_at.timestamp() if chat.updated_at else 0, reverse=order.descending)
        return rows

    async def drain_chats(self, needs: frozenset[str]) -> AsyncIterator[SourcePage[Chat]]:
        started_at = utc_now()
        await self._asked("drain_chats")
        for start in range(0, len(self.chats), self.page_size):
            rows = [replace(chat, told=ROW | needs) for chat in self.chats[start : start + self.page_size]]
            yield SourcePage(rows, started_at)

    async def get_chat(self, chat_id: str) -> Chat | None:
        await self._asked("get_chat")
        return next((chat for chat in self.chats if chat.native_id == chat_id), None)

    async def read_messages(self, chat_id: str, window: MessageWindow) -> MessagesRead | None:
        started_at = utc_now()
        await self._asked("read_messages")
        if all(chat.native_id != chat_id for chat in self.chats):
            return None
        rows = self.messages.get(chat_id, [])
        leaf = rows[-1].native_id if rows else None
        return MessagesRead(messages=rows, started_at=started_at, is_complete=True, active_leaf=leaf)

    async def list_folders(self) -> Sequence[Folder]:
        return []

    async def list_agents(self) -> Sequence[Agent] | None:
        return None

    async def delete_chat(self, chat_id: str) -> None:
        await self._asked("delete_chat")
        self.chats = [chat for chat in self.chats if chat.native_id != chat_id]


def a_connector(vendor: str, connect: Callable[[Source], FakeSource], table: Capabilities | None = None) -> Connector:
    """A vendor that is made of fakes."""
    return Connector(
        vendor=vendor,
        display_name=vendor.title(),
        capabilities=table or capabilities(),
        credentials_schema={"type": "object"},
        options_schema={"type": "object"},
        create_chat_schema={"type": "object"},
        connect=lambda source, credentials: connect(source),  # type: ignore[arg-type, return-value]  # it lacks what no test calls
    )
