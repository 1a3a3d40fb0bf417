"""What a vendor holds, read behind the gateway's back: a simulator's control API, or the file of the local store."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulators import splox
from simulators.chatlogger.accounts import ORGANIZATION
from simulators.kodey import TEAM
from simulators.lexicon import TENANT
from simulators.open_webui.accounts import accounts

State = Mapping[str, Any]
_ADMIN = accounts()[0].id


@dataclass(frozen=True)
class HeldMessage:
    """`parent` is None also where the vendor keeps none."""

    id: str
    role: str
    text: str
    parent: str | None = None


@dataclass(frozen=True)
class HeldChat:
    """A chat that the source's credentials show. None: the vendor has no such thing.

    `path` is what the vendor's own app shows, oldest first; `messages` are all there are. `is_answering`: somebody is writing a reply.
    """

    id: str
    path: tuple[HeldMessage, ...]
    messages: tuple[HeldMessage, ...]
    title: str | None = None
    metadata: Mapping[str, Any] | None = None
    tags: tuple[str, ...] | None = None
    pinned: bool | None = None
    archived: bool | None = None
    folder: str | None = None
    share: str | None = None
    is_answering: bool = False

    def texts(self, role: str) -> list[str]:
        """What was said in a role, along the path."""
        return [message.text for message in self.path if message.role == role]


def _line(chat_id: object, messages: list[HeldMessage], **fields: Any) -> HeldChat:
    """A chat without branches."""
    return HeldChat(str(chat_id), tuple(messages), tuple(messages), **fields)


def of_kodey(state: State) -> list[HeldChat]:
    return [
        _line(
            chat["id"],
            [HeldMessage(one["id"], one["role"], one["content"]) for one in chat["messages"]],
            metadata=chat["metadata"],
        )
        for chat in state["chats"]
        if chat["team"] == TEAM
    ]


def of_lexicon(state: State) -> list[HeldChat]:
    return [
        _line(
            chat["id"],
            [HeldMessage(one["id"], one["role"], one["content"]) for one in chat["messages"]],
            title=chat["title"],
            metadata=chat["metadata"],
        )
        for chat in state["chats"]
        if chat["tenant"] == TENANT
    ]


def of_chatlogger(state: State) -> list[HeldChat]:
    return [
        _line(
            chat["id"],
            [HeldMessage(str(one["id"]), one["role"], one["content"]) for one in chat["messages"]],
            title=chat["title"],
            metadata=chat["metadata"],
            tags=tuple(sorted(chat["tags"])),
        )
        for chat in state["chats"]
        if chat["organization"] == ORGANIZATION
    ]


def of_splox(state: State) -> list[HeldChat]:
    listed = {splox.ASSISTANT.workflow_id, splox.SLOW.workflow_id}
    return [
        _line(
            chat["id"],
            [
                HeldMessage(one["id"], one["role"], "".join(part.get("text", "") for part in one["content"]))
                for one in state["messages"][chat["id"]]
            ],
            title=chat["name"],
            metadata=chat["metadata"],
            is_answering=any(
                run["chat_id"] == chat["id"] and run["status"] not in ("completed", "failed", "stopped")
                for run in state["runs"]
            ),
        )
        for chat in state["chats"]
        if chat["resource_id"] in listed
    ]


def of_open_webui(state: State) -> list[HeldChat]:
    folders = {folder["id"]: folder["name"] for folder in state["folders"]}
    return [_of_open_webui(chat, folders, bool(state["tasks"])) for chat in state["chats"] if chat["user_id"] == _ADMIN]


def _of_open_webui(chat: State, folders: Mapping[str, str], is_answering: bool) -> HeldChat:
    history = chat["body"].get("history", {})
    known = {
        message_id: HeldMessage(message_id, one["role"], one["content"], one.get("parentId"))
        for message_id, one in history.get("messages", {}).items()
    }
    return HeldChat(
        chat["id"],
        _path(known, history.get("currentId")),
        tuple(known.values()),
        title=chat["title"],
        metadata=chat["body"].get("metadata"),
        tags=tuple(sorted(chat["meta"].get("tags", []))),
        pinned=chat["pinned"],
        archived=chat["archived"],
        folder=folders.get(chat["folder_id"]),
        share=chat["share_id"],
        is_answering=is_answering,
    )


def _path(known: Mapping[str, HeldMessage], leaf: str | None) -> tuple[HeldMessage, ...]:
    path: list[HeldMessage] = []
    while leaf is not None:
        path.insert(0, known[leaf])
        leaf = known[leaf].parent
    return tuple(path)


HELD: Mapping[str, Callable[[State], list[HeldChat]]] = {
    "splox": of_splox,
    "lexicon": of_lexicon,
    "chatlogger": of_chatlogger,
    "kodey": of_kodey,
    "open_webui": of_open_webui,
}
"""Vendor → the chats of its simulator's `/__control/state` that the source's credentials show."""


def of_local(database: Path, source_id: int) -> list[HeldChat]:
    """The local store's chats, as its file holds them."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as store:
        store.row_factory = sqlite3.Row
        folders = {row["native_id"]: row["name"] for row in store.execute("SELECT native_id, name FROM folder")}
        return [
            _of_local(store, row, folders)
            for row in store.execute("SELECT * FROM chat WHERE source_id = ? AND deleted_at IS NULL", (source_id,))
        ]


def _of_local(store: sqlite3.Connection, chat: sqlite3.Row, folders: Mapping[str, str]) -> HeldChat:
    rows = store.execute(
        "SELECT * FROM message WHERE source_id = ? AND chat_id = ? AND deleted_at IS NULL ORDER BY position, id",
        (chat["source_id"], chat["native_id"]),
    ).fetchall()
    known = {
        row["native_id"]: HeldMessage(row["native_id"], row["role"].lower(), row["text"], row["parent_id"])
        for row in rows
    }
    return HeldChat(
        chat["native_id"],
        tuple(known[row["native_id"]] for row in rows if row["position"] is not None),
        tuple(known.values()),
        title=chat["title"],
        metadata=json.loads(chat["metadata"]) if chat["metadata"] else None,
        tags=tuple(sorted(json.loads(chat["tags"]))) if chat["tags"] else (),
        pinned=bool(chat["pinned"]),
        archived=bool(chat["archived"]),
        folder=folders.get(chat["folder_id"]),
    )


def markers_of(database: Path, source_id: int, chat_id: str) -> list[str]:
    """Up to which messages somebody has read a chat."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as store:
        sql = "SELECT message_id FROM read_marker WHERE source_id = ? AND chat_id = ?"
        return [row[0] for row in store.execute(sql, (source_id, chat_id))]
