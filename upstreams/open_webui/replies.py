"""Following a reply that is being written: its words by the server's stream where that is open, else by reading its chat again and again.

    completion accepted ──▶ read the chat ──▶ … the text grows … ──▶ COMPLETE | FAILED | CANCELLED
                                 ▲ after 0.15 s while it grows, up to `reply_poll_seconds` while it does not;
                                   where the stream tells its words: when it says that something else happened, and every 5 s

What is final is what a reading shows. A stream that tells nothing of the reply, because it was joined in the middle or has ended, changes nothing
about the readings.

A reply that stays silent is looked for among the chat's tasks: when there is none and the reply is still not done, nobody writes it
any more, for example because the server was started anew, and it is FAILED.
"""

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

from domain.errors import NotFound, UpstreamError, UpstreamTimeout
from domain.records import Message, MessageState, Source
from domain.source import ChatTouched, ReplyGrew
from upstreams.clock import Clock
from upstreams.open_webui.ears import Ear
from upstreams.open_webui.reading import FullChat

_FIRST_PAUSE_SECONDS = 0.15
_SILENCE_SECONDS = 5.0
_TOLD_PAUSE_SECONDS = 5.0
_MOST_MISSES = 8


class Follower:
    """Follows one reply. `read` gives the chat's messages, `is_running` whether any task of the chat is under way, `ear` hears of the chat."""

    def __init__(
        self,
        source: Source,
        clock: Clock,
        *,
        read: Callable[[], Awaitable[FullChat]],
        is_running: Callable[[], Awaitable[bool]],
        ear: Ear,
        longest_pause_seconds: float,
        timeout_seconds: float,
    ) -> None:
        self._source = source
        self._clock = clock
        self._read = read
        self._is_running = is_running
        self._ear = ear
        self._is_told = False
        self._last: Message | None = None
        self._pause = _FIRST_PAUSE_SECONDS
        self._longest_pause = longest_pause_seconds
        self._deadline = clock.monotonic() + timeout_seconds
        self._changed_at = clock.monotonic()
        self._is_abandoned = False

    async def follow(self, reply_id: str) -> AsyncGenerator[dict[str, Message], None]:
        """All messages of the chat, each time the reply has changed; the last time it is final."""
        async with aclosing(self._readings(reply_id)) as readings:
            async for known in readings:
                before, reply = self._last, self._taken(known[reply_id])
                if reply != before:
                    yield {**known, reply_id: reply}
                if reply.state.is_final:
                    return
                await self._look_for_task()
                self._check_deadline()
                async with aclosing(self._growths(reply)) as growths:
                    async for grown in growths:
                        yield {**known, reply_id: grown}

    def _taken(self, reply: Message) -> Message:
        """What a reading says, in the light of what is known; it is the last thing that is known of the reply."""
        if not reply.state.is_final:
            reply = replace(reply, state=MessageState.FAILED) if self._is_abandoned else _no_shorter(reply, self._last)
        if reply != self._last:
            self._changed_at, self._pause = self._clock.monotonic(), _FIRST_PAUSE_SECONDS
        self._last = reply
        return reply

    async def _growths(self, reply: Message) -> AsyncGenerator[Message, None]:
        """The reply with all words so far, each time that the stream tells more of them, until it is time to read again."""
        is_told = self._ear.is_open and (self._is_told or not reply.text)
        begun = self._clock.monotonic()
        wait = _TOLD_PAUSE_SECONDS if is_told else self._pause
        self._pause = min(self._pause * 1.5, max(self._longest_pause, _FIRST_PAUSE_SECONDS))
        until, touched_until = begun + wait, math.inf
        while wait > 0:
            notice = await self._ear.next(within_seconds=wait)
            self._is_told = self._is_told and self._ear.is_open
            if notice is None:
                return
            if isinstance(notice, ChatTouched):
                # Not at once: a server that touches again and again is not read faster for it.
                touched_until = begun + _FIRST_PAUSE_SECONDS
            elif isinstance(notice, ReplyGrew) and _is_more(notice.reply, reply):
                reply = self._last = replace(reply, text=notice.reply.text)
                self._is_told, self._changed_at = True, self._clock.monotonic()
                until = self._changed_at + _TOLD_PAUSE_SECONDS
                yield reply
                self._check_deadline()
            wait = min(until, touched_until) - self._clock.monotonic()

    async def _readings(self, reply_id: str) -> AsyncGenerator[dict[str, Message], None]:
        """Readings that show the reply. A few that fail or do not show it yet are borne."""
        misses = 0
        while True:
            try:
                known = (await self._read()).messages
                if reply_id not in known:
                    raise NotFound(
                        "The reply is not in its chat (any more). Read the messages again.", missing_id=reply_id
                    )
            except (UpstreamError, NotFound) as error:
                misses += 1
                can_pass = isinstance(error, NotFound) or error.retryable
                if misses > _MOST_MISSES or not can_pass:
                    raise
                self._check_deadline()
                asked = error.retry_after_seconds if isinstance(error, UpstreamError) else None
                await self._clock.sleep(max(asked or 0.0, _FIRST_PAUSE_SECONDS * misses))
                continue
            misses = 0
            yield known

    async def _look_for_task(self) -> None:
        if self._clock.monotonic() - self._changed_at < _SILENCE_SECONDS:
            return
        self._changed_at = self._clock.monotonic()
        try:
            self._is_abandoned = not await self._is_running()
        except UpstreamError:
            self._is_abandoned = False

    def _check_deadline(self) -> None:
        if self._clock.monotonic() >= self._deadline:
            raise UpstreamTimeout(
                f"{self._source.key}: the reply was not finished within the option `reply_timeout_seconds`. Read the message later.",
                source_id=self._source.id,
                operation="follow_reply",
            )


def _is_more(told: Message, known: Message) -> bool:
    """Whether the stream says more of the reply, or something else, than is known of it."""
    return told.native_id == known.native_id and not known.text.startswith(told.text)


def _no_shorter(reply: Message, last: Message | None) -> Message:
    """A reading may be older than what the stream has told already."""
    is_behind = last is not None and len(last.text) > len(reply.text) and last.text.startswith(reply.text)
    return replace(reply, text=last.text) if last is not None and is_behind else reply
