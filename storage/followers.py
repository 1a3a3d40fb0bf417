"""Who follows which reply: the processes share the work, and see what one that died has left behind."""

from dataclasses import dataclass
from datetime import datetime

from domain.records import Message
from storage import sqlite
from storage.columns import instant
from storage.database import Database, Transaction
from storage.message_rows import MESSAGE, message_of

ReplyId = tuple[int, str, str]
"""(source id, chat, message)."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A message that is not final. `is_own`: it was written through the gateway. `changed_at`: when a reading last showed another content.

    `follower`: the process that last followed it, None where none ever did.
    """

    message: Message
    is_own: bool
    changed_at: datetime
    follower: str | None


class Followers:
    """The messages of all organizations that are pending or being written."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unfinished(self, limit: int) -> list[Unfinished]:
        """At most `limit` of them, those that were begun last first."""
        sql = (
            f"SELECT {MESSAGE}, message.is_own, message.changed_at, message.follower FROM message "
            f"{sqlite.by_index('message_unfinished')} WHERE message.state IN ('PENDING', 'STREAMING') "
            "AND message.deleted_at IS NULL ORDER BY message.id DESC LIMIT :limit"
        )
        rows = await self._database.fetch_all(sql, {"limit": limit})
        return [Unfinished(message_of(row), bool(row[-3]), instant(row[-2]), row[-1]) for row in rows]

    async def take(self, tx: Transaction, organization_id: int, reply: ReplyId, process: str) -> None:
        """This process follows it from now on."""
        sql = f"UPDATE message SET follower = :process WHERE {_ONE}"
        await tx.execute(sql, {**_parameters(organization_id, reply), "process": process})

    async def claim(
        self, tx: Transaction, organization_id: int, reply: ReplyId, process: str, instead_of: str | None
    ) -> bool:
        """The same, if it is still unfinished and nobody was faster."""
        sql = (
            f"UPDATE message SET follower = :process WHERE {_ONE} AND follower IS :before "
            "AND state IN ('PENDING', 'STREAMING') RETURNING id"
        )
        values = {**_parameters(organization_id, reply), "process": process, "before": instead_of}
        return bool(await tx.execute(sql, values))


_ONE = (
    "organization_id = :organization_id AND source_id = :source_id AND chat_id = :chat_id AND native_id = :message_id"
)


def _parameters(organization_id: int, reply: ReplyId) -> dict[str, object]:
    source_id, chat_id, message_id = reply
    return {
        "organization_id": organization_id,
        "source_id": source_id,
        "chat_id": chat_id,
        "message_id": message_id,
    }
