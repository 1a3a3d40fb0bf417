"""How values stand in columns, and come back: times as microseconds, JSON as text, people and attachments as JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from domain.paging import micros
from domain.records import Account, AccountKind, Actor, Agent, AgentKind, Attachment, Part, PartKind, Person

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


def instant(value: int) -> datetime:
    """The time of a column."""
    return _EPOCH + timedelta(microseconds=value)


def instant_or_none(value: int | None) -> datetime | None:
    """The time of a column that may be null."""
    return None if value is None else _EPOCH + timedelta(microseconds=value)


def micros_or_none(moment: datetime | None) -> int | None:
    """A time for a column that may be null."""
    return None if moment is None else micros(moment)


def to_json(value: Any) -> str:
    """Any JSON value, one spelling each: keys are sorted, so equal values are equal texts."""
    return orjson.dumps(value, option=_OPTIONS).decode()


def to_json_or_none(value: Any) -> str | None:
    """The same; None stays null."""
    return None if value is None else to_json(value)


def from_json(text: str) -> Any:
    """A JSON column."""
    return orjson.loads(text)


def from_json_or_none(text: str | None) -> Any:
    """A JSON column that may be null."""
    return None if text is None else orjson.loads(text)


def actor_value(actor: Actor | None) -> list[Any] | None:
    """A person or agent as a JSON value."""
    match actor:
        case None:
            return None
        case Agent():
            return ["agent", actor.native_id, actor.display_name, actor.kind]
        case Person():
            return ["person", actor.native_id, actor.display_name]


def actor_of(text: str | None) -> Actor | None:
    """A person or agent from its column."""
    if text is None:
        return None
    match orjson.loads(text):
        case ["agent", native_id, display_name, kind]:
            return Agent(native_id, display_name, AgentKind(kind) if kind is not None else None)
        case ["person", native_id, display_name]:
            return Person(native_id, display_name)
        case other:
            raise ValueError(f"a column holds {other!r} instead of a person or an agent")


def agent_of(text: str | None) -> Agent | None:
    """An agent from its column."""
    actor = actor_of(text)
    return actor if isinstance(actor, Agent) else None


def attachment_value(attachment: Attachment) -> dict[str, Any]:
    """An attachment as a JSON value, without what is not known."""
    return _told(
        name=attachment.name, media_type=attachment.media_type, size_bytes=attachment.size_bytes, url=attachment.url
    )


def attachments_of(text: str | None) -> tuple[Attachment, ...]:
    """Attachments from their column; null is none."""
    return () if text is None else tuple(Attachment(**one) for one in orjson.loads(text))


def part_value(part: Part) -> dict[str, Any]:
    """A part of a message as a JSON value, without what is not set."""
    return _told(
        kind=part.kind,
        text=part.text,
        name=part.name,
        call_id=part.call_id,
        arguments=part.arguments,
        result=part.result,
        url=part.url,
        attachment=attachment_value(part.attachment) if part.attachment is not None else None,
        raw=part.raw,
    )


def parts_of(text: str | None) -> tuple[Part, ...]:
    """Parts from their column; null is none."""
    return () if text is None else tuple(_part(one) for one in orjson.loads(text))


def _part(value: dict[str, Any]) -> Part:
    attachment = value.pop("attachment", None)
    return Part(
        **{**value, "kind": PartKind(value["kind"])},
        attachment=Attachment(**attachment) if attachment is not None else None,
    )


def account_value(account: Account | None) -> Mapping[str, Any] | None:
    """The owner at a vendor as a JSON value."""
    if account is None:
        return None
    return _told(kind=account.kind, native_id=account.native_id, slug=account.slug, name=account.name)


def account_of(text: str | None) -> Account | None:
    """The owner at a vendor from its column."""
    if text is None:
        return None
    value = orjson.loads(text)
    return Account(**{**value, "kind": AccountKind(value["kind"])})


def _told(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
