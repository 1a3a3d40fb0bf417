"""Writing chats: at the source where it can, in the gateway's overlay where it cannot. Each answers with the chat as it is afterwards."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from domain.capabilities import Capability
from domain.errors import Conflict, InvalidArgument
from domain.ids import IdType, parse_id_of
from domain.ids import chat_id as global_chat_id
from domain.records import Chat, Scope
from domain.source import MessageWindow
from resolvers.chat_rules import check_tags, check_title, clean_tags, current_chat, folder_for, shown_chat
from resolvers.context import Context
from resolvers.overlays import version_of
from resolvers.reading import read_messages, see_chat
from resolvers.removal import remove_chat
from resolvers.targets import (
    ChatTarget,
    chat_target,
    denied_as,
    not_found,
)
from resolvers.writes import UNSET, Unset
from storage.database import Transaction


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
    folder = await folder_for(context, target, folder_id)
    is_native = folder is not None and folder.source_id == target.source.id

    async def write() -> Chat | None:
        current = await current_chat(context, target)
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


async def mark_chat_read(
    context: Context, *, chat_id: str, up_to_message_id: str | None, backwards: bool = False
) -> Chat:
    """Move the principal's read marker forwards; with `backwards` also back, which makes what follows unread again."""
    context.require(Scope.WRITE, role=None)
    target = await chat_target(context, chat_id)
    wanted: str | None = None
    if up_to_message_id is not None:
        parsed = parse_id_of(up_to_message_id, IdType.MESSAGE)
        if parsed is None or (parsed.short, parsed.parts[0]) != target.key:
            raise not_found("message of this chat", up_to_message_id, ("upToMessageId",))
        wanted = parsed.parts[1]
    chat = await current_chat(context, target)
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
        if key not in known or known[key].deleted_at is not None:
            raise not_found("message of this chat", up_to_message_id or "", ("upToMessageId",))

        async def unit(tx: Transaction) -> None:
            await context.store.read_markers.set_marker(
                tx,
                context.organization.id,
                context.principal.key,
                target.source.id,
                target.chat_id,
                up_to,
                at=context.now(),
                backwards=backwards,
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
    current = await current_chat(context, target)
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
    current = await current_chat(context, target)
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
