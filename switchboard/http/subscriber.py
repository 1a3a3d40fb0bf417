"""One subscription on its way to one client, whatever the protocol.

    told for itself ──level with the others──▶ listening with others ──no room, or another audience──▶ told for itself
    (a task: what it missed, each event                (no task: a broadcast hands
     executed for it alone)                              it what it renders)

A source that cannot be shared is told for itself to its end.
"""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Hashable
from contextlib import aclosing
from typing import Any, Protocol

from engine.broadcast import Broadcast
from engine.broadcasts import Broadcasts
from engine.execution import Execution, Subscription
from engine.requests import Response
from engine.sharing import Rendered, Shareable
from switchboard.http.session import Session


class Outlet(Protocol):
    """Where the responses go. `failed` and `completed` are the last that it hears."""

    def take(self, rendered: Rendered) -> bool:
        """Send one response. False: the client does not read, and there is no room to keep it."""

    async def room(self) -> None:
        """Wait for room. Raises when that takes too long."""

    def failed(self, response: Response) -> None:
        """The subscription is over with an error."""

    def completed(self) -> None:
        """The subscription is over."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run it as a task that ends with the client."""


class Subscriber:
    """A receiver of broadcasts. `run` it in a task, which ends when others listen with it; `stop` it when the client has gone."""

    __slots__ = (
        "_broadcast",
        "_broadcasts",
        "_execution",
        "_outlet",
        "_request_id",
        "_session",
        "_source",
        "_stopped",
        "_task",
        "address",
        "position",
        "since",
        "take",
    )

    def __init__(self, session: Session, request_id: str, outlet: Outlet, broadcasts: Broadcasts) -> None:
        self.position = 0
        self.since = 0
        self.address: Hashable = session.address
        self.take = outlet.take
        self._session = session
        self._request_id = request_id
        self._outlet = outlet
        self._broadcasts = broadcasts
        self._broadcast: Broadcast | None = None
        self._source: Shareable | None = None
        self._execution: Execution | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        broadcasts.subscriptions += 1

    def context(self) -> Any:
        """A fresh context of its own."""
        return self._session.context(request_id=self._request_id)

    async def run(self, started: Subscription) -> None:
        """Tell it what is for itself, until it listens with others or is over."""
        if not isinstance(started.source, Shareable):
            await self._tell_all(started)
            return
        self._source, self._execution = started.source, started.execution
        if await self._hear(started.execution, started.source.replay(self.context())):
            await self._join()

    def stop(self) -> None:
        """It hears nothing more. May be called more than once."""
        if self._stopped:
            return
        self._stopped = True
        self._broadcasts.subscriptions -= 1
        if self._broadcast is not None:
            self._broadcast.leave(self)
            self._broadcast = None
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    # As a receiver

    def fell_out(self) -> None:
        """Go on alone from where it stands."""
        self._broadcast = None
        self._task = self._outlet.spawn(self._join(is_behind=True))

    def broke(self, response: Response) -> None:
        """The shared stream broke."""
        self._broadcast = None
        self._outlet.failed(response)

    # Alone

    async def _tell_all(self, started: Subscription) -> None:
        try:
            async for delivery in started:
                if delivery.ends:
                    self._outlet.failed(delivery.response)
                    return
                await self._put(Rendered(delivery.response.json, delivery.event))
            self._outlet.completed()
        finally:
            await started.aclose()

    async def _join(self, *, is_behind: bool = False) -> None:
        """Listen with others as soon as it stands where they do."""
        source, execution = self._source, self._execution
        assert source is not None
        assert execution is not None
        while True:
            if is_behind:
                await self._outlet.room()
                if not await self._hear(execution, source.catch_up(self.context(), self.position)):
                    return
            broadcast = await self._broadcasts.join(self, source, execution)
            if broadcast is not None:
                # What they share serves for all of them: its own is not kept.
                self._broadcast, self._source, self._execution = broadcast, broadcast.source, broadcast.execution
                self._task = None
                return
            is_behind = True

    async def _hear(self, execution: Execution, steps: AsyncGenerator[tuple[int, Any], None]) -> bool:
        """Tell what comes for it alone. False: it broke, which was the last to tell."""
        async with aclosing(steps):
            while True:
                try:
                    step = await anext(steps, None)
                except Exception as error:
                    self._outlet.failed(execution.broken(error, self.context()))
                    return False
                if step is None:
                    return True
                self.position, event = step
                if event is not None:
                    await self._put(await self._rendered(execution, event))

    async def _rendered(self, execution: Execution, event: Any) -> Rendered:
        """The response as this one may see it at the moment that it is sent."""
        audiences = self._broadcasts.audiences
        while True:
            await self._outlet.room()
            epoch = await audiences.epoch(self.context())
            response = await execution.response(event, self.context())
            if epoch == await audiences.epoch(self.context()):
                return Rendered(response.json, event)

    async def _put(self, rendered: Rendered) -> None:
        while not self._outlet.take(rendered):
            await self._outlet.room()
