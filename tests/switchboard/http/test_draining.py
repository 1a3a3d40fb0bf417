"""Going away in order."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from switchboard.http.draining import Draining, on_exit_signals

pytestmark = pytest.mark.anyio


@pytest.fixture
def handled() -> Iterator[list[int]]:
    """The signals that reach who handled them before, as a server would."""
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    yield received
    signal.signal(signal.SIGTERM, before)


async def test_draining_begins_once_and_tells_who_asked() -> None:
    draining = Draining()
    told: list[str] = []
    with draining.telling(lambda: told.append("gone")):
        pass
    with draining.telling(lambda: told.append("here")):
        assert not draining.has_begun
        draining.begin()
        draining.begin()
    assert draining.has_begun
    assert told == ["here"]
    with draining.telling(lambda: told.append("late")):
        assert told == ["here", "late"]


async def test_first_signal_drains_before_the_server_hears_of_it(handled: list[int]) -> None:
    begun = asyncio.Event()
    told: list[list[int]] = []

    def begin() -> None:
        told.append(list(handled))
        begun.set()

    with on_exit_signals(begin, grace_seconds=0.01):
        os.kill(os.getpid(), signal.SIGTERM)
        await begun.wait()
        async with asyncio.timeout(10):
            while not handled:  # noqa: ASYNC110  a timer of the loop, and no event
                await asyncio.sleep(0.001)
    assert told == [[]]
    assert handled == [signal.SIGTERM]


async def test_second_signal_is_handed_on_at_once(handled: list[int]) -> None:
    with on_exit_signals(lambda: None, grace_seconds=60):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        assert handled == [signal.SIGTERM]


async def test_handlers_are_as_before_afterwards(handled: list[int]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with on_exit_signals(lambda: None):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
