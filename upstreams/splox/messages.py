"""Splox's messages as records. Inside a piece of content names are in camel case, unlike everywhere else."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.records import Attachment, Message, MessageRole, MessageState, Part, PartKind, Source
from upstreams.json_reading import Json, WrongShape, as_object
from upstreams.splox.mapping import instant_or_none

_ROLES = {
    "user": MessageRole.USER,
    "assistant": MessageRole.ASSISTANT,
    "system": MessageRole.SYSTEM,
    "tool": MessageRole.TOOL,
}
_STATES = {
    "running": MessageState.STREAMING,
    "in_progress": MessageState.STREAMING,
    "pending": MessageState.STREAMING,
    "incomplete": MessageState.FAILED,
    "failed": MessageState.FAILED,
    "error": MessageState.FAILED,
    "stopped": MessageState.CANCELLED,
    "cancelled": MessageState.CANCELLED,
}
"""`status.type` has no documented values: these are those of a run, and their usual other spellings. Any other is complete."""
_STOPPED = ("stopped", "cancelled", "canceled", "aborted")
_RAW_FIELDS = ("id", "chat_id", "role", "parent_id", "status", "created_at", "updated_at")


def message_from_json(source: Source, chat_id: str, row: Json) -> Message:
    """One message. `parent_id` as Splox tells it, None where it does not."""
    role = _ROLES.get(row.text("role"), MessageRole.OTHER)
    content = content_of(row)
    parts = _parts(content)
    return Message(
        organization_id=source.organization_id,
        source_id=source.id,
        chat_id=chat_id,
        native_id=row.identifier("id"),
        role=role,
        text=text_of(content),
        state=_state(row, role),
        parent_id=row.text_or_none("parent_id") or None,
        parts=() if all(part.kind is PartKind.TEXT for part in parts) else parts,
        attachments=_attachments(row),
        created_at=instant_or_none(row, "created_at"),
        metadata=row.fields["metadata"] if isinstance(row.fields.get("metadata"), dict) else None,
        raw={name: row.fields[name] for name in _RAW_FIELDS if name in row.fields},
    )


def content_of(row: Json) -> list[Mapping[str, Any]]:
    """The pieces of a message. An older page shows one text in their place; nothing at all may be `null`, as Go writes an empty list."""
    content = row.fields.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if content is None and "content" in row.fields:
        return []
    pieces = row.list("content")
    return [as_object(piece, f"{row.at('content')}[{index}]").fields for index, piece in enumerate(pieces)]


def text_of(content: Sequence[Mapping[str, Any]]) -> str:
    """The words."""
    return "".join(_text(piece.get("text")) for piece in content if piece.get("type") == "text")


def _parts(content: Sequence[Mapping[str, Any]]) -> tuple[Part, ...]:
    """The pieces in their order; a tool's result stands with its call where both are in one message."""
    results = {piece.get("toolCallId"): piece.get("result") for piece in content if piece.get("type") == "tool-result"}
    calls = {piece.get("toolCallId") for piece in content if piece.get("type") == "tool-call"}
    parts: list[Part] = []
    for piece in content:
        kind = piece.get("type")
        if kind == "text":
            parts.append(Part(kind=PartKind.TEXT, text=_text(piece.get("text"))))
        elif kind == "reasoning":
            parts.append(Part(kind=PartKind.REASONING, text=_text(piece.get("reasoning")) or _text(piece.get("text"))))
        elif kind == "tool-call":
            parts.append(_tool_call(piece, piece.get("result", results.get(piece.get("toolCallId")))))
        elif kind == "tool-result":
            if piece.get("toolCallId") not in calls:
                parts.append(_tool_call(piece, piece.get("result")))
        elif kind == "source" and isinstance(piece.get("url"), str):
            parts.append(Part(kind=PartKind.CITATION, name=_text(piece.get("title")) or None, url=piece["url"]))
        else:
            parts.append(Part(kind=PartKind.OTHER, name=_text(kind) or None, raw=dict(piece)))
    return tuple(parts)


def _tool_call(piece: Mapping[str, Any], result: Any) -> Part:
    return Part(
        kind=PartKind.TOOL_CALL,
        name=_text(piece.get("toolName")) or None,
        call_id=_text(piece.get("toolCallId")) or None,
        arguments=piece.get("args"),
        result=result,
    )


def _state(row: Json, role: MessageRole) -> MessageState:
    status = row.fields.get("status")
    if role is not MessageRole.ASSISTANT or status is None:
        return MessageState.COMPLETE
    shape = as_object(status, row.at("status"))
    if shape.fields.get("type") == "incomplete" and shape.fields.get("reason") in _STOPPED:
        return MessageState.CANCELLED
    return _STATES.get(_text(shape.fields.get("type")), MessageState.COMPLETE)


def _attachments(row: Json) -> tuple[Attachment, ...]:
    files = row.fields.get("files")
    if files is None:
        return ()
    if not isinstance(files, list):
        raise WrongShape(row.at("files"), "a list or null")
    return tuple(_attachment(file) for file in files if isinstance(file, dict) and isinstance(file.get("url"), str))


def _attachment(file: Mapping[str, Any]) -> Attachment:
    size = file.get("file_size")
    return Attachment(
        name=_text(file.get("file_name")) or None,
        media_type=_text(file.get("content_type")) or None,
        size_bytes=size if isinstance(size, int) and not isinstance(size, bool) else None,
        url=file["url"] if file["url"].startswith(("https://", "http://")) else None,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
