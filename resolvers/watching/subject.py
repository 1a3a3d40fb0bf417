"""What is read again and again: a chat, or the list of a source's chats.

idle ──due, touched or asked for──▶ reading ──▶ idle: due soon after something new, later after nothing, later still after a failure
                                        ├─touched or asked for meanwhile──▶ idle, and due at once
                                        └─not there (any more)──▶ gone: left alone until somebody new subscribes
"""

import asyncio
from collections.abc import Callable
from enum import Enum, auto

from domain.errors import GatewayError
from resolvers.watching.clock import Timer
from resolvers.watching.pace import Pace

LONG_AGO = float("-inf")
NEVER = float("inf")


class SubjectState(Enum):
    """See the drawing."""

    IDLE = auto()
    READING = auto()
    GONE = auto()


class Subject:
    """One of them; `chat_id` None is the list. Times are of the monotonic clock.

    `holders`: how many subscribers want it; `linger` runs after the last of them. `is_in_turn`: its source is watched as a whole, and only
    reading tells what is new in its chats. `is_once`: it is to be read once, because something was said of it. `due` None: when somebody asks.
    `planned` is called whenever that, or how much it matters, has changed; `plan` counts these changes.
    """

    __slots__ = (
        "_due",
        "_planned",
        "again",
        "chat_id",
        "error",
        "failures",
        "full_due",
        "holders",
        "is_in_turn",
        "is_once",
        "is_urgent",
        "linger",
        "pace",
        "plan",
        "started",
        "state",
        "waiting",
    )

    def __init__(self, chat_id: str | None, pace: Pace, planned: "Callable[[Subject], None]") -> None:
        self._planned = planned
        self._due: float | None = None
        self.plan = 0
        self.chat_id = chat_id
        self.pace = pace
        self.state = SubjectState.IDLE
        self.holders = 0
        self.linger: Timer | None = None
        self.is_in_turn = False
        self.is_once = False
        self.is_urgent = False
        self.again = False
        self.full_due = NEVER
        self.started = LONG_AGO
        self.failures = 0
        self.error: GatewayError | None = None
        self.waiting: list[asyncio.Future[None]] = []

    @property
    def due(self) -> float | None:
        """When it is read next."""
        return self._due

    @due.setter
    def due(self, at: float | None) -> None:
        self._due = at
        self.plan += 1
        self._planned(self)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody subscribes to it, or did a moment ago."""
        return self.holders > 0 or self.linger is not None

    @property
    def is_regular(self) -> bool:
        """Whether it is read again and again, and not only when something is said of it."""
        return self.state is not SubjectState.GONE and (self.is_wanted or self.is_in_turn)

    @property
    def is_needed(self) -> bool:
        """Whether anybody has a reason to keep it."""
        return self.is_wanted or self.is_regular or self.is_once or bool(self.waiting)

    @property
    def is_waited_for(self) -> bool:
        """Whether a client that named it waits for it."""
        return bool(self.waiting) and self.is_wanted

    def touch(self, at: float) -> None:
        """Something happened: read it at `at`, or again, because a reading under way may have begun before."""
        if self.state is SubjectState.READING:
            self.again = True
        elif self.state is SubjectState.IDLE and not (self.is_urgent and self._due is not None and self._due <= at):
            self.is_urgent = True
            self.due = at if self._due is None else min(self._due, at)

    def wait(self, at: float) -> "asyncio.Future[None]":
        """Done when a reading that begins after this call has ended; it raises what that raises."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.state is SubjectState.GONE:
            future.set_result(None)
        else:
            self.waiting.append(future)
            self.touch(at)
            if self.state is SubjectState.IDLE and len(self.waiting) == 1:
                self.due = self._due  # it matters more now
        return future

    def begin(self, now: float) -> "list[asyncio.Future[None]]":
        """A reading begins; those who wait for it."""
        self.state = SubjectState.READING
        self.started = now
        self.due = None
        self.is_urgent = self.again = False
        waiting, self.waiting = self.waiting, []
        return waiting


def answer(waiting: "list[asyncio.Future[None]]") -> None:
    """Tell those who wait that it was read."""
    for future in waiting:
        if not future.done():
            future.set_result(None)


def fail(waiting: "list[asyncio.Future[None]]", error: GatewayError) -> None:
    """Tell those who wait why it was not."""
    for future in waiting:
        if not future.done():
            future.set_exception(error)
            future.exception()  # whoever waited may be gone
