"""The policy of the shared client, rule by rule: retries, deadlines, quotas, the breaker, limits, cancellation, and no secrets."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from domain.errors import (
    CircuitOpen,
    GatewayError,
    NotFound,
    UnexpectedAnswer,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUnauthorized,
    UpstreamUnavailable,
)
from domain.records import HealthState
from tests.upstreams.wire import Exchange, FakeClock, Scripted, a_source, an_answer, wire
from upstreams.client import UpstreamClient
from upstreams.http import UpstreamClients
from upstreams.json_reading import as_object
from upstreams.policy import Call, UpstreamSettings, VendorPolicy
from upstreams.requests import Request, delete, get, listen, post
from upstreams.truth import Meaning, Truth

pytestmark = pytest.mark.anyio

SECRET = "sk-secret-123456"
READ = get("read_thing", "/thing")
WRITE = post("write_thing", "/thing", {"a": 1})
POLICY = VendorPolicy(
    words=lambda body: str(body.get("message", "")) if isinstance(body, dict) else "",
    retry_after=lambda body: body.get("retryAfter") if isinstance(body, dict) else None,
)


def a_client(
    clients: UpstreamClients, base_url: str = "https://vendor.test", *, per_minute: float | None = None
) -> UpstreamClient:
    return clients.client(
        a_source(base_url=base_url),
        headers={"x-api-key": SECRET},
        secrets=[SECRET],
        policy=POLICY,
        per_minute=per_minute,
    )


class Bench:
    """A client over a script: `answers` are given in turn, an exception is raised, the last one repeats."""

    def __init__(self, *answers: httpx.Response | Exception, per_minute: float | None = None, **settings: Any) -> None:
        self.time = FakeClock()
        self.calls: list[Call] = []
        rest: Iterator[httpx.Response | Exception] = iter(answers)
        last: list[httpx.Response | Exception] = []

        def handler(request: httpx.Request) -> httpx.Response:
            answer = next(rest, last[-1] if last else an_answer({}))
            last.append(answer)
            if isinstance(answer, Exception):
                raise answer
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

        self.transport = Scripted(handler)
        self.clients = UpstreamClients(
            UpstreamSettings(**settings),
            clock=self.time.clock,
            transport=self.transport,
            observe=self.calls.append,
        )
        self.client = a_client(self.clients, per_minute=per_minute)

    async def error(self, request: Request = READ) -> Any:
        """What a request ends with."""
        with pytest.raises(GatewayError) as caught:
            await self.client.send(request)
        assert SECRET not in str(caught.value)
        return caught.value


# What is sent


async def test_request_carries_credentials_body_and_agent() -> None:
    bench = Bench(an_answer({"ok": True}))
    assert await bench.client.json(WRITE, lambda body: as_object(body).flag("ok"))
    (request,) = bench.transport.requests
    assert bench.transport.lines == ["POST /thing"]
    assert request.headers["x-api-key"] == SECRET
    assert request.headers["user-agent"] == "switchboard"
    assert request.headers["content-type"] == "application/json"
    assert request.content == b'{"a":1}'


async def test_base_url_may_have_a_path_and_a_slash() -> None:
    bench = Bench(an_answer({}))
    await a_client(bench.clients, "https://vendor.test/below/").send(READ)
    assert bench.transport.lines == ["GET /below/thing"]


async def test_headers_of_a_request_are_sent_with_it_alone_and_not_shown() -> None:
    signed = Request(operation="read_thing", method="GET", path="/thing", headers={"Cookie": "session=abcdef"})
    bench = Bench(an_answer({}, headers={"Set-Cookie": "session=ghijkl"}))
    answer = await bench.client.send(signed)
    await bench.client.send(READ)
    assert [request.headers.get("cookie") for request in bench.transport.requests] == ["session=abcdef", None]
    assert answer.headers["set-cookie"] == "session=ghijkl"
    assert "abcdef" not in repr(answer)
    assert "ghijkl" not in repr(answer)


async def test_equal_questions_that_are_signed_differently_are_asked_both() -> None:
    signed = [
        Request(operation="read_thing", method="GET", path="/thing", headers={"Cookie": name}) for name in ("a", "b")
    ]
    bench = Bench(an_answer({}))
    await asyncio.gather(*(bench.client.send(request) for request in signed))
    assert len(bench.transport.requests) == 2


async def test_secret_that_comes_later_is_kept_too() -> None:
    bench = Bench(an_answer({"message": f"{SECRET} and later-1 and later-2"}, 400))
    bench.client.keep_secret("later-1")
    bench.client.keep_secret("later-2")
    assert (await bench.error()).message.count("[redacted]") == 2


async def test_refusal_without_json_can_be_told_from_one_with_it() -> None:
    """A router's own 404 says that the path is wrong, not that the thing is gone."""
    truths = (Truth(Meaning.CHANGED, (404, 404), "Check the path.", without_json=True),)
    policy = VendorPolicy(truths=truths, words=POLICY.words)
    bench = Bench(an_answer(status=404, content=b"404 page not found"), an_answer({}, 404))
    client = bench.clients.client(a_source(), headers={}, secrets=[], policy=policy)
    with pytest.raises(UnexpectedAnswer, match=r"Check the path\."):
        await client.send(READ)
    with pytest.raises(NotFound):
        await client.send(READ)


