"""Which tables a database file has, told without Alembic: loading it takes longer than most commands of the command line."""

import sqlite3
from contextlib import closing
from pathlib import Path

from storage import sqlite

_VERSIONS = Path(__file__).parent / "migrations" / "versions"


def newest() -> str:
    """The revision of the last migration; its file is named after it."""
    return max(path.stem.partition("_")[0] for path in _VERSIONS.glob("[0-9]*_*.py"))


def is_newest(url: str) -> bool:
    """Whether the file is there and its tables are those of this release."""
    path = sqlite.file_of(url)
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path, timeout=30)) as connection:
            rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.OperationalError:  # an empty file, or no database of ours: the migration says what it is
        return False
    return rows == [(newest(),)]
