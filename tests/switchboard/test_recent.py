"""What is remembered for a few seconds."""

import asyncio

import pytest

from switchboard.recent import Recent

pytestmark = pytest.mark.anyio


class Source:
    """Answers when it is let to, and counts."""

    def __init__(self) -> None:
        self.calls = 0
        self.now = 0.0
        self.go = asyncio.Event()
        self.fails = False

    async def load(self, key: str) -> str:
        self.calls += 1
        call = self.calls
        await self.go.wait()
        if self.fails:
            raise ValueError(key)
        return f"{key}{call}"

    def recent(self) -> Recent[str, str]:
        return Recent(self.load, seconds=2, clock=lambda: self.now)


async def test_an_answer_is_good_for_its_time_and_no_longer() -> None:
    source = Source()
    source.go.set()
    recent = source.recent()
    assert await recent.get("a") == "a1"
    source.now = 1.9
    assert await recent.get("a") == "a1"
    source.now = 2.0
    assert await recent.get("a") == "a2"


async def test_those_who_ask_at_once_share_one_answer() -> None:
    source = Source()
    recent = source.recent()
    waiting = [asyncio.ensure_future(recent.get("a")) for _ in range(100)]
    await asyncio.sleep(0)
    source.go.set()
    assert set(await asyncio.gather(*waiting)) == {"a1"}


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others() -> None:
    source = Source()
    recent = source.recent()
    first, second = asyncio.ensure_future(recent.get("a")), asyncio.ensure_future(recent.get("a"))
    await asyncio.sleep(0)
    first.cancel()
    source.go.set()
    assert await second == "a1"


async def test_a_failure_is_raised_and_not_remembered() -> None:
    source = Source()
    source.go.set()
    source.fails = True
    recent = source.recent()
    with pytest.raises(ValueError, match="a"):
        await recent.get("a")
    source.fails = False
    assert await recent.get("a") == "a2"


async def test_what_is_forgotten_is_asked_for_again() -> None:
    source = Source()
    source.go.set()
    recent = source.recent()
    await recent.get("a")
    recent.forget()
    assert await recent.get("a") == "a2"


async def test_an_answer_asked_for_before_forgetting_is_not_remembered_after_it() -> None:
    source = Source()
    recent = source.recent()
    early = asyncio.ensure_future(recent.get("a"))
    await asyncio.sleep(0)
    recent.forget()
    late = asyncio.ensure_future(recent.get("a"))
    await asyncio.sleep(0)
    source.go.set()
    assert (await early, await late) == ("a1", "a2")
    assert await recent.get("a") == "a2"


async def test_it_stays_small() -> None:
    source = Source()
    source.go.set()
    recent = source.recent()
    for number in range(10_001):
        await recent.get(str(number))
    await recent.get("0")
    assert source.calls == 10_002
