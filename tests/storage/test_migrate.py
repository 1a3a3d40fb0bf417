"""Migrations: an empty file reaches exactly the tables of `storage.tables`."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from storage import migrate, revision, tables


def shape(path: Path) -> dict[str, Any]:
    """Columns, keys and indexes of every table, without those of the full-text search."""
    with closing(sqlite3.connect(path)) as connection:
        names = [
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not row[0].startswith(("sqlite_", "message_text", "chat_title", "alembic_"))
        ]
        return {name: _table(connection, name) for name in names}


def _table(connection: sqlite3.Connection, name: str) -> dict[str, Any]:
    indexes = connection.execute(f"PRAGMA index_list({name})").fetchall()
    return {
        "columns": sorted(row[1:] for row in connection.execute(f"PRAGMA table_xinfo({name})")),
        "references": sorted(row[2:] for row in connection.execute(f"PRAGMA foreign_key_list({name})")),
        "indexes": sorted(
            (
                index[2:],
                _statement(connection, index[1]),
                tuple(row[2:] for row in connection.execute(f"PRAGMA index_xinfo({index[1]})")),
            )
            for index in indexes
        ),
        "counts up": "AUTOINCREMENT" in _statement(connection, name),
    }


def test_an_empty_file_reaches_exactly_the_tables(tmp_path: Path) -> None:
    migrated, made = tmp_path / "migrated.db", tmp_path / "made.db"
    migrate.upgrade(f"sqlite:///{migrated}")
    SQLModel.metadata.create_all(create_engine(f"sqlite:///{made}", poolclass=NullPool), tables=_tables())
    expected, found = shape(made), shape(migrated)
    assert found.keys() == expected.keys()
    for name, table in expected.items():
        assert found[name] == table, name


def _statement(connection: sqlite3.Connection, name: str) -> str:
    """How it was created, spaces aside; empty for what SQLite made by itself."""
    row = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    return " ".join((row[0] or "").split())


def _tables() -> list[Any]:
    return [one.__table__ for one in vars(tables).values() if isinstance(one, type) and hasattr(one, "__table__")]


def test_sources_of_the_first_tables_are_kept_with_their_keys(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    migrate.upgrade(url, "0001")
    rows = [("a", "ORGANIZATION", None), ("b", "OWNER", "ann")]
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection, connection:
        connection.execute("INSERT INTO organization (id, slug, name, created_at) VALUES (1, 'acme', 'Acme', 0)")
        connection.executemany(
            "INSERT INTO source (organization_id, key, vendor, display_name, options, visibility, owner, credentials, created_at, "
            "keeps_mirror) VALUES (1, ?, 'kodey', 'Kodey', '{}', ?, ?, x'', 0, FALSE)",
            rows,
        )
    migrate.upgrade(url)
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        assert connection.execute("SELECT key, visibility, owner FROM source ORDER BY id").fetchall() == rows


def test_upgrading_twice_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    assert not migrate.is_current(url)
    migrate.upgrade(url)
    before = shape(tmp_path / "store.db")
    migrate.upgrade(url)
    assert migrate.is_current(url)
    assert shape(tmp_path / "store.db") == before


def test_processes_that_upgrade_at_once_wait_for_each_other(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new/store.db"
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(migrate.upgrade, [url] * 4))
    assert migrate.is_current(url)


def test_every_table_of_a_tenant_says_whose_it_is() -> None:
    without = {table.name for table in _tables() if "organization_id" not in table.columns}
    assert without == {"organization"}


def test_the_newest_revision_is_known_without_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    assert revision.newest() == migrate.newest()
    assert not revision.is_newest(url)
    migrate.upgrade(url)
    assert revision.is_newest(url)
