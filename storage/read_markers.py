"""Up to where each principal has read each chat.

    no marker ──mark──▶ at a message ──mark what stands behind it──▶ at that message
         ▲                   │  ╰─ mark what stands before it ─▶ stays, unless it was asked to move back
         ╰─the chat is deleted─╯

Each move is one line of the log, told to the principal alone. The count of what is unread follows from marker and path when it is
asked for; there is no counter that could go wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.paging import micros
from domain.records import EventKind
from storage import sqlite
from storage.columns import instant, micros_or_none
from storage.database import Database, Row, Transaction
from storage.events import Events

ChatId = tuple[int, str]
"""(source id, chat)."""

_OF_CHAT = "organization_id = :organization_id AND source_id = :source_id AND chat_id = :chat_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMarker:
    """The last message that a principal has read in a chat, and when that was said."""

    source_id: int
    chat_id: str
    message_id: str
    marked_at: datetime


_OF_WANTED = (
    "FROM message WHERE message.organization_id = :organization_id AND message.source_id = wanted.source "
    "AND message.chat_id = wanted.chat"
)

_READ_UP_TO = (
    "coalesce("
    f"(SELECT message.position {_OF_WANTED} AND message.native_id = marker.message_id), "
    f"(SELECT max(message.position) {_OF_WANTED} AND message.position IS NOT NULL "
    "AND message.created_at <= marker.message_at), "
    "CASE WHEN marker.message_at IS NOT NULL AND chat.oldest IS NULL AND NOT EXISTS ("
    f"SELECT 1 {_OF_WANTED} AND message.position IS NULL AND message.deleted_at IS NULL) THEN -1 END)"
)
"""The place on the active path up to which a chat was read, -1 before its beginning, null where that is not known.

It is the place of the marked message. Where that was deleted or stands on another branch, it is the last place of its time or
before. Where there is none, the whole path is new; unless messages are known that are not on it: then it may begin in the middle,
after a reading of the newest ones only.
"""


class ReadMarkers:
    """The markers of all principals."""

    def __init__(self, database: Database, events: Events, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._events = events
        self._clock = clock

    async def set_marker(
        self,
        tx: Transaction,
        organization_id: int,
        principal: str,
        source_id: int,
        chat_id: str,
        message_id: str,
        message_at: datetime | None = None,
        at: datetime | None = None,
        *,
        backwards: bool = False,
    ) -> bool:
        """Move a marker, forwards only unless `backwards` too; whether it moved.

        `message_at` counts where the store does not know the message.
        """
        key = {"organization_id": organization_id, "source_id": source_id, "chat_id": chat_id}
        position, known_at = await self._place(tx, {**key, "message_id": message_id})
        moment = known_at if known_at is not None else micros_or_none(message_at)
        sql = f"SELECT message_id, position, message_at, revision FROM read_marker WHERE {_OF_CHAT} AND principal = :principal"
        old = await tx.fetch_one(sql, {**key, "principal": principal})
        if old is not None:
            now_at = (await self._place(tx, {**key, "message_id": old[0]}))[0]
            if old[0] == message_id or not (backwards or _is_forward(old, now_at, position, moment)):
                return False
        marked_at = at or self._clock()
        sql = (
            "INSERT INTO read_marker (organization_id, principal, source_id, chat_id, message_id, position, message_at, "
            "marked_at, revision) VALUES (:organization_id, :principal, :source_id, :chat_id, :message_id, :position, "
            ":message_at, :marked_at, 1) ON CONFLICT (organization_id, principal, source_id, chat_id) DO UPDATE SET "
            "message_id = excluded.message_id, position = excluded.position, message_at = excluded.message_at, "
            "marked_at = excluded.marked_at, revision = read_marker.revision + 1"
        )
        values = {
            **key,
            "principal": principal,
            "message_id": message_id,
            "position": position,
            "message_at": moment,
            "marked_at": micros(marked_at),
        }
        await tx.execute(sql, values)
        detail = {"principal": principal, "message_id": message_id}
        kind = EventKind.READ_STATE_CHANGED
        await self._events.append(tx, organization_id, kind, source_id, chat_id, chat_id, detail=detail, at=marked_at)
        return True

    async def markers(self, organization_id: int, principal: str, keys: Sequence[ChatId]) -> dict[ChatId, ReadMarker]:
        """The markers of those chats that have one."""
        sql = (
            "SELECT marker.source_id, marker.chat_id, marker.message_id, marker.marked_at "
            f"FROM {sqlite.rows_of('keys', 'source', 'chat')} AS wanted CROSS JOIN read_marker AS marker "
            "ON marker.organization_id = :organization_id AND marker.principal = :principal "
            "AND marker.source_id = wanted.source AND marker.chat_id = wanted.chat"
        )
        parameters = {"organization_id": organization_id, "principal": principal, "keys": sqlite.packed(keys)}
        return {(row[0], row[1]): _marker(row) for row in await self._database.fetch_all(sql, parameters)}

    async def unread_counts(
        self, organization_id: int, principal: str, keys: Sequence[ChatId]
    ) -> dict[ChatId, int | None]:
        """How many messages of the active path stand behind the marker, those apart that the principal sent; one statement for all chats.

        None when there is no marker, when the chat's messages were never read to their newest end, or when it is not known what
        stands between the marker and what is known: see `_READ_UP_TO`.
        """
        sql = (
            "SELECT source, chat, path_length - 1 - read_up_to - ("
            "SELECT count(*) FROM message WHERE organization_id = :organization_id AND source_id = source "
            "AND chat_id = chat AND sent_by = :principal AND position > read_up_to) "
            f"FROM (SELECT wanted.source, wanted.chat, chat.path_length, {_READ_UP_TO} AS read_up_to "
            f"FROM {sqlite.rows_of('keys', 'source', 'chat')} AS wanted CROSS JOIN read_marker AS marker "
            "ON marker.organization_id = :organization_id AND marker.principal = :principal "
            "AND marker.source_id = wanted.source AND marker.chat_id = wanted.chat "
            "CROSS JOIN chat ON chat.organization_id = :organization_id AND chat.source_id = wanted.source "
            "AND chat.native_id = wanted.chat AND chat.has_baseline AND chat.deleted_at IS NULL)"
        )
        parameters = {"organization_id": organization_id, "principal": principal, "keys": sqlite.packed(keys)}
        counts: dict[ChatId, int | None] = dict.fromkeys(keys)
        for source_id, chat_id, count in await self._database.fetch_all(sql, parameters):
            counts[source_id, chat_id] = count
        return counts

    async def _place(self, tx: Transaction, parameters: dict[str, object]) -> tuple[int | None, int | None]:
        """Position and time of a message, as far as the store knows them."""
        sql = f"SELECT position, created_at FROM message WHERE {_OF_CHAT} AND native_id = :message_id"
        row = await tx.fetch_one(sql, parameters)
        return (row[0], row[1]) if row is not None else (None, None)


def _is_forward(old: Row, old_position: int | None, position: int | None, moment: int | None) -> bool:
    """By the places on the path where both stand on it, else by time; where neither tells, whoever marks is right."""
    if old_position is not None and position is not None:
        return position > old_position
    if old[2] is not None and moment is not None:
        return bool(moment > old[2])
    return True


def _marker(row: Row) -> ReadMarker:
    return ReadMarker(source_id=row[0], chat_id=row[1], message_id=row[2], marked_at=instant(row[3]))
