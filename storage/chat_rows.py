"""A chat between its row and its record: which columns, how values are written, which fields are known.

Values are compared as they are written, so "unchanged" means the same text in the column.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from domain.paging import micros
from domain.records import Chat, FolderRef
from storage.columns import (
    actor_of,
    actor_value,
    agent_of,
    from_json_or_none,
    instant,
    instant_or_none,
    to_json,
    to_json_or_none,
)
from storage.database import Row

FIELDS = (
    "title",
    "owner",
    "agent",
    "metadata",
    "tags",
    "pinned",
    "archived",
    "folder",
    "share_url",
    "created_at",
    "updated_at",
    "last_message_at",
    "message_count",
    "raw",
)
"""The place of a field is its bit in the columns `known` and `overlaid`: append, never reorder."""

NEWSWORTHY = frozenset(["title", "owner", "agent", "metadata", "tags", "pinned", "archived", "folder", "share_url"])
"""A change of these is an event; the others are written without one."""

_VALUES = (
    "title, owner, agent, metadata, tags, pinned, archived, folder_source_id, folder_id, share_url, created_at, "
    "updated_at, last_message_at, message_count, raw"
)


def _columns(names: str) -> str:
    return ", ".join(f"chat.{name}" for name in names.split(", "))


CHAT = _columns(f"organization_id, source_id, native_id, known, seen_at, {_VALUES}")
"""What `chat_of` reads."""
STATE = _columns("overlaid, beneath, revision, changed_at, deleted_at, has_baseline, oldest")
"""What `known_chat` reads behind `CHAT`."""
_STATE_AT = len(CHAT.split(", "))


@dataclass(slots=True, kw_only=True)
class KnownChat:
    """A row with everything that a reading is compared to. `values` are as written, by field; `beneath` what the vendor tells of overlaid fields."""

    organization_id: int
    source_id: int
    native_id: str
    known: int = 0
    overlaid: int = 0
    beneath: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    revision: int = 0
    changed_at: int = 0
    seen_at: int = 0
    deleted_at: int | None = None
    has_baseline: bool = False
    oldest: int | None = None

    @property
    def updated_key(self) -> int | None:
        """What `UPDATED_AT` orders by."""
        return updated_key(self.values)


def updated_key(values: Mapping[str, Any]) -> int | None:
    """The last change, else the newest message, else the creation."""
    for name in ("updated_at", "last_message_at", "created_at"):
        value = values.get(name)
        if value is not None:
            return int(value)
    return None


def bit(name: str) -> int:
    """The bit of a field."""
    return 1 << FIELDS.index(name)


@lru_cache(maxsize=256)
def mask_of(told: frozenset[str]) -> int:
    """The bits of several fields."""
    return sum(1 << index for index, name in enumerate(FIELDS) if name in told)


@lru_cache(maxsize=256)
def told_by(mask: int) -> frozenset[str]:
    """The fields of several bits."""
    return frozenset(name for index, name in enumerate(FIELDS) if mask >> index & 1)


def written(name: str, value: Any) -> Any:
    """A field as its column holds it; a folder as the pair of its two columns."""
    if value is None:
        return None
    match name:
        case "owner" | "agent":
            return to_json(actor_value(value))
        case "metadata" | "raw":
            return to_json(value)
        case "tags":
            return to_json(sorted(value))
        case "pinned" | "archived":
            return int(value)
        case "folder":
            return (value.source_id, value.native_id)
        case "created_at" | "updated_at" | "last_message_at":
            return micros(value)
        case _:
            return value


def told_values(chat: Chat) -> dict[str, Any]:
    """The fields that a reading tells, as written."""
    return {name: written(name, getattr(chat, name)) for name in FIELDS if name in chat.told}


def chat_of(row: Row) -> Chat:
    """The record of a row of `CHAT`, as the gateway's copy."""
    return Chat(
        organization_id=row[0],
        source_id=row[1],
        native_id=row[2],
        told=told_by(row[3]),
        as_of=instant(row[4]),
        title=row[5],
        owner=actor_of(row[6]),
        agent=agent_of(row[7]),
        metadata=from_json_or_none(row[8]),
        tags=tuple(from_json_or_none(row[9])) if row[9] is not None else None,
        pinned=_bool(row[10]),
        archived=_bool(row[11]),
        folder=FolderRef(row[12], row[13]) if row[13] is not None else None,
        share_url=row[14],
        created_at=instant_or_none(row[15]),
        updated_at=instant_or_none(row[16]),
        last_message_at=instant_or_none(row[17]),
        message_count=row[18],
        raw=from_json_or_none(row[19]),
    )


