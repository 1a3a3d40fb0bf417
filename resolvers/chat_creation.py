"""Creating chats: what the source demands is checked before the first call; mirror, overlays, event and result are committed together."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.capabilities import Capability, SupportLevel
from domain.errors import GatewayError, InvalidArgument, OutcomeUnknown, UpstreamError
from domain.ids import chat_id as global_chat_id
from domain.records import GATEWAY, Attachment, Chat, FolderRef, MessageRole, Scope
from domain.source import FirstMessage, NewChat
from resolvers.chat_rules import check_tags, check_title, clean_tags, current_chat, folder_for, shown_chat
from resolvers.context import Context
from resolvers.forms import check_form
from resolvers.intents import abandon, begin, finish, new_intent, why_unknown
from resolvers.new_chat_form import form_of_new_chat, users_of
from resolvers.sending import check_text
from resolvers.targets import (
    ChatTarget,
    SourceTarget,
    not_found,
    source_target,
)
from resolvers.writes import Done
from storage.chats import ChatsSeen
from storage.database import Transaction
from storage.intents import Intent, IntentState


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstMessageInput:
    """A message that a new chat begins with."""

    role: MessageRole
    text: str
    attachments: tuple[Attachment, ...] = ()
    metadata: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateChat:
    """What `createChat` takes; ids are the client's texts."""

    source_id: str
    title: str | None = None
    agent: str | None = None
    user_id: str | None = None
    metadata: Any = None
    tags: tuple[str, ...] | None = None
    folder_id: str | None = None
    messages: tuple[FirstMessageInput, ...] = ()
    options: Any = None
    idempotency_key: str | None = None


async def create_chat(
    context: Context,
    request: CreateChat,
    *,
    mutation: str = "createChat",
    payload: Any = None,
    folder_path: Sequence[str] = ("folderId",),
) -> Done[Chat]:
    """Start a chat. Everything that the source demands is checked before the first call to it.

    `mutation` and `payload`: what the client asked for, where it asked for something else that comes to this; `folder_path`: the field of
    its input that `request.folder_id` comes from.
    """
    context.require(Scope.WRITE)
    target = await source_target(context, request.source_id)
    target.require(Capability.CREATE_CHAT)
    _check_new(context, target, request)
    folder = await folder_for(context, target, request.folder_id, folder_path)
    intent = new_intent(
        context,
        mutation,
        request.idempotency_key,
        payload or [getattr(request, name) for name in CreateChat.__slots__ if name != "idempotency_key"],
        source_id=target.source.id,
    )
    opened = await begin(context, intent)
    if not opened.is_new:
        return Done(await _created_before(context, target, opened), replayed=True)
    try:
        return Done(await _create(context, target, request, folder, opened))
    finally:
        abandon(context, opened)


async def _create(
    context: Context, target: SourceTarget, request: CreateChat, folder: FolderRef | None, opened: Intent
) -> Chat:
    new = _new_chat(context, target, request, folder)
    started_at = context.now()
    try:
        chat = await target.live.create_chat(new)
    except GatewayError as error:
        perhaps = isinstance(error, UpstreamError) and error.perhaps_executed
        await finish(context, opened, IntentState.UNKNOWN if perhaps else IntentState.FAILED)
        if perhaps:
            raise OutcomeUnknown(
                f"{target.source.key}: creating a chat {why_unknown(error)}. It may exist: "
                "read the list before you create it again.",
                source_id=target.source.id,
            ) from error
        raise
    at = ChatTarget(target.source, target.live, chat.native_id)
    await _keep_rest(context, at, chat, request, folder, opened, started_at)
    context.batches.forget()
    return await shown_chat(context, at, chat)


