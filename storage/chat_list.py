"""One page of the chats that the store knows: the statement, read along an index, never sorted as a whole.

A list over several sources stands in the order of `domain.paging.comes_before`. Each source gives at most `limit` rows, out of up to three
stretches of its index that follow each other in the order: the rest of those equal to the key, those behind it, those whose value
is not known. The page is cut out of all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.capabilities import ChatOrder, ChatOrderField
from domain.paging import ChatKey, chat_key, micros
from domain.records import Chat, FolderRef
from storage import sqlite
from storage.chat_rows import CHAT

_COLUMN = {
    ChatOrderField.UPDATED_AT: ("updated_key", "chat_by_updated"),
    ChatOrderField.CREATED_AT: ("created_at", "chat_by_created"),
    ChatOrderField.TITLE: ("title_key", "chat_by_title"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatQuery:
    """Which chats, and which page of them: `limit` rows behind `after`, or the last `limit` ahead of `before`, in the order of the list either way.

    None filters nothing. `pinned` and `archived` take what is not known for "no". `folders` are alternatives; every one of `tags` is wanted.
    `text` is looked for in titles, whatever the case.
    """

    organization_id: int
    source_ids: tuple[int, ...]
    order: ChatOrder = field(default_factory=ChatOrder)
    after: ChatKey | None = None
    before: ChatKey | None = None
    from_end: bool = False
    """Without `before`: the last `limit` rows of the whole list."""
    limit: int = 100
    folders: tuple[FolderRef, ...] | None = None
    unfiled: bool | None = None
    tags: tuple[str, ...] = ()
    pinned: bool | None = None
    archived: bool | None = None
    updated_since: datetime | None = None
    text: str | None = None


def page_statement(query: ChatQuery) -> tuple[str, dict[str, Any]]:
    """The statement of a page; its rows come in any order, see `in_order`."""
    column, index = _COLUMN[query.order.field]
    if query.order.descending:
        index += "_desc"
    filters, parameters = _filters(query)
    backwards = query.before is not None or query.from_end
    direction = _direction(query.order.descending, backwards)
    ties = _direction(False, backwards)
    key = query.before if query.before is not None else query.after
    if key is not None:
        parameters |= {"key": key[1], "key_id": key[3]}
    stretches = []
    for number, source_id in enumerate(query.source_ids):
        parameters[f"source_{number}"] = source_id
        for condition in _stretches(query, column, key, source_id, backwards):
            stretches.append(
                f"SELECT * FROM (SELECT chat.id, {column} AS sort_key, source_id, native_id "
                f"FROM chat {sqlite.by_index(index)} WHERE organization_id = :organization_id AND source_id = :source_{number} "
                f"AND deleted_at IS NULL AND {condition}{filters} ORDER BY {column} {direction}, native_id {ties} LIMIT :limit)"
            )
    if not stretches:
        return f"SELECT {CHAT} FROM chat WHERE organization_id = :organization_id AND 0", parameters
    unknown_last = _direction(False, backwards)
    return (
        f"SELECT {CHAT} FROM (SELECT id FROM ({' UNION ALL '.join(stretches)}) "
        f"ORDER BY sort_key IS NULL {unknown_last}, sort_key {direction}, source_id {ties}, native_id {ties} LIMIT :limit) AS page "
        "JOIN chat ON chat.id = page.id AND chat.organization_id = :organization_id"
    ), parameters


def count_statement(query: ChatQuery) -> tuple[str, dict[str, Any]]:
    """How many there are on all pages together."""
    filters, parameters = _filters(query)
    parameters["sources"] = sqlite.packed(query.source_ids)
    return (
        "SELECT count(*) FROM chat WHERE organization_id = :organization_id "
        f"AND source_id IN {sqlite.values_of('sources')} AND deleted_at IS NULL{filters}"
    ), parameters


def in_order(chats: list[Chat], order: ChatOrder) -> list[Chat]:
    """Sorted as `comes_before` says: by source and id, then, keeping that, by value, then the unknown to the end."""
    keyed = sorted(((chat_key(chat, order.field), chat) for chat in chats), key=lambda pair: pair[0][2:])
    keyed.sort(key=lambda pair: pair[0][1], reverse=order.descending)
    keyed.sort(key=lambda pair: pair[0][0])
    return [chat for _, chat in keyed]


def _stretches(query: ChatQuery, column: str, key: ChatKey | None, source_id: int, backwards: bool) -> Iterator[str]:
    """The conditions of the stretches of one source that lie on the wanted side of `key`."""
    known, unknown = f"{column} IS NOT NULL", f"{column} IS NULL"
    if key is None:
        yield known
        yield unknown
        return
    is_unknown, _, key_source, _ = key
    beside: str | None
    if source_id == key_source:
        beside = f" AND native_id {'<' if backwards else '>'} :key_id"
    elif (source_id < key_source) is backwards:
        beside = ""
    else:
        beside = None  # all rows of this source with an equal value lie on the other side
    if is_unknown:
        if backwards:
            yield known
        if beside is not None:
            yield unknown + beside
        return
    if beside is not None:
        yield f"{column} = :key{beside}"
    yield f"{column} {'<' if query.order.descending is not backwards else '>'} :key"
    if not backwards:
        yield unknown


def _direction(descending: bool, backwards: bool) -> str:
    return "DESC" if descending is not backwards else "ASC"


def _filters(query: ChatQuery) -> tuple[str, dict[str, Any]]:
    """Conditions, each with a leading AND, and their parameters."""
    conditions: list[str] = []
    parameters: dict[str, Any] = {"organization_id": query.organization_id, "limit": query.limit}
    if query.folders is not None:
        conditions.append(
            "(folder_source_id, folder_id) IN "
            f"(SELECT folder_source, folder FROM {sqlite.rows_of('folders', 'folder_source', 'folder')})"
        )
        parameters["folders"] = sqlite.packed((ref.source_id, ref.native_id) for ref in query.folders)
    if query.unfiled is not None:
        conditions.append("folder_id IS NULL" if query.unfiled else "folder_id IS NOT NULL")
    if query.tags:
        conditions.append(sqlite.holds_all("chat.tags", "tags"))
        parameters["tags"] = sqlite.packed(query.tags)
    for name, wanted in (("pinned", query.pinned), ("archived", query.archived)):
        if wanted is not None:
            conditions.append(f"coalesce({name}, 0) = :{name}")
            parameters[name] = int(wanted)
    if query.updated_since is not None:
        conditions.append("updated_key >= :updated_since")
        parameters["updated_since"] = micros(query.updated_since)
    if query.text:
        conditions.append(sqlite.contains("title_key", "text"))
        parameters["text"] = query.text.casefold()
    return "".join(f" AND {condition}" for condition in conditions), parameters