def known_chat(row: Row) -> KnownChat:
    """The state of a row of `CHAT` and `STATE`."""
    single = (*row[5:12], (row[12], row[13]) if row[13] is not None else None, *row[14:20])
    overlaid, beneath, revision, changed_at, deleted_at, has_baseline, oldest = row[_STATE_AT:]
    return KnownChat(
        organization_id=row[0],
        source_id=row[1],
        native_id=row[2],
        known=row[3],
        seen_at=row[4],
        values=dict(zip(FIELDS, single, strict=True)),
        overlaid=overlaid,
        beneath={name: _pair(name, value) for name, value in (from_json_or_none(beneath) or {}).items()},
        revision=revision,
        changed_at=changed_at,
        deleted_at=deleted_at,
        has_baseline=bool(has_baseline),
        oldest=oldest,
    )


WRITE = (
    "INSERT INTO chat (organization_id, source_id, native_id, known, overlaid, beneath, "
    f"{_VALUES}, title_key, updated_key, revision, changed_at, seen_at, deleted_at, has_baseline, oldest, path_length) "
    "VALUES (:organization_id, :source_id, :native_id, :known, :overlaid, :beneath, :title, :owner, :agent, :metadata, :tags, "
    ":pinned, :archived, :folder_source_id, :folder_id, :share_url, :created_at, :updated_at, :last_message_at, "
    ":message_count, :raw, :title_key, :updated_key, :revision, :changed_at, :seen_at, :deleted_at, :has_baseline, :oldest, 0) "
    "ON CONFLICT (organization_id, source_id, native_id) DO UPDATE SET known = excluded.known, overlaid = excluded.overlaid, "
    "beneath = excluded.beneath, "
    + ", ".join(f"{name} = excluded.{name}" for name in _VALUES.split(", "))
    + ", title_key = excluded.title_key, updated_key = excluded.updated_key, revision = excluded.revision, "
    "changed_at = excluded.changed_at, seen_at = excluded.seen_at, deleted_at = excluded.deleted_at, "
    "has_baseline = excluded.has_baseline, oldest = excluded.oldest "
    "WHERE chat.organization_id = excluded.organization_id"
)
"""Writes what `parameters_of` gives."""


def parameters_of(chat: KnownChat) -> dict[str, Any]:
    """A state for the statement `WRITE`."""
    values = {name: chat.values.get(name) for name in FIELDS}
    folder = values.pop("folder")
    title = values["title"]
    return {
        **values,
        "organization_id": chat.organization_id,
        "source_id": chat.source_id,
        "native_id": chat.native_id,
        "known": chat.known,
        "overlaid": chat.overlaid,
        "beneath": to_json_or_none(chat.beneath or None),
        "folder_source_id": folder[0] if folder else None,
        "folder_id": folder[1] if folder else None,
        "title_key": title.casefold() if title is not None else None,
        "updated_key": chat.updated_key,
        "revision": chat.revision,
        "changed_at": chat.changed_at,
        "seen_at": chat.seen_at,
        "deleted_at": chat.deleted_at,
        "has_baseline": chat.has_baseline,
        "oldest": chat.oldest,
    }


def _pair(name: str, value: Any) -> Any:
    return tuple(value) if name == "folder" and value is not None else value


def _bool(value: int | None) -> bool | None:
    return None if value is None else bool(value)
