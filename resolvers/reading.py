"""Asks a source, and brings what it showed into the mirror; `resolvers.mirroring` says when it is committed.

A source that does not take our message ids shows a message that we sent under an id of its own. Clients know it by ours from the
moment it was sent; the mirror remembers which is which, and reading translates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from domain.errors import UnexpectedAnswer, UpstreamError
from domain.records import Chat, Folder, Message
from domain.source import MessagesRead, MessageWindow, SourcePage
from resolvers.context import Context
from resolvers.joining import Joined, Reach, joined
from resolvers.mirroring import caught_up, mirror_chats, mirror_messages
from resolvers.overlays import complete_rows, lay_over
from resolvers.settling import endings_kept, own_rows_settled, renamed
from resolvers.targets import ChatTarget, SourceTarget
from storage.chats import ChatsSeen
from storage.database import Transaction
from storage.messages import Link, MessagesSeen, Observed


async def read_chat(context: Context, target: ChatTarget, *, must_commit: bool = False) -> Chat | None:
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
    return await see_chat(context, target, chat, started_at=started_at, must_commit=must_commit)


async def see_chat(
    context: Context,
    target: SourceTarget,
    chat: Chat,
    *,
    started_at: datetime,
    is_own_write: bool = False,
    must_commit: bool = False,
) -> Chat:
    """Bring one chat into the mirror and lay overlays over it. `started_at`: when its request was started."""
    page = SourcePage([chat], started_at)
    outdated: list[str] = []
    (shown,) = await see_chats(
        context, target, page, is_own_write=is_own_write, must_commit=must_commit, outdated=outdated
    )
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
    must_commit: bool = False,
    outdated: list[str] | None = None,
    changed: list[str] | None = None,
) -> list[Chat]:
    """Bring rows into the mirror and lay overlays over them; overlays are rows of their own, so they do not wait for these.

    `must_commit`: the caller reads them from the mirror next. `outdated` takes the ids of rows that something newer was known of, `changed`
    those that the log has a new line of, as far as it is waited for.
    """
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
        observed = await mirror_chats(context, seen, must_commit=must_commit)
        if outdated is not None:
            outdated.extend(observed.outdated)
        if changed is not None:
            changed.extend(observed.changed)
    overlays = await context.store.chats.overlays(context.organization.id, [chat.key for chat in page.rows])
    return [lay_over(chat, overlays.get(chat.key), target.capabilities) for chat in page.rows]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a reading: as clients see it, what it changed, and whether known messages were out of its reach."""

    shown: MessagesRead
    observed: Observed
    is_beyond: bool


async def read_messages(context: Context, target: ChatTarget, window: MessageWindow) -> MessagesRead | None:
    """Messages of a chat as its source shows them now, under the ids that clients know; None when the chat is not there."""
    read = await ask_for_messages(context, target, window)
    if read is None or target.capabilities.reads_from_store:
        return read
    tuning = context.gateway.tuning
    taken = await take_in(context, target, window, read, Reach(pages=tuning.fill_pages, seconds=tuning.fill_seconds))
    if taken is not None and taken.is_beyond:
        await context.gateway.watching.mend(context, target)
    return taken.shown if taken is not None else None


async def ask_for_messages(context: Context, target: ChatTarget, window: MessageWindow) -> MessagesRead | None:
    """What the source shows, under its own ids; None when the chat is not there."""
    read = await target.live.read_messages(target.chat_id, await _with_native_ids(context, target, window))
    if read is None:
        await _settle_absence(context, target)
    return read


async def take_in(
    context: Context, target: ChatTarget, window: MessageWindow, read: MessagesRead, reach: Reach
) -> Taken | None:
    """Commit what a source showed, joined to what is known (`resolvers.joining`); None when the chat is not there any more.

    `window` is what was asked for, under the ids that clients know; `read` has the source's own.
    """
    while True:
        aliases = await _aliases(context, target)
        link = await joined(context, target, _native(window, aliases), read, aliases, reach)
        if link.is_gone:
            await _settle_absence(context, target)
            return None
        settled = link.read
        if not target.capabilities.takes_message_ids:
            settled = await own_rows_settled(context, target, settled)
        settled = await endings_kept(context, target, settled)
        observed = await see_messages(context, target, settled, link, window)
        if not observed.is_overtaken:
            break
    messages = settled.messages[link.added :]
    shown = replace(settled, messages=messages, has_before=read.has_before, skipped=read.skipped)
    return Taken(shown, observed, link.is_beyond)


