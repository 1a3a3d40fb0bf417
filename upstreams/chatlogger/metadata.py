"""What ChatLogger keeps beside the words of chats and messages: fixed fields. It drops others without a word, so they are refused here."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from domain.errors import InvalidArgument

_LARGEST = 2**63 - 1


class Kind(Enum):
    """What a field holds, by its JSON Schema."""

    TEXT = "string"
    FLAG = "boolean"
    WHOLE = "integer"
    NUMBER = "number"


CHAT_METADATA: Mapping[str, tuple[Kind, str]] = {
    "ip_address": (Kind.TEXT, "Where the person wrote from."),
    "country_code": (Kind.TEXT, "ISO 3166, such as `NL`."),
    "language_code": (Kind.TEXT, "ISO 639, such as `tr`."),
    "session_id": (Kind.TEXT, "The session that the chat belongs to."),
    "sentiment": (Kind.TEXT, "The mood of the chat."),
    "is_escalated": (Kind.FLAG, "Whether somebody took over."),
    "is_forwarded_to_hr": (Kind.FLAG, "Whether it went to human resources."),
    "transcript_link": (Kind.TEXT, "Where the transcript is."),
    "token_count": (Kind.WHOLE, "Tokens of the whole chat."),
    "avg_response_time": (Kind.NUMBER, "In seconds."),
    "question_category": (Kind.TEXT, "What the chat is about."),
    "user_rating": (Kind.WHOLE, "What the person thought of it; null for no rating."),
}
"""Field of a chat to what it holds."""
MESSAGE_METADATA: Mapping[str, tuple[Kind, str]] = {
    "token_count": (Kind.WHOLE, "Tokens of the message."),
    "response_time": (Kind.NUMBER, "In milliseconds."),
}
"""Field of a message to what it holds."""
_MAY_BE_NULL = "user_rating"


def schema_of(fields: Mapping[str, tuple[Kind, str]]) -> dict[str, Any]:
    """The fields as a JSON Schema."""
    properties = {
        name: {"type": [kind.value, "null"] if name == _MAY_BE_NULL else kind.value, "description": meaning}
        for name, (kind, meaning) in fields.items()
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def check_metadata(
    metadata: Mapping[str, Any] | None, fields: Mapping[str, tuple[Kind, str]], path: tuple[str, ...] = ("metadata",)
) -> None:
    """Raise `InvalidArgument`, with the path of the field, for what ChatLogger would drop or refuse."""
    for name, value in (metadata or {}).items():
        if name not in fields:
            known = ", ".join(f"`{field}`" for field in fields)
            raise InvalidArgument(
                f"ChatLogger keeps no `{name}` and would drop it without a word. Use only {known}.", path=(*path, name)
            )
        kind = fields[name][0]
        if not (_fits(kind, value) or (value is None and name == _MAY_BE_NULL)):
            raise InvalidArgument(
                f"ChatLogger takes a JSON {kind.value} for `{name}`. Give one, or leave it out.", path=(*path, name)
            )


def shown(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """Metadata as ChatLogger shows it, whichever way it came: without false, 0 and empty texts. None when nothing is left."""
    return {name: value for name, value in metadata.items() if value} or None


def _fits(kind: Kind, value: Any) -> bool:
    if kind is Kind.TEXT:
        return isinstance(value, str)
    if isinstance(value, bool) or kind is Kind.FLAG:
        return isinstance(value, bool) and kind is Kind.FLAG
    if kind is Kind.WHOLE:
        return isinstance(value, int) and abs(value) <= _LARGEST
    return isinstance(value, int | float)
