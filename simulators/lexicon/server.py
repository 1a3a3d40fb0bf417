"""The simulator as a whole, and what the control API needs."""

import asyncio
import time
import uuid
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import WebSocketRoute

from simulators.control import Clock, Control, EmitError
from simulators.lexicon.errors import no_route
from simulators.lexicon.replies import Replies
from simulators.lexicon.rest import routes
from simulators.lexicon.socket import ChatSocket
from simulators.lexicon.store import SEEDED_USERS, TENANT, Chat, Message, Store
from simulators.lexicon.switches import Switches
from simulators.seed import talks

_CLOSED = 3
"""The place of a seeded chat whose `status` is `closed`; both values are in the documents' examples."""


class Lexicon:
    """All tenants' chats, in memory."""

    vendor = "lexicon"

    def __init__(self, *, seed: bool = True, clock: Clock = time.time, switches: Switches | None = None) -> None:
        self.switches, self.clock = switches or Switches(), clock
        self.store = Store(clock, self.switches)
        self._replies = Replies(self.store)
        self._told: set[asyncio.Task[None]] = set()
        socket = WebSocketRoute("/ws/chat", ChatSocket(self.store, self._replies), name="open_socket")
        self.app = _App(
            self.switches, routes=[*routes(self.store), socket], exception_handlers={HTTPException: no_route}
        )
        self.reset(seed=seed)

    def reset(self, *, seed: bool) -> None:
        self._replies.stop_all()
        self.store.clear()
        if seed:
            self._seed()

    def _seed(self) -> None:
        now = self.clock()
        for place, talk in enumerate(talks("lexicon")):
            user, metadata = SEEDED_USERS[place % 3], {"department": ("technical", "sales")[place % 2]}
            created, step = now - talk.created_age, (talk.created_age - talk.updated_age) / len(talk.lines)
            updated = created + step * len(talk.lines)
            chat = Chat(_id("chat", place), TENANT, user, talk.title, metadata, created, updated)
            for line, text in enumerate(talk.lines):
                role = ("user", "assistant")[line % 2]
                more = {"model": "simulated", "tokens_used": len(text.split())} if role == "assistant" else {}
                at = created + step * (line + 1)
                chat.messages.append(Message(f"msg-{_id('message', place, line)}", role, text, at, more))
            chat.status = "closed" if place == _CLOSED else "active"
            self.store.chats[chat.id] = chat
            self.store.users.add((TENANT, user))

    def state(self) -> dict[str, Any]:
        return {
            "chats": [asdict(chat) for chat in self.store.chats.values()],
            "users": [{"tenant": tenant, "user": user} for tenant, user in sorted(self.store.users)],
            "sockets": self.store.open_sockets(),
        }

    def emit(self, chat_id: str | None, text: str | None, role: str | None) -> dict[str, str]:
        if role not in (None, "user", "assistant"):
            raise EmitError(f"role is user or assistant, not {role!r}")
        chat = self._chat_to_emit_into(chat_id)
        message = self.store.add_message(chat, role or "assistant", text or "A message from elsewhere.", {})
        telling = asyncio.create_task(self._replies.tell_of(chat, message.role, message.id, message.content, None))
        self._told.add(telling)
        telling.add_done_callback(self._told.discard)
        return {"chat_id": chat.id, "message_id": message.id}

    def _chat_to_emit_into(self, chat_id: str | None) -> Chat:
        if chat_id is None:
            latest = max(self.store.chats.values(), key=lambda one: one.created, default=None)
            return latest or self.store.add_chat(TENANT, SEEDED_USERS[0], None, {})
        if chat_id not in self.store.chats:
            raise EmitError(f"there is no chat {chat_id!r}")
        return self.store.chats[chat_id]

    def rooms(self) -> dict[str, int]:
        return {
            chat.id: len(chat.messages)
            for chat in self.store.chats.values()
            if chat.tenant == TENANT and chat.user in SEEDED_USERS and chat.status == "active"
        }

    def begin(self, title: str) -> str:
        return self.store.add_chat(TENANT, SEEDED_USERS[0], title, {}).id

    def end(self, chat_id: str) -> None:
        if self.store.is_in_use(chat_id):
            raise EmitError(f"a socket is open to {chat_id}")
        self.store.chats.pop(chat_id, None)

    async def close(self) -> None:
        await self._replies.close()


class _App(Starlette):
    """With or without the redirect to the right slash, as it is switched when the request comes."""

    def __init__(self, switches: Switches, **more: Any) -> None:
        super().__init__(**more)
        self._switches = switches

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.router.redirect_slashes = self._switches.missing_slash == "redirect"
        await super().__call__(scope, receive, send)


def create_app(*, seed: bool = True, clock: Clock = time.time, switches: Switches | None = None) -> Control:
    return Control(Lexicon(seed=seed, clock=clock, switches=switches))


def _id(*names: object) -> str:
    """The same each time."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(["simulators", "lexicon", *map(str, names)])))
