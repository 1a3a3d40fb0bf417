"""Kodey.ai's chat API, as its documentation (developer.kodey.ai, pages "Chat API", "Authentication" and "Errors", read 2026-11-20) has it.

Operations: `create_chat list_chats get_chat delete_chat send_message list_messages`; anything else is `unknown`.

The documents' quirks: each shape is partial (creating echoes neither user nor metadata, the list has no team, one chat
has no user, messages in a list name no chat); nothing is paged; sending is synchronous and answers the *assistant's*
message, so that the id of the user's one is seen only in the list. What the documents leave open is a switch.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulators.control import Clock, Control, EmitError
from simulators.seed import talks

SECRET_KEY = "sk_live_simulator"
PUBLISHABLE_KEY = "pk_live_simulator"
USER_KEY = "usk_live_simulator"
OTHER_TEAM_KEY = "sk_live_another_team"
TEAM, OTHER_TEAM = "team_simulator", "team_another"
SEEDED_USERS = ("user-anna", "user-ben", "user-chris")
SEEDED_AGENTS = ("agent_support", "agent_sales")

_KEYS = {SECRET_KEY: TEAM, PUBLISHABLE_KEY: TEAM, USER_KEY: TEAM, OTHER_TEAM_KEY: OTHER_TEAM}


@dataclass
class Switches:
    """What the documents leave open, and what a test wants to hurry."""

    message_order: Literal["asc", "desc", "shuffled"] = "asc"
    chat_order: Literal["asc", "desc", "shuffled"] = "asc"
    """The order of both lists is not documented."""
    publishable_may_manage: bool = False
    """The documents contradict themselves: may a `pk_` key list and delete chats?"""
    user_key_may_chat: bool = False
    """A user's key names its team in the path; whether it may use these paths is not documented."""
    metadata_required: bool = True
    """Only `userId` is marked optional on the page."""
    chat_carries_messages: bool = True
    """One chat has `messages`; the example shows an empty list."""
    absent_user: Literal["omitted", "null"] = "omitted"
    fraction_digits: int = 0
    """Digits below the second in a time; the examples have none."""
    reply_ms: float = 0
    publishable_per_minute: int = 100
    secret_per_minute: int = 1000
    user_per_minute: int = 1000
    """The limit of a user's key is not documented."""
    rate_scope: Literal["key", "team"] = "key"
    agent_types: dict[str, str] = field(
        default_factory=lambda: dict(zip(SEEDED_AGENTS, ("support", "sales"), strict=True))
    )
    """What `agentType` filters by; the values that exist are not documented."""


@dataclass
class Message:
    id: str
    role: str
    content: str
    created: float


@dataclass
class Chat:
    id: str
    team: str
    agent: str
    user: str | None
    metadata: Any
    created: float
    messages: list[Message] = field(default_factory=list)


