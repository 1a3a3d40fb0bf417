"""Reading the messages of a chat: from either end, as far as is needed.

A chat only grows at its new end. So a message's row, counted from the old end, never changes, and counted from the new end it can only become
greater: a place that was seen once is where the search for it begins the next time.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.records import Message, Source
from domain.source import NOTHING_SKIPPED, MessagesRead, MessageWindow, Skipped
from domain.tree import cut
from upstreams.client import UpstreamClient
from upstreams.clock import Clock
from upstreams.json_reading import rows
from upstreams.lexicon.capabilities import MESSAGE_ROWS
from upstreams.lexicon.mapping import PageEnd, chained, message_from_json, page_from_json
from upstreams.lexicon.requests import list_messages_request

_MOST_PAGES = 500
_REMEMBERED_PLACES = 10_000


@dataclass(slots=True)
class Stretch:
    """Neighbouring messages, in the order in which they were read. `is_whole`: all that the chat has."""

    newest_first: bool
    started_at: datetime
    rows: dict[str, Message] = field(default_factory=dict)
    pages: dict[str, int] = field(default_factory=dict)
    """Native id to the offset of the page that showed it."""
    skipped: Skipped = NOTHING_SKIPPED
    is_whole: bool = False

    @property
    def path(self) -> list[Message]:
        """Oldest first, chained. The first one's parent is known only when the stretch begins where the chat does."""
        found = list(self.rows.values())
        return chained(found[::-1] if self.newest_first else found)


class History:
    """The messages of the chats of one source."""

    def __init__(self, client: UpstreamClient, source: Source, clock: Clock) -> None:
        self._client = client
        self._source = source
        self._clock = clock
        self._places: OrderedDict[tuple[bool, str, str], int] = OrderedDict()

    async def read(self, chat_id: str, window: MessageWindow) -> MessagesRead:
        """The window, or everything where one page has it. Raises `BadCursor` for a position that the chat does not have."""
        newest_first = window.first is None
        anchor = window.before if newest_first else window.after
        wanted = (window.last if newest_first else window.first) or 0
        stretch = await self._around(chat_id, anchor, wanted, newest_first=newest_first)
        path = stretch.path
        if stretch.is_whole:
            return MessagesRead(
                messages=path,
                started_at=stretch.started_at,
                is_complete=True,
                active_leaf=path[-1].native_id if path else None,
                total=None if stretch.skipped else len(path),
                skipped=stretch.skipped,
            )
        found, has_before, has_after = cut(path, window)
        self._remember(chat_id, stretch, found)
        return MessagesRead(
            messages=found,
            started_at=stretch.started_at,
            is_complete=False,
            active_leaf=found[-1].native_id if found and not has_after else None,
            has_before=has_before,
            has_after=has_after,
            skipped=stretch.skipped,
        )

    async def find(self, chat_id: str, message_id: str) -> Message | None:
        """One message, with its parent."""
        stretch = await self._around(chat_id, message_id, 1, newest_first=True)
        found = next((message for message in stretch.path if message.native_id == message_id), None)
        if found is not None:
            self._remember(chat_id, stretch, [found])
        return found

    async def newest(self, chat_id: str, limit: int) -> list[Message]:
        """The newest messages, oldest first. The first one's parent is not known."""
        stretch = self._stretch(newest_first=True)
        await self._read_page(chat_id, stretch, 0, limit)
        return stretch.path

    async def _around(self, chat_id: str, anchor: str | None, wanted: int, *, newest_first: bool) -> Stretch:
        """From one end, or from where `anchor` was last seen, to `wanted` rows and one more behind it."""

        def has_enough(found: dict[str, Message]) -> bool:
            if anchor is None:
                return len(found) > wanted
            return anchor in found and len(found) - list(found).index(anchor) - 1 > wanted

        begin = 0 if anchor is None else self._places.get((newest_first, chat_id, anchor), 0)
        stretch = await self._read_until(chat_id, begin, has_enough, newest_first=newest_first)
        if begin and anchor not in stretch.rows:
            stretch = await self._read_until(chat_id, 0, has_enough, newest_first=newest_first)
        return stretch

    async def _read_until(
        self, chat_id: str, begin: int, has_enough: Callable[[dict[str, Message]], bool], *, newest_first: bool
    ) -> Stretch:
        stretch = self._stretch(newest_first=newest_first)
        offset = begin
        for _ in range(_MOST_PAGES):
            known, skipped = len(stretch.rows), stretch.skipped
            end = await self._read_page(chat_id, stretch, offset, MESSAGE_ROWS)
            # A page without anything new, although it says that it goes on, would go on for ever.
            has_new = len(stretch.rows) > known or stretch.skipped.count > skipped.count
            if not end.goes_on(offset) or not has_new:
                stretch.is_whole = begin == 0
                break
            offset += end.count
            if has_enough(stretch.rows):
                break
        return stretch

    async def _read_page(self, chat_id: str, stretch: Stretch, offset: int, limit: int) -> PageEnd:
        request = list_messages_request(chat_id, offset=offset, limit=limit, newest_first=stretch.newest_first)
        answer = await self._client.send(request)
        found, skipped, end = self._client.understood(answer, lambda body: self._rows(chat_id, body))
        if offset == 0 or not stretch.rows:
            stretch.started_at = answer.started_at
        for message in found:
            # What is written meanwhile pushes rows onto the next page, counted from the new end: they come once more.
            stretch.rows.setdefault(message.native_id, message)
            stretch.pages.setdefault(message.native_id, offset)
        stretch.skipped += self._client.skipped(answer.request, skipped)
        return end

    def _rows(self, chat_id: str, body: Any) -> tuple[list[Message], Skipped, PageEnd]:
        values, path, end = page_from_json(body, "messages")
        found, skipped = rows(values, path, lambda row: message_from_json(self._source, chat_id, row))
        return found, skipped, end

    def _stretch(self, *, newest_first: bool) -> Stretch:
        return Stretch(newest_first, self._clock.now())

    def _remember(self, chat_id: str, stretch: Stretch, found: Sequence[Message]) -> None:
        """Where the ends of a window are, because the next window is asked for by them."""
        for message in (*found[:1], *found[-1:]):
            key = (stretch.newest_first, chat_id, message.native_id)
            self._places[key] = stretch.pages[message.native_id]
            self._places.move_to_end(key)
        while len(self._places) > _REMEMBERED_PLACES:
            self._places.popitem(last=False)
