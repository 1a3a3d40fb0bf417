"""What a broken, hostile or changed ChatLogger answers, over real sockets. Faults that its documents do not name are ours."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest

from domain.errors import GatewayError, UnexpectedAnswer, UpstreamTimeout, UpstreamTooLarge, UpstreamUnavailable
from domain.records import MessageRole
from domain.source import ChatSource, MessageWindow, NewMessage
from tests.upstreams.chatlogger.server import BOTH, KEY, PASSWORD
from tests.upstreams.wire import Exchange, a_source, wire
from upstreams.chatlogger.capabilities import CREATED_DESC
from upstreams.chatlogger.source import chatlogger
from upstreams.http import UpstreamClients
from upstreams.policy import UpstreamSettings

pytestmark = pytest.mark.anyio
Fault = Callable[[Exchange], Awaitable[None]]
COOKIE = "cookie-value-1234"


async def html(exchange: Exchange) -> None:
    """200 with a web page: a proxy's login form, say."""
    body = f"<html>{COOKIE}</html>".encode()
    await exchange.write(b"HTTP/1.1 200 X\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


async def huge(exchange: Exchange) -> None:
    """200 MB, in pieces, for as long as anybody reads."""
    await exchange.write(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 209715200\r\n\r\n")
    for _ in range(200):
        await exchange.write(b" " * 2**20)


async def drip(exchange: Exchange) -> None:
    """One byte now and again, until nobody listens."""
    await exchange.write(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    while not exchange.writer.is_closing():
        await exchange.write(b" ")
        await asyncio.sleep(0.01)


async def reset(exchange: Exchange) -> None:
    """The connection goes in the middle of the body."""
    await exchange.write(b'HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n[{"id": 1')
    exchange.drop()


def faulty(fault: Fault) -> Fault:
    """A server that tells its release, logs in, and then does `fault`."""

    async def act(exchange: Exchange) -> None:
        match exchange.line:
            case "GET /version":
                await exchange.answer({"version": "0.5.0"})
            case "POST /auth/login":
                await exchange.answer({"message": "ok"}, headers={"Set-Cookie": f"auth_token={COOKIE}; Max-Age=60"})
            case _:
                with suppress(ConnectionError):  # who reads too much of it goes away
                    await fault(exchange)

    return act


@pytest.fixture
async def clients() -> AsyncIterator[UpstreamClients]:
    settings = UpstreamSettings(
        allow_private_addresses=True, timeout_seconds=0.5, max_answer_bytes=2**20, backoff_seconds=0.001
    )
    made = UpstreamClients(settings)
    yield made
    await made.aclose()


def send(source: ChatSource) -> Awaitable[object]:
    new = NewMessage(id="m", reply_id="r", chat_id="1", role=MessageRole.USER, text="hi", parent_id=None)
    return anext(source.send_message(new))


OPERATIONS: dict[str, Callable[[ChatSource], Awaitable[object]]] = {
    "list": lambda source: source.list_chats(CREATED_DESC, None),
    "chat": lambda source: source.get_chat("1"),
    "messages": lambda source: source.read_messages("1", MessageWindow(last=1)),
    "send": send,
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("fault", "kind"),
    [(html, UnexpectedAnswer), (huge, UpstreamTooLarge), (drip, UpstreamTimeout), (reset, UpstreamUnavailable)],
    ids=["html", "huge", "drip", "reset"],
)
async def test_fault_becomes_an_error_of_ours_without_a_secret(
    clients: UpstreamClients, operation: str, fault: Fault, kind: type[GatewayError]
) -> None:
    async with wire(faulty(fault)) as server:
        source = chatlogger(clients).connect(a_source("chatlogger", server.url, slug="acme"), BOTH)
        with pytest.raises(kind) as caught:
            await OPERATIONS[operation](source)
        for secret in (COOKIE, KEY, PASSWORD):
            assert secret not in str(caught.value)
        if operation == "send":
            assert getattr(caught.value, "perhaps_executed", False)
            assert sum(line.startswith("POST /v1/orgs") for line in server.lines) == 1


async def test_cookie_travels_over_the_real_pool(clients: UpstreamClients) -> None:
    heads: list[str] = []

    async def one(exchange: Exchange) -> None:
        heads.append(exchange.head.lower())
        await exchange.answer([])

    async with wire(faulty(one)) as server:
        source = chatlogger(clients).connect(a_source("chatlogger", server.url, slug="acme"), BOTH)
        assert list((await source.list_chats(CREATED_DESC, None)).rows) == []
        found = await source.read_messages("1", MessageWindow(last=1))
    assert found is not None
    assert [f"cookie: auth_token={COOKIE}" in head for head in heads] == [True, True]
    assert not any(KEY in head for head in heads)
