"""What is on its way to one client."""

import asyncio

import pytest

from switchboard.http.outbox import Frame, Outbox

pytestmark = pytest.mark.anyio


async def test_frames_leave_in_order_and_count_until_written() -> None:
    box = Outbox(100)
    assert box.put((b"o", b"ne"))
    box.put_now(("zwölf".encode(),))
    assert box.waiting_bytes == 3 + 6
    assert box.first() == (b"o", b"ne")
    assert box.waiting_bytes == 9
    box.written()
    assert box.first() == ("zwölf".encode(),)
    box.written()
    assert box.waiting_bytes == 0
    assert box.first() is None


async def test_full_box_takes_nothing_but_what_has_to_be_said() -> None:
    box = Outbox(4)
    assert box.put((b"123",))
    assert box.put((b"45678",))
    assert not box.put((b"9",))
    box.put_now((b"pong",))
    assert box.waiting_bytes == 12


async def test_full_box_has_room_when_half_of_it_has_left() -> None:
    box = Outbox(4)
    for text in (b"12", b"34", b"5"):
        box.put_now((text,))
    waiting = asyncio.create_task(box.has_room(10))
    await asyncio.sleep(0)
    box.written()
    await asyncio.sleep(0)
    assert not waiting.done(), "it would be full again with the next frame"
    box.written()
    assert await waiting


async def test_box_that_stays_full_has_no_room() -> None:
    box = Outbox(4)
    box.put((b"1234",))
    assert not await box.has_room(0.01)


async def test_all_who_wait_hear_of_room() -> None:
    box = Outbox(4)
    box.put((b"1234",))
    waiting = [asyncio.create_task(box.has_room(10)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    box.clear()
    assert await asyncio.gather(*waiting[1:]) == [True, True]


async def test_frame_that_can_be_written_at_once_never_waits() -> None:
    written: list[Frame] = []

    def write_now(frame: Frame) -> bool:
        written.append(frame)
        return True

    box = Outbox(4, write_now=write_now)
    assert box.put((b"1234",))
    box.put_now((b"5678",))
    assert written == [(b"1234",), (b"5678",)]
    assert box.waiting_bytes == 0


async def test_frame_never_overtakes_one_that_waits() -> None:
    takes, written, calls = False, [], []

    def write_now(frame: Frame) -> bool:
        if takes:
            written.append(frame)
        return takes

    box = Outbox(100, write_now=write_now, filled=lambda: calls.append(1))
    box.put((b"first",))
    takes = True
    box.put((b"second",))
    assert written == []
    assert calls == [1], "the owner is told when frames begin to wait, and not for each"
    box.clear()
    box.put((b"third",))
    assert written == [(b"third",)]
