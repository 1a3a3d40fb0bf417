"""What a follower of one reply hears of it: from the source's stream where that is open or can be opened, else nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from domain.errors import GatewayError
from domain.source import ChatTouched, Notice, ReplyGrew
from upstreams.clock import Clock
from upstreams.open_webui.live import Listener, Live

_OPEN_SECONDS = 3.0
_GIVEN_UP_SECONDS = 60.0
"""A stream that could not be opened is not tried for each message anew."""


class Ear(Protocol):
    """Who listens for one chat."""

    @property
    def is_open(self) -> bool:
        """Whether something can be heard."""

    async def next(self, *, within_seconds: float) -> Notice | None:
        """What is told about the chat next; None when there is nothing for so long."""


class DeafEar:
    """Hears nothing, and lets the time pass."""

    is_open = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def next(self, *, within_seconds: float) -> Notice | None:
        """Nothing, after so long."""
        await self._clock.sleep(within_seconds)
        return None


class OpenEar:
    """Hears what the stream tells about one chat, until the stream ends: from then on nothing."""

    def __init__(self, listener: Listener, chat_id: str, clock: Clock) -> None:
        self._listener = listener
        self._chat_id = chat_id
        self._clock = clock
        self.is_open = True

    async def next(self, *, within_seconds: float) -> Notice | None:
        """What is told about the chat next."""
        patience = asyncio.ensure_future(self._clock.sleep(within_seconds))
        try:
            while self.is_open:
                notice = await self._before(patience)
                if notice is None or self._is_mine(notice):
                    return notice
            await patience
            return None
        finally:
            patience.cancel()

    async def _before(self, patience: "asyncio.Future[None]") -> Notice | None:
        hearing = asyncio.ensure_future(self._listener.next())
        waited: list[asyncio.Future[Any]] = [hearing, patience]
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not hearing.done():
                return None
            notice = hearing.result()
        except GatewayError:
            notice = None
        finally:
            hearing.cancel()
        self.is_open = notice is not None
        return notice

    def _is_mine(self, notice: Notice) -> bool:
        if isinstance(notice, ReplyGrew):
            return notice.reply.chat_id == self._chat_id
        return isinstance(notice, ChatTouched) and notice.chat_id == self._chat_id


class Ears:
    """Gives out ears. `live` None: the credentials open no stream."""

    def __init__(self, live: Live | None, clock: Clock) -> None:
        self._live = live
        self._clock = clock
        self._given_up_until = 0.0

    @asynccontextmanager
    async def on(self, chat_id: str) -> AsyncIterator[Ear]:
        """Listen for a chat until the block ends; a deaf ear where nothing can be heard."""
        if self._live is None or self._clock.monotonic() < self._given_up_until:
            yield DeafEar(self._clock)
            return
        async with self._live.listening() as listener:
            if await self._is_open(listener):
                yield OpenEar(listener, chat_id, self._clock)
                return
        self._given_up_until = self._clock.monotonic() + _GIVEN_UP_SECONDS
        yield DeafEar(self._clock)

    async def _is_open(self, listener: Listener) -> bool:
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                return await listener.next() is not None
        except (GatewayError, TimeoutError):
            return False
