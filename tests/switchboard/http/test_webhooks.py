"""Webhooks over real sockets: what is a knock, what is refused, and that nothing of a body is kept."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from domain.ids import IdType, format_id
from domain.records import Source
from resolvers.context import Gateway
from resolvers.webhooks import webhook_path
from storage.database import Transaction
from switchboard.app import Application
from switchboard.http.webhooks import BODY_BYTES, Webhooks
from switchboard.settings import Settings
from tests.builders import T0
from tests.resolvers.conftest import a_room
from tests.resolvers.rooms import a_vendor
from tests.switchboard.http.toy import EmbeddedServer

pytestmark = pytest.mark.anyio
LARGE = 50 * 1024 * 1024


@dataclass
class Heard:
    """The knocks that came through, by source."""

    knocks: "asyncio.Queue[int]" = field(default_factory=asyncio.Queue)

    def __call__(self, source_id: int, chat_id: str | None) -> None:
        assert chat_id is None
        self.knocks.put_nowait(source_id)

    @property
    def any(self) -> bool:
        return not self.knocks.empty()


@dataclass
class Served:
    """A gateway with one source, which has a webhook at `path`."""

    url: str
    port: int
    path: str
    source: Source
    gateway: Gateway
    heard: Heard
    http: httpx.AsyncClient

    async def post(self, path: str | None = None, **content: Any) -> httpx.Response:
        return await self.http.post(self.url + (path or self.path), **content)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as served:
        yield served


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Served]:
    """All of the application, as `serve` runs it."""
    application = Application(Settings(database_url=f"sqlite:///{folder / 'test.db'}", secret_keys=("t" * 32,)))
    config = uvicorn.Config(application, host="127.0.0.1", port=0, lifespan="on", log_config=None, access_log=False)
    server = EmbeddedServer(config)
    running = asyncio.create_task(server.serve())
    await server.ready.wait()
    port = server.servers[0].sockets[0].getsockname()[1]
    gateway = application.gateway
    assert gateway is not None
    source, token = await _fill(gateway)
    heard = Heard()
    application.webhooks = Webhooks(replace(gateway, knock=heard))
    try:
        async with httpx.AsyncClient(timeout=60) as http:
            url = f"http://127.0.0.1:{port}"
            yield Served(url, port, webhook_path(source.id, token), source, gateway, heard, http)
    finally:
        server.stop.set()
        await running


async def _fill(gateway: Gateway) -> tuple[Source, str]:
    token, digest = gateway.webhook_tokens.new()

    async def unit(tx: Transaction) -> Source:
        acme = await gateway.store.organizations.add(tx, "acme", "Acme", T0)
        source = await gateway.store.sources.add(
            tx, organization_id=acme.id, key="kodey", vendor="kodey", display_name="Kodey", created_at=T0
        )
        await gateway.store.sources.set_webhook(tx, acme.id, source.id, digest)
        return source

    return await gateway.store.database.write(unit), token


def assert_unknown(answer: httpx.Response) -> None:
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    (error,) = answer.json()["errors"]
    assert error["extensions"] == {"code": "NOT_FOUND", "requestId": answer.headers["x-request-id"]}


@dataclass
class Answer:
    """What an ASGI application sends."""

    status: int | None = None
    body: bytes = b""

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")


def a_scope(path: str) -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": path, "headers": []}


async def no_body() -> dict[str, Any]:
    return {"type": "http.request", "body": b""}


BODIES: list[dict[str, Any]] = [
    {"content": b""},
    {"json": {"event": "message.created"}},
    {"content": b"{"},
    {"content": b"\xff\x00" * 1000, "headers": {"Content-Type": "text/plain"}},
    {"content": b'{"chat": {"id": 1}}', "headers": {"Content-Encoding": "gzip"}},
    {"content": b"x" * BODY_BYTES},
]


@pytest.mark.parametrize("body", BODIES, ids=["nothing", "JSON", "broken", "bytes", "not gzip", "just not too long"])
async def test_204_and_a_knock_whatever_the_body_says(served: Served, body: dict[str, Any]) -> None:
    answer = await served.post(**body)
    assert (answer.status_code, answer.content) == (204, b"")
    assert served.heard.knocks.get_nowait() == served.source.id


async def test_replays_are_harmless(served: Served) -> None:
    """A hundred of the same are two knocks: the first, and one for all others at the end of the second."""
    assert {(await served.post(json={"id": 7})).status_code for _ in range(100)} == {204}
    assert served.heard.knocks.get_nowait() == served.source.id
    assert served.heard.knocks.qsize() < 50  # one for each second that a slow machine needs


async def test_nothing_of_a_body_is_kept(served: Served, tmp_path: Path) -> None:
    await served.post(json={"text": "canary-of-a-body"})
    files = await asyncio.to_thread(lambda: [path for path in tmp_path.rglob("*") if path.is_file()])
    assert files
    for file in files:
        assert b"canary-of-a-body" not in await asyncio.to_thread(file.read_bytes)


async def test_404_for_what_is_no_webhook(served: Served) -> None:
    own, token = served.path.removeprefix("/webhooks/").split("/")
    others = [
        f"/webhooks/{own}/{'x' * 43}",
        f"/webhooks/{own}/{token[:-1]}",
        f"/webhooks/{own}/{token.swapcase()}",
        f"/webhooks/{format_id(IdType.SOURCE, 99)}/{token}",
        f"/webhooks/{format_id(IdType.CHAT, served.source.id, 'c')}/{token}",
        f"/webhooks/{served.source.id}/{token}",
        f"/webhooks/kodey/{token}",
        f"/webhooks/{'é' * 20}/{token}",
    ]
    texts = set()
    for other in others:
        answer = await served.post(other, json={})
        assert_unknown(answer)
        texts.add(answer.json()["errors"][0]["message"])
    assert len(texts) == 1
    assert not served.heard.any


@pytest.mark.parametrize("path", ["/webhooks", "/webhooks/", "/webhooks/x", "/webhooks/x/y/z", "/webhooks//"])
async def test_404_for_paths_of_another_shape(served: Served, path: str) -> None:
    assert (await served.post(path)).status_code == 404


async def test_404_once_the_token_was_renewed_or_the_source_is_gone(served: Served) -> None:
    store, source = served.gateway.store, served.source
    _, digest = served.gateway.webhook_tokens.new()
    await store.database.write(lambda tx: store.sources.set_webhook(tx, source.organization_id, source.id, digest))
    assert_unknown(await served.post())
    other = await _another(served)
    assert (await served.post(other)).status_code == 204
    await store.database.write(lambda tx: store.sources.remove(tx, source.organization_id, source.id, at=T0))
    assert_unknown(await served.post(other))


async def _another(served: Served) -> str:
    store, source = served.gateway.store, served.source
    token, digest = served.gateway.webhook_tokens.new()
    await store.database.write(lambda tx: store.sources.set_webhook(tx, source.organization_id, source.id, digest))
    return webhook_path(source.id, token)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_405_for_another_method_whosever_the_token_is(served: Served, method: str) -> None:
    for path in (served.path, served.path + "x"):
        answer = await served.http.request(method, served.url + path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert not served.heard.any


async def test_413_for_an_announced_body_that_is_too_long(served: Served) -> None:
    answer = await served.post(content=b"x" * (BODY_BYTES + 1))
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["extensions"]["limit"] == BODY_BYTES
    assert not served.heard.any


async def test_413_while_counting_a_body_that_does_not_say_how_long_it_is(served: Served) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES // 1024 + 1):
            yield b"x" * 1024

    assert (await served.post(content=chunks())).status_code == 413
    assert not served.heard.any


async def test_50_megabytes_are_cut_off(served: Served) -> None:
    """The caller may meet the end of the connection before it has read the answer; the gateway goes on either way."""
    sent = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    head = f"POST {served.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGE}\r\n\r\n"
    writer.write(head.encode())
    try:
        while sent < LARGE:
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()
        answer = await reader.read()
    except ConnectionError:
        answer = b""
    assert answer[:13] in (b"", b"HTTP/1.1 413 ")
    assert sent < LARGE or answer
    writer.close()
    assert (await served.post()).status_code == 204


async def test_a_long_body_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    """Beyond the limit it is thrown away for a moment, so that the caller sees the answer; then nothing more is read."""
    async with a_room(tmp_path, a_vendor("one")) as room:
        token, digest = room.gateway.webhook_tokens.new()
        store = room.gateway.store
        await store.database.write(lambda tx: store.sources.set_webhook(tx, room.organization.id, 1, digest))
        given = 0

        async def receive() -> dict[str, Any]:
            nonlocal given
            given += 65536
            return {"type": "http.request", "body": bytes(65536), "more_body": given < LARGE}

        answer = Answer()
        webhooks = Webhooks(room.gateway)
        tracemalloc.start()
        try:
            await webhooks(a_scope(webhook_path(1, token)), receive, answer)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert answer.status == 413
        assert given < LARGE // 4
        assert peak < 1024 * 1024


async def test_408_for_a_body_that_does_not_come(tmp_path: Path) -> None:
    async with a_room(tmp_path, a_vendor("one")) as room:
        token, digest = room.gateway.webhook_tokens.new()
        store = room.gateway.store
        await store.database.write(lambda tx: store.sources.set_webhook(tx, room.organization.id, 1, digest))
        heard = Heard()

        async def receive() -> dict[str, Any]:
            return await asyncio.Event().wait()  # type: ignore[return-value]

        answer = Answer()
        webhooks = Webhooks(replace(room.gateway, knock=heard), body_seconds=0.02)
        await webhooks(a_scope(webhook_path(1, token)), receive, answer)
        assert answer.status == 408
        assert not heard.any


async def test_500_without_a_reason_when_something_of_ours_breaks(tmp_path: Path) -> None:
    async with a_room(tmp_path, a_vendor("one")) as room:
        token, digest = room.gateway.webhook_tokens.new()
        store = room.gateway.store
        await store.database.write(lambda tx: store.sources.set_webhook(tx, room.organization.id, 1, digest))

        def broken(source_id: int, chat_id: str | None) -> None:
            raise RuntimeError("the password is 1234")

        answer = Answer()
        await Webhooks(replace(room.gateway, knock=broken))(a_scope(webhook_path(1, token)), no_body, answer)
        assert answer.status == 500
        assert b"1234" not in answer.body


async def test_whoever_leaves_in_the_middle_of_a_body_has_not_knocked(tmp_path: Path) -> None:
    async with a_room(tmp_path, a_vendor("one")) as room:
        token, digest = room.gateway.webhook_tokens.new()
        store = room.gateway.store
        await store.database.write(lambda tx: store.sources.set_webhook(tx, room.organization.id, 1, digest))
        heard, answer = Heard(), Answer()

        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        await Webhooks(replace(room.gateway, knock=heard))(a_scope(webhook_path(1, token)), receive, answer)
        assert (answer.status, heard.any) == (None, False)
