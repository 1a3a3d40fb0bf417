"""Socket.IO as a protocol: opening, events, acknowledgements, pings, good-byes, and whatever else may come over the wire."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve

from domain.errors import UnexpectedAnswer, UpstreamRejected, UpstreamTimeout, UpstreamUnavailable
from tests.upstreams.wire import a_source
from upstreams.client import UpstreamClient
from upstreams.failures import Failures
from upstreams.http import UpstreamClients
from upstreams.policy import UpstreamSettings, VendorPolicy
from upstreams.redaction import Redactor
from upstreams.requests import get
from upstreams.socketio import Ended, Event, SocketIO, connected, packet_of

pytestmark = pytest.mark.anyio
TOKEN = "token-0123456789"
OPEN = get("open_socket", "/ws/", {"EIO": 4})
SETTINGS: dict[str, Any] = {"sid": "s", "upgrades": [], "pingInterval": 25_000, "pingTimeout": 20_000, "maxPayload": 1}


@dataclass
class Server:
    """Says `opening` and `answer` at once, then does what a test tells it; every frame that it gets is kept."""

    opening: str = "0" + json.dumps(SETTINGS)
    answer: str = '40{"sid": "t"}'
    act: Callable[[ServerConnection], Awaitable[None]] | None = None
    url: str = ""
    got: list[str] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, connection: ServerConnection) -> None:
        await connection.send(self.opening)
        self.got.append(str(await connection.recv()))
        await connection.send(self.answer)
        if self.act is not None:
            await self.act(connection)
        await connection.wait_closed()
        self.left.set()


def saying(*frames: str | bytes) -> Callable[[ServerConnection], Awaitable[None]]:
    async def act(connection: ServerConnection) -> None:
        for frame in frames:
            await connection.send(frame)

    return act


def closing(code: int, reason: str = "") -> Callable[[ServerConnection], Awaitable[None]]:
    async def act(connection: ServerConnection) -> None:
        await connection.close(code, reason)

    return act


@asynccontextmanager
async def dialled(server: Server, **settings: Any) -> AsyncIterator[tuple[SocketIO, UpstreamClient]]:
    """A connection to the server that is open."""
    async with serve(server.serve, "127.0.0.1", 0) as listening:
        server.url = f"http://127.0.0.1:{next(iter(listening.sockets)).getsockname()[1]}"
        source = a_source(base_url=server.url)
        clients = UpstreamClients(UpstreamSettings(allow_private_addresses=True, **settings))
        policy = VendorPolicy(words=str)
        client = clients.client(source, headers={}, secrets=[TOKEN], policy=policy)
        dialling = connected(client, Failures(source), Redactor([TOKEN]), OPEN, {"token": TOKEN}, seconds=0.5)
        async with dialling as socket:
            yield socket, client


async def first(server: Server, **settings: Any) -> Event | None:
    async with dialled(server, **settings) as (socket, _):
        return await socket.next(within_seconds=5)


# Opening


async def test_token_is_shown_when_connecting_and_nowhere_else() -> None:
    server = Server(act=saying('42["hello"]'))
    await first(server)
    assert server.got == [f'40{{"token":"{TOKEN}"}}']


@pytest.mark.parametrize(
    ("opening", "error"),
    [("40", UnexpectedAnswer), ("0", UnexpectedAnswer), ("0[]", UnexpectedAnswer), ("0{}", UnexpectedAnswer)],
)
async def test_what_is_no_beginning_is_told(opening: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"Engine\.IO"):
        await first(Server(opening=opening))


@pytest.mark.parametrize("said", [{"message": f"no {TOKEN}"}, f"no {TOKEN}"])
async def test_refusal_is_told_without_the_secret(said: Any) -> None:
    with pytest.raises(UpstreamRejected, match=r'refused: "no \[redacted\]"'):
        await first(Server(answer=f"44{json.dumps(said)}"))


async def test_server_that_does_not_answer_is_not_waited_for() -> None:
    with pytest.raises(UpstreamTimeout, match=r"within 0\.5 s"):
        await first(Server(answer="2"))


async def test_good_bye_before_the_beginning_is_a_failure() -> None:
    with pytest.raises(UpstreamUnavailable):
        await first(Server(answer="41"))


# Events


async def test_events_come_in_their_order() -> None:
    async with dialled(Server(act=saying('42["a",1]', '42["b",{"c":[2]}]', '42["d"]'))) as (socket, _):
        seen = [await socket.next(within_seconds=5) for _ in range(3)]
    assert seen == [Event("a", [1]), Event("b", [{"c": [2]}]), Event("d", [])]


async def test_ping_is_answered() -> None:
    ponged = asyncio.Event()

    async def act(connection: ServerConnection) -> None:
        await connection.send("2")
        if await connection.recv() == "3":
            ponged.set()
            await connection.send('42["after"]')

    assert await first(Server(act=act)) == Event("after", [])
    assert ponged.is_set()


async def test_nothing_within_the_time_is_nothing() -> None:
    async with dialled(Server()) as (socket, _):
        assert await socket.next(within_seconds=0.01) is None
        assert await socket.next(within_seconds=0) is None


async def test_acknowledgement_finds_its_call_and_events_meanwhile_are_kept() -> None:
    async def act(connection: ServerConnection) -> None:
        assert await connection.recv() == '421["join",{"x":1}]'
        for frame in ('42["meanwhile"]', '437["of another call"]', '431[{"id":"u"},2]'):
            await connection.send(frame)

    async with dialled(Server(act=act)) as (socket, _):
        assert await socket.call("join", {"x": 1}) == [{"id": "u"}, 2]
        assert await socket.next(within_seconds=5) == Event("meanwhile", [])


async def test_garbage_is_counted_and_left_out() -> None:
    garbage = (
        b"\x00binary",
        "",
        "9",
        "x",
        "4",
        "42",
        "42{}",
        "42[]",
        "42[7]",
        '42/admin,["x"]',
        '451-["a",{}]',
        "43[1]",
        "42" + "[" * 100_000,
    )
    async with dialled(Server(act=saying(*garbage, "6", '42["sense"]'))) as (socket, client):
        assert await socket.next(within_seconds=5) == Event("sense", [])
        assert client.health().contract_drift == len(garbage)


@given(st.text() | st.from_regex(r"[0-6](/[a-z]*,)?[0-9]{0,20}[\[{\"\]}]{0,9}", fullmatch=True))
def test_no_text_is_too_strange(text: str) -> None:
    packet_of(text)


@given(
    st.text(min_size=1, max_size=9),
    st.lists(st.dictionaries(st.text(max_size=5), st.integers(-(2**53), 2**53)), max_size=3),
)
def test_event_comes_out_as_it_went_in(name: str, data: list[Any]) -> None:
    assert packet_of("2" + json.dumps([name, *data])) == Event(name, data)


# Endings


@pytest.mark.parametrize(
    "act",
    [saying("41"), saying("1"), closing(1000), closing(1001), closing(1012)],
    ids=["disconnected", "closed", "1000", "1001", "1012"],
)
async def test_orderly_end_is_told_apart(act: Any) -> None:
    async with dialled(Server(act=act)) as (socket, _):
        with pytest.raises(Ended):
            await socket.next(within_seconds=5)


async def test_other_end_is_a_failure_without_the_secret() -> None:
    with pytest.raises(UpstreamUnavailable, match=r'closed with 4001 "bye \[redacted\]"'):
        await first(Server(act=closing(4001, f"bye {TOKEN}")))


async def test_connection_that_is_cut_is_a_failure() -> None:
    async def act(connection: ServerConnection) -> None:
        connection.transport.abort()

    with pytest.raises(UpstreamUnavailable, match="1006"):
        await first(Server(act=act))


async def test_frame_that_is_too_large_ends_the_connection() -> None:
    with pytest.raises(UpstreamUnavailable, match="1009"):
        await first(Server(act=saying('42["x","' + "y" * 5000 + '"]')), max_answer_bytes=1000)


async def test_silence_beyond_the_servers_own_pings_is_a_failure() -> None:
    server = Server(opening="0" + json.dumps({**SETTINGS, "pingInterval": 30, "pingTimeout": 20}))
    with pytest.raises(UpstreamTimeout):
        await first(server)


@pytest.mark.parametrize(
    "told", [{}, {"pingInterval": None, "pingTimeout": 20}, {"pingInterval": -1, "pingTimeout": True}]
)
async def test_pings_that_are_not_announced_are_not_missed_at_once(told: dict[str, Any]) -> None:
    server = Server(opening="0" + json.dumps({"sid": "s", **told}))
    async with dialled(server) as (socket, _):
        assert await socket.next(within_seconds=0.01) is None


async def test_who_leaves_leaves_nothing_behind() -> None:
    server = Server()
    async with dialled(server):
        pass
    async with asyncio.timeout(5):
        await server.left.wait()
