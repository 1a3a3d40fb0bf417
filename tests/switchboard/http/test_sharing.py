"""One stream for many clients over real sockets: nothing lost, nothing twice, and a reader that stalls costs only itself."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from switchboard.http.direct import DirectWebSocket
from switchboard.http.settings import TransportSettings
from tests.switchboard.http.rawsocket import RawSocket, raw_socket
from tests.switchboard.http.test_sse import streaming
from tests.switchboard.http.toy import Served, serve, until

pytestmark = pytest.mark.anyio
LOG = "subscription { log }"
SERVERS = [pytest.param(DirectWebSocket, id="direct"), pytest.param(WebSocketsSansIOProtocol, id="asgi")]


@pytest.fixture(params=SERVERS)
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    async with serve(ws=request.param, event_id=lambda event: f"at-{event}") as served:
        yield served


async def listen(served: Served, socket: RawSocket, id: str = "1", **payload: Any) -> None:
    """Subscribe, and wait until it listens with the others."""
    before = listening(served)
    socket.subscribe(id, LOG, **payload)
    await until(lambda: listening(served) > before)


def listening(served: Served) -> int:
    return sum(len(broadcast) for broadcast in served.broadcasts._running.values())


async def told(socket: RawSocket, id: str = "1") -> str:
    message = await socket.message()
    assert (message["id"], message["type"]) == (id, "next")
    event: str = message["payload"]["data"]["log"]
    return event


@contextlib.asynccontextmanager
async def sockets(served: Served, number: int, **options: Any) -> AsyncIterator[list[RawSocket]]:
    async with contextlib.AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(raw_socket(served.port, **options)) for _ in range(number)]
        for socket in opened:
            await socket.initialise()
        yield opened


async def test_event_is_executed_once_for_sockets_and_streams_alike(served: Served) -> None:
    async with sockets(served, 20) as opened, streaming(served, LOG) as stream:
        for number, socket in enumerate(opened):
            await listen(served, socket, f"id {number}")
        assert await stream.block() == [":"]
        await until(lambda: listening(served) == 21)
        served.stage.log.add("one")
        served.stage.log.add("zwölf 🏃")
        for number, socket in enumerate(opened):
            assert [await told(socket, f"id {number}") for _ in range(2)] == ["one", "zwölf 🏃"]
        assert await stream.block() == ["id: at-one", "event: next", 'data: {"data":{"log":"one"}}']
        assert (await stream.block())[1:] == ["event: next", 'data: {"data":{"log":"zwölf 🏃"}}']
    assert served.stage.executed == ["one", "zwölf 🏃"]
    assert len(served.broadcasts) == 1 or listening(served) == 0


async def test_socket_has_no_task_of_its_own_for_a_subscription(served: Served) -> None:
    before = len(asyncio.all_tasks())
    async with sockets(served, 10) as opened:
        for socket in opened:
            await listen(served, socket)
        await until(lambda: len(asyncio.all_tasks()) <= before + 10 + 1)


async def test_frames_of_every_length_arrive_whole(served: Served) -> None:
    """RFC 6455 section 5.2: lengths up to 125, up to 65,535, and beyond have forms of their own."""
    async with sockets(served, 1) as (socket,):
        await listen(served, socket)
        around = len(json.dumps({"id": "1", "type": "next", "payload": {"data": {"log": ""}}}, separators=(",", ":")))
        for size in (125, 126, 127, 65_535, 65_536, 300_000):
            served.stage.log.add("x" * (size - around))
            assert len(await told(socket)) == size - around


async def test_compression_is_not_agreed_on(served: Served) -> None:
    async with raw_socket(served.port, headers={"Sec-WebSocket-Extensions": "permessage-deflate"}) as socket:
        assert socket.status == 101
        assert "sec-websocket-extensions" not in socket.headers


async def test_one_socket_may_hear_it_more_than_once(served: Served) -> None:
    async with sockets(served, 1) as (socket,):
        await listen(served, socket, "a")
        await listen(served, socket, "b")
        served.stage.log.add("one")
        assert [await told(socket, "a"), await told(socket, "b")] == ["one", "one"]
        socket.send("complete", id="a")
        await until(lambda: listening(served) == 1)
        served.stage.log.add("two")
        assert await told(socket, "b") == "two"
        await listen(served, socket, "a")
        served.stage.log.add("three")
        assert {(await socket.message())["id"] for _ in range(2)} == {"a", "b"}
    assert served.stage.executed == ["one", "two", "three"]


@pytest.mark.parametrize("way", ["complete", "leave", "abort"])
async def test_broadcast_ends_with_its_last_listener(served: Served, way: str) -> None:
    async with sockets(served, 2) as opened:
        for socket in opened:
            await listen(served, socket)
        assert len(served.broadcasts) == 1
        for socket in opened:
            match way:
                case "complete":
                    socket.send("complete", id="1")
                case "leave":
                    socket.writer.close()
                case "abort":
                    socket.writer.transport.abort()
        await until(lambda: len(served.broadcasts) == 0 and served.stage.log.readers == 0)


async def test_source_that_breaks_is_an_error_of_each_operation_and_the_sockets_live_on(served: Served) -> None:
    async with sockets(served, 2) as opened, streaming(served, LOG) as stream:
        for socket in opened:
            await listen(served, socket)
        await stream.block()
        await until(lambda: listening(served) == 3)
        served.stage.log.fault = RuntimeError("secret")
        served.stage.log.wake()
        for socket in opened:
            message = await socket.message()
            assert (message["id"], message["type"]) == ("1", "error")
            assert "secret" not in json.dumps(message)
            socket.subscribe("1", "{ hello }")
            assert (await socket.message())["payload"] == {"data": {"hello": "world"}}
        assert '"errors"' in (await stream.block())[1]
        assert await stream.block() == ["event: complete", "data:"]


async def test_revoked_credential_hears_nothing_more_and_the_others_do(served: Served) -> None:
    async with sockets(served, 3) as opened:
        for socket in opened:
            await listen(served, socket)
        served.stage.log.add("one")
        served.sessions.opened[1].revoke()
        served.stage.log.add("two")
        assert [await told(opened[0]), await told(opened[0])] == ["one", "two"]
        assert [await told(opened[2]), await told(opened[2])] == ["one", "two"]
        await opened[1].assert_closed(4403, "no longer valid")


async def test_revoked_stream_hears_nothing_more(served: Served) -> None:
    async with streaming(served, LOG) as stream, streaming(served, LOG) as other:
        for one in (stream, other):
            await one.block()
        await until(lambda: listening(served) == 2)
        served.sessions.opened[0].revoke()
        served.stage.log.add("one")
        assert await stream.block() == [": the credential ended; reconnect with a new one"]
        assert (await other.block())[0] == "id: at-one"


# Slow readers

LARGE = "x" * 20_000


async def stall(served: Served, socket: RawSocket, others: list[RawSocket]) -> int:
    """Tell so much that the stalled socket falls out; how many events that took. The others hear all of it."""
    number = 0
    while listening(served) > len(others):
        served.stage.log.add(f"{number} {LARGE}")
        for other in others:
            assert await told(other) == f"{number} {LARGE}"
        number += 1
        await until(lambda: len(served.stage.executed) >= number or listening(served) <= len(others))  # noqa: B023  awaited here
        assert number < 2000
    return number


@pytest.mark.parametrize("ws", SERVERS)
async def test_reader_that_stalls_costs_nobody_and_loses_nothing(ws: Any) -> None:
    settings = TransportSettings(ws_queue_bytes=100_000, ws_slow_reader_seconds=60)
    async with (
        serve(ws=ws, settings=settings) as served,
        sockets(served, 1, receive_buffer=4096) as (stalled,),
        sockets(served, 2) as others,
    ):
        for socket in (stalled, *others):
            await listen(served, socket)
        number = await stall(served, stalled, others)
        for _ in range(5):  # nobody waits for it
            served.stage.log.add(f"{number} {LARGE}")
            for other in others:
                assert await told(other) == f"{number} {LARGE}"
            number += 1
        assert [await told(stalled) for _ in range(number)] == [f"{one} {LARGE}" for one in range(number)]
        await until(lambda: listening(served) == 3)
        served.stage.log.add("together again")
        assert [await told(socket) for socket in (stalled, *others)] == ["together again"] * 3


async def test_queue_of_a_stalled_reader_is_bounded() -> None:
    settings = TransportSettings(ws_queue_bytes=100_000, ws_slow_reader_seconds=60)
    async with serve(settings=settings) as served, sockets(served, 1, receive_buffer=4096) as (stalled,):
        await listen(served, stalled)
        broadcast = next(iter(served.broadcasts._running.values()))
        box = next(iter(broadcast._receivers))._outlet._host.outbox  # type: ignore[attr-defined]
        await stall(served, stalled, [])
        for number in range(20):
            served.stage.log.add(f"{number} {LARGE}")
        await asyncio.sleep(0.05)  # nothing happens: only the clock can show it
        assert 100_000 <= box.waiting_bytes < 100_000 + 2 * len(LARGE)


async def test_reader_that_stalls_too_long_is_closed_with_4410_and_the_others_live_on() -> None:
    settings = TransportSettings(ws_queue_bytes=100_000, ws_slow_reader_seconds=0.2)
    async with (
        serve(settings=settings) as served,
        sockets(served, 1, receive_buffer=4096) as (stalled,),
        sockets(served, 1) as others,
    ):
        for socket in (stalled, *others):
            await listen(served, socket)
        await stall(served, stalled, others)
        await until(lambda: served.sessions.opened[0].closed)
        served.stage.log.add("on and on")
        assert await told(others[0]) == "on and on"
        assert listening(served) == 1


async def test_stream_that_stalls_loses_nothing_when_it_is_read_again() -> None:
    settings = TransportSettings(sse_queue_bytes=100_000, write_timeout_seconds=60)
    async with serve(settings=settings) as served, sockets(served, 1) as others, stalling_stream(served) as stream:
        await listen(served, others[0])
        await until(lambda: listening(served) == 2)
        number = await stall(served, others[0], others)
        lines = [await read_data(stream) for _ in range(number)]
        assert lines == [f'{{"data":{{"log":"{one} {LARGE}"}}}}' for one in range(number)]
        await until(lambda: listening(served) == 2)


async def test_stream_that_stalls_too_long_is_cut() -> None:
    settings = TransportSettings(sse_queue_bytes=100_000, write_timeout_seconds=0.2)
    async with serve(settings=settings) as served, sockets(served, 1) as others, stalling_stream(served):
        await listen(served, others[0])
        await until(lambda: listening(served) == 2)
        await stall(served, others[0], others)
        await until(lambda: served.sessions.opened[-1].closed or served.sessions.opened[0].closed)
        served.stage.log.add("on and on")
        assert await told(others[0]) == "on and on"


@contextlib.asynccontextmanager
async def stalling_stream(served: Served) -> AsyncIterator[asyncio.StreamReader]:
    """Server-sent events that nobody reads by himself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=2**12)
    body = json.dumps({"query": LOG}).encode()
    writer.write(
        b"POST /graphql HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    try:
        yield reader
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def read_data(reader: asyncio.StreamReader) -> str:
    """The next `data:` of the body; its lines are never split between chunks here."""
    while True:
        line = await read_line(reader)
        if line.startswith("data: "):
            return line.removeprefix("data: ")


async def read_line(reader: asyncio.StreamReader) -> str:
    """One line, however long."""
    parts: list[bytes] = []
    async with asyncio.timeout(20):
        while True:
            try:
                parts.append(await reader.readuntil(b"\n"))
            except asyncio.LimitOverrunError as error:
                parts.append(await reader.readexactly(error.consumed))
            else:
                return b"".join(parts).decode().rstrip("\r\n")
