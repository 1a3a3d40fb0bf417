"""graphql-transport-ws over real sockets: every close code, and the leaving."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from switchboard.http.settings import TransportSettings
from tests.switchboard.http.rawsocket import CLOSE, PING, PONG, RawSocket, raw_socket
from tests.switchboard.http.toy import Served, ToySessions, serve, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve() as served:
        yield served


# Handshake


async def test_own_subprotocol_is_preferred_whatever_the_order(served: Served) -> None:
    async with raw_socket(served.port, subprotocols=["graphql-ws", "graphql-transport-ws"]) as socket:
        assert socket.headers["sec-websocket-protocol"] == "graphql-transport-ws"


@pytest.mark.parametrize("offered", [[], ["graphql-ws"], ["soap"]])
async def test_4406_when_the_subprotocol_is_not_offered(served: Served, offered: list[str]) -> None:
    async with raw_socket(served.port, subprotocols=offered) as socket:
        assert socket.status == 101
        assert "sec-websocket-protocol" not in socket.headers
        await socket.assert_closed(4406, "Subprotocol not acceptable")


async def test_request_id_is_echoed(served: Served) -> None:
    async with raw_socket(served.port, headers={"X-Request-Id": "abc"}) as socket:
        assert socket.headers["x-request-id"] == "abc"


async def test_page_of_another_origin_is_refused() -> None:
    async with serve(allowed_origins=["http://localhost:*"]) as served:
        async with raw_socket(served.port, headers={"Origin": "http://evil.example"}) as socket:
            assert socket.status == 403
            assert json.loads(socket.body)["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        for origin in ("http://localhost:1", f"http://127.0.0.1:{served.port}"):
            async with raw_socket(served.port, headers={"Origin": origin}) as socket:
                assert socket.status == 101


# Close codes


async def test_4400_for_what_is_no_message(served: Served) -> None:
    for text in (
        "42",
        "null",
        "[]",
        '"x"',
        "nonsense",
        "[" * 50_000,
        '{"type":"subscribe","id":1,"payload":{"query":"{a}"}}',
    ):
        async with raw_socket(served.port) as socket:
            socket.send_text(text)
            await socket.assert_closed(4400, "")


async def test_4400_for_a_binary_frame(served: Served) -> None:
    async with raw_socket(served.port) as socket:
        socket.send_frame(2, b'{"type":"ping"}')
        await socket.assert_closed(4400, "text frames")


async def test_4400_for_a_message_beyond_the_limit() -> None:
    async with serve(settings=TransportSettings(body_bytes=1000)) as served, raw_socket(served.port) as socket:
        socket.send("ping", payload={"x": "y" * 1000})
        await socket.assert_closed(4400, "more than 1000 bytes")


async def test_4401_for_subscribe_before_init(served: Served) -> None:
    async with raw_socket(served.port) as socket:
        socket.subscribe("1", "{ hello }")
        await socket.assert_closed(4401, "Unauthorized")


async def test_4403_for_a_credential_that_is_not_known() -> None:
    async with serve(ToySessions(key="right")) as served, raw_socket(served.port) as socket:
        socket.send("connection_init", payload={"Authorization": "Bearer wrong"})
        await socket.assert_closed(4403, "Forbidden: Reading the credential")


async def test_4403_when_the_credential_is_revoked_meanwhile(served: Served) -> None:
    async with raw_socket(served.port) as socket:
        await socket.initialise()
        socket.subscribe("1", "subscription { ticks }")
        await served.stage.reached.wait()
        served.sessions.opened[0].revoke()
        await socket.assert_closed(4403, "no longer valid")
        await served.stage.cancelled.wait()


async def test_4408_for_a_silent_socket() -> None:
    settings = TransportSettings(ws_init_timeout_seconds=0.05)
    async with serve(settings=settings) as served, raw_socket(served.port) as socket:
        await socket.assert_closed(4408, "Connection initialisation timeout")


async def test_4409_for_an_id_in_use(served: Served) -> None:
    async with raw_socket(served.port) as socket:
        await socket.initialise()
        socket.subscribe("one", "subscription { ticks }")
        socket.subscribe("one", "{ hello }")
        await socket.assert_closed(4409, "Subscriber for one already exists")
        assert served.stage.cancelled.is_set() or not served.stage.reached.is_set()


async def test_4410_for_a_reader_that_does_not_read() -> None:
    settings = TransportSettings(ws_queue_bytes=10_000, ws_slow_reader_seconds=0.2)
    async with serve(settings=settings) as served, raw_socket(served.port, receive_buffer=4096) as socket:
        await socket.initialise()
        socket.subscribe("1", "subscription { flood(first: 5000, times: 1000000) }")
        # Meanwhile another socket is served as ever.
        async with raw_socket(served.port) as other:
            await other.initialise()
            other.subscribe("1", "subscription { count(to: 50) }")
            assert [(await other.message())["type"] for _ in range(51)] == ["next"] * 50 + ["complete"]
        await until(lambda: served.sessions.opened[0].closed or not served.server.server_state.connections)
        code = await _drain_to_close(socket)
        assert code in (4410, None), code


async def _drain_to_close(socket: RawSocket) -> int | None:
    """The code of the close frame that comes in the end; None: the connection ended without one."""
    try:
        while True:
            opcode, payload = await socket.read_frame()
            if opcode == CLOSE:
                return int(struct.unpack("!H", payload[:2])[0])
    except (asyncio.IncompleteReadError, OSError):
        return None


async def test_4410_reaches_a_reader_that_reads_again() -> None:
    """The reader that pauses as long as the farewell is tried learns why it was closed."""
    settings = TransportSettings(ws_queue_bytes=10_000, ws_slow_reader_seconds=0.1)
    async with serve(settings=settings) as served, raw_socket(served.port, receive_buffer=4096) as socket:
        await socket.initialise()
        socket.subscribe("1", "subscription { flood(first: 5000, times: 1000000) }")
        connection = next(iter(served.server.server_state.connections))
        await until(lambda: not connection.writable.is_set())  # type: ignore[union-attr]
        await asyncio.sleep(0.3)
        assert await _drain_to_close(socket) == 4410


async def test_4419_shortly_before_the_credential_expires() -> None:
    sessions = ToySessions(expires_at=datetime.now(UTC) + timedelta(seconds=60.2))
    settings = TransportSettings(ws_expiry_margin_seconds=60)
    async with serve(sessions, settings=settings) as served, raw_socket(served.port) as socket:
        await socket.initialise()
        await socket.assert_closed(4419, "The credential expires")


async def test_credential_is_renewed_by_a_ping() -> None:
    sessions = ToySessions(expires_at=datetime.now(UTC) + timedelta(seconds=61))
    settings = TransportSettings(ws_expiry_margin_seconds=60)
    async with serve(sessions, settings=settings) as served, raw_socket(served.port) as socket:
        await socket.initialise()
        socket.send("ping", payload={"Authorization": "Bearer stale"})
        assert await socket.message() == {"type": "pong", "payload": {"renewed": False}}
        socket.send("ping", payload={"other": "thing"})
        assert await socket.message() == {"type": "pong", "payload": {"renewed": False}}
        socket.send("ping", payload={"Authorization": "Bearer fresh"})
        assert await socket.message() == {"type": "pong", "payload": {"renewed": True}}
        await asyncio.sleep(1.1)  # past the first credential's margin: only the clock can show that nothing happens
        socket.send("ping")
        assert await socket.message() == {"type": "pong"}


@pytest.mark.parametrize("is_initialised", [False, True])
async def test_4429_for_a_second_init(served: Served, is_initialised: bool) -> None:
    async with raw_socket(served.port) as socket:
        if is_initialised:
            await socket.initialise()
        else:
            socket.send("connection_init")
        socket.send("connection_init")
        if not is_initialised:
            opcode, payload = await socket.read_frame()
            if opcode != CLOSE:
                assert json.loads(payload) == {"type": "connection_ack"}
            else:
                assert struct.unpack("!H", payload[:2]) == (4429,)
                return
        await socket.assert_closed(4429, "Too many initialisation requests")


async def test_4500_when_something_of_ours_breaks(served: Served) -> None:
    async with raw_socket(served.port, headers={"X-Request-Id": "seven"}) as socket:
        socket.send("connection_init", payload={"Authorization": "Bearer explode"})
        await socket.assert_closed(4500, "request seven")


async def test_4500_when_the_watch_of_the_credential_breaks(served: Served) -> None:
    async with raw_socket(served.port) as socket:
        await socket.initialise()
        served.sessions.opened[0].revoke(RuntimeError("the store is gone"))
        await socket.assert_closed(4500, "Internal server error")


async def test_1001_when_the_gateway_goes_away(served: Served) -> None:
    async with raw_socket(served.port) as socket:
        await socket.initialise()
        socket.subscribe("1", "subscription { ticks }")
        await served.stage.reached.wait()
        served.endpoint.drain()
        await socket.assert_closed(1001, "connect again")
        await served.stage.cancelled.wait()
    async with raw_socket(served.port) as late:
        assert (late.status, late.headers["retry-after"]) == (503, "5")


async def test_one_silent_socket_too_many_is_refused() -> None:
    async with (
        serve(settings=TransportSettings(ws_silent_sockets=2)) as served,
        raw_socket(served.port) as first,
        raw_socket(served.port) as second,
    ):
        async with raw_socket(served.port) as third:
            assert (first.status, second.status, third.status) == (101, 101, 503)
        await first.initialise()
        async with raw_socket(served.port) as fourth:
            assert fourth.status == 101


# Operations


async def test_query_gives_next_and_complete(served: Served) -> None:
    async with raw_socket(served.port) as socket:
        await socket.initialise()
        socket.subscribe("q", "query Q($t: String!) { echo(text: $t) }", variables={"t": "é🏃"}, operationName="Q")
        assert await socket.message() == {"id": "q", "type": "next", "payload": {"data": {"echo": "é🏃"}}}
        assert await socket.message() == {"id": "q", "type": "complete"}


async def test_subscription_gives_each_event_in_order(served: Served) -> None:
    async with raw_socket(served.port) as socket:
        await socket.initialise()
        socket.subscribe("s", "subscription { count(to: 3) }")
        messages = [await socket.message() for _ in range(4)]
        assert [m["payload"]["data"]["count"] for m in messages[:3]] == [1, 2, 3]
        assert messages[3] == {"id": "s", "type": "complete"}


@pytest.mark.parametrize(
    ("query", "extra", "code"),
    [
        ("{", {}, "GRAPHQL_PARSE_FAILED"),
        ("{ unknown }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("query A { hello } query B { hello }", {"operationName": "C"}, "GRAPHQL_VALIDATION_FAILED"),
        ("query A { hello } query B { hello }", {}, "GRAPHQL_VALIDATION_FAILED"),
        ("query($t: String!) { echo(text: $t) }", {"variables": {"t": 7}}, "GRAPHQL_VALIDATION_FAILED"),
        ("subscription($n: Int!) { count(to: $n) }", {"variables": {}}, "GRAPHQL_VALIDATION_FAILED"),
        ("{" + " hello" * 21 + "}", {}, "LIMIT_EXCEEDED"),
        ("subscription { refused }", {}, "FORBIDDEN"),
    ],
)
async def test_refused_operation_is_an_error_of_that_id_only(
    served: Served, query: str, extra: dict[str, Any], code: str
) -> None:
    async with raw_socket(served.port) as socket:
        await socket.initialise()
        socket.subscribe("live", "subscription { ticks }")
        await served.stage.reached.wait()
        socket.subscribe("bad", query, **extra)
        message = await socket.message()
        assert (message["id"], message["type"]) == ("bad", "error")
        assert message["payload"][0]["extensions"]["code"] == code
        served.stage.events.put_nowait("still here")
        assert (await socket.message())["payload"] == {"data": {"ticks": "still here"}}


async def test_failing_field_is_a_next_message(served: Served) -> None:
    async with raw_socket(served.port) as socket:
        await socket.initialise()
        socket.subscribe("1", "{ fail hello }")
        message = await socket.message()
        assert message["type"] == "next"
        assert message["payload"]["data"] == {"fail": None, "hello": "world"}
        assert "password" not in json.dumps(message)
        assert (await socket.message())["type"] == "complete"


async def test_broken_stream_is_an_error_of_its_operation(served: Served) -> None:
    async with raw_socket(served.port) as socket:
        await socket.initialise()
        socket.subscribe("1", "subscription { ticks }")
        served.stage.events.put_nowait("one")
        served.stage.events.put_nowait(RuntimeError("secret"))
        assert (await socket.message())["type"] == "next"
        message = await socket.message()
        assert (message["id"], message["type"]) == ("1", "error")
        assert message["payload"][0]["extensions"]["code"] == "INTERNAL"
        assert "secret" not in json.dumps(message)


async def test_each_operation_and_each_event_has_a_context_of_its_own(served: Served) -> None:
    async with raw_socket(served.port, headers={"X-Request-Id": "r"}) as socket:
        await socket.initialise()
        socket.subscribe("1", "subscription { count(to: 2) }")
        socket.subscribe("2", "{ hello }")
        for _ in range(5):
            await socket.message()
    contexts = served.stage.contexts
    assert len({id(context) for context in contexts}) == len(contexts) == 4
    assert {context.request_id for context in contexts} == {"r.1", "r.2"}


async def test_complete_stops_the_operation(served: Served) -> None:
    async with raw_socket(served.port) as socket:
        await socket.initialise()
        socket.subscribe("1", "subscription { ticks }")
        await served.stage.reached.wait()
        socket.send("complete", id="1")
        await served.stage.cancelled.wait()
        socket.subscribe("1", "{ hello }")
        assert (await socket.message())["payload"] == {"data": {"hello": "world"}}


async def test_client_that_leaves_stops_its_operations(served: Served) -> None:
    async with raw_socket(served.port) as socket:
        await socket.initialise()
        socket.subscribe("1", "{ wait }")
        await served.stage.reached.wait()
    await served.stage.cancelled.wait()
    await until(lambda: served.sessions.opened[0].closed)


async def test_connection_that_breaks_stops_its_operations(served: Served) -> None:
    async with raw_socket(served.port) as socket:
        await socket.initialise()
        socket.subscribe("1", "subscription { ticks }")
        await served.stage.reached.wait()
        socket.writer.transport.abort()
        await served.stage.cancelled.wait()


async def test_mutation_runs_to_its_end_though_its_client_left(served: Served) -> None:
    async with raw_socket(served.port) as socket:
        await socket.initialise()
        socket.subscribe("1", "mutation { wait }")
        await served.stage.reached.wait()
    served.stage.release.set()
    await until(lambda: served.sessions.opened[0].closed)
    assert served.stage.mutations == ["waited"]


@pytest.mark.parametrize("leaves", ["completes", "closes"])
async def test_mutation_is_told_that_nobody_hears_it_any_more(served: Served, leaves: str) -> None:
    async with raw_socket(served.port) as socket:
        await socket.initialise()
        socket.subscribe("1", "mutation { waitUntilLeft }")
        await served.stage.reached.wait()
        if leaves == "completes":
            socket.send("complete", id="1")
            await until(lambda: served.stage.mutations == ["left"])
    await until(lambda: served.stage.mutations == ["left"])


async def test_mutation_is_not_taken_for_left_when_the_gateway_goes_away(served: Served) -> None:
    async with raw_socket(served.port) as socket:
        await socket.initialise()
        socket.subscribe("1", "mutation { wait }")
        await served.stage.reached.wait()
        served.endpoint.drain()
        assert (await socket.read_frame())[0] == CLOSE
        served.stage.release.set()
        await until(lambda: served.sessions.opened[0].closed)
    assert served.stage.mutations == ["waited"]
    assert not served.stage.contexts[-1].client_left.is_set()


async def test_ping_of_the_protocol_and_of_the_socket_are_both_answered(served: Served) -> None:
    async with raw_socket(served.port) as socket:
        socket.send("ping")
        assert await socket.message() == {"type": "pong"}
        socket.send_frame(PING, b"beat")
        assert await socket.read_frame() == (PONG, b"beat")


async def test_unmasked_frame_ends_the_connection(served: Served) -> None:
    """RFC 6455 section 5.1: a server closes a connection whose client does not mask."""
    async with raw_socket(served.port) as socket:
        socket.send_frame(1, b'{"type":"ping"}', masked=False)
        await socket.assert_closed(1002, "")


async def test_library_client_goes_through_the_ordinary_flow(served: Served) -> None:
    url = served.url.replace("http", "ws")
    async with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as client:
        await client.send('{"type":"connection_init"}')
        assert json.loads(await client.recv()) == {"type": "connection_ack"}
        await client.send(
            json.dumps({"type": "subscribe", "id": "1", "payload": {"query": "subscription { count(to: 100) }"}})
        )
        types = [json.loads(await client.recv())["type"] for _ in range(101)]
        assert types == ["next"] * 100 + ["complete"]
