"""A circuit breaker: leaves a source alone that has failed several times in a row.

    CLOSED --(threshold failures in a row)--> OPEN --(after a while)--> HALF_OPEN --success--> CLOSED
                                               ^----------failure-----------'

While half open, one call goes through as a probe and all others are refused. Each failed probe doubles the wait, up to a bound.
"""

from collections.abc import Callable
from enum import StrEnum


class BreakerState(StrEnum):
    """Where the circuit is."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class Breaker:
    """The state for one source. A 5xx, a timeout and a broken connection are failures; every other answer is a success."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        threshold: int = 5,
        open_seconds: float = 5.0,
        longest_seconds: float = 60.0,
    ) -> None:
        self._monotonic = monotonic
        self._threshold = threshold
        self._first_wait = open_seconds
        self._longest = longest_seconds
        self._wait = open_seconds
        self._failures = 0
        self._open_until: float | None = None
        self._is_probing = False

    @property
    def state(self) -> BreakerState:
        """Where the circuit is now."""
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._monotonic() < self._open_until else BreakerState.HALF_OPEN

    def admit(self) -> float | None:
        """None when a call may go; else the seconds to wait. Each admitted call must be ended by one of the three methods below."""
        if self._open_until is None:
            return None
        left = self._open_until - self._monotonic()
        if left > 0:
            return left
        if self._is_probing:
            return 1.0
        self._is_probing = True
        return None

    def succeed(self) -> None:
        """The call was answered."""
        self._failures = 0
        self._open_until = None
        self._wait = self._first_wait
        self._is_probing = False

    def fail(self) -> None:
        """The call was not answered, or with a 5xx."""
        self._failures += 1
        was_probe, self._is_probing = self._is_probing, False
        if was_probe:
            self._wait = min(self._longest, self._wait * 2)
        if was_probe or (self._open_until is None and self._failures >= self._threshold):
            self._open_until = self._monotonic() + self._wait

    def abandon(self) -> None:
        """The call was given up by us (cancelled): it tells nothing about the source."""
        self._is_probing = False
