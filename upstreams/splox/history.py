"""A chat's history, walked from its newest message towards its oldest.

    newest ──page of 200──▶ before = its oldest time + 1 µs ──page──▶ … ──▶ the beginning

The microsecond brings back the messages that share the boundary's time, whether the vendor leaves out `before` itself or not; what comes
twice is dropped. Where a whole page holds one instant that does not help, so the next try goes below it, and the walk is torn: messages
of that instant may be missing.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from domain.errors import BadCursor
from domain.records import Message, Source
from domain.source import NOTHING_SKIPPED, MessagesRead, MessageWindow, Skipped
from upstreams.json_reading import Json, WrongShape, as_list, as_object, rows
from upstreams.splox.capabilities import PAGE_MESSAGES
from upstreams.splox.messages import message_from_json

_TICK = timedelta(microseconds=1)
_MOST_PAGES = 100
_MOST_TIMES = 10_000
_TORN = Skipped(1, "list_messages", "$: expected fewer messages of one instant than a page holds")


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One page, newest first. `started_at` is when it was asked for."""

    messages: Sequence[Message]
    has_more: bool
    skipped: Skipped
    started_at: datetime


ReadPage = Callable[[datetime | None], Awaitable[HistoryPage]]
"""Reads the page before a time, None the newest; at most `PAGE_MESSAGES`."""


class EndlessHistory(Exception):
    """The pages do not come to an end."""


def page_from_json(source: Source, chat_id: str, body: Any) -> tuple[list[Message], bool, Skipped]:
    """The messages of a page, newest first, whether there are more, and the rows that were left out. A bare list that is full is taken to go on."""
    shape = as_object(body) if isinstance(body, dict) else None
    if shape is None:
        values, path = as_list(body), "$"
    else:
        values, path = _list_or_null(shape, "messages"), shape.at("messages")
    more = shape.fields.get("has_more") if shape is not None else None
    if more is not None and not isinstance(more, bool):
        raise WrongShape("$.has_more", "true or false")
    found, skipped = rows(values, path, lambda row: message_from_json(source, chat_id, row))
    times = [message.created_at for message in found if message.created_at is not None]
    if len(times) > 1 and times[0] < times[-1]:
        found.reverse()
    return found, len(values) >= PAGE_MESSAGES if more is None else more, skipped


class Walk:
    """What has been read of a history so far: `messages` newest first, none twice."""

    def __init__(self, read: ReadPage, *, before: datetime | None = None) -> None:
        self._read = read
        self._before = before
        self._seen: set[str] = set()
        self._pages = 0
        self.messages: list[Message] = []
        self.is_from_newest = before is None
        self.has_ended = False
        self.is_torn = False
        self.skipped = NOTHING_SKIPPED
        self.started_at: datetime | None = None

    async def until(self, is_enough: Callable[[], bool]) -> None:
        """Read on until it is enough or the history has ended."""
        while not self.has_ended and not is_enough():
            await self._more()

    def position(self, message_id: str) -> int | None:
        """Where a message stands, counted from the newest."""
        return next((at for at, message in enumerate(self.messages) if message.native_id == message_id), None)

    async def _more(self) -> None:
        if not self._pages:
            await self._take(self._before)
            return
        oldest = next((one.created_at for one in reversed(self.messages) if one.created_at is not None), None)
        if oldest is None:
            raise EndlessHistory
        for before in (oldest + _TICK, oldest, oldest - _TICK):
            if await self._take(before) or self.has_ended:
                self.is_torn |= before <= oldest
                return
        raise EndlessHistory

    async def _take(self, before: datetime | None) -> int:
        """Read one page; how many messages it added."""
        if self._pages == _MOST_PAGES:
            raise EndlessHistory
        page = await self._read(before)
        self._pages += 1
        self.started_at = self.started_at or page.started_at
        once = {message.native_id: message for message in page.messages if message.native_id not in self._seen}
        new = list(once.values())
        self._seen.update(message.native_id for message in new)
        self.messages += new
        self.skipped += page.skipped
        self.has_ended = not page.has_more or not (page.messages or page.skipped)
        return len(new)


