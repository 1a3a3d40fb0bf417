"""Everything this server holds, and the shapes in which it tells it."""

import secrets
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from simulators.control import Clock
from simulators.lexicon.switches import Switches

API_KEY = "lexicon_key_simulator"
OTHER_TENANT_KEY = "lexicon_key_another_tenant"
TENANT, OTHER_TENANT = "tenant-simulator", "tenant-another"
TENANTS = {API_KEY: TENANT, OTHER_TENANT_KEY: OTHER_TENANT}
"""API key → the tenant that it decides."""
SEEDED_USERS = ("user-anna", "user-ben", "user-chris")


@dataclass
class Message:
    """`created`: epoch seconds."""

    id: str
    role: str
    content: str
    created: float
    metadata: dict[str, Any]


@dataclass
class Chat:
    id: str
    tenant: str
    user: str
    title: str
    metadata: dict[str, Any]
    created: float
    updated: float
    status: str = "active"
    messages: list[Message] = field(default_factory=list)


class Store:
    """Chats of all tenants, and their users, who exist once a chat or a socket named them."""

    def __init__(self, clock: Clock, switches: Switches) -> None:
        self.clock, self.switches = clock, switches
        self.tenants = dict(TENANTS)
        """The API keys that this server accepts, each with its tenant."""
        self.chats: dict[str, Chat] = {}
        self.users: set[tuple[str, str]] = set()
        self._sockets: dict[str, int] = {}
        self._closed_at: dict[str, float] = {}

    def clear(self) -> None:
        self.chats.clear()
        self.users.clear()
        self._closed_at.clear()

    def add_chat(self, tenant: str, user: str, title: str | None, metadata: dict[str, Any]) -> Chat:
        """Creates the user too, and a title where none is given."""
        now = self.clock()
        name = f"Chat {len(self.chats) + 1}" if title is None else title
        chat = Chat(str(uuid.uuid4()), tenant, user, name, metadata, now, now)
        self.chats[chat.id] = chat
        self.users.add((tenant, user))
        return chat

    def add_message(
        self, chat: Chat, role: str, content: str, metadata: dict[str, Any], id: str | None = None
    ) -> Message:
        message = Message(id or message_id(), role, content, self.clock(), metadata)
        chat.messages.append(message)
        if self.switches.message_moves_updated_at:
            chat.updated = message.created
        return message

    def chat_of(self, tenant: str, chat_id: str) -> Chat | None:
        chat = self.chats.get(chat_id)
        return chat if chat is not None and chat.tenant == tenant else None

    def chats_of(self, tenant: str, user: str) -> list[Chat]:
        """The oldest first; those of one moment as they were made."""
        mine = [chat for chat in self.chats.values() if (chat.tenant, chat.user) == (tenant, user)]
        return sorted(mine, key=lambda chat: chat.created)

    def socket_opened(self, chat_id: str) -> None:
        self._sockets[chat_id] = self._sockets.get(chat_id, 0) + 1

    def socket_closed(self, chat_id: str) -> None:
        self._sockets[chat_id] -= 1
        self._closed_at[chat_id] = self.clock()

    def is_in_use(self, chat_id: str) -> bool:
        """Whether a socket to it is open, or was a moment ago."""
        lingers = self.switches.socket_lingers_ms / 1000
        lingering = chat_id in self._closed_at and self.clock() - self._closed_at[chat_id] < lingers
        return self._sockets.get(chat_id, 0) > 0 or lingering

    def open_sockets(self) -> dict[str, int]:
        return {chat_id: count for chat_id, count in self._sockets.items() if count}

    def time(self, seconds: float) -> str:
        at, digits = datetime.fromtimestamp(seconds, UTC), self.switches.fraction_digits
        return f"{at:%Y-%m-%dT%H:%M:%S}" + (f".{at.microsecond:06d}"[: digits + 1] if digits else "") + "Z"

    def show_chat(self, chat: Chat) -> dict[str, Any]:
        """As creating answers it (page "create")."""
        return {
            "id": chat.id,
            "user_id": chat.user,
            "tenant_id": chat.tenant,
            "title": chat.title,
            "config": {"metadata": chat.metadata},
            "created_at": self.time(chat.created),
            "updated_at": self.time(chat.updated),
            "last_message_at": self.time(chat.messages[-1].created) if chat.messages else None,
        }

    def show_message(self, message: Message) -> dict[str, Any]:
        """Page "get-messages": no chat, no time of change."""
        return {
            "id": message.id,
            "content": message.content,
            "sender_role": message.role,
            "media_type": None,
            "media_url": None,
            "created_at": self.time(message.created),
            "metadata": message.metadata,
        }


def message_id() -> str:
    """The examples look like `msg-` and a UUID."""
    return f"msg-{uuid.UUID(bytes=secrets.token_bytes(16), version=4)}"
