"""Remembers for a few seconds what the store told, so that not every request costs a statement.

What is asked for while an answer is on its way waits for that answer: a thousand sockets with one key ask once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_MAX_ENTRIES = 10_000


class Recent(Generic[K, V]):
    """Answers of `load` that are at most `seconds` old. When it is full, the oldest answer is forgotten."""

    def __init__(
        self, load: Callable[[K], Awaitable[V]], *, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._load = load
        self._seconds = seconds
        self._clock = clock
        self._answers: dict[K, tuple[float, asyncio.Future[V]]] = {}

    async def get(self, key: K) -> V:
        """What `load` said about `key`. An exception is raised for all who wait, and not remembered."""
        known = self._answers.get(key)
        if known is None or self._clock() - known[0] >= self._seconds:
            known = (self._clock(), asyncio.ensure_future(self._load(key)))
            self._answers.pop(key, None)
            self._answers[key] = known
            if len(self._answers) > _MAX_ENTRIES:
                del self._answers[next(iter(self._answers))]
            known[1].add_done_callback(lambda future: self._settle(key, future))
        return await asyncio.shield(known[1])  # one that gives up must not take the answer from the others

    def forget(self) -> None:
        """Ask again from now on."""
        self._answers.clear()

    def _settle(self, key: K, future: "asyncio.Future[V]") -> None:
        if future.cancelled() or future.exception() is not None:
            known = self._answers.get(key)
            if known is not None and known[1] is future:
                del self._answers[key]
