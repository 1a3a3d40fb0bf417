"""How much one credential may be asked by all feeds together, so that the vendor's quota holds and requests of users still get through."""

from collections.abc import Callable

_BURST_SECONDS = 10.0
"""So many seconds' worth of readings may come at once."""


class Budget:
    """A token bucket of `per_minute` readings.

    What somebody waits for is read at once, and a long reading has as many pages as it has; both are counted afterwards: then the bucket is in
    debt, and the others wait longer, at most a minute.
    """

    def __init__(self, monotonic: Callable[[], float], per_minute: float) -> None:
        self._monotonic = monotonic
        self._rate = per_minute / 60
        self._capacity = max(1.0, self._rate * _BURST_SECONDS)
        self._tokens = self._capacity
        self._filled_at = monotonic()
        self._blocked_until = self._filled_at
        self.demand: dict[object, int] = {}
        """Who shares it, and how many chats and lists each of them reads again and again."""

    @property
    def per_minute(self) -> float:
        """Its size."""
        return self._rate * 60

    def wait_seconds(self) -> float:
        """How long until the next reading may begin; 0 when it may now."""
        now = self._monotonic()
        self._fill(now)
        missing = max(0.0, 1 - self._tokens) / self._rate
        # Less than a microsecond is rounding, and would be waited for without end.
        return wait if (wait := max(missing, self._blocked_until - now)) > 1e-6 else 0.0

    def blocked_seconds(self) -> float:
        """For how long nobody may ask, because the vendor said so."""
        return max(0.0, self._blocked_until - self._monotonic())

    def take(self) -> None:
        """Count one reading, or one page of a long one."""
        self._fill(self._monotonic())
        self._tokens = max(self._tokens - 1, -self.per_minute)

    def block_for(self, seconds: float) -> None:
        """The source asked for silence, or cannot be asked."""
        self._blocked_until = max(self._blocked_until, self._monotonic() + seconds)

    def interval_seconds(self) -> float:
        """How long it takes to read everything once that is read again and again."""
        return sum(self.demand.values()) / self._rate

    def _fill(self, now: float) -> None:
        self._tokens = min(self._capacity, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now


class Budgets:
    """One for each credential that is in use."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._by_key: dict[tuple[str, float], Budget] = {}

    def of(self, credential: str, per_minute: float) -> Budget:
        """The budget of a credential, made on first use."""
        key = (credential, per_minute)
        if key not in self._by_key:
            self._by_key[key] = Budget(self._monotonic, per_minute)
        return self._by_key[key]

    def forget_unused(self) -> None:
        """Nobody shares them any more."""
        self._by_key = {key: budget for key, budget in self._by_key.items() if budget.demand}
