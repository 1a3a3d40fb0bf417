"""The server's own stream: one Socket.IO connection for a source, opened for the first who listens and closed after the last.

Whoever listens has notices of its own waiting, of each chat and each reply the newest alone, so a slow one misses no chat and costs nobody
else anything. When the connection ends or breaks, all who listen are told, and the next one to come opens another.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from domain.errors import UpstreamUnavailable
from domain.records import Source
from domain.source import ChatTouched, Notice, ReplyGrew, StreamOpened
from upstreams.client import UpstreamClient
from upstreams.failures import Failures
from upstreams.open_webui import requests
from upstreams.open_webui.access import Access
from upstreams.open_webui.events import EventReader
from upstreams.redaction import Redactor
from upstreams.socketio import Ended, SocketIO, connected

_HEARTBEAT_SECONDS = 30.0
"""A session is taken for left after four of them, two minutes (code)."""
_MOST_WAITING = 10_000
Topic = tuple[str, str | None, str | None]


class Listener:
    """One who listens. Notices wait here until they are asked for."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._waiting: dict[Topic, Notice] = {}
        self._news = asyncio.Event()
        self._failure: Exception | None = None
        self._has_ended = False

    def tell(self, notice: Notice) -> None:
        """Take a notice. One that is still waiting is replaced by a newer one about the same; a touch stands behind the words before it."""
        if self._has_ended:
            return
        topic = _topic_of(notice)
        if isinstance(notice, ChatTouched):
            self._waiting.pop(topic, None)
        self._waiting[topic] = notice
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.clear()
            self.end(self._fell_behind())
        self._news.set()

    def end(self, failure: Exception | None = None) -> None:
        """Nothing more comes."""
        self._has_ended = True
        self._failure = self._failure or failure
        self._news.set()

    async def next(self) -> Notice | None:
        """The next notice, None at the end. Raises why there is none, where the connection broke or never came about."""
        await self._news.wait()
        if self._waiting:
            notice = self._waiting.pop(next(iter(self._waiting)))
            if not self._waiting and not self._has_ended:
                self._news.clear()
            return notice
        if self._failure is not None:
            raise self._failure
        return None

    def _fell_behind(self) -> UpstreamUnavailable:
        return UpstreamUnavailable(
            f"{self._source.key}: more was told than was taken, and what waited was dropped. Watch again, and read what changed.",
            source_id=self._source.id,
            operation="watch",
        )


class Live:
    """The one connection of a source. `token` is a session's: an API key is accepted and told nothing (observed)."""

    def __init__(
        self,
        client: UpstreamClient,
        access: Access,
        source: Source,
        token: str,
        *,
        timeout_seconds: float,
        heartbeat_seconds: float = _HEARTBEAT_SECONDS,
    ) -> None:
        self._client = client
        self._access = access
        self._source = source
        self._token = token
        self._timeout_seconds = timeout_seconds
        self._heartbeat_seconds = heartbeat_seconds
        self._failures = Failures(source)
        self._connection: _Connection | None = None

    async def watch(self) -> AsyncGenerator[Notice, None]:
        """What the server tells about the account's chats, until it ends the connection."""
        async with self.listening() as listener:
            while (notice := await listener.next()) is not None:
                yield notice

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Listener]:
        """Listen until the block ends. `StreamOpened` is the first notice, or the first thing to be raised is why there is none."""
        if self._connection is None or self._connection.has_ended:
            self._connection = _Connection(self._run)
        connection = self._connection
        listener = connection.join(Listener(self._source))
        try:
            yield listener
        finally:
            await connection.leave(listener)

    async def aclose(self) -> None:
        """End the connection, whoever listens."""
        if self._connection is not None:
            await self._connection.aclose()

    async def _run(self, connection: "_Connection") -> None:
        await self._access.version()
        auth = {"token": self._token}
        seconds = self._timeout_seconds
        async with connected(
            self._client, self._failures, Redactor([self._token]), requests.open_socket(), auth, seconds=seconds
        ) as socket:
            async with socket.bounded(seconds):
                await self._join(socket)
            connection.open()
            await self._read(socket, connection)

    async def _join(self, socket: SocketIO) -> None:
        """Only the acknowledgement tells whether the server knows whose token it is."""
        who = await socket.call("user-join", {"auth": {"token": self._token}})
        if not who or not isinstance(who[0], dict):
            raise self._failures.unauthorized(
                requests.open_socket(),
                "the server did not accept the session token. Check the credential `jwt` of the source; it expires",
            )

    async def _read(self, socket: SocketIO, connection: "_Connection") -> None:
        loop = asyncio.get_running_loop()
        reader = EventReader(self._source)
        due = loop.time() + self._heartbeat_seconds
        while True:
            event = await socket.next(within_seconds=max(due - loop.time(), 0.0))
            if loop.time() >= due:
                await socket.emit("heartbeat", {})
                due = loop.time() + self._heartbeat_seconds
            if event is not None and event.name == "events":
                for notice in reader.notices(event.data):
                    connection.tell(notice)
                self._client.garbled(reader.take_garbled())


class _Connection:
    """One connection and all who listen to it. Its task ends with the connection, or when nobody listens any more."""

    def __init__(self, run: "_Run") -> None:
        self._listeners: set[Listener] = set()
        self._is_open = False
        self.has_ended = False
        self._task = asyncio.ensure_future(self._running(run))

    def join(self, listener: Listener) -> Listener:
        self._listeners.add(listener)
        if self._is_open:
            listener.tell(StreamOpened())
        return listener

    async def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        if not self._listeners:
            await self.aclose()

    async def aclose(self) -> None:
        self.has_ended = True
        self._task.cancel()
        await asyncio.wait({self._task})

    def open(self) -> None:
        self._is_open = True
        self.tell(StreamOpened())

    def tell(self, notice: Notice) -> None:
        for listener in self._listeners:
            listener.tell(notice)

    async def _running(self, run: "_Run") -> None:
        failure: Exception | None = None
        try:
            await run(self)
        except Ended:
            pass
        except Exception as error:  # whoever listens raises it, also a fault of ours
            failure = error
        finally:
            self.has_ended, self._is_open = True, False
            for listener in self._listeners:
                listener.end(failure)


_Run = Callable[[_Connection], Coroutine[Any, Any, None]]


def _topic_of(notice: Notice) -> Topic:
    if isinstance(notice, ReplyGrew):
        return "words", notice.reply.chat_id, notice.reply.native_id
    return type(notice).__name__, notice.chat_id if isinstance(notice, ChatTouched) else None, None
