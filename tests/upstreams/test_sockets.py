"""Sockets keep the rules of the calls: addresses, redirects, sizes, secrets, the breaker."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request as Handshake
from websockets.http11 import Response

from domain.errors import CircuitOpen, UnexpectedAnswer, UpstreamRateLimited, UpstreamTimeout, UpstreamUnavailable
from tests.upstreams.wire import Exchange, a_source, wire
from upstreams.client import UpstreamClient
from upstreams.http import UpstreamClients
from upstreams.policy import UpstreamSettings, VendorPolicy
from upstreams.requests import get
from upstreams.sockets import SocketClosed

pytestmark = pytest.mark.anyio
KEY = "socket-key-0123456789"
SOCKET = get("open_socket", "/ws")


@dataclass
class Server:
    """Sends `greeting` to whoever connects; `answer` takes the place of the handshake."""

    url: str = ""
    greeting: str = "hello"
    answer: tuple[HTTPStatus, dict[str, str]] | None = None
    met: list[str] = field(default_factory=list)

    async def talk(self, connection: ServerConnection) -> None:
        await connection.send(self.greeting)
        await connection.wait_closed()

    def meet(self, connection: ServerConnection, request: Handshake) -> Response | None:
        self.met.append(request.path)
        if self.answer is None:
            return None
        response = connection.respond(self.answer[0], "")
        response.headers.update(self.answer[1])
        return response


@asynccontextmanager
async def a_server(**more: Any) -> AsyncIterator[Server]:
    state = Server(**more)
    async with serve(state.talk, "127.0.0.1", 0, process_request=state.meet) as server:
        state.url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        yield state


def a_client(url: str, **settings: Any) -> UpstreamClient:
    known = {"allow_private_addresses": True, "timeout_seconds": 2.0, **settings}
    return UpstreamClients(UpstreamSettings(**known)).client(
        a_source(base_url=url),
        headers={"X-API-Key": KEY},
        secrets=[KEY],
        policy=VendorPolicy(words=lambda body: str(body)),
    )


async def heard(client: UpstreamClient) -> str | bytes:
    async with client.socket(SOCKET, {}) as socket:
        return await socket.receive()


async def test_open_socket_makes_the_source_healthy() -> None:
    async with a_server() as server:
        client = a_client(server.url)
        assert await heard(client) == "hello"
    assert client.health().last_success_at is not None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_private_address_is_refused_before_a_connection(host: str) -> None:
    async with a_server() as server:
        client = a_client(server.url.replace("127.0.0.1", host), allow_private_addresses=False)
        with pytest.raises(UpstreamUnavailable, match="private network") as caught:
            await heard(client)
    assert not caught.value.perhaps_executed
    assert server.met == []


@pytest.mark.parametrize("url", ["ftp://vendor.test", "http://", "http://[::1", "http://vendor.test:99999"])
async def test_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UpstreamUnavailable, match="not an"):
        await heard(a_client(url))


async def test_redirect_is_not_followed() -> None:
    async with a_server() as other:
        moved = (HTTPStatus.TEMPORARY_REDIRECT, {"Location": f"{other.url.replace('http', 'ws')}/ws"})
        async with a_server(answer=moved) as server:
            with pytest.raises(UnexpectedAnswer):
                await heard(a_client(server.url))
    assert other.met == []


async def test_wait_that_a_refused_handshake_names_is_kept() -> None:
    async with a_server(answer=(HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": "77"})) as server:
        client = a_client(server.url)
        with pytest.raises(UpstreamRateLimited) as caught:
            await heard(client)
        assert caught.value.retry_after_seconds == 77
        with pytest.raises(UpstreamRateLimited):
            await heard(client)
    assert len(server.met) == 1


async def test_frame_that_is_too_large_ends_the_socket() -> None:
    async with a_server(greeting="x" * 5000) as server:
        with pytest.raises(SocketClosed) as caught:
            await heard(a_client(server.url, max_answer_bytes=1000))
    assert caught.value.code == 1009


async def test_credentials_are_not_logged_whatever_the_level(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with a_server() as server:
            await heard(a_client(server.url))
    mine = [record.getMessage() for record in caplog.records if record.name.startswith("switchboard")]
    assert not any(KEY in line for line in mine)
    assert not any("X-API-Key" in line for line in mine)


async def test_handshake_that_is_never_answered_times_out_with_nothing_done() -> None:
    async def silent(exchange: Exchange) -> None:
        await exchange.writer.wait_closed()

    async with wire(silent) as server:
        with pytest.raises(UpstreamTimeout) as caught:
            await heard(a_client(server.url, timeout_seconds=0.2))
    assert not caught.value.perhaps_executed


async def test_server_that_knows_no_sockets_is_unavailable() -> None:
    async def drop(exchange: Exchange) -> None:
        exchange.drop()

    async with wire(drop) as server:
        with pytest.raises(UpstreamUnavailable) as caught:
            await heard(a_client(server.url))
    assert not caught.value.perhaps_executed


async def test_source_whose_sockets_fail_is_left_alone() -> None:
    async with a_server(answer=(HTTPStatus.BAD_GATEWAY, {})) as server:
        client = a_client(server.url, breaker_threshold=2)
        for _ in range(2):
            with pytest.raises(UpstreamUnavailable):
                await heard(client)
        with pytest.raises(CircuitOpen):
            await heard(client)
    assert len(server.met) == 2
