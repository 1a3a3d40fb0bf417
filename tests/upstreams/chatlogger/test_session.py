"""The login: one cookie for all calls, renewed in time, never kept where another source could find it."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from domain.errors import UnexpectedAnswer, UpstreamError, UpstreamUnauthorized, UpstreamUnavailable
from domain.source import NewChat
from tests.upstreams.chatlogger.server import BEGIN, LOGIN, PASSWORD, Server, a_row
from tests.upstreams.recorded import load
from tests.upstreams.wire import an_answer
from upstreams.chatlogger.session import cookie_of
from upstreams.json_reading import WrongShape

pytestmark = pytest.mark.anyio
DAY = 24 * 3600.0


async def test_many_calls_at_once_log_in_once() -> None:
    server = Server(chats=[a_row(number) for number in range(1, 9)])
    source = server.connect()
    found = await asyncio.gather(*(source.get_chat(str(number)) for number in range(1, 9)))
    assert all(found)
    assert server.logins == 1


async def test_cookie_is_renewed_before_it_ends() -> None:
    server = Server(chats=[a_row(1)], lifetime="Max-Age=3600")
    source = server.connect()
    await source.get_chat("1")
    server.time.seconds += 3600 - 301
    await source.get_chat("1")
    assert server.logins == 1
    server.time.seconds += 2
    await source.get_chat("1")
    assert server.logins == 2
    cookies = [request.headers["cookie"] for request in server.transport.requests if "cookie" in request.headers]
    assert cookies == [f"auth_token=cookie-number-{number}" for number in (1, 1, 2)]


async def test_cookie_that_ends_between_two_calls_is_replaced_once() -> None:
    server = Server(chats=[a_row(1)])
    source = server.connect()
    await source.get_chat("1")
    server.valid.clear()
    found = await asyncio.gather(*(source.get_chat("1") for _ in range(5)), source.rename_chat("1", "New"))
    assert all(found)
    assert server.logins == 2
    assert server.chats[0]["title"] == "New"


async def test_fresh_cookie_that_is_refused_ends_the_call() -> None:
    server = Server(chats=[a_row(1)])
    server.routes["GET /v1/chats/1"] = lambda request: load("chatlogger")["unauthorized"].response()
    with pytest.raises(UpstreamUnauthorized, match="A fresh login was refused too"):
        await server.connect().get_chat("1")
    assert server.logins == 2
    assert server.asked == ["GET /v1/chats/1"] * 2


async def test_chat_of_another_organization_is_no_reason_to_log_in_again() -> None:
    server = Server()
    recorded = load("chatlogger")["get_chat_of_another_organization"]
    server.routes["GET /v1/chats/50"] = lambda request: recorded.response()
    with pytest.raises(UpstreamUnauthorized, match="another organization"):
        await server.connect().get_chat("50")
    assert server.logins == 1


async def test_login_that_is_refused_names_the_credentials_and_not_their_values() -> None:
    server = Server()
    server.routes["POST /auth/login"] = lambda request: an_answer({"error": f"wrong: {PASSWORD}"}, 401)
    with pytest.raises(UpstreamUnauthorized, match="Check the credential `password`") as caught:
        await server.connect().get_chat("1")
    assert PASSWORD not in str(caught.value)
    assert server.asked == []


@pytest.mark.parametrize("status", [400, 401, 404, 500])
async def test_write_whose_login_failed_was_certainly_not_made(status: int) -> None:
    server = Server()
    server.routes["POST /auth/login"] = lambda request: an_answer({"error": "no"}, status)
    source = server.connect(LOGIN)
    with pytest.raises(UpstreamError) as caught:
        await source.create_chat(NewChat(title="x"))
    assert not caught.value.perhaps_executed
    assert server.asked == []


async def test_broken_login_is_tried_again() -> None:
    server = Server(chats=[a_row(1)])
    tried: list[str] = []

    def log_in(request: httpx.Request) -> httpx.Response:
        tried.append(request.url.path)
        if len(tried) == 1:
            raise httpx.RemoteProtocolError("cut")
        return an_answer({}, 503) if len(tried) == 2 else server.log_in(request)

    server.routes["POST /auth/login"] = log_in
    assert await server.connect().get_chat("1") is not None


async def test_broken_connection_on_each_login_is_an_outage() -> None:
    server = Server()

    def cut(request: httpx.Request) -> httpx.Response:
        raise httpx.RemoteProtocolError("cut")

    server.routes["POST /auth/login"] = cut
    with pytest.raises(UpstreamUnavailable):
        await server.connect().get_chat("1")


@pytest.mark.parametrize(
    "cookie", [None, "other=1; Path=/", "auth_token=; Path=/", "auth_token=a\tb"], ids=["none", "other", "empty", "tab"]
)
async def test_login_without_a_cookie_is_no_chatlogger(cookie: str | None) -> None:
    server = Server()
    headers = {"Set-Cookie": cookie} if cookie else {}
    server.routes["POST /auth/login"] = lambda request: an_answer({"message": "ok"}, headers=headers)
    with pytest.raises(UnexpectedAnswer, match="auth_token") as caught:
        await server.connect().get_chat("1")
    assert not caught.value.perhaps_executed


async def test_cookie_is_kept_out_of_every_sentence() -> None:
    server = Server(chats=[a_row(1)])
    server.routes["GET /v1/chats/1"] = lambda request: an_answer({"error": f"saw {request.headers['cookie']}"}, 418)
    with pytest.raises(UpstreamError) as caught:
        await server.connect().get_chat("1")
    assert "cookie-number-1" not in str(caught.value)
    assert "[redacted]" in str(caught.value)


async def test_cookie_of_one_source_does_not_sign_in_another() -> None:
    """Both sources are at the same host, over the same pool."""
    first = Server(chats=[a_row(1)])
    source, other = first.connect(), first.connect({**LOGIN, "password": "wrong-password"})
    assert await source.get_chat("1") is not None
    with pytest.raises(UpstreamUnauthorized):
        await other.get_chat("1")
    assert sum("cookie" in request.headers for request in first.transport.requests) == 1


@pytest.mark.parametrize(
    ("attributes", "seconds"),
    [
        ("Max-Age=60; Expires=Thu, 01 Jan 2099 00:00:00 GMT", 60),
        ("Expires=Thu, 01 Jan 2026 01:00:00 GMT", 3600),
        ("expires=Wed, 31 Dec 2025 23:00:00 GMT", 0),
        ("Max-Age=-1", 0),
        ("Max-Age=soon; Expires=later", DAY),
        ("Path=/; HttpOnly", DAY),
    ],
)
def test_lifetime_of_a_cookie(attributes: str, seconds: float) -> None:
    headers = httpx.Headers([("Set-Cookie", "theme=dark"), ("Set-Cookie", f'auth_token="a.b-c_d="; {attributes}')])
    assert cookie_of(headers, BEGIN) == ("a.b-c_d=", seconds)


def test_cookie_that_is_not_there_is_named() -> None:
    with pytest.raises(WrongShape, match="auth_token"):
        cookie_of(httpx.Headers(), BEGIN + timedelta(0))
