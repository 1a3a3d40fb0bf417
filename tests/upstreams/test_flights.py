"""Equal questions at the same time are asked once, and nobody suffers from another's leaving."""

import asyncio

import pytest

from upstreams.flights import SingleFlight

pytestmark = pytest.mark.anyio


class Work:
    """Something that runs until it is released, and counts how often it began and was cancelled."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.release = asyncio.Event()
        self.entered = asyncio.Event()

    async def __call__(self) -> str:
        self.begun += 1
        self.entered.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "done"


async def test_equal_questions_share_one_run() -> None:
    flights: SingleFlight[str] = SingleFlight()
    work = Work()
    tasks = [asyncio.create_task(flights.run("k", work)) for _ in range(5)]
    await work.entered.wait()
    work.release.set()
    assert await asyncio.gather(*tasks) == ["done"] * 5
    assert work.begun == 1
    assert len(flights) == 0


async def test_later_question_is_asked_anew() -> None:
    flights: SingleFlight[str] = SingleFlight()
    work = Work()
    work.release.set()
    await flights.run("k", work)
    await flights.run("k", work)
    assert work.begun == 2


async def test_one_waiter_leaving_does_not_end_the_run() -> None:
    flights: SingleFlight[str] = SingleFlight()
    work = Work()
    leaving, staying = (asyncio.create_task(flights.run("k", work)) for _ in range(2))
    await work.entered.wait()
    leaving.cancel()
    await asyncio.wait([leaving])
    work.release.set()
    assert await staying == "done"
    assert work.cancelled == 0


async def test_last_waiter_leaving_ends_the_run() -> None:
    flights: SingleFlight[str] = SingleFlight()
    work = Work()
    tasks = [asyncio.create_task(flights.run("k", work)) for _ in range(2)]
    await work.entered.wait()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await asyncio.sleep(0)
    assert work.cancelled == 1
    assert len(flights) == 0


async def test_failure_reaches_all_who_wait() -> None:
    flights: SingleFlight[str] = SingleFlight()

    async def fail() -> str:
        raise ValueError("no")

    results = await asyncio.gather(*(flights.run("k", fail) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError] * 3