async def test_cookies_are_not_kept() -> None:
    """Two sources may share a host; one account's session must not sign the other in."""
    bench = Bench(an_answer({}, headers={"Set-Cookie": "token=abc"}))
    for _ in range(2):
        await bench.client.send(WRITE)
    assert "cookie" not in bench.transport.requests[1].headers


# Retries


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
async def test_reading_is_tried_again_after_a_failing_server(status: int) -> None:
    bench = Bench(an_answer({}, status), an_answer({}, status), an_answer({"n": 1}))
    assert (await bench.client.send(READ)).body == b'{"n": 1}'
    assert [call.attempt for call in bench.calls] == [1, 2, 3]
    assert bench.time.sleeps == [0.1, 0.2]  # half of 0.2 and 0.4: full jitter with the chance at its middle


async def test_reading_is_given_up_after_its_attempts() -> None:
    bench = Bench(an_answer({"message": "busy"}, 503))
    error = await bench.error()
    assert isinstance(error, UpstreamUnavailable)
    assert not error.perhaps_executed
    assert error.message == 'team: read thing was answered with 503: "busy". Try again later.'
    assert len(bench.calls) == 3


@pytest.mark.parametrize("status", [500, 503])
async def test_writing_is_never_repeated_after_a_failing_server(status: int) -> None:
    bench = Bench(an_answer({}, status))
    error = await bench.error(WRITE)
    assert error.perhaps_executed
    assert len(bench.calls) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
async def test_refusal_is_final(status: int) -> None:
    bench = Bench(an_answer({"message": f"no {SECRET}"}, status))
    error = await bench.error()
    assert not getattr(error, "perhaps_executed", False)
    assert len(bench.calls) == 1


async def test_deletion_whose_answer_was_lost_succeeds_when_nothing_is_left() -> None:
    bench = Bench(an_answer({}, 502), an_answer({}, 404))
    assert (await bench.client.send(delete("delete_thing", "/thing"))).status == 204


async def test_deletion_of_nothing_is_not_found() -> None:
    assert isinstance(await Bench(an_answer({}, 404)).error(delete("delete_thing", "/thing")), NotFound)


@pytest.mark.parametrize("base_url", ["ftp://vendor.test", "not an address", "http://[::1", "https://"])
async def test_impossible_address_is_refused_before_anything_is_sent(base_url: str) -> None:
    clients = UpstreamClients(UpstreamSettings(allow_private_addresses=True))
    with pytest.raises(UpstreamUnavailable, match="`base_url`") as caught:
        await a_client(clients, base_url).send(WRITE)
    await clients.aclose()
    assert not caught.value.perhaps_executed


async def test_write_that_perhaps_happened_stays_so_when_the_quota_ends_it() -> None:
    bench = Bench(an_answer({}, 502), an_answer({}, 429, headers={"Retry-After": "60"}))
    error = await bench.error(post("set_thing", "/thing", {}, idempotent=True))
    assert isinstance(error, UpstreamRateLimited)
    assert error.perhaps_executed


