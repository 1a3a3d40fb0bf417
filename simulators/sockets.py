"""WebSockets at a simulator: the book of calls tells of them, and faults hit them.

A handshake is one call, named after its route: a fault's `status` and `body` refuse it, `drop: "before"` closes the
connection unanswered, any other `drop` and `close_code` end the socket right after it was opened. Each frame that asks
for something is a call too; what a fault does to it is the vendor's module's to say.
"""

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulators.calls import Call, Calls
from simulators.connection import drop, left_within, transport_of
from simulators.faults import Fault, Faults

_KEY = "simulators.frames"


class Frames:
    """Where the frames of one socket are written down, and where their faults come from."""

    def __init__(self, calls: Calls, faults: Faults, scope: Scope, clock: Callable[[], float]) -> None:
        self._calls, self._faults, self.scope, self._clock = calls, faults, scope, clock

    def begin(self, operation: str, raw: str | None) -> tuple[Call, Fault]:
        """One more call: a frame's text, or None for the handshake; with the fault that it uses up."""
        scope = self.scope if raw is None else {**self.scope, "method": "FRAME"}
        call = self._calls.begin(operation, scope, (raw or "").encode(), self._clock())
        return call, self._faults.take(operation) or Fault()


def frames_of(scope: Scope) -> Frames:
    frames: Frames = scope["extensions"][_KEY]
    return frames


class Inbox:
    """Reads what a client sends as it comes, so that its leaving is noticed while a frame is still dealt with."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._frames: asyncio.Queue[str | None] = asyncio.Queue()
        self.left = asyncio.Event()

    async def read(self) -> None:
        """Until the client leaves."""
        while (message := await self._receive())["type"] != "websocket.disconnect":
            text = message.get("text")
            self._frames.put_nowait(text if text is not None else message["bytes"].decode("utf-8", "replace"))
        self.left.set()
        self._frames.put_nowait(None)

    async def next(self) -> str | None:
        """The next frame; None when the client left."""
        return await self._frames.get()

    async def left_within(self, seconds: float) -> bool:
        """Wait so long, or until the client leaves; whether it left."""
        try:
            await asyncio.wait_for(self.left.wait(), seconds)
        except TimeoutError:
            return False
        return True


async def open_socket(app: ASGIApp, operation: str, frames: Frames, receive: Receive, send: Send) -> None:
    """Let `app` answer a handshake and all that follows, unless a fault forbids it."""
    call, fault = frames.begin(operation, None)
    scope, handshake = frames.scope, await receive()
    if fault.delay_ms and await left_within(receive, fault.delay_ms / 1000):
        call.dropped = "by the caller"
    elif fault.drop == "before":
        call.dropped = "before"
        await drop(scope, receive)
    elif fault.answers:
        await _refuse(fault, call, send)
    else:
        scope["extensions"][_KEY] = frames
        await app(scope, _told_again(handshake, receive), _recording(fault, call, scope, send))


def _told_again(first: Message, receive: Receive) -> Receive:
    waiting = [first]

    async def replaying() -> Message:
        return waiting.pop() if waiting else await receive()

    return replaying


async def _refuse(fault: Fault, call: Call, send: Send) -> None:
    call.status, headers, body = fault.answer()
    await send({"type": "websocket.http.response.start", "status": call.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})


def _recording(fault: Fault, call: Call, scope: Scope, send: Send) -> Send:
    """A `send` that writes the handshake's status into the book and ends the socket where a fault wants it."""

    async def sending(message: Message) -> None:
        if call.dropped is not None:  # the application need not know that a fault ended it
            return
        await send(message)
        if message["type"] == "websocket.accept":
            call.status = 101
            if fault.close_code is not None:
                call.dropped = f"closed with {fault.close_code}"
                await send({"type": "websocket.close", "code": fault.close_code})
            elif fault.drop is not None:
                call.status, call.dropped = None, fault.drop
                transport_of(scope).close()
        elif call.status is None:
            call.status = 403 if message["type"] == "websocket.close" else message.get("status")

    return sending
