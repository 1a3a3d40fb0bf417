"""What all writing resolvers share: one writer per chat at a time, and the difference between "left out" and null."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, TypeVar

T = TypeVar("T")


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"


UNSET: Final = Unset.UNSET
"""The field was left out of the input: it stays as it is. `None` empties it."""


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """What a mutation with an idempotency key did. `replayed`: it was done by an earlier request, nothing happened this time."""

    value: T
    replayed: bool = False


class ChatLocks:
    """Serialises the writes to one chat inside this process. A lock exists only while somebody holds or waits for it.

    `released` is called with the key of each write that has ended, whatever came of it.
    """

    def __init__(self, released: Callable[[Hashable], None] = lambda key: None) -> None:
        self._released = released
        self._locks: dict[Hashable, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, key: Hashable) -> AsyncIterator[None]:
        """Hold the lock of `key`, usually (organization, source, chat)."""
        lock, holders = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, holders + 1)
        try:
            async with lock:
                try:
                    yield
                finally:
                    self._released(key)
        finally:
            lock, holders = self._locks[key]
            if holders == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, holders - 1)

    def __len__(self) -> int:
        return len(self._locks)
