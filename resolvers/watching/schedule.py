"""When the subjects of one source are read: whatever is due, as soon as the budget and the number of readings at a time allow.

What something was said of goes before what is only its turn, but never twice in a row while others wait. What a client waits for does not wait
for the budget, and is counted afterwards; it does wait while the vendor wants silence.
"""

import asyncio
from collections.abc import Awaitable, Callable

from resolvers.watching.budget import Budget
from resolvers.watching.clock import Timer, WatchClock
from resolvers.watching.subject import Subject, SubjectState
from resolvers.watching.tuning import WatchTuning

Waiting = list["asyncio.Future[None]"]


class Schedule:
    """The subjects of one source by chat (None: its list). `read` reads one, and raises nothing; `read_over` is called after each."""

    def __init__(
        self,
        name: str,
        *,
        budget: Budget,
        tuning: WatchTuning,
        clock: WatchClock,
        read: Callable[[Subject, Waiting], Awaitable[None]],
        read_over: Callable[[Subject], None],
    ) -> None:
        self._name = name
        self._budget = budget
        self._tuning = tuning
        self._clock = clock
        self._read = read
        self._read_over = read_over
        self._tasks: dict[Subject, asyncio.Task[None]] = {}
        self._timer: Timer | None = None
        self._was_urgent = False
        self._is_closed = False
        self.subjects: dict[str | None, Subject] = {}

    @property
    def is_reading(self) -> bool:
        """Whether a reading is under way."""
        return bool(self._tasks)

    def touch(self, subject: Subject) -> None:
        """Read it now, or one shortest interval after its last reading began: whatever is said of it, it is not read more often. See `turn`."""
        subject.touch(max(self._clock.monotonic(), subject.started + self._tuning.poll_seconds_min))

    def wait(self, subject: Subject) -> "asyncio.Future[None]":
        """Read it now; done when that is over. See `turn`."""
        return subject.wait(self._clock.monotonic())

    def drop(self, subject: Subject) -> None:
        """Forget it, and end a reading of it that is under way."""
        self.subjects.pop(subject.chat_id, None)
        task = self._tasks.get(subject)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def turn(self) -> None:
        """Begin what can begin now, and see to it that the rest has its turn."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while not self._is_closed and len(self._tasks) < self._tuning.concurrency:
            now = self._clock.monotonic()
            subject = self._next(now)
            if subject is None:
                self._wake_when_due(now)
                return
            wait = self._budget.blocked_seconds() if subject.is_waited_for else self._budget.wait_seconds()
            if wait > 0:
                self._wake_in(wait)
                return
            self._begin(subject, now)

    def close(self) -> "list[asyncio.Task[None]]":
        """Read nothing any more; the readings under way, which are cancelled."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        tasks = [task for task in self._tasks.values() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        return tasks

    def _next(self, now: float) -> Subject | None:
        due = [
            one
            for one in self.subjects.values()
            if one.due is not None and one.due <= now and one.state is SubjectState.IDLE
        ]
        ordinary = [one for one in due if not one.is_urgent]
        if ordinary and self._was_urgent and not any(one.is_waited_for for one in due):
            due = ordinary
        return min(due, key=lambda one: (not one.is_waited_for, not one.is_urgent, one.due), default=None)

    def _begin(self, subject: Subject, now: float) -> None:
        self._budget.take()
        self._was_urgent = subject.is_urgent
        task = self._run(subject, subject.begin(now))
        self._tasks[subject] = asyncio.create_task(task, name=f"feed of {self._name}")

    async def _run(self, subject: Subject, waiting: Waiting) -> None:
        try:
            await self._read(subject, waiting)
        finally:
            for future in waiting:
                future.cancel()  # of no effect where it is answered
            self._tasks.pop(subject, None)
            if subject.state is SubjectState.READING:
                subject.state = SubjectState.IDLE
                if subject.waiting:
                    subject.touch(self._clock.monotonic())
                elif subject.again:
                    self.touch(subject)
            if not self._is_closed:
                self._read_over(subject)
                self.turn()

    def _wake_when_due(self, now: float) -> None:
        coming = [one.due for one in self.subjects.values() if one.due is not None and one.state is SubjectState.IDLE]
        if coming:
            self._wake_in(min(coming) - now)

    def _wake_in(self, seconds: float) -> None:
        self._timer = self._clock.call_later(max(0.0, seconds), self.turn)
