"""Writing messages: sending, editing, deleting, answering once more, stopping."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from domain.capabilities import Capability
from domain.errors import InvalidArgument, OutcomeUnknown
from domain.ids import IdType, parse_id_of
from domain.ids import message_id as global_message_id
from domain.records import Attachment, Message, MessageRole, Scope
from domain.source import MessageWindow, NewMessage
from resolvers.context import Context
from resolvers.exchange import Exchange, Started
from resolvers.intents import Overtaken, earlier, new_intent
from resolvers.messages import load_message
from resolvers.reading import native_message_id, read_messages, under_known_ids
from resolvers.replies import wait_until
from resolvers.settling import unsent
from resolvers.targets import ChatTarget, MessageTarget, chat_target, denied_as, message_target, not_found
from resolvers.waiting import wait_for_reply
from storage.database import Transaction
from storage.intents import Intent, IntentState
from storage.messages import MessagesSeen

MAX_TEXT_BYTES = 1024 * 1024


class ReplyMode(StrEnum):
    """Whether to let the assistant answer, and whether to wait for it."""

    STREAM = "STREAM"
    WAIT = "WAIT"
    NONE = "NONE"


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMessage:
    """What `sendMessage` takes; ids are the client's texts."""

    chat_id: str
    text: str
    role: MessageRole = MessageRole.USER
    parent_id: str | None = None
    attachments: tuple[Attachment, ...] = ()
    model: str | None = None
    metadata: Any = None
    reply: ReplyMode = ReplyMode.STREAM
    idempotency_key: str | None = None
    client_mutation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The message and the reply as far as they are."""

    message: Message | None
    reply: Message | None
    replayed: bool = False
    client_mutation_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What is left of a message, and the global ids of all that went with it."""

    message: Message | None
    ids: Sequence[str]


async def send_message(context: Context, request: SendMessage) -> Sent:
    """Write a message, and let the assistant answer where that is wanted and possible. It is sent at most once."""
    context.require(Scope.WRITE)
    target = await chat_target(context, request.chat_id)
    target.require(Capability.SEND_MESSAGE)
    check_text(request.text)
    wants_reply = _wants_reply(target, request)
    parent = _parent(request, target)
    while True:
        try:
            return await _send(context, target, request, parent, wants_reply)
        except Overtaken:
            continue


async def _send(
    context: Context, target: ChatTarget, request: SendMessage, parent: str | None, wants_reply: bool
) -> Sent:
    message_id, reply_id = str(uuid.uuid4()), str(uuid.uuid4())
    intent = new_intent(
        context,
        "sendMessage",
        request.idempotency_key,
        [*target.key, request.text, request.role, request.parent_id, request.model, request.metadata, request.reply],
        source_id=target.source.id,
        chat_id=target.chat_id,
        message_id=message_id,
        reply_id=reply_id,
    )
    if (known := await earlier(context, intent)) is not None:
        return await _replayed(context, target, known, request)
    new = NewMessage(
        id=message_id,
        reply_id=reply_id,
        chat_id=target.chat_id,
        role=request.role,
        text=request.text,
        parent_id=parent,
        model=request.model,
        metadata=request.metadata,
        attachments=request.attachments,
        wants_reply=wants_reply,
    )
    exchange = Exchange(context, target, new, intent, client_mutation_id=request.client_mutation_id)
    context.gateway.replies.follow((*target.key, reply_id), exchange.run)
    with denied_as("chat", request.chat_id, ("chatId",)):
        started = await asyncio.shield(exchange.accepted)
    if request.reply is ReplyMode.WAIT:
        await wait_for_reply(context, target, reply_id)
    return await _as_sent(context, target, message_id, reply_id, request.client_mutation_id, fallback=started)


def check_text(text: str, path: Sequence[str] = ("text",)) -> None:
    """Refuse what no source takes, before any call."""
    if not text.strip():
        raise InvalidArgument("The message is empty. Write at least one character that is not a space.", path=path)
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_TEXT_BYTES:
        raise InvalidArgument(
            f"The message has {size} bytes; at most {MAX_TEXT_BYTES} are allowed. Split it.", path=path
        )


