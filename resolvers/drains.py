"""Reads a source whole into the mirror, once for all who want it: for orders and filters that the source itself has no pages for.

A drain goes on when whoever began it is gone: the next page finds it done. A chat that the mirror knows and a complete drain does not
show is asked for by its id; only its source's own "no" removes it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from domain.source import NOTHING_SKIPPED, Skipped

MAX_DOUBTS = 20
"""How many missing chats one drain asks for by id; the rest waits for the next."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain did. `is_whole`: it came to the end."""

    at: datetime
    needs: frozenset[str]
    is_whole: bool
    skipped: Skipped = NOTHING_SKIPPED


@dataclass(slots=True)
class Drains:
    """The drains of this process by source id: those that run, and the last one that ended."""

    running: dict[int, tuple[frozenset[str], asyncio.Task[Drained]]] = field(default_factory=dict)
    last: dict[int, Drained] = field(default_factory=dict)

    def fresh(self, source_id: int, needs: frozenset[str], not_before: datetime) -> Drained | None:
        """The last drain, when it told `needs` and is new enough. One that did not come to the end would not get any farther now."""
        last = self.last.get(source_id)
        return last if last is not None and last.at >= not_before and last.needs >= needs else None

    def join(
        self, source_id: int, needs: frozenset[str], run: Callable[[], Awaitable[Drained]]
    ) -> "asyncio.Task[Drained]":
        """The running drain that tells `needs`, or a new one."""
        running = self.running.get(source_id)
        if running is not None and running[0] >= needs and not running[1].done():
            return running[1]
        task = asyncio.ensure_future(self._remember(source_id, run))
        self.running[source_id] = (needs, task)
        task.add_done_callback(lambda done: self._ended(source_id, done))
        return task

    def forget(self, source_id: int) -> None:
        """The source changed: what was drained says nothing any more."""
        self.last.pop(source_id, None)

    async def aclose(self) -> None:
        """End what runs."""
        tasks = [task for _, task in self.running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _remember(self, source_id: int, run: Callable[[], Awaitable[Drained]]) -> Drained:
        drained = await run()
        self.last[source_id] = drained
        return drained

    def _ended(self, source_id: int, task: "asyncio.Task[Drained]") -> None:
        if not task.cancelled():
            task.exception()  # whoever waits gets it; nobody may be left to
        running = self.running.get(source_id)
        if running is not None and running[1] is task:
            del self.running[source_id]
