"""How often the words of a reply are saved, and that they are there for whoever comes late."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from domain.records import Message, MessageRole, MessageState
from resolvers.growing import Growing
from resolvers.live_events import DeltaCame, Happened
from resolvers.sending import ReplyMode
from tests.resolvers.conftest import Room
from tests.resolvers.rooms import a_chat_room, an_ear, say, settled, shown

pytestmark = pytest.mark.anyio
OURS: dict[str, Any] = {"takes_message_ids": True}


def a_reply(text: str, state: MessageState = MessageState.STREAMING) -> Message:
    return Message(
        organization_id=1,
        source_id=1,
        chat_id="c1",
        native_id="r",
        role=MessageRole.ASSISTANT,
        text=text,
        state=state,
    )


@asynccontextmanager
async def a_growing_reply(folder: Path) -> AsyncIterator[tuple[Room, Growing, list[str]]]:
    """A reply whose row is there; the list is of the statements that saved its words."""
    async with a_chat_room(folder, **OURS) as room:
        room.source.messages["c1"].append(a_reply(""))
        await shown(room)
        saved: list[str] = []

        def note(statement: str) -> None:
            if statement.startswith("UPDATE message SET text"):
                saved.append(statement)

        await room.gateway.store.database._connection.set_trace_callback(note)
        yield room, Growing(room.context(), speaker="test", after_seq=0), saved


async def stored(room: Room) -> str:
    row = await room.gateway.store.messages.get(1, 1, "c1", "r")
    assert row is not None
    return row.text


async def until_stored(room: Room, text: str) -> None:
    async with asyncio.timeout(10):
        while await stored(room) != text:  # noqa: ASYNC110  a task saves, by the loop's clock
            await asyncio.sleep(0.01)


async def test_first_words_are_saved_at_once_and_the_last_ones_though_nothing_follows(folder: Path) -> None:
    async with a_growing_reply(folder) as (room, growing, _):
        growing.say(a_reply("One"))
        await until_stored(room, "One")
        growing.say(a_reply("One two"))
        await until_stored(room, "One two")
        await growing.close(is_over=True)


async def test_words_are_saved_at_most_every_quarter_of_a_second(folder: Path) -> None:
    async with a_growing_reply(folder) as (room, growing, saved):
        began, text = time.monotonic(), ""
        for number in range(300):
            text += f" {number}"
            growing.say(a_reply(text))
            await asyncio.sleep(0.002)
        await until_stored(room, text)
        assert 2 <= len(set(saved)) <= 2 + (time.monotonic() - began) / 0.25
        await growing.close(is_over=True)


async def test_four_kilobytes_are_not_kept_back(folder: Path) -> None:
    """They are stored before the quarter of a second is over, whenever the machine has the time for it."""
    async with a_growing_reply(folder) as (room, growing, _):
        text, fastest = "", 1.0
        for _ in range(20):
            await asyncio.sleep(0.3)  # whatever was said before is saved by now
            growing.say(a_reply(text := text + "x"))
            await until_stored(room, text)
            began = time.monotonic()
            growing.say(a_reply(text := text + "😀" * 1024))
            await until_stored(room, text)
            fastest = min(fastest, time.monotonic() - began)
            if fastest < 0.2:
                break
        assert fastest < 0.2
        await growing.close(is_over=True)


async def test_what_broke_off_is_saved_to_its_last_word(folder: Path) -> None:
    async with a_growing_reply(folder) as (room, growing, _):
        growing.say(a_reply("One"))
        growing.say(a_reply("One two"))
        await growing.close(is_over=False)
        assert await stored(room) == "One two"
        assert room.gateway.feed.under_way(1) == []


async def test_words_that_are_saved_late_do_not_touch_a_reply_that_has_ended(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        room.source.words = asyncio.Queue()
        sent = await say(room, reply=ReplyMode.STREAM)
        await room.source.grows_to("Half")
        room.source.words.put_nowait("Whole")
        room.source.words.put_nowait(MessageState.COMPLETE)
        await settled(room)
        assert sent.reply is not None
        row = await room.gateway.store.messages.get(1, 1, "c1", sent.reply.native_id)
        assert row is not None
        assert (row.text, row.state) == ("Whole", MessageState.COMPLETE)


async def test_late_joiner_has_all_words_so_far_at_once(folder: Path) -> None:
    """Though no more of them come: the source is thinking."""
    async with a_chat_room(folder, **OURS) as room:
        room.source.words = asyncio.Queue()
        await say(room, reply=ReplyMode.STREAM)
        for words in ("One ", "One two "):
            await room.source.grows_to(words)
        async with an_ear(room) as late:
            event = await late.next()
            assert isinstance(event, DeltaCame)
            assert (event.delta.offset, event.delta.text) == (0, "One two ")
        room.source.words.put_nowait(MessageState.COMPLETE)
        await settled(room)
        async with an_ear(room) as later:
            await say(room, "Last")
            assert not isinstance(await later.next(), DeltaCame)


async def test_continuing_behind_words_repeats_no_message_that_came_before_them(folder: Path) -> None:
    """Their cursor is a place in the stream, and not only behind the line that announced their reply."""
    async with a_chat_room(folder, **OURS) as room:
        room.source.words = asyncio.Queue()
        async with an_ear(room) as ear:
            await say(room, reply=ReplyMode.STREAM)
            await room.source.grows_to("One ")
            await ear.until(DeltaCame)
            foreign = room.source.says_by_itself("c1", "In between")
            await shown(room)
            while not any(isinstance(one, Happened) and one.event.native_id == foreign.native_id for one in ear.heard):
                await ear.next()
            await room.source.grows_to("One two")
            last = await ear.until(DeltaCame)
        async with an_ear(room, after=last.cursor) as ear:
            assert [event for event in ear.heard if isinstance(event, Happened)] == []
            again = await ear.next()
            assert isinstance(again, DeltaCame)
            assert (again.delta.offset, again.delta.text) == (0, "One two")
        room.source.words.put_nowait(MessageState.COMPLETE)
        await settled(room)
