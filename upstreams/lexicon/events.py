"""What Lexicon says over a socket. Names of events are documented, of their fields few: a value is looked for in every usual place.

connection_established ──▶ (user_created) ──▶ our frame ──▶ message_received ──▶ message_stream_started ──▶ …_token … ──▶ …_ended
                                                                 error may come at any time
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from upstreams.json_reading import Json, WrongShape, can_be_an_id, loads
from upstreams.lexicon.errors import words_from_json

_INSIDE = ("data", "payload", "message")
_WORDS = ("token", "delta", "chunk", "content", "text")


class EventKind(StrEnum):
    """The documented events; `OTHER` is everything else, and is passed over."""

    ESTABLISHED = "connection_established"
    USER_CREATED = "user_created"
    RECEIVED = "message_received"
    STARTED = "message_stream_started"
    TOKEN = "message_stream_token"
    ENDED = "message_stream_ended"
    ERROR = "error"
    OTHER = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. `text`: the words of a token, or of a whole message. `explanation`: Lexicon's words about an error."""

    kind: EventKind
    message_id: str | None = None
    text: str | None = None
    at: datetime | None = None
    explanation: str = ""


def event_from_frame(frame: str | bytes) -> Event:
    """The event in a frame. What is no event is `OTHER`: an undocumented frame must not end an answer."""
    try:
        body = loads(frame)
    except ValueError:
        return Event(kind=EventKind.OTHER)
    if not isinstance(body, dict):
        return Event(kind=EventKind.OTHER)
    kind = _KINDS.get(str(body.get("event_type")), EventKind.OTHER)
    return Event(
        kind=kind,
        message_id=_message_id(body),
        text=next((value for place in _places(body) if (value := _words(place)) is not None), None),
        at=_instant(body),
        explanation=_explanation(body) if kind is EventKind.ERROR else "",
    )


_KINDS = {kind.value: kind for kind in EventKind if kind is not EventKind.OTHER}


def _places(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield body
    for name in _INSIDE:
        if isinstance(inner := body.get(name), dict):
            yield inner


def _message_id(body: Mapping[str, Any]) -> str | None:
    """`message_id` wherever it stands, else the `id` of an inner object; an `id` of the event itself may be just that."""
    outer, *inner = _places(body)
    candidates = [place.get("message_id") for place in (outer, *inner)] + [place.get("id") for place in inner]
    return next((value for value in candidates if isinstance(value, str) and can_be_an_id(value)), None)


def _words(place: Mapping[str, Any]) -> str | None:
    for name in _WORDS:
        value = place.get(name)
        if isinstance(value, dict):
            value = next((value[key] for key in ("content", "text") if isinstance(value.get(key), str)), None)
        if isinstance(value, str):
            return value
    return None


def _instant(body: Mapping[str, Any]) -> datetime | None:
    try:
        return Json(body).instant("timestamp")
    except WrongShape:
        return None


def _explanation(body: Mapping[str, Any]) -> str:
    codes = (body.get(name) for name in ("code", "error_code"))
    found = [str(code) for code in codes if isinstance(code, str | int) and not isinstance(code, bool)]
    for place in (body, body.get("data"), body.get("payload")):
        if words := words_from_json(place):
            return ": ".join([*found, words])
    return ": ".join(found)
