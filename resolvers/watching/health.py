"""What watching shows of a source's health, told once per change in the log.

    FINE ◀──read again──▶ FAILING (several readings in a row failed, for some time)
      ▲
      └──fast enough──▶ SLOW (its chats cannot be read often enough inside its quota)

The log is asked what was told last: another process, or this one before a restart, may have told it already.
"""

import logging
import sqlite3
from dataclasses import replace
from enum import StrEnum

from domain.records import EventKind, Health, HealthState, Source
from resolvers.context import Context
from storage.database import Transaction

_log = logging.getLogger(__name__)
_FAILURES = 3
_FAILING_SECONDS = 10.0
"""A source that is watched at a hundred places fails a hundred times in one hiccup."""
_MARGIN = 0.8
"""Recovered only when well below the bound, so that it does not change all the time."""


class WatchState(StrEnum):
    """How well a source can be watched."""

    FINE = "FINE"
    SLOW = "SLOW"
    FAILING = "FAILING"


class WatchHealth:
    """The state of one source. `bound_seconds`: beyond this time between two readings of a chat it is SLOW."""

    def __init__(self, bound_seconds: float) -> None:
        self._bound = bound_seconds
        self._failures = 0
        self._failing_since = 0.0
        self._is_failing = False
        self._interval = 0.0
        self._told: WatchState | None = None
        self.message: str | None = None

    @property
    def state(self) -> WatchState:
        """As of the last reading."""
        if self._is_failing:
            return WatchState.FAILING
        bound = self._bound * (_MARGIN if self._told is WatchState.SLOW else 1.0)
        return WatchState.SLOW if self._interval > bound else WatchState.FINE

    async def failed(self, context: Context, source: Source, message: str, now: float) -> None:
        """A reading failed by the source's fault; `message` holds no secret. `now` is of the monotonic clock."""
        if self._failures == 0:
            self._failing_since = now
        self._failures += 1
        self.message = message
        if self._failures >= _FAILURES and now - self._failing_since >= _FAILING_SECONDS:
            self._is_failing = True
            await self._tell(context, source)

    async def succeeded(self, context: Context, source: Source, interval_seconds: float, per_minute: float) -> None:
        """A reading succeeded. `interval_seconds`: how long it takes at least until everything that is watched was read once."""
        self._failures = 0
        self._is_failing = False
        self._interval = interval_seconds
        self.message = None
        if self.state is WatchState.SLOW:
            self.message = (
                f"Inside the {per_minute:g} readings a minute that watching may make here, each chat is read every "
                f"{interval_seconds:.0f} s. New messages may come that late."
            )
        await self._tell(context, source)

    def laid_over(self, health: Health) -> Health:
        """What the calls showed, with what watching shows."""
        if self.state is WatchState.SLOW and health.state in (HealthState.HEALTHY, HealthState.UNKNOWN):
            return replace(health, state=HealthState.DEGRADED, message=self.message)
        return health

    async def _tell(self, context: Context, source: Source) -> None:
        state = self.state
        if state is self._told:
            return

        async def unit(tx: Transaction) -> None:
            events, organization_id = context.store.events, context.organization.id
            kind = EventKind.SOURCE_HEALTH_CHANGED
            last = await events.newest_of_source(tx, organization_id, kind, source.id)
            if (last.detail.get("state") if last is not None else WatchState.FINE.value) == state.value:
                return
            detail = {"state": state.value, "message": self.message}
            await events.append(tx, organization_id, kind, source.id, detail=detail, at=context.now())

        try:
            await context.store.database.write(unit)
        except sqlite3.Error:  # a full or busy disk: the next reading tells it
            _log.exception("%s: a change of its health could not be logged.", source.key)
        else:
            self._told = state
