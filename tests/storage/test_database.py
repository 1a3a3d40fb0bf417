"""The writer: what is committed together, what fails alone, who may leave."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.database import _MAX_WAITING, Database, Transaction, Unit
from tests.tier import count
from tests.writer import held

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    database = await Database.open(url, readers=2)

    async def unit(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE line (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)")

    await database.write(unit)
    yield database
    await database.close()


def adding(text: str) -> Unit[int]:
    async def unit(tx: Transaction) -> int:
        ((row_id,),) = await tx.execute("INSERT INTO line (text) VALUES (:text) RETURNING id", {"text": text})
        return int(row_id)

    return unit


async def lines(database: Database) -> list[str]:
    return [row[0] for row in await database.fetch_all("SELECT text FROM line ORDER BY id")]


async def test_units_that_wait_together_are_committed_together(database: Database) -> None:
    before = database.statements
    await asyncio.gather(*(database.write(adding(str(n))) for n in range(50)))
    # Each unit: savepoint, insert, release. Besides, a begin, a look at other processes and a commit for each group.
    groups = (database.statements - before - 150) / 3
    assert groups <= 2
    assert len(await lines(database)) == 50


async def test_a_failing_unit_is_rolled_back_alone(database: Database) -> None:
    async def failing(tx: Transaction) -> None:
        await tx.execute("INSERT INTO line (text) VALUES ('half')")
        raise ValueError("on purpose")

    results = await asyncio.gather(
        database.write(adding("a")), database.write(failing), database.write(adding("b")), return_exceptions=True
    )
    assert [type(result) for result in results] == [int, ValueError, int]
    assert await lines(database) == ["a", "b"]


async def test_a_violated_constraint_reaches_its_caller_only(database: Database) -> None:
    await database.write(adding("a"))
    results = await asyncio.gather(database.write(adding("a")), database.write(adding("b")), return_exceptions=True)
    assert isinstance(results[0], sqlite3.IntegrityError)
    assert await lines(database) == ["a", "b"]


async def test_the_caller_goes_on_after_the_commit(database: Database, url: str) -> None:
    await database.write(adding("a"))
    other = sqlite3.connect(file_of(url))
    try:
        assert other.execute("SELECT text FROM line").fetchall() == [("a",)]
    finally:
        other.close()


async def test_callbacks_run_once_everything_is_committed_and_never_for_a_failed_unit(database: Database) -> None:
    told: list[str] = []

    def unit(name: str, fails: bool = False) -> Unit[None]:
        async def run(tx: Transaction) -> None:
            tx.after_commit(lambda: told.append(name))
            await tx.execute("INSERT INTO line (text) VALUES (:name)", {"name": name})
            assert told == []
            if fails:
                raise ValueError

        return run

    await asyncio.gather(
        database.write(unit("a")),
        database.write(unit("b", fails=True)),
        database.write(unit("c")),
        return_exceptions=True,
    )
    assert told == ["a", "c"]


async def test_a_callback_that_fails_hides_nothing(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    async def unit(tx: Transaction) -> str:
        tx.after_commit(lambda: 1 / 0)  # type: ignore[arg-type]
        tx.after_commit(lambda: told.append("second"))
        return "result"

    assert await database.write(unit) == "result"
    assert told == ["second"]
    assert "after a commit" in caplog.text


async def test_a_caller_that_is_cancelled_leaves_and_its_unit_ends(database: Database) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow(tx: Transaction) -> None:
        await tx.execute("INSERT INTO line (text) VALUES ('slow')")
        inside.set()
        await go_on.wait()

    caller = asyncio.create_task(database.write(slow))
    await inside.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
    await database.write(adding("after"))
    assert await lines(database) == ["slow", "after"]


async def test_a_unit_whose_caller_left_before_it_began_is_not_run(database: Database) -> None:
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def blocking(tx: Transaction) -> None:
        inside.set()
        await go_on.wait()

    first = asyncio.create_task(database.write(blocking))
    await inside.wait()
    second = asyncio.create_task(database.write(adding("never")))
    await asyncio.sleep(0)
    second.cancel()
    go_on.set()
    await first
    await database.write(adding("after"))
    assert await lines(database) == ["after"]


async def test_a_unit_that_is_handed_in_keeps_its_place_among_the_others(database: Database) -> None:
    async with held(database):
        written = [asyncio.create_task(database.write(adding("first")))]
        await asyncio.sleep(0)
        handed_in = database.hand_in(adding("second"))
        written.append(asyncio.create_task(database.write(adding("third"))))
        await asyncio.sleep(0)
    assert [*await asyncio.gather(*written), await handed_in] == [1, 3, 2]


async def test_a_unit_that_finds_no_place_is_not_taken(database: Database) -> None:
    async with held(database):
        taken = [database.hand_in(adding(str(number))) for number in range(_MAX_WAITING)]
        with pytest.raises(asyncio.QueueFull):
            database.hand_in(adding("one too many"))
        for future in taken:
            future.cancel()
    await database.write(adding("after"))
    assert await lines(database) == ["after"]


async def test_the_database_is_idle_when_every_unit_has_ended(database: Database) -> None:
    assert database.is_idle
    async with held(database):
        assert not database.is_idle
        waiting = database.hand_in(adding("waiting"))
    await waiting
    await database.write(adding("after"))
    assert database.is_idle


async def test_what_is_remembered_is_current_until_somebody_writes(database: Database, url: str) -> None:
    assert await database.is_current()
    await database.write(adding("ours"))
    assert await database.is_current()
    other = sqlite3.connect(file_of(url), isolation_level=None)
    other.execute("INSERT INTO line (text) VALUES ('theirs')")
    other.close()
    assert not await database.is_current()
    await database.write(adding("ours again"))
    assert await database.is_current()


async def test_what_is_remembered_is_not_current_while_a_unit_runs(database: Database) -> None:
    async with held(database):
        before = database.statements
        assert not await database.is_current()
        assert database.statements == before


async def test_a_unit_cannot_wait_for_another(database: Database) -> None:
    async def outer(tx: Transaction) -> None:
        await database.write(adding("inner"))

    with pytest.raises(RuntimeError, match="Use the transaction at hand"):
        await database.write(outer)


async def test_closing_commits_what_waits_and_refuses_the_rest(database: Database) -> None:
    waiting = [asyncio.create_task(database.write(adding(str(n)))) for n in range(5)]
    await asyncio.sleep(0)
    await database.close()
    assert len(await asyncio.gather(*waiting)) == 5
    with pytest.raises(RuntimeError, match="after it was closed"):
        await database.write(adding("late"))


async def test_a_reader_cannot_write(database: Database) -> None:
    async with database.reader() as reader:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await reader.fetch_all("INSERT INTO line (text) VALUES ('sneaked in')")


async def test_every_statement_is_counted_at_the_driver(database: Database) -> None:
    before = database.statements
    await database.fetch_all("SELECT 1")
    await database.fetch_one("SELECT 1")
    assert database.statements - before == 2


async def test_a_commit_of_another_process_is_noticed(database: Database, url: str) -> None:
    async def generation(tx: Transaction) -> int:
        return tx.generation

    first = await database.write(generation)
    await database.write(adding("ours"))
    assert await database.write(generation) == first
    other = sqlite3.connect(file_of(url), isolation_level=None)
    other.execute("INSERT INTO line (text) VALUES ('theirs')")
    other.close()
    assert await database.write(generation) > first


@pytest.mark.parametrize("url", ["postgresql+asyncpg://db/x", "sqlite://", "sqlite:///:memory:"])
async def test_another_database_is_refused_with_what_to_do(url: str) -> None:
    with pytest.raises(ValueError, match="Set `database_url` to sqlite:///"):
        await Database.open(url)


async def test_the_file_is_for_its_owner_alone(database: Database, url: str) -> None:
    assert file_of(url).stat().st_mode & 0o077 == 0


async def test_a_lost_transaction_reaches_all_its_callers_and_the_next_one_works(database: Database) -> None:
    """As when the disk is full: the database ends the whole transaction, so there is nothing to roll back to."""

    async def ending(tx: Transaction) -> None:
        await tx.execute("ROLLBACK")

    results = await asyncio.gather(
        database.write(adding("a")), database.write(ending), database.write(adding("b")), return_exceptions=True
    )
    assert all(isinstance(result, BaseException) for result in results)
    await database.write(adding("after"))
    assert await lines(database) == ["after"]


_WRITER = """
import asyncio, sys
from storage.database import Database

