"""Asks a source, and commits what it showed to the mirror before anybody sees it, so that page and stream together miss nothing.

A source that does not take our message ids shows a message that we sent under an id of its own. Clients know it by ours from the
moment it was sent; the mirror remembers which is which, and reading translates.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from domain.errors import UnexpectedAnswer, UpstreamError
from domain.records import Chat, Folder, Message
from domain.source import MessagesRead, MessageWindow, SourcePage
from resolvers.context import Context
from resolvers.overlays import complete_rows, lay_over
from resolvers.settling import endings_kept, own_rows_settled, renamed
from resolvers.targets import ChatTarget, SourceTarget
from storage.chats import ChatsSeen
from storage.database import Transaction
from storage.messages import MessagesSeen


async def read_chat(context: Context, target: ChatTarget) -> Chat | None:
    """One chat as its source shows it now; None when it is not there. Raises `UpstreamError`."""
    started_at = context.now()
    chat = await target.live.get_chat(target.chat_id)
    if chat is None:
        await _settle_absence(context, target)
        return None
    if chat.native_id != target.chat_id:
        raise UnexpectedAnswer(
            f"{target.source.key}: get chat was answered with another chat than the one that was asked for. "
            "Check `base_url`, and whether something between here and the vendor keeps answers.",
            source_id=target.source.id,
            operation="get_chat",
            json_path="$.id",
        )
    return await see_chat(context, target, chat, started_at=started_at)


async def see_chat(
    context: Context, target: SourceTarget, chat: Chat, *, started_at: datetime, is_own_write: bool = False
) -> Chat:
    """Commit one chat to the mirror and lay overlays over it. `started_at`: when its request was started."""
    page = SourcePage([chat], started_at)
    outdated: list[str] = []
    shown = (await see_chats(context, target, page, is_own_write=is_own_write, outdated=outdated))[0]
    if not (is_own_write and outdated):
        return shown
    # Somebody read it while we wrote: which of the two is newer nobody can tell, so it is read once more.
    again_at = context.now()
    try:
        again = await target.live.get_chat(chat.native_id)
    except UpstreamError:  # it was written all the same
        return shown
    return await see_chat(context, target, again, started_at=again_at) if again is not None else shown


async def see_chats(
    context: Context,
    target: SourceTarget,
    page: SourcePage[Chat],
    *,
    from_newest: bool = False,
    is_whole: bool = False,
    is_own_write: bool = False,
    outdated: list[str] | None = None,
) -> list[Chat]:
    """Commit rows to the mirror and lay overlays over them. `outdated` takes the ids of rows that something newer was known of."""
    if not page.rows and not (from_newest or is_whole):
        return []
    seen = ChatsSeen(
        organization_id=context.organization.id,
        source_id=target.source.id,
        rows=page.rows,
        started_at=page.started_at,
        from_newest=from_newest,
        is_whole=is_whole,
        is_own_write=is_own_write,
    )

    if not target.capabilities.reads_from_store:
        observed = await context.store.database.write(lambda tx: context.store.chats.observe(tx, seen))
        if outdated is not None:
            outdated.extend(observed.outdated)
    overlays = await context.store.chats.overlays(context.organization.id, [chat.key for chat in page.rows])
    return [lay_over(chat, overlays.get(chat.key), target.capabilities) for chat in page.rows]


async def read_messages(context: Context, target: ChatTarget, window: MessageWindow) -> MessagesRead | None:
    """Messages of a chat as its source shows them now, under the ids that clients know; None when the chat is not there."""
    translated = await _with_native_ids(context, target, window)
    read = await target.live.read_messages(target.chat_id, translated)
    if read is None:
        await _settle_absence(context, target)
        return None
    if target.capabilities.reads_from_store:
        return read
    if not target.capabilities.takes_message_ids:
        read = await own_rows_settled(context, target, read)
    read = await endings_kept(context, target, read)
    await see_messages(context, target, read)
    return read


async def native_message_id(context: Context, target: ChatTarget, public: str) -> str:
    """What the source calls a message that clients know as `public`."""
    if target.capabilities.takes_message_ids or target.capabilities.reads_from_store:
        return public
    aliases = await context.store.messages.aliases(context.organization.id, target.source.id, target.chat_id)
    return next((native for native, known in aliases.items() if known == public), public)


async def is_at_source(context: Context, target: ChatTarget, message: Message) -> bool:
    """Whether the source itself has shown a message of a reading, and it is not only our own row of it."""
    if target.capabilities.takes_message_ids:
        return True
    aliases = await context.store.messages.aliases(context.organization.id, target.source.id, target.chat_id)
    return message.native_id in aliases.values()


async def under_known_ids(context: Context, target: ChatTarget, messages: Sequence[Message]) -> list[Message]:
    """Messages as the source showed them, under the ids that clients know."""
    if target.capabilities.takes_message_ids or target.capabilities.reads_from_store:
        return list(messages)
    aliases = await context.store.messages.aliases(context.organization.id, target.source.id, target.chat_id)
    return [renamed(message, aliases) for message in messages]


async def see_messages(context: Context, target: ChatTarget, read: MessagesRead) -> None:
    """Commit a reading of messages to the mirror."""
    seen = MessagesSeen(
        organization_id=context.organization.id,
        source_id=target.source.id,
        chat_id=target.chat_id,
        messages=read.messages,
        started_at=read.started_at,
        # A row that could not be understood is not gone.
        is_whole=read.is_complete and not read.skipped,
        includes_newest=read.is_complete or not read.has_after,
        active_leaf=read.active_leaf,
    )

    async def unit(tx: Transaction) -> None:
        if read.chat is not None:
            await context.store.chats.observe(
                tx,
                ChatsSeen(
                    organization_id=context.organization.id,
                    source_id=target.source.id,
                    rows=[read.chat],
                    started_at=read.started_at,
                    from_newest=False,
                    is_whole=False,
                ),
            )
        await context.store.messages.observe(tx, seen)

    await context.store.database.write(unit)


async def see_folders(context: Context, target: SourceTarget) -> Sequence[Folder]:
    """The folders of a source as it shows them now."""
    started_at = context.now()
    folders = await target.live.list_folders()

    async def unit(tx: Transaction) -> None:
        await context.store.folders.observe(tx, context.organization.id, target.source.id, folders, started_at)

    await context.store.database.write(unit)
    return folders


async def copy_of_chat(context: Context, target: ChatTarget) -> Chat | None:
    """The gateway's copy of a chat, with `as_of`; None when it was never seen."""
    rows = await context.store.chats.get_many(context.organization.id, [target.key])
    chat = rows.get(target.key)
    return complete_rows([chat], target.capabilities)[0] if chat is not None else None


async def _settle_absence(context: Context, target: ChatTarget) -> None:
    """A chat that the mirror knows and the source denies is asked for once more; denied twice, it was deleted."""
    known = await context.store.chats.get_many(context.organization.id, [target.key])
    if target.key not in known or target.capabilities.reads_from_store:
        return
    asked_at = context.now()
    try:
        if await target.live.get_chat(target.chat_id) is not None:
            return
    except UpstreamError:  # no answer is not a "no"
        return

    async def unit(tx: Transaction) -> None:
        await context.store.chats.remove(tx, context.organization.id, target.source.id, target.chat_id, asked_at)

    await context.store.database.write(unit)


async def _with_native_ids(context: Context, target: ChatTarget, window: MessageWindow) -> MessageWindow:
    if target.capabilities.takes_message_ids or target.capabilities.reads_from_store:
        return window
    aliases = await context.store.messages.aliases(context.organization.id, target.source.id, target.chat_id)
    if not aliases:
        return window
    native = {public: own for own, public in aliases.items()}

    def of(public: str | None) -> str | None:
        return native.get(public, public) if public is not None else None

    return replace(window, after=of(window.after), before=of(window.before), branch=of(window.branch))
