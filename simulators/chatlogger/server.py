"""The simulator as a whole, and what the control API needs."""

import time
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from simulators.chatlogger import chats, sessions
from simulators.chatlogger.accounts import ORGANIZATION
from simulators.chatlogger.errors import no_route
from simulators.chatlogger.routing import Access, Call, VersionHeader, route
from simulators.chatlogger.store import Chat, Message, Store
from simulators.chatlogger.switches import Switches
from simulators.control import Clock, Control, EmitError
from simulators.seed import talks

_SEEDED_TAGS: tuple[list[str], ...] = (["shop"], [], ["shop", "returns"], ["faq"])
_SEEDED_USERS = (1, 42, None)
"""Users of the organization, and nobody."""


class ChatLogger:
    """All organizations' chats, in memory."""

    vendor = "chatlogger"

    def __init__(self, *, seed: bool = True, clock: Clock = time.time, switches: Switches | None = None) -> None:
        self.switches, self.clock = switches or Switches(), clock
        self.store = Store(clock, self.switches)
        self.app = Starlette(
            routes=[*sessions.routes(self.store), *chats.routes(self.store), *self._routes()],
            exception_handlers={HTTPException: no_route},
            middleware=[Middleware(VersionHeader, self.switches)],
        )
        self.app.router.redirect_slashes = False
        self.reset(seed=seed)

    def _routes(self) -> list[Route]:
        async def version(_: Call) -> tuple[int, Any]:
            return 200, {"version": self.switches.version, "build_time": "", "git_commit": "", "docs": {}}

        async def health(_: Call) -> tuple[int, Any]:
            return 200, {"status": "ok"}

        return [
            route(self.store, "GET", "/version", version, Access.ANYBODY, prefixed=False),
            route(self.store, "GET", "/health", health, Access.ANYBODY, prefixed=False),
        ]

    def reset(self, *, seed: bool) -> None:
        self.store.clear()
        if seed:
            self._seed()

    def _seed(self) -> None:
        now = self.clock()
        for place, talk in enumerate(talks("chatlogger")):
            created, step = now - talk.created_age, (talk.created_age - talk.updated_age) / len(talk.lines)
            metadata = {"country_code": "NL", "language_code": "en", "token_count": 40 + place}
            user, tags = _SEEDED_USERS[place % 3], list(_SEEDED_TAGS[place % 4])
            chat = Chat(self.store.next_id(), ORGANIZATION, user, talk.title, tags, metadata, created, created)
            for line, text in enumerate(talk.lines):
                role, more = ("user", {}) if line % 2 == 0 else ("assistant", {"response_time": 900})
                at = created + step * (line + 1)
                chat.messages.append(Message(self.store.next_id(), role, text, dict(more), at))
            chat.updated = now - talk.updated_age
            self.store.chats[chat.id] = chat

    def state(self) -> dict[str, Any]:
        """Ids are numbers, and may be greater than 2**53."""
        return {"chats": [asdict(chat) for chat in self.store.chats.values()]}

    def emit(self, chat_id: str | None, text: str | None, role: str | None) -> dict[str, str]:
        if role not in (None, "user", "assistant", "system"):
            raise EmitError(f"role is user, assistant or system, not {role!r}")
        chat = self._chat_to_emit_into(chat_id)
        message = self.store.add_message(chat, role or "assistant", text or "A message from elsewhere.", {})
        return {"chat_id": str(chat.id), "message_id": str(message.id)}

    def _chat_to_emit_into(self, chat_id: str | None) -> Chat:
        if chat_id is None:
            mine = self.store.chats_of(ORGANIZATION)
            return mine[0] if mine else self.store.add_chat(ORGANIZATION, None, "", [], {})
        found = [chat for chat in self.store.chats.values() if str(chat.id) == str(chat_id)]
        if not found:
            raise EmitError(f"there is no chat {chat_id!r}")
        return found[0]

    def rooms(self) -> dict[str, int]:
        return {str(chat.id): len(chat.messages) for chat in self.store.chats_of(ORGANIZATION)}

    def begin(self, title: str) -> str:
        return str(self.store.add_chat(ORGANIZATION, _SEEDED_USERS[0], title, [], {}).id)

    def end(self, chat_id: str) -> None:
        chat = self._chat_to_emit_into(chat_id)
        if chat.messages and self.switches.delete_fails:
            raise EmitError("this server does not delete chats with messages")
        del self.store.chats[chat.id]

    async def close(self) -> None:
        """Nothing runs in the background."""


def create_app(*, seed: bool = True, clock: Clock = time.time, switches: Switches | None = None) -> Control:
    return Control(ChatLogger(seed=seed, clock=clock, switches=switches))
