"""A process with many listeners, for `benchmarks.fanout`: bare sockets that subscribe, and note what comes, in which order, how late.

    python -m benchmarks.listeners '{"url": …, "init": …, "payload": …, "listeners": 1000, "stalled": 1}'

It prints a line when all listen, and one for each line that it reads: for `count` how many messages have come since the last report,
for `report` what came of them, as JSON. Messages carry `#number:nanoseconds#` of the machine's monotonic clock, which all processes share.
"""

import asyncio
import base64
import json
import os
import resource
import struct
import sys
import time
from typing import Any
from urllib.parse import urlsplit

_AT_ONCE = 50
"""Connections that are made at the same time; the gateway bounds those that have not said yet who they are."""


class Listener(asyncio.Protocol):
    """One socket. `ready` when it has subscribed; a stalled one reads nothing from then on."""

    def __init__(self, request: bytes, messages: list[bytes], ledger: "Ledger", *, stalls: bool) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._messages = messages
        self._ledger = ledger
        self._stalls = stalls
        self._buffer = bytearray()
        self._is_open = False
        self._heard = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self._request)

    def connection_lost(self, error: Exception | None) -> None:
        self._ledger.closed += 1
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("the connection was closed before the subscription began"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._is_open:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._buffer.startswith(b"HTTP/1.1 101"):
                self.ready.set_exception(ConnectionError(bytes(self._buffer[:200]).decode(errors="replace")))
                return
            assert b"permessage-deflate" not in self._buffer[:end]
            del self._buffer[: end + 4]
            self._is_open = True
            self.transport.write(frame(self._messages[0]))
        self._read_frames()

    def _read_frames(self) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            size, start = buffer[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, start = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if len(buffer) < start + size:
                break
            self._read(buffer[at] & 15, bytes(buffer[start : start + size]))
            at = start + size
        del buffer[:at]

    def _read(self, opcode: int, payload: bytes) -> None:
        if opcode == 9:
            self.transport.write(frame(payload, opcode=10))
        elif opcode == 1 and (mark := payload.find(b"#")) >= 0:
            number, _, sent = payload[mark + 1 : payload.find(b"#", mark + 1)].partition(b":")
            self._ledger.note(self._heard, int(number), time.monotonic_ns() - int(sent))
            self._heard += 1
        elif opcode == 1 and b"connection_ack" in payload:
            self.transport.write(frame(self._messages[1]))
            if self._stalls:
                self.transport.pause_reading()
            self.ready.set_result(None)
        elif opcode == 1 and (b'"error"' in payload or b'"errors"' in payload):
            raise SystemExit(f"The subscription failed: {payload.decode()}")


class Ledger:
    """What all listeners have heard."""

    def __init__(self) -> None:
        self.closed = 0
        self.out_of_order = 0
        self.order: list[int] = []
        self.latencies: list[int] = []

    def note(self, place: int, number: int, nanoseconds: int) -> None:
        """One message more, as the so many-th of a listener. Whoever hears one first gives the order that all have to hear."""
        self.latencies.append(nanoseconds)
        if place == len(self.order):
            self.order.append(number)
        self.out_of_order += self.order[place] != number

    def report(self) -> dict[str, Any]:
        """Since the last report; latencies in milliseconds."""
        late, self.latencies = sorted(self.latencies), []
        at = (
            [round(late[min(len(late) - 1, int(len(late) * share))] / 1e6, 2) for share in (0.5, 0.99, 1)]
            if late
            else None
        )
        found = {"heard": len(late), "out_of_order": self.out_of_order, "closed": self.closed, "p50_p99_max_ms": at}
        self.out_of_order = 0
        return found


def frame(payload: bytes, *, opcode: int = 1) -> bytes:
    """A client's frame; the mask is zero, which is a mask too."""
    size = len(payload)
    head = (
        struct.pack("!BB", 0x80 | opcode, 0x80 | size) if size < 126 else struct.pack("!BBH", 0x80 | opcode, 0xFE, size)
    )
    return head + bytes(4) + payload


async def listen(order: dict[str, Any]) -> None:
    """Connect all, then report whenever a line is read; the end of the input is the end."""
    place = urlsplit(order["url"])
    ledger = Ledger()
    init = json.dumps({"type": "connection_init", "payload": order["init"]}).encode()
    subscribe = json.dumps({"id": "1", "type": "subscribe", "payload": order["payload"]}).encode()
    loop = asyncio.get_running_loop()
    listeners: list[Listener] = []
    extensions = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if order["offers_deflate"] else ""
    for number in range(order["listeners"]):
        request = (
            f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: graphql-transport-ws\r\n{extensions}\r\n"
        ).encode()
        one = Listener(request, [init, subscribe], ledger, stalls=number < order["stalled"])
        listeners.append(one)
        await loop.create_connection(lambda one=one: one, place.hostname, place.port)  # type: ignore[misc]
        if len(listeners) % _AT_ONCE == 0:
            await asyncio.gather(*(each.ready for each in listeners[-_AT_ONCE:]))
    await asyncio.gather(*(each.ready for each in listeners))
    print(json.dumps({"listening": len(listeners)}), flush=True)  # noqa: T201  read by the parent
    while command := await loop.run_in_executor(None, sys.stdin.readline):
        found = ledger.report() if command.strip() == "report" else len(ledger.latencies)
        print(json.dumps(found), flush=True)  # noqa: T201


def main() -> None:
    """Listen as the argument says."""
    import uvloop

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    uvloop.run(listen(json.loads(sys.argv[1])))


if __name__ == "__main__":
    main()
