"""Fake sources that page messages, each kind in its own way, and that may fail or change between two pages."""

from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime

from domain.errors import UpstreamUnavailable
from domain.source import MessagesRead, MessageWindow, NewMessage, Progress
from domain.tree import cut
from resolvers.context import utc_now
from tests.fakes import FakeSource


@dataclass
class PagingSource(FakeSource):
    """Shows the window that is asked for, at most `page_messages` of it, and never tells that it is all.

    `page_faults`: one entry is used up by each page, True fails. `between`: called before each page is answered, and before a message is sent.
    """

    page_messages: int = 5
    page_faults: deque[bool] = field(default_factory=deque)
    between: Callable[[], None] = lambda: None

    async def read_messages(self, chat_id: str, window: MessageWindow) -> MessagesRead | None:
        started_at = utc_now()
        await self._asked("read_messages")
        self.between()
        if self.page_faults and self.page_faults.popleft():
            raise UpstreamUnavailable("Down.", source_id=self.source.id, operation="read_messages")
        if all(chat.native_id != chat_id for chat in self.chats):
            return None
        return self._shown(chat_id, window, started_at)

    async def send_message(self, new: NewMessage) -> AsyncGenerator[Progress, None]:
        self.between()  # somebody else is faster
        async with aclosing(super().send_message(new)) as steps:
            async for progress in steps:
                yield progress

    def _shown(self, chat_id: str, window: MessageWindow, started_at: datetime) -> MessagesRead:
        rows, has_before, has_after = cut(self.messages.get(chat_id, []), self._bounded(window))
        return MessagesRead(
            messages=rows,
            started_at=started_at,
            is_complete=False,
            active_leaf=rows[-1].native_id if rows and not has_after else None,
            has_before=has_before,
            has_after=has_after,
        )

    def _bounded(self, window: MessageWindow) -> MessageWindow:
        most = self.page_messages
        return MessageWindow(
            first=min(window.first, most) if window.first is not None else None,
            last=min(window.last, most) if window.last is not None else None,
            after=window.after,
            before=window.before,
        )


@dataclass
class WholeWhenShort(PagingSource):
    """Gives a chat whole as long as one page holds it, as Lexicon does."""

    def _shown(self, chat_id: str, window: MessageWindow, started_at: datetime) -> MessagesRead:
        rows = self.messages.get(chat_id, [])
        if len(rows) > self.page_messages:
            return super()._shown(chat_id, window, started_at)
        leaf = rows[-1].native_id if rows else None
        return MessagesRead(messages=list(rows), started_at=started_at, is_complete=True, active_leaf=leaf)


@dataclass
class WalksFromTheNewest(PagingSource):
    """Finds the beginning by walking there, and then has all of the chat, as Splox does; it does not tell the end of the path."""

    def _shown(self, chat_id: str, window: MessageWindow, started_at: datetime) -> MessagesRead:
        rows = self.messages.get(chat_id, [])
        if window.first is not None and window.after is None:
            leaf = rows[-1].native_id if rows else None
            return MessagesRead(messages=list(rows), started_at=started_at, is_complete=True, active_leaf=leaf)
        found, has_before, has_after = cut(rows, self._bounded(window))
        return MessagesRead(
            messages=found, started_at=started_at, is_complete=False, has_before=has_before, has_after=has_after
        )