async def test_probe_that_is_cancelled_leaves_the_way_free() -> None:
    time = FakeClock()
    fails = True

    async def handler(request: httpx.Request) -> httpx.Response:
        if fails:
            return an_answer({}, 500)
        await asyncio.Event().wait()
        raise AssertionError

    transport = Scripted(handler)
    settings = UpstreamSettings(attempts=1, breaker_threshold=1)
    client = a_client(UpstreamClients(settings, clock=time.clock, transport=transport))
    with pytest.raises(UpstreamUnavailable):
        await client.send(WRITE)
    time.seconds += 5
    fails = False
    transport.asked.clear()
    for _ in range(2):
        probe = asyncio.create_task(client.send(WRITE))
        await transport.asked.wait()
        transport.asked.clear()
        probe.cancel()
        await asyncio.wait([probe])
    assert len(transport.requests) == 3


@pytest.mark.parametrize(
    "request_",
    [post("set_thing", "/thing", {}, idempotent=True), delete("delete_thing", "/thing")],
    ids=["set", "delete"],
)
async def test_repeatable_writing_is_tried_again_and_still_perhaps_executed(request_: Request) -> None:
    bench = Bench(an_answer({}, 502))
    error = await bench.error(request_)
    assert error.perhaps_executed
    assert len(bench.calls) == 3


async def test_unknown_failure_of_a_writing_counts_as_perhaps_executed() -> None:
    bench = Bench(httpx.ReadError("gone"))
    error = await bench.error(WRITE)
    assert isinstance(error, UpstreamUnavailable)
    assert error.perhaps_executed
    assert len(bench.calls) == 1


# Slowing down


@pytest.mark.parametrize("headers", [{"Retry-After": "2"}, {"Retry-After": "Sat, 21 Nov 2026 00:16:42 GMT"}])
async def test_reading_waits_as_long_as_it_is_told(headers: dict[str, str]) -> None:
    bench = Bench(an_answer({}, 429, headers=headers), an_answer({"n": 1}))
    await bench.client.send(READ)
    assert sum(bench.time.sleeps) == pytest.approx(2)


async def test_wait_in_the_body_is_obeyed() -> None:
    bench = Bench(an_answer({"retryAfter": 3}, 429), an_answer({}))
    await bench.client.send(READ)
    assert sum(bench.time.sleeps) == pytest.approx(3)


async def test_wait_beyond_the_deadline_is_told_instead() -> None:
    bench = Bench(an_answer({"message": "slow down"}, 429, headers={"Retry-After": "60"}))
    error = await bench.error()
    assert isinstance(error, UpstreamRateLimited)
    assert error.retry_after_seconds == 60
    assert bench.time.sleeps == []
    again = await bench.error()
    assert "was not sent" in again.message
    assert again.retry_after_seconds == 60
    assert len(bench.calls) == 1


async def test_limit_without_a_wait_is_backed_off_from() -> None:
    bench = Bench(an_answer({}, 429))
    error = await bench.error()
    assert isinstance(error, UpstreamRateLimited)
    assert error.retry_after_seconds is None
    assert len(bench.calls) == 3


async def test_limited_writing_is_not_repeated_and_certainly_not_executed() -> None:
    bench = Bench(an_answer({}, 429))
    error = await bench.error(WRITE)
    assert isinstance(error, UpstreamRateLimited)
    assert not error.perhaps_executed
    assert len(bench.calls) == 1


async def test_exhausted_limit_holds_the_next_call_back() -> None:
    reset = str(datetime(2026, 11, 21, 0, 16, 45, tzinfo=UTC).timestamp())
    bench = Bench(an_answer({}, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}), an_answer({}))
    await bench.client.send(WRITE)
    await bench.client.send(WRITE)
    assert sum(bench.time.sleeps) == pytest.approx(5)


async def test_quota_belongs_to_the_credential_not_to_the_source() -> None:
    bench = Bench(an_answer({}), per_minute=10)
    other = a_client(bench.clients, per_minute=10)
    await bench.client.send(WRITE)
    await other.send(WRITE)
    assert sum(bench.time.sleeps) == pytest.approx(6)


# The breaker