def _wants_reply(target: ChatTarget, request: SendMessage) -> bool:
    can_reply = target.capabilities.can(Capability.GENERATE_REPLY)
    if request.reply is ReplyMode.WAIT:
        target.require(Capability.GENERATE_REPLY)
    if request.reply is ReplyMode.NONE and target.capabilities.always_replies:
        # Answering cannot be left out here; there is no capability for that, so sending itself is what is not possible this way.
        raise InvalidArgument(
            f"{target.source.key} answers every message, so `reply: NONE` is not possible. Use STREAM or WAIT.",
            path=("reply",),
        )
    return can_reply and request.reply is not ReplyMode.NONE and request.role is MessageRole.USER


def _parent(request: SendMessage, target: ChatTarget) -> str | None:
    if request.parent_id is None:
        return None
    parsed = parse_id_of(request.parent_id, IdType.MESSAGE)
    if parsed is None or (parsed.short, parsed.parts[0]) != target.key:
        raise not_found("message of this chat", request.parent_id, ("parentId",))
    target.require(Capability.BRANCHES)
    return parsed.parts[1]


async def _replayed(context: Context, target: ChatTarget, known: Intent, request: SendMessage) -> Sent:
    if known.message_id is None:
        raise not_found("message", "", ())
    if request.reply is ReplyMode.WAIT and known.state is IntentState.DONE and known.reply_id is not None:
        await wait_for_reply(context, target, known.reply_id)
    sent = await _as_sent(
        context, target, known.message_id, known.reply_id or "", request.client_mutation_id, replayed=True
    )
    if known.state is IntentState.DONE or (sent.message is not None and sent.message.state.is_final):
        return sent
    raise _still_unknown(target)


def _still_unknown(target: ChatTarget) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{target.source.key}: whether the earlier request with this `idempotencyKey` was carried out is still not known. "
        "Read the chat; the message shows up by itself if it was accepted.",
        source_id=target.source.id,
        retry_after_seconds=5,
    )


async def _as_sent(
    context: Context,
    target: ChatTarget,
    message_id: str,
    reply_id: str,
    client_mutation_id: str | None,
    *,
    replayed: bool = False,
    fallback: Started | None = None,
) -> Sent:
    keys = [(*target.key, message_id), (*target.key, reply_id)]
    rows = await context.store.messages.get_many(context.organization.id, keys)
    message, reply = rows.get(keys[0]), rows.get(keys[1])
    if fallback is not None:
        message, reply = message or fallback.message, reply or fallback.reply
    return Sent(message=message, reply=reply, replayed=replayed, client_mutation_id=client_mutation_id)


async def edit_message(context: Context, *, message_id: str, text: str) -> Message:
    """Replace the words of a message."""
    context.require(Scope.WRITE)
    target = await message_target(context, message_id)
    target.require(Capability.EDIT_MESSAGE)
    check_text(text)
    with denied_as("message", message_id, ("messageId",)):
        async with context.gateway.locks.hold((context.organization.id, *target.key)):
            native_id = await native_message_id(context, target, target.message_id)
            answer = await target.live.edit_message(target.chat_id, native_id, text)
            (changed,) = await under_known_ids(context, target, [answer])
            await _observe_own(context, target, [changed])
    context.batches.forget()
    return changed


async def delete_message(context: Context, *, message_id: str) -> Deleted:
    """Delete a message; `ids` names every message that went with it. One that failed and never came to its source is deleted here alone."""
    context.require(Scope.WRITE)
    target = await message_target(context, message_id)
    if not (only_here := _with_replies(target.message_id, await unsent(context, target))):
        target.require(Capability.DELETE_MESSAGE)
    async with context.gateway.locks.hold((context.organization.id, *target.key)):
        gone = only_here or await _deleted_at_source(context, target, message_id)
        at = context.now()

        async def unit(tx: Transaction) -> None:
            await context.store.messages.remove(tx, context.organization.id, target.source.id, target.chat_id, gone, at)

        if not target.capabilities.reads_from_store:
            await context.store.database.write(unit)
    context.batches.forget()
    key = (*target.key, target.message_id)
    rows = await context.store.messages.get_many(context.organization.id, [key])
    ids = [global_message_id(target.source.id, target.chat_id, native) for native in gone]
    return Deleted(message=rows.get(key), ids=ids)


def _with_replies(message_id: str, rows: Sequence[Message]) -> list[str]:
    """A message of these rows, and what answers it; nothing when it is none of them."""
    known = any(row.native_id == message_id for row in rows)
    return [row.native_id for row in rows if message_id in (row.native_id, row.parent_id)] if known else []


