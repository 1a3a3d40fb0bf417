"""The active path of a chat, kept as positions 0, 1, 2, … along it, so that a page of it is one stretch of an index."""

from dataclasses import dataclass
from typing import Any

from domain.records import Message, MessageRole
from domain.tree import children_of, newest_leaf, path_to
from storage.columns import instant_or_none
from storage.database import Row, Transaction

_OF_CHAT = "organization_id = :organization_id AND source_id = :source_id AND chat_id = :chat_id"


@dataclass(frozen=True, slots=True)
class ChatPath:
    """Names a chat, and where its path ends so far."""

    organization_id: int
    source_id: int
    chat_id: str
    leaf: str | None
    length: int

    @property
    def parameters(self) -> dict[str, Any]:
        """The chat for a statement."""
        return {"organization_id": self.organization_id, "source_id": self.source_id, "chat_id": self.chat_id}


async def extend(tx: Transaction, path: ChatPath, new: list[str]) -> None:
    """Each of `new` follows the one before it, the first of them the leaf."""
    placed = [
        {**path.parameters, "native_id": native_id, "position": position}
        for position, native_id in enumerate(new, path.length)
    ]
    await tx.execute_many(
        f"UPDATE message SET position = :position WHERE {_OF_CHAT} AND native_id = :native_id", placed
    )
    await _set_end(tx, path, new[-1], path.length + len(new))


async def lay_anew(tx: Transaction, path: ChatPath, active_leaf: str | None) -> None:
    """Find the path again: to `active_leaf` where the reading told it, else on from the old leaf, else the newest one.

    A reply of ours that the vendor does not show yet is followed past its end.
    """
    rows = await tx.fetch_all(
        "SELECT native_id, parent_id, created_at, position, is_own AND state IN ('PENDING', 'STREAMING') FROM message "
        f"WHERE {_OF_CHAT} AND deleted_at IS NULL ORDER BY id",
        path.parameters,
    )
    messages = {row[0]: _node(path, row) for row in rows}
    leaf = active_leaf if active_leaf in messages else None
    if leaf is None:
        leaf = newest_leaf(messages, path.leaf if path.leaf in messages else None)
    else:
        unsettled = {row[0] for row in rows if row[4]}
        leaf = _past(messages, leaf, unsettled) if unsettled else leaf
    way = [message.native_id for message in path_to(messages, leaf)]
    wanted = {native_id: position for position, native_id in enumerate(way)}
    moved = [
        {**path.parameters, "native_id": row[0], "position": wanted.get(row[0])}
        for row in rows
        if row[3] != wanted.get(row[0])
    ]
    if moved:
        await tx.execute_many(
            f"UPDATE message SET position = :position WHERE {_OF_CHAT} AND native_id = :native_id", moved
        )
    if (way[-1] if way else None, len(way)) != (path.leaf, path.length):
        await _set_end(tx, path, way[-1] if way else None, len(way))


async def _set_end(tx: Transaction, path: ChatPath, leaf: str | None, length: int) -> None:
    sql = (
        "UPDATE chat SET active_leaf = :leaf, path_length = :length "
        "WHERE organization_id = :organization_id AND source_id = :source_id AND native_id = :chat_id"
    )
    await tx.execute(sql, {**path.parameters, "leaf": leaf, "length": length})


def _past(messages: dict[str, Message], leaf: str, unsettled: set[str]) -> str:
    children = children_of(messages)
    at, seen = leaf, {leaf}
    while below := [child.native_id for child in children.get(at, ()) if child.native_id in unsettled - seen]:
        at = below[-1]
        seen.add(at)  # parents may form a circle; it ends where it began
    return at


def _node(path: ChatPath, row: Row) -> Message:
    """As much of a message as the tree needs."""
    return Message(
        organization_id=path.organization_id,
        source_id=path.source_id,
        chat_id=path.chat_id,
        native_id=row[0],
        role=MessageRole.OTHER,
        parent_id=row[1],
        created_at=instant_or_none(row[2]),
    )
