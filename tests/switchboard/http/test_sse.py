"""graphql-sse's distinct connections mode through real sockets, and what a browser's EventSource needs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from switchboard.http.settings import TransportSettings
from tests.switchboard.http.toy import Served, ToySessions, serve, until

pytestmark = pytest.mark.anyio

STREAM = {"Accept": "text/event-stream"}
URQL_QUERY = (
    "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed"
)
URQL_SUBSCRIPTION = "text/event-stream, multipart/mixed"


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve(event_id=lambda event: f"cursor-{event}") as served:
        yield served


@pytest.fixture
async def client(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=served.url, headers=STREAM) as client:
        yield client


@contextlib.asynccontextmanager
async def streaming(served: Served, query: str, **headers: str) -> AsyncIterator["Stream"]:
    async with (
        httpx.AsyncClient(timeout=10) as client,
        client.stream("POST", served.url, json={"query": query}, headers={**STREAM, **headers}) as response,
    ):
        yield Stream(response)


class Stream:
    """An open stream, read event by event."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def block(self) -> list[str]:
        """The lines up to the next empty one."""
        lines: list[str] = []
        async for line in self._lines:
            if not line:
                return lines
            lines.append(line)
        return ["<end>"]


async def test_subscription_is_streamed_with_ids_and_completed(client: httpx.AsyncClient) -> None:
    response = await client.post("", json={"query": "subscription { count(to: 2) }"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.content == (
        b":\n\n"
        b'id: cursor-1\nevent: next\ndata: {"data":{"count":1}}\n\n'
        b'id: cursor-2\nevent: next\ndata: {"data":{"count":2}}\n\n'
        b"event: complete\ndata:\n\n"
    )


async def test_stream_is_open_before_the_first_event(served: Served) -> None:
    async with streaming(served, "subscription { ticks }") as stream:
        assert await stream.block() == [":"]
        await served.stage.reached.wait()
        served.stage.events.put_nowait("a\nb")
        block = await stream.block()
        assert block == ["event: next", 'data: {"data":{"ticks":"a\\nb"}}'], "an id with a line break is not written"
        served.stage.events.put_nowait(None)
        assert await stream.block() == ["event: complete", "data:"]


async def test_query_is_one_event(client: httpx.AsyncClient) -> None:
    response = await client.post("", json={"query": "{ hello }"})
    assert response.content == b'event: next\ndata: {"data":{"hello":"world"}}\n\nevent: complete\ndata:\n\n'


async def test_mutation_is_one_event(client: httpx.AsyncClient, served: Served) -> None:
    response = await client.post("", json={"query": 'mutation { note(text: "x") }'})
    assert response.content.startswith(b'event: next\ndata: {"data":{"note":"x"}}\n\n')
    assert served.stage.mutations == ["x"]


async def test_stream_by_get_for_eventsource(client: httpx.AsyncClient) -> None:
    response = await client.get("", params={"query": "subscription { count(to: 1) }"})
    assert b'data: {"data":{"count":1}}' in response.content


async def test_mutation_by_get_is_405_all_the_same(client: httpx.AsyncClient, served: Served) -> None:
    response = await client.get("", params={"query": 'mutation { note(text: "x") }'})
    assert response.status_code == 405
    assert served.stage.mutations == []


@pytest.mark.parametrize("query", ["{", "{ unknown }", "subscription { count(to: null) }"])
async def test_refused_document_is_reported_on_the_stream(client: httpx.AsyncClient, query: str) -> None:
    """PROTOCOL.md, distinct connections mode, 2: an EventSource cannot read the body of a 400."""
    response = await client.post("", json={"query": query})
    assert response.status_code == 200
    assert response.content.startswith(b'event: next\ndata: {"errors":[')
    assert response.content.endswith(b"event: complete\ndata:\n\n")


async def test_subscription_that_does_not_start_is_reported_on_the_stream(client: httpx.AsyncClient) -> None:
    response = await client.post("", json={"query": "subscription { refused }"})
    assert b'"code":"FORBIDDEN"' in response.content
    assert response.content.endswith(b"event: complete\ndata:\n\n")


async def test_broken_stream_says_so_and_completes(served: Served) -> None:
    async with streaming(served, "subscription { ticks }") as stream:
        await stream.block()
        served.stage.events.put_nowait(RuntimeError("secret"))
        event, data = await stream.block()
        assert event == "event: next"
        assert '"code":"INTERNAL"' in data
        assert "secret" not in data
        assert await stream.block() == ["event: complete", "data:"]


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (URQL_QUERY, "application/graphql-response+json"),
        ("application/json, text/event-stream", "application/json"),
        ("text/event-stream;q=0.5, application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/event-stream", "text/event-stream"),
        ("text/event-stream, application/json;q=0.9", "text/event-stream"),
        ("application/json;q=0.1, text/event-stream", "text/event-stream"),
        (URQL_SUBSCRIPTION, "text/event-stream"),
    ],
)
async def test_query_is_streamed_only_where_that_is_preferred(
    client: httpx.AsyncClient, accept: str, media_type: str
) -> None:
    response = await client.post("", json={"query": "{ hello }"}, headers={"Accept": accept})
    assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert "world" in response.text