async def native_message_id(context: Context, target: ChatTarget, public: str) -> str:
    """What the source calls a message that clients know as `public`."""
    aliases = await _aliases(context, target)
    return next((native for native, known in aliases.items() if known == public), public)


async def is_at_source(context: Context, target: ChatTarget, message: Message) -> bool:
    """Whether the source itself has shown a message of a reading, and it is not only our own row of it."""
    if target.capabilities.takes_message_ids:
        return True
    aliases = await context.store.messages.aliases(context.organization.id, target.source.id, target.chat_id)
    return message.native_id in aliases.values()


async def under_known_ids(context: Context, target: ChatTarget, messages: Sequence[Message]) -> list[Message]:
    """Messages as the source showed them, under the ids that clients know."""
    aliases = await _aliases(context, target)
    return [renamed(message, aliases) for message in messages]


async def see_messages(
    context: Context,
    target: ChatTarget,
    read: MessagesRead,
    link: Joined | None = None,
    window: MessageWindow | None = None,
) -> Observed:
    """Bring a reading of messages into the mirror, as it joins what is known there."""
    link = link or Joined(read=read, link=Link.UNTOLD)
    seen = MessagesSeen(
        organization_id=context.organization.id,
        source_id=target.source.id,
        chat_id=target.chat_id,
        messages=read.messages,
        started_at=read.started_at,
        # A row that could not be understood is not gone.
        is_whole=(read.is_complete or not (read.has_before or read.has_after)) and not read.skipped,
        includes_newest=read.is_complete or not read.has_after,
        active_leaf=read.active_leaf,
        link=link.link,
        follows=window.after if window is not None else None,
        precedes=window.before if window is not None else None,
        is_first=link.is_first,
        begins_anew=link.begins_anew,
    )
    chat = None
    if read.chat is not None:
        chat = ChatsSeen(
            organization_id=context.organization.id,
            source_id=target.source.id,
            rows=[read.chat],
            started_at=read.started_at,
            from_newest=False,
            is_whole=False,
        )
    return await mirror_messages(context, seen, chat)


async def see_folders(context: Context, target: SourceTarget) -> Sequence[Folder]:
    """The folders of a source as it shows them now, committed: whoever asks reads them from the mirror."""
    started_at = context.now()
    folders = await target.live.list_folders()

    async def unit(tx: Transaction) -> None:
        await context.store.folders.observe(tx, context.organization.id, target.source.id, folders, started_at)

    await context.store.database.write(unit)
    return folders


async def copy_of_chat(context: Context, target: ChatTarget) -> Chat | None:
    """The gateway's copy of a chat, with `as_of`; None when it was never seen."""
    await caught_up(context, target.source.id)
    rows = await context.store.chats.get_many(context.organization.id, [target.key])
    chat = rows.get(target.key)
    return complete_rows([chat], target.capabilities)[0] if chat is not None else None


async def _settle_absence(context: Context, target: ChatTarget) -> None:
    """A chat that the mirror knows and the source denies is asked for once more; denied twice, it was deleted, and committed as such."""
    await caught_up(context, target.source.id)
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
    if window.after is None and window.before is None and window.branch is None:
        return window
    return _native(window, await _aliases(context, target))


async def _aliases(context: Context, target: ChatTarget) -> Mapping[str, str]:
    if target.capabilities.takes_message_ids or target.capabilities.reads_from_store:
        return {}
    return await context.store.messages.aliases(context.organization.id, target.source.id, target.chat_id)


def _native(window: MessageWindow, aliases: Mapping[str, str]) -> MessageWindow:
    if not aliases:
        return window
    native = {public: own for own, public in aliases.items()}

    def of(public: str | None) -> str | None:
        return native.get(public, public) if public is not None else None

    return replace(window, after=of(window.after), before=of(window.before), branch=of(window.branch))
