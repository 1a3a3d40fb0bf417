"""What nobody works on any more: intents whose process died or gave up, and replies that nobody follows.

    an own message, PENDING   ──shown──▶ COMPLETE
                              └─absent, where that proves it, and late enough─▶ FAILED; else it stays, and is looked for again
    a reply, STREAMING        ──shown, final──▶ as it ended
                              ├─shown, still written─▶ followed to its end
                              ├─not shown, its question is there─▶ waited for, then FAILED with the words that came
                              └─not shown, nor is its question─▶ PENDING, as that is

Each is settled by looking at its source, never by sending again. `resolvers.supervising` says when, and for which.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta

from domain.errors import GatewayError
from domain.records import Message, MessageState
from domain.source import MessagesRead, MessageWindow
from domain.tree import by_id
from resolvers.context import Context
from resolvers.exchange import follow_again
from resolvers.reading import is_at_source, native_message_id, read_messages, under_known_ids
from resolvers.targets import ChatTarget
from storage.database import Transaction
from storage.followers import Unfinished
from storage.intents import Intent, IntentState
from storage.messages import MessagesSeen

_AFTER_OURS = MessageWindow(last=20)
"""Wide enough to hold what was sent last, where a source pages its messages."""


@dataclass(frozen=True, slots=True)
class Left:
    """What is left behind in one chat."""

    source_id: int
    chat_id: str
    messages: Sequence[Unfinished] = ()
    intents: Sequence[Intent] = ()


async def settle_chat(context: Context, left: Left) -> None:
    """Look once, and settle what can be settled. A source that does not answer leaves all for the next look."""
    looked_at = context.now()
    target = await _target(context, left) if left.chat_id else None  # what creates a chat is not found by a look at one
    with ExitStack() as senders:
        for intent in left.intents:
            place = (intent.organization_id, intent.source_id, intent.chat_id, intent.message_id or "")
            senders.enter_context(context.store.messages.announced(*place, {"principal": intent.principal}))
        read = await _read(context, target) if target is not None else None
    shown = by_id(read.messages) if read is not None else {}
    for intent in left.intents:
        is_late = looked_at - intent.created_at > timedelta(seconds=context.gateway.tuning.absence_seconds)
        is_absent = is_late and target is not None and read is not None and _proves_absence(target, read)
        await _settle_intent(context, intent, shown, is_certainly_absent=is_absent)
    for row in left.messages:
        if row.message.state is MessageState.STREAMING:
            await _settle_reply(context, target, row, read, shown)


# Intents


def _proves_absence(target: ChatTarget, read: MessagesRead) -> bool:
    """Whether what this reading does not show will never be there."""
    return target.capabilities.absence_proves_not_sent and read.is_complete and not read.skipped


async def _settle_intent(
    context: Context, intent: Intent, shown: Mapping[str, Message], *, is_certainly_absent: bool
) -> None:
    written = intent.message_id or intent.reply_id  # answering once more writes a reply only
    found = shown.get(written or "")
    if found is not None and found.state is not MessageState.PENDING:
        result = {"message_id": intent.message_id, "reply_id": intent.reply_id}
        await _finish(context, intent, IntentState.DONE, result)
    elif written is not None and is_certainly_absent:
        await _never_done(context, intent)
    elif intent.state is IntentState.OPEN:
        await _finish(context, intent, IntentState.UNKNOWN, None)


async def _never_done(context: Context, intent: Intent) -> None:
    chat = (intent.source_id, intent.chat_id)
    keys = [(*chat, one) for one in (intent.message_id, intent.reply_id) if one is not None]
    rows = await context.store.messages.get_many(context.organization.id, keys)
    failed = [replace(row, state=MessageState.FAILED) for row in rows.values() if not row.state.is_final]

    async def unit(tx: Transaction) -> None:
        await _observe(context, tx, chat, failed)
        await context.store.intents.settle(tx, intent.id, IntentState.FAILED)

    await context.store.database.write(unit)


async def _finish(context: Context, intent: Intent, state: IntentState, result: Mapping[str, object] | None) -> None:
    async def unit(tx: Transaction) -> None:
        await context.store.intents.settle(tx, intent.id, state, result)

    await context.store.database.write(unit)


# Replies


async def _settle_reply(
    context: Context,
    target: ChatTarget | None,
    row: Unfinished,
    read: MessagesRead | None,
    shown: Mapping[str, Message],
) -> None:
    """A row that was being written when it was last seen."""
    reply = row.message
    if target is None:
        if await _is_gone(context, reply.source_id):
            await _write(context, replace(reply, state=MessageState.FAILED))
        return
    if read is None:
        return
    now = shown.get(reply.native_id)
    if now is not None and now.state.is_final:
        return  # reading it has settled it
    if not await _is_known_there(context, target, row):
        await _settle_unseen(context, row, shown)
        return
    is_sure = target.capabilities.takes_message_ids and read.is_complete
    if now is None or (now == reply and not is_sure):  # older than the window shows, or only our own row of it
        now = await _ask(context, target, reply)
    if now is None:
        await _write(context, replace(reply, state=MessageState.FAILED))
    elif now.state.is_final:
        await _write(context, now)
    elif await _claim(context, row):
        follow_again(context, target, now)


async def _settle_unseen(context: Context, row: Unfinished, shown: Mapping[str, Message]) -> None:
    """A reply of ours that its source has never shown: perhaps it shows it when it is finished."""
    reply = row.message
    asked = shown.get(reply.parent_id or "")
    if asked is not None and asked.state is MessageState.PENDING:
        await _write(context, replace(reply, state=MessageState.PENDING))
        return
    age = context.now() - row.changed_at  # by our own clock
    if age > timedelta(seconds=context.gateway.tuning.reply_patience_seconds):
        await _write(context, replace(reply, state=MessageState.FAILED))
    else:
        await _claim(context, row)


async def _is_known_there(context: Context, target: ChatTarget, row: Unfinished) -> bool:
    """Whether the source itself has shown the reply, or must show it if it has it at all."""
    return not row.is_own or await is_at_source(context, target, row.message)


async def _ask(context: Context, target: ChatTarget, reply: Message) -> Message | None:
    """One message by itself. Raises `GatewayError`."""
    found = await target.live.get_message(target.chat_id, await native_message_id(context, target, reply.native_id))
    return (await under_known_ids(context, target, [found]))[0] if found is not None else None


async def _claim(context: Context, row: Unfinished) -> bool:
    """See to it from now on; False when another process was faster."""
    own = context.gateway.presence.own
    if row.follower == own:
        return True

    async def unit(tx: Transaction) -> bool:
        followers = context.store.followers
        return await followers.claim(tx, context.organization.id, row.message.key, own, row.follower)

    return await context.store.database.write(unit)


async def _write(context: Context, reply: Message) -> None:
    async def unit(tx: Transaction) -> None:
        await _observe(context, tx, reply.key[:2], [reply])

    await context.store.database.write(unit)


async def _observe(context: Context, tx: Transaction, chat: tuple[int, str], rows: Sequence[Message]) -> None:
    if not rows:
        return
    await context.store.messages.observe(
        tx,
        MessagesSeen(
            organization_id=context.organization.id,
            source_id=chat[0],
            chat_id=chat[1],
            messages=rows,
            started_at=context.now(),
            is_whole=False,
            includes_newest=False,
            active_leaf=None,
            is_own_write=True,
        ),
    )


# Where they are


async def _target(context: Context, left: Left) -> ChatTarget | None:
    """The chat of a source, whoever may see it; None when the source is gone or cannot be opened."""
    for source in await context.gateway.sources.of(context.organization.id):
        if source.id == left.source_id and source.disconnected_at is None:
            try:
                return ChatTarget(source, await context.gateway.sources.connect(source), left.chat_id)
            except GatewayError:  # `sources` says so; its things wait
                return None
    return None


async def _is_gone(context: Context, source_id: int) -> bool:
    """Whether a source was disconnected, so that nothing of it will ever be read again."""
    sources = await context.gateway.sources.of(context.organization.id)
    return all(source.id != source_id or source.disconnected_at is not None for source in sources)


async def _read(context: Context, target: ChatTarget) -> MessagesRead | None:
    try:
        return await read_messages(context, target, _AFTER_OURS)
    except GatewayError:
        return None
