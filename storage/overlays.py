"""Overlays: what the organization keeps about a chat where its vendor cannot."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, Final

from domain.records import FolderRef, Overlay
from storage import sqlite
from storage.chat_rows import KnownChat, bit
from storage.columns import from_json_or_none
from storage.database import Reader, Row, Transaction


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"


UNSET: Final = Unset.UNSET
"""Left out: it stays as it is. None: not kept here any more."""

_COLUMNS = "title, metadata, tags, pinned, archived, folder_source_id, folder_id"


async def overlays_of(
    reader: Reader, organization_id: int, keys: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], dict[str, Any]]:
    """Overlays by (source id, chat): the fields that are kept, as written."""
    sql = (
        f"SELECT overlay.source_id, overlay.chat_id, {_COLUMNS} FROM {sqlite.rows_of('keys', 'source', 'chat')} AS wanted "
        "CROSS JOIN chat_overlay AS overlay ON overlay.organization_id = :organization_id "
        "AND overlay.source_id = wanted.source AND overlay.chat_id = wanted.chat"
    )
    rows = await reader.fetch_all(sql, {"organization_id": organization_id, "keys": sqlite.packed(keys)})
    return {(row[0], row[1]): _kept(row[2:]) for row in rows}


async def write_overlay(
    tx: Transaction, organization_id: int, source_id: int, chat_id: str, kept: Mapping[str, Any]
) -> None:
    """Write an overlay whole; an empty one is removed."""
    key = {"organization_id": organization_id, "source_id": source_id, "chat_id": chat_id}
    if not kept:
        await remove_overlay(tx, organization_id, source_id, chat_id)
        return
    folder = kept.get("folder")
    values = {
        **key,
        **{name: kept.get(name) for name in ("title", "metadata", "tags", "pinned", "archived")},
        "folder_source_id": folder[0] if folder else None,
        "folder_id": folder[1] if folder else None,
    }
    sql = (
        f"INSERT INTO chat_overlay (organization_id, source_id, chat_id, {_COLUMNS}) "
        "VALUES (:organization_id, :source_id, :chat_id, :title, :metadata, :tags, :pinned, :archived, "
        ":folder_source_id, :folder_id) ON CONFLICT (organization_id, source_id, chat_id) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS.split(", "))
    )
    await tx.execute(sql, values)


async def remove_overlay(tx: Transaction, organization_id: int, source_id: int, chat_id: str) -> None:
    """Forget an overlay, with its chat."""
    sql = (
        "DELETE FROM chat_overlay WHERE organization_id = :organization_id "
        "AND source_id = :source_id AND chat_id = :chat_id"
    )
    await tx.execute(sql, {"organization_id": organization_id, "source_id": source_id, "chat_id": chat_id})


def overlay_record(kept: Mapping[str, Any]) -> Overlay:
    """The record of what is kept."""
    tags = from_json_or_none(kept.get("tags"))
    folder = kept.get("folder")
    return Overlay(
        title=kept.get("title"),
        metadata=from_json_or_none(kept.get("metadata")),
        tags=tuple(tags) if tags is not None else None,
        pinned=_bool(kept.get("pinned")),
        archived=_bool(kept.get("archived")),
        folder=FolderRef(*folder) if folder is not None else None,
    )


def overlaid(row: KnownChat, changes: Mapping[str, Any]) -> KnownChat:
    """The row with overlays laid over it, or (None) taken off, which shows again what the vendor told of the field."""
    values, beneath = dict(row.values), dict(row.beneath)
    known, over = row.known, row.overlaid
    for name, value in changes.items():
        own = bit(name)
        if value is not None:
            if known & own and not over & own:
                beneath[name] = values.get(name)
            values[name], known, over = value, known | own, over | own
        elif over & own:
            known = known if name in beneath else known & ~own
            values[name], over = beneath.pop(name, None), over & ~own
    return replace(row, values=values, beneath=beneath, known=known, overlaid=over)


def _kept(row: Row) -> dict[str, Any]:
    names = ("title", "metadata", "tags", "pinned", "archived")
    kept = {name: value for name, value in zip(names, row[:5], strict=True) if value is not None}
    if row[6] is not None:
        kept["folder"] = (row[5], row[6])
    return kept


def _bool(value: int | None) -> bool | None:
    return None if value is None else bool(value)
