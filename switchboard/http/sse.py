"""Server-sent events: `graphql-sse`'s distinct connections mode (PROTOCOL.md, read 2026-11) and the HTML standard's section 9.2.

`event: next` carries one response, `event: complete` ends the operation. `id:` is the cursor of the event, which a
browser's EventSource sends back as `Last-Event-ID`. A stream that ends *without* `complete` was cut by the gateway: it
goes away, the credential ended, or the reader was too slow; the client reconnects with the last id it has processed.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from engine.execution import Subscription
from engine.requests import Delivery, Response
from switchboard.http.body import ClientGone, Receive
from switchboard.http.disconnect import settle, until_gone, wait_for_disconnect
from switchboard.http.draining import Draining
from switchboard.http.exchange import Exchange
from switchboard.http.negotiation import Form
from switchboard.http.session import Session
from switchboard.http.settings import TransportSettings

EventId = Callable[[Any], str | None]
"""The cursor of an event of a source stream, None where it has none."""

_HEADERS = [
    (b"content-type", Form.EVENT_STREAM.content_type),
    # A proxy that buffers would hold events back (nginx).
    (b"x-accel-buffering", b"no"),
]
_COMMENT = b":\n\n"
# Browsers' EventSource dispatches nothing without a `data` field.
_COMPLETE = b"event: complete\ndata:\n\n"


class EventStreams:
    """Writes operations as streams of events."""

    def __init__(self, settings: TransportSettings, draining: Draining, event_id: EventId) -> None:
        self._settings = settings
        self._draining = draining
        self._event_id = event_id

    async def single(self, response: Response, exchange: Exchange) -> None:
        """The one response of a query, a mutation or a refused document."""
        await exchange.start(200, _HEADERS, next_event(response, None) + _COMPLETE)

    async def subscription(
        self,
        starting: Coroutine[Any, Any, Subscription | Response],
        session: Session,
        receive: Receive,
        exchange: Exchange,
    ) -> None:
        """All deliveries of a subscription, until it ends or one of the two sides goes."""
        started = await until_gone(starting, receive, after_seconds=self._settings.watch_after_seconds)
        if isinstance(started, Response):
            await self.single(started, exchange)
            return
        try:
            await exchange.start(200, _HEADERS, _COMMENT, more=True)
            await self._stream(started, session, receive, exchange)
        finally:
            await started.aclose()

    async def _stream(self, subscription: Subscription, session: Session, receive: Receive, exchange: Exchange) -> None:
        pump = asyncio.create_task(self._pump(subscription, exchange))
        endings = {
            asyncio.create_task(wait_for_disconnect(receive)): None,
            asyncio.create_task(session.ended()): b": the credential ended; reconnect with a new one\n\n",
            asyncio.create_task(self._draining.wait()): b": the gateway goes away; reconnect\n\n",
        }
        try:
            ended = await self._wait(pump, set(endings), exchange)
            if ended is pump:
                pump.result()
                return
            # A watch that broke is our fault and is logged as such; the stream ends all the same.
            ended.result()
            farewell = endings[ended]
            if farewell is None:
                raise ClientGone
            pump.cancel()
            await settle(pump)
            await self._write(exchange, farewell, more=False)
        finally:
            for task in (pump, *endings):
                task.cancel()
            for task in (pump, *endings):
                await settle(task)

    async def _wait(
        self, pump: asyncio.Task[None], endings: set[asyncio.Task[None]], exchange: Exchange
    ) -> asyncio.Task[None]:
        """Whichever ends first. Meanwhile a comment for each while in which nothing else may have been written."""
        while True:
            done, _ = await asyncio.wait(
                {pump, *endings},
                timeout=self._settings.sse_keep_alive_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if done:
                return pump if pump in done else done.pop()
            await self._write(exchange, _COMMENT)

    async def _pump(self, subscription: Subscription, exchange: Exchange) -> None:
        async for delivery in subscription:
            await self._write(exchange, next_event(delivery.response, self._id_of(delivery)))
        await self._write(exchange, _COMPLETE, more=False)

    async def _write(self, exchange: Exchange, frame: bytes, *, more: bool = True) -> None:
        """The server waits while the socket is full; a reader who lets it wait too long is left."""
        try:
            async with asyncio.timeout(self._settings.write_timeout_seconds):
                await exchange.write(frame, more=more)
        except TimeoutError:
            raise ClientGone from None

    def _id_of(self, delivery: Delivery) -> str | None:
        return None if delivery.event is None else self._event_id(delivery.event)


def next_event(response: Response, event_id: str | None) -> bytes:
    """One response as an event. JSON by the engine has no line breaks, so one `data` line holds it."""
    identity = f"id: {event_id}\n".encode() if event_id and not set(event_id) & set("\r\n\0") else b""
    return identity + b"event: next\ndata: " + response.json + b"\n\n"
