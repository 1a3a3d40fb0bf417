"""A WebSocket client of bare bytes, which can send what no library would (RFC 6455)."""

import asyncio
import base64
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_PATIENCE_SECONDS = 10.0


class RawSocket:
    """One connection after its handshake. `status` is 101 when the server took it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    async def shake_hands(self, port: int, subprotocols: Sequence[str], headers: Mapping[str, str]) -> None:
        lines = [
            "GET /graphql HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            *([f"Sec-WebSocket-Protocol: {', '.join(subprotocols)}"] if subprotocols else []),
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(_PATIENCE_SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        self.status = int(head[0].split(" ")[1])
        self.headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        if self.status != 101:
            self.body = await self.reader.readexactly(int(self.headers.get("content-length", "0")))

    def send_frame(self, opcode: int, payload: bytes, *, masked: bool = True) -> None:
        mask = os.urandom(4) if masked else b""
        flag = 0x80 if masked else 0
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, flag | size)
        elif size < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, flag | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, flag | 127, size)
        if masked:
            repeated = (mask * (size // 4 + 1))[:size]
            payload = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")
        self.writer.write(head + mask + payload)

    def send_text(self, text: str) -> None:
        self.send_frame(TEXT, text.encode())

    def send(self, type: str, **fields: Any) -> None:
        self.send_text(json.dumps({"type": type, **fields}))

    async def read_frame(self) -> tuple[int, bytes]:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            first, second = await self.reader.readexactly(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first & 0x0F, await self.reader.readexactly(size)

    async def message(self) -> Any:
        """The next message of the server. It has to be a text frame."""
        opcode, payload = await self.read_frame()
        assert opcode == TEXT, f"expected a text frame, got {opcode} {payload!r}"
        return json.loads(payload)

    async def assert_closed(self, code: int, reason: str) -> None:
        """The next frame closes the socket with exactly this code, for a reason that contains the words."""
        opcode, payload = await self.read_frame()
        assert opcode == CLOSE, f"expected a close frame, got {opcode} {payload!r}"
        (got,) = struct.unpack("!H", payload[:2])
        assert (got, reason in payload[2:].decode()) == (code, True), (got, payload[2:].decode())

    async def initialise(self, payload: Mapping[str, Any] | None = None) -> None:
        self.send("connection_init", **({} if payload is None else {"payload": payload}))
        assert await self.message() == {"type": "connection_ack"}

    def subscribe(self, id: Any, query: Any, **payload: Any) -> None:
        self.send("subscribe", id=id, payload={"query": query, **payload})


@contextlib.asynccontextmanager
async def raw_socket(
    port: int,
    *,
    subprotocols: Sequence[str] = ("graphql-transport-ws",),
    headers: Mapping[str, str] | None = None,
    receive_buffer: int | None = None,
) -> AsyncIterator[RawSocket]:
    """Connect and shake hands; afterwards close the connection. A small `receive_buffer` makes a slow reader soon felt."""
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    limit = 2**16 if receive_buffer is None else 2 * receive_buffer
    reader, writer = await asyncio.open_connection(sock=connection, limit=limit)
    raw = RawSocket(reader, writer)
    try:
        await raw.shake_hands(port, subprotocols, headers or {})
        yield raw
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
