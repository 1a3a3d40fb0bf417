"""A tiny scripted Open WebUI for tests of the connector: what it answers is said by each test; what it was asked is remembered."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from domain.source import ChatSource
from tests.upstreams.wire import FakeClock, Scripted, a_source, an_answer
from upstreams.http import UpstreamClients
from upstreams.open_webui.source import open_webui

OWN = "user-1"
CHAT = "chat-1"
Answer = httpx.Response | Awaitable[httpx.Response]
Route = Callable[[httpx.Request], Answer]
NOT_FOUND = {"detail": "We could not find what you're looking for :/"}


class Server:
    """Answers by `METHOD /path`; `routes` may be changed while it runs. It has one chat of its own account unless told otherwise."""

    def __init__(self, **routes: Route) -> None:
        self.time = FakeClock()
        self.chat = a_chat()
        self.routes: dict[str, Route] = {
            "GET /api/version": lambda request: an_answer({"version": "0.12.4"}),
            f"GET /api/v1/chats/{CHAT}": lambda request: an_answer(self.chat),
            "GET /api/v1/chats/": lambda request: an_answer([a_row(CHAT)]),
            "GET /api/v1/chats/archived": lambda request: an_answer([]),
        }
        self.transport = Scripted(self._answer)

    def _answer(self, request: httpx.Request) -> Answer:
        route = self.routes.get(f"{request.method} {request.url.path}")
        return route(request) if route is not None else an_answer(NOT_FOUND, 404 if request.method == "DELETE" else 401)

    def connect(self, credential: str = "api_key", **options: Any) -> ChatSource:
        """A source of it."""
        clients = UpstreamClients(clock=self.time.clock, transport=self.transport)
        secret = "sk-0123456789" if credential == "api_key" else "a.session.token"
        return open_webui(clients).connect(a_source("open_webui", **options), {credential: secret})

    @property
    def asked(self) -> list[str]:
        """Every request but the probe for the release."""
        return [line for line in self.transport.lines if line != "GET /api/version"]

    def bodies(self, line: str) -> list[Any]:
        """What was sent with the requests of one line."""
        pairs = zip(self.transport.lines, self.transport.requests, strict=True)
        return [json.loads(request.content) for asked, request in pairs if asked == line]


def a_row(chat_id: str, *, updated_at: int = 1795198509, title: str = "T") -> dict[str, Any]:
    """A row of a list."""
    return {
        "id": chat_id,
        "title": title,
        "updated_at": updated_at,
        "created_at": 1795198509,
        "last_read_at": None,
        "snippet": None,
        "active": False,
        "archived": False,
    }


def a_chat(messages: dict[str, Any] | None = None, current: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chat in full."""
    inner = {"title": "T", "models": ["m"], "history": {"messages": messages or {}, "currentId": current}}
    return {
        "id": CHAT,
        "user_id": OWN,
        "title": "T",
        "chat": inner,
        "updated_at": 1795198509,
        "created_at": 1795198509,
        "share_id": None,
        "archived": False,
        "pinned": False,
        "meta": {},
        "folder_id": None,
        **fields,
    }


def a_message(
    message_id: str, role: str = "user", content: Any = "hi", parent: str | None = None, **fields: Any
) -> dict[str, Any]:
    """A message as it is stored."""
    return {
        "id": message_id,
        "parentId": parent,
        "childrenIds": [],
        "role": role,
        "content": content,
        "timestamp": 1795198509,
        **fields,
    }
