"""What is written into Open WebUI's free-form chat object: history entries and the turns of a conversation. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.errors import InvalidArgument
from domain.records import Chat, Message, MessageRole
from domain.source import FirstMessage, NewChat, NewMessage

INTENT = "switchboard_intent"
"""Key of the chat's object under which the gateway's id for this write is kept, so that a write whose answer was lost is found."""

_ROLES = {MessageRole.USER: "user", MessageRole.ASSISTANT: "assistant", MessageRole.SYSTEM: "system"}


def role_name(role: MessageRole, path: tuple[str, ...]) -> str:
    """How Open WebUI calls a role that can be written. Raises `InvalidArgument` for others."""
    if role not in _ROLES:
        raise InvalidArgument(
            f"A message of role {role} cannot be written to Open WebUI. Use USER, ASSISTANT or SYSTEM.", path=path
        )
    return _ROLES[role]


def chat_body(new: NewChat, *, now_seconds: int) -> dict[str, Any]:
    """The object of a new chat: the one of `options.chat`, with what the other fields say over it."""
    body: dict[str, Any] = dict((new.options or {}).get("chat", {}))
    if new.messages or "history" not in body:
        body["history"] = _first_history(new.messages, new.agent, now_seconds)
    if new.title is not None:
        body["title"] = new.title
    if new.agent:
        body["models"] = [new.agent]
    if new.metadata is not None:
        body["metadata"] = dict(new.metadata)
    if new.idempotency_id:
        body[INTENT] = new.idempotency_id
    return body


def _first_history(messages: Sequence[FirstMessage], model: str | None, now_seconds: int) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    parent_id: str | None = None
    for index, message in enumerate(messages):
        path = ("messages", str(index))
        refuse_attachments(message.attachments, (*path, "attachments"))
        entries[message.id] = entry(
            message.id,
            parent_id,
            role_name(message.role, (*path, "role")),
            message.text,
            now_seconds=now_seconds,
            model=model,
            metadata=message.metadata,
        )
        if parent_id is not None:
            entries[parent_id]["childrenIds"] = [message.id]
        parent_id = message.id
    return {"messages": entries, "currentId": parent_id}


def entry(
    message_id: str,
    parent_id: str | None,
    role: str,
    text: str,
    *,
    now_seconds: int,
    model: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A message as the history holds it."""
    body: dict[str, Any] = {
        "id": message_id,
        "parentId": parent_id,
        "childrenIds": [],
        "role": role,
        "content": text,
        "timestamp": now_seconds,
    }
    if role == "assistant":
        body["done"] = True
        if model:
            body["model"] = model
    elif role == "user" and model:
        body["models"] = [model]
    if metadata is not None:
        body["metadata"] = dict(metadata)
    return body


def appended_history(new: NewMessage, *, now_seconds: int, model: str | None) -> dict[str, Any]:
    """The fragment of a history that appends one message; the server merges it by id."""
    role = role_name(new.role, ("role",))
    refuse_attachments(new.attachments, ("attachments",))
    body = entry(new.id, new.parent_id, role, new.text, now_seconds=now_seconds, model=model, metadata=new.metadata)
    return {"history": {"messages": {new.id: body}, "currentId": new.id}}


def refuse_attachments(attachments: Sequence[Any], path: tuple[str, ...]) -> None:
    """Files cannot be sent in this version."""
    if attachments:
        raise InvalidArgument("Files cannot be sent to Open WebUI yet. Leave `attachments` out.", path=path)


def model_for(chat: Chat, path: Sequence[Message], asked: str | None) -> str:
    """The model that shall answer: the one asked for, the chat's, or the one that answered last."""
    last = next((message.model for message in reversed(path) if message.model), None)
    model = asked or (chat.agent.native_id if chat.agent is not None else None) or last
    if model is None:
        raise InvalidArgument(
            "The chat has no model yet, so nobody can answer. Give `model`, one of the source's `agents`.",
            path=("model",),
        )
    return model


def tag_ids(tags: Sequence[str]) -> list[str]:
    """Tags as Open WebUI keeps them: lower-cased, `_` for spaces, each once."""
    wanted: set[str] = set()
    for index, tag in enumerate(tags):
        tag_id = tag.strip().replace(" ", "_").lower()
        if tag_id in ("", "none"):
            raise InvalidArgument(
                "Open WebUI has no tag that is empty or called `none`. Use another name.",
                path=("tags", str(index)),
            )
        wanted.add(tag_id)
    return sorted(wanted)
