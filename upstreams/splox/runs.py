"""Messages as runs of workflows: sent, listened to, and found again in the history.

    read the newest ids ─▶ open the chat's stream ─▶ run ─▶ find the message ─▶ words … ─▶ run ended ─▶ read the reply

The run's own stream tells its end; where neither stream tells anything for a while, or one of them breaks, the run's state is asked for.
What is shown in the end is the history's: words of a stream that broke have holes and are not continued.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from domain.errors import (
    NotFound,
    UnexpectedAnswer,
    UpstreamError,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from domain.records import Message, MessageRole, MessageState, Part, PartKind, Source
from domain.source import NewMessage, Progress
from upstreams.client import UpstreamClient
from upstreams.clock import Clock
from upstreams.requests import Request
from upstreams.splox.events import Telling, active_run_of
from upstreams.splox.history import History
from upstreams.splox.listening import Ears
from upstreams.splox.mapping import ending_from_json, run_id_from_json
from upstreams.splox.requests import (
    listen_to_chat_request,
    listen_to_run_request,
    run_state_request,
    run_workflow_request,
    stop_run_request,
)
from upstreams.splox.workflows import Route

_OPEN_SECONDS = 3.0
_LOOK_SECONDS = 5.0
"""Splox itself looks every 5 s how a run stands."""
_MOST_MISSES = 8
_QUESTION_PAUSES = (0.0, 0.1, 0.2, 0.4, 0.8)
_REPLY_PAUSES = (0.0, 0.2, 0.4, 0.8, 1.6, 3.2)
_POLL_SECONDS = 1.0


@dataclass(slots=True)
class Run:
    """A run that is being followed. `known` are the ids that the history held before it."""

    new: NewMessage
    known: frozenset[str]
    telling: Telling = field(default_factory=Telling)
    question: Message | None = None


class Runs:
    """The runs of one source."""

    def __init__(
        self, client: UpstreamClient, source: Source, history: History, clock: Clock, *, timeout_seconds: float
    ) -> None:
        self._client = client
        self._source = source
        self._history = history
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._followed: dict[tuple[str, str], Run] = {}

    async def send(self, new: NewMessage, route: Route) -> AsyncGenerator[Progress, None]:
        """Run the workflow with the message, and follow the reply to its end."""
        run = Run(new, await self._known_ids(new.chat_id))
        ears = Ears(self._client, self._clock)
        try:
            is_open = await ears.open(listen_to_chat_request(new.chat_id), within_seconds=_OPEN_SECONDS)
            run.telling.is_torn = not is_open
            run_id = await self._client.json(_request(new, route), run_id_from_json)
            run.telling.begin(run_id)
            self._followed[(new.chat_id, new.reply_id)] = run
            ears.begin(listen_to_run_request(run_id))
            run.question = await self._question(run)
            yield Progress(run.question, self._reply_so_far(run))
            async with aclosing(self._words(ears, run)) as growths:
                async for _ in growths:
                    yield Progress(run.question, self._reply_so_far(run))
        finally:
            await ears.aclose()
            self._followed.pop((new.chat_id, new.reply_id), None)
        yield await self._settled(run)

    async def follow(self, chat_id: str, message_id: str) -> AsyncGenerator[Message, None]:
        """Read a reply again and again, until it is final."""
        deadline = self._clock.monotonic() + self._timeout_seconds
        last: Message | None = None
        pause = _POLL_SECONDS
        while True:
            message = await self._history.message(chat_id, message_id)
            if message is None:
                raise NotFound(
                    "The reply is not in its chat (any more). Read the messages again.", missing_id=message_id
                )
            if message != last:
                last, pause = message, _POLL_SECONDS
                yield message
            if message.state.is_final:
                return
            self._check(deadline)
            await self._clock.sleep(pause)
            pause = min(pause * 1.5, _LOOK_SECONDS)

    async def stop(self, chat_id: str, message_id: str) -> Message | None:
        """Stop the run that writes a reply; a finished one stays as it is."""
        run = self._followed.get((chat_id, message_id))
        if run is None:
            message = await self._history.message(chat_id, message_id)
            if message is not None and message.state.is_final:
                return message
            run = next((run for (chat, _), run in self._followed.items() if chat == chat_id), None)
            if run is None:
                return await self._stop_unknown(chat_id, message_id, message)
        await self._end(run.telling.run_id or "")
        telling = replace(run.telling, ending=await self._ending_of(run.telling.run_id or "") or MessageState.CANCELLED)
        return (await self._settled(replace(run, telling=telling))).reply

    # Before and after

    async def _known_ids(self, chat_id: str) -> frozenset[str]:
        return frozenset(message.native_id for message in (await self._history.newest(chat_id)).messages)

    async def _question(self, run: Run) -> Message | None:
        """The message under the id that Splox gave it. It was accepted, so not finding it, or failing to read, is no failure."""
        for pause in _QUESTION_PAUSES:
            await self._clock.sleep(pause)
            try:
                question, _ = _exchange_in(run, (await self._history.newest(run.new.chat_id)).messages)
            except (UpstreamError, NotFound):
                return None
            if question is not None:
                return question
        return None

    async def _settled(self, run: Run) -> Progress:
        """Question and reply as the history has them after the run."""
        ending = run.telling.ending or MessageState.COMPLETE
        failure: UpstreamError | None = None
        reply: Message | None = None
        # What a broken-off run leaves behind may be nothing, so it is not waited for as long.
        for pause in _REPLY_PAUSES if ending is MessageState.COMPLETE else _REPLY_PAUSES[:4]:
            await self._clock.sleep(pause)
            try:
                question, reply = _exchange_in(run, (await self._history.newest(run.new.chat_id)).messages)
            except UpstreamError as error:
                failure = error
                continue
            failure = None
            run.question = question or run.question
            if reply is not None and (reply.state.is_final or ending is MessageState.CANCELLED):
                break
        if failure is not None:
            raise failure
        if reply is None:
            return Progress(run.question, self._without_history(run, ending))
        if ending is not MessageState.COMPLETE or not reply.state.is_final:
            reply = replace(reply, state=ending)
        return Progress(run.question, reply)

    def _without_history(self, run: Run, ending: MessageState) -> Message:
        """The reply that the history does not show: what was heard of it, unless that is known to be not all."""
        heard = self._reply_so_far(run)
        if ending is not MessageState.COMPLETE:
            return replace(heard, state=ending)
        if heard.text:
            raise UpstreamUnavailable(
                f"{self._source.key}: the reply was written, and Splox's history does not show it yet. Read the messages later.",
                source_id=self._source.id,
                operation="list_messages",
            )
        nothing = Part(kind=PartKind.OTHER, name="error", text="The workflow ended without an answer.")
        return replace(heard, state=MessageState.FAILED, parts=(nothing,))

    def _reply_so_far(self, run: Run) -> Message:
        """The reply under our id: Splox tells its own only when it is in the history."""
        return Message(
            organization_id=self._source.organization_id,
            source_id=self._source.id,
            chat_id=run.new.chat_id,
            native_id=run.new.reply_id,
            role=MessageRole.ASSISTANT,
            text=run.telling.text,
            state=MessageState.STREAMING,
            parent_id=run.question.native_id if run.question is not None else run.new.id,
        )

    # In between

    async def _words(self, ears: Ears, run: Run) -> AsyncGenerator[str, None]:
        """All words so far, each time there are more, until the run has ended."""
        deadline = self._clock.monotonic() + self._timeout_seconds
        told, misses, shown = run.telling, 0, ""
        while told.ending is None:
            heard = await ears.next(within_seconds=_LOOK_SECONDS)
            is_from_chat = heard is not None and heard.operation == "listen_to_chat"
            if heard is not None and heard.frame is not None:
                told.hear(heard.frame, is_from_run=not is_from_chat)
            elif is_from_chat:
                told.is_torn = True
            if heard is None or heard.frame is None or told.is_due:
                misses = await self._look(told, misses)
            if told.text and told.text != shown:
                shown = told.text
                yield shown
            self._check(deadline)

    async def _look(self, told: Telling, misses: int) -> int:
        """Ask how the run stands. How often in a row that failed; a hint of the streams counts when nobody can tell."""
        told.is_due = False
        try:
            told.ending = await self._client.json(run_state_request(told.run_id or ""), ending_from_json)
            return 0
        except (UpstreamError, NotFound) as error:
            is_mute = isinstance(error, NotFound | UnexpectedAnswer)
            if is_mute and told.hint is not None:
                told.ending = told.hint
            elif misses >= _MOST_MISSES or (isinstance(error, UpstreamError) and not error.retryable and not is_mute):
                raise
            return misses + 1

    def _check(self, deadline: float) -> None:
        if self._clock.monotonic() >= deadline:
            raise UpstreamTimeout(
                f"{self._source.key}: the reply was not finished within the option `reply_timeout_seconds`. Read the message later.",
                source_id=self._source.id,
                operation="follow_reply",
            )

    # Stopping

    async def _end(self, run_id: str) -> None:
        try:
            await self._client.send(stop_run_request(run_id))
        except (NotFound, UpstreamRejected):
            return  # it ended by itself meanwhile

    async def _ending_of(self, run_id: str) -> MessageState | None:
        for pause in _REPLY_PAUSES:
            await self._clock.sleep(pause)
            try:
                ending = await self._client.json(run_state_request(run_id), ending_from_json)
            except (UpstreamError, NotFound):
                return None
            if ending is not None:
                return ending
        return None

    async def _stop_unknown(self, chat_id: str, message_id: str, message: Message | None) -> Message | None:
        """Stop a run that another process began: the chat's stream names it."""
        run_id = await self._active_run(chat_id)
        if run_id is None:
            return message
        await self._end(run_id)
        ending = await self._ending_of(run_id) or MessageState.CANCELLED
        message = await self._history.message(chat_id, message_id)
        return replace(message, state=ending) if message is not None and not message.state.is_final else message

    async def _active_run(self, chat_id: str) -> str | None:
        ears = Ears(self._client, self._clock)
        try:
            ears.begin(listen_to_chat_request(chat_id))
            deadline = self._clock.monotonic() + _LOOK_SECONDS + 1
            while (left := deadline - self._clock.monotonic()) > 0:
                heard = await ears.next(within_seconds=left)
                if heard is None or heard.frame is None:
                    return None
                if (run_id := active_run_of(heard.frame)) is not None:
                    return run_id
        finally:
            await ears.aclose()
        return None


def _request(new: NewMessage, route: Route) -> Request:
    return run_workflow_request(
        workflow_version_id=route.workflow_version_id,
        entry_nodes=route.entry_nodes,
        chat_id=new.chat_id,
        text=new.text,
        attachments=new.attachments,
    )


def _exchange_in(run: Run, messages: Sequence[Message]) -> tuple[Message | None, Message | None]:
    """The message of a run and the last word of the assistant to it, among what is new in a history (oldest first)."""
    new = [message for message in messages if message.native_id not in run.known]
    users = [at for at, message in enumerate(new) if message.role is MessageRole.USER]
    text = run.new.text.strip()
    asked = next((at for at in users if new[at].text.strip() == text), None)
    if asked is None:
        return None, None
    end = next((at for at in users if at > asked), len(new))
    replies = [message for message in new[asked:end] if message.role is MessageRole.ASSISTANT]
    return new[asked], replies[-1] if replies else None
