"""Reading bodies into structs as Go does it: unknown keys are dropped, null leaves a field as it was, and a value of another kind is a 400."""

import json
import math
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from simulators.chatlogger.errors import bad_request

Kinds = Mapping[str, str]
"""Field → kind: `text bool int float texts object`."""

CHAT_METADATA: Kinds = {
    "ip_address": "text",
    "country_code": "text",
    "language_code": "text",
    "session_id": "text",
    "sentiment": "text",
    "is_escalated": "bool",
    "is_forwarded_to_hr": "bool",
    "transcript_link": "text",
    "token_count": "int",
    "avg_response_time": "float",
    "question_category": "text",
    "user_rating": "int",
}
MESSAGE_METADATA: Kinds = {"token_count": "int", "response_time": "float"}


async def read_body(request: Request) -> dict[str, Any]:
    """Whatever content type it has."""
    try:
        said = json.loads(await request.body(), parse_constant=_refuse)
    except ValueError:
        raise bad_request() from None
    if not isinstance(said, dict):
        raise bad_request()
    return said


def _refuse(name: str) -> None:
    raise ValueError(name)


def bind(said: Mapping[str, Any], kinds: Kinds) -> dict[str, Any]:
    """The known fields that are there and not null."""
    bound = {name: said[name] for name in kinds if said.get(name) is not None}
    if not all(_is(kinds[name], value) for name, value in bound.items()):
        raise bad_request()
    return bound


def _is(kind: str, value: Any) -> bool:
    if kind == "texts":
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if kind == "float":
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, {"text": str, "bool": bool, "object": dict}[kind])


def bind_metadata(said: Mapping[str, Any], kinds: Kinds) -> dict[str, Any]:
    """As it is shown again: a field that is empty, false or 0 is left out."""
    return {name: value for name, value in bind(said, kinds).items() if value}


def read_id(text: str, what: str) -> int:
    """An unsigned number of 64 bits."""
    if not text.isascii() or not text.isdigit() or len(text) > 20 or int(text) >= 2**64:
        raise bad_request(f"Invalid {what} ID")
    return int(text)


def read_number(text: str) -> int:
    """Of a query: 0 where it is none."""
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 19 else 0
