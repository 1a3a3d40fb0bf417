"""Kodey's JSON as records, strictly."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from domain.records import Agent, AgentKind, Chat, Message, MessageRole, Person, Source
from domain.source import Skipped
from upstreams.json_reading import Json, rows
from upstreams.kodey.capabilities import FULL_FIELDS, ROW_FIELDS

_RAW_FIELDS = ("id", "agentId", "teamId", "userId", "createdAt")


def chat_row_from_json(source: Source, row: Json) -> Chat:
    """A chat as the list shows it. `userId` is optional at creation, so it may be missing."""
    return Chat(
        organization_id=source.organization_id,
        source_id=source.id,
        native_id=row.identifier("id"),
        told=ROW_FIELDS,
        owner=owner_of(row.text_or_none("userId")),
        agent=_agent(row),
        created_at=row.instant("createdAt"),
    )


def chat_from_json(source: Source, body: Json) -> Chat:
    """A chat as it is shown alone."""
    return Chat(
        organization_id=source.organization_id,
        source_id=source.id,
        native_id=body.identifier("id"),
        told=FULL_FIELDS,
        agent=_agent(body),
        created_at=body.instant("createdAt"),
        raw={name: body.fields[name] for name in _RAW_FIELDS if name in body.fields},
    )


def messages_from_json(source: Source, chat_id: str, body: Json) -> tuple[list[Message], Skipped]:
    """All messages once, oldest first and each the child of the one before it, and the rows that were left out."""
    found, skipped = rows(
        body.list("messages"), body.at("messages"), lambda row: message_from_json(source, chat_id, row)
    )
    # One that was its own parent would cut off what stands before it.
    return chained(list({message.native_id: message for message in found}.values())), skipped


def message_from_json(source: Source, chat_id: str, row: Json) -> Message:
    """One message, not chained."""
    role = {"user": MessageRole.USER, "assistant": MessageRole.ASSISTANT}.get(row.text("role"), MessageRole.OTHER)
    return Message(
        organization_id=source.organization_id,
        source_id=source.id,
        chat_id=chat_id,
        native_id=row.identifier("id"),
        role=role,
        text=row.text("content"),
        created_at=row.instant("createdAt"),
    )


def chained(messages: Sequence[Message]) -> list[Message]:
    """In the order of their times, equal times in the order of the list (turned round when the list runs backwards), chained by `parent_id`."""
    times = [message.created_at for message in messages if message.created_at is not None]
    runs_backwards = len(times) > 1 and times[0] > times[-1]
    ordered = sorted(reversed(messages) if runs_backwards else messages, key=_time)
    return [replace_parent(message, ordered[index - 1] if index else None) for index, message in enumerate(ordered)]


def replace_parent(message: Message, parent: Message | None) -> Message:
    """The message as the child of `parent`."""
    return replace(message, parent_id=parent.native_id if parent is not None else None)


def question_of(messages: Sequence[Message], reply_id: str, text: str) -> Message | None:
    """The user's message that `reply_id` answers: the nearest one before it that says `text`. None when the list does not show it."""
    at = next((index for index, message in enumerate(messages) if message.native_id == reply_id), None)
    if at is None:
        return None
    before = reversed(messages[:at])
    return next((message for message in before if message.role is MessageRole.USER and message.text == text), None)


def _time(message: Message) -> datetime:
    assert message.created_at is not None, "every message of Kodey has a time"
    return message.created_at


def owner_of(user_id: str | None) -> Person | None:
    """The user of a chat, None when the chat has none."""
    return Person(user_id) if user_id else None


def _agent(body: Json) -> Agent:
    return Agent(body.text("agentId"), kind=AgentKind.AGENT)
