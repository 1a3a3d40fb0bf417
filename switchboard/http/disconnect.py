"""Ends an operation whose client has left, so that nothing more is asked upstream for nobody; or tells one that must not be ended."""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from switchboard.http.body import ClientGone, Receive

T = TypeVar("T")


async def until_gone(running: Coroutine[Any, Any, T], receive: Receive, *, after_seconds: float | None) -> T:
    """The result of `running`. Raises `ClientGone`, and cancels it, when the client leaves.

    Most operations are over in a few milliseconds, so watching begins after `after_seconds` only: a timer costs a
    twentieth of a task. None: it runs to its end, whoever listens.
    """
    if after_seconds is None:
        return await running
    loop = asyncio.get_running_loop()
    operation = asyncio.current_task()
    assert operation is not None
    watchers: list[asyncio.Task[None]] = []
    gone = False

    async def watch() -> None:
        nonlocal gone
        await wait_for_disconnect(receive)
        gone = True
        operation.cancel()

    timer = loop.call_later(after_seconds, lambda: watchers.append(loop.create_task(watch())))
    try:
        try:
            return await running
        finally:
            timer.cancel()
            for watcher in watchers:
                watcher.cancel()
                await settle(watcher)
    except asyncio.CancelledError:
        # Also when the client left at the very moment that the operation ended, and the cancellation met the `finally`.
        if gone and operation.uncancel() == 0:
            raise ClientGone from None
        raise


async def to_its_end(
    running: Coroutine[Any, Any, T], receive: Receive, left: asyncio.Event, *, after_seconds: float
) -> T:
    """The result of `running`, which goes on when the client leaves: `left` is set then. Watching begins after `after_seconds`."""
    watchers: list[asyncio.Task[None]] = []

    async def watch() -> None:
        await wait_for_disconnect(receive)
        left.set()

    loop = asyncio.get_running_loop()
    timer = loop.call_later(after_seconds, lambda: watchers.append(loop.create_task(watch())))
    try:
        return await running
    finally:
        timer.cancel()
        for watcher in watchers:
            watcher.cancel()
            await settle(watcher)


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has closed the connection. The body has been read already."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def settle(task: Awaitable[Any]) -> None:
    """Wait until a task that was cancelled has ended, whatever it ended with; a cancellation of the waiter still counts."""
    if isinstance(task, asyncio.Task):
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
