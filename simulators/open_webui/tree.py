"""The message tree of a chat: `{"messages": {id: message}, "currentId": id}` (observed on 0.12.4).

Pure functions over the parsed JSON. They change nothing in place unless they say so.
"""

from typing import Any

History = dict[str, Any]
Messages = dict[str, dict[str, Any]]


def messages_of(chat: dict[str, Any]) -> Messages:
    """The messages by id; nothing where the chat has no usable history."""
    history = chat.get("history")
    messages = history.get("messages") if isinstance(history, dict) else None
    return messages if isinstance(messages, dict) else {}


def merge(stored: History, sent: History) -> History:
    """Messages are merged by id, each sent one whole; `childrenIds` follow from `parentId`; nothing is removed.

    A `currentId` that names no message leaves the stored one.
    """
    existing: Messages = stored.get("messages") or {}
    incoming: Messages = sent.get("messages") or {}
    merged: Messages = {}
    for message_id in [*existing, *(one for one in incoming if one not in existing)]:
        before = existing.get(message_id)
        running = before is not None and before.get("role") == "assistant" and before.get("done") is False
        kept = before if before is not None and (running or message_id not in incoming) else incoming[message_id]
        merged[message_id] = {**kept, "childrenIds": []}
    for message_id, message in merged.items():
        if message.get("parentId") in merged:
            merged[message["parentId"]]["childrenIds"].append(message_id)
    current = next((one for one in (sent.get("currentId"), stored.get("currentId")) if one in merged), None)
    return {**stored, **sent, "messages": merged, "currentId": current}


def last_descendant(messages: Messages, message_id: str) -> str:
    """The leaf that is reached by always taking the newest child."""
    seen: set[str] = set()
    while message_id not in seen:
        seen.add(message_id)
        children = [one for one in messages[message_id].get("childrenIds") or [] if one in messages]
        if not children:
            break
        message_id = children[-1]
    return message_id


def shown_current(chat: dict[str, Any]) -> Any:
    """What GET tells as `currentId`: the last descendant of the stored one; the newest leaf where that is no message."""
    messages, current = messages_of(chat), chat["history"].get("currentId")
    if current in messages and messages[current].get("id") and messages[current].get("role"):
        return last_descendant(messages, current)
    leaves = [one for one, message in messages.items() if not message.get("childrenIds") and message.get("role")]
    return max(leaves, key=lambda one: messages[one].get("timestamp") or 0, default=current)


def path_to(messages: Messages, message_id: str | None) -> list[dict[str, Any]]:
    """From the root to this message."""
    path: list[dict[str, Any]] = []
    seen: set[str] = set()
    while message_id in messages and message_id not in seen:
        assert message_id is not None
        seen.add(message_id)
        path.append(messages[message_id])
        message_id = messages[message_id].get("parentId")
    return path[::-1]


def add_child(messages: Messages, parent_id: str | None, message_id: str) -> None:
    """Changes the parent in place."""
    if parent_id in messages:
        assert parent_id is not None
        children = messages[parent_id].setdefault("childrenIds", [])
        if message_id not in children:
            children.append(message_id)


def guess_role(messages: Messages, parent_id: str | None) -> str:
    """The role of a message that was created by editing it: the other one than its parent's."""
    parent = messages.get(parent_id or "")
    return "user" if parent is not None and parent.get("role") == "assistant" else "assistant"


def remove(history: History, message_id: str) -> bool:
    """Take out the message and its direct children; grandchildren move up. Changes `history` in place; whether it was there."""
    messages: Messages = history.get("messages") or {}
    if message_id not in messages:
        return False
    parent_id = messages[message_id].get("parentId")
    children = [one for one in messages[message_id].get("childrenIds") or [] if one in messages]
    grandchildren = [two for one in children for two in messages[one].get("childrenIds") or [] if two in messages]
    if parent_id in messages:
        siblings = [one for one in messages[parent_id].get("childrenIds") or [] if one != message_id]
        messages[parent_id]["childrenIds"] = siblings + grandchildren
    for grandchild in grandchildren:
        messages[grandchild]["parentId"] = parent_id
    for gone in [message_id, *children]:
        messages.pop(gone, None)
    if parent_id not in messages:
        roots = [one for one, message in messages.items() if message.get("parentId") is None]
        parent_id = roots[-1] if roots else None
    history["currentId"] = None if parent_id is None else last_descendant(messages, parent_id)
    return True
