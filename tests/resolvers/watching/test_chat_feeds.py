"""Reading one chat again and again."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.capabilities import Capability, unsupported
from domain.errors import UpstreamRateLimited, UpstreamUnavailable
from domain.records import EventKind, MessageState
from domain.source import MessageWindow
from resolvers.reading import read_messages
from resolvers.targets import ChatTarget
from tests.builders import a_chat
from tests.pagers import PagingSource
from tests.resolvers.rooms import REPLIES, a_vendor, logged, quiet, say
from tests.resolvers.watching.virtual import WatchedRoom, a_watched_room

pytestmark = pytest.mark.anyio
LONGEST = 60.0


def down(**fields: Any) -> UpstreamUnavailable:
    return UpstreamUnavailable("Down.", source_id=1, operation="read_messages", **fields)


async def created(watched: WatchedRoom) -> list[str]:
    return [native_id for _, native_id in await logged(watched.room, EventKind.MESSAGE_CREATED)]


async def quiet_for_long(watched: WatchedRoom) -> None:
    """Until the feed is at its slowest."""
    await watched.passes(600)
    watched.calls()


async def test_message_of_somebody_else_is_logged_by_itself(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor("vendor", "Old")) as watched, watched.subscribed():
        await watched.passes(5)
        new = watched.source.says_by_itself("c1", "New")
        await watched.passes(LONGEST)
        assert await logged(watched.room) == [("MESSAGE_CREATED", new.native_id)]


async def test_quiet_chat_is_read_less_and_less_often_and_never_less_than_the_longest_wait(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched, watched.subscribed():
        assert await reads_in(watched, 60) > 4
        await quiet_for_long(watched)
        assert await reads_in(watched, 10 * LONGEST) == 10


async def reads_in(watched: WatchedRoom, seconds: float) -> int:
    watched.calls()
    await watched.passes(seconds)
    return watched.calls()


async def test_something_new_makes_the_feed_look_again_soon(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched, watched.subscribed():
        await quiet_for_long(watched)
        watched.source.says_by_itself("c1", "One")
        while not await created(watched):
            await watched.passes(1)
        assert await reads_in(watched, 3) >= 2


async def test_quiet_reading_is_one_call_and_writes_nothing(folder: Path) -> None:
    vendor = a_vendor("vendor", *map(str, range(40)))
    async with a_watched_room(folder, vendor, full_pass_seconds=10_000) as watched, watched.subscribed():
        await quiet_for_long(watched)
        database = watched.room.gateway.store.database
        writer = database._connection._conn
        before, written = database.statements, writer.statements  # type: ignore[attr-defined]
        assert await reads_in(watched, 10 * LONGEST) == 10
        assert watched.source.calls == []
        assert writer.statements == written, "not even the lock for writing was taken"  # type: ignore[attr-defined]
        assert database.statements - before <= 20, "the head of the log, and the sources of the organization"


async def test_quiet_reading_notices_that_somebody_else_changed_the_rows(folder: Path) -> None:
    """A change that is taken back between two readings of this process, and seen by another one."""
    async with a_watched_room(folder, a_vendor("vendor", "As it was")) as watched, watched.subscribed():
        await quiet_for_long(watched)
        other = watched.room.restarted()
        (read,) = await watched.chats()
        await watched.source.edit_message("c1", "m0", "Changed")
        assert isinstance(read, ChatTarget)
        await read_messages(other.context(), read, MessageWindow(last=5))
        await watched.source.edit_message("c1", "m0", "As it was")
        await watched.passes(LONGEST)
        row = await watched.room.gateway.store.messages.get(watched.room.organization.id, 1, "c1", "m0")
        assert row is not None
        assert row.text == "As it was"
        assert await logged(watched.room) == [("MESSAGE_UPDATED", "m0")] * 2


async def test_edit_and_deletion_are_noticed_where_readings_are_whole(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor("vendor", "One", "Two")) as watched, watched.subscribed():
        await watched.passes(5)
        await watched.source.edit_message("c1", "m0", "Uno")
        del watched.source.messages["c1"][1]
        await watched.passes(LONGEST)
        assert sorted(await logged(watched.room)) == [("MESSAGE_DELETED", "m1"), ("MESSAGE_UPDATED", "m0")]


async def test_slow_full_pass_finds_what_the_newest_page_does_not_show(folder: Path) -> None:
    vendor = a_vendor("vendor", *map(str, range(30)), kind=PagingSource, max_page=5)
    async with a_watched_room(folder, vendor, full_pass_seconds=900) as watched, watched.subscribed():
        await watched.passes(1000)  # the first pass knows the chat whole
        await watched.source.edit_message("c1", "m2", "Edited")
        watched.source.messages["c1"] = [row for row in watched.source.messages["c1"] if row.native_id != "m4"]
        await watched.source.rename_chat("c1", "Renamed")
        await watched.passes(60)
        assert await logged(watched.room) == []
        await watched.passes(1000)
        assert sorted(await logged(watched.room)) == [
            ("CHAT_UPDATED", "c1"),
            ("MESSAGE_DELETED", "m4"),
            ("MESSAGE_UPDATED", "m2"),
        ]


async def test_deleted_chat_is_told_and_its_feed_ends(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor("vendor", "One")) as watched, watched.subscribed():
        await watched.passes(5)
        watched.source.chats.clear()
        await watched.passes(LONGEST)
        assert await logged(watched.room) == [("CHAT_DELETED", "c1")]
        watched.calls()
        await watched.passes(10 * LONGEST)
        assert watched.source.calls == []


async def test_chat_that_is_denied_once_is_read_on(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor("vendor", "One")) as watched, watched.subscribed():
        await watched.passes(5)
        kept, watched.source.chats = watched.source.chats, []
        watched.source.fails_at["get_chat"] = down()
        await watched.passes(10)
        watched.source.chats = kept
        del watched.source.fails_at["get_chat"]
        new = watched.source.says_by_itself("c1", "Still here")
        await watched.passes(2 * LONGEST)
        assert await logged(watched.room) == [("MESSAGE_CREATED", new.native_id)]


async def test_own_write_is_a_reason_to_read_at_once(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor("vendor", takes_message_ids=True)) as watched, watched.subscribed():
        await quiet_for_long(watched)
        theirs = watched.source.says_by_itself("c1", "Theirs")
        sent = await say(watched.room, "Ours")
        await watched.passes(0.1)
        assert sent.message is not None
        assert await created(watched) == [theirs.native_id, sent.message.native_id]
        assert watched.calls() >= 2, "the sender's own reading, and the feed's"


async def test_knock_reads_at_once_and_at_most_once_a_second(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched, watched.subscribed():
        await quiet_for_long(watched)
        for _ in range(50):
            assert watched.feeds.knock(1, "c1")
            await watched.passes(0.1)
        assert 5 <= watched.calls() <= 6


async def test_knock_during_a_reading_makes_it_once_more(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched, watched.subscribed():
        await quiet_for_long(watched)
        watched.source.hold = asyncio.Event()
        watched.feeds.knock(1, "c1")
        await watched.passes_only(1)
        watched.feeds.knock(1, "c1")
        watched.source.hold.set()
        await watched.passes(1)
        assert watched.calls() == 2


async def test_knock_somewhere_reads_every_chat_that_is_watched(folder: Path) -> None:
    vendor = a_vendor(chats=[a_chat("c1"), a_chat("c2"), a_chat("c3")])
    async with a_watched_room(folder, vendor) as watched, watched.subscribed(await watched.chats("c1", "c2")):
        await quiet_for_long(watched)
        assert watched.feeds.knock(1, None)
        await watched.passes(0.5)
        assert watched.calls() == 2


async def test_feed_outlives_every_error_of_its_source_and_backs_off(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched, watched.subscribed():
        await watched.passes(5)
        watched.source.fails = down()
        failing = await reads_in(watched, 3600)
        assert 10 < failing < 3600 / 0.5
        watched.source.fails = None
        new = watched.source.says_by_itself("c1", "Back again")
        await watched.passes(LONGEST + 1)
        assert await created(watched) == [new.native_id]


async def test_failures_are_spaced_further_and_further(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched:
        watched.clock.chance = 0.999
        async with watched.subscribed():
            watched.source.fails = down()
            await watched.passes(3600)
            assert watched.calls() < 3600 / LONGEST + 20


async def test_silence_that_the_source_asks_for_is_kept_by_all_its_feeds(folder: Path) -> None:
    vendor = a_vendor(chats=[a_chat("c1"), a_chat("c2")])
    async with a_watched_room(folder, vendor) as watched, watched.subscribed(await watched.chats("c1", "c2")):
        await watched.passes(5)
        watched.source.fails = UpstreamRateLimited(
            "Slower.", source_id=1, operation="read_messages", retry_after_seconds=40
        )
        await watched.passes(LONGEST)
        watched.calls()
        watched.source.fails = None
        watched.feeds.knock(1, None)
        began = watched.clock.now
        while watched.calls() == 0:
            await watched.passes(1)
        assert watched.clock.now - began <= 41


async def test_fault_of_ours_is_written_down_and_the_feed_goes_on(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_watched_room(folder, a_vendor()) as watched, watched.subscribed():
        await watched.passes(5)
        watched.source.fails = ZeroDivisionError("a bug")
        await watched.passes(5)
        assert watched.readings["broken"] >= 1
        assert "ZeroDivisionError" in caplog.text
        watched.source.fails = None
        new = watched.source.says_by_itself("c1", "Still watched")
        await watched.passes(LONGEST)
        assert await created(watched) == [new.native_id]


async def test_chat_without_a_call_of_its_own_is_watched_by_its_messages(folder: Path) -> None:
    vendor = a_vendor(also={**REPLIES, Capability.READ_CHAT: unsupported()})
    async with a_watched_room(folder, vendor, full_pass_seconds=10) as watched, watched.subscribed():
        await watched.passes(120)
        assert "get_chat" not in watched.source.calls


async def test_answer_of_somebody_else_is_looked_at_often_while_it_grows(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched, watched.subscribed():
        await quiet_for_long(watched)
        reply = replace(watched.source.says_by_itself("c1", "He"), state=MessageState.STREAMING)
        watched.source._put(reply)
        await watched.passes(LONGEST)
        for text in ["Hell", "Hello", "Hello "]:
            watched.source._put(replace(reply, text=text))
            assert await reads_in(watched, 2) >= 1
        watched.source._put(replace(reply, text="Hello you", state=MessageState.COMPLETE))
        await watched.passes(2)
        assert await logged(watched.room) == [
            ("MESSAGE_CREATED", reply.native_id),
            ("MESSAGE_UPDATED", reply.native_id),
        ]


async def test_more_than_can_be_read_back_is_told_as_a_gap_of_that_chat(folder: Path) -> None:
    vendor = a_vendor("vendor", "One", kind=PagingSource, max_page=5)
    async with a_watched_room(folder, vendor, fill_pages=3) as watched, watched.subscribed():
        await watched.passes(5)
        for number in range(100):
            watched.source.says_by_itself("c1", str(number))
        await watched.passes(LONGEST)
        assert await logged(watched.room) == [("STREAM_GAP", "c1")]
        new = watched.source.says_by_itself("c1", "Next")
        await watched.passes(LONGEST)
        assert await logged(watched.room) == [("STREAM_GAP", "c1"), ("MESSAGE_CREATED", new.native_id)]


async def test_clock_that_was_set_back_neither_loses_a_message_nor_makes_the_feed_run_hot(folder: Path) -> None:
    """Rows of the future cannot be overwritten until the clock has come to them again."""
    async with a_watched_room(folder, a_vendor("vendor", "One")) as watched, watched.subscribed():
        await watched.passes(5)
        row = watched.source.messages["c1"][0]
        await _mark_as_of_the_future(watched)
        watched.source._put(replace(row, text="Edited"))
        new = watched.source.says_by_itself("c1", "New")
        assert await reads_in(watched, 120) < 40
        assert await created(watched) == [new.native_id]


async def _mark_as_of_the_future(watched: WatchedRoom) -> None:
    async def unit(tx: Any) -> None:
        await tx.execute("UPDATE message SET changed_at = changed_at + 3600000000 /* test */")

    await watched.room.gateway.store.database.write(unit)


@pytest.mark.parametrize("seed", range(2))
async def test_many_writers_and_a_feed_bring_every_message_once_and_in_order(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    vendor = a_vendor(chats=[a_chat(f"c{n}") for n in range(5)], kind=PagingSource, max_page=5)
    names = [f"c{n}" for n in range(5)]
    async with a_watched_room(folder, vendor) as watched, watched.subscribed(await watched.chats(*names)):
        await watched.passes(1)
        for _ in range(60):
            watched.source.says_by_itself(chance.choice(names), "words")
            if chance.random() < 0.3:
                await watched.passes(chance.random() * 20)
            if chance.random() < 0.1:
                watched.source.page_faults.extend([False, True])  # type: ignore[attr-defined]
        await watched.passes(3 * LONGEST)
        events = await watched.room.gateway.store.events.after(watched.room.organization.id, 0, 1000)
        for name in names:
            told = [event.native_id for event in events if event.chat_id == name]
            assert told == [message.native_id for message in watched.source.messages.get(name, [])]
    await quiet(watched.room)
