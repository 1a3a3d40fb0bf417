"""A Splox in a few lines, for the connector's own tests: it keeps chats and histories, and does what a test tells it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx

from domain.records import MessageRole
from domain.source import ChatSource, NewMessage
from tests.upstreams.wire import FakeClock, Scripted, a_source, an_answer
from upstreams.clock import Clock
from upstreams.http import UpstreamClients
from upstreams.policy import UpstreamSettings
from upstreams.requests import Request
from upstreams.splox.requests import rfc3339
from upstreams.splox.source import splox

USER = "u-1"
WORKFLOW, VERSION, NODE, RUN = "w-1", "v-1", "n-1", "run-1"
T0 = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN = "splox-token-0123456789"
RESOURCES = [{"type": "api", "id": WORKFLOW}]


def a_chat(chat_id: str = "c", **more: Any) -> dict[str, Any]:
    """A chat as Splox shows it."""
    return {
        "id": chat_id,
        "name": "Ops",
        "user_id": USER,
        "resource_type": "api",
        "resource_id": WORKFLOW,
        "is_public": False,
        "created_at": rfc3339(T0),
        "updated_at": rfc3339(T0),
        **more,
    }


def a_message(
    message_id: str, role: str = "user", text: str = "hi", *, at: float | datetime = 0, **more: Any
) -> dict[str, Any]:
    """A message as Splox shows it; `at` in seconds after T0."""
    moment = at if isinstance(at, datetime) else T0 + timedelta(seconds=at)
    content = [{"type": "text", "text": text}]
    return {
        "id": message_id,
        "chat_id": "c",
        "role": role,
        "content": content,
        "created_at": rfc3339(moment),
        **more,
    }


def data(frame: Any) -> bytes:
    """A frame as it comes over the wire."""
    return f"data: {frame if isinstance(frame, str) else json.dumps(frame)}\n\n".encode()


def delta(words: str) -> dict[str, Any]:
    """A frame with the next words."""
    return {"type": "text_delta", "delta": words}


def state(status: str, run_id: str = RUN) -> dict[str, Any]:
    """A frame with the state of a run."""
    return {"workflow_request": {"id": run_id, "workflow_version_id": VERSION, "status": status, "created_at": "x"}}


@dataclass
class Stream:
    """What an event stream says, as a test tells it. None ends it."""

    says: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, *frames: Any) -> None:
        """Frames to come."""
        for frame in frames:
            self.says.put_nowait(data(frame))

    def end(self) -> None:
        """No more frames."""
        self.says.put_nowait(None)

    async def body(self) -> AsyncIterator[bytes]:
        """The answer's body."""
        self.asked.set()
        try:
            while (said := await self.says.get()) is not None:
                yield said
        finally:
            self.left.set()


