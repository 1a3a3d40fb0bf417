"""When the subjects of one source are read: whatever is due, as soon as the budget and the number of readings at a time allow.

What something was said of goes before what is only its turn, but never twice in a row while others wait. What a client waits for does not wait
for the budget, and is counted afterwards; it does wait while the vendor wants silence.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from itertools import count

from resolvers.watching.budget import Budget
from resolvers.watching.clock import Timer, WatchClock
from resolvers.watching.subject import Subject, SubjectState
from resolvers.watching.tuning import WatchTuning

Waiting = list["asyncio.Future[None]"]
_Plans = list[tuple[float, int, int, Subject]]
"""A heap of (when it is due, a number, which of its plans, a subject): one that has a newer plan is passed over."""


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
        self._numbers = count()
        self._coming: _Plans = []
        self._waited_for: _Plans = []
        self._urgent: _Plans = []
        self._ordinary: _Plans = []
        self.subjects: dict[str | None, Subject] = {}

    @property
    def is_reading(self) -> bool:
        """Whether a reading is under way."""
        return bool(self._tasks)

    def planned(self, subject: Subject) -> None:
        """It is due at another time than before, or matters more; while it is read, that waits. See `turn`."""
        if subject.due is not None and subject.state is SubjectState.IDLE:
            heapq.heappush(self._coming, (subject.due, next(self._numbers), subject.plan, subject))

    def touch(self, subject: Subject) -> None:
        """Read it now, or one shortest interval after its last reading began: whatever is said of it, it is not read more often. See `turn`."""
        subject.touch(max(self._clock.monotonic(), subject.started + self._tuning.poll_seconds_min))

    def wait(self, subject: Subject) -> "asyncio.Future[None]":
        """Read it now; done when that is over. See `turn`."""
        return subject.wait(self._clock.monotonic())

    def drop(self, subject: Subject) -> None:
        """Forget it, and end a reading of it that is under way."""
        self.subjects.pop(subject.chat_id, None)
        subject.due = None
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
            plans = self._next(now)
            if plans is None:
                if coming := _first(self._coming):
                    self._wake_in(coming[0] - now)
                return
            subject = plans[0][-1]
            wait = self._budget.blocked_seconds() if subject.is_waited_for else self._budget.wait_seconds()
            if wait > 0:
                self._wake_in(wait)
                return
            heapq.heappop(plans)
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

    def _next(self, now: float) -> _Plans | None:
        """The plans of which the first one is next; None when nothing is due."""
        while (coming := _first(self._coming)) and coming[0] <= now:
            subject = coming[-1]
            plans = self._waited_for if subject.is_waited_for else self._urgent if subject.is_urgent else self._ordinary
            heapq.heappush(plans, heapq.heappop(self._coming))
        in_order = [self._waited_for, self._urgent, self._ordinary]
        if self._was_urgent:
            in_order = [self._waited_for, self._ordinary, self._urgent]
        return next((plans for plans in in_order if _first(plans)), None)

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
                self.planned(subject)
                if subject.waiting:
                    subject.touch(self._clock.monotonic())
                elif subject.again:
                    self.touch(subject)
            if not self._is_closed:
                self._read_over(subject)
                self.turn()

    def _wake_in(self, seconds: float) -> None:
        self._timer = self._clock.call_later(max(0.0, seconds), self.turn)


def _first(plans: _Plans) -> tuple[float, int, int, Subject] | None:
    """The first plan that still holds."""
    while plans:
        due, _, plan, subject = plans[0]
        if plan == subject.plan and due == subject.due and subject.state is SubjectState.IDLE:
            return plans[0]
        heapq.heappop(plans)
    return None
