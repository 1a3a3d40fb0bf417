"""A tenant for tests: REST answered in the process by what the documents say, the socket on loopback by what a test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import httpx
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from domain.source import ChatSource
from tests.upstreams.wire import FakeClock, Scripted, a_source, an_answer
from upstreams.http import UpstreamClients
from upstreams.lexicon.source import lexicon
from upstreams.policy import UpstreamSettings

KEY = "tenant-key-0123456789"
AT = "2026-01-02T03:04:05Z"
Script = Callable[["Tenant", ServerConnection], Awaitable[None]]


def a_chat(chat_id: str = "c", user_id: str = "anna", **more: Any) -> dict[str, Any]:
    return {
        "id": chat_id,
        "user_id": user_id,
        "tenant_id": "t-1",
        "title": "Hello",
        "config": {"metadata": {"k": 1}},
        "created_at": AT,
        "updated_at": AT,
        "last_message_at": None,
        "message_count": 0,
        "status": "active",
        **more,
    }


def a_message(message_id: str, role: str = "user", content: str = "hi", at: str = AT, **more: Any) -> dict[str, Any]:
    return {
        "id": message_id,
        "content": content,
        "sender_role": role,
        "media_type": None,
        "media_url": None,
        "created_at": at,
        "metadata": {},
        **more,
    }


@dataclass
class Tenant:
    """What is stored, and what the documents say about asking for it. `overrides` answer a `METHOD path` otherwise, in turn."""

    chats: list[dict[str, Any]] = field(default_factory=list)
    messages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    overrides: dict[str, list[httpx.Response]] = field(default_factory=dict)
    sockets: list[dict[str, str]] = field(default_factory=list)
    frames: list[Any] = field(default_factory=list)
    open_sockets: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    script: Script | None = None
    refuses: int | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if answers := self.overrides.get(f"{request.method} {path}"):
            return answers.pop(0) if len(answers) > 1 else answers[0]
        steps = [unquote(step) for step in request.url.raw_path.decode().partition("?")[0].split("/")[4:]]
        if request.method == "POST" and path == "/api/v1/chats/":
            return self._create(json.loads(request.content))
        if request.method == "DELETE":
            return self._delete(steps[0])
        query = request.url.params
        if steps[0] == "user":
            mine = [chat for chat in self.chats if chat["user_id"] == steps[1]]
            return _page(mine, "chats", query) if mine else an_answer({"detail": "no chats"}, 404)
        chat = next((chat for chat in self.chats if chat["id"] == steps[0]), None)
        if chat is None:
            return an_answer({"detail": "no such chat"}, 404)
        return _page(self.messages.get(steps[0], []), "messages", query) if len(steps) > 1 else an_answer(chat)

    def store(self, chat_id: str, *rows: dict[str, Any]) -> None:
        """Messages appear at the end of a chat."""
        self.messages.setdefault(chat_id, []).extend(rows)

    def _create(self, body: dict[str, Any]) -> httpx.Response:
        config = {"metadata": body["metadata"]} if "metadata" in body else {}
        chat = a_chat(f"new-{len(self.chats)}", body["user_id"], title=body.get("title", "Made up"), config=config)
        self.chats.append(chat)
        return an_answer({name: chat[name] for name in chat if name not in ("message_count", "status")}, 201)

    def _delete(self, chat_id: str) -> httpx.Response:
        if self.open_sockets:
            return an_answer({"detail": "a socket is open"}, 409)
        left = [chat for chat in self.chats if chat["id"] != chat_id]
        if len(left) == len(self.chats):
            return an_answer({"detail": "no such chat"}, 404)
        self.chats = left
        return an_answer({"success": True, "message": "gone", "deleted_at": AT})

    async def talk(self, connection: ServerConnection) -> None:
        """One socket."""
        assert connection.request is not None
        self.sockets.append({name.lower(): value for name, value in connection.request.headers.raw_items()})
        self.open_sockets += 1
        try:
            await (self.script or answering("yes"))(self, connection)
        finally:
            self.open_sockets -= 1
            self.left.set()

    def meet(self, connection: ServerConnection, request: Request) -> Response | None:
        """The handshake."""
        if request.path != "/ws/chat":
            return connection.respond(HTTPStatus.NOT_FOUND, "no such route")
        if self.refuses is None:
            return None
        return connection.respond(HTTPStatus(self.refuses), json.dumps({"detail": f"no: {KEY}"}))


def _page(values: list[dict[str, Any]], name: str, query: httpx.QueryParams) -> httpx.Response:
    offset, limit = int(query["offset"]), int(query["limit"])
    if limit > 100:
        return an_answer({"detail": "limit"}, 400)
    ordered = values[::-1] if query["order"] == "desc" else values
    rows = ordered[offset : offset + limit]
    more = offset + len(rows) < len(values)
    return an_answer({name: rows, "total": len(values), "offset": offset, "limit": limit, "has_more": more})


async def say(connection: ServerConnection, kind: str, **fields: Any) -> None:
    """An event as documented: its name, a time, and some fields."""
    await connection.send(json.dumps({"event_type": kind, "timestamp": AT, **fields}))


async def greet(tenant: Tenant, connection: ServerConnection) -> tuple[str, Any]:
    """What every conversation begins with: the chat that the socket is for, and the frame of the client."""
    chat_id = tenant.sockets[-1]["x-chat-id"]
    await say(connection, "connection_established", user_id="anna", chat_id=chat_id, tenant_id="t-1")
    frame = json.loads(await connection.recv())
    tenant.frames.append(frame)
    return chat_id, frame


def answering(*words: str) -> Script:
    """Store the message, answer word by word, store the answer."""

    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        chat_id, frame = await greet(tenant, connection)
        tenant.store(chat_id, a_message("msg-mine", content=frame["content"], metadata=frame.get("metadata")))
        await say(connection, "message_received", message_id="msg-mine", chat_id=chat_id, user_id="anna")
        await say(connection, "message_stream_started")
        for word in words:
            await say(connection, "message_stream_token", token=word)
        tenant.store(chat_id, a_message("msg-reply", "assistant", "".join(words), metadata={"model": "m-1"}))
        await say(connection, "message_stream_ended")
        await connection.wait_closed()

    return script


@dataclass
class Place:
    """A source over a tenant. `time` passes only when somebody sleeps."""

    source: ChatSource
    tenant: Tenant
    transport: Scripted
    time: FakeClock

    @property
    def lines(self) -> list[str]:
        """Method and target of each REST call."""
        return list(self.transport.lines)


def a_place(tenant: Tenant, base_url: str = "https://vendor.test", **options: Any) -> Place:
    """A source whose REST calls the tenant answers."""
    time = FakeClock()
    transport = Scripted(tenant)
    settings = UpstreamSettings(allow_private_addresses=True, timeout_seconds=options.pop("timeout_seconds", 5.0))
    clients = UpstreamClients(settings, clock=time.clock, transport=transport)
    known = {"user_ids": ["anna"], **options}
    record = a_source("lexicon", base_url, **{name: value for name, value in known.items() if value is not None})
    return Place(lexicon(clients).connect(record, {"api_key": KEY}), tenant, transport, time)


@asynccontextmanager
async def with_socket(tenant: Tenant, **options: Any) -> AsyncIterator[Place]:
    """A source whose socket is real, too."""
    async with serve(tenant.talk, "127.0.0.1", 0, process_request=tenant.meet) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield a_place(tenant, f"http://127.0.0.1:{port}", **options)
