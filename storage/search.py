"""Full-text search over what the store knows: titles of chats and texts of messages."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.errors import BadCursor
from domain.paging import micros
from domain.records import Chat, Message, SearchHit
from domain.source import SearchRequest
from storage import sqlite
from storage.chat_rows import CHAT, chat_of
from storage.database import Database
from storage.excerpts import excerpt, terms_of
from storage.message_rows import MESSAGE, message_of

_SHORTEST = 3
"""Characters of a term that the index can find; shorter ones are compared row by row."""


class Search:
    """The index of all organizations; every search stays inside one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, organization_id: int, source_ids: Sequence[int], request: SearchRequest) -> list[SearchHit]:
        """The best `limit` hits that hold every word and phrase, best first, behind those of earlier pages (`token`).

        `token` is the number of hits before. A search by `roles` finds messages only.
        """
        terms = terms_of(request.text)
        if not terms or not source_ids:
            return []
        offset = _offset(request.token)
        parameters = {
            "organization_id": organization_id,
            "sources": sqlite.packed(source_ids),
            "limit": offset + request.limit,
        }
        hits = await self._messages(request, terms, parameters)
        if request.roles is None:
            hits += await self._chats(request, terms, parameters)
        # Stable: equal scores keep the order of the statements, so the cut is the same on every page.
        hits.sort(key=lambda hit: -hit.score)
        return hits[offset : offset + request.limit]

    async def _messages(
        self, request: SearchRequest, terms: Sequence[str], parameters: dict[str, Any]
    ) -> list[SearchHit]:
        conditions = _Conditions("message", dict(parameters))
        conditions.in_values("message.chat_id", "chats", request.chat_ids)
        conditions.in_values("message.role", "roles", request.roles)
        conditions.between("message.created_at", request.since, request.until)
        if request.tags:
            holds = sqlite.holds_all("chat.tags", "tags")
            conditions.add(
                "EXISTS (SELECT 1 FROM chat WHERE chat.organization_id = :organization_id "
                f"AND chat.source_id = message.source_id AND chat.native_id = message.chat_id AND {holds})",
                tags=sqlite.packed(request.tags),
            )
        rows = await self._database.fetch_all(
            *_statement("message_text", "message", "text", MESSAGE, terms, conditions)
        )
        found = ((message_of(row[1:]), row[0]) for row in rows)
        return [_hit(message, score, message.text, terms) for message, score in found]

    async def _chats(self, request: SearchRequest, terms: Sequence[str], parameters: dict[str, Any]) -> list[SearchHit]:
        conditions = _Conditions("chat", dict(parameters))
        conditions.in_values("chat.native_id", "chats", request.chat_ids)
        conditions.between("chat.updated_key", request.since, request.until)
        if request.tags:
            conditions.add(sqlite.holds_all("chat.tags", "tags"), tags=sqlite.packed(request.tags))
        rows = await self._database.fetch_all(*_statement("chat_title", "chat", "title", CHAT, terms, conditions))
        found = ((chat_of(row[1:]), row[0]) for row in rows)
        return [_hit(chat, score, chat.title or "", terms) for chat, score in found]


@dataclass(slots=True)
class _Conditions:
    """What a row must be, beside holding the words."""

    table: str
    parameters: dict[str, Any]
    conditions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.add(
            f"{self.table}.organization_id = :organization_id AND {self.table}.deleted_at IS NULL "
            f"AND {self.table}.source_id IN {sqlite.values_of('sources')}"
        )

    def add(self, condition: str, **parameters: Any) -> None:
        self.conditions.append(condition)
        self.parameters |= parameters

    def in_values(self, column: str, name: str, values: frozenset[Any] | None) -> None:
        if values is not None:
            self.add(f"{column} IN {sqlite.values_of(name)}", **{name: sqlite.packed(sorted(values))})

    def between(self, column: str, since: datetime | None, until: datetime | None) -> None:
        if since is not None:
            self.add(f"{column} >= :since", since=micros(since))
        if until is not None:
            self.add(f"{column} < :until", until=micros(until))


def _statement(
    index: str, table: str, column: str, columns: str, terms: Sequence[str], conditions: _Conditions
) -> tuple[str, dict[str, Any]]:
    """Long terms by the index; short ones row by row, among what the index left over, or among everything when there are none."""
    long = [term for term in terms if len(term) >= _SHORTEST]
    for number, term in enumerate(term for term in terms if len(term) < _SHORTEST):
        spellings = sorted({term, term.lower(), term.upper(), term.capitalize()})
        names = {f"short_{number}_{place}": sqlite.like_of(one) for place, one in enumerate(spellings)}
        conditions.add("(" + " OR ".join(f"{table}.{column} LIKE :{name} ESCAPE '!'" for name in names) + ")", **names)
    if long:
        conditions.parameters["match"] = sqlite.match_of(long)
    source = sqlite.matching(index, table) if long else table
    score = sqlite.relevance(index) if long else "0.0"
    sql = (
        f"SELECT {score} AS score, {columns} FROM {source} WHERE {' AND '.join(conditions.conditions)} "
        f"ORDER BY score DESC, {table}.id DESC LIMIT :limit"
    )
    return sql, conditions.parameters


def _hit(found: Chat | Message, score: float, text: str, terms: Sequence[str]) -> SearchHit:
    piece = excerpt(text, terms)
    return SearchHit(found, score, piece.text, piece.highlights)


def _offset(token: str | None) -> int:
    if token is None:
        return 0
    if not token.isdecimal() or len(token) > 6:
        raise BadCursor("The search was to continue at a place that it does not have. Search again without a cursor.")
    return int(token)