async def test_circuit_opens_and_closes_again() -> None:
    bench = Bench(an_answer({}, 500), attempts=1, breaker_threshold=2, breaker_seconds=5)
    await bench.error()
    await bench.error()
    error = await bench.error()
    assert isinstance(error, CircuitOpen)
    assert error.retry_after_seconds == 5
    assert not error.perhaps_executed
    assert len(bench.calls) == 2
    assert bench.client.health().state is HealthState.DOWN
    bench.time.seconds += 5
    assert isinstance(await bench.error(), UpstreamUnavailable)
    assert len(bench.calls) == 3


async def test_call_during_which_the_circuit_opens_tells_what_went_wrong() -> None:
    bench = Bench(an_answer({"message": "busy"}, 503), breaker_threshold=2)
    error = await bench.error()
    assert not isinstance(error, CircuitOpen)
    assert "busy" in error.message
    assert len(bench.calls) == 2


async def test_refusals_do_not_open_the_circuit() -> None:
    bench = Bench(an_answer({}, 404), breaker_threshold=2)
    for _ in range(5):
        await bench.error()
    assert len(bench.calls) == 5


# Answers


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (an_answer(content=b"<!doctype html>", headers={"Content-Type": "text/html; charset=utf-8"}), "was a web page"),
        (an_answer(content=b'{"half": '), "was not JSON"),
        (an_answer(content=b""), "was not JSON"),
        (an_answer(content=b"\xff\xfe\x00"), "was not JSON"),
        (an_answer([]), "expected an object"),
        (an_answer({}), r"\$\.id: expected a text"),
    ],
    ids=["html", "half", "empty", "binary", "list", "missing"],
)
async def test_answer_of_another_shape_is_unexpected(answer: httpx.Response, words: str) -> None:
    bench = Bench(answer)
    with pytest.raises(UnexpectedAnswer, match=words) as caught:
        await bench.client.json(WRITE, lambda body: as_object(body).identifier("id"))
    assert caught.value.perhaps_executed
    health = bench.client.health()
    assert health.contract_drift == 1
    assert health.state is HealthState.DEGRADED


async def test_redirection_is_not_followed() -> None:
    bench = Bench(an_answer({}, 302, headers={"Location": "https://evil.test/"}))
    assert isinstance(await bench.error(), UnexpectedAnswer)
    assert len(bench.calls) == 1


async def test_error_with_a_broken_body_is_still_that_error() -> None:
    bench = Bench(an_answer(status=401, content=b"<html>"))
    assert isinstance(await bench.error(), UpstreamUnauthorized)


async def test_lone_surrogates_and_nan_are_read() -> None:
    bench = Bench(an_answer(content=b'{"id": "a\\ud800b", "n": NaN}'))
    found = await bench.client.json(READ, lambda body: as_object(body).text("id"))
    assert found.encode()
    assert found[0] + found[-1] == "ab"


@pytest.mark.parametrize("header", [True, False], ids=["length told", "length not told"])
async def test_answer_that_is_too_large_is_not_held(header: bool) -> None:
    """200 MB are offered; how much was taken shows that reading stopped."""
    taken = 0

    async def flood() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(200):
            taken += 1
            yield bytes(1024 * 1024)

    headers = {"Content-Type": "application/json"} | ({"Content-Length": str(200 * 1024 * 1024)} if header else {})
    transport = Scripted(lambda request: httpx.Response(200, headers=headers, content=flood()))
    client = a_client(UpstreamClients(transport=transport))
    with pytest.raises(UpstreamTooLarge):
        await client.send(READ)
    assert taken == 33


async def test_size_counts_decompressed() -> None:
    async def answer(exchange: Exchange) -> None:
        body = gzip.compress(bytes(10_000_000))
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
        await exchange.write(head.encode() + body)

    async with wire(answer) as server, real(server.url, max_answer_bytes=1_000_000) as client:
        with pytest.raises(UpstreamTooLarge):
            await client.send(READ)


# Streams


async def lines_of(client: UpstreamClient) -> list[bytes]:
    return [line async for line in client.lines(READ)]


async def test_lines_come_whole_wherever_the_chunks_end() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for piece in (b"on", b"e\ntwo\nth", b"re", b"e\n\nfour"):
            yield piece

    client = a_client(UpstreamClients(transport=Scripted(lambda request: httpx.Response(200, content=chunks()))))
    assert await lines_of(client) == [b"one", b"two", b"three", b"", b"four"]


