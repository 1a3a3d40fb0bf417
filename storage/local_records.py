"""The records that writes to the local store make, and what a text must be. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from domain.errors import InvalidArgument
from domain.records import CHAT_FIELDS, Agent, Chat, Message, Person, Source
from domain.source import NewChat, NewMessage

MAX_TEXT_BYTES = 1024 * 1024


def partial_chat(source: Source, chat_id: str, **told: object) -> Chat:
    """A chat of which only `told` is said."""
    return Chat(
        organization_id=source.organization_id,
        source_id=source.id,
        native_id=chat_id,
        told=frozenset(told),
        **told,  # type: ignore[arg-type]  # names and types are those of `Chat`
    )


def new_chat(source: Source, new: NewChat, chat_id: str, messages: Sequence[Message], now: datetime) -> Chat:
    """A chat that says everything of itself, also what is not set."""
    told = dict.fromkeys(CHAT_FIELDS) | {
        "title": new.title,
        "owner": Person(new.user_id) if new.user_id is not None else None,
        "agent": Agent(new.agent) if new.agent is not None else None,
        "metadata": new.metadata,
        "tags": tuple(sorted(set(new.tags or ()))),
        "pinned": False,
        "archived": False,
        "created_at": now,
        "updated_at": now,
        "last_message_at": messages[-1].created_at if messages else None,
        "message_count": len(messages),
    }
    return partial_chat(source, chat_id, **told)


def first_messages(source: Source, new: NewChat, chat_id: str, now: datetime) -> list[Message]:
    """What a chat begins with, each following the one before it."""
    parents = [None, *(first.id for first in new.messages)]
    return [
        Message(
            organization_id=source.organization_id,
            source_id=source.id,
            chat_id=chat_id,
            native_id=first.id,
            role=first.role,
            text=first.text,
            parent_id=parent,
            attachments=first.attachments,
            metadata=first.metadata,
            # Told apart, so that whoever sorts by time sees them in their order.
            created_at=now + timedelta(microseconds=place),
        )
        for place, (first, parent) in enumerate(zip(new.messages, parents, strict=False))
    ]


def new_message(source: Source, new: NewMessage, now: datetime) -> Message:
    """A message as it was sent."""
    return Message(
        organization_id=source.organization_id,
        source_id=source.id,
        chat_id=new.chat_id,
        native_id=new.id,
        role=new.role,
        text=new.text,
        model=new.model,
        parent_id=new.parent_id,
        attachments=new.attachments,
        created_at=now,
        metadata=new.metadata,
    )


def check_text(text: str) -> None:
    """Raise `InvalidArgument` for a text that is empty or longer than `MAX_TEXT_BYTES` in UTF-8."""
    if not text.strip():
        raise InvalidArgument("A message without words was to be stored. Write something.", path=("text",))
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_TEXT_BYTES:
        raise InvalidArgument(
            f"A message of {size} bytes was to be stored; at most {MAX_TEXT_BYTES} are. Split it.", path=("text",)
        )
