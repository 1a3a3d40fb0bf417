"""Wakes subscribers: tells them how far the log of their organization is committed, and hands on words of replies being written.

The log is the truth and lives in the store; the feed carries no events. A `Listener` only knows `head`, the newest committed
position, so one that is slow loses nothing: it reads the log from where it stands. Words (`Growth`) are not logged; a listener that
falls behind with them drops them and gets the whole text with the next ones.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from domain.errors import BadCursor
from domain.records import Delta
from resolvers.cursors import Cursors, ForeignCursor

_MAX_WAITING_WORDS = 256


@dataclass(frozen=True, slots=True)
class Growth:
    """New words of a reply, and all its words so far, for whoever comes in the middle."""

    delta: Delta
    text_so_far: str


class Listener:
    """One subscriber's ear. `head` is the newest committed position that it was told of."""

    __slots__ = ("_bell", "_words", "dropped", "head")

    def __init__(self) -> None:
        self.head = 0
        self.dropped = False
        self._bell = asyncio.Event()
        self._words: deque[Growth] = deque()

    async def wait(self) -> None:
        """Until something was committed or said since the last call."""
        await self._bell.wait()
        self._bell.clear()

    def take_words(self) -> list[Growth]:
        """The words that came since the last call, oldest first. `dropped` is True when some before them were lost."""
        words, self._words = list(self._words), deque()
        return words

    def _told(self, head: int) -> None:
        if head > self.head:
            self.head = head
            self._bell.set()

    def _said(self, growth: Growth) -> None:
        if len(self._words) >= _MAX_WAITING_WORDS:
            self._words.clear()
            self.dropped = True
        self._words.append(growth)
        self._bell.set()


class Feed:
    """All listeners of this process, by organization."""

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors
        self._listeners: dict[int, set[Listener]] = {}

    @contextmanager
    def listen(self, organization_id: int) -> Iterator[Listener]:
        """Listen from now on, until the block is left."""
        listener = Listener()
        listeners = self._listeners.setdefault(organization_id, set())
        listeners.add(listener)
        try:
            yield listener
        finally:
            listeners.discard(listener)
            if not listeners:
                self._listeners.pop(organization_id, None)

    def committed(self, organization_id: int, head: int) -> None:
        """The log of an organization is committed up to `head`. Called by the store after each commit."""
        for listener in self._listeners.get(organization_id, ()):
            listener._told(head)

    def grew(self, growth: Growth) -> None:
        """A reply has new words."""
        for listener in self._listeners.get(growth.delta.organization_id, ()):
            listener._said(growth)

    def organizations(self) -> list[int]:
        """Those that somebody listens to."""
        return list(self._listeners)

    def count(self) -> int:
        """How many listen."""
        return sum(len(listeners) for listeners in self._listeners.values())

    def cursor_at(self, organization_id: int, seq: int, offset: int | None = None) -> str:
        """The `EventCursor` of a position; `offset` for one inside a reply being written."""
        return self._cursors.seal("events", organization_id, [seq] if offset is None else [seq, offset])

    def position(self, organization_id: int, cursor: str) -> int | None:
        """The position in the log that a client sent. None: a position that a removed key made, or another organization's,
        which cannot be told apart; whoever holds it has lost the place. `BadCursor` for everything else.
        """
        try:
            payload, is_ours = self._cursors.open("events", organization_id, cursor), True
        except ForeignCursor as foreign:
            payload, is_ours = foreign.payload, False
        if not (isinstance(payload, list) and 1 <= len(payload) <= 2 and all(type(part) is int for part in payload)):
            raise BadCursor(
                "The event cursor is not one of this log. Subscribe without `after` and read the chats again."
            )
        return int(payload[0]) if is_ours else None
