"""What the local store can do, as a source: its capability table and its forms."""

from collections.abc import Mapping
from typing import Any

from domain.capabilities import Capabilities, Capability, ChatOrder, ChatOrderField, Support, native, unsupported
from domain.records import CHAT_FIELDS

_NO_ASSISTANT = unsupported("Nobody answers in the local store")

_SUPPORT: Mapping[Capability, Support] = {
    Capability.CREATE_CHAT: native(),
    Capability.LIST_CHATS: native(),
    Capability.READ_CHAT: native(),
    Capability.RENAME_CHAT: native(),
    Capability.TAG_CHAT: native(),
    Capability.EDIT_METADATA: native(),
    Capability.DELETE_CHAT: native(),
    Capability.LIST_MESSAGES: native(),
    Capability.READ_MESSAGE: native(),
    Capability.SEND_MESSAGE: native(),
    Capability.GENERATE_REPLY: _NO_ASSISTANT,
    Capability.STREAM_REPLY: _NO_ASSISTANT,
    Capability.STOP_REPLY: _NO_ASSISTANT,
    Capability.REGENERATE_REPLY: _NO_ASSISTANT,
    Capability.EDIT_MESSAGE: native(),
    Capability.DELETE_MESSAGE: native("What follows the message stays and moves up to its parent"),
    Capability.BRANCHES: native("Sending to an older message begins a branch"),
    Capability.PIN_CHAT: native(),
    Capability.ARCHIVE_CHAT: native(),
    Capability.MOVE_CHAT: native("Into folders of the gateway"),
    Capability.MARK_CHAT_READ: native(),
    Capability.SHARE_CHAT: unsupported("There is no public page to share"),
    Capability.SEARCH: native(),
    Capability.LIVE_MESSAGES: native(),
    Capability.LIVE_CHANGES: native(),
}

CAPABILITIES = Capabilities(
    support=_SUPPORT,
    native_orders=tuple(ChatOrder(field, descending) for field in ChatOrderField for descending in (True, False)),
    row_fields=CHAT_FIELDS,
    version_fields=("title", "metadata", "tags", "pinned", "archived"),
    max_page=100,
    takes_message_ids=True,
    reads_from_store=True,
    absence_proves_not_sent=True,
)

CREATE_CHAT: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "title": {"type": "string", "title": "Title"},
        "metadata": {"type": "object", "title": "Metadata", "description": "Kept with the chat."},
        "tags": {"type": "array", "items": {"type": "string", "minLength": 1}, "title": "Tags"},
        "folderId": {"type": "string", "title": "Folder", "description": "A folder of the gateway."},
        "messages": {"type": "array", "items": {"type": "object"}, "title": "First messages"},
        "agent": {"type": "string", "title": "Agent", "description": "Shown with the chat; nobody answers here."},
        "userId": {"type": "string", "title": "User", "description": "Shown as the owner of the chat."},
        "options": {"type": "object", "maxProperties": 0},
    },
}
"""What `createChat` takes here."""

NOTHING: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {},
    "additionalProperties": False,
}
"""The form without fields: the local store needs no credentials and no settings, and `createChat` nothing more."""
