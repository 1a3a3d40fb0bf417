"""Deleting a chat: at its source, in the mirror, and its overlay. Alone, or with the folder that it is in."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from domain.capabilities import Capability, ChatOrder
from domain.errors import GatewayError, NotFound
from domain.ids import chat_id
from domain.records import Chat, FolderRef
from resolvers.context import Context
from resolvers.reading import read_chat
from resolvers.targets import ChatTarget, SourceTarget, not_found, open_source
from storage.chats import ChatQuery
from storage.database import Transaction

_BATCH = 100


async def remove_chat(context: Context, target: ChatTarget) -> None:
    """Delete a chat with all its messages. Raises what the source says; then nothing was deleted."""
    target.require(Capability.DELETE_CHAT)
    await target.live.delete_chat(target.chat_id)
    at = context.now()

    async def unit(tx: Transaction) -> None:
        await context.store.chats.remove(tx, context.organization.id, target.source.id, target.chat_id, at)

    if not target.capabilities.reads_from_store:
        await context.store.database.write(unit)
    context.batches.forget()


async def remove_chats_in(context: Context, folders: Sequence[FolderRef]) -> list[GatewayError]:
    """Delete every chat that is filed in these folders of the gateway, one after the other; what failed is reported, not rolled back."""
    failures: list[GatewayError] = []
    sources = await context.gateway.sources.visible(context.organization.id, context.principal)
    query = ChatQuery(
        organization_id=context.organization.id,
        source_ids=tuple(source.id for source in sources),
        order=ChatOrder(),
        limit=_BATCH,
        folders=tuple(folders),
        archived=None,
    )
    failed: set[tuple[int, str]] = set()
    while rows := [row for row in await context.store.chats.page(query) if row.key not in failed]:
        for row in rows:
            try:
                await _remove_row(context, row)
            except GatewayError as error:
                failures.append(error)
                failed.add(row.key)
        if len(failed) >= _BATCH:
            break
    return failures


async def chats_inside(context: Context, folder: FolderRef) -> list[ChatTarget]:
    """The chats that the mirror knows in a folder of a source and in those inside it, before it is deleted there."""
    inside = await context.store.folders.subtree(context.organization.id, folder)
    target = await open_source(context, folder.source_id)
    if target is None:
        return []
    query = ChatQuery(
        organization_id=context.organization.id,
        source_ids=(folder.source_id,),
        order=ChatOrder(),
        limit=_BATCH,
        folders=tuple(one.ref for one in inside),
        archived=None,
    )
    rows = await context.store.chats.page(query)
    return [ChatTarget(target.source, target.live, row.native_id) for row in rows]


async def forget_folder(
    context: Context, target: SourceTarget, folder: FolderRef, doubted: Sequence[ChatTarget]
) -> None:
    """A source has deleted a folder. Its chats are asked for where they may be gone with it; the others are in no folder now.

    What is not asked for, because there is too much of it or the source does not answer, is settled by the next readings.
    """

    async def ask(chat: ChatTarget) -> None:
        with suppress(GatewayError):  # the folder is gone all the same
            await read_chat(context, chat)

    await asyncio.gather(*(ask(chat) for chat in doubted))
    at = context.now()

    async def unit(tx: Transaction) -> None:
        if await context.store.folders.exists(tx, context.organization.id, folder):
            await context.store.folders.remove(tx, context.organization.id, folder, at)

    await context.store.database.write(unit)


async def _remove_row(context: Context, row: Chat) -> None:
    opened = await open_source(context, row.source_id)
    if opened is None:  # it was disconnected a moment ago, and its chats with it
        raise not_found("chat", chat_id(*row.key))
    target = ChatTarget(opened.source, opened.live, row.native_id)
    async with context.gateway.locks.hold((context.organization.id, *target.key)):
        try:
            await remove_chat(context, target)
        except NotFound:
            await _forget(context, target)


async def _forget(context: Context, target: ChatTarget) -> None:
    """The source denies the chat that was to be deleted: what is left of it here goes too."""
    at = context.now()

    async def unit(tx: Transaction) -> None:
        await context.store.chats.remove(tx, context.organization.id, target.source.id, target.chat_id, at)

    await context.store.database.write(unit)
