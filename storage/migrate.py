"""Bring a database file to the newest tables, from an empty file or from any released version."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from storage import sqlite


def upgrade(url: str, revision: str = "head") -> None:
    """Run the missing migrations up to a revision, all in one transaction. Processes that do so at once wait for each other."""
    with _connect(url) as connection, connection.begin():
        command.upgrade(_config(connection), revision)


def is_current(url: str) -> bool:
    """Whether nothing is left to do."""
    with _connect(url) as connection, connection.begin():
        return MigrationContext.configure(connection).get_current_revision() == newest()


def newest() -> str | None:
    """The id of the last migration."""
    return ScriptDirectory.from_config(_config(None)).get_current_head()


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _connect(url: str) -> Connection:
    engine = create_engine(f"sqlite:///{sqlite.prepare_file(url)}", poolclass=NullPool)
    _take_over_transactions(engine)
    return engine.connect()


def _take_over_transactions(engine: Engine) -> None:
    """Python's driver commits before each change of a table unless it is told to leave transactions alone."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        for pragma in sqlite.pragmas(for_writing=True):
            connection.execute(pragma).close()

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(sqlite.BEGIN)
