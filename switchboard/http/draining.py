"""Tells long-living connections that this process is about to end, before the server cuts them."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Draining:
    """Begins once, when the process is asked to end. Streams and sockets ask to be told."""

    def __init__(self) -> None:
        self.has_begun = False
        """Whether new connections are to be refused."""
        self._tells: dict[object, Callable[[], None]] = {}

    def begin(self) -> None:
        """Tell every stream and socket to go. Call it in the loop."""
        self.has_begun = True
        tells, self._tells = self._tells, {}
        for tell in tells.values():
            tell()

    @contextmanager
    def telling(self, tell: Callable[[], None]) -> Iterator[None]:
        """While entered, `tell` is called when draining begins; at once where it has begun."""
        if self.has_begun:
            tell()
            yield
            return
        self._tells[who := object()] = tell
        try:
            yield
        finally:
            self._tells.pop(who, None)


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
