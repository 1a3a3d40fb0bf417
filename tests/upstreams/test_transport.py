"""What the real transport says about a broken request, and where it refuses to go."""

import asyncio
import socket

import httpx
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.upstreams.wire import Act, Exchange, Wire, wire
from upstreams.transport import (
    AddressRefused,
    Transport,
    certainly_not_sent,
    is_broken_connection,
    is_public,
)

pytestmark = pytest.mark.anyio


async def post(url: str, transport: httpx.AsyncBaseTransport | None = None) -> httpx.Response:
    real = transport or Transport(allow_private_addresses=True)
    async with httpx.AsyncClient(transport=real, timeout=None, trust_env=False) as client:
        return await client.post(url, content=b'{"text": "hello"}')


async def failure_of(url: str, transport: httpx.AsyncBaseTransport | None = None) -> httpx.RequestError:
    with pytest.raises(httpx.RequestError) as caught:
        await post(url, transport)
    return caught.value


async def drop(exchange: Exchange) -> None:
    exchange.drop()


async def half_a_head(exchange: Exchange) -> None:
    await exchange.write(b"HTTP/1.1 200 OK\r\nConte")
    exchange.drop()


async def half_a_body(exchange: Exchange) -> None:
    await exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    exchange.drop()


async def half_a_chunk(exchange: Exchange) -> None:
    await exchange.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf")
    exchange.drop()


async def reset(exchange: Exchange) -> None:
    await exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    exchange.writer.transport.abort()


async def another_protocol(exchange: Exchange) -> None:
    await exchange.write(b"SSH-2.0-OpenSSH_9\r\n\r\n")
    exchange.drop()


@pytest.mark.parametrize("own_pool", [False, True], ids=["aiohttp", "httpx"])
async def test_refused_port_is_certainly_not_sent(own_pool: bool) -> None:
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    error = await failure_of(f"http://127.0.0.1:{port}/", httpx.AsyncHTTPTransport() if own_pool else None)
    assert certainly_not_sent(error)
    assert not is_broken_connection(error)


async def test_name_without_address_is_certainly_not_sent() -> None:
    assert certainly_not_sent(await failure_of("http://nowhere.invalid/"))


@pytest.mark.parametrize("own_pool", [False, True], ids=["aiohttp", "httpx"])
@pytest.mark.parametrize("act", [drop, half_a_head, half_a_body, half_a_chunk, reset, another_protocol])
async def test_request_that_was_read_counts_as_perhaps_executed(act: Act, own_pool: bool) -> None:
    async with wire(act) as server:
        error = await failure_of(server.url, httpx.AsyncHTTPTransport() if own_pool else None)
        assert server.lines == ["POST /"]
    assert not certainly_not_sent(error)


async def test_connection_dropped_at_once_counts_as_perhaps_executed() -> None:
    def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    error = await failure_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    server.close()
    assert not certainly_not_sent(error)
    assert is_broken_connection(error)


def test_unknown_error_counts_as_perhaps_executed() -> None:
    assert not certainly_not_sent(httpx.ConnectError("who knows"))
    assert not certainly_not_sent(RuntimeError("who knows"))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_address_is_private(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_address_is_public(address: str) -> None:
    assert is_public(address)


class Names(AbstractResolver):
    """Leads every name to the given addresses, and counts how often it was asked."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
async def test_private_address_is_refused_before_anything_is_sent(host: str) -> None:
    async with wire(drop) as server:
        error = await failure_of(f"http://{host}:{port_of(server)}/", Transport(allow_private_addresses=False))
        assert isinstance(error, AddressRefused)
        assert certainly_not_sent(error)
        assert server.connections == 0


async def test_name_that_leads_to_a_private_address_is_refused() -> None:
    names = Names("1.1.1.1", "127.0.0.1")
    async with wire(drop) as server:
        transport = Transport(allow_private_addresses=False, resolver=names)
        error = await failure_of(f"http://public.test:{port_of(server)}/", transport)
        assert isinstance(error, AddressRefused)
        assert server.connections == 0
    assert names.asked


async def test_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that answers "public" first and "private" when connecting would otherwise lead inside."""
    names = Names("127.0.0.1")
    checked: list[str] = []

    # Loopback stands in for a public address: nothing else may be reached from a test.
    def is_public(address: str) -> bool:
        checked.append(address)
        return True

    monkeypatch.setattr("upstreams.transport.is_public", is_public)

    async def answer(exchange: Exchange) -> None:
        await exchange.answer(exchange.head.split("host: ")[1].split("\r\n")[0])

    async with wire(answer) as server:
        transport = Transport(allow_private_addresses=False, resolver=names)
        async with httpx.AsyncClient(transport=transport, timeout=None) as client:
            for _ in range(2):
                response = await client.get(f"http://no-such-name.invalid:{port_of(server)}/")
                assert response.json() == f"no-such-name.invalid:{port_of(server)}"
        assert server.connections == 1
    assert "127.0.0.1" in checked
    assert names.asked == ["no-such-name.invalid"]


async def test_path_arrives_as_it_was_escaped() -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.answer()

    async with wire(answer) as server:
        await post(f"{server.url}/a%2Fb/%252e%252e/c%20d?x=a%26b+c%25")
        assert server.lines == ["POST /a%2Fb/%252e%252e/c%20d?x=a%26b+c%25"]


def port_of(server: Wire) -> str:
    return server.url.rsplit(":", 1)[1]
