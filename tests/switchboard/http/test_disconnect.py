"""Ending an operation whose client has left."""

import asyncio
from typing import Any

import pytest

from switchboard.http.body import ClientGone
from switchboard.http.disconnect import settle, until_gone

pytestmark = pytest.mark.anyio


def a_receive(left: asyncio.Event) -> Any:
    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    return receive


async def test_result_is_given_though_the_client_stays() -> None:
    async def operation() -> str:
        return "done"

    assert await until_gone(operation(), a_receive(asyncio.Event()), after_seconds=0) == "done"


async def test_client_that_leaves_cancels_the_operation() -> None:
    left, cancelled = asyncio.Event(), asyncio.Event()

    async def operation() -> None:
        left.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(ClientGone):
        await until_gone(operation(), a_receive(left), after_seconds=0)
    assert cancelled.is_set()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_client_that_leaves_as_the_operation_ends_is_gone_too() -> None:
    """The cancellation then meets the cleaning up; it must not end the server's task as if the server were cancelled."""
    left, ending = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        await left.wait()
        ending.set()
        return {"type": "http.disconnect"}

    async def operation() -> None:
        await asyncio.sleep(0.01)  # the watcher is started by a timer
        left.set()
        await ending.wait()

    with pytest.raises(ClientGone):
        await until_gone(operation(), receive, after_seconds=0)


async def test_cancellation_from_elsewhere_stays_one() -> None:
    started = asyncio.Event()

    async def operation() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(until_gone(operation(), a_receive(asyncio.Event()), after_seconds=0))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_operation_that_must_end_is_not_watched() -> None:
    async def operation() -> str:
        await asyncio.sleep(0)
        return "done"

    left = asyncio.Event()
    left.set()
    assert await until_gone(operation(), a_receive(left), after_seconds=None) == "done"


async def test_settling_swallows_what_a_task_ended_with() -> None:
    async def broken() -> None:
        raise RuntimeError("x")

    task = asyncio.create_task(broken())
    await settle(task)
    assert task.done()
