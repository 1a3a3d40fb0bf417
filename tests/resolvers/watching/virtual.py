"""Feeds over fakes whose time passes only when a test says so."""

import asyncio
import heapq
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from resolvers.context import Tuning
from resolvers.targets import ChatTarget, SourceTarget
from resolvers.watching.clock import WatchClock
from resolvers.watching.feeds import Feeds
from resolvers.watching.tuning import WatchTuning
from tests.fakes import FakeSource
from tests.resolvers.conftest import Room, a_room
from tests.resolvers.rooms import quiet


class _Timer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualClock:
    """Counts seconds by hand. `chance` is what every `random` gives; 0 jitters nothing."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.chance = 0.0
        self._number = count()
        self._timers: list[tuple[float, int, _Timer]] = []

    @property
    def watch_clock(self) -> WatchClock:
        """For the feeds."""
        return WatchClock(monotonic=lambda: self.now, call_later=self._call_later, random=lambda: self.chance)

    def _call_later(self, seconds: float, callback: Callable[[], None]) -> _Timer:
        timer = _Timer(callback)
        heapq.heappush(self._timers, (self.now + max(0.0, seconds), next(self._number), timer))
        return timer

    @property
    def timers(self) -> int:
        """How many will go off."""
        return sum(timer.callback is not None for _, _, timer in self._timers)

    def next_timer(self, until: float) -> Callable[[], None] | None:
        """Go to the next timer that goes off by `until`; its callback."""
        while self._timers and self._timers[0][0] <= until:
            when, _, timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                self.now = max(self.now, when)
                return timer.callback
        self.now = until
        return None


class WatchedRoom:
    """A room with its clock. `readings` counts the feeds' own, by outcome."""

    def __init__(self, room: Room, clock: VirtualClock, readings: Counter[str] | None = None) -> None:
        self.room = room
        self.clock = clock
        self.readings = readings if readings is not None else Counter()

    @property
    def source(self) -> FakeSource:
        """The first source."""
        return self.room.source

    @property
    def feeds(self) -> Feeds:
        """What is tested."""
        return self.room.feeds

    async def passes(self, seconds: float) -> None:
        """Time passes; whatever is due is done on the way."""
        until = self.clock.now + seconds
        await quiet(self.room)
        while (callback := self.clock.next_timer(until)) is not None:
            callback()
            await quiet(self.room)

    async def passes_only(self, seconds: float) -> None:
        """The same while a reading is held up, which is not waited for."""
        until = self.clock.now + seconds
        while (callback := self.clock.next_timer(until)) is not None:
            callback()
        for _ in range(50):
            await asyncio.sleep(0)

    async def chats(self, *chat_ids: str, source: str | None = None) -> list[SourceTarget]:
        """Targets of single chats."""
        whole = await self.whole(source)
        return [ChatTarget(whole.source, whole.live, chat_id) for chat_id in chat_ids or ("c1",)]

    async def whole(self, source: str | None = None) -> SourceTarget:
        """Everything at a source."""
        fake = self.room.sources[source] if source is not None else self.source
        for record in await self.room.gateway.sources.of(self.room.organization.id):
            if record.key == fake.source.key:
                return SourceTarget(record, await self.room.gateway.sources.connect(record))
        raise AssertionError("there is no such source")

    @asynccontextmanager
    async def subscribed(self, targets: Sequence[SourceTarget] | None = None) -> AsyncIterator[None]:
        """One subscriber, of `c1` unless something else is named."""
        wanted = targets if targets is not None else await self.chats()
        async with self.feeds.interest(self.room.context(), wanted):
            yield
        await quiet(self.room)

    def calls(self, operation: str = "read_messages") -> int:
        """How often the first source was asked for something since the last look."""
        number = self.source.calls.count(operation)
        self.source.calls.clear()
        return number


@asynccontextmanager
async def a_watched_room(
    folder: Path, *sources: FakeSource, within: Tuning | None = None, **tuning: Any
) -> AsyncIterator[WatchedRoom]:
    """Sources that are watched as the `tuning` of the feeds says."""
    clock, readings = VirtualClock(), Counter[str]()

    def observe(vendor: str, outcome: str) -> None:
        readings[outcome] += 1

    feeds = Feeds(WatchTuning(**tuning), clock=clock.watch_clock, observe=observe)
    async with a_room(folder, *sources, tuning=within, feeds=feeds) as room:
        yield WatchedRoom(room, clock, readings)
    assert not any(feeds.counts().values())
