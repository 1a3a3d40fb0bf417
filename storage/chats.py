"""Chats: what the mirror knows of them, how a reading changes it, and what the organization lays over it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from domain.paging import micros
from domain.records import Chat, EventKind, FolderRef, Overlay
from storage import sqlite
from storage.chat_list import ChatQuery, count_statement, in_order, page_statement
from storage.chat_rows import (
    CHAT,
    STATE,
    WRITE,
    KnownChat,
    chat_of,
    known_chat,
    parameters_of,
    told_values,
    written,
)
from storage.database import Database, Transaction
from storage.events import Events
from storage.list_states import ListReach, ListState, ListStates
from storage.message_rows import purge_messages
from storage.observations import Observed, merge
from storage.overlays import UNSET, Unset, overlaid, overlay_record, overlays_of, remove_overlay, write_overlay
from storage.seen import SeenChats
from storage.seen_messages import SeenMessages

__all__ = ["UNSET", "ChatQuery", "Chats", "ChatsSeen", "Observed", "WatchedChat"]

ChatId = tuple[int, str]
"""(source id, native id)."""

SEEN_EVERY = 60_000_000
"""`seen_at` of a row that does not change is written at most this often, in microseconds."""

_CLOCKS_DIFFER = timedelta(minutes=1)
"""How far the clocks of vendor and gateway may be apart."""


class WatchedChat(NamedTuple):
    """What watching needs to know of a chat. `has_baseline`: what its next reading shows anew is news."""

    native_id: str
    has_baseline: bool
    read_mark: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatsSeen:
    """Rows of one source's list, or single chats of it.

    `started_at`: when the request was started. `from_newest`: the rows begin with the newest of the source, without a gap; `is_whole`: they
    are all that there are. `is_own_write`: the gateway itself has just created or changed them. `is_certain`: they were made in this very
    transaction, so no row can be newer.
    """

    organization_id: int
    source_id: int
    rows: Sequence[Chat]
    started_at: datetime
    from_newest: bool
    is_whole: bool
    is_own_write: bool = False
    is_certain: bool = False


class Chats:
    """The chats of all sources, the local ones included."""

    def __init__(self, database: Database, events: Events, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._events = events
        self._clock = clock
        self._seen = SeenChats()
        self.seen_messages = SeenMessages()
        """Of `Messages`; here, because a chat that goes takes its messages with it."""
        self._lists = ListStates(database)

    # Reading

    async def page(self, query: ChatQuery) -> list[Chat]:
        """One page, in the order of the list whichever way it is cut; `as_of` is when a row was last seen."""
        sql, parameters = page_statement(query)
        return in_order([chat_of(row) for row in await self._database.fetch_all(sql, parameters)], query.order)

    async def count(self, query: ChatQuery) -> int:
        """How many rows all pages of a query have together."""
        sql, parameters = count_statement(query)
        row = await self._database.fetch_one(sql, parameters)
        return int(row[0]) if row else 0

    async def get_many(self, organization_id: int, keys: Sequence[ChatId]) -> dict[ChatId, Chat]:
        """Those of `keys` that are known and not deleted. `told` are the fields that are known."""
        sql = (
            f"SELECT {CHAT} FROM {sqlite.rows_of('keys', 'source', 'native')} AS wanted CROSS JOIN chat "
            "ON chat.organization_id = :organization_id AND chat.source_id = wanted.source "
            "AND chat.native_id = wanted.native AND chat.deleted_at IS NULL"
        )
        parameters = {"organization_id": organization_id, "keys": sqlite.packed(keys)}
        chats = [chat_of(row) for row in await self._database.fetch_all(sql, parameters)]
        return {chat.key: chat for chat in chats}

    async def get(self, organization_id: int, source_id: int, chat_id: str) -> Chat | None:
        """One chat."""
        return (await self.get_many(organization_id, [(source_id, chat_id)])).get((source_id, chat_id))

    async def get_in(self, tx: Transaction, organization_id: int, source_id: int, chat_id: str) -> Chat | None:
        """One chat, as the transaction at hand sees it."""
        sql = (
            f"SELECT {CHAT} FROM chat WHERE organization_id = :organization_id AND source_id = :source_id "
            "AND native_id = :chat_id AND deleted_at IS NULL"
        )
        parameters = {"organization_id": organization_id, "source_id": source_id, "chat_id": chat_id}
        row = await tx.fetch_one(sql, parameters)
        return chat_of(row) if row is not None else None

    async def overlays(self, organization_id: int, keys: Sequence[ChatId]) -> dict[ChatId, Overlay]:
        """The overlays of those chats that have one."""
        async with self._database.reader() as reader:
            kept = await overlays_of(reader, organization_id, keys)
        return {key: overlay_record(values) for key, values in kept.items()}

    async def native_ids(self, organization_id: int, source_id: int) -> list[str]:
        """Every chat of a source that is known and not deleted."""
        sql = (
            "SELECT native_id FROM chat WHERE organization_id = :organization_id AND source_id = :source_id "
            "AND deleted_at IS NULL"
        )
        parameters = {"organization_id": organization_id, "source_id": source_id}
        return [row[0] for row in await self._database.fetch_all(sql, parameters)]

    async def watched(self, organization_id: int, source_id: int, limit: int) -> list[WatchedChat]:
        """The chats of a source that are known and not deleted, those with the newest activity first."""
        sql = (
            "SELECT native_id, has_baseline, read_mark FROM chat WHERE organization_id = :organization_id "
            "AND source_id = :source_id AND deleted_at IS NULL ORDER BY updated_key DESC, native_id LIMIT :limit"
        )
        parameters = {"organization_id": organization_id, "source_id": source_id, "limit": limit}
        return [WatchedChat(row[0], bool(row[1]), row[2]) for row in await self._database.fetch_all(sql, parameters)]

    async def set_read_mark(
        self, tx: Transaction, organization_id: int, source_id: int, chat_id: str, mark: str | None
    ) -> None:
        """What the chat's row in the list said when all its messages had been read; None: that is not certain."""
        sql = (
            "UPDATE chat SET read_mark = :mark WHERE organization_id = :organization_id AND source_id = :source_id "
            "AND native_id = :chat_id AND read_mark IS NOT :mark"
        )
        parameters = {"organization_id": organization_id, "source_id": source_id, "chat_id": chat_id, "mark": mark}
        await tx.execute(sql, parameters)

    async def last_seen(self, organization_id: int, source_id: int) -> datetime | None:
        """When the source last showed anything of its list."""
        return await self._lists.last_seen(organization_id, source_id)

    async def list_state(self, organization_id: int, source_id: int) -> ListState:
        """How far the source's list is known."""
        async with self._database.reader() as reader:
            return await self._lists.get(reader, organization_id, source_id)

    async def set_list_state(
        self, tx: Transaction, organization_id: int, source_id: int, *, drained_at: datetime, is_complete: bool
    ) -> None:
        """Note that the list was drained: when the reading was started, and whether it came to the end."""
        state = await self._lists.get(tx, organization_id, source_id)
        state = replace(state, drained_at=drained_at, is_complete=is_complete)
        await self._lists.put(tx, organization_id, source_id, state)

    # What a reading showed

    def recognise(self, seen: ChatsSeen) -> bool:
        """Take note of a reading of which the mirror holds everything already; False: it has to be observed. Runs no statement.

        Decided by what this process remembers while nothing is being written. What another process has written since then is
        noticed with the next unit, and after `SEEN_EVERY` at the latest: not enough for an answer that promises a commit.
        """
        if seen.is_own_write or not self._database.is_idle:
            return False
        since = micros(seen.started_at) - SEEN_EVERY
        if not all(self._seen.is_remembered(chat, written_since=since) for chat in seen.rows):
            return False
        return self._lists.recognise(seen.source_id, _reach(seen))

    def has_known_baseline(self, source_id: int) -> bool:
        """Whether this process has committed a reading of the source's list, so that no later one is the first."""
        return self._lists.has_known_baseline(source_id)

    async def observe(self, tx: Transaction, seen: ChatsSeen) -> Observed:
        """Bring what a reading showed into the mirror, with the events that follow from it."""
        since = micros(seen.started_at) - SEEN_EVERY
        fresh = {
            chat.native_id: chat for chat in seen.rows if not self._seen.is_unchanged(tx, chat, written_since=since)
        }
        state = await self._lists.get(tx, seen.organization_id, seen.source_id)
        observed = await self._merge(tx, seen, state, fresh) if fresh else Observed()
        await self._lists.observed(tx, seen.organization_id, seen.source_id, state, _reach(seen))
        return observed

    async def _merge(self, tx: Transaction, seen: ChatsSeen, state: ListState, fresh: Mapping[str, Chat]) -> Observed:
        organization_id, source_id = seen.organization_id, seen.source_id
        keys = [(source_id, native_id) for native_id in fresh]
        rows = await self._known(tx, organization_id, keys)
        is_any_new = any(key not in rows or rows[key].deleted_at is not None for key in keys)
        kept = await overlays_of(tx, organization_id, keys) if is_any_new else {}
        started_at = micros(seen.started_at)
        changed_at = micros(self._clock()) if seen.is_own_write else started_at
        writes: list[KnownChat] = []
        news: list[tuple[EventKind, KnownChat]] = []
        outdated: list[str] = []
        for native_id, chat in fresh.items():
            key, told = (source_id, native_id), told_values(chat)
            row = rows.get(key)
            if row is None or row.deleted_at is not None:
                if (
                    row is not None
                    and row.deleted_at is not None
                    and row.deleted_at >= started_at
                    and not seen.is_certain
                ):
                    outdated.append(native_id)
                    continue
                base = KnownChat(organization_id=organization_id, source_id=source_id, native_id=native_id)
                merged, _, _ = merge(base, told)
                merged = overlaid(merged, kept.get(key, {}))
                is_news = row is not None or _is_news(seen, state, merged)
                merged.revision = row.revision + 1 if row is not None else 1
                merged.has_baseline = is_news
                if is_news:
                    news.append((EventKind.CHAT_CREATED, merged))
            else:
                merged, is_written, is_news = merge(row, told)
                if is_written and row.changed_at > started_at and not seen.is_certain:
                    outdated.append(native_id)
                    continue
                if not is_written:
                    if row.seen_at + SEEN_EVERY <= started_at:
                        await self.set_seen_at(tx, organization_id, key, started_at)
                        row.seen_at = started_at
                    self._seen.remember(tx, chat, seen_at=row.seen_at)
                    continue
                if is_news:
                    merged.revision = row.revision + 1
                    news.append((EventKind.CHAT_UPDATED, merged))
            merged.changed_at = changed_at
            merged.seen_at = max(merged.seen_at, started_at)
            writes.append(merged)
            self._seen.forget(tx, key)
            self._seen.remember(tx, chat, seen_at=merged.seen_at)
        if writes:
            await tx.execute_many(WRITE, [parameters_of(row) for row in writes])
        for kind, row in news:
            await self._log(tx, kind, row)
        return Observed(tuple(row.native_id for _, row in news), tuple(outdated))

    # What the organization writes itself

    async def set_overlay(
        self,
        tx: Transaction,
        organization_id: int,
        source_id: int,
        chat_id: str,
        *,
        title: str | Unset | None = UNSET,
        metadata: Mapping[str, Any] | Unset | None = UNSET,
        tags: Sequence[str] | Unset | None = UNSET,
        pinned: bool | Unset | None = UNSET,
        archived: bool | Unset | None = UNSET,
        folder: FolderRef | Unset | None = UNSET,
        at: datetime | None = None,
    ) -> bool:
        """Keep something about a chat here; None stops keeping it. Whether the chat looks different now.

        An overlay may come before its chat was ever seen: it is laid over the row as soon as there is one.
        """
        given = {
            "title": title,
            "metadata": metadata,
            "tags": tags,
            "pinned": pinned,
            "archived": archived,
            "folder": folder,
        }
        changes = {name: written(name, value) for name, value in given.items() if value is not UNSET}
        key = (source_id, chat_id)
        kept = (await overlays_of(tx, organization_id, [key])).get(key, {}) | changes
        kept = {name: value for name, value in kept.items() if value is not None}
        await write_overlay(tx, organization_id, source_id, chat_id, kept)
        row = (await self._known(tx, organization_id, [key])).get(key)
        if row is None or row.deleted_at is not None:
            return False
        merged = overlaid(row, changes)
        is_changed = merged.values != row.values
        if merged == row:
            return False
        if is_changed:
            # `changed_at` stays: no reading can overwrite what is overlaid, and one that is on its way still counts for the rest.
            merged.revision = row.revision + 1
            await self._log(tx, EventKind.CHAT_UPDATED, merged, at)
        self._seen.forget(tx, key)
        await tx.execute_many(WRITE, [parameters_of(merged)])
        return is_changed

    async def remove(self, tx: Transaction, organization_id: int, source_id: int, chat_id: str, at: datetime) -> bool:
        """Leave a tombstone of a chat and of its messages; overlay and markers go. False when it was deleted already."""
        key = (source_id, chat_id)
        row = (await self._known(tx, organization_id, [key])).get(key)
        if row is not None and row.deleted_at is not None:
            return False
        moment = micros(at)
        tombstone = KnownChat(
            organization_id=organization_id,
            source_id=source_id,
            native_id=chat_id,
            revision=(row.revision if row is not None else 0) + 1,
            changed_at=moment,
            seen_at=moment,
            deleted_at=moment,
        )
        await tx.execute_many(WRITE, [parameters_of(tombstone)])
        await purge_messages(tx, organization_id, source_id, chat_id, moment)
        await remove_overlay(tx, organization_id, source_id, chat_id)
        self._seen.forget(tx, key)
        self.seen_messages.forget(tx, key)
        await self._log(tx, EventKind.CHAT_DELETED, tombstone, at)
        return True

    async def in_folders(self, tx: Transaction, organization_id: int, refs: Sequence[FolderRef]) -> list[ChatId]:
        """The chats that are filed in one of `refs`."""
        sql = (
            f"SELECT chat.source_id, chat.native_id FROM {sqlite.rows_of('refs', 'source', 'folder')} AS wanted "
            "CROSS JOIN chat ON chat.organization_id = :organization_id AND chat.folder_source_id = wanted.source "
            "AND chat.folder_id = wanted.folder AND chat.deleted_at IS NULL"
        )
        packed = sqlite.packed((ref.source_id, ref.native_id) for ref in refs)
        rows = await tx.fetch_all(sql, {"organization_id": organization_id, "refs": packed})
        return [(row[0], row[1]) for row in rows]

    async def forget_unseen(self, tx: Transaction, organization_id: int, before: datetime, keep: Sequence[int]) -> int:
        """Drop what no reading has shown since `before`, except of the sources `keep`; how many chats. Overlays stay.

        A chat that the log still speaks of stays too: revisions go on from its row, and the log takes each only once.
        """
        sql = (
            "DELETE FROM chat WHERE organization_id = :organization_id AND seen_at < :before "
            f"AND source_id NOT IN {sqlite.values_of('keep')} AND NOT EXISTS (SELECT 1 FROM event "
            f"WHERE event.organization_id = :organization_id AND event.kind IN {sqlite.values_of('kinds')} "
            "AND event.source_id = chat.source_id AND event.chat_id = chat.native_id) RETURNING source_id, native_id"
        )
        parameters = {
            "organization_id": organization_id,
            "before": micros(before),
            "keep": sqlite.packed(keep),
            "kinds": sqlite.packed(EventKind),
        }
        rows = await tx.execute(sql, parameters)
        for source_id, native_id in rows:
            self._seen.forget(tx, (source_id, native_id))
            self.seen_messages.forget(tx, (source_id, native_id))
        return len(rows)

    async def _known(self, tx: Transaction, organization_id: int, keys: Sequence[ChatId]) -> dict[ChatId, KnownChat]:
        """The rows of `keys` as they are, tombstones included."""
        sql = (
            f"SELECT {CHAT}, {STATE} FROM {sqlite.rows_of('keys', 'source', 'native')} AS wanted CROSS JOIN chat "
            "ON chat.organization_id = :organization_id AND chat.source_id = wanted.source AND chat.native_id = wanted.native"
        )
        rows = await tx.fetch_all(sql, {"organization_id": organization_id, "keys": sqlite.packed(keys)})
        return {(row[1], row[2]): known_chat(row) for row in rows}

    async def set_seen_at(self, tx: Transaction, organization_id: int, key: ChatId, seen_at: int) -> None:
        """Note that a reading has shown something of a chat, in microseconds."""
        sql = (
            "UPDATE chat SET seen_at = max(seen_at, :seen_at) WHERE organization_id = :organization_id "
            "AND source_id = :source_id AND native_id = :native_id"
        )
        parameters = {
            "organization_id": organization_id,
            "source_id": key[0],
            "native_id": key[1],
            "seen_at": seen_at,
        }
        await tx.execute(sql, parameters)

    async def _log(self, tx: Transaction, kind: EventKind, row: KnownChat, at: datetime | None = None) -> None:
        await self._events.append(
            tx,
            row.organization_id,
            kind,
            row.source_id,
            row.native_id,
            row.native_id,
            row.revision,
            at=at or self._clock(),
        )


def _is_news(seen: ChatsSeen, state: ListState, row: KnownChat) -> bool:
    """Whether a chat that was not known is new, and not history or an older row that a later page shows."""
    if seen.is_own_write:
        return True
    if state.baseline_at is None:
        return False
    if state.oldest is None or row.updated_key is None or row.updated_key > state.oldest:
        return True
    # As old as the last row of the first page: a vendor's clock is coarse, and many chats may have been made in one go.
    created_at = row.values.get("created_at")
    is_recent = created_at is None or created_at >= micros(state.baseline_at - _CLOCKS_DIFFER)
    return row.updated_key == state.oldest and is_recent


def _reach(seen: ChatsSeen) -> ListReach:
    keys = [micros(moment) for chat in seen.rows if (moment := _updated(chat)) is not None]
    return ListReach(
        started_at=seen.started_at,
        has_newest=seen.from_newest or seen.is_whole,
        is_whole=seen.is_whole or not seen.rows,
        oldest=min(keys, default=None),
    )


def _updated(chat: Chat) -> datetime | None:
    """What `updated_key` is made of, before it is written: a field that is not told is None."""
    return chat.updated_at or chat.last_message_at or chat.created_at
