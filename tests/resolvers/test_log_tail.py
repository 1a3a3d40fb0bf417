"""The newest lines, read once for all who read them."""

import asyncio
import random
from pathlib import Path

import pytest

from domain.records import Event
from resolvers.log_tail import LogTail
from tests.resolvers.conftest import Room
from tests.resolvers.rooms import a_chat_room, say
from tests.resolvers.test_live import expire
from tests.tier import count

pytestmark = pytest.mark.anyio


async def read(room: Room, tail: LogTail, position: int, limit: int = 500) -> list[Event]:
    return list(await tail.after(room.gateway.store, room.organization.id, position, limit))


async def statements(room: Room, *readings: "asyncio.Future[list[Event]]") -> int:
    before = room.gateway.store.database.statements
    await asyncio.gather(*readings)
    return room.gateway.store.database.statements - before


def many(room: Room, tail: LogTail, position: int) -> "list[asyncio.Future[list[Event]]]":
    return [asyncio.ensure_future(read(room, tail, position)) for _ in range(100)]


async def test_lines_are_those_of_the_store(folder: Path) -> None:
    async with a_chat_room(folder, takes_message_ids=True) as room:
        tail = LogTail()
        for text in "abcd":
            await say(room, text)
        for position, limit in [(0, 500), (0, 2), (2, 1), (3, 500), (99, 5)]:
            expected = await room.gateway.store.events.after(room.organization.id, position, limit)
            assert await read(room, tail, position, limit) == expected


async def test_a_hundred_readers_read_new_lines_with_one_statement_and_none_with_two(folder: Path) -> None:
    async with a_chat_room(folder, takes_message_ids=True) as room:
        tail = LogTail()
        head = await room.gateway.store.events.head(room.organization.id)
        assert await statements(room, *many(room, tail, head)) <= 2
        await say(room, "One")
        assert await statements(room, *many(room, tail, head)) == 1
        assert await statements(room, *many(room, tail, head)) == 0


async def test_reader_far_behind_reads_the_store_and_leaves_the_tail_alone(folder: Path) -> None:
    async with a_chat_room(folder, takes_message_ids=True) as room:
        tail = LogTail()
        for text in "abc":
            await say(room, text)
        head = await room.gateway.store.events.head(room.organization.id)
        assert len(await read(room, tail, head - 1)) == 1
        assert len(await read(room, tail, 0)) == head
        assert await statements(room, asyncio.ensure_future(read(room, tail, head - 1))) == 0


async def test_lines_that_are_forgotten_behind_the_tail_are_not_made_up(folder: Path) -> None:
    async with a_chat_room(folder, takes_message_ids=True) as room:
        tail = LogTail()
        start = await room.gateway.store.events.head(room.organization.id)
        await say(room, "One")
        await read(room, tail, start)
        await say(room, "Lost")
        await expire(room)
        await say(room, "Next")
        (line,) = await read(room, tail, start + 1)
        assert line.seq == start + 3


async def test_reader_that_leaves_in_the_middle_takes_nothing_from_the_others(folder: Path) -> None:
    async with a_chat_room(folder, takes_message_ids=True) as room:
        tail = LogTail()
        start = await room.gateway.store.events.head(room.organization.id)
        await say(room, "One")
        first, *others = many(room, tail, start)
        await asyncio.sleep(0)
        first.cancel()
        assert [len(lines) for lines in await asyncio.gather(*others)] == [1] * len(others)


@pytest.mark.parametrize("seed", range(count(long=100, least=3)))
async def test_whoever_was_told_of_a_commit_sees_it(folder: Path, seed: int) -> None:
    """A reading that was under way before the commit does not count as having looked."""
    chance = random.Random(seed)
    async with a_chat_room(folder, takes_message_ids=True) as room:
        tail, organization_id = LogTail(), room.organization.id

        async def follow() -> None:
            position = 0
            with room.gateway.feed.listen(organization_id) as listener:
                while position < goal:
                    while lines := await read(room, tail, position):
                        assert [line.seq for line in lines] == list(range(position + 1, position + len(lines) + 1))
                        position = lines[-1].seq
                    assert position >= listener.head
                    if position < goal:
                        await asyncio.wait_for(listener.wait(), 10)

        goal = await room.gateway.store.events.head(organization_id) + 10
        following = [asyncio.ensure_future(follow()) for _ in range(5)]
        for number in range(10):
            for _ in range(chance.randrange(10)):
                await asyncio.sleep(0)
            await say(room, str(number))
        await asyncio.gather(*following)
