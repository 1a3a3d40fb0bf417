"""Copying a chat to another source, or within one: what the target can hold is created anew, and what it cannot is named."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.capabilities import Capability
from domain.errors import InvalidArgument
from domain.records import Chat, Message, MessageRole, Scope
from domain.source import MessageWindow
from domain.tree import branch_path, by_id
from resolvers.chat_creation import CreateChat, FirstMessageInput, create_chat
from resolvers.context import Context
from resolvers.reading import read_chat, read_messages
from resolvers.targets import SourceTarget, chat_target, not_found, source_target

_MAX_MESSAGES = 1000
_EVERYTHING = MessageWindow(last=_MAX_MESSAGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyChat:
    """What `copyChat` takes; ids are the client's texts."""

    chat_id: str
    target_source_id: str
    target_folder_id: str | None = None
    agent: str | None = None
    options: Any = None
    dry_run: bool = False
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that the copy does not have."""

    capability: Capability
    count: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """The copy, or None when it was only tried."""

    chat: Chat | None
    losses: tuple[Loss, ...]
    replayed: bool = False


async def copy_chat(context: Context, request: CopyChat) -> Copied:
    """Copy the active path of a chat, its title, tags and metadata as far as the target can hold them."""
    context.require(Scope.WRITE)
    origin = await chat_target(context, request.chat_id)
    target = await source_target(context, request.target_source_id, ("targetSourceId",))
    target.require(Capability.CREATE_CHAT)
    chat = await read_chat(context, origin)
    read = await read_messages(context, origin, _EVERYTHING) if chat is not None else None
    if chat is None or read is None:
        raise not_found("chat", request.chat_id, ("chatId",))
    path = branch_path(by_id(read.messages), None, read.active_leaf) if read.is_complete else list(read.messages)
    if len(path) > _MAX_MESSAGES or read.has_before:
        raise InvalidArgument(
            f"The chat has more than {_MAX_MESSAGES} messages on its active path, which is more than one copy can take.",
            path=("chatId",),
        )
    silent = [message for message in path if not message.text.strip()]
    path = [message for message in path if message.text.strip()]
    properties = context.gateway.connectors[target.source.vendor].create_chat_schema.get("properties", {})
    beside = len(read.messages) - len(path) - len(silent) if read.is_complete else 0
    losses = _losses(chat, path, silent, beside, target, properties)
    if request.dry_run:
        return Copied(chat=None, losses=losses)
    done = await create_chat(
        context,
        CreateChat(
            source_id=request.target_source_id,
            title=chat.title if "title" in properties or target.capabilities.can(Capability.RENAME_CHAT) else None,
            agent=request.agent
            or (
                chat.agent.native_id
                if chat.agent and "agent" in properties and origin.source.vendor == target.source.vendor
                else None
            ),
            metadata=chat.metadata if "metadata" in properties else None,
            tags=chat.tags or None if target.capabilities.can(Capability.TAG_CHAT) else None,
            folder_id=request.target_folder_id,
            messages=tuple(_first(message) for message in path) if _holds_messages(properties) else (),
            options=request.options,
            idempotency_key=request.idempotency_key,
        ),
        folder_path=("targetFolderId",),
        # The same request is the same, also when the original has grown in the meantime.
        mutation="copyChat",
        payload=[getattr(request, name) for name in CopyChat.__slots__ if name != "idempotency_key"],
    )
    return Copied(chat=done.value, losses=losses, replayed=done.replayed)


def _first(message: Message) -> FirstMessageInput:
    role = message.role if message.role is not MessageRole.OTHER else MessageRole.ASSISTANT
    return FirstMessageInput(role=role, text=message.text, metadata=message.metadata)


def _losses(
    chat: Chat,
    path: list[Message],
    silent: list[Message],
    beside: int,
    target: SourceTarget,
    properties: Mapping[str, Any],
) -> tuple[Loss, ...]:
    losses = []
    if path and not _holds_messages(properties):
        losses.append(
            Loss(Capability.SEND_MESSAGE, len(path), "The target cannot begin a chat with messages: the copy is empty.")
        )
    elif beside:
        losses.append(Loss(Capability.BRANCHES, beside, "Messages beside the active path are not copied."))
    if silent:
        losses.append(Loss(Capability.READ_MESSAGE, len(silent), "Messages without words are not copied."))
    files = sum(len(message.attachments) for message in [*path, *silent])
    if files:
        losses.append(Loss(Capability.READ_MESSAGE, files, "Files are not copied."))
    if chat.metadata and "metadata" not in properties:
        losses.append(Loss(Capability.EDIT_METADATA, len(chat.metadata), "The target keeps no metadata."))
    return tuple(losses)


def _holds_messages(properties: Mapping[str, Any]) -> bool:
    """Whether a chat can begin with messages at the target: its form has the field, and not with room for none."""
    field = properties.get("messages")
    return isinstance(field, Mapping) and field.get("maxItems") != 0
