"""Several event streams at once, heard in the order in which they speak."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.errors import GatewayError
from upstreams.client import UpstreamClient
from upstreams.clock import Clock
from upstreams.requests import Request
from upstreams.splox.streaming import frames_of

_MOST_WAITING = 1000


@dataclass(frozen=True, slots=True)
class Heard:
    """A frame of the stream of `operation`; None: that stream ended, or could not be opened."""

    operation: str
    frame: Mapping[str, Any] | None


class Ears:
    """Listens until it is closed. A stream that is heard slower than it speaks is held up; nothing is dropped."""

    def __init__(self, client: UpstreamClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._heard: asyncio.Queue[Heard] = asyncio.Queue(_MOST_WAITING)
        self._streams: list[asyncio.Task[None]] = []

    async def open(self, request: Request, *, within_seconds: float) -> bool:
        """Begin to listen, and wait until the stream is open. False: it is not, or not yet."""
        opened = asyncio.Event()
        stream = self._begin(request, opened)
        waiting = asyncio.ensure_future(opened.wait())
        try:
            await asyncio.wait({stream, waiting}, timeout=within_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        return opened.is_set()

    def begin(self, request: Request) -> None:
        """Begin to listen, without waiting."""
        self._begin(request, asyncio.Event())

    async def next(self, *, within_seconds: float) -> Heard | None:
        """What is heard next, None when there is nothing for so long."""
        if not self._heard.empty():
            return self._heard.get_nowait()
        hearing = asyncio.ensure_future(self._heard.get())
        patience = asyncio.ensure_future(self._clock.sleep(within_seconds))
        try:
            await asyncio.wait({hearing, patience}, return_when=asyncio.FIRST_COMPLETED)
            return hearing.result() if hearing.done() else None
        finally:
            hearing.cancel()
            patience.cancel()

    async def aclose(self) -> None:
        """Listen no more."""
        for stream in self._streams:
            stream.cancel()
        await asyncio.gather(*self._streams, return_exceptions=True)

    def _begin(self, request: Request, opened: asyncio.Event) -> "asyncio.Task[None]":
        stream = asyncio.ensure_future(self._listen(request, opened))
        self._streams.append(stream)
        return stream

    async def _listen(self, request: Request, opened: asyncio.Event) -> None:
        try:
            async with frames_of(self._client, request) as frames:
                opened.set()
                async for frame in frames:
                    await self._heard.put(Heard(request.operation, frame))
        except GatewayError:
            # A stream is one of two ways to hear of a run; whoever listens asks for its state instead.
            pass
        await self._heard.put(Heard(request.operation, None))
