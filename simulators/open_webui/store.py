"""Everything this server holds, and the shapes in which it tells it."""

import asyncio
import copy
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from simulators.control import Clock
from simulators.open_webui import tree
from simulators.open_webui.accounts import User


@dataclass
class Switches:
    """What a test wants to be another way."""

    version: str = "0.12.4"
    begin_ms: float = 20.0
    """Until the model's first word. A reply that is stopped before it stays `done: false` for ever."""
    fast_word_ms: float = 5.0
    slow_word_ms: float = 250.0
    socket_ping_ms: float = 25_000
    socket_ping_timeout_ms: float = 20_000
    cut_socket_after: int = 0
    """Drop the connection of a socket after so many frames; 0 never."""
    socket_is_mute: bool = False
    """Events are lost on their way; pings and acknowledgements are not."""
    page_size: int = 60
    folder_page_size: int = 10


@dataclass
class Chat:
    """Times in epoch seconds, whole. `body` is the free dictionary `chat` of the answers."""

    id: str
    user_id: str
    title: str
    body: dict[str, Any]
    created_at: int
    updated_at: int
    share_id: str | None = None
    archived: bool = False
    pinned: bool = False
    meta: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    folder_id: str | None = None
    current_message_id: str | None = None
    last_read_at: int | None = None

    def full(self) -> dict[str, Any]:
        """The object that creating, changing and opening a chat answer."""
        return {
            "id": self.id,
            "user_id": self.user_id,
            "title": self.title,
            "chat": copy.deepcopy(self.body),
            "updated_at": self.updated_at,
            "created_at": self.created_at,
            "share_id": self.share_id,
            "archived": self.archived,
            "pinned": self.pinned,
            "meta": copy.deepcopy(self.meta),
            "variables": self.variables,
            "folder_id": self.folder_id,
            "tasks": None,
            "summary": None,
            "current_message_id": self.current_message_id,
            "context_usage": None,
        }

    def opened(self, *, may_write: bool) -> dict[str, Any]:
        """The same as GET tells it: with a share mode, and with the branch followed to its leaf."""
        shown = self.full()
        if isinstance(shown["chat"].get("history"), dict) and tree.messages_of(shown["chat"]):
            shown["chat"]["history"]["currentId"] = tree.shown_current(shown["chat"])
        shown["chat"]["share_mode"] = "continue" if may_write else None
        return shown

    @property
    def tags(self) -> list[str]:
        tags: list[str] = self.meta.get("tags", [])
        return tags


@dataclass
class Folder:
    id: str
    user_id: str
    name: str
    created_at: int
    updated_at: int
    parent_id: str | None = None
    meta: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    is_expanded: bool = False

    def full(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "parent_id": self.parent_id,
            "user_id": self.user_id,
            "name": self.name,
            "items": None,
            "meta": self.meta,
            "data": self.data,
            "is_expanded": self.is_expanded,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


@dataclass
class Share:
    """A snapshot of a chat, readable under its share id."""

    id: str
    chat_id: str
    snapshot: dict[str, Any]
    created_at: int


class Store:
    """Chats, folders, tags and shares of all users. `running`: chat id → task id → the task that writes into it."""

    def __init__(self, clock: Clock = time.time, switches: Switches | None = None) -> None:
        self.clock = clock
        self.switches = switches or Switches()
        self.chats: dict[str, Chat] = {}
        self.folders: dict[str, Folder] = {}
        self.tags: dict[str, dict[str, str]] = {}
        """User id → tag id → name, in the order of their first use."""
        self.shares: dict[str, Share] = {}
        self.running: dict[str, dict[str, asyncio.Task[None]]] = {}

    def clear(self) -> None:
        for chat_id in list(self.running):
            self.stop_all(chat_id)
        for held in (self.chats, self.folders, self.tags, self.shares, self.running):
            held.clear()

    def now(self) -> int:
        return int(self.clock())

    def row(self, chat: Chat, *, snippet: str | None = None, archived: bool = False) -> dict[str, Any]:
        """One row of a list: no owner, no pin, no folder, no tags; `archived` is told by the search alone."""
        return {
            "id": chat.id,
            "title": chat.title,
            "updated_at": chat.updated_at,
            "created_at": chat.created_at,
            "last_read_at": chat.last_read_at,
            "snippet": snippet,
            "active": bool(self.running.get(chat.id)),
            "archived": archived,
        }

    def chats_of(self, user_id: str) -> list[Chat]:
        """Latest change first, then by id."""
        mine = [chat for chat in self.chats.values() if chat.user_id == user_id]
        return sorted(mine, key=lambda chat: (-chat.updated_at, chat.id))

    def owned(self, user: User, chat_id: str) -> Chat | None:
        chat = self.chats.get(chat_id)
        return chat if chat is not None and chat.user_id == user.id else None

    def readable(self, user: User, chat_id: str) -> Chat | None:
        """An admin reads anybody's."""
        chat = self.chats.get(chat_id)
        return chat if chat is not None and (chat.user_id == user.id or user.is_admin) else None

    def folder_of(self, user: User, folder_id: str) -> Folder | None:
        folder = self.folders.get(folder_id)
        return folder if folder is not None and folder.user_id == user.id else None

    def subtree(self, folder_id: str) -> list[str]:
        """The folder and everything below it."""
        found = [folder_id]
        for one in found:
            found += [
                folder.id for folder in self.folders.values() if folder.parent_id == one and folder.id not in found
            ]
        return found

    def add_chat(self, user: User, body: dict[str, Any], *, folder_id: str | None = None) -> Chat:
        """Keep a body that was checked and stamped before."""
        now = self.now()
        chat = Chat(str(uuid.uuid4()), user.id, body.get("title", "New Chat"), body, now, now, folder_id=folder_id)
        history = body.get("history")
        chat.current_message_id = history.get("currentId") if isinstance(history, dict) else None
        chat.last_read_at = now
        self.chats[chat.id] = chat
        return chat

    def remove_chat(self, chat: Chat) -> None:
        self.stop_all(chat.id)
        del self.chats[chat.id]
        if chat.share_id is not None:
            self.shares.pop(chat.share_id, None)
        self.forget_unused_tags(chat.user_id, chat.tags)

    def stop_all(self, chat_id: str) -> None:
        """Nothing writes into this chat any more, and nobody finds the tasks."""
        for task in self.running.pop(chat_id, {}).values():
            task.cancel()

    def forget_unused_tags(self, user_id: str, tag_ids: list[str]) -> None:
        used = {tag for chat in self.chats.values() if chat.user_id == user_id for tag in chat.tags}
        for tag in set(tag_ids) - used:
            self.tags.get(user_id, {}).pop(tag, None)

    def tag_rows(self, user_id: str, tag_ids: list[str]) -> list[dict[str, Any]]:
        names = self.tags.get(user_id, {})
        return [{"id": tag, "name": names[tag], "user_id": user_id, "meta": None} for tag in tag_ids if tag in names]


def stamp(body: dict[str, Any], user: User) -> bool:
    """Write the author into every message, in place; whether the body could be a chat at all."""
    history, listed = body.get("history", {}), body.get("messages")
    if not isinstance(history, dict):
        return False
    messages = history.get("messages")
    in_tree = list(messages.values()) if isinstance(messages, dict) else []
    in_list = listed if isinstance(listed, list) else []
    for message in [*in_tree, *in_list]:
        if not isinstance(message, dict):
            return False
        message["user_id"] = user.id
        if message.get("role") == "user":
            message["user"] = {"id": user.id, "name": user.name}
    return True
