"""The frames that wait for one socket."""

import asyncio

import pytest

from switchboard.http.outbox import Outbox

pytestmark = pytest.mark.anyio


async def test_frames_leave_in_order_and_count_until_written() -> None:
    box = Outbox(100)
    box.put_now("one")
    box.put_now("zwölf")
    assert box.waiting_bytes == 3 + 6
    assert await box.first() == "one"
    assert box.waiting_bytes == 9
    box.written()
    assert await box.first() == "zwölf"
    box.written()
    assert box.waiting_bytes == 0


async def test_full_box_has_room_when_a_frame_has_left() -> None:
    box = Outbox(4)
    box.put_now("1234")
    waiting = asyncio.create_task(box.has_room(10))
    await asyncio.sleep(0)
    assert not waiting.done()
    box.written()
    assert await waiting


async def test_box_that_stays_full_has_no_room() -> None:
    box = Outbox(4)
    box.put_now("1234")
    assert not await box.has_room(0.01)


async def test_reader_waits_for_the_first_frame() -> None:
    box = Outbox(4)
    reading = asyncio.create_task(box.first())
    await asyncio.sleep(0)
    assert not reading.done()
    box.put_now("x")
    assert await reading == "x"
