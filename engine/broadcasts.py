"""All broadcasts of a process: who asks the same, and may be told the same, shares one."""

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass

from engine.broadcast import Broadcast
from engine.execution import Execution
from engine.sharing import Audiences, Receiver, Shareable


@dataclass(frozen=True, slots=True)
class _Key:
    operation: Hashable
    audience: Hashable


class Broadcasts:
    """`subscriptions` counts all that run, those included that are told something for themselves at the moment."""

    def __init__(self, audiences: Audiences) -> None:
        self.audiences = audiences
        self.subscriptions = 0
        self._running: dict[_Key, Broadcast] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun = 0

    def __len__(self) -> int:
        return len(self._running)

    async def join(self, receiver: Receiver, source: Shareable, execution: Execution) -> Broadcast | None:
        """The broadcast that the receiver listens to now, from its position on. None: it has to catch up further by itself."""
        audience = await self._audience(receiver, execution)
        key = _Key(execution.key, audience)
        broadcast = self._running.get(key) or self._begin(key, receiver.position, source, execution)
        if broadcast.join(receiver):
            return broadcast
        if not len(broadcast):
            broadcast.end()
        return None

    async def aclose(self) -> None:
        """End all, and wait until they have ended."""
        for broadcast in tuple(self._running.values()):
            broadcast.end()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _audience(self, receiver: Receiver, execution: Execution) -> Hashable:
        """Where the receiver belongs at the moment that this returns."""
        while True:
            epoch = await self.audiences.epoch(receiver.context())
            audience = await self.audiences.of(receiver.context(), is_viewers_own=execution.is_viewers_own)
            if epoch == await self.audiences.epoch(receiver.context()):
                return audience

    def _begin(self, key: _Key, position: int, source: Shareable, execution: Execution) -> Broadcast:
        self._begun += 1
        broadcast = Broadcast(
            source,
            execution,
            key.audience,
            position,
            audiences=self.audiences,
            name=f"broadcast-{self._begun}",
            ended=lambda: self._ended(key),
        )
        self._running[key] = broadcast
        self._tasks.add(broadcast.task)
        broadcast.task.add_done_callback(self._tasks.discard)
        return broadcast

    def _ended(self, key: _Key) -> None:
        del self._running[key]
