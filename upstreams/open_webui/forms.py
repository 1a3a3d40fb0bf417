"""What connecting an Open WebUI and creating a chat in it take: the options as a record, and JSON Schemas for forms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.records import Source
from upstreams.watching import POLLS_PER_MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a source, with their defaults."""

    path_prefix: str = "/api/v1"
    all_users: bool = False
    reply_poll_seconds: float = 1.0
    """Longest pause between two looks at a growing reply; the first are 0.15 s apart."""
    reply_timeout_seconds: float = 1800.0
    """For how long a reply is followed."""
    requests_per_minute: float | None = None

    @staticmethod
    def of(source: Source) -> "Options":
        """Read from a source's record."""
        given = source.options
        prefix = str(given.get("path_prefix", "/api/v1")).strip("/")
        quota = given.get("requests_per_minute")
        return Options(
            path_prefix=f"/{prefix}" if prefix else "",
            all_users=given.get("all_users") is True,
            reply_poll_seconds=float(given.get("reply_poll_seconds", 1.0)),
            reply_timeout_seconds=float(given.get("reply_timeout_seconds", 1800.0)),
            requests_per_minute=float(quota) if quota is not None else None,
        )


_DRAFT = "https://json-schema.org/draft/2020-12/schema"

CREDENTIALS_SCHEMA: Mapping[str, Any] = {
    "$schema": _DRAFT,
    "type": "object",
    "properties": {
        "api_key": {
            "type": "string",
            "title": "API key",
            "description": "A user's API key (`sk-…`). The server must allow API keys (`ENABLE_API_KEYS`).",
            "minLength": 1,
            "format": "password",
        },
        "jwt": {
            "type": "string",
            "title": "Session token",
            "description": "A user's session token, in place of an API key. It expires (28 days by default). With it the server tells by itself what it writes.",
            "minLength": 1,
            "format": "password",
        },
    },
    "oneOf": [{"required": ["api_key"]}, {"required": ["jwt"]}],
    "additionalProperties": False,
}

OPTIONS_SCHEMA: Mapping[str, Any] = {
    "$schema": _DRAFT,
    "type": "object",
    "properties": {
        "path_prefix": {
            "type": "string",
            "default": "/api/v1",
            "title": "Path prefix",
            "description": "Where the API begins below the base URL. Other than `/api/v1` only behind a proxy that rewrites paths.",
        },
        "all_users": {
            "type": "boolean",
            "default": False,
            "title": "Chats of all users",
            "description": "Whether an administrator's credentials may open chats of other users by their id. Lists always show the account's own.",
        },
        "reply_poll_seconds": {
            "type": "number",
            "minimum": 0.15,
            "maximum": 60,
            "default": 1,
            "title": "Pause while a reply grows",
            "description": "Longest pause between two looks at a reply that is being written, in seconds.",
        },
        "reply_timeout_seconds": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 86400,
            "default": 1800,
            "title": "Patience with a reply",
            "description": "For how long a reply is followed, in seconds.",
        },
        "requests_per_minute": {
            "type": "number",
            "exclusiveMinimum": 0,
            "title": "Quota",
            "description": "Requests a minute at most. Left out: no bound, Open WebUI itself has none.",
        },
        "polls_per_minute": POLLS_PER_MINUTE,
    },
    "additionalProperties": False,
}

_CHAT_OBJECT: Mapping[str, Any] = {
    "type": "object",
    "title": "Chat object",
    "description": "Open WebUI's own chat object, stored as it is: for ids and times of messages, branches, and whatever else the other fields cannot say.",
    "properties": {
        "title": {"type": "string"},
        "models": {"type": "array", "items": {"type": "string"}},
        "metadata": {"type": "object"},
        "history": {
            "type": "object",
            "properties": {
                "messages": {
                    "type": "object",
                    "additionalProperties": {
                        "type": "object",
                        "properties": {
                            "id": {"type": "string", "minLength": 1},
                            "parentId": {"type": ["string", "null"]},
                            "childrenIds": {"type": "array", "items": {"type": "string"}},
                            "role": {"type": "string"},
                            "content": {"type": "string"},
                            "timestamp": {"type": "number"},
                        },
                        "required": ["id", "role", "content"],
                    },
                },
                "currentId": {"type": ["string", "null"]},
            },
            "required": ["messages"],
        },
    },
}
CREATE_CHAT_SCHEMA: Mapping[str, Any] = {
    "$schema": _DRAFT,
    "type": "object",
    "properties": {
        "title": {"type": "string", "title": "Title", "description": "Left out: `New Chat`."},
        "agent": {
            "type": "string",
            "title": "Model",
            "description": "The id of the model that answers. Needed at the latest with the first message.",
            "minLength": 1,
        },
        "metadata": {"type": "object", "title": "Metadata", "description": "Kept with the chat."},
        "tags": {
            "type": "array",
            "items": {"type": "string", "not": {"pattern": r"^\s*[Nn][Oo][Nn][Ee]\s*$"}},
            "title": "Tags",
            "description": "Stored lower-cased, spaces become `_`.",
        },
        "folderId": {"type": "string", "title": "Folder", "description": "A folder of this source."},
        "messages": {
            "type": "array",
            "items": {"type": "object", "properties": {"role": {"enum": ["USER", "ASSISTANT", "SYSTEM"]}}},
            "title": "First messages",
        },
        "options": {
            "type": "object",
            "properties": {"chat": _CHAT_OBJECT},
            "additionalProperties": False,
            "description": "`chat`: the chat object itself. The fields beside `options` win over what stands in it.",
        },
    },
    "not": {"required": ["userId"]},
}
