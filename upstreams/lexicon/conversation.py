"""One message over a socket of its own, and the answer on its way back.

    read newest ──▶ socket open ──▶ established ──▶ sent ──▶ received ──▶ tokens … ──▶ ended ──▶ socket closed ──▶ read again
        nothing was done when it breaks up to here ┘   └ perhaps done: whoever sends looks for it   └ broken: read until it is there

The socket says what grows; what is final is what the chat shows over REST afterwards, since nothing but the names of the events is documented.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

from domain.errors import (
    GatewayError,
    NotFound,
    UpstreamError,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnauthorized,
    UpstreamUnavailable,
)
from domain.records import Message, MessageRole, MessageState, Source
from domain.source import NewMessage, Progress
from upstreams.client import UpstreamClient
from upstreams.clock import Clock
from upstreams.lexicon.events import Event, EventKind, event_from_frame
from upstreams.lexicon.history import History
from upstreams.lexicon.requests import frame, open_socket_request, socket_headers
from upstreams.redaction import Redactor
from upstreams.sockets import Socket, SocketClosed

_LOOKED_AT = 20
_LONGEST_ANSWER = 4 * 1024 * 1024
"""Characters that are followed; an answer without end must not fill the memory."""
_POLICY_VIOLATION = 1008
_PAUSES = (0.0, 0.1, 0.2, 0.4, 0.8, 1.5)
_PAUSES_AFTER_A_BREAK = (*_PAUSES, 2.0, 2.0, 2.0, 2.0)
_ANSWER = frozenset([EventKind.STARTED, EventKind.TOKEN, EventKind.ENDED])


@dataclass(slots=True)
class _Turn:
    """How far one message is. `after` is the newest message that was there before it; `text` the words of the answer so far."""

    new: NewMessage
    after: str | None
    message: Message | None = None
    message_id: str | None = None
    text: str = ""
    has_ended: bool = False
    complaint: str | None = None
    deadline: float = 0.0
    early: list[Event] = field(default_factory=list)
    """What came before it was said that the message was received."""


class Conversation:
    """The turns of the chats of one source. `timeout_seconds` bounds opening and acceptance, `reply_timeout_seconds` the answer."""

    def __init__(
        self,
        client: UpstreamClient,
        history: History,
        source: Source,
        clock: Clock,
        redact: Redactor,
        *,
        timeout_seconds: float,
        reply_timeout_seconds: float,
    ) -> None:
        self._client = client
        self._history = history
        self._source = source
        self._clock = clock
        self._redact = redact
        self._timeout = timeout_seconds
        self._reply_timeout = reply_timeout_seconds

    async def send(self, new: NewMessage, user_id: str) -> AsyncGenerator[Progress, None]:
        """Send, and follow the answer. While it grows it has the id that we chose; the last item shows what the chat shows."""
        before = await self._history.newest(new.chat_id, 1)
        turn = _Turn(new, after=before[-1].native_id if before else None)
        async with self._client.socket(open_socket_request(), socket_headers(user_id, new.chat_id)) as socket:
            await self._established(socket)
            await self._accepted(socket, turn)
            if turn.complaint is None:
                yield self._growing(turn)
                turn.deadline = self._clock.monotonic() + self._reply_timeout
                while await self._grows(socket, turn):
                    yield self._growing(turn)
        # The socket is closed by now: an open one would keep the chat from being deleted.
        yield await self._final(turn)

    async def follow(self, chat_id: str, message_id: str) -> AsyncIterator[Message]:
        """A message of the list is final: Lexicon tells no state. One that is not there yet is waited for."""
        for pause in _PAUSES_AFTER_A_BREAK:
            await self._clock.sleep(pause)
            if (message := await self._history.find(chat_id, message_id)) is not None:
                yield message
                return
        raise NotFound("The reply is not in its chat. Read the messages again.", missing_id=message_id)

    # Until the vendor has it

    async def _established(self, socket: Socket) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                while (event := event_from_frame(await socket.receive())).kind is not EventKind.ESTABLISHED:
                    if event.kind is EventKind.ERROR:
                        raise self._rejected("opening the socket", event)
        except TimeoutError as error:
            raise self._timed_out("was not confirmed as open", self._timeout, perhaps_executed=False) from error
        except SocketClosed as closed:
            raise self._closed(closed, perhaps_executed=False) from closed

    async def _accepted(self, socket: Socket, turn: _Turn) -> None:
        """Send, and wait until Lexicon says that it has the message, or begins to answer, or complains."""
        try:
            async with asyncio.timeout(self._timeout):
                await socket.send(frame(turn.new))
                while not await self._is_accepted(event_from_frame(await socket.receive()), turn):
                    pass
        except TimeoutError as error:
            raise self._timed_out(
                "did not say that it has the message", self._timeout, perhaps_executed=True
            ) from error
        except SocketClosed as closed:
            raise self._closed(closed, perhaps_executed=True) from closed

    async def _is_accepted(self, event: Event, turn: _Turn) -> bool:
        if event.kind is EventKind.ERROR:
            # Whether it kept the message before it complained is not documented: only the list knows.
            try:
                turn.message, _ = await self._look(turn)
            except GatewayError as error:
                raise self._rejected("sending a message", event, perhaps_executed=True) from error
            if turn.message is None:
                raise self._rejected("sending a message", event)
            turn.complaint = event.explanation
            return True
        if event.kind is EventKind.RECEIVED:
            if event.text is not None and event.text.strip() != turn.new.text.strip():
                return False  # somebody else's, in the same chat
            turn.message_id = event.message_id
        elif event.kind in _ANSWER:
            turn.early.append(event)
        else:
            return False
        turn.message = self._as_received(turn, event) if turn.message_id is not None else await self._looked_up(turn)
        return True

    def _as_received(self, turn: _Turn, event: Event) -> Message:
        return Message(
            organization_id=self._source.organization_id,
            source_id=self._source.id,
            chat_id=turn.new.chat_id,
            native_id=turn.message_id or "",
            role=MessageRole.USER,
            text=turn.new.text,
            parent_id=turn.after,
            created_at=event.at or self._clock.now(),
            metadata=turn.new.metadata,
        )

    async def _looked_up(self, turn: _Turn) -> Message | None:
        """The message as the list shows it; None when it does not, or cannot be read. That is no reason to fail: it was accepted."""
        try:
            return (await self._look(turn))[0]
        except GatewayError:
            return None

    # While it answers

    async def _grows(self, socket: Socket, turn: _Turn) -> bool:
        """Read until the answer has more words; False when it has ended, the socket broke, or Lexicon complained."""
        while not turn.has_ended and turn.complaint is None:
            try:
                event = turn.early.pop(0) if turn.early else await self._next(socket, turn)
            except SocketClosed:
                return False
            if self._take(event, turn):
                return True
        return False

    async def _next(self, socket: Socket, turn: _Turn) -> Event:
        try:
            async with asyncio.timeout(max(turn.deadline - self._clock.monotonic(), 0.0)):
                return event_from_frame(await socket.receive())
        except TimeoutError as error:
            what = "did not end its answer, see the option `reply_timeout_seconds`,"
            raise self._timed_out(what, self._reply_timeout, perhaps_executed=True) from error

    def _take(self, event: Event, turn: _Turn) -> bool:
        """Note what an event says; whether the words became more."""
        if event.kind is EventKind.ENDED:
            turn.has_ended = True
            if event.text and not turn.text:
                turn.text = event.text
        elif event.kind is EventKind.ERROR:
            turn.complaint = event.explanation
        elif event.kind is EventKind.TOKEN and event.text:
            if len(turn.text) > _LONGEST_ANSWER:
                turn.complaint = "the answer does not end"
                return False
            turn.text += event.text
            return True
        return False

    def _growing(self, turn: _Turn, state: MessageState = MessageState.STREAMING) -> Progress:
        return Progress(
            turn.message,
            Message(
                organization_id=self._source.organization_id,
                source_id=self._source.id,
                chat_id=turn.new.chat_id,
                native_id=turn.new.reply_id,
                role=MessageRole.ASSISTANT,
                text=turn.text,
                state=state,
                parent_id=turn.new.id,  # the ids that the gateway chose, both: Lexicon's are not known yet
                created_at=self._clock.now(),
            ),
        )

    # When it has ended

    async def _final(self, turn: _Turn) -> Progress:
        """What the chat shows of the message and its answer. Read until the answer is there and has come to rest."""
        shown: Message | None = None
        pauses = _PAUSES if turn.has_ended or turn.complaint is not None else _PAUSES_AFTER_A_BREAK
        for pause in pauses:
            await self._clock.sleep(pause)
            try:
                message, reply = await self._look(turn)
            except UpstreamError:
                continue
            turn.message = message or turn.message
            if reply is not None and ((turn.has_ended and reply.text == turn.text) or reply == shown):
                return Progress(turn.message, reply)
            shown = reply
        if shown is not None:
            return Progress(turn.message, shown)
        if turn.complaint is not None:
            return self._growing(turn, MessageState.FAILED)
        if turn.has_ended:
            return self._growing(turn, MessageState.COMPLETE if turn.text else MessageState.FAILED)
        raise UpstreamUnavailable(
            f"{self._source.key}: the socket broke before the answer had ended, and the chat does not show it (yet). Read the messages again.",
            source_id=self._source.id,
            operation="send_message",
            perhaps_executed=True,
        )

    async def _look(self, turn: _Turn) -> tuple[Message | None, Message | None]:
        """Our message and the answer to it, as far as the list shows them: by its id, else the first of equal words behind what was there before."""
        self._client.wrote()
        found = await self._history.newest(turn.new.chat_id, _LOOKED_AT)
        ids = [message.native_id for message in found]
        start = ids.index(turn.after) + 1 if turn.after in ids else 0
        alike = [
            index
            for index in range(start, len(found))
            if found[index].role is MessageRole.USER and found[index].text == turn.new.text
        ]
        at = ids.index(turn.message_id) if turn.message_id in ids else next(iter(alike), None)
        if at is None:
            return None, None
        replies = (message for message in found[at + 1 :] if message.role is MessageRole.ASSISTANT)
        return found[at], next(replies, None)

    # Failures

    def _rejected(self, attempt: str, event: Event, *, perhaps_executed: bool = False) -> UpstreamRejected:
        said = f': "{words}"' if (words := self._redact.quote(event.explanation)) else ""
        return UpstreamRejected(
            f"{self._source.key}: {attempt} was answered with an error{said}. Change the input, or try again later.",
            source_id=self._source.id,
            operation="send_message",
            perhaps_executed=perhaps_executed,
        )

    def _timed_out(self, what: str, seconds: float, *, perhaps_executed: bool) -> UpstreamTimeout:
        return UpstreamTimeout(
            f"{self._source.key}: sending a message: the socket {what} within {seconds:g} s. Try again later.",
            source_id=self._source.id,
            operation="send_message",
            perhaps_executed=perhaps_executed,
        )

    def _closed(self, closed: SocketClosed, *, perhaps_executed: bool) -> UpstreamError:
        said = f' "{closed.reason}"' if closed.reason else ""
        happened = f"{self._source.key}: sending a message: Lexicon closed the socket with {closed.code}{said}."
        if closed.code == _POLICY_VIOLATION:
            return UpstreamUnauthorized(
                f"{happened} Check the credential `api_key` of the source, and that the chat is a user's of its option `user_ids`.",
                source_id=self._source.id,
                operation="send_message",
                perhaps_executed=perhaps_executed,
            )
        return UpstreamUnavailable(
            f"{happened} Try again later.",
            source_id=self._source.id,
            operation="send_message",
            perhaps_executed=perhaps_executed,
        )
