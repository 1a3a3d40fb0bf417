"""Everything that only SQLite knows: its connection, its transactions, its JSON and full-text search. No other module holds such SQL.

To speak to another database, this module is what needs a twin.
"""

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import orjson

_PREFIX = "sqlite:///"

BEGIN = "BEGIN IMMEDIATE"
"""Takes the lock for writing at once: two processes cannot both read, then both want to write, and deadlock."""

WAIT_FOR_NOTHING = "PRAGMA busy_timeout = 0"
"""After `pragmas`: a statement that meets a lock fails at once."""

DATA_VERSION = "PRAGMA data_version"
"""Changes on a connection when any *other* connection has committed."""


def file_of(url: str) -> Path:
    """The file that `sqlite:///relative` or `sqlite:////absolute` names. Raises `ValueError` for other databases."""
    path = url.removeprefix(_PREFIX)
    if path == url or path in ("", ":memory:"):
        raise ValueError(
            f"The store was to be opened at {url.split('://')[0]}://…, which is not a file of SQLite. "
            "Set `database_url` to sqlite:///path/to/switchboard.db."
        )
    return Path(path)


def prepare_file(url: str) -> Path:
    """The file of `url`, made when it is missing and readable by its owner alone: it holds other people's messages."""
    path = file_of(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    return path


def pragmas(*, for_writing: bool) -> tuple[str, ...]:
    """What every connection is told first."""
    return (
        # Another process may hold the lock for writing while it commits; wait for it instead of failing.
        "PRAGMA busy_timeout = 30000",
        # Readers go on while one writes, and a commit is one append.
        "PRAGMA journal_mode = WAL",
        # SQLite checks them only when asked. Rows of a tenant that point nowhere would be a bug that nobody sees.
        "PRAGMA foreign_keys = ON",
        # An answered write survives a power cut. Group commit pays for the sync, many units at a time.
        "PRAGMA synchronous = FULL",
        # 16 MB of pages for each connection, in KiB; the default of 2 MB is less than one large chat.
        "PRAGMA cache_size = -16000",
        # Sorting a page does not need a file.
        "PRAGMA temp_store = MEMORY",
        *(() if for_writing else ("PRAGMA query_only = ON",)),
    )


class CountingConnection(sqlite3.Connection):
    """A connection that counts what it is asked to run, at the driver, so that nothing is missed. Used by one thread."""

    statements = 0

    def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
        """Run one statement."""
        self.statements += 1
        return super().execute(sql, parameters)  # type: ignore[arg-type]  # the stubs' alias is private

    def executemany(self, sql: str, parameters: Iterable[object], /) -> sqlite3.Cursor:
        """Run one statement for many rows; counted once."""
        self.statements += 1
        return super().executemany(sql, parameters)  # type: ignore[arg-type]


def rows_of(parameter: str, *columns: str) -> str:
    """A table made of a parameter that `packed` has written: `FROM {rows_of("keys", "source_id", "chat_id")} AS wanted`.

    It has the columns named and `place`, the index of each row. The plan drives the join from it, one look-up per row.
    """
    named = ", ".join(f"value ->> {index} AS {column}" for index, column in enumerate(columns))
    return f"(SELECT key AS place, {named} FROM json_each(:{parameter}))"


def values_of(parameter: str) -> str:
    """The same for single values, to stand behind `IN`."""
    return f"(SELECT value FROM json_each(:{parameter}))"


def packed(rows: Iterable[object]) -> str:
    """Rows (tuples) or single values for a parameter of `rows_of` or `values_of`."""
    return orjson.dumps(list(rows)).decode()


def by_index(name: str) -> str:
    """Behind a table: read it along this index, and fail rather than sort."""
    return f"INDEXED BY {name}"


def contains(column: str, parameter: str) -> str:
    """Whether a text contains another, letter for letter."""
    return f"instr({column}, :{parameter}) > 0"


def holds_all(column: str, parameter: str) -> str:
    """Whether a JSON array in a column holds every value of a parameter that `packed` has written. A null holds nothing."""
    return (
        f"NOT EXISTS (SELECT 1 FROM json_each(:{parameter}) AS wanted "
        f"WHERE wanted.value NOT IN (SELECT value FROM json_each({column})))"
    )


def matching(index: str, table: str) -> str:
    """Behind FROM: the rows of `table` whose words in a full-text index match the parameter `match`. See `match_of`."""
    return f"{index} JOIN {table} ON {table}.id = {index}.rowid AND {index} MATCH :match"


def relevance(index: str) -> str:
    """How well a row of `matching` fits; higher is better."""
    return f"-bm25({index})"


def match_of(terms: Iterable[str]) -> str:
    """What `matching` looks for: every term, letter for letter but whatever the case. A term has at least three characters."""
    return " AND ".join('"' + term.replace('"', '""') + '"' for term in terms)


def like_of(term: str) -> str:
    """A pattern for `LIKE … ESCAPE '!'` that finds a term anywhere."""
    escaped = term.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return f"%{escaped}%"