async def test_line_that_is_too_long_costs_only_itself() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one\n" + b"x" * 600
        yield b"x" * 600 + b"\ntwo\n"

    transport = Scripted(lambda request: httpx.Response(200, content=chunks()))
    client = a_client(UpstreamClients(UpstreamSettings(max_answer_bytes=1000), transport=transport))
    assert await lines_of(client) == [b"one", b"", b"two"]


async def test_stream_that_falls_silent_times_out() -> None:
    async def act(exchange: Exchange) -> None:
        await exchange.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n")
        await asyncio.Event().wait()

    async with wire(act) as server, real(server.url, read_seconds=0.1) as client:
        with pytest.raises(UpstreamTimeout):
            await lines_of(client)


async def test_stream_that_breaks_is_unavailable() -> None:
    async def act(exchange: Exchange) -> None:
        await exchange.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n")
        exchange.drop()

    async with wire(act) as server, real(server.url) as client:
        with pytest.raises(UpstreamUnavailable):
            await lines_of(client)


# Single-flight


async def test_equal_readings_at_the_same_time_are_one_call() -> None:
    release = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        await release.wait()
        return an_answer({"n": 1})

    transport = Scripted(slow)
    client = a_client(UpstreamClients(transport=transport))
    tasks = [asyncio.create_task(client.send(READ)) for _ in range(10)]
    await transport.asked.wait()
    release.set()
    answers = await asyncio.gather(*tasks)
    assert len(transport.requests) == 1
    assert {answer.body for answer in answers} == {b'{"n": 1}'}


async def test_reading_after_a_write_does_not_join_one_from_before() -> None:
    """Else a toggle would be verified by what was true before it."""
    release = asyncio.Event()

    async def slow_first(request: httpx.Request) -> httpx.Response:
        if len(transport.requests) == 1:
            await release.wait()
            return an_answer("old")
        return an_answer("new")

    transport = Scripted(slow_first)
    client = a_client(UpstreamClients(transport=transport))
    before = asyncio.create_task(client.send(READ))
    await transport.asked.wait()
    await client.send(WRITE)
    assert (await client.send(READ)).body == b'"new"'
    release.set()
    assert (await before).body == b'"old"'


async def test_sources_do_not_share_readings() -> None:
    bench = Bench(an_answer({}))
    other = bench.clients.client(
        a_source(base_url="https://vendor.test"), headers={}, secrets=["another-secret"], policy=POLICY
    )
    await asyncio.gather(bench.client.send(READ), other.send(READ))
    assert len(bench.transport.requests) == 2


# Deadlines and leaving, over a real connection


class real:  # noqa: N801  # reads as what it is: `async with real(url) as client`
    """A client over the real transport, with short bounds."""

    def __init__(self, url: str, **settings: Any) -> None:
        known: dict[str, Any] = {"allow_private_addresses": True, "backoff_seconds": 0.01, "attempts": 2}
        self._clients = UpstreamClients(UpstreamSettings(**{**known, **settings}))
        self._url = url

    async def __aenter__(self) -> UpstreamClient:
        return a_client(self._clients, self._url)

    async def __aexit__(self, *args: object) -> None:
        await self._clients.aclose()


async def silence(exchange: Exchange) -> None:
    await asyncio.Event().wait()


async def slow_drip(exchange: Exchange) -> None:
    await exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        await exchange.write(b"x")
        await asyncio.sleep(0.01)


async def ok(exchange: Exchange) -> None:
    await exchange.answer({})


@pytest.mark.parametrize(
    ("source_id", "secret", "connections"),
    [(7, SECRET, 1), (7, "another-secret", 2), (8, SECRET, 2)],
    ids=["same", "other-credentials", "other-source"],
)
async def test_connection_serves_one_source_and_its_credentials_alone(
    source_id: int, secret: str, connections: int
) -> None:
    """A vendor that mixes up what it sends over one connection would else tell one tenant what is another's."""
    clients = UpstreamClients(UpstreamSettings(allow_private_addresses=True))
    async with wire(ok) as server:
        source = replace(a_source(base_url=server.url), id=source_id)
        other = clients.client(source, headers={}, secrets=[secret], policy=POLICY)
        for client in (a_client(clients, server.url), other, a_client(clients, server.url)):
            await client.send(READ)
        await clients.aclose()
    assert (len(server.lines), server.connections) == (3, connections)


