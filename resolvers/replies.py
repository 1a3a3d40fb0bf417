"""Replies that are being written: one task follows each to its end, whoever listens, and outlives the request that began it.

        started ──words──▶ STREAMING ──words──▶ … ──final──▶ COMPLETE | FAILED | CANCELLED
                                  └─ follower lost (error, shutdown) ─▶ row stays STREAMING, settled by the next start or read

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
        """Let followers finish for at most `seconds`, then cancel the rest; their rows are settled by the next start."""
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


def utf16_length(text: str) -> int:
    """The length of a text as JavaScript counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def common_prefix(old: str, new: str) -> int:
    """How many characters (code points) both texts begin with: where a delta starts. Never inside a code point, so never inside a surrogate pair."""
    if new.startswith(old):
        return len(old)
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old[:middle] == new[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
