"""Server-sent events: `graphql-sse`'s distinct connections mode (PROTOCOL.md, read 2026-11) and the HTML standard's section 9.2.

`event: next` carries one response, `event: complete` ends the operation. `id:` is the cursor of the event, which a
browser's EventSource sends back as `Last-Event-ID`. A stream that ends *without* `complete` was cut by the gateway: it
goes away, the credential ended, or the reader was too slow; the client reconnects with the last id it has processed.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from engine.broadcasts import Broadcasts
from engine.execution import Subscription
from engine.requests import Response
from engine.sharing import Rendered
from switchboard.http.body import ClientGone, Receive
from switchboard.http.disconnect import settle, until_gone, wait_for_disconnect
from switchboard.http.draining import Draining
from switchboard.http.exchange import Exchange
from switchboard.http.negotiation import Form
from switchboard.http.outbox import Outbox
from switchboard.http.session import Session
from switchboard.http.settings import TransportSettings
from switchboard.http.subscriber import Subscriber

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
_CREDENTIAL_ENDED = b": the credential ended; reconnect with a new one\n\n"
_GOES_AWAY = b": the gateway goes away; reconnect\n\n"


class EventStreams:
    """Writes operations as streams of events."""

    def __init__(
        self, settings: TransportSettings, draining: Draining, event_id: EventId, broadcasts: Broadcasts
    ) -> None:
        self._settings = settings
        self._draining = draining
        self._event_id = event_id
        self._broadcasts = broadcasts

    async def single(self, response: Response, exchange: Exchange) -> None:
        """The one response of a query, a mutation or a refused document."""
        await exchange.start(200, _HEADERS, next_event(response.json, None) + _COMPLETE)

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
        stream = _EventStream(exchange, self._settings, self._event_id)
        subscriber = Subscriber(session, exchange.request_id, stream, self._broadcasts)
        try:
            await exchange.start(200, _HEADERS, _COMMENT, more=True)
            with self._draining.telling(stream.go_away):
                await stream.run(started, subscriber, session, receive)
        finally:
            subscriber.stop()
            await started.aclose()


class _EventStream:
    """One open stream: the outlet of its subscription. Its tasks: this one, one that writes, one that waits for the client to leave."""

    def __init__(self, exchange: Exchange, settings: TransportSettings, event_id: EventId) -> None:
        self._exchange = exchange
        self._settings = settings
        self._event_id = event_id
        self._filled = asyncio.Event()
        self._outbox = Outbox(settings.sse_queue_bytes, filled=self._filled.set)
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._stop: Callable[[], None] = lambda: None
        self._is_complete = False
        self._farewell = b""
        self._fault: BaseException | None = None

    async def run(self, started: Subscription, subscriber: Subscriber, session: Session, receive: Receive) -> None:
        """Until the subscription is over, the client leaves, or the stream is cut."""
        self._stop = subscriber.stop
        session.watch(self.session_ended)
        self.spawn(wait_for_disconnect(receive)).add_done_callback(lambda _: self._over.set())
        self.spawn(self._write_all())
        self.spawn(subscriber.run(started))
        try:
            await self._over.wait()
        finally:
            tasks = set(self._tasks)
            for task in tasks:
                task.cancel()
            for task in tasks:
                await settle(task)
        if self._fault is not None:
            raise self._fault
        if self._farewell:
            await self._write(self._farewell, more=False)

    # What may cut it

    def session_ended(self, error: Exception | None) -> None:
        """The credential ended, or watching it broke, which is our fault; the stream ends all the same."""
        self._cut(_CREDENTIAL_ENDED, error)

    def go_away(self) -> None:
        """The gateway ends."""
        self._cut(_GOES_AWAY)

    def _cut(self, farewell: bytes, fault: BaseException | None = None) -> None:
        if not self._over.is_set():
            self._farewell, self._fault = farewell, fault
            self._stop()  # at once: not one event more
            self._over.set()

    # As the outlet of its subscription

    def take(self, rendered: Rendered) -> bool:
        """Send one response. What is written is the same for all who are sent it."""
        if rendered.kept is None:
            event_id = None if rendered.event is None else self._event_id(rendered.event)
            rendered.kept = next_event(rendered.json, event_id)
        return self._outbox.put((rendered.kept,))

    async def room(self) -> None:
        """Wait for the reader. One that lets a single write wait too long is left by whoever writes."""
        while not await self._outbox.has_room(self._settings.write_timeout_seconds):
            pass

    def failed(self, response: Response) -> None:
        """The last event holds the error."""
        self._outbox.put_now((next_event(response.json, None),))
        self.completed()

    def completed(self) -> None:
        """The stream ends in order, when all is written."""
        self._is_complete = True
        self._filled.set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that ends with the stream. One that dies of its own ends it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._cut(b"", error)

    # Writing

    async def _write_all(self) -> None:
        while True:
            frame = self._outbox.first()
            if frame is not None:
                await self._write(b"".join(frame))
                self._outbox.written()
            elif self._is_complete:
                await self._write(_COMPLETE, more=False)
                self._over.set()
                return
            else:
                await self._wait()

    async def _wait(self) -> None:
        """For something to write; a comment after each while in which nothing was."""
        self._filled.clear()
        try:
            async with asyncio.timeout(self._settings.sse_keep_alive_seconds):
                await self._filled.wait()
        except TimeoutError:
            await self._write(_COMMENT)

    async def _write(self, frame: bytes, *, more: bool = True) -> None:
        """The server waits while the socket is full; a reader who lets it wait too long is left."""
        try:
            async with asyncio.timeout(self._settings.write_timeout_seconds):
                await self._exchange.write(frame, more=more)
        except TimeoutError:
            raise ClientGone from None


def next_event(json: bytes, event_id: str | None) -> bytes:
    """One response as an event. JSON by the engine has no line breaks, so one `data` line holds it."""
    identity = f"id: {event_id}\n".encode() if event_id and not set(event_id) & set("\r\n\0") else b""
    return identity + b"event: next\ndata: " + json + b"\n\n"