async def _deleted_at_source(context: Context, target: MessageTarget, message_id: str) -> list[str]:
    """What the source deleted, under the ids that clients know."""
    native_id = await native_message_id(context, target, target.message_id)
    aliases = await context.store.messages.aliases(context.organization.id, *target.key)
    with denied_as("message", message_id, ("messageId",)):
        deleted = await target.live.delete_message(target.chat_id, native_id)
    return [aliases.get(native, native) for native in deleted]


async def regenerate_message(
    context: Context, *, message_id: str, model: str | None, reply: ReplyMode, idempotency_key: str | None
) -> Sent:
    """Let the assistant answer once more: the new answer is a sibling of the old one."""
    context.require(Scope.WRITE)
    target = await message_target(context, message_id)
    target.require(Capability.REGENERATE_REPLY)
    if reply is ReplyMode.NONE:
        raise InvalidArgument("Answering once more without an answer is nothing. Use STREAM or WAIT.", path=("reply",))
    while True:
        try:
            return await _answer_again(context, target, message_id, model, reply, idempotency_key)
        except Overtaken:
            continue


async def _answer_again(
    context: Context,
    target: MessageTarget,
    message_id: str,
    model: str | None,
    reply: ReplyMode,
    idempotency_key: str | None,
) -> Sent:
    old = await context.batches.load(load_message, (*target.key, target.message_id))
    if old is None:
        raise not_found("message", message_id, ("messageId",))
    if old.role is not MessageRole.ASSISTANT or old.parent_id is None:
        raise InvalidArgument("Only an assistant's answer can be made once more.", path=("messageId",))
    reply_id = str(uuid.uuid4())
    intent = new_intent(
        context,
        "regenerateMessage",
        idempotency_key,
        [*target.key, target.message_id, model, reply],
        source_id=target.source.id,
        chat_id=target.chat_id,
        reply_id=reply_id,
    )
    if (known := await earlier(context, intent)) is not None:
        if reply is ReplyMode.WAIT and known.state is IntentState.DONE:
            await wait_for_reply(context, target, known.reply_id or "")
        answered = await _as_sent(context, target, "", known.reply_id or "", None, replayed=True)
        if known.state is not IntentState.DONE and answered.reply is None:
            raise _still_unknown(target)
        return answered
    new = NewMessage(
        id=old.parent_id,
        reply_id=reply_id,
        chat_id=target.chat_id,
        role=MessageRole.USER,
        text="",
        parent_id=None,
        model=model,
    )
    native_id = await native_message_id(context, target, target.message_id)
    exchange = Exchange(context, target, new, intent, answers_again=native_id)
    context.gateway.replies.follow((*target.key, reply_id), exchange.run)
    with denied_as("message", message_id, ("messageId",)):
        started = await asyncio.shield(exchange.accepted)
    if reply is ReplyMode.WAIT:
        await wait_for_reply(context, target, reply_id)
    sent = await _as_sent(context, target, "", reply_id, None)
    return replace(sent, reply=sent.reply or started.reply)


async def stop_generation(context: Context, *, message_id: str) -> Message:
    """Stop an answer that is being written; a finished one stays as it is."""
    context.require(Scope.WRITE)
    target = await message_target(context, message_id)
    target.require(Capability.STOP_REPLY)
    native_id = await native_message_id(context, target, target.message_id)
    with denied_as("message", message_id, ("messageId",)):
        answer = await target.live.stop_reply(target.chat_id, native_id)
    if answer is None:
        raise not_found("message", message_id, ("messageId",))
    (stopped,) = await under_known_ids(context, target, [answer])
    following = context.gateway.replies.get((*target.key, target.message_id))
    if following is not None:
        await wait_until(following.finished.wait(), 5)
    read = await read_messages(context, target, MessageWindow(last=1))
    if read is not None:
        for message in read.messages:
            if message.native_id == target.message_id:
                stopped = message
    context.batches.forget()
    return stopped


async def _observe_own(context: Context, target: ChatTarget, rows: Sequence[Message]) -> None:
    if target.capabilities.reads_from_store:
        return

    async def unit(tx: Transaction) -> None:
        await context.store.messages.observe(
            tx,
            MessagesSeen(
                organization_id=context.organization.id,
                source_id=target.source.id,
                chat_id=target.chat_id,
                messages=rows,
                started_at=context.now(),
                is_whole=False,
                includes_newest=False,
                active_leaf=None,
                is_own_write=True,
            ),
        )

    await context.store.database.write(unit)
