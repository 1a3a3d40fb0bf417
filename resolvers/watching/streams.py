"""Follows a source's own streams, and opens each again whenever it ends.

closed ──open──▶ waiting ──`StreamOpened`──▶ open ──the vendor closes it, or it breaks──▶ closed, a moment later once more
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import cast

from domain.errors import GatewayError, UpstreamError
from domain.source import ChatSource, Notice, StreamOpened
from resolvers.watching.clock import WatchClock
from resolvers.watching.pace import Pace
from resolvers.watching.tuning import WatchTuning

_log = logging.getLogger(__name__)


class Stream:
    """One stream: of a chat, or (None) of a whole source. `heard` gets every notice; `ended` is called each time when an open one ends."""

    def __init__(
        self,
        live: ChatSource,
        chat_id: str | None,
        *,
        heard: Callable[[Notice], Awaitable[None]],
        ended: Callable[[], None],
        clock: WatchClock,
        tuning: WatchTuning,
    ) -> None:
        self._live = live
        self._chat_id = chat_id
        self._heard = heard
        self._ended = ended
        self._clock = clock
        self._pace = Pace(tuning.poll_seconds_min, tuning.poll_seconds_max)
        self._failures = 0
        self.is_open = False
        self._task = asyncio.create_task(self._follow(), name=f"stream of {live.source.key}")

    async def aclose(self) -> None:
        """Leave it."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _follow(self) -> None:
        while True:
            seconds = await self._follow_once()
            if self.is_open:
                self.is_open = False
                self._ended()
            await self._clock.sleep(seconds)

    async def _follow_once(self) -> float:
        """Until it ends; how long to wait before it is opened again."""
        try:
            await self._listen()
        except GatewayError as error:
            self._failures += 1
            asked = error.retry_after_seconds if isinstance(error, UpstreamError) else None
            return max(asked or 0.0, self._pace.after_failures(self._failures, self._clock.random()))
        except Exception:  # a fault of ours must not end the stream for good, nor pass unseen
            self._failures += 1
            _log.exception("%s: its stream could not be followed. It is opened again.", self._live.source.key)
        else:
            # One that ends without having been opened is a failure, too.
            self._failures = 0 if self.is_open else self._failures + 1
        return self._pace.after_failures(self._failures, self._clock.random())

    async def _listen(self) -> None:
        notices = cast(AsyncGenerator[Notice, None], self._live.watch(self._chat_id))
        async with aclosing(notices) as stream:
            async for notice in stream:
                if isinstance(notice, StreamOpened):
                    self.is_open = True
                    self._failures = 0
                await self._heard(notice)


class Streams:
    """The streams of one source by chat (None: the one of the source). `heard` gets each notice, `ended` the end of each, with its chat."""

    def __init__(
        self,
        *,
        heard: Callable[[str | None, Notice], Awaitable[None]],
        ended: Callable[[str | None], None],
        clock: WatchClock,
        tuning: WatchTuning,
    ) -> None:
        self._heard = heard
        self._ended = ended
        self._clock = clock
        self._tuning = tuning
        self._streams: dict[str | None, Stream] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def follow(self, live: ChatSource, wanted: Sequence[str | None]) -> None:
        """Have exactly these, as far as there may be so many; the first ones go first."""
        for chat_id in [one for one in self._streams if one not in wanted]:
            self._leave(chat_id)
        for chat_id in wanted:
            if chat_id not in self._streams and len(self._streams) < self._tuning.streams_per_source:
                self._streams[chat_id] = Stream(
                    live,
                    chat_id,
                    heard=partial(self._heard, chat_id),
                    ended=partial(self._ended, chat_id),
                    clock=self._clock,
                    tuning=self._tuning,
                )

    def is_open(self, chat_id: str | None) -> bool:
        """Whether one tells what happens now."""
        stream = self._streams.get(chat_id)
        return stream is not None and stream.is_open

    def leave_all(self) -> "set[asyncio.Task[None]]":
        """Leave every stream; done when these are."""
        for chat_id in list(self._streams):
            self._leave(chat_id)
        return self._leaving

    def _leave(self, chat_id: str | None) -> None:
        task = asyncio.create_task(self._streams.pop(chat_id).aclose())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
