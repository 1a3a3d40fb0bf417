"""The words of one reply that this process follows: told to listeners at once, saved now and then, so that a late reader has them too.

    words ──▶ feed, at once
      └─────▶ saved: the first at once, then at most every 250 ms, or when 4 KB more have come ──end──▶ the final text is logged elsewhere

Saving makes no event, and waits for nobody: a slow disk does not hold up the words.
"""

import asyncio
import logging
from contextlib import suppress

from domain.records import Delta, Message
from resolvers.context import Context
from resolvers.spoken import Growth
from storage.database import Transaction

_SAVE_SECONDS = 0.25
_SAVE_BYTES = 4096
_log = logging.getLogger(__name__)


class Growing:
    """One reply. `after_seq`: the newest line of the log when it was announced; its words come behind that. Close it in the end."""

    def __init__(self, context: Context, *, speaker: str, after_seq: int, text: str = "") -> None:
        self._context = context
        self._speaker = speaker
        self._after_seq = after_seq
        self._text = text
        self._reply: Message | None = None
        self._unsaved_bytes = 0
        self._has_news = asyncio.Event()
        self._has_much = asyncio.Event()
        self._saver: asyncio.Task[None] | None = None

    def say(self, reply: Message) -> None:
        """The reply has this text by now. The same again is nothing."""
        if reply.text == self._text:
            return
        known, self._text, self._reply = self._text, reply.text, reply
        new = reply.text[len(known) :] if reply.text.startswith(known) else reply.text
        self._unsaved_bytes += len(new.encode("utf-8", "surrogatepass"))
        self._tell(reply)
        if not reply.state.is_final:  # its text is about to be committed
            self._save_soon()

    async def close(self, *, is_over: bool) -> None:
        """Nothing more comes. Unless it is over, what there is is saved, for whoever goes on."""
        if self._saver is not None:
            self._saver.cancel()
            await asyncio.wait([self._saver])
        if is_over:
            return
        self._context.gateway.feed.fell_silent(self._speaker)
        await self._save()

    def _tell(self, reply: Message) -> None:
        delta = Delta(
            organization_id=self._context.organization.id,
            source_id=reply.source_id,
            chat_id=reply.chat_id,
            message_id=reply.native_id,
            after_seq=self._after_seq,
            offset=0,
            text=reply.text,
            occurred_at=self._context.now(),
        )
        self._context.gateway.feed.grew(Growth(delta, reply.text, self._speaker))

    def _save_soon(self) -> None:
        self._has_news.set()
        if self._unsaved_bytes >= _SAVE_BYTES:
            self._has_much.set()
        if self._saver is None:
            self._saver = asyncio.create_task(self._save_now_and_then(), name="saving a reply")
            self._saver.add_done_callback(_report)

    async def _save_now_and_then(self) -> None:
        while True:
            await self._has_news.wait()
            await self._save()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_much.wait(), _SAVE_SECONDS)

    async def _save(self) -> None:
        reply, self._unsaved_bytes = self._reply, 0
        self._has_news.clear()
        self._has_much.clear()
        if reply is None:
            return

        async def unit(tx: Transaction) -> None:
            await self._context.store.messages.save_text(tx, self._context.organization.id, *reply.key, reply.text)

        await self._context.store.database.write(unit)


def _report(saver: "asyncio.Task[None]") -> None:
    """Words that cannot be saved are still told, and the end is committed apart."""
    if not saver.cancelled() and (error := saver.exception()) is not None:
        _log.error("the words of a reply could not be saved", exc_info=error)