@pytest.mark.parametrize("accept", [URQL_QUERY, URQL_SUBSCRIPTION, "application/json, text/event-stream;q=0.1"])
async def test_subscription_is_streamed_wherever_a_stream_is_taken(client: httpx.AsyncClient, accept: str) -> None:
    response = await client.post("", json={"query": "subscription { count(to: 1) }"}, headers={"Accept": accept})
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_last_event_id_is_handed_to_the_session(client: httpx.AsyncClient, served: Served) -> None:
    await client.post("", json={"query": "subscription { count(to: 1) }"}, headers={"Last-Event-ID": "cursor-41"})
    assert served.sessions.asked[0]["last_event_id"] == "cursor-41"
    assert served.sessions.asked[0]["transport"] == "sse"


async def test_silent_stream_is_kept_alive() -> None:
    settings = TransportSettings(sse_keep_alive_seconds=0.02)
    async with serve(settings=settings) as served, streaming(served, "subscription { ticks }") as stream:
        assert [await stream.block() for _ in range(3)] == [[":"]] * 3


async def test_client_that_leaves_ends_the_subscription(served: Served) -> None:
    async with streaming(served, "subscription { ticks }") as stream:
        await stream.block()
        await served.stage.reached.wait()
    async with asyncio.timeout(10):
        await served.stage.cancelled.wait()


async def test_client_that_leaves_ends_a_query_too(served: Served) -> None:
    async with httpx.AsyncClient() as client:
        asking = asyncio.create_task(client.post(served.url, json={"query": "{ wait }"}, headers=STREAM))
        await served.stage.reached.wait()
        asking.cancel()
        async with asyncio.timeout(10):
            await served.stage.cancelled.wait()


async def test_revoked_credential_cuts_the_stream_without_completing_it(served: Served) -> None:
    async with streaming(served, "subscription { ticks }") as stream:
        await stream.block()
        await served.stage.reached.wait()
        served.sessions.opened[0].revoke()
        assert await stream.block() == [": the credential ended; reconnect with a new one"]
        assert await stream.block() == ["<end>"]
        await served.stage.cancelled.wait()


async def test_watch_that_breaks_cuts_the_stream_and_is_logged(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async with streaming(served, "subscription { ticks }") as stream:
        await stream.block()
        await served.stage.reached.wait()
        served.sessions.opened[0].revoke(RuntimeError("the store is gone"))
        with pytest.raises(httpx.RemoteProtocolError):
            await stream.block()
        await served.stage.cancelled.wait()
    assert "the store is gone" in caplog.text


async def test_draining_cuts_the_stream_without_completing_it(served: Served) -> None:
    async with streaming(served, "subscription { ticks }") as stream:
        await stream.block()
        await served.stage.reached.wait()
        served.endpoint.drain()
        assert await stream.block() == [": the gateway goes away; reconnect"]
        assert await stream.block() == ["<end>"]
        await served.stage.cancelled.wait()


async def test_reader_that_does_not_read_is_left() -> None:
    """A slow reader costs itself only: its stream ends, others go on."""
    settings = TransportSettings(write_timeout_seconds=0.1)
    async with serve(settings=settings) as served:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
        body = b'{"query":"subscription { flood(first: 5000, times: 1000000) }"}'
        writer.write(
            b"POST /graphql HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        async with httpx.AsyncClient() as client:
            assert (await client.post(served.url, json={"query": "{ hello }"})).status_code == 200
        await until(lambda: served.sessions.opened and served.sessions.opened[0].closed)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_page_of_another_origin_is_refused(client: httpx.AsyncClient, served: Served) -> None:
    response = await client.post(
        "", json={"query": "subscription { ticks }"}, headers={"Origin": "http://evil.example"}
    )
    assert response.status_code == 403
    assert not served.stage.reached.is_set()


async def test_allowed_page_may_read_the_stream() -> None:
    async with serve(ToySessions(), allowed_origins=["http://localhost:*"]) as served, httpx.AsyncClient() as client:
        headers: dict[str, Any] = {**STREAM, "Origin": "http://localhost:1"}
        response = await client.post(served.url, json={"query": "subscription { count(to: 1) }"}, headers=headers)
        assert response.headers["access-control-allow-origin"] == "http://localhost:1"
