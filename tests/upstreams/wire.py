"""A tiny HTTP server on loopback that does exactly what a test tells it, down to the bytes, and a transport that answers from a script."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from domain.records import Source
from upstreams.clock import Clock

Act = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """One request that arrived: its head and body as text, and the way back."""

    head: str
    body: bytes
    writer: asyncio.StreamWriter

    @property
    def line(self) -> str:
        """Method and target."""
        return self.head.split(" HTTP/")[0]

    async def write(self, data: bytes) -> None:
        """Bytes back, whatever they mean."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, value: Any = None, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        """A whole answer in JSON."""
        body = json.dumps(value).encode()
        lines = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
        head = "".join(f"{name}: {text}\r\n" for name, text in lines.items())
        await self.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body)

    def drop(self) -> None:
        """Close without a word."""
        self.writer.close()


@dataclass
class Wire:
    """The server: `url`, and every request line that arrived. `acts` are used in turn, the last one for all that follow."""

    url: str = ""
    lines: list[str] = field(default_factory=list)
    connections: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def wire(*acts: Act) -> AsyncIterator[Wire]:
    """Serve until the block ends."""
    state = Wire()
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(
                    (
                        int(line.split(":")[1])
                        for line in head.split("\r\n")
                        if line.lower().startswith("content-length:")
                    ),
                    0,
                )
                exchange = Exchange(head, await reader.readexactly(length), writer)
                state.lines.append(exchange.line)
                state.asked.set()
                work = asyncio.ensure_future(acts[min(len(state.lines), len(acts)) - 1](exchange))
                gone = asyncio.ensure_future(reader.read(1))
                gone.add_done_callback(lambda done: done.cancelled() or done.exception())  # a reset is no news twice
                await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    state.disconnected.set()
                    work.cancel()
                    return
                try:
                    await work
                except ConnectionError:
                    state.disconnected.set()
                    return
                if writer.is_closing():
                    gone.cancel()
                    return
                more = await gone
                if not more:
                    return
                reader._buffer[:0] = more  # type: ignore[attr-defined]  # the byte that told us that the next request begins
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield state
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def a_source(vendor: str = "kodey", base_url: str = "https://vendor.test", **options: Any) -> Source:
    """A source record."""
    return Source(
        id=7,
        organization_id=1,
        key="team",
        vendor=vendor,
        display_name="Team",
        base_url=base_url,
        options=options,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@dataclass
class Scripted(httpx.AsyncBaseTransport):
    """Answers each request by the first matching handler, and remembers all of them."""

    handler: Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]
    requests: list[httpx.Request] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.asked.set()
        answer = self.handler(request)
        return answer if isinstance(answer, httpx.Response) else await answer

    @property
    def lines(self) -> Sequence[str]:
        """Method and target of each request."""
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.requests]


class FakeClock:
    """Time that passes only when somebody sleeps; chance that is always the same."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.sleeps: list[float] = []
        self.clock = Clock(now=self.now, monotonic=lambda: self.seconds, sleep=self.sleep, random=lambda: 0.5)

    def now(self) -> datetime:
        """The wall clock."""
        return datetime(2026, 11, 21, tzinfo=UTC) + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        """Pass at once, and be remembered."""
        self.sleeps.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)


def an_answer(
    value: Any = None, status: int = 200, *, headers: dict[str, str] | None = None, content: bytes | None = None
) -> httpx.Response:
    """An answer in JSON, or of any bytes."""
    body = json.dumps(value).encode() if content is None else content
    return httpx.Response(status, headers={"Content-Type": "application/json", **(headers or {})}, content=body)
