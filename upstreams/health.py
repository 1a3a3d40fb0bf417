"""How one source has been answering lately, kept from the calls that are made anyway."""

from collections.abc import Callable
from datetime import datetime

from domain.records import Health, HealthState
from upstreams.breaker import BreakerState


class HealthRecord:
    """Counts nothing that a restart would miss: the last success, the last failure, and how often an answer was not as documented."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._checked_at: datetime | None = None
        self._last_success_at: datetime | None = None
        self._latency_ms: int | None = None
        self._message: str | None = None
        self._contract_drift = 0

    def succeeded(self, seconds: float) -> None:
        """A call was answered as it should be."""
        self._checked_at = self._last_success_at = self._now()
        self._latency_ms = round(seconds * 1000)
        self._message = None

    def failed(self, message: str) -> None:
        """A call failed in a way that is the source's, or its settings', fault. `message` holds no secret."""
        self._checked_at = self._now()
        self._message = message

    def drifted(self, places: int = 1) -> None:
        """An answer, or rows of it, did not have the documented shape."""
        self._contract_drift += places

    def read(self, breaker: BreakerState) -> Health:
        """The health as a record."""
        return Health(
            state=self._state(breaker),
            checked_at=self._checked_at,
            last_success_at=self._last_success_at,
            latency_ms=self._latency_ms,
            message=self._message,
            contract_drift=self._contract_drift,
        )

    def _state(self, breaker: BreakerState) -> HealthState:
        if self._checked_at is None:
            return HealthState.UNKNOWN
        if breaker is not BreakerState.CLOSED:
            return HealthState.DOWN
        return HealthState.HEALTHY if self._message is None else HealthState.DEGRADED
