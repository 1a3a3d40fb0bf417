"""What the server starts with: the admin's twelve chats, with branches, folders, tags and pins, and one of the other user."""

import uuid
from typing import Any

from simulators.open_webui import models, tree
from simulators.open_webui.accounts import User
from simulators.open_webui.store import Chat, Folder, Store, stamp
from simulators.seed import Talk, talks

_NAMES = uuid.UUID("0d9c6f0e-6f0a-4c52-9a52-5f5e1a7c0001")
_FOLDERS: list[tuple[str, str | None]] = [("Work", None), ("Gateway", "Work"), ("Home", None)]
_IN_FOLDERS = {1: "Work", 4: "Gateway", 6: "Gateway", 2: "Home", 10: "Home"}
_TAGS = {1: ["Code"], 3: ["Code", "Databases"], 6: ["Databases"], 2: ["Kitchen"], 9: ["Code"]}
_PINNED, _ARCHIVED, _BRANCHED = {9, 11}, {0, 8}, {3, 5, 11}


def _id(*parts: object) -> str:
    return str(uuid.uuid5(_NAMES, "/".join(map(str, parts))))


def fill(store: Store, admin: User, user: User) -> None:
    now = store.clock()
    for name, parent in _FOLDERS:
        at = int(now - 20 * 86400)
        parent_id = _id("folder", parent) if parent else None
        store.folders[_id("folder", name)] = Folder(_id("folder", name), admin.id, name, at, at, parent_id)
    for place, talk in enumerate(talks("open_webui")):
        _add(store, admin, place, talk, now)
    private = Talk("Only Uma sees this", ("Is this private?", "It is yours alone."), 30 * 3600, 29 * 3600)
    _add(store, user, 100, private, now)


def _add(store: Store, owner: User, place: int, talk: Talk, now: float) -> None:
    body: dict[str, Any] = {"title": talk.title, "models": [models.FAST], "history": _history(place, talk, now)}
    stamp(body, owner)
    created, updated = int(now - talk.created_age), int(now - talk.updated_age)
    chat = Chat(_id("chat", place), owner.id, talk.title, body, created, updated)
    chat.current_message_id, chat.last_read_at = body["history"]["currentId"], updated
    chat.pinned, chat.archived = place in _PINNED, place in _ARCHIVED
    chat.folder_id = _id("folder", _IN_FOLDERS[place]) if place in _IN_FOLDERS else None
    names = store.tags.setdefault(owner.id, {})
    for name in _TAGS.get(place, []):
        names.setdefault(name.lower(), name)
        chat.meta.setdefault("tags", []).append(name.lower())
    store.chats[chat.id] = chat


def _history(place: int, talk: Talk, now: float) -> dict[str, Any]:
    """One line of messages; in some chats the last answer has an older sibling with other words."""
    messages: tree.Messages = {}
    parent: str | None = None
    step = (talk.created_age - talk.updated_age) / len(talk.lines)
    for line, text in enumerate(talk.lines):
        at = int(now - talk.created_age + step * (line + 1))
        answers = line % 2 == 1
        if answers and place in _BRANCHED and line == len(talk.lines) - 1:
            _put(messages, _id("message", place, line, "other"), parent, answers, f"In other words: {text}", at - 5)
        parent = _put(messages, _id("message", place, line), parent, answers, text, at)
    return {"messages": messages, "currentId": parent}


def _put(messages: tree.Messages, message_id: str, parent: str | None, answers: bool, text: str, at: int) -> str:
    message: dict[str, Any] = {
        "id": message_id,
        "parentId": parent,
        "childrenIds": [],
        "role": "assistant" if answers else "user",
        "content": text,
        "timestamp": at,
    }
    more: dict[str, Any] = {"model": models.FAST, "modelIdx": 0, "done": True} if answers else {"models": [models.FAST]}
    messages[message_id] = message | more
    tree.add_child(messages, parent, message_id)
    return message_id
