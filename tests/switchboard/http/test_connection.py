"""The head of a request is bounded in size and time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from switchboard.http.connection import GuardedConnection
from switchboard.serving import server_options
from switchboard.settings import Settings
from tests.switchboard.http.rawsocket import raw_socket
from tests.switchboard.http.toy import Served, serve, until

pytestmark = pytest.mark.anyio

BODY = b'{"query":"{ hello }"}'
REQUEST = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n" + BODY


@contextlib.asynccontextmanager
async def connected(
    served: Served,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        async with asyncio.timeout(10):
            yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class Hasty(GuardedConnection):
    head_timeout_seconds = 0.05


@pytest.mark.parametrize(
    "flood", [b"X-%d: " + b"y" * 5000 + b"\r\n", b"y" * 5000], ids=["many headers", "one header without end"]
)
async def test_431_for_a_head_without_end(flood: bytes) -> None:
    async with serve(http=GuardedConnection) as served, connected(served) as (reader, writer):
        writer.write(b"POST /graphql HTTP/1.1\r\nHost: x\r\nX: ")
        with contextlib.suppress(OSError):
            for number in range(40):
                writer.write(flood % number if b"%d" in flood else flood)
                await writer.drain()
                await asyncio.sleep(0)
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"code":"LIMIT_EXCEEDED"' in answer


async def test_408_for_a_head_that_does_not_come() -> None:
    async with serve(http=Hasty) as served, connected(served) as (reader, writer):
        writer.write(b"POST /graphql HTTP/1.1\r\nHost: x\r\n")
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_408_for_the_second_head_of_a_connection_too() -> None:
    async with serve(http=Hasty) as served, connected(served) as (reader, writer):
        writer.write(REQUEST)
        await reader.readuntil(b'{"data":{"hello":"world"}}')
        writer.write(b"POST /gra")
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")


async def test_connection_that_never_asks_is_closed() -> None:
    async with serve(http=Hasty) as served, connected(served) as (reader, _):
        assert await reader.read() == b""


async def test_head_in_pieces_is_read() -> None:
    async with serve(http=GuardedConnection) as served, connected(served) as (reader, writer):
        for byte in range(0, len(REQUEST), 7):
            writer.write(REQUEST[byte : byte + 7])
            await writer.drain()
            await asyncio.sleep(0)
        assert b"200 OK" in await reader.readuntil(b'{"data":{"hello":"world"}}')


async def test_body_is_not_counted_as_head() -> None:
    body = BODY + b" " * 500_000
    head = b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(
        body
    )
    async with serve(http=GuardedConnection) as served, connected(served) as (reader, writer):
        writer.write(head + body + REQUEST)
        for _ in range(2):
            assert b"200 OK" in await reader.readuntil(b'{"data":{"hello":"world"}}')


async def test_request_that_takes_longer_than_a_head_is_answered() -> None:
    """The bound is of the head's coming, not of the answer."""
    async with serve(http=Hasty) as served, connected(served) as (reader, writer):
        body = b'{"query":"{ wait }"}'
        writer.write(
            b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n" + body
        )
        await served.stage.reached.wait()
        await asyncio.sleep(0.1)
        served.stage.release.set()
        assert b"200 OK" in await reader.readuntil(b'{"data":{"wait":"waited"}}')


async def test_socket_outlives_the_bound() -> None:
    async with serve(http=Hasty) as served, raw_socket(served.port) as socket:
        await socket.initialise()
        await asyncio.sleep(0.1)
        socket.send("ping")
        assert await socket.message() == {"type": "pong"}


async def test_client_that_leaves_in_the_middle_of_its_head_is_forgotten() -> None:
    async with serve(http=GuardedConnection) as served:
        async with connected(served) as (_, writer):
            writer.write(b"POST /gra")
            await until(lambda: served.server.server_state.connections)
        await until(lambda: not served.server.server_state.connections)


def test_who_lets_a_resting_connection_go_is_the_client() -> None:
    """Where it is the server, a request crosses with the closing now and then, and is lost. Proxies let go after 60 seconds."""
    assert server_options(Settings(secret_keys=("t" * 32,)))["timeout_keep_alive"] > 60
