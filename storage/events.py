"""The log of an organization: what became known, in the order in which it was committed.

A unit that logs gathers its lines and numbers them as its last act. Units, and processes, commit one after another, so the order
of positions is the order of commits, without holes: a unit that is rolled back gives its positions back.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from domain.paging import micros
from domain.records import GATEWAY, Event, EventKind
from storage.columns import from_json, instant, to_json
from storage.database import Database, Reader, Row, Transaction

OnCommit = Callable[[int, int], None]
"""(organization id, newest committed position)."""

_AT_ONCE = 2000
"""Lines that are forgotten in one transaction: a few milliseconds."""

_EVENT = "organization_id, seq, kind, source_id, chat_id, native_id, revision, occurred_at, detail"


class Events:
    """All logs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._on_commit: list[OnCommit] = []

    def on_commit(self, callback: OnCommit) -> None:
        """Call back in the loop after each commit of this process that logged something."""
        self._on_commit.append(callback)

    async def append(
        self,
        tx: Transaction,
        organization_id: int,
        kind: EventKind,
        source_id: int = GATEWAY,
        chat_id: str = "",
        native_id: str = "",
        revision: int | None = None,
        detail: Mapping[str, Any] | None = None,
        *,
        at: datetime,
    ) -> None:
        """Log a line; it gets its position when the unit ends. Without a `revision` it is the next one of this kind and row."""
        if revision is None:
            revision = await self._next_revision(tx, organization_id, kind, source_id, chat_id, native_id)
        waiting: list[Event] | None = tx.kept.get(self)
        if waiting is None:
            waiting = tx.kept[self] = []
            tx.before_end(lambda: self._number(tx))
        waiting.append(
            Event(
                organization_id=organization_id,
                seq=0,
                kind=kind,
                source_id=source_id,
                chat_id=chat_id,
                native_id=native_id,
                revision=revision,
                occurred_at=at,
                detail=detail or {},
            )
        )

    async def head(self, organization_id: int) -> int:
        """The newest committed position; 0 when nothing was logged yet."""
        sql = "SELECT head FROM organization_stream WHERE organization_id = :organization_id"
        row = await self._database.fetch_one(sql, {"organization_id": organization_id})
        return int(row[0]) if row else 0

    async def oldest(self, organization_id: int) -> int | None:
        """The oldest position that is still kept. None when nothing is: whoever stands at `head` has missed nothing."""
        sql = "SELECT min(seq) FROM event WHERE organization_id = :organization_id"
        row = await self._database.fetch_one(sql, {"organization_id": organization_id})
        return row[0] if row else None

    async def after(self, organization_id: int, seq: int, limit: int) -> list[Event]:
        """The first `limit` lines behind a position."""
        sql = f"SELECT {_EVENT} FROM event WHERE organization_id = :organization_id AND seq > :seq ORDER BY seq LIMIT :limit"
        rows = await self._database.fetch_all(sql, {"organization_id": organization_id, "seq": seq, "limit": limit})
        return [_event(row) for row in rows]

    async def last_of_message(self, organization_id: int, source_id: int, chat_id: str, message_id: str) -> int:
        """The position of the newest line about a message; 0 when there is none."""
        sql = (
            "SELECT coalesce(max(seq), 0) FROM event WHERE organization_id = :organization_id "
            "AND kind IN ('MESSAGE_CREATED', 'MESSAGE_UPDATED', 'MESSAGE_DELETED') "
            "AND source_id = :source_id AND chat_id = :chat_id AND native_id = :message_id"
        )
        parameters = {
            "organization_id": organization_id,
            "source_id": source_id,
            "chat_id": chat_id,
            "message_id": message_id,
        }
        row = await self._database.fetch_one(sql, parameters)
        return int(row[0]) if row else 0

    async def newest_of_source(
        self, reader: Reader, organization_id: int, kind: EventKind, source_id: int
    ) -> Event | None:
        """The newest line of a kind about a source as a whole, as the reader or transaction at hand sees it."""
        sql = (
            f"SELECT {_EVENT} FROM event WHERE organization_id = :organization_id AND kind = :kind AND source_id = :source_id "
            "AND chat_id = '' AND native_id = '' ORDER BY revision DESC LIMIT 1"
        )
        row = await reader.fetch_one(sql, {"organization_id": organization_id, "kind": kind, "source_id": source_id})
        return _event(row) if row is not None else None

    async def forget_before(
        self, tx: Transaction, organization_id: int, moment: datetime, limit: int = _AT_ONCE
    ) -> bool:
        """Drop the lines that are older, at most `limit` of them, because all other writers wait meanwhile; whether more are left.

        Positions go on counting.
        """
        # Times within a log may stand a little out of order, positions never: drop a beginning, not single lines.
        sql = (
            "SELECT min(seq), coalesce((SELECT min(seq) FROM event WHERE organization_id = :organization_id "
            "AND occurred_at >= :moment), max(seq) + 1) FROM event WHERE organization_id = :organization_id"
        )
        row = await tx.fetch_one(sql, {"organization_id": organization_id, "moment": micros(moment)})
        if row is None or row[0] is None:
            return False
        oldest, kept = int(row[0]), int(row[1])
        until = min(kept, oldest + limit)
        sql = "DELETE FROM event WHERE organization_id = :organization_id AND seq < :until"
        await tx.execute(sql, {"organization_id": organization_id, "until": until})
        return until < kept

    async def _number(self, tx: Transaction) -> None:
        lines: list[Event] = tx.kept[self]
        of_organization: dict[int, list[Event]] = {}
        for line in lines:
            of_organization.setdefault(line.organization_id, []).append(line)
        for organization_id, own in of_organization.items():
            head = await self._take(tx, organization_id, len(own))
            first = head - len(own) + 1
            await tx.execute_many(
                f"INSERT INTO event ({_EVENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [_row(line, seq) for seq, line in enumerate(own, first)],
            )
            tx.after_commit(lambda organization_id=organization_id, head=head: self._tell(organization_id, head))  # type: ignore[misc]

    async def _take(self, tx: Transaction, organization_id: int, number: int) -> int:
        sql = "UPDATE organization_stream SET head = head + :number WHERE organization_id = :organization_id RETURNING head"
        ((head,),) = await tx.execute(sql, {"organization_id": organization_id, "number": number})
        return int(head)

    def _tell(self, organization_id: int, head: int) -> None:
        for callback in self._on_commit:
            callback(organization_id, head)

    async def _next_revision(
        self, tx: Transaction, organization_id: int, kind: EventKind, source_id: int, chat_id: str, native_id: str
    ) -> int:
        sql = (
            "SELECT coalesce(max(revision), 0) + 1 FROM event WHERE organization_id = :organization_id "
            "AND kind = :kind AND source_id = :source_id AND chat_id = :chat_id AND native_id = :native_id"
        )
        parameters = {
            "organization_id": organization_id,
            "kind": kind,
            "source_id": source_id,
            "chat_id": chat_id,
            "native_id": native_id,
        }
        ((revision,),) = await tx.fetch_all(sql, parameters)
        waiting: list[Event] = tx.kept.get(self, [])
        same = [
            line.revision
            for line in waiting
            if (line.organization_id, line.kind, line.source_id, line.chat_id, line.native_id)
            == (organization_id, kind, source_id, chat_id, native_id)
        ]
        return max([int(revision), *(one + 1 for one in same)])


def _row(line: Event, seq: int) -> Row:
    return (
        line.organization_id,
        seq,
        line.kind,
        line.source_id,
        line.chat_id,
        line.native_id,
        line.revision,
        micros(line.occurred_at),
        to_json(line.detail) if line.detail else None,
    )


def _event(row: Row) -> Event:
    return Event(
        organization_id=row[0],
        seq=row[1],
        kind=EventKind(row[2]),
        source_id=row[3],
        chat_id=row[4],
        native_id=row[5],
        revision=row[6],
        occurred_at=instant(row[7]),
        detail=from_json(row[8]) if row[8] is not None else {},
    )
