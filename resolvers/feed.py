"""Wakes subscribers: tells them how far the log of their organization is committed, and hands on words of replies being written.

The log is the truth and lives in the store; the feed carries no events. A `Listener` only knows `head`, the newest committed
position, so one that is slow loses nothing: it reads the log from where it stands. Words (`Growth`) are not logged; a listener that has
just come, or has fallen behind with them, gets all words so far of every reply under way.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from domain.errors import BadCursor
from resolvers.cursors import Cursors, ForeignCursor
from resolvers.spoken import Growth, Spoken, SpokenKey

__all__ = ["Feed", "Growth", "Listener"]

_MAX_WAITING_WORDS = 256


class Listener:
    """One subscriber's ear. `head` is the newest committed position that it was told of."""

    __slots__ = ("_bell", "_is_behind", "_under_way", "_words", "dropped", "head")

    def __init__(self, under_way: Callable[[], Iterator[Growth]]) -> None:
        self.head = 0
        self.dropped = False
        self._bell = asyncio.Event()
        self._words: deque[Growth] = deque()
        self._under_way = under_way
        self._is_behind = True

    async def wait(self) -> None:
        """Until something was committed or said since the last call."""
        await self._bell.wait()
        self._bell.clear()

    def take_words(self) -> list[Growth]:
        """The words that came since the last call, oldest first; all words so far at the first call, and when some were lost (`dropped`)."""
        words, self._words = list(self._words), deque()
        if self._is_behind:
            self._is_behind = False
            return list(self._under_way())
        return words

    def _told(self, head: int) -> None:
        if head > self.head:
            self.head = head
            self._bell.set()

    def _said(self, growth: Growth) -> None:
        if len(self._words) >= _MAX_WAITING_WORDS:
            self._words.clear()
            self.dropped = self._is_behind = True
        self._words.append(growth)
        self._bell.set()


class Feed:
    """All listeners of this process, by organization."""

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors
        self._listeners: dict[int, set[Listener]] = {}
        self._attended = asyncio.Event()
        self._spoken = Spoken()
        self._on_growth: list[Callable[[Growth], None]] = []
        self._on_silence: list[Callable[[str], None]] = []

    @contextmanager
    def listen(self, organization_id: int) -> Iterator[Listener]:
        """Listen from now on, until the block is left."""
        listener = Listener(lambda: self._spoken.under_way(organization_id))
        listeners = self._listeners.setdefault(organization_id, set())
        listeners.add(listener)
        self._attended.set()
        try:
            yield listener
        finally:
            listeners.discard(listener)
            if not listeners:
                self._listeners.pop(organization_id, None)
            if not self._listeners:
                self._attended.clear()

    def committed(self, organization_id: int, head: int) -> None:
        """The log of an organization is committed up to `head`. Called by the store after each commit."""
        for listener in self._listeners.get(organization_id, ()):
            listener._told(head)

    def on_growth(self, callback: Callable[[Growth], None], on_silence: Callable[[str], None]) -> None:
        """Call back with all that is said by who follows a reply in this process, and with who does so no more, for whoever listens elsewhere."""
        self._on_growth.append(callback)
        self._on_silence.append(on_silence)

    def grew(self, growth: Growth) -> None:
        """A reply that this process follows has these words by now. The delta is made here, from what was told before."""
        if self._spoken.has_ended(growth.key):
            return
        self.heard(growth)
        for callback in self._on_growth:
            callback(growth)

    def heard(self, growth: Growth) -> None:
        """The same of a reply that another process follows."""
        told = self._spoken.take(growth)
        if told is not None:
            for listener in self._listeners.get(growth.delta.organization_id, ()):
                listener._said(told)

    def settled(self, key: SpokenKey, is_final: bool) -> None:
        """A message got a final state, or lost it. Called by the store after each commit that did so."""
        if is_final:
            self._spoken.end(key)
        else:
            self._spoken.begin_again(key)

    def fell_silent(self, speaker: str) -> None:
        """Whoever followed a reply in this process does so no more, and it has not ended."""
        self.forget(speaker)
        for callback in self._on_silence:
            callback(speaker)

    def forget(self, speaker: str) -> None:
        """The same of another process."""
        self._spoken.forget(speaker)

    def under_way(self, organization_id: int) -> list[Growth]:
        """All words so far of each reply that is being written."""
        return list(self._spoken.under_way(organization_id))

    async def attended(self) -> None:
        """Until somebody listens."""
        await self._attended.wait()

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