@pytest.mark.parametrize("act", [silence, slow_drip])
@pytest.mark.parametrize("request_", [READ, WRITE], ids=["read", "write"])
async def test_deadline_covers_the_whole_call(act: Any, request_: Request) -> None:
    async with wire(act) as server, real(server.url, timeout_seconds=1.5) as client:
        with pytest.raises(UpstreamTimeout) as caught:
            await client.send(request_)
        assert caught.value.perhaps_executed is (request_ is WRITE)
        assert "within 1.5 s" in caught.value.message
        await asyncio.wait_for(server.disconnected.wait(), 2)


async def test_cancellation_reaches_the_vendor() -> None:
    async with wire(silence) as server, real(server.url) as client:
        task = asyncio.create_task(client.send(READ))
        await server.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(server.disconnected.wait(), 2)


async def fail_and_close(exchange: Exchange) -> None:
    """Open WebUI's way: 500, keep-alive by all signs, and then the connection is gone."""
    await exchange.answer({}, status=500)
    exchange.drop()


async def drop(exchange: Exchange) -> None:
    exchange.drop()


async def fine(exchange: Exchange) -> None:
    await exchange.answer({"n": 1})


async def half(exchange: Exchange) -> None:
    await exchange.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\nhalf")
    exchange.drop()


async def test_reading_survives_a_connection_dropped_after_a_500() -> None:
    async with wire(fail_and_close, fine) as server, real(server.url) as client:
        assert (await client.send(READ)).body == b'{"n": 1}'
        assert len(server.lines) == 2


@pytest.mark.parametrize("act", [drop, half])
async def test_reading_is_tried_again_on_a_broken_connection(act: Any) -> None:
    async with wire(act, fine) as server, real(server.url) as client:
        assert (await client.send(READ)).status == 200
        assert len(server.lines) == 2


async def test_dead_connection_is_replaced_once_at_once_and_is_no_failure() -> None:
    async with wire(fine, drop, fine) as server, real(server.url, attempts=2, backoff_seconds=100) as client:
        await client.send(READ)
        await client.send(get("read_other", "/other"))
        assert client.health().state is HealthState.HEALTHY
        assert len(server.lines) == 3


@pytest.mark.parametrize("act", [drop, half])
async def test_writing_is_not_repeated_on_a_broken_connection(act: Any) -> None:
    async with wire(act, fine) as server, real(server.url) as client:
        with pytest.raises(UpstreamUnavailable) as caught:
            await client.send(WRITE)
        assert caught.value.perhaps_executed
        assert len(server.lines) == 1


async def test_writing_that_found_no_connection_is_tried_again_and_not_executed() -> None:
    calls: list[Call] = []
    clients = UpstreamClients(
        UpstreamSettings(allow_private_addresses=True, backoff_seconds=0.001, attempts=3), observe=calls.append
    )
    client = a_client(clients, "http://127.0.0.1:1")
    with pytest.raises(UpstreamUnavailable) as caught:
        await client.send(WRITE)
    assert not caught.value.perhaps_executed
    assert [call.status for call in calls] == [None] * 3
    await clients.aclose()


async def test_private_address_is_refused_with_the_setting_to_change() -> None:
    async with wire(fine) as server, real(server.url, allow_private_addresses=False) as client:
        with pytest.raises(UpstreamUnavailable, match="allow_private_addresses") as caught:
            await client.send(WRITE)
        assert not caught.value.perhaps_executed
        assert server.connections == 0


async def test_no_more_calls_at_once_than_allowed() -> None:
    running, most = 0, 0

    async def count(request: httpx.Request) -> httpx.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return an_answer({})

    client = a_client(UpstreamClients(UpstreamSettings(concurrency=3), transport=Scripted(count)))
    await asyncio.gather(*(client.send(get("read", f"/{number}")) for number in range(20)))
    assert most == 3


