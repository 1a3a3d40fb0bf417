"""The log: no hole, nothing twice, in the order of commits."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from domain.records import EventKind
from storage.database import Transaction
from tests.storage.conftest import World, an_organization, at
from tests.tier import count

pytestmark = pytest.mark.anyio


async def append(world: World, tx: Transaction, native_id: str, revision: int | None = None) -> None:
    await world.store.events.append(
        tx,
        world.organization.id,
        EventKind.CHAT_UPDATED,
        world.source.id,
        native_id,
        native_id,
        revision,
        {"a": 1},
        at=world.clock(),
    )


async def test_positions_follow_the_commits_without_holes(world: World) -> None:
    order: list[str] = []

    async def one(number: int) -> None:
        async def unit(tx: Transaction) -> None:
            await append(world, tx, f"{number}a")
            await asyncio.sleep(0)
            await append(world, tx, f"{number}b")
            tx.after_commit(lambda: order.extend((f"{number}a", f"{number}b")))
            if number % 3 == 0:
                raise ValueError("on purpose")

        await world.write(unit)

    await asyncio.gather(*(one(n) for n in range(count(long=2000, least=40))), return_exceptions=True)
    events = await world.events()
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.native_id for event in events] == order
    assert await world.store.events.head(world.organization.id) == len(events)


async def test_each_organization_has_a_log_of_its_own(world: World) -> None:
    other, source = await an_organization(world.store, "other")

    async def unit(tx: Transaction) -> None:
        await append(world, tx, "a")
        await world.store.events.append(tx, other.id, EventKind.CHAT_CREATED, source.id, "x", "x", 1, at=at(0))
        await append(world, tx, "b")

    told: list[tuple[int, int]] = []
    world.store.on_commit(lambda organization_id, head: told.append((organization_id, head)))
    await world.write(unit)
    assert [(event.seq, event.native_id) for event in await world.events()] == [(1, "a"), (2, "b")]
    assert [(event.seq, event.native_id) for event in await world.store.events.after(other.id, 0, 9)] == [(1, "x")]
    assert sorted(told) == [(world.organization.id, 2), (other.id, 1)]


async def test_what_is_told_can_be_read(world: World) -> None:
    read: list[int] = []

    async def look(head: int) -> None:
        read.append(len(await world.store.events.after(world.organization.id, head - 1, 10)))

    tasks: list[asyncio.Task[None]] = []
    world.store.on_commit(lambda _, head: tasks.append(asyncio.create_task(look(head))))
    await world.write(lambda tx: append(world, tx, "a"))
    await asyncio.gather(*tasks)
    assert read == [1]


async def test_nobody_is_told_of_a_commit_without_events(world: World) -> None:
    told: list[int] = []
    world.store.on_commit(lambda _, head: told.append(head))
    await world.see(world.chat("a"))
    assert told == []


async def test_the_same_line_twice_is_refused(world: World) -> None:
    await world.write(lambda tx: append(world, tx, "a", 1))
    with pytest.raises(Exception, match="UNIQUE"):
        await world.write(lambda tx: append(world, tx, "a", 1))
    assert len(await world.events()) == 1


async def test_a_line_without_a_revision_gets_the_next(world: World) -> None:
    async def unit(tx: Transaction) -> None:
        await append(world, tx, "a")
        await append(world, tx, "a")

    await world.write(unit)
    await world.write(lambda tx: append(world, tx, "a"))
    assert [event.revision for event in await world.events()] == [1, 2, 3]


async def test_reading_continues_behind_a_position(world: World) -> None:
    for name in "abcd":
        await world.write(lambda tx, name=name: append(world, tx, name))  # type: ignore[misc]
    page = await world.store.events.after(world.organization.id, 1, 2)
    assert [(event.seq, event.native_id, dict(event.detail)) for event in page] == [
        (2, "b", {"a": 1}),
        (3, "c", {"a": 1}),
    ]


async def test_forgetting_drops_a_beginning_and_positions_go_on(world: World) -> None:
    events, organization_id = world.store.events, world.organization.id
    for second, name in ((10, "a"), (20, "b"), (15, "c"), (30, "d")):
        world.clock.now = at(second)
        await world.write(lambda tx, name=name: append(world, tx, name))  # type: ignore[misc]
    await world.write(lambda tx: events.forget_before(tx, organization_id, at(16)))
    assert [event.native_id for event in await world.events()] == ["b", "c", "d"]
    assert await events.oldest(organization_id) == 2
    await world.write(lambda tx: events.forget_before(tx, organization_id, at(99)))
    assert (await events.oldest(organization_id), await events.head(organization_id)) == (None, 4)
    await world.write(lambda tx: append(world, tx, "e"))
    assert [event.seq for event in await world.events()] == [5]


async def test_forgetting_goes_step_by_step(world: World) -> None:
    """All other writers wait for each step."""
    events, organization_id = world.store.events, world.organization.id
    for name in "abcdefg":
        await world.write(lambda tx, name=name: append(world, tx, name))  # type: ignore[misc]
    left = []
    for _ in range(4):
        is_more = await world.write(lambda tx: events.forget_before(tx, organization_id, at(2000), limit=3))
        left.append((is_more, [event.seq for event in await world.events()]))
    assert left == [(True, [4, 5, 6, 7]), (True, [7]), (False, []), (False, [])]


async def test_the_newest_line_about_a_message(world: World) -> None:
    await world.see(world.chat())
    await world.see_messages(world.message("m"))
    key = (world.organization.id, world.source.id, "c", "m")
    assert await world.store.events.last_of_message(*key) == 0
    await world.see_messages(world.message("m", text="new"), started=30)
    assert await world.store.events.last_of_message(*key) == 1


_LOGGER = """
import asyncio, sys
from datetime import UTC, datetime
from domain.records import EventKind
from storage.store import open_store

async def main(url, organization, name, number):
    async with open_store(url, readers=1) as store:
        async def one(n):
            async def unit(tx):
                await store.events.append(
                    tx, organization, EventKind.CHAT_CREATED, 1, f"{name}{n}", f"{name}{n}", 1, at=datetime.now(UTC))
            await store.database.write(unit)
        for start in range(0, number, 4):
            await asyncio.gather(*(one(n) for n in range(start, min(start + 4, number))))

asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
"""


async def test_a_reader_misses_nothing_that_several_processes_log(world: World, url: str) -> None:
    """Whoever reads behind the last position it has seen must get every line: positions become visible in their order."""
    number = count(long=500, least=20)
    processes = [start_logger(url, world.organization.id, name, number) for name in ("first", "second")]
    seen: list[int] = []
    while len(seen) < 2 * number:
        if events := await world.store.events.after(world.organization.id, seen[-1] if seen else 0, 7):
            seen += [event.seq for event in events]
        elif all(process.poll() is not None for process in processes):
            seen += [e.seq for e in await world.store.events.after(world.organization.id, seen[-1], 10_000)]
            break
    codes = [await asyncio.to_thread(process.wait) for process in processes]
    assert codes == [0, 0]
    assert seen == list(range(1, 2 * number + 1))


def start_logger(url: str, organization_id: int, name: str, number: int) -> "subprocess.Popen[bytes]":
    arguments = [sys.executable, "-c", _LOGGER, url, str(organization_id), name, str(number)]
    return subprocess.Popen(arguments, cwd=Path(__file__).parents[2])
