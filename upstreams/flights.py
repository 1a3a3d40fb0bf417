"""Equal questions that are under way at the same time are asked once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Shares one run between all who want the same at the same time.

    The run ends when its last waiter is cancelled, so a client that goes away reaches the vendor, and one that stays is not harmed by it.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, tuple[asyncio.Task[T], list[int]]] = {}

    async def run(self, key: Hashable, start: Callable[[], Awaitable[T]]) -> T:
        """The result of the run under way for `key`, or of a new one."""
        flight = self._flights.get(key)
        if flight is None:
            flight = (asyncio.ensure_future(self._fly(key, start)), [0])
            self._flights[key] = flight
        task, waiters = flight
        waiters[0] += 1
        try:
            return await asyncio.shield(task)
        finally:
            waiters[0] -= 1
            if waiters[0] == 0 and not task.done():
                self._forget(key, task)
                task.cancel()

    async def _fly(self, key: Hashable, start: Callable[[], Awaitable[T]]) -> T:
        try:
            return await start()
        finally:
            self._forget(key, asyncio.current_task())

    def _forget(self, key: Hashable, task: "asyncio.Task[T] | asyncio.Task[object] | None") -> None:
        flight = self._flights.get(key)
        if flight is not None and flight[0] is task:
            del self._flights[key]

    def __len__(self) -> int:
        return len(self._flights)
