"""Reading messages: windows of the active path for one chat or many at once, branches, single messages."""

from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

from domain.errors import BadCursor
from domain.records import Message
from domain.source import MessageWindow
from domain.tree import branch_path, by_id, cut
from storage import sqlite
from storage.database import Database, Reader
from storage.message_rows import MESSAGE, message_of

ChatId = tuple[int, str]
"""(source id, chat)."""
MessageId = tuple[int, str, str]
"""(source id, chat, message)."""

_OF_CHAT = (
    "message.organization_id = :organization_id AND message.source_id = :source_id AND message.chat_id = :chat_id"
)


class Window(NamedTuple):
    """A part of a path, oldest first. `total` is the length of the whole path."""

    messages: list[Message]
    has_before: bool
    has_after: bool
    total: int


class Footing(NamedTuple):
    """What a reading of a part of a chat can stand on. `certain`: those of the messages asked for that belong to the stretch that is known
    without holes; `is_partial`: older messages than the baseline may exist.
    """

    has_baseline: bool
    is_partial: bool
    certain: frozenset[str]


class MessageReads:
    """What can be asked of the messages that the store knows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def window(self, organization_id: int, source_id: int, chat_id: str, window: MessageWindow) -> Window:
        """A part of the active path, or of the path through `window.branch`. Empty when nothing is known of the chat.

        `BadCursor` when `after` or `before` is not on the path.
        """
        if window.branch is not None:
            return await self._branch(organization_id, source_id, chat_id, window)
        windows = await self.windows_many(organization_id, [(source_id, chat_id)], window)
        return windows.get((source_id, chat_id), Window([], False, False, 0))

    async def windows_many(
        self, organization_id: int, keys: Sequence[ChatId], window: MessageWindow
    ) -> dict[ChatId, Window]:
        """The same part of the active paths of several chats, in one statement; chats that are not known are left out."""
        parameters = {
            "organization_id": organization_id,
            "keys": sqlite.packed(keys),
            "after": window.after,
            "before": window.before,
            "first": window.first,
            "last": window.last,
        }
        found: dict[ChatId, tuple[int, int, int, list[tuple[int, Message]]]] = {}
        for row in await self._database.fetch_all(windows_statement(window), parameters):
            source_id, chat_id, start, end, total, position = row[:6]
            if start is None or end is None:
                raise _not_on_path()
            entry = found.setdefault((source_id, chat_id), (start, end, total, []))
            if position is not None:
                entry[3].append((position, message_of(row[6:])))
        return {key: _window(*entry, window) for key, entry in found.items()}

    async def tree(self, organization_id: int, source_id: int, chat_id: str) -> list[Message]:
        """Every message of a chat that is not deleted, in the order in which they were learned of."""
        async with self._database.reader() as reader:
            return await self.tree_in(reader, organization_id, source_id, chat_id)

    async def tree_in(self, reader: Reader, organization_id: int, source_id: int, chat_id: str) -> list[Message]:
        """The same, as the reader or transaction at hand sees it."""
        sql = f"SELECT {MESSAGE} FROM message WHERE {_OF_CHAT} AND message.deleted_at IS NULL ORDER BY message.id"
        parameters = {"organization_id": organization_id, "source_id": source_id, "chat_id": chat_id}
        return [message_of(row) for row in await reader.fetch_all(sql, parameters)]

    async def is_in(self, reader: Reader, organization_id: int, source_id: int, chat_id: str, message_id: str) -> bool:
        """Whether a chat has a message that is not deleted, as the reader or transaction at hand sees it."""
        sql = (
            f"SELECT 1 FROM message WHERE {_OF_CHAT} AND message.native_id = :message_id AND message.deleted_at IS NULL"
        )
        parameters = {
            "organization_id": organization_id,
            "source_id": source_id,
            "chat_id": chat_id,
            "message_id": message_id,
        }
        return await reader.fetch_one(sql, parameters) is not None

    async def trees_many(self, organization_id: int, keys: Sequence[ChatId]) -> dict[ChatId, list[Message]]:
        """The trees of several chats in one statement; chats without messages are left out."""
        sql = (
            f"SELECT {MESSAGE} FROM {sqlite.rows_of('keys', 'source', 'chat')} AS wanted CROSS JOIN message "
            "ON message.organization_id = :organization_id AND message.source_id = wanted.source "
            "AND message.chat_id = wanted.chat WHERE message.deleted_at IS NULL ORDER BY wanted.place, message.id"
        )
        trees: dict[ChatId, list[Message]] = {}
        parameters = {"organization_id": organization_id, "keys": sqlite.packed(keys)}
        for row in await self._database.fetch_all(sql, parameters):
            message = message_of(row)
            trees.setdefault((message.source_id, message.chat_id), []).append(message)
        return trees

    async def active_leaf(self, organization_id: int, source_id: int, chat_id: str) -> str | None:
        """The end of the active path; None when it is empty or nothing is known."""
        async with self._database.reader() as reader:
            return await self.leaf_in(reader, organization_id, source_id, chat_id)

    async def newest_id(self, organization_id: int, source_id: int, chat_id: str) -> str | None:
        """The newest message of the active path: what a write that is about to happen comes after."""
        return await self.active_leaf(organization_id, source_id, chat_id)

    async def get_many(self, organization_id: int, keys: Sequence[MessageId]) -> dict[MessageId, Message]:
        """Messages by id. A deleted one is there without its words, with `deleted_at`."""
        sql = (
            f"SELECT {MESSAGE} FROM {sqlite.rows_of('keys', 'source', 'chat', 'native')} AS wanted CROSS JOIN message "
            "ON message.organization_id = :organization_id AND message.source_id = wanted.source "
            "AND message.chat_id = wanted.chat AND message.native_id = wanted.native"
        )
        parameters = {"organization_id": organization_id, "keys": sqlite.packed(keys)}
        messages = [message_of(row) for row in await self._database.fetch_all(sql, parameters)]
        return {message.key: message for message in messages}

    async def get(self, organization_id: int, source_id: int, chat_id: str, message_id: str) -> Message | None:
        """One message, deleted or not."""
        key = (source_id, chat_id, message_id)
        return (await self.get_many(organization_id, [key])).get(key)

    async def last_messages(self, organization_id: int, keys: Sequence[ChatId]) -> dict[ChatId, Message]:
        """The newest message of each active path that has one."""
        windows = await self.windows_many(organization_id, keys, MessageWindow(last=1))
        return {key: window.messages[-1] for key, window in windows.items() if window.messages}

    async def has_baseline(self, organization_id: int, keys: Sequence[ChatId]) -> set[ChatId]:
        """Those chats whose messages were read with the newest end: for them the store can answer."""
        sql = (
            f"SELECT chat.source_id, chat.native_id FROM {sqlite.rows_of('keys', 'source', 'chat')} AS wanted "
            "CROSS JOIN chat ON chat.organization_id = :organization_id AND chat.source_id = wanted.source "
            "AND chat.native_id = wanted.chat AND chat.has_baseline AND chat.deleted_at IS NULL"
        )
        rows = await self._database.fetch_all(sql, {"organization_id": organization_id, "keys": sqlite.packed(keys)})
        return {(row[0], row[1]) for row in rows}

    async def footing(self, organization_id: int, source_id: int, chat_id: str, message_ids: Sequence[str]) -> Footing:
        """How messages of a chat join what is known of it."""
        sql = (
            "SELECT chat.has_baseline, chat.oldest, message.native_id FROM chat LEFT JOIN message "
            "ON message.organization_id = :organization_id AND message.source_id = :source_id AND message.chat_id = :chat_id "
            f"AND message.native_id IN {sqlite.values_of('ids')} AND message.deleted_at IS NULL AND NOT message.is_apart "
            "WHERE chat.organization_id = :organization_id AND chat.source_id = :source_id AND chat.native_id = :chat_id "
            "AND chat.deleted_at IS NULL"
        )
        parameters = {
            "organization_id": organization_id,
            "source_id": source_id,
            "chat_id": chat_id,
            "ids": sqlite.packed(message_ids),
        }
        rows = await self._database.fetch_all(sql, parameters)
        if not rows:
            return Footing(False, False, frozenset())
        return Footing(
            bool(rows[0][0]), rows[0][1] is not None, frozenset(row[2] for row in rows if row[2] is not None)
        )

    async def unfinished_in(self, organization_id: int, source_id: int, chat_id: str) -> list[Message]:
        """The messages of one chat that are pending or being written, in the order in which they were begun."""
        sql = (
            f"SELECT {MESSAGE} FROM message WHERE {_OF_CHAT} AND message.deleted_at IS NULL "
            "AND message.state IN ('PENDING', 'STREAMING') ORDER BY message.id"
        )
        parameters = {"organization_id": organization_id, "source_id": source_id, "chat_id": chat_id}
        return [message_of(row) for row in await self._database.fetch_all(sql, parameters)]

    async def failed_in(self, organization_id: int, source_id: int, chat_id: str) -> list[Message]:
        """The failed messages of one chat that the gateway wrote, and that their source has never shown, in the order in which they were begun."""
        sql = (
            f"SELECT {MESSAGE} FROM message WHERE {_OF_CHAT} AND message.deleted_at IS NULL "
            "AND message.state = 'FAILED' AND message.is_own AND NOT EXISTS (SELECT 1 FROM message_alias AS alias "
            "WHERE alias.organization_id = message.organization_id AND alias.source_id = message.source_id "
            "AND alias.chat_id = message.chat_id AND alias.public_id = message.native_id) ORDER BY message.id"
        )
        parameters = {"organization_id": organization_id, "source_id": source_id, "chat_id": chat_id}
        return [message_of(row) for row in await self._database.fetch_all(sql, parameters)]

    async def aliases(self, organization_id: int, source_id: int, chat_id: str) -> dict[str, str]:
        """Native id to the id under which the message was given out; empty for nearly every chat."""
        sql = (
            "SELECT native_id, public_id FROM message_alias WHERE organization_id = :organization_id "
            "AND source_id = :source_id AND chat_id = :chat_id"
        )
        parameters = {"organization_id": organization_id, "source_id": source_id, "chat_id": chat_id}
        return {row[0]: row[1] for row in await self._database.fetch_all(sql, parameters)}

    async def unfinished(self, organization_id: int) -> list[Message]:
        """Messages that are not final: after a start, nobody may be following them any more."""
        sql = (
            f"SELECT {MESSAGE} FROM message WHERE message.organization_id = :organization_id "
            "AND message.state IN ('PENDING', 'STREAMING') AND message.deleted_at IS NULL ORDER BY message.id"
        )
        return [message_of(row) for row in await self._database.fetch_all(sql, {"organization_id": organization_id})]

    async def _branch(self, organization_id: int, source_id: int, chat_id: str, window: MessageWindow) -> Window:
        messages = by_id(await self.tree(organization_id, source_id, chat_id))
        path = branch_path(messages, window.branch, None)
        part, has_before, has_after = cut(path, window)
        return Window(list(part), has_before, has_after, len(path))

    async def leaf_in(self, reader: Reader, organization_id: int, source_id: int, chat_id: str) -> str | None:
        """The end of the active path, as the reader or transaction at hand sees it."""
        sql = (
            "SELECT active_leaf FROM chat WHERE organization_id = :organization_id AND source_id = :source_id "
            "AND native_id = :chat_id AND deleted_at IS NULL"
        )
        parameters = {"organization_id": organization_id, "source_id": source_id, "chat_id": chat_id}
        row = await reader.fetch_one(sql, parameters)
        return row[0] if row else None

    async def extent_in(
        self, reader: Reader, organization_id: int, source_id: int, chat_id: str
    ) -> tuple[int, int | None]:
        """The length of the active path, and the newest time on it."""
        sql = f"SELECT count(*), max(created_at) FROM message WHERE {_OF_CHAT} AND message.position IS NOT NULL"
        parameters = {"organization_id": organization_id, "source_id": source_id, "chat_id": chat_id}
        row = await reader.fetch_one(sql, parameters)
        return (row[0], row[1]) if row is not None else (0, None)


def windows_statement(window: MessageWindow) -> str:
    """Reads the part of each path along its index: positions are dense, so a window is a stretch of them."""
    low = f"{_place_of('after')} + 1" if window.after is not None else "0"
    high = _place_of("before") if window.before is not None else "chat.path_length"
    return (
        f"SELECT ends.source_id, ends.native_id, ends.low, ends.high, ends.path_length, message.position, {MESSAGE} FROM ("
        f"SELECT chat.source_id, chat.native_id, chat.path_length, {low} AS low, {high} AS high "
        f"FROM {sqlite.rows_of('keys', 'source', 'chat')} AS wanted CROSS JOIN chat "
        "ON chat.organization_id = :organization_id AND chat.source_id = wanted.source "
        "AND chat.native_id = wanted.chat AND chat.deleted_at IS NULL) AS ends "
        "LEFT JOIN message ON message.organization_id = :organization_id AND message.source_id = ends.source_id "
        "AND message.chat_id = ends.native_id AND message.position IS NOT NULL "
        "AND message.position >= max(ends.low, CASE WHEN :last IS NULL THEN 0 ELSE ends.high - :last END) "
        "AND message.position < min(ends.high, CASE WHEN :first IS NULL THEN ends.high ELSE ends.low + :first END)"
    )


def _place_of(parameter: str) -> str:
    """The position of the message that a parameter names; null when it is not on the path."""
    return (
        "(SELECT cursor.position FROM message AS cursor WHERE cursor.organization_id = :organization_id "
        "AND cursor.source_id = chat.source_id AND cursor.chat_id = chat.native_id "
        f"AND cursor.native_id = :{parameter})"
    )


def _window(start: int, end: int, total: int, placed: list[tuple[int, Message]], window: MessageWindow) -> Window:
    if window.first is not None:
        end = min(end, start + window.first)
    elif window.last is not None:
        start = max(start, end - window.last)
    # Nearly free, since the index gives them in order; asked of the database it would be a sort of all rows with their texts.
    placed.sort(key=itemgetter(0))
    return Window([message for _, message in placed], start > 0, end < total, total)


def _not_on_path() -> BadCursor:
    return BadCursor(
        "The list of messages was to continue at a message that is not on this path (any more). Start again without a cursor."
    )
