"""Intents: what a mutation is about to do, committed before a vendor is asked, so that no crash leaves a write that nobody knows of."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from domain.paging import micros
from storage import sqlite
from storage.columns import from_json, instant, to_json
from storage.database import Database, Row, Transaction

_INTENT = (
    "id, organization_id, principal, mutation, idempotency_key, input_hash, source_id, chat_id, newest_known, message_id, "
    "reply_id, state, result, created_at, process"
)
KEPT = timedelta(hours=24)
"""How long an idempotency key is remembered."""


class IntentState(StrEnum):
    """How far a write is. OPEN: it runs, or its process died. UNKNOWN: it may have been done; reads will settle it."""

    OPEN = "OPEN"
    DONE = "DONE"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One write. `result` holds ids only. `newest_known`: the newest message of the chat before it; what it wrote stands after that."""

    id: int = 0
    """Given by the store."""
    organization_id: int
    principal: str
    mutation: str
    idempotency_key: str | None
    input_hash: bytes
    source_id: int
    chat_id: str = ""
    newest_known: str | None = None
    message_id: str | None = None
    reply_id: str | None = None
    state: IntentState = IntentState.OPEN
    result: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime
    process: str | None = None
    """The process that does it, or did; None: one of an older release."""
    is_new: bool = False
    """Set on what `open_intent` answers when this call opened it; False: an earlier request used the same key."""
    supersedes: tuple[str, ...] = ()
    """Set there too: the messages of an attempt under the same key that certainly did nothing."""


class Intents:
    """The intents of all organizations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_intent(self, tx: Transaction, intent: Intent) -> Intent:
        """Commit to a write; or what an earlier request with the same (organization, principal, mutation, key) did within 24 hours."""
        failed: tuple[str, ...] = ()
        if intent.idempotency_key is not None:
            failed = await self._forget_key(tx, intent)
            sql, parameters = _by_key(intent.organization_id, intent.principal, intent.mutation, intent.idempotency_key)
            row = await tx.fetch_one(sql, parameters)
            if row is not None:
                return _intent(row)
        names = _INTENT.removeprefix("id, ")
        placeholders = ", ".join(f":{name}" for name in names.split(", "))
        sql = f"INSERT INTO intent ({names}) VALUES ({placeholders}) RETURNING {_INTENT}"
        values = {name: getattr(intent, name) for name in names.split(", ")}
        values |= {"result": to_json(intent.result), "created_at": micros(intent.created_at)}
        (row,) = await tx.execute(sql, values)
        return replace(_intent(row), is_new=True, supersedes=failed)

    async def finish(
        self,
        tx: Transaction,
        intent_id: int,
        state: IntentState,
        result: Mapping[str, Any] | None = None,
    ) -> None:
        """Say how a write ended; without a `result` the one it has stays."""
        sql = "UPDATE intent SET state = :state, result = coalesce(:result, result) WHERE id = :id"
        written = to_json(result) if result is not None else None
        await tx.execute(sql, {"id": intent_id, "state": state, "result": written})

    async def settle(
        self,
        tx: Transaction,
        intent_id: int,
        state: IntentState,
        result: Mapping[str, Any] | None = None,
    ) -> None:
        """As `finish`, for somebody else's: what was said by whoever did it stays."""
        sql = (
            "UPDATE intent SET state = :state, result = coalesce(:result, result) WHERE id = :id "
            "AND state IN ('OPEN', 'UNKNOWN')"
        )
        written = to_json(result) if result is not None else None
        await tx.execute(sql, {"id": intent_id, "state": state, "result": written})

    async def by_key(self, organization_id: int, principal: str, mutation: str, key: str) -> Intent | None:
        """What the request with an idempotency key did."""
        row = await self._database.fetch_one(*_by_key(organization_id, principal, mutation, key))
        return _intent(row) if row else None

    async def get(self, organization_id: int, intent_id: int) -> Intent | None:
        """One intent."""
        sql = f"SELECT {_INTENT} FROM intent WHERE organization_id = :organization_id AND id = :id"
        row = await self._database.fetch_one(sql, {"organization_id": organization_id, "id": intent_id})
        return _intent(row) if row else None

    async def open_intents(self, limit: int = 1000) -> list[Intent]:
        """The newest `limit` writes of any organization that are OPEN or UNKNOWN, oldest first."""
        sql = (
            f"SELECT {_INTENT} FROM intent {sqlite.by_index('intent_open')} WHERE state IN ('OPEN', 'UNKNOWN') "
            "ORDER BY id DESC LIMIT :limit"
        )
        rows = await self._database.fetch_all(sql, {"limit": limit})
        return [_intent(row) for row in reversed(rows)]

    async def forget_before(self, tx: Transaction, organization_id: int, moment: datetime) -> None:
        """Drop what is settled and older."""
        sql = (
            "DELETE FROM intent WHERE organization_id = :organization_id AND created_at < :moment "
            "AND state NOT IN ('OPEN', 'UNKNOWN')"
        )
        await tx.execute(sql, {"organization_id": organization_id, "moment": micros(moment)})

    async def _forget_key(self, tx: Transaction, intent: Intent) -> tuple[str, ...]:
        """A key that is too old, or whose request certainly did nothing, is free again. Its intent stays, without the key.

        The messages of a request that did nothing.
        """
        sql = (
            "UPDATE intent SET idempotency_key = NULL WHERE organization_id = :organization_id AND principal = :principal "
            "AND mutation = :mutation AND idempotency_key = :key AND (created_at < :before OR state = 'FAILED') "
            "RETURNING state, message_id, reply_id"
        )
        _, parameters = _by_key(intent.organization_id, intent.principal, intent.mutation, intent.idempotency_key or "")
        rows = await tx.execute(sql, {**parameters, "before": micros(intent.created_at - KEPT)})
        return tuple(id_ for state, *ids in rows if state == IntentState.FAILED for id_ in ids if id_ is not None)


def _by_key(organization_id: int, principal: str, mutation: str, key: str) -> tuple[str, dict[str, Any]]:
    sql = (
        f"SELECT {_INTENT} FROM intent WHERE organization_id = :organization_id AND principal = :principal "
        "AND mutation = :mutation AND idempotency_key = :key"
    )
    return sql, {"organization_id": organization_id, "principal": principal, "mutation": mutation, "key": key}


def _intent(row: Row) -> Intent:
    return Intent(
        id=row[0],
        organization_id=row[1],
        principal=row[2],
        mutation=row[3],
        idempotency_key=row[4],
        input_hash=bytes(row[5]),
        source_id=row[6],
        chat_id=row[7],
        newest_known=row[8],
        message_id=row[9],
        reply_id=row[10],
        state=IntentState(row[11]),
        result=from_json(row[12]),
        created_at=instant(row[13]),
        process=row[14],
    )