@dataclass
class Splox:
    """The server. `is_object` and `is_inclusive` choose between the forms that the documents leave open."""

    chats: dict[str, dict[str, Any]] = field(default_factory=lambda: {"c": a_chat()})
    messages: list[dict[str, Any]] = field(default_factory=list)
    is_object: bool = False
    is_inclusive: bool = False
    knows_missing_histories: bool = True
    workflows: Sequence[str] = (WORKFLOW,)
    nodes: Sequence[str] = (NODE,)
    status: str = "in_progress"
    on_run: Callable[[dict[str, Any]], httpx.Response | None] = lambda body: None
    on_stop: Callable[[], None] = lambda: None
    chat_stream: Stream = field(default_factory=Stream)
    run_stream: Stream = field(default_factory=Stream)
    answers: dict[str, Callable[[], httpx.Response]] = field(default_factory=dict)
    """`METHOD /path` to what is answered instead."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, _, query = request.url.raw_path.decode().partition("?")
        if (answer := self.answers.get(f"{request.method} {path}")) is not None:
            return answer()
        parts = path.strip("/").split("/")
        body = json.loads(request.content) if request.content else {}
        return self._answer(request.method, parts, {name: value[0] for name, value in parse_qs(query).items()}, body)

    def _answer(self, method: str, parts: list[str], query: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        match method, parts:
            case "POST", ["chats"]:
                self.chats["new"] = a_chat("new", **{**body, "resource_type": "workflow"})
                return an_answer(self.chats["new"], 201)
            case "GET", ["chats", chat_id] if chat_id in self.chats:
                return an_answer(self.chats[chat_id])
            case "GET", ["chats", kind, resource_id] if resource_id in self.workflows:
                rows = [one for one in self.chats.values() if one["resource_type"] == kind]
                return an_answer({"chats": [one for one in rows if one["resource_id"] == resource_id]})
            case "DELETE", ["chats", chat_id] if chat_id in self.chats:
                del self.chats[chat_id]
                return an_answer(status=204, content=b"")
            case "DELETE", ["chat-history", chat_id] if chat_id in self.chats:
                self.messages.clear()
                return an_answer({"message": "deleted"})
            case "GET", ["chat-history", chat_id, "paginated"]:
                return self._history(chat_id, query)
            case "POST", ["workflow-requests", "run"]:
                return self.on_run(body) or an_answer({"workflow_request_id": RUN})
            case "POST", ["workflow-requests", _, "stop"]:
                self.status = "stopped"
                self.on_stop()
                return an_answer({})
            case "GET", ["workflow-requests", _, "execution-tree"]:
                tree = {"workflow_request_id": RUN, "status": self.status, "created_at": "x"}
                return an_answer({"execution_tree": tree})
            case "GET", ["workflow-requests", _, "listen"]:
                return httpx.Response(200, content=self.run_stream.body())
            case "GET", ["chat-internal-messages", _, "listen"]:
                return httpx.Response(200, content=self.chat_stream.body())
            case "GET", ["workflows"]:
                rows = [{"id": one, "user_id": USER, "latest_version": {"name": one.upper()}} for one in self.workflows]
                return an_answer({"workflows": rows, "pagination": {"limit": 100, "has_more": False}})
            case "GET", ["workflows", workflow_id, "versions", "latest"] if workflow_id in self.workflows:
                return an_answer({"id": VERSION})
            case "GET", ["workflows", _, "entry-nodes"]:
                return an_answer({"nodes": [{"id": one} for one in self.nodes]})
        return an_answer({"error": "not found"}, 404)

    def _history(self, chat_id: str, query: dict[str, str]) -> httpx.Response:
        if chat_id not in self.chats:
            return an_answer({"error": "not found"}, 404) if self.knows_missing_histories else an_answer([])
        rows = sorted(self.messages, key=lambda one: str(one["created_at"]), reverse=True)
        if (before := query.get("before")) is not None:
            rows = [
                row for row in rows if row["created_at"] < before or (self.is_inclusive and row["created_at"] == before)
            ]
        limit = int(query["limit"])
        if self.is_object:
            return an_answer({"messages": rows[:limit], "has_more": len(rows) > limit})
        return an_answer(rows[:limit])


def an_account(
    server: Callable[[httpx.Request], Any],
    *,
    clock: Clock | None = None,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> tuple[ChatSource, Scripted]:
    """A source at the server; it waits in no time unless a clock is given."""
    transport = Scripted(server)
    clients = UpstreamClients(
        UpstreamSettings(**(settings or {})), clock=clock or FakeClock().clock, transport=transport
    )
    known = {"resources": RESOURCES, **options}
    return splox(clients).connect(a_source("splox", **known), {"api_key": TOKEN}), transport


def to_send(text: str = "hi", **more: Any) -> NewMessage:
    """A message on its way into the chat `c`."""
    known: dict[str, Any] = {"role": MessageRole.USER, "parent_id": None, "chat_id": "c"}
    return NewMessage(id="ours", reply_id="ours-too", text=text, **{**known, **more})


def paths(requests: Sequence[Request | httpx.Request]) -> list[str]:
    """Method and path of each request, without queries."""
    return [f"{request.method} {request.url.path}" for request in requests if isinstance(request, httpx.Request)]
