"""How fast one credential may ask: our own token bucket, and what the vendor says about its limits."""

from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_FARTHEST_SECONDS = 3600.0
_LONGEST_WAIT_SECONDS = 7 * 24 * 3600.0
_ROUNDING = 1e-6
_WINDOW_SECONDS = 60.5
"""A minute, and what the way to the vendor may differ between two calls."""


class Quota:
    """A token bucket of `per_minute` calls (None: no bound of ours), which also obeys what the vendor announces.

    `at_most` is for small quotas instead: so many calls in whichever minute, all of them at once if need be.
    Shared by all sources with the same credential at the same vendor.
    """

    def __init__(
        self, monotonic: Callable[[], float], *, per_minute: float | None = None, at_most: int | None = None
    ) -> None:
        self._monotonic = monotonic
        self._taken: deque[float] = deque(maxlen=at_most or 0)
        self._rate = per_minute / 60 if per_minute else None
        # A tenth of the minute may come in one burst, so that the vendor's own window is never overrun by much.
        self._capacity = max(1.0, (per_minute or 0) / 10)
        self._tokens = self._capacity
        self._filled_at = monotonic()
        self._blocked_until = 0.0

    def wait_seconds(self) -> float:
        """How long until the next call may go; 0 when it may go now. Takes nothing."""
        now = self._monotonic()
        wait = max(0.0, self._blocked_until - now)
        if self._taken.maxlen and len(self._taken) == self._taken.maxlen:
            wait = max(wait, self._taken[0] + _WINDOW_SECONDS - now)
        if self._rate is not None:
            self._fill(now)
            if self._tokens < 1 - _ROUNDING:
                wait = max(wait, (1 - self._tokens) / self._rate)
        return wait

    def take(self) -> None:
        """Count one call."""
        self._taken.append(self._monotonic())
        if self._rate is not None:
            self._fill(self._monotonic())
            self._tokens -= 1

    def block_for(self, seconds: float) -> None:
        """The vendor asked for silence."""
        until = self._monotonic() + min(max(seconds, 0.0), _FARTHEST_SECONDS)
        self._blocked_until = max(self._blocked_until, until)

    def obey(self, headers: Mapping[str, str], now: datetime) -> None:
        """Read `X-RateLimit-Remaining` and `X-RateLimit-Reset` (unix seconds, or seconds from now when it is small)."""
        remaining, reset = number(headers.get("x-ratelimit-remaining")), number(headers.get("x-ratelimit-reset"))
        if remaining is None or reset is None or remaining >= 1:
            return
        self.block_for(reset - now.timestamp() if reset > _FARTHEST_SECONDS * 24 else reset)

    def _fill(self, now: float) -> None:
        if self._rate is not None:
            self._tokens = min(self._capacity, self._tokens + (now - self._filled_at) * self._rate)
            self._filled_at = now


def number(text: str | None) -> float | None:
    """A header's number, None when it is none."""
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and abs(value) < 1e12 else None


def longest_wait(seconds: float | None) -> float | None:
    """A wait that the body of a refusal names, at most a week: windows of usage may be so long, and clients count milliseconds in 32 bits."""
    return min(seconds, _LONGEST_WAIT_SECONDS) if seconds is not None else None


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """`Retry-After` in seconds from now, whether it was written as seconds or as a date; None when absent or not readable."""
    text = headers.get("retry-after")
    if text is None:
        return None
    if (seconds := number(text)) is not None:
        return min(max(0.0, seconds), _FARTHEST_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), _FARTHEST_SECONDS)
