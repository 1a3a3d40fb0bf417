"""Connections: a few for reading, one for writing, and the writer that commits many units at once.

    write(unit) ─▶ queue ─▶ BEGIN IMMEDIATE · SAVEPOINT unit 1 · SAVEPOINT unit 2 · … · COMMIT ─▶ callbacks ─▶ callers go on

What waits while one commit runs goes into the next one together, so a busy gateway syncs the disk once for many writes. A unit that
fails is rolled back alone. A caller that is cancelled leaves; its unit, once begun, runs to its end.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, Self, TypeVar

import aiosqlite

from storage import sqlite

T = TypeVar("T")
Row = tuple[Any, ...]
Parameters = Mapping[str, Any] | Sequence[Any]

_MAX_GROUP = 256
"""Most units of one commit: what the first of them waits for."""
_MAX_WAITING = 4096
"""Units that may wait; beyond it `write` itself waits."""

_log = logging.getLogger(__name__)


class Reader:
    """Reads committed rows. Each statement sees the newest commit before it."""

    __slots__ = ("_connection",)

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def fetch_all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of a statement."""
        return await self._connection.execute_fetchall(sql, parameters)  # type: ignore[return-value]  # it is a list

    async def fetch_one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row of a statement."""
        rows = await self.fetch_all(sql, parameters)
        return rows[0] if rows else None


class Transaction(Reader):
    """What a unit writes with; of no use once the unit has ended."""

    __slots__ = ("_after_commit", "_before_end", "generation", "kept")

    def __init__(self, connection: aiosqlite.Connection, generation: int) -> None:
        super().__init__(connection)
        self._before_end: list[Callable[[], Awaitable[None]]] = []
        self._after_commit: list[Callable[[], None]] = []
        self.generation = generation
        """Grows when another process (or connection) has committed: what was remembered of rows before it may be wrong."""
        self.kept: dict[object, Any] = {}
        """What a repository gathers during the unit."""

    async def execute(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Run one statement; the rows that it returns."""
        return await self.fetch_all(sql, parameters)

    async def execute_many(self, sql: str, rows: Iterable[Parameters]) -> None:
        """Run one statement for many rows."""
        await self._connection.executemany(sql, rows)

    def before_end(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Run as the last act of the unit, inside it."""
        self._before_end.append(callback)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Run once everything is committed, before the caller goes on. Never run when the unit fails."""
        self._after_commit.append(callback)

    async def _finish(self) -> None:
        for callback in self._before_end:
            await callback()

    def _committed(self) -> None:
        for callback in self._after_commit:
            try:
                callback()
            except Exception:  # the rows are committed: the next callback and the caller must hear of it
                _log.exception("a callback after a commit failed")


Unit = Callable[[Transaction], Awaitable[T]]


@dataclass(slots=True)
class _Job(Generic[T]):
    unit: Unit[T]
    future: "asyncio.Future[T]"
    transaction: Transaction | None = None
    result: Any = field(default=None)

    def succeed(self) -> None:
        if not self.future.done():
            self.future.set_result(self.result)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class _GroupLost(Exception):
    """The database ended the whole transaction by itself (disk full, I/O error)."""


class Database:
    """One database file, open in this process. Several processes may have it open."""

    def __init__(self, writer: aiosqlite.Connection, readers: Sequence[aiosqlite.Connection]) -> None:
        self._connection = writer
        self._all = (writer, *readers)
        self._idle: asyncio.LifoQueue[Reader] = asyncio.LifoQueue()
        for connection in readers:
            self._idle.put_nowait(Reader(connection))
        self._jobs: asyncio.Queue[_Job[Any] | None] = asyncio.Queue(_MAX_WAITING)
        self._data_version: Any = None
        self._generation = 0
        self._begun = self._ended = 0
        self._is_closed = False
        self._writer = asyncio.create_task(self._write_until_closed(), name="storage writer")

    @classmethod
    async def open(cls, url: str, readers: int = 4) -> Self:
        """Open the file of `url` (`sqlite:///path`), made when it is missing; its tables are the business of `storage.migrate`."""
        path = sqlite.prepare_file(url)
        opened: list[aiosqlite.Connection] = []
        try:
            for index in range(readers + 1):
                connection = await aiosqlite.connect(path, isolation_level=None, factory=sqlite.CountingConnection)
                opened.append(connection)
                for pragma in sqlite.pragmas(for_writing=index == 0):
                    await connection.execute_fetchall(pragma)
        except BaseException:
            for connection in opened:
                await connection.close()
            raise
        return cls(opened[0], opened[1:])

    async def close(self) -> None:
        """Commit what waits, then let go of the file."""
        if self._is_closed:
            return
        self._is_closed = True
        await self._jobs.put(None)
        await self._writer
        for connection in self._all:
            await connection.close()

    @property
    def statements(self) -> int:
        """How many statements the driver was given so far, on all connections."""
        return sum(connection._conn.statements for connection in self._all)  # type: ignore[attr-defined]  # our factory

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[Reader]:
        """A connection to read with, of the pool; it waits when all are taken."""
        reader = await self._idle.get()
        try:
            yield reader
        finally:
            self._idle.put_nowait(reader)

    async def fetch_all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of one statement."""
        async with self.reader() as reader:
            return await reader.fetch_all(sql, parameters)

    async def fetch_one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row of one statement."""
        async with self.reader() as reader:
            return await reader.fetch_one(sql, parameters)

    async def write(self, unit: Unit[T]) -> T:
        """Run `unit` in a transaction; its result once that is committed, its exception once it is rolled back.

        All units of the process run one after another: a unit does nothing but SQL, and never waits for anything else.
        """
        if asyncio.current_task() is self._writer:
            raise RuntimeError("A unit was to wait for another unit, which waits for it. Use the transaction at hand.")
        job = self._job(unit)
        await self._jobs.put(job)
        return await job.future

    def hand_in(self, unit: Unit[T]) -> "asyncio.Future[T]":
        """As `write`, and nobody has to wait: the unit takes its place among all others now. Raises `asyncio.QueueFull` when there is none.

        A unit whose future is cancelled before it begins is never run.
        """
        job = self._job(unit)
        self._jobs.put_nowait(job)
        return job.future

    @property
    def is_idle(self) -> bool:
        """Whether every unit so far has ended, so that what was remembered of rows after the commits is what they hold."""
        return self._jobs.empty() and self._begun == self._ended

    async def is_current(self) -> bool:
        """Whether nothing was written since the last unit ended, here or by another process, and nothing is about to be: one look, no transaction.

        What was remembered of rows when this was called is then what they hold.
        """
        if not self.is_idle:
            return False
        begun = self._begun
        version = await self._connection.execute_fetchall(sqlite.DATA_VERSION)
        return version == self._data_version and begun == self._begun

    def _job(self, unit: Unit[T]) -> _Job[T]:
        if self._is_closed:
            raise RuntimeError(
                "The store was to be written to after it was closed. Stop what writes before closing it."
            )
        return _Job(unit, asyncio.get_running_loop().create_future())

    async def _write_until_closed(self) -> None:
        is_open = True
        while is_open:
            first = await self._jobs.get()
            self._begun += 1
            group: list[_Job[Any]] = []
            at: _Job[Any] | None = first
            while at is not None:
                group.append(at)
                if len(group) >= _MAX_GROUP or self._jobs.empty():
                    break
                at = self._jobs.get_nowait()
            is_open = at is not None
            if group:
                await self._commit_group(group)
            self._ended += 1

    async def _commit_group(self, group: Sequence[_Job[Any]]) -> None:
        try:
            await self._begin()
            for job in group:
                if not job.future.done():  # cancelled before it began
                    await self._run(job)
            await self._connection.execute_fetchall("COMMIT")
        except BaseException as error:
            await self._abandon()
            for job in group:
                job.fail(error.__cause__ or error if isinstance(error, _GroupLost) else error)
            return
        for job in group:
            if job.transaction is not None:
                job.transaction._committed()
        for job in group:
            if job.transaction is not None:
                job.succeed()

    async def _begin(self) -> None:
        await self._connection.execute_fetchall(sqlite.BEGIN)
        version = await self._connection.execute_fetchall(sqlite.DATA_VERSION)
        if version != self._data_version:
            self._data_version = version
            self._generation += 1

    async def _run(self, job: _Job[Any]) -> None:
        await self._connection.execute_fetchall("SAVEPOINT unit")
        transaction = Transaction(self._connection, self._generation)
        try:
            job.result = await job.unit(transaction)
            await transaction._finish()
            await self._connection.execute_fetchall("RELEASE unit")
        except (Exception, asyncio.CancelledError) as error:
            try:
                await self._connection.execute_fetchall("ROLLBACK TO unit")
                await self._connection.execute_fetchall("RELEASE unit")
            except sqlite3.Error:
                raise _GroupLost from error
            job.fail(error)
        else:
            job.transaction = transaction

    async def _abandon(self) -> None:
        if self._connection.in_transaction:
            await self._connection.execute_fetchall("ROLLBACK")
