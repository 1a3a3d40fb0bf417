"""A chat's messages as a tree: paths, branches, windows. Pure functions over records, for every source that reads a chat whole."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from domain.errors import BadCursor
from domain.records import Message
from domain.source import MessageWindow

_BEGINNING = datetime.min.replace(tzinfo=UTC)


def by_id(messages: Iterable[Message]) -> dict[str, Message]:
    """Native id to message."""
    return {message.native_id: message for message in messages}


def path_to(messages: Mapping[str, Message], leaf: str | None) -> list[Message]:
    """From the root to `leaf`. A parent that is missing, or a circle, ends the walk: what was reached is the path."""
    path: list[Message] = []
    seen: set[str] = set()
    at = leaf
    while at is not None and at in messages and at not in seen:
        seen.add(at)
        path.append(messages[at])
        at = messages[at].parent_id
    path.reverse()
    return path


def children_of(messages: Mapping[str, Message]) -> dict[str | None, list[Message]]:
    """Parent id (None for roots) to children, oldest first; equal times keep the order of `messages`."""
    children: dict[str | None, list[Message]] = {}
    for message in messages.values():
        parent = message.parent_id if message.parent_id in messages else None
        children.setdefault(parent, []).append(message)
    for siblings in children.values():
        siblings.sort(key=lambda message: message.created_at or _BEGINNING)
    return children


def newest_leaf(messages: Mapping[str, Message], start: str | None) -> str | None:
    """The end of the path that begins at `start` (None: at the newest root) and follows the newest child each time."""
    children = children_of(messages)
    at = start
    seen: set[str | None] = set()
    while (below := children.get(at)) and at not in seen:
        seen.add(at)
        at = below[-1].native_id
    return at


def branch_path(messages: Mapping[str, Message], branch: str | None, active_leaf: str | None) -> list[Message]:
    """The path through `branch`, or the active one. Without a known active leaf the newest path is the active one."""
    if branch is not None:
        return path_to(messages, newest_leaf(messages, branch))
    if active_leaf is None or active_leaf not in messages:
        active_leaf = newest_leaf(messages, None)
    return path_to(messages, active_leaf)


def cut(path: Sequence[Message], window: MessageWindow) -> tuple[Sequence[Message], bool, bool]:
    """The window of a path, with whether there is more before and after it. A position that is not on the path is a `BadCursor`."""
    start, end = 0, len(path)
    if window.after is not None:
        start = _position(path, window.after) + 1
    if window.before is not None:
        end = _position(path, window.before)
    if window.first is not None:
        end = min(end, start + window.first)
    elif window.last is not None:
        start = max(start, end - window.last)
    return path[start:end], start > 0, end < len(path)


def _position(path: Sequence[Message], native_id: str) -> int:
    for index, message in enumerate(path):
        if message.native_id == native_id:
            return index
    raise BadCursor(
        "The list of messages was to continue at a message that is not on this path (any more). Start again without a cursor."
    )
