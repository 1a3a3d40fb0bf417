"""One open socket: reads, writes, and runs the operations that its protocol starts."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any

from engine.broadcasts import Broadcasts
from engine.execution import Engine
from switchboard.http.body import Receive
from switchboard.http.body import Send as ASGISend
from switchboard.http.direct import WriteNow
from switchboard.http.disconnect import settle
from switchboard.http.draining import Draining
from switchboard.http.operation import Operation
from switchboard.http.outbox import Frame, Outbox
from switchboard.http.protocol import Actions, Close, CloseCode, OpenSession, Protocol, Renew, Send, Start, Stop
from switchboard.http.session import Refused, Session, Sessions
from switchboard.http.settings import TransportSettings

log = logging.getLogger("switchboard.http")
_FAREWELL_SECONDS = 2.0


class SlowReader(Exception):
    """The client has not read for too long."""


def _cannot(frame: Frame) -> bool:
    return False


class Socket:
    """The life of one socket. It has one task, which reads; others come and go: a writer while something waits, operations that work.

    An operation that listens with others needs none. Everything else that may happen to a socket calls it.
    """

    def __init__(
        self,
        engine: Engine,
        broadcasts: Broadcasts,
        sessions: Sessions,
        settings: TransportSettings,
        *,
        headers: Mapping[str, str],
        request_id: str,
        send: ASGISend,
        write_now: WriteNow | None,
        is_known: Callable[[], None],
    ) -> None:
        """`write_now` is the server's way to write without waiting, where it has one. `is_known` is called once it has said who it is."""
        self.engine = engine
        self.broadcasts = broadcasts
        self.protocol = Protocol(max_operations=settings.ws_operations, message_bytes=settings.body_bytes)
        self.outbox = Outbox(settings.ws_queue_bytes, filled=self._start_writing, write_now=write_now or _cannot)
        self._sessions = sessions
        self._settings = settings
        self._headers: Mapping[str, str] | None = headers
        self._request_id = request_id
        self._send = send
        self._is_known = is_known
        self._session: Session | None = None
        self._operations: dict[str, Operation] = {}
        self._mutations: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._started = 0
        self._closing: Close | None = None
        self._reading: asyncio.Task[Any] | None = None

    @property
    def is_silent(self) -> bool:
        """Whether it has never said who it is."""
        return self._session is None

    async def run(self, receive: Receive, draining: Draining) -> None:
        """Until one of the two sides closes it. Everything that it started is over then."""
        self._reading = asyncio.current_task()
        self._set_timer(self._settings.ws_init_timeout_seconds, self._init_timed_out)
        with draining.telling(self._go_away):
            try:
                await self._read(receive)
            except asyncio.CancelledError:
                # Closed from our side, which ends the reading; unless somebody else cancelled this task.
                if self._closing is None or asyncio.current_task().uncancel() > 0:  # type: ignore[union-attr]  # this is one
                    raise
            finally:
                await self._end()

    # Acting

    def act(self, actions: Actions) -> None:
        """Do what the protocol asks for. Nothing here waits, so that two happenings never interleave."""
        for action in actions:
            match action:
                case Send(text):
                    self.outbox.put_now((text.encode(),))
                case Close():
                    self._close(action)
                case OpenSession(payload):
                    self.spawn(self._open_session(payload))
                case Renew(payload):
                    self.spawn(self._renew(payload))
                case Start(operation_id, request):
                    self._started += 1
                    assert self._session is not None
                    name = f"{self._request_id}.{self._started}"
                    self._operations[operation_id] = Operation(self, operation_id, request, self._session, name)
                case Stop(operation_id):
                    self._stop(self._operations.pop(operation_id), client_left=True)

    def _stop(self, operation: Operation, *, client_left: bool) -> None:
        if operation.is_mutation and not operation.task.done():
            self._mutations.add(operation.task)
            operation.task.add_done_callback(self._mutations.discard)
        operation.stop(client_left=client_left)

    def is_over(self, operation_id: str, operation: Operation) -> None:
        """An operation has said its last. The client may have completed it and used the id again."""
        if self._operations.get(operation_id) is operation:
            del self._operations[operation_id]

    def _close(self, closing: Close) -> None:
        """Nothing more is told from here on; the reading ends where it waits."""
        self._closing = closing
        self._stop_all(client_left=False)
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()

    def _stop_all(self, *, client_left: bool) -> None:
        for operation in self._operations.values():
            self._stop(operation, client_left=client_left)
        self._operations.clear()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run it as a task that ends with the socket."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        """A task that died of its own ends the socket with an error; silence would be a bug."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, SlowReader):
            seconds = f"{self._settings.ws_slow_reader_seconds:g}"
            reason = f"Reading too slowly, nothing was read for {seconds} s. Connect again"
            self.act(self.protocol.close(CloseCode.SLOW_READER, reason))
            return
        log.error("a socket failed", exc_info=error, extra={"request_id": self._request_id})
        self.act(
            self.protocol.close(CloseCode.INTERNAL_SERVER_ERROR, f"Internal server error, request {self._request_id}")
        )

    async def _end(self) -> None:
        """Stop everything, say why, and give the credential back."""
        self._reading = None
        self._stop_timer()
        self._stop_all(client_left=self._closing is None)
        tasks = self._tasks - self._mutations
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
                if closing.code is not CloseCode.SLOW_READER:
                    await self._write()
                await self._send({"type": "websocket.close", "code": int(closing.code), "reason": closing.reason})
        except (TimeoutError, OSError):
            # Nobody reads. The server closes the connection when this application returns.
            return

    # Reading and writing

    async def _read(self, receive: Receive) -> None:
        while self._closing is None:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self.protocol.disconnected()
                return
            try:
                # Who asks without reading the answers is a slow reader too.
                await self.room()
            except SlowReader as error:
                self._failed(error)
                return
            text = message.get("text")
            self.act(self.protocol.receive_bytes() if text is None else self.protocol.receive_text(text))

    async def room(self) -> None:
        """Wait until the client has read so much that more may be put. Raises `SlowReader` when that takes too long."""
        if not await self.outbox.has_room(self._settings.ws_slow_reader_seconds):
            raise SlowReader

    def _start_writing(self) -> None:
        self.spawn(self._write())

    async def _write(self) -> None:
        """Send what waits; the server waits while the client does not read."""
        while (frame := self.outbox.first()) is not None:
            try:
                await self._send({"type": "websocket.send", "text": b"".join(frame).decode()})
            except OSError:
                # The client has gone in the middle of a frame; the reader learns of it by itself.
                return
            self.outbox.written()

    # Who it is, and for how long

    def _set_timer(self, seconds: float, ring: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, ring)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _init_timed_out(self) -> None:
        self.act(self.protocol.initialisation_timed_out())

    async def _open_session(self, payload: Mapping[str, Any] | None) -> None:
        assert self._headers is not None
        headers, self._headers = self._headers, None  # of no more use, for as long as the socket lives
        try:
            session = await self._sessions.open(
                headers, payload, request_id=self._request_id, transport="websocket", last_event_id=None
            )
        except Refused as refused:
            self.act(self.protocol.session_refused(refused.message))
            return
        self._session = session
        self._is_known()
        session.watch(self._session_ended)
        self._stop_timer()
        self.act(self.protocol.session_opened())
        self._await_expiry()

    async def _renew(self, payload: Mapping[str, Any]) -> None:
        assert self._session is not None
        try:
            was_renewed = await self._session.renew(payload)
        except Refused:
            # The present credential stays good for as long as it was.
            was_renewed = False
        if was_renewed:
            self._await_expiry()
        self.act(self.protocol.renewed(was_renewed))

    def _session_ended(self, error: Exception | None) -> None:
        if error is not None:
            self._failed(error)
            return
        self.act(self.protocol.close(CloseCode.FORBIDDEN, "Forbidden: the credential is no longer valid"))

    def _await_expiry(self) -> None:
        """Close shortly before the credential expires, unless a `ping` brings a newer one meanwhile."""
        assert self._session is not None
        if self._session.expires_at is None:
            self._stop_timer()
            return
        left = (self._session.expires_at - datetime.now(UTC)).total_seconds()
        left -= self._settings.ws_expiry_margin_seconds
        if left > 0:
            self._set_timer(left, self._await_expiry)
            return
        reason = "The credential expires. Connect again with a new one, or send it as payload of a ping in time"
        self.act(self.protocol.close(CloseCode.CREDENTIAL_EXPIRING, reason))

    def _go_away(self) -> None:
        self.act(self.protocol.close(CloseCode.GOING_AWAY, "The gateway goes away, connect again"))
