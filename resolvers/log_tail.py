"""The newest lines of the logs that are listened to, read once for all who read them at the same time.

A line is never changed, and positions have no holes; so what was read once is right for as long as it is kept, and a reader that stands
before what is kept here asks the store.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.records import Event
from storage.store import Store

_LINES = 512
_ORGANIZATIONS = 100


@dataclass(slots=True)
class _Tail:
    lines: list[Event] = field(default_factory=list)
    reading: "asyncio.Future[int] | None" = None
    """Done when the reading that is under way is over; it holds its number."""
    reading_from: int = 0
    begun: int = 0
    """How many readings have begun."""

    def behind(self, position: int, limit: int) -> list[Event]:
        """The lines behind a position; empty when the next one is not kept."""
        if not self.lines or not self.lines[0].seq <= position + 1 <= self.lines[-1].seq:
            return []
        start = position + 1 - self.lines[0].seq
        return self.lines[start : start + limit]

    def add(self, lines: list[Event]) -> None:
        if self.lines and lines[0].seq != self.lines[-1].seq + 1:
            if lines[0].seq <= self.lines[-1].seq:  # somebody far behind read them
                return
            self.lines.clear()
        self.lines.extend(lines)
        del self.lines[:-_LINES]


class LogTail:
    """The tails of the organizations that were read last."""

    def __init__(self) -> None:
        self._tails: OrderedDict[int, _Tail] = OrderedDict()

    async def after(self, store: Store, organization_id: int, position: int, limit: int) -> Sequence[Event]:
        """The first lines behind a position, at most `limit`. Empty only if a reading that began now found none."""
        tail = self._tail(organization_id)
        begun = tail.begun
        while not (known := tail.behind(position, limit)):
            reading = tail.reading
            if reading is None:
                return await self._read(store, tail, organization_id, position, limit)
            if tail.reading_from != position:
                return await store.events.after(organization_id, position, limit)
            # One that was under way may be too early for what this reader was told of; all who came meanwhile share the next one.
            if await asyncio.shield(reading) > begun and not tail.behind(position, limit):
                return []
        return known

    async def _read(
        self, store: Store, tail: _Tail, organization_id: int, position: int, limit: int
    ) -> Sequence[Event]:
        reading = tail.reading = asyncio.get_running_loop().create_future()
        tail.reading_from = position
        number = tail.begun = tail.begun + 1
        try:
            lines = await store.events.after(organization_id, position, limit)
            if lines:
                tail.add(lines)
            return lines
        except BaseException:
            number = 0  # it says nothing
            raise
        finally:
            tail.reading = None
            reading.set_result(number)

    def _tail(self, organization_id: int) -> _Tail:
        tail = self._tails.get(organization_id)
        if tail is None:
            tail = self._tails[organization_id] = _Tail()
            if len(self._tails) > _ORGANIZATIONS:
                self._tails.popitem(last=False)
        else:
            self._tails.move_to_end(organization_id)
        return tail
