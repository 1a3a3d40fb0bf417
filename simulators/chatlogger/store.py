"""Everything this server holds, and the shapes in which it tells it."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from simulators.chatlogger.accounts import PASSWORD, Key, User, keys
from simulators.chatlogger.switches import Switches
from simulators.control import Clock


@dataclass
class Message:
    """`created`: epoch seconds."""

    id: int
    role: str
    content: str
    metadata: dict[str, Any]
    created: float


@dataclass
class Chat:
    """`user`: None for an anonymous chat."""

    id: int
    organization: int
    user: int | None
    title: str
    tags: list[str]
    metadata: dict[str, Any]
    created: float
    updated: float
    messages: list[Message] = field(default_factory=list)


class Store:
    """Chats and keys of all organizations."""

    def __init__(self, clock: Clock, switches: Switches) -> None:
        self.clock, self.switches = clock, switches
        self.chats: dict[int, Chat] = {}
        self.keys: list[Key] = keys()
        self.password = PASSWORD
        """Of all users."""
        self._last_id = 0

    def clear(self) -> None:
        self.chats.clear()
        self.keys = keys()
        self._last_id = 0

    def next_id(self) -> int:
        """One sequence for all; a real server has one for each table."""
        self._last_id = max(self._last_id + 1, self.switches.first_id)
        return self._last_id

    def add_chat(self, organization: int, user: int | None, title: str, tags: list[str], metadata: Any) -> Chat:
        now = self.clock()
        chat = Chat(self.next_id(), organization, user, title, tags, metadata, now, now)
        self.chats[chat.id] = chat
        return chat

    def add_message(self, chat: Chat, role: str, content: str, metadata: dict[str, Any]) -> Message:
        message = Message(self.next_id(), role, content, metadata, self.clock())
        chat.messages.append(message)
        if self.switches.message_moves_updated_at:
            chat.updated = message.created
        return message

    def chats_of(self, organization: int) -> list[Chat]:
        """Newest first; of one moment, the one made last."""
        mine = [chat for chat in self.chats.values() if chat.organization == organization]
        return sorted(mine, key=lambda chat: (chat.created, chat.id), reverse=True)

    def time(self, seconds: float) -> str:
        """As Go writes it."""
        second, switches = int(seconds), self.switches
        nanoseconds = int((seconds - second) * 1_000_000_000)
        zone = timezone(timedelta(minutes=switches.utc_offset_minutes))
        whole = datetime.fromtimestamp(second, zone).isoformat()
        fraction = f"{nanoseconds:09d}"[: switches.fraction_digits].rstrip("0")
        at, offset = whole[:19], whole[19:] if switches.utc_offset_minutes else "Z"
        return f"{at}.{fraction}{offset}" if fraction else at + offset

    def row(self, chat: Chat) -> dict[str, Any]:
        """One row of the list: tags and metadata are JSON inside a string."""
        tags = json.dumps(chat.tags) if chat.tags else self.switches.absent_tags
        return self._heads(chat) | {"tags": tags, "metadata": json.dumps(chat.metadata)} | self._times(chat)

    def one(self, chat: Chat, *, with_messages: bool = False) -> dict[str, Any]:
        """A single chat, parsed; without `tags` where there are none. Its messages' metadata is a string again."""
        shown = self._heads(chat) | ({"tags": chat.tags} if chat.tags else {}) | {"metadata": chat.metadata}
        shown |= self._times(chat)
        if with_messages:
            rows = [self.message(chat, one) | {"metadata": json.dumps(one.metadata)} for one in chat.messages]
            shown["messages"] = rows
        return shown

    def message(self, chat: Chat, message: Message) -> dict[str, Any]:
        return {
            "id": message.id,
            "chat_id": chat.id,
            "role": message.role,
            "content": message.content,
            "metadata": message.metadata,
            "created_at": self.time(message.created),
        }

    def _heads(self, chat: Chat) -> dict[str, Any]:
        anonymous = {} if chat.user is None else {"user_id": chat.user}
        return {"id": chat.id, "organization_id": chat.organization} | anonymous | {"title": chat.title}

    def _times(self, chat: Chat) -> dict[str, Any]:
        return {"created_at": self.time(chat.created), "updated_at": self.time(chat.updated)}


def show_user(user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "organization_id": user.organization,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "role": user.role,
    }
