"""One open socket: reads, writes, and runs the operations that its protocol starts."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

from graphql import OperationType

from engine.execution import Engine
from engine.plans import Plan, PlanRefused
from engine.requests import OperationRequest, Response
from switchboard.http.body import Receive
from switchboard.http.body import Send as ASGISend
from switchboard.http.disconnect import settle
from switchboard.http.draining import Draining
from switchboard.http.outbox import Outbox
from switchboard.http.protocol import Actions, Close, CloseCode, OpenSession, Protocol, Renew, Send, Start, State, Stop
from switchboard.http.session import Refused, Session, Sessions
from switchboard.http.settings import TransportSettings

log = logging.getLogger("switchboard.http")
_FAREWELL_SECONDS = 2.0


class SlowReader(Exception):
    """The client has not read for too long."""


class Socket:
    """The life of one socket. Its tasks: a reader (this one), a writer, one per operation, and those that watch for its end."""

    def __init__(
        self,
        engine: Engine,
        sessions: Sessions,
        settings: TransportSettings,
        *,
        headers: Mapping[str, str],
        request_id: str,
        send: ASGISend,
    ) -> None:
        self._engine = engine
        self._sessions = sessions
        self._settings = settings
        self._headers = headers
        self._request_id = request_id
        self._send = send
        self._protocol = Protocol(max_operations=settings.ws_operations, message_bytes=settings.body_bytes)
        self._outbox = Outbox(settings.ws_queue_bytes)
        self._session: Session | None = None
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._mutations: dict[asyncio.Task[None], asyncio.Event] = {}
        """Each with what tells it that nobody hears it any more."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewal = asyncio.Event()
        self._started = 0
        self._closing: Close | None = None
        self._over = asyncio.Event()

    @property
    def is_silent(self) -> bool:
        """Whether it has not said yet who it is."""
        return self._protocol.state in (State.WAITING, State.INITIALISING)

    async def run(self, receive: Receive, draining: Draining) -> None:
        """Until one of the two sides closes it. Everything that it started is over then."""
        self._spawn(self._read(receive))
        self._spawn(self._write())
        self._spawn(self._await_init())
        self._spawn(self._await_draining(draining))
        try:
            await self._over.wait()
        finally:
            await self._end()

    # Acting

    def _act(self, actions: Actions) -> None:
        """Do what the protocol asks for. Nothing here waits, so that two happenings never interleave."""
        for action in actions:
            match action:
                case Send(text):
                    self._outbox.put_now(text)
                case Close():
                    self._closing = action
                    self._over.set()
                case OpenSession(payload):
                    self._spawn(self._open_session(payload))
                case Renew(payload):
                    self._spawn(self._renew(payload))
                case Start(operation_id, request):
                    self._operations[operation_id] = self._spawn(self._operate(operation_id, request))
                case Stop(operation_id):
                    self._stop(self._operations.pop(operation_id))

    def _stop(self, task: asyncio.Task[None]) -> None:
        """A mutation runs to its end, unheard: half of a write helps nobody."""
        if task in self._mutations:
            self._mutations[task].set()
        else:
            task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        """A task that died of its own ends the socket with an error; silence would be a bug."""
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, SlowReader):
            reason = (
                f"Reading too slowly, nothing was read for {self._settings.ws_slow_reader_seconds:g} s. Connect again"
            )
            self._act(self._protocol.close(CloseCode.SLOW_READER, reason))
            return
        log.error("a socket failed", exc_info=error, extra={"request_id": self._request_id})
        self._act(
            self._protocol.close(CloseCode.INTERNAL_SERVER_ERROR, f"Internal server error, request {self._request_id}")
        )

    async def _end(self) -> None:
        """Stop everything, say why, and give the credential back."""
        tasks = self._tasks - self._mutations.keys()
        for task in tasks:
            task.cancel()
        for task in tasks:
            await settle(task)
        try:
            if self._closing is not None:
                await self._say_farewell(self._closing)
            for task in set(self._mutations):
                await settle(task)
        finally:
            if self._session is not None:
                await self._session.close()

    async def _say_farewell(self, closing: Close) -> None:
        """What still waits belongs to operations that are over, but for answers that came before the close; they go first."""
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS):
                while self._outbox.waiting_bytes and closing.code is not CloseCode.SLOW_READER:
                    await self._send({"type": "websocket.send", "text": await self._outbox.first()})
                    self._outbox.written()
                await self._send({"type": "websocket.close", "code": int(closing.code), "reason": closing.reason})
        except (TimeoutError, OSError):
            # Nobody reads. The server closes the connection when this application returns.
            return

    # Reading and writing

    async def _read(self, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self._protocol.disconnected()
                for left in self._mutations.values():
                    left.set()
                self._over.set()
                return
            # Who asks without reading the answers is a slow reader too.
            await self._room()
            text = message.get("text")
            self._act(self._protocol.receive_bytes() if text is None else self._protocol.receive_text(text))

    async def _write(self) -> None:
        while True:
            frame = await self._outbox.first()
            try:
                await self._send({"type": "websocket.send", "text": frame})
            except OSError:
                # The client has gone in the middle of a frame; the reader learns of it by itself.
                return
            self._outbox.written()

    # Who it is, and for how long

    async def _open_session(self, payload: Mapping[str, Any] | None) -> None:
        try:
            session = await self._sessions.open(
                self._headers, payload, request_id=self._request_id, transport="websocket", last_event_id=None
            )
        except Refused as refused:
            self._act(self._protocol.session_refused(refused.message))
            return
        self._session = session
        self._act(self._protocol.session_opened())
        self._spawn(self._await_end_of(session))
        self._spawn(self._await_expiry_of(session))

    async def _renew(self, payload: Mapping[str, Any]) -> None:
        assert self._session is not None
        try:
            was_renewed = await self._session.renew(payload)
        except Refused:
            # The present credential stays good for as long as it was.
            was_renewed = False
        if was_renewed:
            self._renewal.set()
        self._act(self._protocol.renewed(was_renewed))

    async def _await_init(self) -> None:
        await asyncio.sleep(self._settings.ws_init_timeout_seconds)
        self._act(self._protocol.initialisation_timed_out())

    async def _await_end_of(self, session: Session) -> None:
        await session.ended()
        self._act(self._protocol.close(CloseCode.FORBIDDEN, "Forbidden: the credential is no longer valid"))

    async def _await_expiry_of(self, session: Session) -> None:
        """Close shortly before the credential expires, unless a `ping` brings a newer one meanwhile."""
        while True:
            self._renewal.clear()
            try:
                async with asyncio.timeout(self._seconds_left(session)):
                    await self._renewal.wait()
            except TimeoutError:
                break
        reason = "The credential expires. Connect again with a new one, or send it as payload of a ping in time"
        self._act(self._protocol.close(CloseCode.CREDENTIAL_EXPIRING, reason))

    def _seconds_left(self, session: Session) -> float | None:
        if session.expires_at is None:
            return None
        left = (session.expires_at - datetime.now(UTC)).total_seconds() - self._settings.ws_expiry_margin_seconds
        return max(0.0, left)

    async def _await_draining(self, draining: Draining) -> None:
        await draining.wait()
        self._act(self._protocol.close(CloseCode.GOING_AWAY, "The gateway goes away, connect again"))

    # Operations

    async def _operate(self, operation_id: str, request: OperationRequest) -> None:
        """Run one operation to its end. Its task is known by its id until then."""
        try:
            await self._run(operation_id, request)
        finally:
            if self._is_current(operation_id):
                del self._operations[operation_id]

    async def _run(self, operation_id: str, request: OperationRequest) -> None:
        session = self._session
        assert session is not None
        self._started += 1
        request_id = f"{self._request_id}.{self._started}"
        client_left = asyncio.Event()
        context = session.context(request_id=request_id, client_left=client_left)
        try:
            plan = self._engine.plan(request)
        except PlanRefused as refused:
            self._fail(operation_id, self._engine.refusal(refused.errors, context))
            return
        if plan.kind is not OperationType.SUBSCRIPTION:
            await self._run_once(operation_id, request, context, plan, client_left)
            return
        started = await self._engine.subscribe(
            request, context, plan, event_context=lambda: session.context(request_id=request_id)
        )
        if isinstance(started, Response):
            self._fail(operation_id, started)
            return
        try:
            async for delivery in started:
                if delivery.ends or not await self._next(operation_id, delivery.response):
                    self._fail(operation_id, delivery.response)
                    return
            self._act(self._protocol.operation_completed(operation_id))
        finally:
            await started.aclose()

    async def _run_once(
        self, operation_id: str, request: OperationRequest, context: Any, plan: Plan, client_left: asyncio.Event
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        if plan.kind is OperationType.MUTATION:
            self._mutations[task] = client_left
            task.add_done_callback(lambda ended: self._mutations.pop(ended, None))
        response = await self._engine.execute(request, context, plan)
        if self._is_current(operation_id) and await self._next(operation_id, response):
            self._act(self._protocol.operation_completed(operation_id))

    def _is_current(self, operation_id: str) -> bool:
        """Whether the running task is the operation of that id; the client may have completed it and used the id again."""
        return self._operations.get(operation_id) is asyncio.current_task()

    async def _room(self) -> None:
        if not await self._outbox.has_room(self._settings.ws_slow_reader_seconds):
            raise SlowReader

    async def _next(self, operation_id: str, response: Response) -> bool:
        """Put one response into the outbox, waiting for room. False: it was a request error, which is an `error` message."""
        await self._room()
        if response.is_request_error:
            self._fail(operation_id, response)
            return False
        self._act(self._protocol.operation_next(operation_id, response.json))
        return True

    def _fail(self, operation_id: str, response: Response) -> None:
        self._act(self._protocol.operation_failed(operation_id, response.body["errors"]))
