"""What connecting a ChatLogger and creating a chat in it take: the options as a record, and JSON Schemas for forms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.records import Source
from upstreams.chatlogger.metadata import CHAT_METADATA, schema_of
from upstreams.watching import POLLS_PER_MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a source. `path_prefix` None: found by the server's release."""

    path_prefix: str | None = None
    slug: str | None = None
    user_ids: tuple[str, ...] = ()
    user_id: str | None = None
    requests_per_minute: float | None = None

    @staticmethod
    def of(source: Source) -> "Options":
        """Read from a source's record."""
        given = source.options
        prefix = given.get("path_prefix")
        quota = given.get("requests_per_minute")
        return Options(
            path_prefix="/" + str(prefix).strip("/") if prefix else None,
            slug=given.get("slug") or None,
            user_ids=tuple(given.get("user_ids", ())),
            user_id=given.get("user_id") or None,
            requests_per_minute=float(quota) if quota is not None else None,
        )


_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_USER_ID: Mapping[str, Any] = {"type": "string", "pattern": "^[1-9][0-9]{0,19}$"}

CREDENTIALS_SCHEMA: Mapping[str, Any] = {
    "$schema": _DRAFT,
    "type": "object",
    "properties": {
        "email": {
            "type": "string",
            "title": "E-mail of the login",
            "description": "A user of the organization. The login reads, renames, tags and deletes; it cannot write messages.",
            "minLength": 1,
        },
        "password": {
            "type": "string",
            "title": "Password of the login",
            "description": "The password of that user.",
            "minLength": 1,
            "format": "password",
        },
        "api_key": {
            "type": "string",
            "title": "API key",
            "description": "A key of the organization, for which the option `slug` is needed too. It writes chats and messages and reads nothing.",
            "minLength": 1,
            "format": "password",
        },
    },
    "anyOf": [{"required": ["email", "password"]}, {"required": ["api_key"]}],
    "dependentRequired": {"email": ["password"], "password": ["email"]},
    "additionalProperties": False,
    "examples": [
        {"email": "service@example.com", "password": "env:CHATLOGGER_PASSWORD", "api_key": "env:CHATLOGGER_KEY"}
    ],
}

OPTIONS_SCHEMA: Mapping[str, Any] = {
    "$schema": _DRAFT,
    "type": "object",
    "properties": {
        "slug": {
            "type": "string",
            "title": "Organization",
            "description": "The slug of the organization that the API key belongs to.",
            "pattern": r"^[^/?#%\s]+$",
        },
        "path_prefix": {
            "type": "string",
            "title": "Path prefix",
            "description": "Where the API begins below the base URL: `/api/v1` up to ChatLogger 0.4.9, `/v1` from 0.5.0 on. Left out: the server is asked for its release.",
            "examples": ["/v1", "/api/v1"],
        },
        "user_ids": {
            "type": "array",
            "items": _USER_ID,
            "title": "User ids",
            "description": "The user ids that `createChat.userId` may name. Needs the API key.",
        },
        "user_id": {
            "type": "string",
            "pattern": "^([1-9][0-9]{0,19}|viewer)$",
            "title": "User id",
            "description": "The user id of new chats that name none; `viewer` takes the subject of whoever asks. Needs the API key.",
        },
        "requests_per_minute": {
            "type": "number",
            "exclusiveMinimum": 0,
            "title": "Quota",
            "description": "Requests a minute at most. Left out: no bound, ChatLogger itself has none.",
        },
        "polls_per_minute": POLLS_PER_MINUTE,
    },
    "additionalProperties": False,
    "examples": [{"slug": "acme"}],
}

CREATE_CHAT_SCHEMA: Mapping[str, Any] = {
    "$schema": _DRAFT,
    "type": "object",
    "properties": {
        "title": {"type": "string", "title": "Title", "description": "Cannot be emptied later."},
        "userId": {
            **_USER_ID,
            "title": "User id",
            "description": "Whose chat it is; one of the source's `user_ids`. Left out: nobody's. Needs the API key.",
        },
        "metadata": {
            **schema_of(CHAT_METADATA),
            "title": "Metadata",
            "description": "Twelve fields. ChatLogger does not show false, 0 and empty texts.",
        },
        "tags": {"type": "array", "items": {"type": "string", "minLength": 1}, "title": "Tags"},
        "folderId": {"type": "string", "title": "Folder", "description": "A folder of the gateway."},
        "messages": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"role": {"enum": ["USER", "ASSISTANT", "SYSTEM"]}, "text": {"type": "string"}},
            },
            "title": "First messages",
            "description": "Written one after the other. Needs the API key.",
        },
        "options": {"type": "object", "maxProperties": 0},
    },
    "additionalProperties": False,
}
