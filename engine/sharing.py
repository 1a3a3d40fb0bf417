"""What has to be known of a source stream, and of those who listen to it, so that they can listen together.

The engine knows no more of a source than this: it is a log with positions, everything of which can be read again from a position on.
"""

from collections.abc import AsyncGenerator, Hashable, Sequence
from typing import Any, Protocol, runtime_checkable

from engine.requests import Response


class Telling(Protocol):
    """One thing to tell to many. `event` is for everybody but `to`, who gets `own`; None is for nobody.

    A piece of something that grows is `part_of` it: who has had no piece of it yet gets `whole` in place of `event`. Pieces stand
    at the position of the log that they come behind, everything else at a position of its own.
    """

    @property
    def position(self) -> int: ...
    @property
    def event(self) -> Any: ...
    @property
    def to(self) -> Hashable: ...
    @property
    def own(self) -> Any: ...
    @property
    def part_of(self) -> Hashable: ...
    @property
    def whole(self) -> Any: ...


class Batch(Protocol):
    """What comes next, in order, and the position that is reached with it."""

    @property
    def position(self) -> int: ...
    @property
    def told(self) -> Sequence[Telling]: ...


@runtime_checkable
class Shareable(Protocol):
    """A source stream over a log. Contexts say for whom it is read."""

    def replay(self, context: Any) -> AsyncGenerator[tuple[int, Any], None]:
        """What a subscription is told first, for itself: (position, event or None); the last position is where it can join others."""

    def catch_up(self, context: Any, position: int) -> AsyncGenerator[tuple[int, Any], None]:
        """As `replay`, for one that stands at `position` and could not keep up with the others."""

    def told(self, context: Any, position: int) -> AsyncGenerator[Batch, None]:
        """What comes behind `position`, for all who share it. Ends when something was lost, which `catch_up` then tells."""


class Rendered:
    """One response, serialised. `kept` is for a transport that wants to make something of it once."""

    __slots__ = ("event", "json", "kept")

    def __init__(self, json: bytes, event: Any) -> None:
        self.json = json
        self.event = event
        self.kept: bytes | None = None


class Receiver(Protocol):
    """One subscription that listens with others."""

    position: int
    """How far it has heard everything."""
    since: int
    """Since when it listens here, in pieces told; the broadcast's own note."""

    @property
    def address(self) -> Hashable:
        """Who it is, for what is told to one alone."""

    def context(self) -> Any:
        """A fresh context of its own."""

    def take(self, rendered: Rendered) -> bool:
        """Take one response. False: there is no room for it, and it was not taken."""

    def fell_out(self) -> None:
        """It listens here no more, and goes on by itself from `position`: it had no room, sees something else now, or something was lost."""

    def broke(self, response: Response) -> None:
        """The stream broke; this is the last that it hears."""


class Audiences(Protocol):
    """Who may be told the same."""

    async def of(self, context: Any, *, is_viewers_own: bool) -> Hashable:
        """The audience of whoever asks. `is_viewers_own`: of this one alone."""

    def context(self, audience: Any, *, request_id: str) -> Any:
        """What an event for all of an audience is executed with."""

    async def epoch(self, context: Any) -> Hashable:
        """Changes whenever somebody may have changed audiences. Waits while that is being looked at, so that what it returns is true now."""
