"""Hands on the words of answers that a source's own stream tells, for rows that are being written and that no `Exchange` of ours follows.

The row itself comes by reading. Words of a row that is not known yet, or has ended, are left out: the reading that shows the row has its text.
"""

from collections import OrderedDict
from dataclasses import dataclass

from domain.records import Delta, Message, MessageState
from resolvers.context import Context
from resolvers.spoken import Growth
from storage.database import Transaction

_MOST = 1000
_SAVE_EVERY_SECONDS = 0.25
_SAVE_CHARACTERS = 4096


@dataclass(slots=True)
class _Growing:
    public_id: str
    after_seq: int
    text: str
    saved: str
    saved_at: float


class ForeignWords:
    """The answers of one source that grow by somebody else's doing."""

    def __init__(self) -> None:
        self._growing: OrderedDict[tuple[str, str], _Growing] = OrderedDict()

    def __len__(self) -> int:
        return len(self._growing)

    async def heard(self, context: Context, reply: Message, now: float) -> bool:
        """An answer has these words by now. False: its row is not there, or says otherwise; a reading of the chat tells more."""
        key = (reply.chat_id, reply.native_id)
        growing = self._growing.get(key) or await self._begin(context, reply, now)
        place = (reply.source_id, reply.chat_id, growing.public_id)
        if context.gateway.replies.get(place) is not None:
            return True  # its own follower tells them
        row = await context.store.messages.get(context.organization.id, *place)
        if row is None or row.state is not MessageState.STREAMING or reply.state.is_final:
            self._growing.pop(key, None)
            return False
        if key not in self._growing:
            growing.after_seq = await context.store.events.last_of_message(context.organization.id, *place)
            growing.text = growing.saved = row.text
            self._growing[key] = growing
            while len(self._growing) > _MOST:
                self._growing.popitem(last=False)
        self._say(context, reply, growing)
        await self._save(context, place, growing, now)
        return True

    async def _begin(self, context: Context, reply: Message, now: float) -> _Growing:
        aliases = await context.store.messages.aliases(context.organization.id, reply.source_id, reply.chat_id)
        return _Growing(aliases.get(reply.native_id, reply.native_id), 0, "", "", now)

    def _say(self, context: Context, reply: Message, growing: _Growing) -> None:
        if reply.text == growing.text:
            return
        delta = Delta(
            organization_id=context.organization.id,
            source_id=reply.source_id,
            chat_id=reply.chat_id,
            message_id=growing.public_id,
            after_seq=growing.after_seq,
            offset=0,
            text=reply.text,
            occurred_at=context.now(),
        )
        growing.text = reply.text
        context.gateway.feed.grew(Growth(delta, reply.text, f"{context.gateway.presence.own}/{reply.source_id}"))

    async def _save(self, context: Context, place: tuple[int, str, str], growing: _Growing, now: float) -> None:
        is_due = now - growing.saved_at >= _SAVE_EVERY_SECONDS
        if growing.text == growing.saved or not (
            is_due or abs(len(growing.text) - len(growing.saved)) >= _SAVE_CHARACTERS
        ):
            return
        growing.saved, growing.saved_at = growing.text, now

        async def unit(tx: Transaction) -> None:
            await context.store.messages.save_text(tx, context.organization.id, *place, growing.saved)

        await context.store.database.write(unit)
