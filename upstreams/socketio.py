"""Socket.IO over our own sockets: protocol 5 inside Engine.IO 4, the transport `websocket` alone, the namespace `/`, events without attachments.

    socket open ──▶ 0{sid, pingInterval, pingTimeout} ──▶ 40{auth} ──▶ 40{sid}   open
                                                                  └──▶ 44{…}     refused
    open:   42["event", …]   an event, either way; 42<id>[…] asks for the acknowledgement 43<id>[…]
            2 ──▶ 3          the server pings, we answer; no frame for pingInterval + pingTimeout: the connection is dead
            41, 1            the server says good-bye

github.com/socketio/engine.io-protocol and github.com/socketio/socket.io-protocol, read 2026-11-28. python-socketio's client was left: it follows redirects (its
connection is aiohttp's `ws_connect`, which cannot be told not to), hides the status of a refusal, and starts a task for each packet.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from upstreams.client import UpstreamClient
from upstreams.failures import Failures
from upstreams.json_reading import loads
from upstreams.redaction import Redactor
from upstreams.requests import Request
from upstreams.sockets import Socket, SocketClosed

_PACKET = re.compile(r"(\d)(?:(/[^,]*),)?(\d{0,15})(.*)", re.S)
_GOOD_BYES = frozenset([1000, 1001, 1005, 1012])
"""Close codes of a server that ends or restarts; 1005 is none at all."""
_LONGEST_SILENCE_SECONDS = 300.0


class Ended(Exception):
    """The server closed the connection in an orderly way."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that the server tells."""

    name: str
    data: Sequence[Any]


@dataclass(frozen=True, slots=True)
class _Ack:
    id: int
    data: Sequence[Any]


@asynccontextmanager
async def connected(
    client: UpstreamClient,
    failures: Failures,
    redact: Redactor,
    request: Request,
    auth: Mapping[str, Any],
    *,
    seconds: float,
) -> AsyncIterator["SocketIO"]:
    """A connection that is open, closed when the block ends. `seconds` bounds the handshake after the socket is open."""
    async with client.socket(request, {}) as socket:
        connection = SocketIO(socket, failures, request, on_garbage=lambda: client.garbled(1))
        async with connection.bounded(seconds):
            await connection.shake_hands(auth, redact)
        yield connection


