"""What connecting a Lexicon tenant and creating a chat in it take: JSON Schemas for forms, and the options as a record."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.errors import InvalidArgument
from domain.records import Source
from upstreams.watching import POLLS_PER_MINUTE

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_USER_ID = {"type": "string", "minLength": 1, "maxLength": 360, "pattern": "^[!-~]+( [!-~]+)*$"}
"""Printable ASCII: it is sent as a header."""

CREDENTIALS_SCHEMA: Mapping[str, Any] = {
    "$schema": _DRAFT,
    "type": "object",
    "properties": {
        "api_key": {
            "type": "string",
            "title": "API key",
            "description": "The tenant's API key. It reads and writes the chats of all users of the tenant.",
            "minLength": 1,
            "pattern": "^[!-~]+$",
            "format": "password",
        }
    },
    "required": ["api_key"],
    "additionalProperties": False,
}
OPTIONS_SCHEMA: Mapping[str, Any] = {
    "$schema": _DRAFT,
    "type": "object",
    "properties": {
        "user_ids": {
            "type": "array",
            "items": _USER_ID,
            "minItems": 1,
            "maxItems": 100,
            "title": "User ids",
            "description": "Whose chats the source shows, and whom `createChat.userId` may name. Lexicon lists chats per user only.",
        },
        "user_id": {
            **_USER_ID,
            "title": "User id",
            "description": "The user id of new chats that name none; `viewer` takes the subject of whoever asks.",
        },
        "reply_timeout_seconds": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 3600,
            "default": 300,
            "title": "Patience with an answer",
            "description": "For how long an answer is followed, in seconds.",
        },
        "requests_per_minute": {
            "type": "number",
            "exclusiveMinimum": 0,
            "title": "Quota",
            "description": "Requests a minute at most. Left out: no bound, Lexicon documents none.",
        },
        "polls_per_minute": POLLS_PER_MINUTE,
    },
    "anyOf": [{"required": ["user_ids"]}, {"required": ["user_id"]}],
    "additionalProperties": False,
    "examples": [{"user_ids": ["user123"]}],
}
CREATE_CHAT_SCHEMA: Mapping[str, Any] = {
    "$schema": _DRAFT,
    "type": "object",
    "properties": {
        "title": {"type": "string", "title": "Title", "description": "Left out: Lexicon makes one up."},
        "userId": {
            **_USER_ID,
            "title": "User id",
            "description": "Whose chat it is; one of the source's `user_ids`. May be left out where the source has one user only.",
        },
        "metadata": {
            "type": "object",
            "title": "Metadata",
            "description": "Given to Lexicon once; later changes are kept by the gateway.",
        },
        "messages": {
            "type": "array",
            "maxItems": 0,
            "description": "Lexicon answers each message, so a chat cannot begin with some.",
        },
        "options": {"type": "object", "maxProperties": 0},
    },
    "not": {"required": ["agent"]},
}
_VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a source. `user_ids` are those whose chats are listed; `fixed` is the user of chats that name none."""

    user_ids: tuple[str, ...]
    fixed: str | None
    is_viewer: bool
    reply_timeout_seconds: float
    requests_per_minute: float | None

    @classmethod
    def of(cls, source: Source) -> "Options":
        """The options of a source, with their defaults."""
        options = source.options
        named = options.get("user_id")
        fixed = named if isinstance(named, str) and named != _VIEWER else None
        listed = [*options.get("user_ids", ()), *([fixed] if fixed is not None else [])]
        quota = options.get("requests_per_minute")
        return cls(
            user_ids=tuple(dict.fromkeys(listed)),
            fixed=fixed,
            is_viewer=named == _VIEWER,
            reply_timeout_seconds=float(options.get("reply_timeout_seconds", 300)),
            requests_per_minute=float(quota) if quota is not None else None,
        )

    def may_show(self, user_id: str) -> bool:
        """Whether chats of this user are the source's. With `viewer` any member may have some."""
        return self.is_viewer or not self.user_ids or user_id in self.user_ids

    def user_of_new(self, asked: str | None) -> str:
        """Whose a new chat will be; `viewer` was replaced by the subject of whoever asks before."""
        if asked is None:
            default = self.fixed or (self.user_ids[0] if len(self.user_ids) == 1 and not self.is_viewer else None)
            if default is None:
                raise InvalidArgument(
                    "A chat at Lexicon belongs to a user, and whoever asks has no subject that could be one. Give `userId`, one of the source's option `user_ids`."
                    if self.is_viewer
                    else "A chat at Lexicon belongs to a user. Give `userId`, one of the source's option `user_ids`.",
                    path=("userId",),
                )
            return default
        if not self.is_viewer and asked not in self.user_ids:
            raise InvalidArgument(
                "This source may not create chats for that user. Name one of its option `user_ids`, or leave `userId` out.",
                path=("userId",),
            )
        if not (asked.isascii() and asked.isprintable() and asked.strip() == asked and asked):
            raise InvalidArgument(
                "The user's id cannot be sent to Lexicon: it must be printable ASCII without spaces at its ends.",
                path=("userId",),
            )
        return asked


def demands(source: Source) -> tuple[str, ...]:
    """With one user a chat can belong to no other."""
    options = Options.of(source)
    has_default = options.fixed is not None or (len(options.user_ids) == 1 and not options.is_viewer)
    return () if has_default else ("userId",)
