"""One operation of one socket, from `subscribe` to its end."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from graphql import OperationType

from engine.broadcasts import Broadcasts
from engine.execution import Engine
from engine.plans import PlanRefused
from engine.requests import OperationRequest, Response
from engine.sharing import Rendered
from switchboard.http.outbox import Outbox
from switchboard.http.protocol import Actions
from switchboard.http.protocol import Protocol as SocketProtocol
from switchboard.http.session import Session
from switchboard.http.subscriber import Subscriber


class Host(Protocol):
    """The socket, as its operations know it."""

    engine: Engine
    broadcasts: Broadcasts
    outbox: Outbox
    protocol: SocketProtocol

    def act(self, actions: Actions) -> None:
        """Do what the protocol asks for."""

    async def room(self) -> None:
        """Wait until the client has read so much that more may be put. Raises when that takes too long."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run it as a task that ends with the socket."""

    def is_over(self, operation_id: str, operation: "Operation") -> None:
        """It has said its last; its id may be used again."""


class Operation:
    """Runs by itself: in a task, or without one while it listens with others. Its id is taken until it is over."""

    __slots__ = ("_client_left", "_head", "_host", "_id", "_is_over", "_put", "_subscriber", "is_mutation", "task")

    def __init__(self, host: Host, operation_id: str, request: OperationRequest, session: Session, name: str) -> None:
        """`name` is its request id."""
        self._host = host
        self._id = operation_id
        self._head = b""
        self._put = host.outbox.put
        self._subscriber: Subscriber | None = None
        self._is_over = False
        self._client_left = asyncio.Event()
        self.is_mutation = False
        self.task: asyncio.Task[None] = host.spawn(self._run(request, session, name))

    def stop(self, *, client_left: bool) -> None:
        """End it, unheard. A mutation runs to its end: half of a write helps nobody; it learns that its client wants it no more."""
        self._is_over = True
        if self._subscriber is not None:
            self._subscriber.stop()
        if self.is_mutation and client_left:
            self._client_left.set()
        if not self.is_mutation:
            self.task.cancel()

    # As the outlet of a subscription

    def take(self, rendered: Rendered) -> bool:
        """Send one response."""
        return self._put((self._head, rendered.json, b"}"))

    async def room(self) -> None:
        """Wait for the reader of the socket."""
        await self._host.room()

    def failed(self, response: Response) -> None:
        """The last message of its id is an error."""
        self._end(self._host.protocol.operation_failed(self._id, response.body["errors"]))

    def completed(self) -> None:
        """The last message of its id says so."""
        self._end(self._host.protocol.operation_completed(self._id))

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task of the socket."""
        return self._host.spawn(work)

    def _end(self, actions: Actions) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._subscriber is not None:
            self._subscriber.stop()
        self._host.is_over(self._id, self)
        self._host.act(actions)

    # Running

    async def _run(self, request: OperationRequest, session: Session, name: str) -> None:
        engine, context = self._host.engine, session.context(request_id=name, client_left=self._client_left)
        self._head = self._host.protocol.head_of_next(self._id)
        try:
            plan = engine.plan(request)
        except PlanRefused as refused:
            self.failed(engine.refusal(refused.errors, context))
            return
        if plan.kind is not OperationType.SUBSCRIPTION:
            self.is_mutation = plan.kind is OperationType.MUTATION
            await self._answer(await engine.execute(request, context, plan))
            return
        started = await engine.subscribe(request, context, plan, event_context=lambda: session.context(request_id=name))
        if isinstance(started, Response):
            self.failed(started)
            return
        self._subscriber = Subscriber(session, name, self, self._host.broadcasts)
        await self._subscriber.run(started)

    async def _answer(self, response: Response) -> None:
        """The only response of a query or mutation. A request error is an `error` message."""
        if self._is_over:
            return
        await self._host.room()
        if self._is_over:  # completed while it waited
            return
        if response.is_request_error:
            self.failed(response)
            return
        self._host.outbox.put_now((self._head, response.json, b"}"))
        self.completed()