class KodeyError(Exception):
    """An error of the vendor: `body` as the page "Errors" shows it."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def _bad_request(message: str) -> KodeyError:
    return KodeyError(400, {"error": "Bad Request", "message": message})


class Kodey:
    """All teams' chats, in memory."""

    vendor = "kodey"

    def __init__(self, *, seed: bool = True, clock: Clock = time.time, switches: Switches | None = None) -> None:
        self.switches = switches or Switches()
        self.clock = clock
        self.keys = dict(_KEYS)
        """The keys that this server accepts, each with its team."""
        self.chats: dict[str, Chat] = {}
        self._windows: dict[tuple[str, int], int] = {}
        self._shuffle = random.Random(4001)
        self.app = Starlette(routes=_routes(self), exception_handlers={KodeyError: _refusal, HTTPException: _no_route})
        self.reset(seed=seed)

    def reset(self, *, seed: bool) -> None:
        self.chats.clear()
        self._windows.clear()
        if seed:
            self._seed()

    def _seed(self) -> None:
        now = self.clock()
        for place, talk in enumerate(talks("kodey")):
            created = now - talk.created_age
            chat = Chat(f"chat_seed{place:02d}", TEAM, SEEDED_AGENTS[place % 2], SEEDED_USERS[place % 3], {}, created)
            step = (talk.created_age - talk.updated_age) / len(talk.lines)
            for line, text in enumerate(talk.lines):
                role = ("user", "assistant")[line % 2]
                chat.messages.append(Message(f"msg_seed{place:02d}_{line}", role, text, created + step * (line + 1)))
            self.chats[chat.id] = chat

    def state(self) -> dict[str, Any]:
        return {"chats": [asdict(chat) for chat in self.chats.values()]}

    def emit(self, chat_id: str | None, text: str | None, role: str | None) -> dict[str, str]:
        if role not in (None, "user", "assistant"):
            raise EmitError(f"role is user or assistant, not {role!r}")
        if chat_id is None:
            chat = max(self.chats.values(), key=lambda one: one.created, default=None) or self.create(
                TEAM, SEEDED_AGENTS[0], None, {}
            )
        elif chat_id in self.chats:
            chat = self.chats[chat_id]
        else:
            raise EmitError(f"there is no chat {chat_id!r}")
        message = self.append(chat, role or "assistant", text or "A message from elsewhere.")
        return {"chat_id": chat.id, "message_id": message.id}

    def rooms(self) -> dict[str, int]:
        return {chat.id: len(chat.messages) for chat in self.chats.values() if chat.team == TEAM}

    def begin(self, title: str) -> str:
        """Chats have no titles."""
        return self.create(TEAM, SEEDED_AGENTS[0], SEEDED_USERS[0], {}).id

    def end(self, chat_id: str) -> None:
        self.chats.pop(chat_id, None)

    async def close(self) -> None:
        """Nothing runs in the background: a reply belongs to its request."""

    def create(self, team: str, agent: str, user: str | None, metadata: Any) -> Chat:
        chat = Chat(f"chat_{secrets.token_hex(8)}", team, agent, user, metadata, self.clock())
        self.chats[chat.id] = chat
        return chat

    def append(self, chat: Chat, role: str, content: str) -> Message:
        message = Message(f"msg_{secrets.token_hex(8)}", role, content, self.clock())
        chat.messages.append(message)
        return message

    def of_team(self, team: str, chat_id: str) -> Chat:
        chat = self.chats.get(chat_id)
        if chat is None or chat.team != team:
            raise KodeyError(404, {"error": "Not Found", "message": "Chat not found"})
        return chat

    def ordered(self, things: list[Any], order: str) -> list[Any]:
        if order == "shuffled":
            return self._shuffle.sample(things, len(things))
        return things[::-1] if order == "desc" else things

    def count_call(self, key: str) -> dict[str, str]:
        """Count one call of this key in the running minute; gives the rate headers, or raises the 429 (page "Errors")."""
        now = self.clock()
        minute = int(now // 60)
        limit = self._limit(key)
        counted = (self.keys[key] if self.switches.rate_scope == "team" else key, minute)
        self._windows = {window: calls for window, calls in self._windows.items() if window[1] == minute}
        self._windows[counted] = calls = self._windows.get(counted, 0) + 1
        reset = (minute + 1) * 60
        headers = {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(limit - calls, 0)),
            "X-RateLimit-Reset": str(reset),
        }
        if calls > limit:
            wait = max(1, int(reset - now))
            raise _LimitError(
                headers, {"error": "Too Many Requests", "message": "Rate limit exceeded", "retryAfter": wait}
            )
        return headers

    def _limit(self, key: str) -> int:
        if key.startswith("pk_live_"):
            return self.switches.publishable_per_minute
        return self.switches.user_per_minute if key.startswith("usk_live_") else self.switches.secret_per_minute

    def time(self, seconds: float) -> str:
        at, digits = datetime.fromtimestamp(seconds, UTC), self.switches.fraction_digits
        return f"{at:%Y-%m-%dT%H:%M:%S}" + (f".{at.microsecond:06d}"[: digits + 1] if digits else "") + "Z"


class _LimitError(KodeyError):
    def __init__(self, headers: dict[str, str], body: dict[str, Any]) -> None:
        super().__init__(429, body)
        self.headers = headers


def create_app(*, seed: bool = True, clock: Clock = time.time, switches: Switches | None = None) -> Control:
    return Control(Kodey(seed=seed, clock=clock, switches=switches))


Handler = Callable[[Request, str], Awaitable[Response]]


