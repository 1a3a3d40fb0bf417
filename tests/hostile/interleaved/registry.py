"""Whose an id is, looked up in the store's own file: neither the gateway's filters nor its words are asked."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from domain.ids import GlobalId, IdType

_TABLES: Mapping[IdType, str] = {
    IdType.SOURCE: "source",
    IdType.CHAT: "source",
    IdType.MESSAGE: "source",
    IdType.MEMBER: "member",
    IdType.API_KEY: "api_key",
    IdType.AUDIT_ENTRY: "audit",
}
"""What the number in an id is a key of."""


class Registry:
    """The audience of an id: the slug of an organization, or `person@slug` for what somebody's own source holds."""

    def __init__(self, database: Path) -> None:
        self._store = sqlite3.connect(f"file:{database}?mode=ro", uri=True, isolation_level=None)
        self._known: dict[tuple[str, int, str], str | None] = {}

    def close(self) -> None:
        self._store.close()

    def audience(self, id_: GlobalId) -> str | None:
        """None: there is no such thing at all."""
        if id_.type is IdType.ORGANIZATION:
            return self._once("organization", id_.short)
        if id_.type is IdType.FOLDER and id_.short == 0:
            return self._once("folder", 0, id_.parts[0])
        return self._once(_TABLES.get(id_.type, "source"), id_.short)

    def _once(self, table: str, number: int, native: str = "") -> str | None:
        key = (table, number, native)
        if self._known.get(key) is None:  # what is not there may come
            self._known[key] = self._look(table, number, native)
        return self._known[key]

    def _look(self, table: str, number: int, native: str) -> str | None:
        if table == "organization":
            sql, parameters = "SELECT slug, NULL FROM organization WHERE id = ?", (number,)
        elif table == "folder":
            sql = "SELECT o.slug, NULL FROM folder f JOIN organization o ON o.id = f.organization_id WHERE f.source_id = 0 AND f.native_id = ?"
            rows = self._store.execute(sql, (native,)).fetchall()
            assert len(rows) < 2, "the gateway gave one id to two folders"
            return rows[0][0] if rows else None
        else:
            owner = "CASE t.visibility WHEN 'OWNER' THEN t.owner END" if table == "source" else "NULL"
            sql = (
                f"SELECT o.slug, {owner} FROM {table} t JOIN organization o ON o.id = t.organization_id WHERE t.id = ?"
            )
            parameters = (number,)
        row = self._store.execute(sql, parameters).fetchone()
        if row is None:
            return None
        slug, owner_key = row
        # The key of a person is `jwt:<issuer> <subject>`.
        return slug if owner_key is None else f"{owner_key.rpartition(' ')[2]}@{slug}"
