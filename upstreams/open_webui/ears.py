"""What a follower of one reply hears of it: from the source's stream where that is open or can be opened, else nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
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

    async def ready(self) -> None:
        """Wait until it is open, or known to stay closed: what is said before that may be missed."""

    async def next(self, *, within_seconds: float) -> Notice | None:
        """What is told about the chat next; None when there is nothing for so long."""


class DeafEar:
    """Hears nothing, and lets the time pass."""

    is_open = False

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def ready(self) -> None:
        """It is what it is."""

    async def next(self, *, within_seconds: float) -> Notice | None:
        """Nothing, after so long."""
        await self._clock.sleep(within_seconds)
        return None


class OpenEar:
    """Hears what the stream tells about one chat, until the stream ends: from then on nothing."""

    def __init__(self, listener: Listener, chat_id: str, clock: Clock, *, give_up: Callable[[], None]) -> None:
        self._listener = listener
        self._chat_id = chat_id
        self._clock = clock
        self._give_up = give_up
        self.is_open = False

    async def ready(self) -> None:
        """Wait for the first notice, which says that the stream is open."""
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                self.is_open = await self._listener.next() is not None
        except (GatewayError, TimeoutError):
            self.is_open = False
        if not self.is_open:
            self._give_up()

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
    async def on(self, chat_id: str | None) -> AsyncIterator[Ear]:
        """Begin to listen for a chat, until the block ends: see `Ear.ready`. None, or nothing that can be heard: a deaf ear."""
        if chat_id is None or self._live is None or self._clock.monotonic() < self._given_up_until:
            yield DeafEar(self._clock)
            return
        async with self._live.listening() as listener:
            yield OpenEar(listener, chat_id, self._clock, give_up=self._give_up)

    def _give_up(self) -> None:
        self._given_up_until = self._clock.monotonic() + _GIVEN_UP_SECONDS
