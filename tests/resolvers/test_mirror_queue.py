"""How many rows may wait behind their answers, and what becomes of the others."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from resolvers.mirror_queue import MirrorQueue
from storage.database import Database, Transaction, Unit
from tests.writer import held

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(f"sqlite:///{tmp_path / 'test.db'}", readers=1)

    async def unit(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE line (text TEXT NOT NULL)")

    await database.write(unit)
    yield database
    await database.close()


def adding(text: str | None) -> Unit[None]:
    async def unit(tx: Transaction) -> None:
        await tx.execute("INSERT INTO line (text) VALUES (:text)", {"text": text})

    return unit


async def lines(database: Database) -> list[str]:
    await database.write(adding("end"))
    return [row[0] for row in await database.fetch_all("SELECT text FROM line ORDER BY rowid")][:-1]


def a_queue(**bounds: Any) -> tuple[MirrorQueue, list[int], list[int]]:
    """The queue, and the numbers of rows that it told of as dropped and as failed."""
    dropped: list[int] = []
    failed: list[int] = []
    return MirrorQueue(on_dropped=dropped.append, on_failed=failed.append, **bounds), dropped, failed


async def test_what_is_handed_in_is_written_in_its_turn(database: Database) -> None:
    queue, dropped, failed = a_queue()
    async with held(database):
        for text in "ab":
            assert queue.hand_in(database, 1, adding(text), rows=2, weight=10)
        assert (queue.rows, queue.bytes) == (4, 20)
    assert await lines(database) == ["a", "b"]
    assert (queue.rows, queue.bytes, dropped, failed) == (0, 0, [], [])


@pytest.mark.parametrize("bounds", [{"most_rows": 5}, {"most_bytes": 50}], ids=["rows", "bytes"])
async def test_what_finds_no_room_is_dropped_and_counted(database: Database, bounds: dict[str, int]) -> None:
    queue, dropped, _ = a_queue(**bounds)
    async with held(database):
        taken = [queue.hand_in(database, 1, adding(text), rows=2, weight=20) for text in "abc"]
        assert queue.hand_in(database, 1, adding("d"), rows=1, weight=10)  # there is room for less
    assert taken == [True, True, False]
    assert await lines(database) == ["a", "b", "d"]
    assert dropped == [2]


async def test_there_is_room_again_when_what_waited_is_written(database: Database) -> None:
    queue, dropped, _ = a_queue(most_rows=1)
    for text in "abc":
        queue.hand_in(database, 1, adding(text), rows=1, weight=1)
        await queue.caught_up(1)
    assert await lines(database) == ["a", "b", "c"]
    assert dropped == []


async def test_what_is_larger_than_the_whole_queue_could_never_wait(database: Database) -> None:
    queue, _, _ = a_queue(most_rows=5, most_bytes=50)
    assert queue.could_hold(5, 50)
    assert not queue.could_hold(6, 1)
    assert not queue.could_hold(1, 51)


async def test_unit_that_fails_is_logged_and_counted_and_ends_nothing(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    queue, dropped, failed = a_queue()
    with caplog.at_level(logging.ERROR):
        async with held(database):
            for text in ("a", None, "b"):
                queue.hand_in(database, 1, adding(text), rows=3, weight=1)
        assert await lines(database) == ["a", "b"]
    assert (failed, dropped, queue.rows) == ([3], [], 0)
    assert "3 rows" in caplog.text
    assert "NOT NULL" in caplog.text
    assert queue.hand_in(database, 1, adding("c"), rows=1, weight=1)
    assert await lines(database) == ["a", "b", "end", "c"]


async def test_store_that_takes_no_more_units_drops_too(database: Database) -> None:
    queue, dropped, _ = a_queue()
    async with held(database):
        while not database._jobs.full():
            database.hand_in(adding("other"))
        assert not queue.hand_in(database, 1, adding("ours"), rows=4, weight=1)
    assert (dropped, queue.rows) == ([4], 0)
    assert "ours" not in await lines(database)


async def test_caught_up_waits_for_what_was_handed_in_of_the_source(database: Database) -> None:
    queue, _, _ = a_queue()
    async with held(database) as go_on:
        queue.hand_in(database, 1, adding("a"), rows=1, weight=1)
        queue.hand_in(database, 1, adding("b"), rows=1, weight=1)
        await queue.caught_up(2)
        waiting = asyncio.create_task(queue.caught_up(1))
        await asyncio.sleep(0)
        assert not waiting.done()
        go_on.set()
        await waiting
        assert [row[0] for row in await database.fetch_all("SELECT text FROM line")] == ["a", "b"]


async def test_who_waits_may_leave_and_the_rows_stay(database: Database) -> None:
    queue, dropped, _ = a_queue()
    async with held(database):
        queue.hand_in(database, 1, adding("a"), rows=1, weight=1)
        waiting = asyncio.create_task(queue.caught_up(1))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert await lines(database) == ["a"]
    assert dropped == []


async def test_drain_waits_until_everything_is_written(database: Database) -> None:
    queue, dropped, _ = a_queue()
    async with held(database) as go_on:
        for text in "abc":
            queue.hand_in(database, 1, adding(text), rows=1, weight=1)
        draining = asyncio.create_task(queue.drain(60))
        await asyncio.sleep(0)
        assert not draining.done()
        go_on.set()
        await draining
        assert len(await database.fetch_all("SELECT text FROM line")) == 3
    assert (dropped, queue.rows) == ([], 0)


async def test_drain_ends_in_time_and_counts_what_it_drops(database: Database) -> None:
    queue, dropped, failed = a_queue()
    async with held(database):
        for text in "ab":
            queue.hand_in(database, 1, adding(text), rows=2, weight=1)
        await queue.drain(0.01)
    assert await lines(database) == []
    assert (sum(dropped), failed, queue.rows) == (4, [], 0)


async def test_nothing_is_taken_once_it_was_drained(database: Database) -> None:
    queue, dropped, _ = a_queue()
    await queue.drain(60)
    assert not queue.hand_in(database, 1, adding("late"), rows=3, weight=1)
    assert await lines(database) == []
    assert dropped == [3]
