"""How far the list of a source's chats is known: its baseline, when it was drained, when it was last seen."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.paging import micros
from storage.columns import instant_or_none, micros_or_none
from storage.database import Database, Reader, Transaction

_SEEN_EVERY = timedelta(minutes=1)
"""`seen_at` is written at most this often when nothing else changes; this process knows it exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListState:
    """`baseline_at`: since when unknown chats are news; None before. `oldest`: the order key of the oldest row of that first reading, None: it was whole.

    `drained_at`: when the last reading of the whole list was started; `is_complete`: it came to the end.
    """

    baseline_at: datetime | None = None
    oldest: int | None = None
    seen_at: datetime | None = None
    drained_at: datetime | None = None
    is_complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ListReach:
    """How much of a list one reading showed; `oldest` is the least order key in it."""

    started_at: datetime
    has_newest: bool
    is_whole: bool
    oldest: int | None


class ListStates:
    """The states of all sources."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[int, datetime] = {}
        self._written: dict[int, ListState] = {}
        """As this process last read or wrote it. Others only complete it: a baseline stays, `oldest` goes, `seen_at` grows."""

    async def get(self, reader: Reader, organization_id: int, source_id: int) -> ListState:
        """The state of a source; of one that was never read, the empty one."""
        sql = (
            "SELECT baseline_at, oldest, seen_at, drained_at, is_complete FROM source_state "
            "WHERE organization_id = :organization_id AND source_id = :source_id"
        )
        row = await reader.fetch_one(sql, {"organization_id": organization_id, "source_id": source_id})
        if row is None:
            return ListState()
        return ListState(
            baseline_at=instant_or_none(row[0]),
            oldest=row[1],
            seen_at=instant_or_none(row[2]),
            drained_at=instant_or_none(row[3]),
            is_complete=bool(row[4]),
        )

    async def put(self, tx: Transaction, organization_id: int, source_id: int, state: ListState) -> None:
        """Write the state of a source."""
        sql = (
            "INSERT INTO source_state (source_id, organization_id, baseline_at, oldest, seen_at, drained_at, is_complete) "
            "VALUES (:source_id, :organization_id, :baseline_at, :oldest, :seen_at, :drained_at, :is_complete) "
            "ON CONFLICT (source_id) DO UPDATE SET baseline_at = excluded.baseline_at, oldest = excluded.oldest, "
            "seen_at = excluded.seen_at, drained_at = excluded.drained_at, is_complete = excluded.is_complete "
            "WHERE source_state.organization_id = excluded.organization_id"
        )
        values = {
            "source_id": source_id,
            "organization_id": organization_id,
            "baseline_at": micros_or_none(state.baseline_at),
            "oldest": state.oldest,
            "seen_at": micros_or_none(state.seen_at),
            "drained_at": micros_or_none(state.drained_at),
            "is_complete": state.is_complete,
        }
        await tx.execute(sql, values)

    async def last_seen(self, organization_id: int, source_id: int) -> datetime | None:
        """When the source last showed anything of its list."""
        async with self._database.reader() as reader:
            state = await self.get(reader, organization_id, source_id)
        known = [moment for moment in (state.seen_at, self._seen.get(source_id)) if moment is not None]
        return max(known, default=None)

    async def observed(
        self, tx: Transaction, organization_id: int, source_id: int, state: ListState, reach: ListReach
    ) -> None:
        """Note a reading of the list: the first with the newest end is the baseline, and a whole one leaves nothing before it."""
        if not reach.has_newest:
            return
        after = _after(state, reach)
        kept = state if _says_nothing_new(state, after, reach) else after
        tx.after_commit(lambda: self._note(source_id, kept, reach.started_at))
        if kept is after:
            await self.put(tx, organization_id, source_id, after)

    def recognise(self, source_id: int, reach: ListReach) -> bool:
        """Note a reading that `observed` would write nothing of; False: it would. Runs no statement."""
        if not reach.has_newest:
            return True
        state = self._written.get(source_id)
        if state is None or not _says_nothing_new(state, _after(state, reach), reach):
            return False
        self._note_seen(source_id, reach.started_at)
        return True

    def has_known_baseline(self, source_id: int) -> bool:
        """Whether a reading of the list with its newest end was committed by this process. It stays as long as the source."""
        return source_id in self._written

    def _note(self, source_id: int, state: ListState, moment: datetime) -> None:
        self._written[source_id] = state
        self._note_seen(source_id, moment)

    def _note_seen(self, source_id: int, moment: datetime) -> None:
        self._seen[source_id] = max(self._seen.get(source_id, moment), moment)


def _after(state: ListState, reach: ListReach) -> ListState:
    """The state once a reading with the newest end is noted."""
    after = replace(state, seen_at=max(state.seen_at or reach.started_at, reach.started_at))
    if state.baseline_at is None:
        return replace(after, baseline_at=reach.started_at, oldest=None if reach.is_whole else reach.oldest)
    return replace(after, oldest=None) if reach.is_whole else after


def _says_nothing_new(state: ListState, after: ListState, reach: ListReach) -> bool:
    return replace(after, seen_at=state.seen_at) == state and _is_recent(state.seen_at, reach.started_at)


def _is_recent(seen_at: datetime | None, now: datetime) -> bool:
    return seen_at is not None and micros(now) - micros(seen_at) < _SEEN_EVERY // timedelta(microseconds=1)
