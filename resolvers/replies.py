"""Replies that are being written: one task follows each to its end, whoever listens, and outlives the request that began it.

        started ──words──▶ STREAMING ──words──▶ … ──final──▶ COMPLETE | FAILED | CANCELLED
                                  └─ follower lost (error, shutdown) ─▶ row stays STREAMING, and is looked after (`resolvers.supervising`)

Words go to the feed at once; the text so far is saved at most every 250 ms or 4 KB, without an event; the final text is
observed like any reading, which logs `MESSAGE_UPDATED`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from domain.records import Message

ReplyKey = tuple[int, str, str]
"""(source id, chat native id, public message id)."""


@dataclass(slots=True)
class Following:
    """A reply that is being followed in this process."""

    key: ReplyKey
    task: asyncio.Task[None]
    finished: asyncio.Event
    latest: Message | None = None
    waiting: int = 0
    """How many requests wait for its end."""


class Replies:
    """The followers of this process."""

    def __init__(self) -> None:
        self._following: dict[ReplyKey, Following] = {}
        self._closing = False

    def follow(self, key: ReplyKey, run: Callable[[Following], Coroutine[Any, Any, None]]) -> Following:
        """Run `run` as the follower of `key`; one that runs already is kept."""
        if key in self._following:
            return self._following[key]
        holder: list[Following] = []

        async def guarded() -> None:
            following = holder[0]
            try:
                await run(following)
            finally:
                following.finished.set()
                self._following.pop(key, None)

        following = Following(key, asyncio.create_task(guarded()), asyncio.Event())
        holder.append(following)
        self._following[key] = following
        return following

    def get(self, key: ReplyKey) -> Following | None:
        """The follower of a reply, None when this process has none."""
        return self._following.get(key)

    def __len__(self) -> int:
        return len(self._following)

    async def drain(self, seconds: float) -> None:
        """Let followers finish for at most `seconds`, then cancel the rest; another process, or the next start, looks after their rows."""
        tasks = [following.task for following in self._following.values()]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        for task in late:
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def wait_until(done: Awaitable[Any], seconds: float) -> bool:
    """Wait for `done` at most `seconds`; whether it came."""
    try:
        await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(done)), seconds)
    except TimeoutError:
        return False
    return True
