"""Everything that watches one source in this process: its chats, its list, its streams.

hold ──▶ read at once, then again and again ──release of the last──▶ lingers ──▶ dropped; with the last of all the watch ends
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from functools import partial

from domain.capabilities import Capability
from domain.errors import GatewayError, UpstreamError, UpstreamUnavailable
from domain.records import Health, Organization, Source
from domain.source import ChatSource
from resolvers.context import Gateway, system_context
from resolvers.targets import ChatTarget, SourceTarget
from resolvers.watching.budget import Budget
from resolvers.watching.chat_reader import ChatReader
from resolvers.watching.clock import WatchClock
from resolvers.watching.health import WatchHealth
from resolvers.watching.list_reader import ListReader
from resolvers.watching.listening import Listening
from resolvers.watching.marks import RowMarks
from resolvers.watching.pace import Pace
from resolvers.watching.schedule import Schedule, Waiting
from resolvers.watching.subject import NEVER, Subject, SubjectState, answer, fail
from resolvers.watching.tuning import WatchTuning
from storage.database import Transaction

_log = logging.getLogger(__name__)
_TRIES = 5
"""How often something that nobody subscribes to is tried to be read."""
_MOST_MENDED = 100
"""Chats with a hole that are read back at a time; the next request for another one comes again."""


class _Disconnected(UpstreamUnavailable):
    """The source is no more."""


class SourceWatch:
    """See above. `observe` gets vendor and outcome of each reading; `ended` is called when nothing is left to watch, with what is still to end."""

    def __init__(
        self,
        gateway: Gateway,
        organization: Organization,
        source: Source,
        *,
        budget: Budget,
        tuning: WatchTuning,
        clock: WatchClock,
        observe: Callable[[str, str], None],
        ended: Callable[["SourceWatch", Iterable["asyncio.Task[None]"]], None],
    ) -> None:
        self._context = system_context(gateway, organization)
        self._budget = budget
        self._tuning = tuning
        self._clock = clock
        self._observe = observe
        self._ended = ended
        self._live: ChatSource | None = None
        self._list: ListReader | None = None
        self._readers: dict[Subject, ChatReader] = {}
        self._in_turns: set[Subject] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._health = WatchHealth(tuning.poll_seconds_max)
        self._schedule = Schedule(
            source.key, budget=budget, tuning=tuning, clock=clock, read=self._read, read_over=self._read_over
        )
        self._listening = Listening(
            self._context,
            touched=self.touch,
            silenced=self._silenced,
            is_watched=self._is_watched,
            clock=clock,
            tuning=tuning,
        )
        self._is_ended = False
        self.source = source

    # Who wants what

    def hold(self, chat_id: str | None) -> None:
        """One subscriber more, of a chat or (None) of all that happens."""
        subject = self._subject(chat_id)
        was_wanted = subject.is_wanted and subject.state is not SubjectState.GONE
        subject.holders += 1
        if subject.linger is not None:
            subject.linger.cancel()
            subject.linger = None
        if was_wanted:
            return
        subject.state = SubjectState.IDLE if subject.state is SubjectState.GONE else subject.state
        subject.full_due = self._next_full_pass()
        self._count()
        self._schedule.touch(subject)
        self._schedule.turn()

    def release(self, chat_id: str | None) -> None:
        """One subscriber less. After the last one it is watched for a moment longer."""
        subject = self._schedule.subjects.get(chat_id)
        if subject is None or self._is_ended:
            return
        subject.holders -= 1
        if subject.holders == 0:
            subject.linger = self._clock.call_later(self._tuning.linger_seconds, partial(self._expire, subject))

    def let_go(self) -> None:
        """Watch nothing any more that nobody subscribes to just now."""
        for subject in [one for one in self._schedule.subjects.values() if one.linger is not None]:
            if subject.linger is not None:
                subject.linger.cancel()
                self._expire(subject)

    def wanted(self) -> int:
        """How many chats and lists somebody subscribes to."""
        return sum(subject.is_wanted for subject in self._schedule.subjects.values())

    def wants(self, chat_id: str | None) -> bool:
        """Whether somebody subscribes to it already."""
        subject = self._schedule.subjects.get(chat_id)
        return subject is not None and subject.is_wanted

    @property
    def is_reading(self) -> bool:
        """Whether a reading is under way."""
        return self._schedule.is_reading

    def health_of(self, health: Health) -> Health:
        """The source's health, with what watching has shown."""
        return self._health.laid_over(health)

    # What is said of it

    def touch(self, chat_id: str | None) -> bool:
        """Something happened in a chat, or (None) somewhere at the source. Whether that is watched."""
        subjects = self._schedule.subjects
        if chat_id is None:
            touched = [one for one in subjects.values() if not self._is_told_by_list(one)]
        elif chat_id in subjects:
            touched = [subjects[chat_id]]
        else:
            touched = [self._once(chat_id)] if self._is_watched(chat_id) else []
        for subject in touched:
            self._schedule.touch(subject)
        self._schedule.turn()
        return bool(touched)

    def mend(self, chat_id: str) -> None:
        """Read a chat once, whoever wants it, because there is a hole in what is known of it."""
        subjects = self._schedule.subjects
        if chat_id in subjects or sum(one.is_once for one in subjects.values()) < _MOST_MENDED:
            self._schedule.touch(self._once(chat_id))
            self._schedule.turn()

    async def catch_up(self, chat_ids: Collection[str | None]) -> None:
        """Read each of them once, beginning after this call; with a list, the chats that it says or may hide something new of.

        Raises what a reading raised.
        """
        waiting = [self._schedule.wait(self._subject(chat_id)) for chat_id in chat_ids]
        self._schedule.turn()
        try:
            await asyncio.gather(*waiting)
        finally:
            for future in waiting:
                future.cancel()

    def error_of(self, chat_ids: Iterable[str | None]) -> GatewayError | None:
        """Why the last reading of one of them failed."""
        found = (self._schedule.subjects.get(chat_id) for chat_id in chat_ids)
        return next((one.error for one in found if one is not None and one.error is not None), None)

    def _is_watched(self, chat_id: str) -> bool:
        return chat_id in self._schedule.subjects or None in self._schedule.subjects

    def _silenced(self, chat_id: str | None) -> None:
        """A stream has ended, and nothing tells what happens there now: back to reading, soon."""
        for subject in self._schedule.subjects.values():
            if chat_id in (None, subject.chat_id) and subject.is_regular:
                subject.pace.hurry()
        self.touch(chat_id)

    # Reading

    async def _read(self, subject: Subject, waiting: Waiting) -> None:
        outcome = "ok"
        try:
            target = await self._open()
            if subject.chat_id is None:
                await self._read_list(subject, target, waiting)
            else:
                await self._read_chat(subject, target, subject.chat_id)
            answer(waiting)
            await self._succeeded(subject)
        except _Disconnected as error:
            outcome = "disconnected"
            fail(waiting, error)
            self.end()
        except GatewayError as error:
            outcome = "failed"
            await self._failed(subject, waiting, error)
        except Exception:  # a fault of ours must not end the feed for good, nor pass unseen
            outcome = "broken"
            _log.exception("%s: a reading of its feed went wrong. It is tried again.", self.source.key)
            await self._failed(subject, waiting, self._unavailable("could not be read, by a fault of the gateway"))
        finally:
            self._observe(self.source.vendor, outcome)

    async def _open(self) -> SourceTarget:
        """The source as it is configured now. A new connection makes the streams new, too."""
        gateway = self._context.gateway
        found = await gateway.sources.of(self._context.organization.id)
        source = next((one for one in found if one.id == self.source.id), None)
        if source is None or source.disconnected_at is not None:
            raise _Disconnected(f"{self.source.key} was disconnected.", source_id=self.source.id, operation="watch")
        live = await gateway.sources.connect(source)
        if live is not self._live:
            self._live, self.source = live, source
            self._listening.leave_all()
        return SourceTarget(source, live)

    async def _read_chat(self, subject: Subject, target: SourceTarget, chat_id: str) -> None:
        started_at, is_full = self._context.now(), subject.started >= subject.full_due
        reader = self._readers.setdefault(subject, ChatReader(self._tuning, self._budget.take))
        news = await reader.read(self._context, ChatTarget(target.source, target.live, chat_id), is_full=is_full)
        subject.full_due = self._next_full_pass() if is_full else subject.full_due
        subject.is_once = news.again
        subject.again |= news.again
        if news.is_gone:
            subject.state = SubjectState.GONE
            if self._list is not None:
                self._list.marks.forget(chat_id)
            return
        self._plan(subject, is_news=news.is_news)
        if self._list is None or not target.capabilities.rows_tell_messages:
            return
        mark, again_at = self._list.marks.was_read(chat_id, subject.started, started_at)
        if again_at is not None:
            subject.is_once = True
            subject.due = again_at if subject.due is None else min(subject.due, again_at)
        if mark is not None:
            await self._keep_mark(chat_id, mark)

    async def _keep_mark(self, chat_id: str, mark: str) -> None:
        async def unit(tx: Transaction) -> None:
            place = (self._context.organization.id, self.source.id, chat_id)
            await self._context.store.chats.set_read_mark(tx, *place, mark)

        await self._context.store.database.write(unit)

    async def _read_list(self, subject: Subject, target: SourceTarget, waiting: Waiting) -> None:
        if self._list is None:
            self._list = await self._begin_list(target)
        to_read: Collection[str] = ()
        is_news = False
        if target.capabilities.can(Capability.LIST_CHATS):
            is_full = subject.started >= subject.full_due
            news = await self._list.read(self._context, target, is_full=is_full)
            subject.full_due = self._next_full_pass() if is_full else subject.full_due
            to_read, is_news = news.to_read, news.is_news
        self._plan(subject, is_news=is_news)
        spoken_of = self._read_what_it_says(target, to_read)
        if waiting:
            answers = [self._schedule.wait(one) for one in spoken_of]
            task = asyncio.create_task(_answer_after(list(waiting), answers))
            waiting.clear()
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _begin_list(self, target: SourceTarget) -> ListReader:
        most = self._tuning.chats_per_source
        known = await self._context.store.chats.watched(self._context.organization.id, self.source.id, most)
        if not target.capabilities.rows_tell_messages:
            for chat in known:
                self._in_turn(chat.native_id)
        marks = RowMarks(known, target.capabilities.clock_tick, most, target.capabilities.row_fields)
        return ListReader(marks, self._tuning, self._clock, self._budget.take)

    def _read_what_it_says(self, target: SourceTarget, to_read: Collection[str]) -> Collection[Subject]:
        """Chats with something new at once, those that were never read when there is time. All that a list speaks of, or hides something of."""
        assert self._list is not None, "a list was just read"
        rows_tell = target.capabilities.rows_tell_messages
        found = [self._once(chat_id) if rows_tell else self._in_turn(chat_id) for chat_id in to_read]
        spoken_of = [
            subject for subject in found if subject is not None
        ]  # of very many chats not all are read in turns
        for subject in spoken_of:
            if self._list.marks.brings_news(subject.chat_id or ""):
                self._schedule.touch(subject)
            elif subject.due is None and subject.state is SubjectState.IDLE:
                subject.due = self._clock.monotonic()
        self._count()
        return spoken_of if rows_tell else self._in_turns

    async def _succeeded(self, subject: Subject) -> None:
        subject.failures, subject.error = 0, None
        interval, per_minute = self._budget.interval_seconds(), self._budget.per_minute
        await self._health.succeeded(self._context, self.source, interval, per_minute)

    async def _failed(self, subject: Subject, waiting: Waiting, error: GatewayError) -> None:
        subject.failures += 1
        subject.error = error
        fail(waiting, error)
        wait = subject.pace.after_failures(subject.failures, self._clock.random())
        asked = (error.retry_after_seconds if isinstance(error, UpstreamError) else None) or 0.0
        self._budget.block_for(min(asked, self._tuning.poll_seconds_max))
        subject.is_once = subject.is_once and (None in self._schedule.subjects or subject.failures < _TRIES)
        subject.due = self._clock.monotonic() + max(wait, asked) if subject.is_regular or subject.is_once else None
        if isinstance(error, UpstreamError):
            await self._health.failed(self._context, self.source, error.message, self._clock.monotonic())

    def _read_over(self, subject: Subject) -> None:
        if subject.state is SubjectState.GONE:
            answer(subject.waiting)
            subject.waiting.clear()
        self._drop_if_done(subject)
        if self._live is not None and not self._is_ended:
            self._listening.follow(self._live, self._schedule.subjects.values())

    # When it is read next

    def _plan(self, subject: Subject, *, is_news: bool) -> None:
        if is_news:
            subject.pace.hurry()
        else:
            subject.pace.slow_down()
        now, chance = self._clock.monotonic(), self._clock.random()
        subject.due = None
        if subject.is_regular:
            wait = subject.pace.longest_wait if self._is_told(subject) else subject.pace.wait
            subject.due = now + wait(chance)

    def _is_told(self, subject: Subject) -> bool:
        """Whether something else than reading tells what is new there, so that reading is for the rest."""
        live = self._live
        by_stream = live is not None and self._listening.tells_messages(live, subject.chat_id)
        return by_stream or self._is_told_by_list(subject)

    def _is_told_by_list(self, subject: Subject) -> bool:
        if subject.chat_id is None or self._list is None or self._live is None:
            return False
        return self._live.capabilities.rows_tell_messages and self._list.marks.tells_of(subject.chat_id)

    def _next_full_pass(self) -> float:
        return self._clock.monotonic() + self._tuning.full_pass_seconds * (1 - self._clock.random() / 4)

    # Subjects

    def _subject(self, chat_id: str | None) -> Subject:
        subject = self._schedule.subjects.get(chat_id)
        if subject is None:
            pace = Pace(self._tuning.poll_seconds_min, self._tuning.poll_seconds_max)
            subject = self._schedule.subjects[chat_id] = Subject(chat_id, pace, self._schedule.planned)
        return subject

    def _once(self, chat_id: str) -> Subject:
        """To be read because something was said of it."""
        subject = self._subject(chat_id)
        subject.is_once = True
        return subject

    def _in_turn(self, chat_id: str) -> Subject | None:
        """To be read again and again, because nothing else tells what is new in it. None: there are too many of these."""
        subject = self._schedule.subjects.get(chat_id)
        if (subject is None or not subject.is_in_turn) and len(self._in_turns) >= self._tuning.chats_per_source:
            return None
        subject = self._subject(chat_id)
        if not subject.is_in_turn:
            subject.is_in_turn = True
            self._in_turns.add(subject)
            if subject.due is None and subject.state is SubjectState.IDLE:
                subject.due = self._clock.monotonic()
        return subject

    def _expire(self, subject: Subject) -> None:
        subject.linger = None
        subject.full_due = NEVER
        if subject.chat_id is None:
            self._list = None
            self._in_turns.clear()
            for other in list(self._schedule.subjects.values()):
                other.is_in_turn = other.is_once = False
                self._drop_if_done(other)
        else:
            self._drop_if_done(subject)
        if not self._is_ended:
            self._schedule.turn()

    def _drop_if_done(self, subject: Subject) -> None:
        """Forget what nobody needs any more, and end when that was the last."""
        if self._is_ended or subject.is_needed or self._schedule.subjects.get(subject.chat_id) is not subject:
            return
        self._schedule.drop(subject)
        self._in_turns.discard(subject)
        self._readers.pop(subject, None)
        self._count()
        if not self._schedule.subjects:
            self.end()

    def _count(self) -> None:
        self._budget.demand[self] = sum(one.is_regular for one in self._schedule.subjects.values())

    def end(self) -> None:
        """Watch nothing any more."""
        if self._is_ended:
            return
        self._is_ended = True
        ending = {*self._schedule.close(), *self._listening.leave_all(), *self._answering}
        for subject in self._schedule.subjects.values():
            if subject.linger is not None:
                subject.linger.cancel()
            fail(subject.waiting, self._unavailable("is not watched any more"))
        self._schedule.subjects.clear()
        self._budget.demand.pop(self, None)
        self._ended(self, ending)

    def _unavailable(self, what: str) -> UpstreamUnavailable:
        return UpstreamUnavailable(f"{self.source.key} {what}.", source_id=self.source.id, operation="watch")


async def _answer_after(waiting: Waiting, answers: Waiting) -> None:
    """Who waits for a source waits for the chats that its list speaks of."""
    try:
        results = await asyncio.gather(*answers, return_exceptions=True)
        failed = next((one for one in results if isinstance(one, GatewayError)), None)
        if failed is not None:
            fail(waiting, failed)
        answer(waiting)
    finally:
        for future in waiting:
            future.cancel()