async def main(url, name, number):
    database = await Database.open(url, readers=1)
    async def one(n):
        async def unit(tx):
            await tx.execute("INSERT INTO line (text) VALUES (:text)", {"text": f"{name} {n}"})
        await database.write(unit)
        print(n, flush=True)
    for start in range(0, number, 5):
        await asyncio.gather(*(one(n) for n in range(start, min(start + 5, number))))
    await database.close()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def process(url: str, name: str, number: int) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-c", _WRITER, url, name, str(number)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


async def test_two_processes_write_to_one_file(database: Database, url: str) -> None:
    number = count(long=500, least=20)
    both = [process(url, name, number) for name in ("first", "second")]
    for one in both:
        await asyncio.to_thread(one.communicate, timeout=120)
        assert one.returncode == 0
    assert len(await lines(database)) == 2 * number


async def test_what_was_answered_survives_a_process_that_is_killed(database: Database, url: str) -> None:
    victim = process(url, "victim", 100_000)
    assert victim.stdout is not None
    answered = [int(await asyncio.to_thread(victim.stdout.readline)) for _ in range(count(long=500, least=20))]
    os.kill(victim.pid, signal.SIGKILL)
    rest = await asyncio.to_thread(victim.stdout.read)
    await asyncio.to_thread(victim.wait)
    victim.stdout.close()
    answered += [int(line) for line in rest.split("\n")[:-1]]
    assert await database.fetch_all("PRAGMA integrity_check") == [("ok",)]
    assert {f"victim {n}" for n in answered} <= set(await lines(database))
    await database.write(adding("after"))


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))
