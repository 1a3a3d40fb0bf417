"""Toy as a small server, with the control API of every simulator beside it. Operations: list_chats create_chat get_chat delete_chat list_messages send_message."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulators.control import Clock, Control, EmitError

API_KEY = "toy_key_simulator"


@dataclass
class Switches:
    """Nothing is left open."""


@dataclass
class Chat:
    """`created`: epoch seconds."""

    id: str
    title: str
    created: float
    messages: list[dict[str, Any]] = field(default_factory=list)

    def head(self) -> dict[str, Any]:
        """A row of the list, and the chat alone."""
        return {"id": self.id, "title": self.title, "created": self.created}


class Toy:
    """One board."""

    vendor = "toy"

    def __init__(self, *, seed: bool, clock: Clock = time.time) -> None:
        self.switches, self.clock = Switches(), clock
        self.chats: dict[str, Chat] = {}
        self._made = 0
        self.app = Starlette(routes=self._routes())
        self.reset(seed=seed)

    def reset(self, *, seed: bool) -> None:
        self.chats.clear()
        if seed:
            for title, texts in (("Lost umbrella", ("It was blue.", "It is at the desk.")), ("Choir", ("When?",))):
                chat = self._add(title)
                for place, text in enumerate(texts):
                    self._say(chat, ("user", "assistant")[place % 2], text)

    def state(self) -> dict[str, Any]:
        return {"chats": [asdict(chat) for chat in self.chats.values()]}

    def emit(self, chat_id: str | None, text: str | None, role: str | None) -> dict[str, str]:
        if chat_id not in self.chats:
            raise EmitError(f"there is no chat {chat_id!r}")
        message = self._say(self.chats[chat_id], role or "assistant", text or "A message from elsewhere.")
        return {"chat_id": chat_id, "message_id": message["id"]}

    def rooms(self) -> dict[str, int]:
        return {chat.id: len(chat.messages) for chat in self.chats.values()}

    def begin(self, title: str) -> str:
        return self._add(title).id

    def end(self, chat_id: str) -> None:
        self.chats.pop(chat_id, None)

    async def close(self) -> None:
        """Nothing runs in the background."""

    def _id(self) -> str:
        self._made += 1
        return f"toy-{self._made}"

    def _add(self, title: str) -> Chat:
        chat = Chat(self._id(), title, self.clock())
        self.chats[chat.id] = chat
        return chat

    def _say(self, chat: Chat, role: str, text: str, note: Any = None) -> dict[str, Any]:
        message = {"id": self._id(), "role": role, "text": text, "note": note, "created": self.clock()}
        chat.messages.append(message)
        return message

    def _routes(self) -> list[Route]:
        async def list_chats(_: Request, __: Chat | None) -> Response:
            return JSONResponse({"chats": [chat.head() for chat in self.chats.values()]})

        async def create_chat(request: Request, _: Chat | None) -> Response:
            said = await request.json()
            if not isinstance(said.get("title"), str) or not said["title"]:
                return _refusal(400, "a title is needed")
            return JSONResponse(self._add(said["title"]).head(), 201)

        async def get_chat(_: Request, chat: Chat | None) -> Response:
            return JSONResponse(_known(chat).head())

        async def delete_chat(_: Request, chat: Chat | None) -> Response:
            del self.chats[_known(chat).id]
            return Response(status_code=204)

        async def list_messages(_: Request, chat: Chat | None) -> Response:
            return JSONResponse({"messages": _known(chat).messages})

        async def send_message(request: Request, chat: Chat | None) -> Response:
            said = await request.json()
            if said.get("role") not in ("user", "assistant") or not said.get("text"):
                return _refusal(400, "a role and a text are needed")
            return JSONResponse(self._say(_known(chat), said["role"], said["text"], said.get("note")), 201)

        table: list[tuple[str, str, Handler]] = [
            ("GET", "/chats", list_chats),
            ("POST", "/chats", create_chat),
            ("GET", "/chats/{chat_id}", get_chat),
            ("DELETE", "/chats/{chat_id}", delete_chat),
            ("GET", "/chats/{chat_id}/messages", list_messages),
            ("POST", "/chats/{chat_id}/messages", send_message),
        ]
        return [
            Route(path, self._admitting(handler), methods=[method], name=handler.__name__)
            for method, path, handler in table
        ]

    def _admitting(self, handler: "Handler") -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {API_KEY}":
                return _refusal(401, "the key is wrong")
            chat_id = request.path_params.get("chat_id")
            if chat_id is not None and chat_id not in self.chats:
                return _refusal(404, "there is no such chat")
            return await handler(request, self.chats[chat_id] if chat_id is not None else None)

        return guarded


Handler = Callable[[Request, Chat | None], Awaitable[Response]]


def _known(chat: Chat | None) -> Chat:
    assert chat is not None
    return chat


def _refusal(status: int, why: str) -> Response:
    return JSONResponse({"why": why}, status)


def create_app(*, seed: bool = True) -> Control:
    return Control(Toy(seed=seed))
