"""What a process that died left behind: intents that are still open, and replies that nobody follows.

Run once at the start of a gateway that has the store to itself. Each is settled by looking at its source, never by sending again.
"""

from dataclasses import replace

from domain.errors import GatewayError
from domain.records import Message, MessageState
from domain.source import MessageWindow
from domain.tree import by_id
from resolvers.context import Context, Gateway, system_context
from resolvers.exchange import follow_again
from resolvers.reading import is_at_source, read_messages
from resolvers.targets import ChatTarget
from storage.database import Transaction
from storage.intents import Intent, IntentState
from storage.messages import MessagesSeen

_AFTER_OURS = MessageWindow(last=20)
"""Wide enough to hold what was sent last, where a source pages its messages."""


async def recover(gateway: Gateway) -> int:
    """Settle what can be settled; how many things were looked at. A source that does not answer leaves its things for the next reads."""
    looked_at = 0
    for intent in await gateway.store.intents.open_intents():
        organization = await gateway.store.organizations.get(intent.organization_id)
        if organization is not None:
            looked_at += 1
            await _settle_intent(system_context(gateway, organization, intent.principal), intent)
    for organization in await gateway.store.organizations.all():
        for message in await gateway.store.messages.unfinished(organization.id):
            looked_at += 1
            await _settle_reply(system_context(gateway, organization, ""), message)
    return looked_at


async def _settle_intent(context: Context, intent: Intent) -> None:
    state, result = IntentState.UNKNOWN, dict(intent.result)
    written = intent.message_id or intent.reply_id  # answering once more writes a reply only
    if written is not None and intent.chat_id:
        target = await _target(context, intent.source_id, intent.chat_id)
        place = (intent.organization_id, intent.source_id, intent.chat_id, intent.message_id or "")
        with context.store.messages.announced(*place, {"principal": intent.principal}):
            shown = await _shown(context, target) if target is not None else None
        if shown is not None and written in shown and shown[written].state is not MessageState.PENDING:
            state, result = IntentState.DONE, {"message_id": intent.message_id, "reply_id": intent.reply_id}

    async def unit(tx: Transaction) -> None:
        await context.store.intents.finish(tx, intent.id, state, result)

    await context.store.database.write(unit)


async def _settle_reply(context: Context, message: Message) -> None:
    """A row that is still being written: as its source has it now. If the source goes on with it, so do we; what it never heard of broke off."""
    target = await _target(context, message.source_id, message.chat_id)
    if target is None:
        return
    shown = await _shown(context, target)
    if shown is None or message.state is MessageState.PENDING:
        return
    now = shown.get(message.native_id)
    if now is not None and now.state is not MessageState.STREAMING:
        return  # reading it has settled it
    if now is not None and await is_at_source(context, target, now):
        follow_again(context, target, now)
        return
    asked = shown.get(message.parent_id or "")
    if asked is not None and asked.state is MessageState.PENDING:
        return  # whether the source has the message itself is not known yet
    await _break_off(context, message)


async def _break_off(context: Context, message: Message) -> None:
    seen = MessagesSeen(
        organization_id=context.organization.id,
        source_id=message.source_id,
        chat_id=message.chat_id,
        messages=[replace(message, state=MessageState.FAILED)],
        started_at=context.now(),
        is_whole=False,
        includes_newest=False,
        active_leaf=None,
        is_own_write=True,
    )

    async def unit(tx: Transaction) -> None:
        await context.store.messages.observe(tx, seen)

    await context.store.database.write(unit)


async def _target(context: Context, source_id: int, chat_id: str) -> ChatTarget | None:
    """The chat of a source, whoever may see it; None when the source is gone or cannot be opened."""
    for source in await context.gateway.sources.of(context.organization.id):
        if source.id == source_id:
            try:
                return ChatTarget(source, await context.gateway.sources.connect(source), chat_id)
            except GatewayError:  # `sources` says so; its things wait
                return None
    return None


async def _shown(context: Context, target: ChatTarget) -> dict[str, Message] | None:
    try:
        read = await read_messages(context, target, _AFTER_OURS)
    except GatewayError:
        return None
    return by_id(read.messages) if read is not None else {}
