"""The scalars of the schema beyond GraphQL's own, and how their values are read and written."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

EventCursor = NewType("EventCursor", str)
JSON = NewType("JSON", Mapping[str, Any])
URL = NewType("URL", str)

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_HTTP_ADDRESS = re.compile(r"https?://[^\s/?#]+[^\s]*", re.IGNORECASE)


def write_moment(moment: datetime) -> str:
    """An aware time as `2026-11-20T18:04:05.123456Z`; no fraction where it is zero."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def read_moment(value: Any) -> datetime:
    """Strict RFC 3339: a time without offset could mean any of twenty-four."""
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise GraphQLError(
            "DateTime takes a text such as `2026-11-20T18:04:05Z`: RFC 3339, with `Z` or an offset like `+01:00`."
        )
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise GraphQLError(f"DateTime cannot stand for {value!r}: there is no such moment.") from error


def read_object(value: Any) -> Any:
    """A JSON object; texts, numbers and lists at the top are refused, because no field takes them."""
    if not isinstance(value, dict):
        raise GraphQLError('JSON takes an object such as `{name: "value"}`.')
    return value


def read_address(value: Any) -> str:
    """An absolute address; whether anything answers there is somebody else's question."""
    if not isinstance(value, str) or not _HTTP_ADDRESS.fullmatch(value):
        raise GraphQLError("URL takes an absolute address that begins with `http://` or `https://`.")
    return value


def read_cursor(value: Any) -> str:
    """Any text: whether it is one of ours is found out where it is opened, and answered with `BAD_CURSOR`."""
    if not isinstance(value, str):
        raise GraphQLError("EventCursor takes the text of a cursor that an earlier answer or event contained.")
    return value


def json_of(value: Mapping[str, Any] | None) -> JSON | None:
    """What a record holds, as a field of the schema."""
    return None if value is None else JSON(value)


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description=(
            "A moment in time, RFC 3339 with an offset, always written in UTC with up to six digits of a second,\n"
            "for example `2026-11-20T18:04:05.123456Z`."
        ),
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=write_moment,
        parse_value=read_moment,
    ),
    EventCursor: strawberry.scalar(
        name="EventCursor",
        description=(
            "A position in the event log of your organization. Keep the last one that you saw and pass it as `after` to miss nothing.\n"
            "It is an opaque text: do not parse it, and do not compare two of them for order."
        ),
        specified_by_url="https://relay.dev/graphql/connections.htm#sec-Cursor",
        serialize=str,
        parse_value=read_cursor,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="A JSON object whose fields depend on the source. Nothing in it is promised by this schema.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        parse_value=read_object,
    ),
    URL: strawberry.scalar(
        name="URL",
        description="An absolute `http` or `https` address.",
        specified_by_url="https://url.spec.whatwg.org/",
        serialize=str,
        parse_value=read_address,
    ),
}