class SocketIO:
    """An open connection. What is garbled is counted and left out; a connection that breaks raises `UpstreamError`."""

    def __init__(
        self, socket: Socket, failures: Failures, request: Request, *, on_garbage: Callable[[], object]
    ) -> None:
        self._socket = socket
        self._failures = failures
        self._request = request
        self._on_garbage = on_garbage
        self._waiting: deque[Event] = deque()
        self._silence_seconds = _LONGEST_SILENCE_SECONDS
        self._heard_at = asyncio.get_running_loop().time()
        self._asked = 0

    @asynccontextmanager
    async def bounded(self, seconds: float) -> AsyncIterator[None]:
        """What is done inside is done within so many seconds, or raises `UpstreamTimeout`; it is not over by a good-bye."""
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise self._failures.timed_out(self._request, seconds, perhaps_executed=False) from error
        except Ended as error:
            raise self._failures.closed(self._request, 1000, "") from error

    async def shake_hands(self, auth: Mapping[str, Any], redact: Redactor) -> None:
        """From the open socket to the open connection."""
        opening = await self._frame()
        settings = _json(opening[1:]) if opening[:1] == "0" else None
        if not isinstance(settings, dict) or not isinstance(settings.get("sid"), str):
            raise self._failures.unexpected(self._request, "was not the beginning of an Engine.IO connection")
        self._silence_seconds = _silence_of(settings)
        await self._send("40", auth)
        while (answer := await self._frame())[:2] != "40":
            if answer[:2] == "44":
                said = _json(answer[2:])
                words = said.get("message") if isinstance(said, dict) else said
                raise self._failures.rejected(self._request, redact.quote(words) if isinstance(words, str) else "")
            await self._take(answer)

    async def emit(self, name: str, data: Any) -> None:
        """Tell the server something."""
        await self._send("42", [name, data])

    async def call(self, name: str, data: Any) -> Sequence[Any]:
        """Tell the server something, and wait for what it acknowledges with; nothing stands for null. Events meanwhile are kept."""
        self._asked += 1
        await self._send(f"42{self._asked}", [name, data])
        while True:
            packet = await self._take(await self._frame())
            if isinstance(packet, _Ack) and packet.id == self._asked:
                return packet.data
            if isinstance(packet, Event):
                self._waiting.append(packet)

    async def next(self, *, within_seconds: float) -> Event | None:
        """What is told next, None when there is nothing for so long. Raises `Ended` when the server said good-bye."""
        until = asyncio.get_running_loop().time() + within_seconds
        while not self._waiting:
            frame = await self._frame(until=until)
            if not frame:
                return None
            packet = await self._take(frame)
            if isinstance(packet, Event):
                return packet
        return self._waiting.popleft()

    async def _take(self, frame: str) -> Event | _Ack | None:
        """Do what a frame demands; what it tells, if it does."""
        kind = frame[:1]
        if kind == "2":
            await self._say("3" + frame[1:])
        elif kind == "1" or frame[:2] == "41":
            raise Ended
        elif kind == "4":
            packet = packet_of(frame[1:])
            if packet is None:
                self._on_garbage()
            return packet
        elif kind not in ("3", "6"):  # a late pong, and nothing at all
            self._on_garbage()
        return None

    async def _frame(self, *, until: float | None = None) -> str:
        """The next frame that is a text; empty when there is none until then."""
        loop = asyncio.get_running_loop()
        dead_at = self._heard_at + self._silence_seconds
        try:
            async with asyncio.timeout_at(min(dead_at, until) if until is not None else dead_at):
                frame = await self._socket.receive()
        except TimeoutError as error:
            if until is not None and loop.time() < dead_at:
                return ""
            raise self._failures.timed_out(self._request, self._silence_seconds, perhaps_executed=False) from error
        except SocketClosed as closed:
            raise self._end(closed) from closed
        self._heard_at = loop.time()
        if isinstance(frame, str) and frame:
            return frame
        self._on_garbage()
        return "6"

    async def _send(self, kind: str, data: Any) -> None:
        await self._say(kind + orjson.dumps(data).decode())

    async def _say(self, text: str) -> None:
        try:
            await self._socket.send_text(text)
        except SocketClosed as closed:
            raise self._end(closed) from closed

    def _end(self, closed: SocketClosed) -> Exception:
        return (
            Ended() if closed.code in _GOOD_BYES else self._failures.closed(self._request, closed.code, closed.reason)
        )


def packet_of(text: str) -> Event | _Ack | None:
    """An event or an acknowledgement; None for anything else: other namespaces, attachments, what is garbled."""
    match = _PACKET.fullmatch(text)
    if match is None or match[2] not in (None, "/"):
        return None
    data = _json(match[4])
    if not isinstance(data, list):
        return None
    if match[1] == "3" and match[3]:
        return _Ack(int(match[3]), data)
    if match[1] == "2" and data and isinstance(data[0], str):
        return Event(data[0], data[1:])
    return None


def _json(text: str) -> Any:
    try:
        return loads(text.encode())
    except ValueError:
        return None


def _silence_of(settings: Mapping[str, Any]) -> float:
    """After how many seconds without a frame the connection is dead; the settings are in milliseconds."""
    told = [settings.get(name) for name in ("pingInterval", "pingTimeout")]
    known = [value for value in told if isinstance(value, int) and not isinstance(value, bool) and value > 0]
    return min(sum(known) / 1000, _LONGEST_SILENCE_SECONDS) if len(known) == 2 else _LONGEST_SILENCE_SECONDS
