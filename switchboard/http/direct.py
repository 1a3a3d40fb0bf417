"""uvicorn's WebSocket connection with a way to write a message at once, without a coroutine: what goes to a thousand sockets
costs more for the way through ASGI than for the socket. Hand the class to `uvicorn.Config(ws=DirectWebSocket)`.

An application finds `write_now` in its scope (`writer_of`), and uses ASGI's `send` where it is not there.
"""

from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from switchboard.http.outbox import Frame

WriteNow = Callable[[Frame], bool]
EXTENSION = "switchboard.write_now"

# RFC 6455 section 5.2: FIN and opcode 1 (text), then the length in one of three widths. A server does not mask.
_TEXT = 0x81
_SHORT, _MEDIUM, _LONG = Struct("!BB"), Struct("!BBH"), Struct("!BBQ")


class DirectWebSocket(WebSocketsSansIOProtocol):
    """One socket. Messages that it writes at once are not compressed, whatever was agreed on (RFC 7692 section 6 leaves that open)."""

    is_paused = False

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: dict[str, Any] = self.scope["extensions"]  # ASGI lets a server add some
            extensions[EXTENSION] = self.write_now

    def write_now(self, frame: Frame) -> bool:
        """Write one text message. False: the client does not read, so that it would have to wait; `send` waits.

        What is written to a client that has gone is lost, as anything would be; the application hears of that by `receive`.
        """
        if self.is_paused:
            return False
        if not (self.close_sent or self.disconnected or self.transport.is_closing()):
            text = b"".join(frame)
            self.transport.write(_head(len(text)) + text)
        return True

    def pause_writing(self) -> None:
        self.is_paused = True
        super().pause_writing()

    def resume_writing(self) -> None:
        self.is_paused = False
        super().resume_writing()


def writer_of(scope: Mapping[str, Any]) -> WriteNow | None:
    """How to write to this socket at once; None where the server has no such way."""
    found: WriteNow | None = scope.get("extensions", {}).get(EXTENSION)
    return found


def _head(size: int) -> bytes:
    if size < 126:
        return _SHORT.pack(_TEXT, size)
    if size < 65536:
        return _MEDIUM.pack(_TEXT, 126, size)
    return _LONG.pack(_TEXT, 127, size)
