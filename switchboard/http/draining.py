"""Tells long-living connections that this process is about to end, before the server cuts them."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


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
def on_exit_signals(begin: Callable[[], None]) -> Iterator[None]:
    """While entered, SIGTERM and SIGINT call `begin` in the running loop, and then what handled them before.

    uvicorn closes its connections (1012) a tenth of a second after the signal and before the lifespan's end, so the
    lifespan's end is too late to say anything; entering this in the lifespan's start is in time.
    """
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    previous = {number: signal.getsignal(number) for number in signals}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(begin)
        before = previous[signal.Signals(number)]
        if callable(before):
            before(number, frame)

    try:
        for number in signals:
            signal.signal(number, handle)
    except ValueError:
        # Only the main thread may; a server in another thread (in tests) ends its connections by itself.
        yield
        return
    try:
        yield
    finally:
        for number in signals:
            if signal.getsignal(number) is handle:
                signal.signal(number, previous[number])