class History:
    """Windows of one source's histories. Times of messages are remembered, so that a page in the middle need not be walked to."""

    def __init__(self, read: Callable[[str, datetime | None], Awaitable[HistoryPage]]) -> None:
        self._read = read
        self._times: OrderedDict[tuple[str, str], datetime] = OrderedDict()

    async def window(self, chat_id: str, window: MessageWindow) -> MessagesRead:
        """The window, or the whole chat where one walk showed it and each message follows the one before it. `branch` is not asked for: there is one line."""
        if window.last is not None and window.before is not None:
            walk, at = await self._walk_to(chat_id, window.before, behind=window.last + 1)
            return self._read_of(walk, at + 1, at + 1 + window.last)
        walk = self._walk(chat_id)
        if window.last is not None:
            wanted = window.last
            await walk.until(lambda: len(walk.messages) > wanted)
            return self._read_of(walk, 0, wanted)
        if window.after is not None:
            await walk.until(lambda: walk.position(window.after or "") is not None)
            at = _found(walk, window.after)
            await walk.until(lambda: len(walk.messages) > at)
            return self._read_of(walk, max(0, at - (window.first or 0)), at)
        await walk.until(lambda: False)
        return self._read_of(walk, max(0, len(walk.messages) - (window.first or 0)), len(walk.messages))

    async def message(self, chat_id: str, message_id: str) -> Message | None:
        """One message under its parent, None when the history does not show it."""
        try:
            walk, at = await self._walk_to(chat_id, message_id, behind=1)
        except BadCursor:
            return None
        return _chained(walk.messages[at : at + 2])[-1]

    async def newest(self, chat_id: str) -> MessagesRead:
        """The newest page, chained."""
        return await self.window(chat_id, MessageWindow(last=PAGE_MESSAGES - 1))

    def _walk(self, chat_id: str, before: datetime | None = None) -> Walk:
        async def read(position: datetime | None) -> HistoryPage:
            page = await self._read(chat_id, position)
            self._remember(chat_id, page.messages)
            return page

        return Walk(read, before=before)

    async def _walk_to(self, chat_id: str, message_id: str, *, behind: int) -> tuple[Walk, int]:
        """A walk that shows a message and `behind` older ones, as far as there are so many, and where the message stands in it."""
        time = self._times.get((chat_id, message_id))
        walk = self._walk(chat_id, time + _TICK if time is not None else None)
        if time is not None:
            await walk.until(lambda: bool(walk.messages))
            if walk.position(message_id) is None:
                walk = self._walk(chat_id)
        await walk.until(lambda: walk.position(message_id) is not None)
        at = _found(walk, message_id)
        await walk.until(lambda: len(walk.messages) > at + behind)
        return walk, at

    def _read_of(self, walk: Walk, start: int, end: int) -> MessagesRead:
        assert walk.started_at is not None, "a walk reads at least one page"
        is_whole = walk.is_from_newest and walk.has_ended and not walk.is_torn and not walk.skipped
        lines = _chained(walk.messages)
        if is_whole and _is_one_line(lines):
            return MessagesRead(
                messages=lines,
                started_at=walk.started_at,
                is_complete=True,
                active_leaf=lines[-1].native_id if lines else None,
                total=len(lines),
            )
        shown = _chained(walk.messages[start : end + 1])
        return MessagesRead(
            messages=shown[1:] if end < len(walk.messages) else shown,
            started_at=walk.started_at,
            is_complete=False,
            has_before=end < len(walk.messages) or not walk.has_ended,
            has_after=start > 0,
            total=len(lines) if is_whole else None,
            skipped=walk.skipped + _TORN if walk.is_torn else walk.skipped,
        )

    def _remember(self, chat_id: str, messages: Sequence[Message]) -> None:
        for message in messages:
            if message.created_at is not None:
                self._times[(chat_id, message.native_id)] = message.created_at
                self._times.move_to_end((chat_id, message.native_id))
        while len(self._times) > _MOST_TIMES:
            self._times.popitem(last=False)


def _list_or_null(body: Json, name: str) -> list[Any]:
    return [] if name in body.fields and body.fields[name] is None else body.list(name)


def _chained(newest_first: Sequence[Message]) -> list[Message]:
    """Oldest first; where Splox does not tell a parent, it is the message before."""
    lines: list[Message] = []
    for message in reversed(newest_first):
        if message.parent_id is None and lines:
            message = replace(message, parent_id=lines[-1].native_id)
        lines.append(message)
    return lines


def _is_one_line(lines: Sequence[Message]) -> bool:
    parents = [None, *(message.native_id for message in lines)]
    return all(message.parent_id == parent for message, parent in zip(lines, parents, strict=False))


def _found(walk: Walk, message_id: str) -> int:
    at = walk.position(message_id)
    if at is None:
        raise BadCursor(
            "The list of messages was to continue at a message that is not in this chat (any more). Start again without a cursor."
        )
    return at
