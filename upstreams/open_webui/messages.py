"""Open WebUI's tree of messages as records.

`chat.history` is `{messages: {id: message}, currentId}`; ids are chosen by clients and unique inside one chat only. The top-level
`chat.messages` is an old, partial copy and is not read.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.records import (
    Actor,
    Agent,
    AgentKind,
    Attachment,
    Message,
    MessageRole,
    MessageState,
    Part,
    PartKind,
    Person,
    Source,
)
from domain.source import NOTHING_SKIPPED, Skipped
from domain.tree import by_id, children_of
from upstreams.json_reading import Json, WrongShape, as_object, can_be_an_id, left_out

_ROLES = {
    "user": MessageRole.USER,
    "assistant": MessageRole.ASSISTANT,
    "system": MessageRole.SYSTEM,
    "tool": MessageRole.TOOL,
}
_RAW_FIELDS = (
    "id",
    "parentId",
    "childrenIds",
    "role",
    "timestamp",
    "model",
    "models",
    "modelIdx",
    "done",
    "usage",
    "followUps",
)


@dataclass(frozen=True, slots=True)
class Tree:
    """All messages of a chat, parents before children. `active_leaf` is the end of the path that Open WebUI itself shows."""

    messages: list[Message]
    active_leaf: str | None
    skipped: Skipped


def tree_from_json(source: Source, body: Json) -> Tree:
    """The messages of a full chat. A chat without history has none; a message that cannot be read is left out and counted."""
    history = body.object("chat").fields.get("history")
    if history is None:
        return Tree([], None, NOTHING_SKIPPED)
    path = f"{body.at('chat')}.history"
    shape = as_object(history, path)
    stored = shape.fields.get("messages")
    entries = as_object({} if stored is None else stored, f"{path}.messages").fields
    chat_id = body.identifier("id")
    messages: list[Message] = []
    skipped = NOTHING_SKIPPED
    for message_id, entry in entries.items():
        try:
            messages.append(
                message_from_json(source, chat_id, message_id, as_object(entry, f"{path}.messages.{message_id}"))
            )
        except WrongShape as wrong:
            skipped += left_out(wrong)
    known = by_id(messages)
    current = shape.fields.get("currentId")
    leaf = current if isinstance(current, str) and current in known else None
    return Tree(parents_first(known), leaf, skipped)


def message_from_json(source: Source, chat_id: str, message_id: str, body: Json) -> Message:
    """One message. The key in the map is its id: messages of other clients may lack the field."""
    if not can_be_an_id(message_id):
        raise WrongShape(body.path, "an id as its key")
    role = _ROLES.get(body.text("role"), MessageRole.OTHER)
    output = _output(body)
    text = _text(body, output)
    error = _error(body)
    parts = _parts(text, output, error)
    return Message(
        organization_id=source.organization_id,
        source_id=source.id,
        chat_id=chat_id,
        native_id=message_id,
        role=role,
        text=text,
        state=_state(body, role, output, error),
        author=_author(body, role),
        model=_text_or_nothing(body.fields.get("model")),
        parent_id=_text_or_nothing(body.fields.get("parentId")),
        parts=parts,
        attachments=_attachments(body),
        created_at=body.epoch_seconds_or_none("timestamp"),
        metadata=body.fields["metadata"] if isinstance(body.fields.get("metadata"), dict) else None,
        raw={name: body.fields[name] for name in _RAW_FIELDS if name in body.fields},
    )


def parents_first(messages: Mapping[str, Message]) -> list[Message]:
    """Each message after its parent, siblings oldest first. What hangs in a circle, or on nothing, comes last."""
    children = children_of(messages)
    ordered: list[Message] = []
    waiting = list(reversed(children.get(None, ())))
    while waiting:
        message = waiting.pop()
        ordered.append(message)
        waiting.extend(reversed(children.get(message.native_id, ())))
    if len(ordered) < len(messages):
        reached = {message.native_id for message in ordered}
        ordered.extend(message for message in messages.values() if message.native_id not in reached)
    return ordered


def _text(body: Json, output: list[dict[str, Any]]) -> str:
    """`content`, which is a text or a list of blocks; where it is empty, the words of `output`."""
    content = body.fields.get("content")
    if isinstance(content, list):
        content = "".join(_block_text(block) for block in content)
    elif content is None and not output and "error" not in body.fields:
        raise WrongShape(body.at("content"), "a text")
    elif content is not None and not isinstance(content, str):
        raise WrongShape(body.at("content"), "a text or a list of blocks")
    return content or _said(output)


def _block_text(block: Any) -> str:
    if isinstance(block, str):
        return block
    text = block.get("text") if isinstance(block, dict) else None
    return text if isinstance(text, str) else ""


def _output(body: Json) -> list[dict[str, Any]]:
    output = body.fields.get("output")
    return [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []


def _said(output: list[dict[str, Any]]) -> str:
    return "".join(_words(item) for item in output if item.get("type") == "message")


def _words(item: Mapping[str, Any]) -> str:
    content = item.get("content")
    return "".join(_block_text(block) for block in content) if isinstance(content, list) else ""


def _error(body: Json) -> str | None:
    """What went wrong, as `error.content` tells it; an error of another shape is one without words."""
    error = body.fields.get("error")
    if not error:
        return None
    content = error.get("content") if isinstance(error, dict) else error
    return content if isinstance(content, str) else ""


def _state(body: Json, role: MessageRole, output: list[dict[str, Any]], error: str | None) -> MessageState:
    """`done` is false while a reply is written; a stopped one is done with an output that is `incomplete` (observed)."""
    if role is not MessageRole.ASSISTANT:
        return MessageState.COMPLETE
    if error is not None:
        return MessageState.FAILED
    if body.fields.get("done") is False:
        return MessageState.STREAMING
    if any(item.get("status") == "incomplete" for item in output):
        return MessageState.CANCELLED
    return MessageState.COMPLETE


def _author(body: Json, role: MessageRole) -> Actor | None:
    if role is MessageRole.ASSISTANT:
        model = _text_or_nothing(body.fields.get("model"))
        return Agent(model, kind=AgentKind.MODEL) if model else None
    user = body.fields.get("user")
    if isinstance(user, dict):
        return Person(_text_or_nothing(user.get("id")), _text_or_nothing(user.get("name")))
    user_id = _text_or_nothing(body.fields.get("user_id"))
    return Person(user_id) if user_id else None


def _parts(text: str, output: list[dict[str, Any]], error: str | None) -> tuple[Part, ...]:
    """The pieces; none where the text is all there is.

    An edit changes `content` and leaves `output` (observed): when they differ, the words are `content`'s.
    """
    parts = _parts_of_output(output)
    if _said(output) != text:
        parts = [part for part in parts if part.kind is not PartKind.TEXT]
        if text:
            parts.append(Part(kind=PartKind.TEXT, text=text))
    if error is not None:
        parts.append(Part(kind=PartKind.OTHER, name="error", text=error))
    return () if all(part.kind is PartKind.TEXT for part in parts) else tuple(parts)


def _parts_of_output(output: list[dict[str, Any]]) -> list[Part]:
    results = {item.get("call_id"): item.get("output") for item in output if item.get("type") == "function_call_output"}
    parts: list[Part] = []
    for item in output:
        kind = item.get("type")
        if kind == "message":
            parts.append(Part(kind=PartKind.TEXT, text=_words(item)))
        elif kind == "reasoning":
            parts.append(Part(kind=PartKind.REASONING, text=_words(item)))
        elif kind == "function_call":
            parts.append(_tool_call(item, results.get(item.get("call_id"))))
        elif kind != "function_call_output":
            parts.append(Part(kind=PartKind.OTHER, name=_text_or_nothing(kind), raw=item))
    return parts


def _tool_call(item: Mapping[str, Any], result: Any) -> Part:
    arguments = item.get("arguments")
    if isinstance(arguments, str):
        # A call that is still being written, or nonsense of a model, is shown as it is.
        with contextlib.suppress(ValueError):
            arguments = json.loads(arguments)
    return Part(
        kind=PartKind.TOOL_CALL,
        name=_text_or_nothing(item.get("name")),
        call_id=_text_or_nothing(item.get("call_id")),
        arguments=arguments,
        result=result,
    )


def _attachments(body: Json) -> tuple[Attachment, ...]:
    """`files`, as far as an entry has a name or an address."""
    files = body.fields.get("files")
    found = [_attachment(file) for file in files if isinstance(file, dict)] if isinstance(files, list) else []
    return tuple(attachment for attachment in found if attachment.name or attachment.url)


def _attachment(file: Mapping[str, Any]) -> Attachment:
    size = file.get("size")
    url = _text_or_nothing(file.get("url"))
    return Attachment(
        name=_text_or_nothing(file.get("name")),
        media_type=_text_or_nothing(file.get("content_type")),
        size_bytes=size if isinstance(size, int) and not isinstance(size, bool) else None,
        # Without a scheme it is the id of a file, which is no address for anybody else.
        url=url if url is not None and url.startswith(("https://", "http://", "data:")) else None,
    )


def _text_or_nothing(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
