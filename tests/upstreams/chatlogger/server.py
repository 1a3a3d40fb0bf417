"""A small ChatLogger for tests of its connector: two credentials that reach different things, and answers as a test says."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from domain.source import ChatSource
from tests.upstreams.wire import FakeClock, Scripted, a_source, an_answer
from upstreams.chatlogger.source import chatlogger
from upstreams.http import UpstreamClients

PASSWORD = "pass-word-1234"
KEY = "key-1234567890"
BOTH = {"email": "service@example.com", "password": PASSWORD, "api_key": KEY}
LOGIN = {name: BOTH[name] for name in ("email", "password")}
KEY_ALONE = {"api_key": KEY}
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
Handler = Callable[[httpx.Request], httpx.Response]


def a_row(chat_id: int, **more: Any) -> dict[str, Any]:
    """A chat as the list shows it; a greater id was created later."""
    at = (BEGIN + timedelta(seconds=min(chat_id, 10_000))).isoformat()
    known = {"id": chat_id, "organization_id": 3, "title": f"Chat {chat_id}", "tags": "[]", "metadata": "{}"}
    return {**known, "created_at": at, "updated_at": at, **more}


def a_message(message_id: int, role: str = "user", content: str = "hi", second: int = 0, **more: Any) -> dict[str, Any]:
    """A message as the list shows it."""
    at = (BEGIN + timedelta(seconds=second)).isoformat()
    return {"id": message_id, "chat_id": 1, "role": role, "content": content, "created_at": at, **more}


@dataclass
class Server:
    """`routes` answer before all else, by method and path. `chats` are the list, newest first; `messages` those of every chat."""

    routes: dict[str, Handler] = field(default_factory=dict)
    chats: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    version: str = "0.5.0"
    lifetime: str = "Max-Age=86400"
    logins: int = 0
    valid: set[str] = field(default_factory=set)
    time: FakeClock = field(default_factory=FakeClock)
    between: Callable[[], None] = lambda: None
    """Called after each page of the list: what others do meanwhile."""

    def __post_init__(self) -> None:
        self.transport = Scripted(self.answer)

    def connect(self, credentials: dict[str, str] | None = None, **options: Any) -> ChatSource:
        """A source with both credentials, unless the test says otherwise."""
        clients = UpstreamClients(clock=self.time.clock, transport=self.transport)
        record = a_source("chatlogger", **({"slug": "acme"} | options))
        return chatlogger(clients).connect(record, BOTH if credentials is None else credentials)

    @property
    def asked(self) -> list[str]:
        """What was asked, apart from the release and logging in."""
        return [line for line in self.transport.lines if line not in ("GET /version", "POST /auth/login")]

    @property
    def sent(self) -> list[Any]:
        """The bodies that were sent, logins left out."""
        return [
            json.loads(request.content)
            for request in self.transport.requests
            if request.content and request.url.path != "/auth/login"
        ]

    def answer(self, request: httpx.Request) -> httpx.Response:
        """As ChatLogger would."""
        line = f"{request.method} {request.url.path}"
        if line in self.routes:
            return self.routes[line](request)
        if line == "GET /version":
            return an_answer({"version": self.version})
        if line == "POST /auth/login":
            return self.log_in(request)
        prefix = "/v1" if self.version.startswith("0.5") else "/api/v1"
        path = request.url.path.removeprefix(prefix)
        if path == request.url.path:
            return an_answer(status=404, content=b"404 page not found", headers={"Content-Type": "text/plain"})
        return self.as_key(request, path) if path.startswith("/orgs/") else self.as_user(request, path)

    def log_in(self, request: httpx.Request) -> httpx.Response:
        """A new cookie, which is good besides the older ones."""
        if json.loads(request.content) != LOGIN:
            return an_answer({"error": "no such login"}, 401)
        self.logins += 1
        cookie = f"cookie-number-{self.logins}"
        self.valid.add(cookie)
        return an_answer({"message": "ok"}, headers={"Set-Cookie": f"auth_token={cookie}; Path=/; {self.lifetime}"})

    def as_key(self, request: httpx.Request, path: str) -> httpx.Response:
        """The world of the API key."""
        assert "cookie" not in request.headers
        if request.headers.get("x-organization-api-key") != KEY:
            return an_answer({"error": "no such key"}, 401)
        if not path.startswith("/orgs/acme/"):
            return an_answer({"error": "not yours"}, 403)
        if path.endswith("/chats"):
            return an_answer({"message": "ok", "chat_id": 1}, 201)
        body = json.loads(request.content)
        if not body.get("content"):
            return an_answer({"error": "content is required"}, 400)
        message = a_message(len(self.messages) + 100, body["role"], body["content"], second=len(self.messages))
        self.messages.append(message | ({"metadata": body["metadata"]} if "metadata" in body else {}))
        return an_answer({"message": "ok", "message_id": message["id"]}, 201)

    def as_user(self, request: httpx.Request, path: str) -> httpx.Response:
        """The world of the login."""
        assert "x-organization-api-key" not in request.headers
        assert "authorization" not in request.headers
        if request.headers.get("cookie", "").removeprefix("auth_token=") not in self.valid:
            return an_answer({"error": "no such session"}, 401)
        if path == "/users/me":
            return an_answer({"id": 7, "organization_id": 3})
        if path == "/chats":
            return self.list_chats(request) if request.method == "GET" else an_answer({"chat_id": 1}, 201)
        found = re.fullmatch(r"/chats/(\w+)(/messages)?", path)
        assert found, path
        if not found[1].isdecimal():
            return an_answer({"error": "Invalid chat ID"}, 400)
        row = next((row for row in self.chats if str(row["id"]) == found[1]), None)
        if row is None:
            return an_answer({"error": "no such chat"}, 404)
        if found[2]:
            return an_answer(self.messages)
        return self.one_chat(request, row)

    def list_chats(self, request: httpx.Request) -> httpx.Response:
        """A page."""
        limit, offset = int(request.url.params["limit"]), int(request.url.params["offset"])
        page = self.chats[offset : offset + limit]
        self.between()
        return an_answer(page)

    def one_chat(self, request: httpx.Request, row: dict[str, Any]) -> httpx.Response:
        """Shown, changed or deleted."""
        if request.method == "DELETE":
            self.chats.remove(row)
            return an_answer({"message": "ok"})
        if request.method == "PATCH":
            changes = json.loads(request.content)
            row |= {"title": changes.get("title") or row["title"]}
            row |= {name: json.dumps(changes[name]) for name in ("tags", "metadata") if name in changes}
        return an_answer(row | {name: json.loads(row[name]) for name in ("tags", "metadata")})