async def test_waiting_for_a_place_past_the_deadline_was_certainly_not_sent() -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    client = a_client(UpstreamClients(UpstreamSettings(concurrency=1, timeout_seconds=0.1), transport=Scripted(never)))
    sooner = replace(WRITE, timeout_seconds=0.05)  # its time is over before the place is free
    errors = await asyncio.gather(client.send(WRITE), client.send(sooner), return_exceptions=True)
    assert [error.perhaps_executed for error in errors if isinstance(error, UpstreamError)] == [True, False]


async def test_place_that_comes_when_the_time_is_over_is_not_used() -> None:
    """The loop may be late to say that it is over."""
    is_answered, time = asyncio.Event(), FakeClock()

    async def answer(request: httpx.Request) -> httpx.Response:
        await is_answered.wait()
        return an_answer({})

    transport = Scripted(answer)
    client = a_client(UpstreamClients(UpstreamSettings(concurrency=1), clock=time.clock, transport=transport))
    first = asyncio.create_task(client.send(WRITE))
    await transport.asked.wait()
    second = asyncio.create_task(client.send(WRITE))
    await asyncio.sleep(0)
    time.seconds += 3600
    is_answered.set()
    await first
    with pytest.raises(UpstreamError) as caught:
        await second
    assert not caught.value.perhaps_executed
    assert len(transport.requests) == 1


# Health


async def test_health_follows_what_happens() -> None:
    bench = Bench(an_answer({}), an_answer({"message": SECRET}, 401), an_answer({}), an_answer({}, 400))
    assert bench.client.health().state is HealthState.UNKNOWN
    await bench.client.send(READ)
    healthy = bench.client.health()
    assert (healthy.state, healthy.latency_ms, healthy.message) == (HealthState.HEALTHY, 0, None)
    await bench.error()
    refused = bench.client.health()
    assert refused.state is HealthState.DEGRADED
    assert refused.last_success_at == healthy.last_success_at
    assert SECRET not in (refused.message or "")
    await bench.client.send(READ)
    await bench.error()
    assert bench.client.health().state is HealthState.HEALTHY


@pytest.mark.parametrize(
    "answer",
    [an_answer({"message": SECRET}, 500), httpx.ConnectError(f"to https://u:{SECRET}@vendor.test")],
    ids=["refused", "broken"],
)
async def test_no_secret_is_in_errors_logs_or_representations(
    answer: httpx.Response | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    bench = Bench(answer)
    error = await bench.error()
    assert SECRET not in repr(error)
    assert SECRET not in caplog.text
    assert SECRET not in repr(bench.client)


async def test_listening_asks_for_a_stream_and_says_when_it_is_open() -> None:
    opened = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        assert opened.is_set()
        yield b"data: 1\n\n"

    transport = Scripted(lambda request: httpx.Response(200, content=chunks()))
    client = a_client(UpstreamClients(transport=transport))
    request = listen("listen", "/listen")
    assert [line async for line in client.lines(request, opened)] == [b"data: 1", b""]
    assert transport.requests[0].headers["accept"] == "text/event-stream"


async def test_stream_that_is_refused_never_counts_as_open() -> None:
    opened = asyncio.Event()
    client = a_client(UpstreamClients(transport=Scripted(lambda request: an_answer({}, 404))))
    with pytest.raises(NotFound):
        [line async for line in client.lines(listen("listen", "/listen"), opened)]
    assert not opened.is_set()


async def test_operation_with_a_quota_of_its_own_holds_nothing_else_up() -> None:
    time = FakeClock()
    limits: list[httpx.Response] = []
    transport = Scripted(lambda request: limits.pop() if limits else an_answer({}))
    clients = UpstreamClients(clock=time.clock, transport=transport)

    def another() -> UpstreamClient:
        return clients.client(
            a_source(), headers={}, secrets=[SECRET], policy=POLICY, at_most={"write_thing": 2, "delete_thing": 9}
        )

    first, second = another(), another()
    await first.send(WRITE)
    await second.send(WRITE)
    with pytest.raises(UpstreamRateLimited, match="was not sent"):
        await first.send(WRITE)
    limits.append(an_answer({}, 429, headers={"Retry-After": "3600"}))
    with pytest.raises(UpstreamRateLimited):
        await first.send(delete("delete_thing", "/thing"))
    for _ in range(50):
        await second.send(READ)
    assert time.sleeps == []
    assert len(transport.requests) == 53
