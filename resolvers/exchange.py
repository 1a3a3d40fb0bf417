"""One message on its way to a source, and the reply on its way back.

    begun ──intent committed──▶ on its way ──source has it──▶ accepted ──words…──▶ finished
                                    ├─certainly not sent──▶ failed (nothing was done)
                                    └─no answer──▶ looked for ──found──▶ accepted
                                                        └─not found──▶ OUTCOME_UNKNOWN, row stays PENDING, reads settle it

It runs in a task of `Replies`, so it goes on when the client that began it is gone.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from domain.capabilities import Capability
from domain.errors import GatewayError, OutcomeUnknown, UpstreamError
from domain.ids import chat_id as global_chat_id
from domain.ids import message_id
from domain.records import Agent, Message, MessageRole, MessageState
from domain.source import MessageWindow, NewMessage, Progress
from domain.tree import by_id
from resolvers.context import Context
from resolvers.growing import Growing
from resolvers.intents import Overtaken, abandon, finish, new_intent, open_intent, why_unknown
from resolvers.reading import is_at_source, native_message_id, read_messages
from resolvers.replies import Following
from resolvers.settling import newest_at_source
from resolvers.targets import ChatTarget, not_found
from storage.database import Transaction
from storage.intents import Intent, IntentState
from storage.messages import MessagesSeen

_NEWEST = MessageWindow(last=1)
_AFTER_OURS = MessageWindow(last=20)
"""Wide enough to hold what was just sent, with its answer and what others wrote since, where a source pages its messages."""


@dataclass(frozen=True, slots=True)
class Started:
    """What the sender is told: the message and its reply so far."""

    message: Message | None
    reply: Message | None


class Exchange:
    """Sends one message and follows its reply. `accepted` resolves when the sender can be answered, or raises what went wrong.

    With `answers_again`, the id of an older reply, nothing is sent: the message before it, `new.id`, is answered once more.
    """

    def __init__(
        self,
        context: Context,
        target: ChatTarget,
        new: NewMessage,
        intent: Intent,
        *,
        client_mutation_id: str | None = None,
        answers_again: str | None = None,
    ) -> None:
        self._context = context
        self._target = target
        self._new = new
        self._intent = intent
        self._answers_again = answers_again
        self._detail = {"principal": context.principal.key}
        if client_mutation_id is not None:
            self._detail["client_mutation_id"] = client_mutation_id
        # A reading in the meantime must recognise our message, so its row is there before the source can show it.
        self._has_rows = not target.capabilities.takes_message_ids or target.capabilities.replies_late
        self._bound: set[str] = set()
        self.accepted: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
        self._growing: Growing | None = None

    async def run(self, following: Following) -> None:
        """The whole way. Errors before acceptance go to `accepted`; later ones end in the rows."""
        messages = self._context.store.messages
        ids = (self._context.organization.id, *self._target.key, self._new.id)
        try:
            with messages.announced(*ids, self._detail):
                iterator = await self._until_accepted(following)
            if iterator is not None:
                await self._follow(iterator, following)
        except asyncio.CancelledError:
            self._refuse(
                OutcomeUnknown("The gateway is shutting down. Read the chat again.", source_id=self._target.source.id)
            )
            raise
        except (GatewayError, Overtaken) as error:
            self._refuse(error)
        except Exception as error:
            self._refuse(error)
            raise
        finally:
            abandon(self._context, self._intent)

    async def resume(self, following: Following) -> None:
        """Follow a reply that is being written, and that nobody follows."""
        await self._announce("")
        await self._follow(self._resumed(Progress(None, following.latest)), following)

    def _refuse(self, error: Exception) -> None:
        if not self.accepted.done():
            self.accepted.set_exception(error)
            self.accepted.exception()  # the sender may be gone

    async def _until_accepted(self, following: Following) -> AsyncIterator[Progress] | None:
        context, target = self._context, self._target
        is_late = target.capabilities.replies_late
        async with context.gateway.locks.hold((context.organization.id, *target.key)):
            await self._place()
            opened = await open_intent(context, self._intent, self._commit_pending if self._has_rows else None)
            self._intent = replace(opened, newest_known=self._intent.newest_known)
            if is_late:
                await self._announce("")
                self._accept(Started(self._pending_message(), self._pending_reply()))
            iterator = self._begin()
            try:
                first = await anext(iterator)
            except UpstreamError as error:
                first, iterator = await self._after_failure(error)
            except GatewayError:
                await self._give_up(MessageState.FAILED, IntentState.FAILED)
                raise
            except Exception:  # a fault of our own says nothing about what the source did
                await self._give_up(MessageState.PENDING, IntentState.UNKNOWN)
                raise
            if is_late and first.reply is not None:
                self._say(replace(first.reply, native_id=self._new.reply_id))  # all of it in one piece
            first = await self._commit(first, IntentState.DONE)
        self._accept(Started(first.message, first.reply))
        following.latest = first.reply
        if first.reply is None or first.reply.state.is_final:
            await iterator.aclose()  # type: ignore[attr-defined]  # every connector's is an async generator
            return None
        if not is_late:
            await self._announce(first.reply.text)
        return iterator

    def _begin(self) -> AsyncIterator[Progress]:
        if self._answers_again is None:
            return self._target.live.send_message(self._new)
        return self._target.live.regenerate(
            self._target.chat_id, self._answers_again, reply_id=self._new.reply_id, model=self._new.model
        )

    def _accept(self, started: Started) -> None:
        if not self.accepted.done():
            self.accepted.set_result(started)

    async def _place(self) -> None:
        """Find the message to follow: the newest of the active path unless the sender named one. It is also where a look-up begins."""
        if self._answers_again is not None:
            return
        if not self._target.capabilities.can(Capability.LIST_MESSAGES):
            await self._place_unseen()
            return
        read = await read_messages(self._context, self._target, _NEWEST)
        if read is None:
            raise not_found("chat", global_chat_id(*self._target.key), ("chatId",))
        newest = await newest_at_source(self._context, self._target, read)
        if self._new.parent_id is None:
            self._new = replace(self._new, parent_id=newest)
        elif read.is_complete and self._new.parent_id not in by_id(read.messages):
            missing = message_id(*self._target.key, self._new.parent_id)
            raise not_found("message of this chat", missing, ("parentId",))
        self._intent = replace(self._intent, newest_known=newest)

    async def _place_unseen(self) -> None:
        """At a source that may be written to and not read: behind what the mirror knows, which is what was written from here."""
        newest = await self._context.store.messages.newest_id(self._context.organization.id, *self._target.key)
        self._new = replace(self._new, parent_id=self._new.parent_id or newest)
        self._intent = replace(self._intent, newest_known=newest)

    async def _after_failure(self, error: UpstreamError) -> tuple[Progress, AsyncIterator[Progress]]:
        if not error.perhaps_executed:
            await self._give_up(MessageState.FAILED, IntentState.FAILED)
            raise error
        found, is_certain = await self._look_up()
        if found is None and is_certain and self._may_send_again():
            iterator = self._begin()
            try:
                return await anext(iterator), iterator
            except GatewayError as second:  # of whatever kind: the first request may still arrive
                found, _ = await self._look_up()
                error.__context__ = second
        if found is None:
            await self._give_up(MessageState.PENDING, IntentState.UNKNOWN)
            raise OutcomeUnknown(
                f"{self._target.source.key}: sending a message {why_unknown(error)}, and the message is not to be seen there (yet). "
                "Read the chat before you send it again; it shows up by itself if it was accepted.",
                source_id=self._target.source.id,
                retry_after_seconds=5,
            ) from error
        return found, self._resumed(found)

    def _may_send_again(self) -> bool:
        return self._answers_again is None and self._target.capabilities.absence_proves_not_sent

    async def _look_up(self) -> tuple[Progress | None, bool]:
        """Our message and the reply to it in a fresh reading, None when they are not there; and whether the reading could tell."""
        try:
            read = await read_messages(self._context, self._target, _AFTER_OURS)
        except GatewayError:
            return None, False
        if read is None:
            return None, False
        shown = by_id(read.messages)
        message, reply = shown.get(self._new.id), shown.get(self._new.reply_id)
        if reply is not None and not await is_at_source(self._context, self._target, reply):
            reply = None
        if self._answers_again is not None:
            return (Progress(None, reply) if reply is not None else None), read.is_complete
        if message is None or message.state is MessageState.PENDING:
            return None, read.is_complete
        return Progress(message, reply), True

    async def _resumed(self, found: Progress) -> AsyncIterator[Progress]:
        if found.reply is None or found.reply.state.is_final:
            return
        native_id = await native_message_id(self._context, self._target, found.reply.native_id)
        async for reply in self._target.live.follow_reply(self._target.chat_id, native_id):
            yield Progress(found.message, reply)

    async def _follow(self, iterator: AsyncIterator[Progress], following: Following) -> None:
        is_over = False
        try:
            async for told in iterator:
                progress = await self._under_our_ids(told)
                reply = progress.reply
                if reply is None:
                    continue
                following.latest = reply
                self._say(reply)
                if reply.state.is_final:
                    await self._commit(progress, None)
                    is_over = True
                    return
        except GatewayError:
            # The row stays STREAMING; whoever looks after such rows, or the next reading, settles it.
            return
        finally:
            if self._growing is not None:
                await self._growing.close(is_over=is_over)

    def _say(self, reply: Message) -> None:
        if self._growing is not None:
            self._growing.say(reply)

    async def _announce(self, text: str) -> None:
        """The reply's row is committed, with this text: its words come behind the line of the log that says so."""
        organization_id, source_id, chat_id = (
            self._context.organization.id,
            self._target.source.id,
            self._target.chat_id,
        )
        after_seq = await self._context.store.events.last_of_message(
            organization_id, source_id, chat_id, self._new.reply_id
        )
        speaker = f"{self._context.gateway.presence.own}/{uuid.uuid4().hex}"
        self._growing = Growing(self._context, speaker=speaker, after_seq=after_seq, text=text)

    async def _commit(self, progress: Progress, state: IntentState | None) -> Progress:
        """Mirror, events and result in one transaction; what was committed."""
        progress = await self._under_our_ids(progress)

        async def unit(tx: Transaction) -> None:
            rows = [row for row in (progress.message, progress.reply) if row is not None]
            await self._observe(tx, rows, are_new=state is not None)

        if state is None:
            await self._context.store.database.write(unit)
            return progress
        result = {"message_id": self._new.id, "reply_id": progress.reply.native_id if progress.reply else None}
        await finish(self._context, self._intent, state, result, unit)
        return progress

    async def _under_our_ids(self, progress: Progress) -> Progress:
        """Bind the ids that the source gave to those that clients know already."""
        if self._target.capabilities.takes_message_ids:
            return progress
        bound: list[tuple[str, str]] = []
        message, reply = progress.message, progress.reply
        if message is not None and message.native_id != self._new.id:
            bound.append((self._new.id, message.native_id))
            message = replace(message, native_id=self._new.id, parent_id=self._new.parent_id)
        if reply is not None and reply.native_id != self._new.reply_id:
            bound.append((self._new.reply_id, reply.native_id))
            reply = replace(reply, native_id=self._new.reply_id, parent_id=self._new.id)
        bound = [pair for pair in bound if pair[1] not in self._bound]

        async def unit(tx: Transaction) -> None:
            for public, native in bound:
                await self._context.store.messages.bind(
                    tx, self._context.organization.id, self._target.source.id, self._target.chat_id, public, native
                )

        if bound:
            await self._context.store.database.write(unit)
            self._bound.update(native for _, native in bound)
        # A message whose own id is not told yet stays PENDING: so the next reading recognises it, and does not take it for deleted.
        return Progress(message, reply)

    async def _commit_pending(self, tx: Transaction, opened: Intent) -> None:
        """The rows in advance, in place of those of an attempt under the same key that failed."""
        if opened.supersedes:
            organization_id, at = self._context.organization.id, self._context.now()
            await self._context.store.messages.remove(tx, organization_id, *self._target.key, opened.supersedes, at)
        rows = [] if self._answers_again is not None else [self._pending_message()]
        if (reply := self._pending_reply()) is not None:
            rows.append(reply)
        await self._observe(tx, rows)

    async def _give_up(self, state: MessageState, intent: IntentState) -> None:
        """Nothing was done (FAILED: rows made in advance say so), or nobody can tell (PENDING: the row stays for the next readings)."""
        message, reply = self._pending_message(state), self._pending_reply(state)
        rows = [message, reply] if reply is not None else [message]

        async def unit(tx: Transaction) -> None:
            if self._answers_again is not None:
                await self._observe(tx, [row for row in rows[1:] if self._has_rows])
            elif self._has_rows or state is MessageState.PENDING:
                await self._observe(tx, rows)

        await finish(self._context, self._intent, intent, {"message_id": self._new.id}, unit)

    async def _observe(self, tx: Transaction, rows: list[Message], *, are_new: bool = True) -> None:
        """Write our rows. New ones are the end of the chat, whose active path they continue; a reply in it is followed by this process."""
        if not rows:
            return
        await self._context.store.messages.observe(
            tx,
            MessagesSeen(
                organization_id=self._context.organization.id,
                source_id=self._target.source.id,
                chat_id=self._target.chat_id,
                messages=rows,
                started_at=self._context.now(),
                is_whole=False,
                includes_newest=are_new,
                active_leaf=rows[-1].native_id if are_new else None,
                is_own_write=True,
            ),
        )
        if rows[-1].state is MessageState.STREAMING:
            await self._context.store.followers.take(
                tx, self._context.organization.id, rows[-1].key, self._context.gateway.presence.own
            )

    def _pending_message(self, state: MessageState = MessageState.PENDING) -> Message:
        return Message(
            organization_id=self._context.organization.id,
            source_id=self._target.source.id,
            chat_id=self._target.chat_id,
            native_id=self._new.id,
            role=self._new.role,
            text=self._new.text,
            state=state,
            parent_id=self._new.parent_id,
            created_at=self._intent.created_at,
            metadata=self._new.metadata,
            attachments=self._new.attachments,
        )

    def _pending_reply(self, state: MessageState = MessageState.STREAMING) -> Message | None:
        if not self._new.wants_reply:
            return None
        return Message(
            organization_id=self._context.organization.id,
            source_id=self._target.source.id,
            chat_id=self._target.chat_id,
            native_id=self._new.reply_id,
            role=MessageRole.ASSISTANT,
            state=state,
            author=Agent(),
            parent_id=self._new.id,
            created_at=self._intent.created_at,
        )


def follow_again(context: Context, target: ChatTarget, reply: Message) -> None:
    """Follow a reply of ours that its source still writes, and that whoever began it follows no more."""
    new = NewMessage(
        id=reply.parent_id or "",
        reply_id=reply.native_id,
        chat_id=target.chat_id,
        role=MessageRole.USER,
        text="",
        parent_id=None,
    )
    intent = new_intent(context, "sendMessage", None, [])
    exchange = Exchange(context, target, new, intent, answers_again=reply.native_id)

    async def run(following: Following) -> None:
        following.latest = reply
        await exchange.resume(following)

    context.gateway.replies.follow((*target.key, reply.native_id), run)
