"""Lexicon's JSON as records, strictly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from domain.records import Attachment, Chat, Message, MessageRole, Person, Source
from upstreams.json_reading import Json, WrongShape, as_list, as_object, can_be_an_id
from upstreams.lexicon.capabilities import ROW_FIELDS

_RAW_FIELDS = (
    "id",
    "user_id",
    "tenant_id",
    "title",
    "status",
    "created_at",
    "updated_at",
    "last_message_at",
    "message_count",
)
_ROLES = {"user": MessageRole.USER, "assistant": MessageRole.ASSISTANT}
_LARGEST_COUNT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class PageEnd:
    """What a page says about itself. `count`: its rows, also those that could not be understood."""

    count: int
    total: int | None
    has_more: bool | None

    def goes_on(self, offset: int) -> bool:
        """Whether another page may follow: it does when either says so, or neither says anything. An empty page is always the end."""
        says = [] if self.total is None else [self.total > offset + self.count]
        says += [] if self.has_more is None else [self.has_more]
        return self.count > 0 and (any(says) or not says)


def chat_from_json(source: Source, body: Json) -> Chat:
    """A chat, as row or alone; one that was just created does not tell how many messages it has."""
    count = _count(body.fields.get("message_count"))
    return Chat(
        organization_id=source.organization_id,
        source_id=source.id,
        native_id=body.identifier("id"),
        told=ROW_FIELDS if count is not None else ROW_FIELDS - {"message_count"},
        title=body.text_or_none("title"),
        owner=Person(user_id_of(body)),
        metadata=_metadata(body),
        created_at=body.instant("created_at"),
        updated_at=body.instant("updated_at"),
        last_message_at=body.instant("last_message_at") if body.text_or_none("last_message_at") is not None else None,
        message_count=count,
        raw={name: body.fields[name] for name in _RAW_FIELDS if name in body.fields},
    )


def user_id_of(body: Json) -> str:
    """Whose chat it is."""
    return body.identifier("user_id")


def tenant_id_of(chat: Chat) -> str | None:
    """The tenant that a chat names."""
    tenant = (chat.raw or {}).get("tenant_id")
    return tenant if isinstance(tenant, str) and can_be_an_id(tenant) else None


def page_from_json(body: Any, name: str) -> tuple[list[Any], str, PageEnd]:
    """The rows under `name`, their path, and what the page says about its end."""
    shape = as_object(body)
    values = as_list(shape.fields.get(name), shape.at(name))
    has_more = shape.fields.get("has_more")
    end = PageEnd(
        count=len(values),
        total=_number(shape.fields.get("total")),
        has_more=has_more if isinstance(has_more, bool) else None,
    )
    return values, shape.at(name), end


def message_from_json(source: Source, chat_id: str, row: Json) -> Message:
    """One message, not chained: its parent is the one before it."""
    metadata = row.fields.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise WrongShape(row.at("metadata"), "an object or null")
    model = (metadata or {}).get("model")
    return Message(
        organization_id=source.organization_id,
        source_id=source.id,
        chat_id=chat_id,
        native_id=row.identifier("id"),
        role=_ROLES.get(row.text("sender_role"), MessageRole.OTHER),
        text=row.text("content"),
        model=model if isinstance(model, str) else None,
        attachments=_attachments(row),
        created_at=row.instant("created_at"),
        metadata=metadata,
    )


def chained(messages: Sequence[Message]) -> list[Message]:
    """Oldest first, each the child of the one before it."""
    return [
        replace(message, parent_id=messages[index - 1].native_id if index else None)
        for index, message in enumerate(messages)
    ]


def _attachments(row: Json) -> tuple[Attachment, ...]:
    url, kind = row.text_or_none("media_url"), row.text_or_none("media_type")
    # `media_type` is a word like `image` or `file`; only what looks like a MIME type is passed on as one.
    return (Attachment(media_type=kind if kind is not None and "/" in kind else None, url=url),) if url else ()


def _metadata(body: Json) -> Mapping[str, Any] | None:
    if body.fields.get("config") is None:
        return None
    config = body.object("config")
    if config.fields.get("metadata") is None:
        return None
    return config.object("metadata").fields


def _count(value: Any) -> int | None:
    """A number of messages; one that no chat can have tells nothing."""
    number = _number(value)
    return number if number is not None and number <= _LARGEST_COUNT else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
