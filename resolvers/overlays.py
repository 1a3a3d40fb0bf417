"""Lays what the gateway keeps over what a source tells: titles, tags, pins, archive and folders that a vendor lacks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from domain.capabilities import Capabilities, Capability, SupportLevel
from domain.records import Chat, Overlay
from resolvers.cursors import fingerprint

_FIELD_OF = {
    Capability.RENAME_CHAT: "title",
    Capability.TAG_CHAT: "tags",
    Capability.EDIT_METADATA: "metadata",
    Capability.PIN_CHAT: "pinned",
    Capability.ARCHIVE_CHAT: "archived",
    Capability.MOVE_CHAT: "folder",
}
_EMPTY: dict[str, Any] = {"tags": (), "pinned": False, "archived": False}


def kept_here(capabilities: Capabilities) -> frozenset[str]:
    """The fields of a chat that the gateway keeps for this source."""
    return frozenset(
        field for capability, field in _FIELD_OF.items() if capabilities.level(capability) is SupportLevel.OVERLAY
    )


def lay_over(chat: Chat, overlay: Overlay | None, capabilities: Capabilities) -> Chat:
    """The chat as clients see it. Fields kept here are always known: without an overlay they are empty or false."""
    kept = kept_here(capabilities)
    changes: dict[str, Any] = {field: _EMPTY.get(field, getattr(chat, field)) for field in kept}
    if overlay is not None:
        for field in kept:
            if (value := getattr(overlay, field)) is not None:
                changes[field] = value
        if overlay.folder is not None:  # a folder of the gateway can hold chats of every source
            changes["folder"] = overlay.folder
    if not changes:
        return chat
    return replace(chat, told=chat.told | changes.keys(), **changes)


def complete_rows(chats: Sequence[Chat], capabilities: Capabilities) -> list[Chat]:
    """Rows from the mirror, where the fields kept here that were never set are unknown: they are empty or false."""
    return [_complete(chat, capabilities) for chat in chats]


def _complete(chat: Chat, capabilities: Capabilities) -> Chat:
    missing = kept_here(capabilities) - chat.told
    if not missing:
        return chat
    return replace(chat, told=chat.told | missing, **{field: _EMPTY[field] for field in missing if field in _EMPTY})


def version_of(chat: Chat, capabilities: Capabilities) -> str | None:
    """Changes whenever the chat changes, its messages apart; None when this reading did not tell enough.

    A hash over the fields that list row and full object share, and those kept here, so that both readings give one version.
    """
    fields = sorted({*capabilities.version_fields, *kept_here(capabilities)})
    if not chat.told.issuperset(fields):
        return None
    return fingerprint([[field, getattr(chat, field)] for field in fields])
