"""Time and chance for the feeds, passed in, so that a test neither waits nor guesses."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Timer(Protocol):
    """Something that will happen, unless it is called off."""

    def cancel(self) -> None:
        """Call it off."""
        ...


def _call_later(seconds: float, callback: Callable[[], None]) -> Timer:
    return asyncio.get_running_loop().call_later(seconds, callback)


@dataclass(frozen=True, slots=True)
class WatchClock:
    """`monotonic` counts seconds and never goes back; `call_later` calls back in the loop after so many seconds; `random` is at least 0 and below 1."""

    monotonic: Callable[[], float] = time.monotonic
    call_later: Callable[[float, Callable[[], None]], Timer] = _call_later
    random: Callable[[], float] = random.random

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        over = asyncio.Event()
        timer = self.call_later(seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()
