"""Tells long-living connections that this process is about to end, before the server cuts them."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Draining:
    """Set once, when the process is asked to end. Streams and sockets wait for it."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()

    @property
    def has_begun(self) -> bool:
        """Whether new connections are to be refused."""
        return self._begun.is_set()

    def begin(self) -> None:
        """Tell every stream and socket to go. Call it in the loop."""
        self._begun.set()

    async def wait(self) -> None:
        """Return when draining has begun."""
        await self._begun.wait()


@contextmanager
def on_exit_signals(begin: Callable[[], None], *, grace_seconds: float = 0.2) -> Iterator[None]:
    """While entered, SIGTERM and SIGINT call `begin` in the running loop, and `grace_seconds` later what handled them before.

    uvicorn cuts its connections (1012) as soon as it sees the signal, and long before the lifespan's end, so the
    lifespan's end is too late to say anything; entering this in the lifespan's start is in time. A second signal is
    handed on at once: whoever sends it is in a hurry.
    """
    loop = asyncio.get_running_loop()
    previous = {number: signal.getsignal(number) for number in _SIGNALS}
    received: list[int] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        before = previous[signal.Signals(number)]
        if callable(before):
            before(number, frame)

    def drain_first(number: int) -> None:
        begin()
        loop.call_later(grace_seconds, hand_on, number, None)

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            loop.call_soon_threadsafe(drain_first, number)
        else:
            hand_on(number, frame)

    try:
        for number in _SIGNALS:
            signal.signal(number, handle)
    except ValueError:
        # Only the main thread may; a server in another thread (in tests) ends its connections by itself.
        yield
        return
    try:
        yield
    finally:
        for number in _SIGNALS:
            if signal.getsignal(number) is handle:
                signal.signal(number, previous[number])
