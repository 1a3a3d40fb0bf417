"""ChatLogger's JSON as records, strictly."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from domain.records import Account, AccountKind, Chat, Message, MessageRole, Person, Source
from domain.source import NewChat, NewMessage, Skipped
from upstreams.chatlogger.capabilities import CHAT_FIELDS, FULL_FIELDS
from upstreams.chatlogger.metadata import shown
from upstreams.json_reading import Json, WrongShape, rows

LARGEST_ID = 2**64 - 1
_ROLES = {"user": MessageRole.USER, "assistant": MessageRole.ASSISTANT, "system": MessageRole.SYSTEM}
_RAW_IDS = ("id", "organization_id", "user_id")
_RAW_TIMES = ("created_at", "updated_at")


def row_from_json(source: Source, row: Json) -> Chat:
    """A chat as the list shows it."""
    owner = _number_or_none(row, "user_id")
    return Chat(
        organization_id=source.organization_id,
        source_id=source.id,
        native_id=number(row, "id"),
        told=CHAT_FIELDS,
        title=row.text_or_none("title") or None,
        owner=Person(owner) if owner is not None else None,
        metadata=_metadata(row),
        tags=_tags(row),
        created_at=row.instant("created_at"),
        updated_at=row.instant("updated_at"),
    )


def chat_from_json(source: Source, body: Json) -> Chat:
    """A chat as it is shown alone."""
    return replace(row_from_json(source, body), told=FULL_FIELDS, raw=_raw(body))


def created_chat(source: Source, chat_id: str, new: NewChat, *, owner: Person | None, knows_owner: bool) -> Chat:
    """A chat as it was asked for, where it cannot be read: its times stay unknown."""
    told = {"title", "metadata", "tags"} | ({"owner"} if knows_owner else set())
    return Chat(
        organization_id=source.organization_id,
        source_id=source.id,
        native_id=chat_id,
        told=frozenset(told),
        title=new.title,
        owner=owner,
        metadata=shown(new.metadata or {}),
        tags=tuple(sorted(set(new.tags or ()))),
    )


def messages_from_json(source: Source, chat_id: str, values: list[Any]) -> tuple[list[Message], Skipped]:
    """All messages, oldest first and each the child of the one before it, and the rows that were left out."""
    found, skipped = rows(values, "$", lambda row: message_from_json(source, chat_id, row))
    once = {message.native_id: message for message in reversed(found)}
    ordered = sorted(once.values(), key=lambda message: (_time(message), int(message.native_id)))
    return list(_chained(ordered)), skipped


def message_from_json(source: Source, chat_id: str, row: Json) -> Message:
    """One message, not chained."""
    return Message(
        organization_id=source.organization_id,
        source_id=source.id,
        chat_id=chat_id,
        native_id=number(row, "id"),
        role=_ROLES.get(row.text("role"), MessageRole.OTHER),
        text=row.text("content"),
        created_at=row.instant("created_at"),
        metadata=_metadata(row),
    )


def sent_message(source: Source, message_id: str, new: NewMessage) -> Message:
    """A message as it was sent, where it cannot be read: its time stays unknown."""
    return Message(
        organization_id=source.organization_id,
        source_id=source.id,
        chat_id=new.chat_id,
        native_id=message_id,
        role=new.role,
        text=new.text,
        parent_id=new.parent_id,
        metadata=shown(new.metadata or {}),
    )


def account_from_json(body: Json, slug: str | None) -> Account:
    """The organization of the user who is logged in; its slug is known from the settings only."""
    return Account(kind=AccountKind.ORGANIZATION, native_id=number(body, "organization_id"), slug=slug)


def number(row: Json, name: str) -> str:
    """A required id: a whole number of 64 bits, as a text."""
    value = row.fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_ID:
        raise WrongShape(row.at(name), "a whole number of 64 bits")
    return str(value)


def _number_or_none(row: Json, name: str) -> str | None:
    return None if row.fields.get(name) is None else number(row, name)


def _decoded(row: Json, name: str) -> Any:
    """A value that lists write as JSON inside a text."""
    value = row.fields.get(name)
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value) if value else None
    except orjson.JSONDecodeError:
        raise WrongShape(row.at(name), "JSON in a text") from None


def _tags(row: Json) -> tuple[str, ...]:
    """Left out where there are none."""
    value = _decoded(row, "tags")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise WrongShape(row.at("tags"), "a list of texts")
    return tuple(sorted(set(value)))


def _metadata(row: Json) -> Mapping[str, Any] | None:
    value = _decoded(row, "metadata")
    if value is None:
        return None
    if not isinstance(value, dict):
        raise WrongShape(row.at("metadata"), "an object")
    return shown(value)


def _chained(messages: Iterable[Message]) -> Iterable[Message]:
    before: str | None = None
    for message in messages:
        yield replace(message, parent_id=before)
        before = message.native_id


def _time(message: Message) -> datetime:
    assert message.created_at is not None, "every message of ChatLogger has a time"
    return message.created_at


def _raw(body: Json) -> dict[str, Any]:
    """Ids as texts: as numbers they would be rounded by whoever reads JSON into floats."""
    ids = {name: str(body.fields[name]) for name in _RAW_IDS if body.fields.get(name) is not None}
    return ids | {name: body.fields[name] for name in _RAW_TIMES}
