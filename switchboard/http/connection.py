"""uvicorn's HTTP connection with the two bounds that it lacks: how large the head of a request may be, and how long it may take.

Without them one client makes the process hold as many megabytes of headers as it likes, and idle connections that never
ask stay open for ever. Hand the class to `uvicorn.Config(http=GuardedConnection)`.
"""

import asyncio
from asyncio import TimerHandle
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from domain.errors import ErrorCode
from switchboard.http.headers import request_id_of
from switchboard.http.problem import error_body

_LINGER_SECONDS = 1.0


class GuardedConnection(HttpToolsProtocol):
    """One connection. The bounds hold for each request on it, and cost nothing once its head has come in one piece."""

    head_bytes: ClassVar[int] = 64 * 1024
    """Largest request line with headers; what comes in one read with their end is not counted exactly."""
    head_timeout_seconds: ClassVar[float] = 10.0
    """How long after the connection, or after its first byte, the head of a request may take."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_is_open = False
        self._head_size = 0
        self._head_timer: TimerHandle | None = None
        self._is_refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        super().data_received(data)
        if not self._head_is_open or self.transport.is_closing():
            return
        self._head_size += len(data)
        if self._head_size > self.head_bytes:
            self._refuse(b"431 Request Header Fields Too Large", self._too_large(), figure=self._head_size)
        elif self._head_timer is None:
            self._start_timer()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_is_open = True
        self._head_size = 0

    def on_headers_complete(self) -> None:
        self._head_is_open = False
        self._stop_timer()
        super().on_headers_complete()

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.head_timeout_seconds, self._timed_out)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _timed_out(self) -> None:
        self._head_timer = None
        if not self._head_is_open:
            # Nothing was ever asked, so nothing is answered.
            self.transport.close()
            return
        seconds = f"{self.head_timeout_seconds:g}"
        message = f"Reading the headers: they were not complete after {seconds} seconds. Send the request at once."
        self._refuse(b"408 Request Timeout", message)

    def _too_large(self) -> str:
        return f"Reading the headers: they have more than {self.head_bytes} bytes. Send fewer, or use POST for a long query."

    def _refuse(self, status: bytes, message: str, *, figure: int | None = None) -> None:
        """Answer by hand, as uvicorn does where no request has come about; then close."""
        self._stop_timer()
        request_id = request_id_of({})
        bounds = {} if figure is None else {"limit": self.head_bytes, "figure": figure}
        body = error_body(message, ErrorCode.LIMIT_EXCEEDED, request_id, bounds)
        head = (
            b"HTTP/1.1 %b\r\ncontent-type: application/json; charset=utf-8\r\nx-request-id: %b\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n" % (status, request_id.encode(), len(body))
        )
        self.transport.write(head + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        # What still comes is thrown away for a moment: closing with unread data would reset the client before it has read.
        self._is_refused = True
        self._head_timer = self.loop.call_later(_LINGER_SECONDS, self.transport.close)
