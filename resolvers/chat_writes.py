"""Writing chats: at the source where it can, in the gateway's overlay where it cannot. Each answers with the chat as it is afterwards."""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domain.capabilities import Capability, SupportLevel
from domain.errors import Conflict, GatewayError, InvalidArgument, OutcomeUnknown, UpstreamError
from domain.ids import IdType, parse_id_of
from domain.ids import chat_id as global_chat_id
from domain.records import GATEWAY, Attachment, Chat, FolderRef, MessageRole, Scope
from domain.source import FirstMessage, MessageWindow, NewChat
from resolvers.context import Context
from resolvers.folders import known_folder
from resolvers.forms import check_form
from resolvers.intents import abandon, begin, finish, new_intent, why_unknown
from resolvers.overlays import complete_rows, version_of
from resolvers.reading import read_chat, read_messages, see_chat
from resolvers.removal import remove_chat
from resolvers.sending import check_text
from resolvers.targets import (
    ChatTarget,
    SourceTarget,
    chat_target,
    denied_as,
    folder_ref,
    not_found,
    source_target,
)
from resolvers.writes import UNSET, Done, Unset
from storage.chats import ChatsSeen
from storage.database import Transaction
from storage.intents import Intent, IntentState

_MAX_TITLE = 1000
_MAX_TAGS = 50
_MAX_TAG = 100


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
    folder = await _folder_for(context, target, request.folder_id, folder_path)
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
    check_form(connector.create_chat_schema, {name: value for name, value in form.items() if value is not None})
    check_title(request.title)
    check_tags(request.tags)
    for index, message in enumerate(request.messages):
        check_text(message.text, ("messages", str(index), "text"))
    if request.user_id is not None and not _may_act_for(context, target, request.user_id):
        raise InvalidArgument(
            f"{target.source.key} may not act for this user. Its option `user_ids` names those that it may act for.",
            path=("userId",),
        )


def _may_act_for(context: Context, target: SourceTarget, user_id: str) -> bool:
    """Whether the options name the user, or say that it is whoever asks. A source whose options say nothing of users decides by itself."""
    options = target.source.options
    if "user_ids" not in options and "user_id" not in options:
        return True
    own = context.principal.subject if options.get("user_id") == "viewer" else options.get("user_id")
    return user_id == own or user_id in options.get("user_ids", ())


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


async def _folder_for(
    context: Context, target: SourceTarget, folder_id: str | None, path: Sequence[str] = ("folderId",)
) -> FolderRef | None:
    if folder_id is None:
        return None
    ref = await folder_ref(context, folder_id, path)
    _check_holder(target, ref, path)
    await known_folder(context, ref, path)
    return ref