def _check_new(context: Context, target: SourceTarget, request: CreateChat) -> None:
    connector = context.gateway.connectors[target.source.vendor]
    form = {
        "title": request.title,
        "agent": request.agent,
        "userId": request.user_id,
        "metadata": request.metadata,
        "tags": list(request.tags) if request.tags is not None else None,
        "messages": [{"role": one.role.value, "text": one.text} for one in request.messages] or None,
        "options": request.options,
    }
    allowed = users_of(target.source, context.principal)
    if request.user_id is not None and allowed is not None and request.user_id not in allowed:
        raise InvalidArgument(
            f"{target.source.key} may not act for this user. Its option `user_ids` names those that it may act for.",
            path=("userId",),
        )
    schema = form_of_new_chat(connector, target.source, context.principal)
    check_form(schema, {name: value for name, value in form.items() if value is not None})
    check_title(request.title)
    check_tags(request.tags)
    for index, message in enumerate(request.messages):
        check_text(message.text, ("messages", str(index), "text"))


def _new_chat(context: Context, target: SourceTarget, request: CreateChat, folder: FolderRef | None) -> NewChat:
    user_id = request.user_id
    if user_id is None and target.source.options.get("user_id") == "viewer":
        user_id = context.principal.subject
    return NewChat(
        title=request.title if target.capabilities.asks_vendor(Capability.CREATE_CHAT) else None,
        agent=request.agent,
        user_id=user_id,
        metadata=request.metadata,
        tags=clean_tags(request.tags)
        if request.tags is not None and target.capabilities.asks_vendor(Capability.TAG_CHAT)
        else None,
        folder_id=folder.native_id if folder is not None and folder.source_id == target.source.id else None,
        messages=tuple(
            FirstMessage(
                id=str(uuid.uuid4()),
                role=one.role,
                text=one.text,
                attachments=one.attachments,
                metadata=one.metadata,
            )
            for one in request.messages
        ),
        options=request.options,
        idempotency_id=str(uuid.uuid4()),
    )


async def _keep_rest(
    context: Context,
    at: ChatTarget,
    chat: Chat,
    request: CreateChat,
    folder: FolderRef | None,
    intent: Intent,
    started_at: datetime,
) -> None:
    """Mirror, event, overlays and result in one transaction."""
    overlay: dict[str, Any] = {}
    levels = at.capabilities.level
    if request.title is not None and levels(Capability.RENAME_CHAT) is SupportLevel.OVERLAY:
        overlay["title"] = request.title
    if request.tags and levels(Capability.TAG_CHAT) is SupportLevel.OVERLAY:
        overlay["tags"] = clean_tags(request.tags)
    if request.metadata is not None and levels(Capability.EDIT_METADATA) is SupportLevel.OVERLAY:
        overlay["metadata"] = request.metadata
    if folder is not None and folder.source_id == GATEWAY:
        overlay["folder"] = folder

    async def unit(tx: Transaction) -> None:
        if not at.capabilities.reads_from_store:
            seen = ChatsSeen(
                organization_id=context.organization.id,
                source_id=at.source.id,
                rows=[chat],
                started_at=started_at,
                from_newest=False,
                is_whole=False,
                is_own_write=True,
            )
            await context.store.chats.observe(tx, seen)
        if overlay:
            await context.store.chats.set_overlay(
                tx, context.organization.id, at.source.id, at.chat_id, at=context.now(), **overlay
            )

    await finish(context, intent, IntentState.DONE, {"chat_id": chat.native_id}, unit)


async def _created_before(context: Context, target: SourceTarget, known: Intent) -> Chat:
    native_id = known.result.get("chat_id")
    if known.state is not IntentState.DONE or not isinstance(native_id, str):
        raise OutcomeUnknown(
            f"{target.source.key}: whether the earlier request with this `idempotencyKey` was carried out is not known. "
            "Read the list of chats.",
            source_id=target.source.id,
        )
    at = ChatTarget(target.source, target.live, native_id)
    chat = await current_chat(context, at)
    if chat is None:
        raise not_found("chat", global_chat_id(target.source.id, native_id))
    return chat
