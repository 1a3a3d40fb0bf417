"""Rows that were read and are written behind their answer: how many may wait, and what becomes of those that find no room.

    hand_in ──room──▶ waiting ──committed──▶ gone
       │                 ├──its unit fails──▶ logged and counted
       │                 └──shutdown was too short──▶ dropped and counted
       └──no room──▶ dropped and counted

It keeps no order of its own: a unit takes its place among all writes of the process when it is handed in, where it would also stand if
somebody waited for it. So it is committed behind everything that was on its way before, and before everything that comes after.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from storage.database import Database, Unit

_log = logging.getLogger("switchboard.mirror")


def _uncounted(_rows: int) -> None:
    """Nobody counts."""


@dataclass(slots=True)
class MirrorQueue:
    """What waits in this process. `on_dropped` and `on_failed` are told numbers of rows."""

    most_rows: int = 2000
    most_bytes: int = 8 * 1024 * 1024
    on_dropped: Callable[[int], object] = _uncounted
    on_failed: Callable[[int], object] = _uncounted
    rows: int = 0
    bytes: int = 0
    _waiting: "set[asyncio.Future[Any]]" = field(default_factory=set)
    _newest: "dict[int, asyncio.Future[Any]]" = field(default_factory=dict)
    """By source: committed units end in the order in which they were handed in."""
    _is_closed: bool = False

    def could_hold(self, rows: int, weight: int) -> bool:
        """Whether so much would have room if nothing else waited."""
        return rows <= self.most_rows and weight <= self.most_bytes

    def hand_in(self, database: Database, source_id: int, unit: Unit[Any], *, rows: int, weight: int) -> bool:
        """Write `rows` rows of `weight` bytes when it is their turn; False: there was no room, and they are dropped."""
        has_room = self.rows + rows <= self.most_rows and self.bytes + weight <= self.most_bytes
        if not has_room or self._is_closed:
            self.on_dropped(rows)
            return False
        try:
            future = database.hand_in(unit)
        except asyncio.QueueFull:  # so many units of all kinds wait that nobody else gets in either
            self.on_dropped(rows)
            return False
        self.rows += rows
        self.bytes += weight
        self._waiting.add(future)
        self._newest[source_id] = future
        future.add_done_callback(partial(self._ended, source_id, rows, weight))
        return True

    async def caught_up(self, source_id: int) -> None:
        """Until all that was handed in of a source so far has ended, so that who reads the mirror finds what was shown before."""
        if (newest := self._newest.get(source_id)) is not None:
            await asyncio.wait([newest])

    async def drain(self, seconds: float) -> None:
        """Take nothing more, let what waits be written for at most `seconds`, and drop the rest."""
        self._is_closed = True
        if not self._waiting:
            return
        _, late = await asyncio.wait(self._waiting, timeout=seconds)
        for future in late:
            future.cancel()

    def _ended(self, source_id: int, rows: int, weight: int, future: "asyncio.Future[Any]") -> None:
        self.rows -= rows
        self.bytes -= weight
        self._waiting.discard(future)
        if self._newest.get(source_id) is future:
            del self._newest[source_id]
        if future.cancelled():
            self.on_dropped(rows)
        elif (error := future.exception()) is not None:
            self.on_failed(rows)
            _log.error("%s rows that were read could not be kept in the gateway's copy", rows, exc_info=error)