def _check_holder(target: SourceTarget, ref: FolderRef, path: Sequence[str]) -> None:
    if ref.source_id not in (GATEWAY, target.source.id):
        raise InvalidArgument(
            "This folder is kept by another source and can hold that source's chats only. "
            "Use a folder of the gateway, or one of the chat's own source.",
            path=path,
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
    chat = await _current(context, at)
    if chat is None:
        raise not_found("chat", global_chat_id(target.source.id, native_id))
    return chat


async def update_chat(
    context: Context,
    *,
    chat_id: str,
    title: str | Unset | None = UNSET,
    metadata: Any = UNSET,
    expected_version: str | None = None,
) -> Chat:
    """Change title and metadata; what is left out stays, null empties."""
    context.require(Scope.WRITE)
    target = await chat_target(context, chat_id)
    if not isinstance(title, Unset):
        target.require(Capability.RENAME_CHAT)
        check_title(title)
    if not isinstance(metadata, Unset):
        target.require(Capability.EDIT_METADATA)
        if metadata is not None and not isinstance(metadata, Mapping):
            raise InvalidArgument("`metadata` is a JSON object, or null.", path=("metadata",))

    async def write() -> Chat | None:
        chat = None
        if not isinstance(title, Unset):
            chat = await _one_field(
                context,
                target,
                Capability.RENAME_CHAT,
                "title",
                title,
                lambda: target.live.rename_chat(target.chat_id, title),
            )
        if not isinstance(metadata, Unset):
            chat = await _one_field(
                context,
                target,
                Capability.EDIT_METADATA,
                "metadata",
                metadata,
                lambda: target.live.set_metadata(target.chat_id, metadata),
            )
        return chat

    return await _write(context, target, write, expected_version)


async def set_chat_tags(
    context: Context, *, chat_id: str, tags: Sequence[str], expected_version: str | None = None
) -> Chat:
    """Give a chat these tags and no others."""
    context.require(Scope.WRITE)
    target = await chat_target(context, chat_id)
    target.require(Capability.TAG_CHAT)
    check_tags(tags)
    wanted = clean_tags(tags)

    async def write() -> Chat | None:
        return await _one_field(
            context, target, Capability.TAG_CHAT, "tags", wanted, lambda: target.live.set_tags(target.chat_id, wanted)
        )

    return await _write(context, target, write, expected_version)


async def set_chat_pinned(context: Context, *, chat_id: str, pinned: bool) -> Chat:
    """Pin or unpin; saying the same twice changes nothing."""
    context.require(Scope.WRITE)
    target = await chat_target(context, chat_id)
    target.require(Capability.PIN_CHAT)

    async def write() -> Chat | None:
        return await _one_field(
            context,
            target,
            Capability.PIN_CHAT,
            "pinned",
            pinned,
            lambda: target.live.set_pinned(target.chat_id, pinned),
        )

    return await _write(context, target, write)


async def set_chat_archived(context: Context, *, chat_id: str, archived: bool) -> Chat:
    """Archive or bring back; saying the same twice changes nothing."""
    context.require(Scope.WRITE)
    target = await chat_target(context, chat_id)
    target.require(Capability.ARCHIVE_CHAT)

    async def write() -> Chat | None:
        return await _one_field(
            context,
            target,
            Capability.ARCHIVE_CHAT,
            "archived",
            archived,
            lambda: target.live.set_archived(target.chat_id, archived),
        )

    return await _write(context, target, write)


async def move_chat(context: Context, *, chat_id: str, folder_id: str | None) -> Chat:
    """Into a folder, or out of it. A chat is in one folder: going into a folder of the gateway takes it out of the source's own."""
    context.require(Scope.WRITE)
    target = await chat_target(context, chat_id)
    target.require(Capability.MOVE_CHAT)
    folder = await _folder_for(context, target, folder_id)
    is_native = folder is not None and folder.source_id == target.source.id

    async def write() -> Chat | None:
        current = await _current(context, target)
        if current is None:
            return None
        if target.capabilities.has_folders:
            native = folder.native_id if folder is not None and is_native else None
            now_in = current.folder
            if is_native or (now_in is not None and now_in.source_id == target.source.id):
                current = await _seen(context, target, target.live.move_chat(target.chat_id, native))
        own = folder if folder is not None and not is_native else None
        await _set_overlay(context, target, folder=own)
        return current

    return await _write(context, target, write)


async def share_chat(context: Context, *, chat_id: str) -> Chat:
    """Publish a chat under a link."""
    context.require(Scope.WRITE)
    target = await chat_target(context, chat_id)
    target.require(Capability.SHARE_CHAT)
    return await _write(context, target, lambda: _seen(context, target, target.live.share_chat(target.chat_id)))


async def unshare_chat(context: Context, *, chat_id: str) -> Chat:
    """Make the link of a shared chat useless."""
    context.require(Scope.WRITE)
    target = await chat_target(context, chat_id)
    target.require(Capability.SHARE_CHAT)
    return await _write(context, target, lambda: _seen(context, target, target.live.unshare_chat(target.chat_id)))


async def delete_chat(context: Context, *, chat_id: str, expected_version: str | None = None) -> str:
    """Delete a chat with all its messages, for good."""
    context.require(Scope.WRITE)
    target = await chat_target(context, chat_id)
    target.require(Capability.DELETE_CHAT)
    with denied_as("chat", chat_id, ("chatId",)):
        async with context.gateway.locks.hold((context.organization.id, *target.key)):
            if expected_version is not None:
                await _check_version(context, target, expected_version)
            await remove_chat(context, target)
    return chat_id


async def mark_chat_read(context: Context, *, chat_id: str, up_to_message_id: str | None) -> Chat:
    """Move the principal's read marker forwards."""
    context.require(Scope.WRITE, role=None)
    target = await chat_target(context, chat_id)
    wanted: str | None = None
    if up_to_message_id is not None:
        parsed = parse_id_of(up_to_message_id, IdType.MESSAGE)
        if parsed is None or (parsed.short, parsed.parts[0]) != target.key:
            raise not_found("message of this chat", up_to_message_id, ("upToMessageId",))
        wanted = parsed.parts[1]
    chat = await _current(context, target)
    if chat is None:
        raise not_found("chat", chat_id, ("chatId",))
    read = await read_messages(context, target, MessageWindow(last=1))
    if read is None:
        raise not_found("chat", chat_id, ("chatId",))
    newest = read.active_leaf if read.is_complete else (read.messages[-1].native_id if read.messages else None)
    up_to = wanted or newest
    if up_to is not None:
        key = (*target.key, up_to)
        known = await context.store.messages.get_many(context.organization.id, [key])
        if key not in known:
            raise not_found("message of this chat", up_to_message_id or "", ("upToMessageId",))

        async def unit(tx: Transaction) -> None:
            await context.store.read_markers.set_marker(
                tx,
                context.organization.id,
                context.principal.key,
                target.source.id,
                target.chat_id,
                up_to,
                context.now(),
            )

        await context.store.database.write(unit)
    context.batches.forget()
    return chat


async def _write(
    context: Context,
    target: ChatTarget,
    write: Callable[[], Awaitable[Chat | None]],
    expected_version: str | None = None,
) -> Chat:
    """Run one write in the chat's lock; the chat as it is afterwards. `NotFound` when it is not there."""
    with denied_as("chat", global_chat_id(*target.key), ("chatId",)):
        async with context.gateway.locks.hold((context.organization.id, *target.key)):
            if expected_version is not None:
                await _check_version(context, target, expected_version)
            chat = await write()
    context.batches.forget()
    context.gateway.drains.forget(target.source.id)
    if chat is None:
        raise not_found("chat", global_chat_id(*target.key), ("chatId",))
    return await shown_chat(context, target, chat)


async def _check_version(context: Context, target: ChatTarget, expected: str) -> None:
    current = await _current(context, target)
    if current is None:
        raise not_found("chat", global_chat_id(*target.key), ("chatId",))
    version = version_of(current, target.capabilities)
    if version != expected:
        raise Conflict(
            "The chat was changed since you read it, and nothing was changed now. Read it again and decide again.",
            current_version=version,
            path=("expectedVersion",),
        )


async def _one_field(
    context: Context,
    target: ChatTarget,
    capability: Capability,
    name: str,
    value: Any,
    ask: Callable[[], Awaitable[Chat]],
) -> Chat | None:
    """Set one field where its level says: at the source, or in the overlay."""
    if target.capabilities.asks_vendor(capability):
        return await _seen(context, target, ask())
    current = await _current(context, target)
    if current is None:
        return None
    await _set_overlay(context, target, **{name: value})
    return current


async def _seen(context: Context, target: ChatTarget, answer: Awaitable[Chat]) -> Chat:
    started_at = context.now()
    chat = await answer
    return await see_chat(context, target, chat, started_at=started_at, is_own_write=True)


async def _set_overlay(context: Context, target: ChatTarget, **changes: Any) -> None:
    async def unit(tx: Transaction) -> None:
        await context.store.chats.set_overlay(
            tx, context.organization.id, target.source.id, target.chat_id, at=context.now(), **changes
        )

    await context.store.database.write(unit)


async def _current(context: Context, target: ChatTarget) -> Chat | None:
    """The chat as its source shows it now."""
    if target.capabilities.reads_from_store:
        rows = await context.store.chats.get_many(context.organization.id, [target.key])
        return rows.get(target.key)
    return await read_chat(context, target)


async def shown_chat(context: Context, target: ChatTarget, fallback: Chat) -> Chat:
    """The chat after a write, overlays included, as the store has it now."""
    rows = await context.store.chats.get_many(context.organization.id, [target.key])
    chat = rows.get(target.key)
    if chat is None:
        return fallback
    return replace(complete_rows([chat], target.capabilities)[0], as_of=None)


def check_title(title: str | None) -> None:
    """Refuse a title that no list could show."""
    if title is not None and not 1 <= len(title.strip()) <= _MAX_TITLE:
        raise InvalidArgument(
            f"The title has {len(title.strip())} characters; 1 to {_MAX_TITLE} are allowed.", path=("title",)
        )


def check_tags(tags: Sequence[str] | None) -> None:
    """Refuse tags that are empty, too long or too many."""
    if tags is None:
        return
    if len(tags) > _MAX_TAGS:
        raise InvalidArgument(f"{len(tags)} tags were given; at most {_MAX_TAGS} are allowed.", path=("tags",))
    for index, tag in enumerate(tags):
        if not 1 <= len(tag.strip()) <= _MAX_TAG:
            raise InvalidArgument(
                f"A tag has {len(tag.strip())} characters; 1 to {_MAX_TAG} are allowed.", path=("tags", str(index))
            )


def clean_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Each tag once, without the spaces around it, in alphabetical order."""
    return tuple(sorted({tag.strip() for tag in tags}))