def _routes(kodey: Kodey) -> list[Route]:
    """The page "Chat API"; the paths hang directly off the host."""

    async def create_chat(request: Request, team: str) -> Response:  # "Create Chat": echoes neither userId nor metadata
        said = await _json_object(request)
        agent, user, metadata = said.get("agentId"), said.get("userId"), said.get("metadata")
        if not isinstance(agent, str) or not agent:
            raise _bad_request("agentId is required")
        if user is not None and not isinstance(user, str):
            raise _bad_request("userId must be a string")
        if not isinstance(metadata, dict) and (metadata is not None or kodey.switches.metadata_required):
            raise _bad_request("metadata must be an object")
        chat = kodey.create(team, agent, user, metadata)
        return JSONResponse({"id": chat.id, "agentId": agent, "teamId": team, "createdAt": kodey.time(chat.created)})

    async def list_chats(request: Request, team: str) -> Response:  # "List Chats": no teamId, unpaged
        user, kind = request.query_params.get("userId"), request.query_params.get("agentType")
        found = [
            chat
            for chat in kodey.chats.values()
            if chat.team == team
            and user in (None, chat.user)
            and kind in (None, kodey.switches.agent_types.get(chat.agent))
        ]
        return JSONResponse({"chats": [_row(kodey, chat) for chat in kodey.ordered(found, kodey.switches.chat_order)]})

    async def get_chat(request: Request, team: str) -> Response:  # "Get Chat by ID": no userId
        chat = kodey.of_team(team, request.path_params["chat_id"])
        messages = _messages(kodey, chat) if kodey.switches.chat_carries_messages else []
        return JSONResponse(
            {
                "id": chat.id,
                "agentId": chat.agent,
                "teamId": chat.team,
                "messages": messages,
                "createdAt": kodey.time(chat.created),
            }
        )

    async def delete_chat(request: Request, team: str) -> Response:  # "Delete Chat": 204
        del kodey.chats[kodey.of_team(team, request.path_params["chat_id"]).id]
        return Response(status_code=204)

    async def send_message(
        request: Request, team: str
    ) -> Response:  # "Create Message": the answer is the assistant's message
        chat = kodey.of_team(team, request.path_params["chat_id"])
        said = await _json_object(request)
        content = said.get("content")
        if not isinstance(content, str) or not content:
            raise _bad_request("content is required")
        if said.get("role") != "user":
            raise _bad_request('role must be "user"')
        kodey.append(chat, "user", content)
        asked = sum(message.role == "user" for message in chat.messages)
        await asyncio.sleep(kodey.switches.reply_ms / 1000)
        reply = kodey.append(chat, "assistant", f"Echo {asked}: {content}")
        return JSONResponse(
            {
                "id": reply.id,
                "chatId": chat.id,
                "content": reply.content,
                "role": "assistant",
                "createdAt": kodey.time(reply.created),
            }
        )

    async def list_messages(request: Request, team: str) -> Response:  # "List Messages": no chatId, unpaged
        chat = kodey.of_team(team, request.path_params["chat_id"])
        return JSONResponse({"messages": _messages(kodey, chat)})

    def route(method: str, path: str, handler: Handler) -> Route:
        return Route(path, _guard(kodey, handler), methods=[method], name=handler.__name__)

    return [
        route("POST", "/chat", create_chat),
        route("GET", "/chat", list_chats),
        route("GET", "/chat/{chat_id}", get_chat),
        route("DELETE", "/chat/{chat_id}", delete_chat),
        route("POST", "/chat/{chat_id}/message", send_message),
        route("GET", "/chat/{chat_id}/message", list_messages),
    ]


def _row(kodey: Kodey, chat: Chat) -> dict[str, Any]:
    row: dict[str, Any] = {"id": chat.id, "agentId": chat.agent}
    if chat.user is not None or kodey.switches.absent_user == "null":
        row["userId"] = chat.user
    return row | {"createdAt": kodey.time(chat.created)}


def _messages(kodey: Kodey, chat: Chat) -> list[dict[str, Any]]:
    return [
        {"id": one.id, "content": one.content, "role": one.role, "createdAt": kodey.time(one.created)}
        for one in kodey.ordered(chat.messages, kodey.switches.message_order)
    ]


def _guard(kodey: Kodey, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Pages "Authentication" and "Errors": the key, what it may do, and its rate, before anything else."""

    async def guarded(request: Request) -> Response:
        key = request.headers.get("x-api-key", "")
        if key not in kodey.keys:
            raise KodeyError(401, {"message": "Unauthorized"})
        headers = kodey.count_call(key)
        try:
            _check_scope(kodey, key, handler.__name__)
            response = await handler(request, kodey.keys[key])
        except KodeyError as refused:
            response = JSONResponse(refused.body, status_code=refused.status)
        response.headers.update(headers)
        return response

    return guarded


def _check_scope(kodey: Kodey, key: str, operation: str) -> None:
    manages = operation in ("list_chats", "delete_chat")
    allowed = not manages or kodey.switches.publishable_may_manage
    if key.startswith("usk_live_"):
        allowed = kodey.switches.user_key_may_chat
    elif key.startswith("sk_live_"):
        allowed = True
    if not allowed:
        raise KodeyError(
            403,
            {
                "error": "Forbidden",
                "message": "This API key may not call this endpoint",
                "allowedEndpoints": [
                    "POST /chat",
                    "GET /chat/:chatId",
                    "POST /chat/:chatId/message",
                    "GET /chat/:chatId/message",
                ],
                "upgradeInstructions": "Use a secret key for this endpoint",
            },
        )


async def _json_object(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _bad_request("Content-Type must be application/json")
    try:
        said = await request.json()
    except ValueError:
        raise _bad_request("the body is not valid JSON") from None
    if not isinstance(said, dict):
        raise _bad_request("the body must be an object")
    return said


async def _refusal(_: Request, refused: Exception) -> Response:
    assert isinstance(refused, KodeyError)
    headers = refused.headers if isinstance(refused, _LimitError) else None
    return JSONResponse(refused.body, status_code=refused.status, headers=headers)


async def _no_route(_: Request, refused: Exception) -> Response:
    """What the vendor answers on an unknown path is not documented; its standard error body is."""
    return JSONResponse({"error": "Not Found", "message": "Not found"}, status_code=404)
