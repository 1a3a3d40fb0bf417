"""A message between its row and its record, and the hash that tells whether it changed."""

import hashlib
from dataclasses import dataclass
from typing import Any

from domain.records import Message, MessageRole, MessageState
from storage.columns import (
    actor_of,
    actor_value,
    attachment_value,
    attachments_of,
    from_json_or_none,
    instant_or_none,
    micros_or_none,
    part_value,
    parts_of,
    to_json,
    to_json_or_none,
)
from storage.database import Row, Transaction

MESSAGE = ", ".join(
    f"message.{name}"
    for name in [
        "organization_id",
        "source_id",
        "chat_id",
        "native_id",
        "role",
        "text",
        "state",
        "author",
        "model",
        "parent_id",
        "parts",
        "attachments",
        "created_at",
        "edited_at",
        "deleted_at",
        "metadata",
        "raw",
    ]
)
"""What `message_of` reads."""

STATE = "native_id, content_hash, state, is_own, is_apart, revision, changed_at, deleted_at, parent_id, created_at, edited_at"
"""What `KnownMessage` is made of."""


@dataclass(slots=True)
class KnownMessage:
    """A row as far as a reading is compared to it."""

    native_id: str
    content_hash: bytes
    state: str
    is_own: bool
    is_apart: bool
    revision: int
    changed_at: int
    deleted_at: int | None
    parent_id: str | None
    created_at: int | None
    edited_at: int | None

    @property
    def is_own_and_unfinished(self) -> bool:
        """Sent through the gateway, and not settled yet: the vendor may not show it so far."""
        return bool(self.is_own) and not MessageState(self.state).is_final

    @property
    def is_certain(self) -> bool:
        """Nothing is missing between it and the others of which that is true."""
        return self.deleted_at is None and not self.is_apart

    @property
    def is_unannounced(self) -> bool:
        """Whether it is news is not decided yet: it was shown apart from all that was known. What we wrote ourselves is always news."""
        return bool(self.is_apart) and not self.is_own


# Looking a name up in a dictionary costs a fifth of calling the enum, which counts when a page holds hundreds.
_ROLES = {role.value: role for role in MessageRole}
_STATES = {state.value: state for state in MessageState}


def message_of(row: Row) -> Message:
    """The record of a row of `MESSAGE`."""
    return Message(
        organization_id=row[0],
        source_id=row[1],
        chat_id=row[2],
        native_id=row[3],
        role=_ROLES[row[4]],
        text=row[5],
        state=_STATES[row[6]],
        author=actor_of(row[7]),
        model=row[8],
        parent_id=row[9],
        parts=parts_of(row[10]),
        attachments=attachments_of(row[11]),
        created_at=instant_or_none(row[12]),
        edited_at=instant_or_none(row[13]),
        deleted_at=instant_or_none(row[14]),
        metadata=from_json_or_none(row[15]),
        raw=from_json_or_none(row[16]),
    )


WRITE = (
    "INSERT INTO message (organization_id, source_id, chat_id, native_id, role, text, state, author, model, parent_id, parts, "
    "attachments, created_at, edited_at, deleted_at, metadata, raw, content_hash, is_own, is_apart, sent_by, revision, changed_at) "
    "VALUES (:organization_id, :source_id, :chat_id, :native_id, :role, :text, :state, :author, :model, :parent_id, :parts, "
    ":attachments, :created_at, :edited_at, NULL, :metadata, :raw, :content_hash, :is_own, :is_apart, :sent_by, :revision, :changed_at) "
    "ON CONFLICT (organization_id, source_id, chat_id, native_id) DO UPDATE SET deleted_at = NULL, "
    "sent_by = coalesce(message.sent_by, excluded.sent_by), "
    + ", ".join(
        f"{name} = excluded.{name}"
        for name in [
            "role",
            "text",
            "state",
            "author",
            "model",
            "parent_id",
            "parts",
            "attachments",
            "created_at",
            "edited_at",
            "metadata",
            "raw",
            "content_hash",
            "is_own",
            "is_apart",
            "revision",
            "changed_at",
        ]
    )
    + " WHERE message.organization_id = excluded.organization_id"
)
"""Writes what `parameters_of` gives; its position is written apart."""

_EMPTIED = (
    "text = '', state = 'COMPLETE', author = NULL, model = NULL, parts = NULL, attachments = NULL, metadata = NULL, raw = NULL, "
    "content_hash = x'', is_own = 0, is_apart = 0, sent_by = NULL, position = NULL, revision = revision + 1, changed_at = :moment, "
    "deleted_at = :moment"
)

BURY = (
    f"UPDATE message SET {_EMPTIED} WHERE organization_id = :organization_id AND source_id = :source_id "
    "AND chat_id = :chat_id AND native_id = :native_id AND deleted_at IS NULL"
)
"""Leaves the tombstone of one message."""


def parameters_of(
    message: Message,
    digest: bytes,
    *,
    revision: int,
    changed_at: int,
    is_own: bool,
    is_apart: bool,
    sent_by: str | None = None,
) -> dict[str, Any]:
    """A message for the statement `WRITE`. Once it is known who sent it, that stays."""
    return {
        "organization_id": message.organization_id,
        "source_id": message.source_id,
        "chat_id": message.chat_id,
        "native_id": message.native_id,
        "role": message.role,
        "text": message.text,
        "state": message.state,
        "author": to_json_or_none(actor_value(message.author)),
        "model": message.model,
        "parent_id": message.parent_id,
        "parts": to_json([part_value(part) for part in message.parts]) if message.parts else None,
        "attachments": to_json([attachment_value(one) for one in message.attachments]) if message.attachments else None,
        "created_at": micros_or_none(message.created_at),
        "edited_at": micros_or_none(message.edited_at),
        "metadata": to_json_or_none(message.metadata),
        "raw": to_json_or_none(message.raw),
        "content_hash": digest,
        "is_own": is_own,
        "is_apart": is_apart,
        "sent_by": sent_by,
        "revision": revision,
        "changed_at": changed_at,
    }


def content_hash(message: Message) -> bytes:
    """Equal for equal content: the fields that every way of reading a message knows."""
    content = [
        message.role,
        message.text,
        message.state,
        message.model,
        message.parent_id,
        [part_value(part) for part in message.parts],
        [attachment_value(attachment) for attachment in message.attachments],
        actor_value(message.author),
        message.metadata,
    ]
    return hashlib.blake2b(to_json(content).encode(), digest_size=16).digest()


async def purge_messages(tx: Transaction, organization_id: int, source_id: int, chat_id: str, moment: int) -> None:
    """Leave tombstones of all messages of a chat; markers and aliases go, nobody asks for them any more."""
    parameters = {
        "organization_id": organization_id,
        "source_id": source_id,
        "chat_id": chat_id,
    }
    of_chat = "organization_id = :organization_id AND source_id = :source_id AND chat_id = :chat_id"
    await tx.execute(
        f"UPDATE message SET {_EMPTIED} WHERE {of_chat} AND deleted_at IS NULL", {**parameters, "moment": moment}
    )
    await tx.execute(f"DELETE FROM read_marker WHERE {of_chat}", parameters)
    await tx.execute(f"DELETE FROM message_alias WHERE {of_chat}", parameters)
    await tx.execute(
        "UPDATE chat SET active_leaf = NULL, path_length = 0, read_mark = NULL "
        "WHERE organization_id = :organization_id AND source_id = :source_id AND native_id = :chat_id",
        parameters,
    )
