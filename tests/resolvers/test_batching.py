"""Fields below a list are resolved for all parents at once."""

import asyncio
from collections.abc import Sequence

import pytest

from resolvers.batching import Batches

pytestmark = pytest.mark.anyio


class Calls:
    """Remembers how it was asked."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []

    async def doubled(self, context: str, keys: Sequence[int]) -> list[int | BaseException]:
        self.seen.append(list(keys))
        return [ValueError("odd one") if key == 13 else key * 2 for key in keys]


async def test_keys_of_one_turn_go_to_one_call() -> None:
    calls = Calls()
    batches = Batches("context")
    load = calls.doubled
    assert await asyncio.gather(*(batches.load(load, key) for key in (1, 2, 1, 3))) == [2, 4, 2, 6]
    assert calls.seen == [[1, 2, 3]]


async def test_failure_of_one_key_costs_that_key_alone() -> None:
    calls = Calls()
    batches = Batches("context")
    load = calls.doubled
    good, bad = await asyncio.gather(batches.load(load, 1), batches.load(load, 13), return_exceptions=True)
    assert good == 2
    assert isinstance(bad, ValueError)


async def test_failure_of_the_call_reaches_every_key() -> None:
    async def broken(context: str, keys: Sequence[int]) -> list[int]:
        raise RuntimeError("no answer")

    batches = Batches("context")
    results = await asyncio.gather(batches.load(broken, 1), batches.load(broken, 2), return_exceptions=True)
    assert [str(result) for result in results] == ["no answer", "no answer"]


async def test_what_was_read_before_a_write_is_read_again() -> None:
    calls = Calls()
    batches = Batches("context")
    load = calls.doubled
    await batches.load(load, 1)
    batches.forget()
    await batches.load(load, 1)
    assert calls.seen == [[1], [1]]


async def test_known_value_is_not_asked_for() -> None:
    calls = Calls()
    batches = Batches("context")
    load = calls.doubled
    batches.know(load, 1, 99)
    assert await batches.load(load, 1) == 99
    assert calls.seen == []
