"""What is forgotten while a subscriber is still reading is told as a gap, and never passed over in silence."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from domain.errors import StreamGapFound
from resolvers.context import Tuning
from resolvers.live import message_added
from resolvers.live_events import CaughtUp, Gap, GapReason, Happened
from resolvers.wanted import MessageEventFilter
from tests.resolvers.conftest import Room
from tests.resolvers.rooms import a_chat_room, an_ear, say
from tests.tier import count

pytestmark = pytest.mark.anyio
OURS: dict[str, Any] = {"takes_message_ids": True}


async def forget_up_to(room: Room, seq: int) -> None:
    """As retention does, by age."""
    statement = "/* test */ DELETE FROM event WHERE organization_id = :organization_id AND seq <= :seq"
    parameters = {"organization_id": room.organization.id, "seq": seq}
    await room.gateway.store.database.write(lambda tx: tx.execute(statement, parameters))


def position(room: Room, cursor: str) -> int:
    found = room.gateway.feed.position(room.organization.id, cursor)
    assert found is not None
    return found


async def test_lines_that_go_while_they_are_replayed_are_a_gap(folder: Path) -> None:
    async with a_chat_room(folder, tuning=Tuning(event_batch=2), **OURS) as room:
        start = await room.context().event_cursor()
        for number in range(8):
            await say(room, f"Message {number}")
        stream = message_added(room.context(), chat_id=None, filter_=MessageEventFilter(), after=start)
        first = await anext(aiter(stream))
        await forget_up_to(room, 6)
        with pytest.raises(StreamGapFound) as caught:
            async for _ in stream:
                pass
        assert position(room, caught.value.gap_from) == first.event.seq + 1  # a batch of two was read
        assert position(room, caught.value.gap_to) == 8


async def test_lines_that_somebody_has_just_read_are_no_gap(folder: Path) -> None:
    """They are still at hand, though the log has forgotten them."""
    async with a_chat_room(folder, tuning=Tuning(event_batch=2), **OURS) as room:
        start = await room.context().event_cursor()
        for number in range(8):
            await say(room, f"Message {number}")
        streams = [
            message_added(room.context(), chat_id=None, filter_=MessageEventFilter(), after=start) for _ in range(2)
        ]
        heard = [[(await anext(aiter(stream))).event.seq] for stream in streams]
        heard[0] += [(await anext(aiter(streams[0]))).event.seq for _ in range(7)]
        await forget_up_to(room, 6)
        heard[1] += [(await anext(aiter(streams[1]))).event.seq for _ in range(7)]
        assert heard == [list(range(1, 9))] * 2


async def test_gap_is_followed_by_what_comes_then(folder: Path) -> None:
    async with a_chat_room(folder, tuning=Tuning(event_batch=2), **OURS) as room, an_ear(room) as ear:
        for number in range(4):
            await say(room, f"Message {number}")
        await ear.next()
        await forget_up_to(room, 4)
        gap = await ear.until(Gap)
        assert isinstance(gap, Gap)
        assert gap.reason is GapReason.SLOW_READER
        await say(room, "After")
        event = await ear.until(Happened)
        assert isinstance(event, Happened)
        assert event.message is not None
        assert event.message.text == "After"


async def test_log_that_was_emptied_behind_a_reader_is_a_gap(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room, an_ear(room) as ear:
        writing = asyncio.create_task(say(room, "Lost"))
        await writing
        await forget_up_to(room, 1)
        assert isinstance(await ear.next(), Gap)


@pytest.mark.parametrize("seed", range(count(long=100, least=4)))
async def test_every_line_is_delivered_or_inside_a_gap(folder: Path, seed: int) -> None:
    """Writers write, retention forgets, and a subscriber that is often slow reads."""
    chance = random.Random(seed)
    tuning = Tuning(event_batch=chance.choice([1, 2, 5]))
    async with a_chat_room(folder, tuning=tuning, **OURS) as room:
        at = await room.gateway.store.events.head(room.organization.id)
        last = at + 30

        async def write() -> None:
            for number in range(30):
                await say(room, f"Message {number}")
                if chance.random() < 0.3:
                    head = await room.gateway.store.events.head(room.organization.id)
                    await forget_up_to(room, head - chance.randrange(4))

        async with an_ear(room) as ear:
            writing = asyncio.create_task(write())
            while at < last:
                event = await ear.next()
                if isinstance(event, Gap):
                    assert position(room, event.gap_from) == at
                    at = position(room, event.gap_to)
                elif isinstance(event, Happened):
                    assert event.event.seq == at + 1
                    at = event.event.seq
                assert not isinstance(event, CaughtUp)
                for _ in range(chance.choice([0, 0, 50])):
                    await asyncio.sleep(0)
            await writing
