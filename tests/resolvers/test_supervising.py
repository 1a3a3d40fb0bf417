"""What nobody works on any more is found and settled, by one of the processes that live, and what somebody works on is left alone."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from domain.errors import OutcomeUnknown, UpstreamUnavailable
from domain.records import Message, MessageRole, MessageState
from resolvers.context import utc_now
from resolvers.live_events import DeltaCame
from resolvers.sending import ReplyMode, Sent
from resolvers.supervising import Supervisor, recover, supervising
from storage.intents import IntentState
from tests.fakes import Fault
from tests.resolvers.conftest import Room, Together
from tests.resolvers.rooms import a_chat_room, an_ear, at_source, logged, say, settled, shown

pytestmark = pytest.mark.anyio
OURS: dict[str, Any] = {"takes_message_ids": True}
LATER = timedelta(hours=1)


class Clock:
    """The time of day, moved on by `ahead`."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


async def begins_a_reply(room: Room, words: str = "Half") -> Sent:
    room.source.words = asyncio.Queue()
    sent = await say(room, reply=ReplyMode.STREAM)
    await room.source.grows_to(words)
    return sent


async def row(room: Room, message: Message | None) -> Message:
    assert message is not None
    found = await room.gateway.store.messages.get(1, 1, "c1", message.native_id)
    assert found is not None
    return found


def asked(room: Room) -> list[str]:
    return [call for call in room.source.calls if call in ("read_messages", "follow_reply")]


# Which


async def test_reply_that_a_living_process_follows_is_left_alone(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        first, second = room.with_a_second_process()
        await begins_a_reply(first)
        room.source.calls.clear()
        for process in (first, second):
            assert await Supervisor(process.gateway).look() == 0
        assert asked(room) == []
        assert room.source.words is not None
        room.source.words.put_nowait(MessageState.COMPLETE)
        await settled(first)


async def test_reply_of_a_dead_process_is_followed_by_one_of_the_living(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        sent = await begins_a_reply(room)
        await room.gateway.replies.drain(0)
        first, second = room.with_a_second_process()
        room.source.calls.clear()
        await asyncio.gather(*(Supervisor(process.gateway).look() for process in (first, second)))
        assert len(first.gateway.replies) + len(second.gateway.replies) == 1
        await room.source.grows_to("Half and whole")
        assert room.source.words is not None
        room.source.words.put_nowait(MessageState.COMPLETE)
        await asyncio.gather(settled(first), settled(second))
        assert room.source.calls.count("follow_reply") == 1
        reply = await row(room, sent.reply)
        assert (reply.text, reply.state) == ("Half and whole", MessageState.COMPLETE)


async def test_words_go_on_for_listeners_when_another_process_takes_over(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        await begins_a_reply(room)
        await room.gateway.replies.drain(0)
        after = room.restarted()
        async with an_ear(after) as ear:
            await recover(after.gateway)
            await room.source.grows_to("Half and whole")
            came = await ear.until(DeltaCame)
            assert isinstance(came, DeltaCame)
            assert (came.delta.offset, came.delta.text) == (0, "Half and whole")
        assert room.source.words is not None
        room.source.words.put_nowait(MessageState.COMPLETE)
        await settled(after)


async def test_own_follower_that_broke_off_is_looked_after(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        sent = await begins_a_reply(room)
        assert room.source.words is not None
        room.source.words.put_nowait(UpstreamUnavailable("It broke.", source_id=1, operation="send_message"))
        await settled(room)
        assert await Supervisor(room.gateway).look() == 1
        room.source.words.put_nowait(MessageState.COMPLETE)
        await settled(room)
        assert (await row(room, sent.reply)).state is MessageState.COMPLETE


async def somebody_elses_reply(room: Room, state: MessageState = MessageState.STREAMING) -> Message:
    room.source.says_by_itself("c1", "Question")
    reply = room.source.says_by_itself("c1", "Half an answer", MessageRole.ASSISTANT)
    rows = room.source.messages["c1"]
    rows[-1] = replace(reply, state=state)
    await shown(room)
    room.source.calls.clear()
    return reply


async def test_reply_that_somebody_else_asked_for_is_settled_when_no_reading_shows_more_of_it(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        reply, clock = await somebody_elses_reply(room), Clock()
        process = room.restarted(clock=clock)
        supervisor = Supervisor(process.gateway)
        assert await supervisor.look() == 0
        clock.ahead = timedelta(seconds=11)
        room.source.messages["c1"][-1] = replace(reply, text="Answer", state=MessageState.COMPLETE)
        assert await supervisor.look() == 1
        settled_reply = await row(process, reply)
        assert (settled_reply.text, settled_reply.state) == ("Answer", MessageState.COMPLETE)
        assert await supervisor.look() == 0


async def test_reply_that_somebody_else_asked_for_is_followed_to_its_end(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        reply = await somebody_elses_reply(room)
        room.source.words = asyncio.Queue()
        after = room.restarted()
        async with an_ear(after) as ear:
            assert await recover(after.gateway) == 1
            await room.source.grows_to("Answer")
            await ear.until(DeltaCame)
        room.source.words.put_nowait(MessageState.COMPLETE)
        await settled(after)
        assert (await row(after, reply)).state is MessageState.COMPLETE


# How


async def test_reply_that_broke_off_does_not_begin_again_because_its_source_never_noticed(folder: Path) -> None:
    """A server that was started anew in the middle shows it as being written for ever."""
    async with a_chat_room(folder, **OURS) as room:
        reply = await somebody_elses_reply(room)
        room.source.words = asyncio.Queue()
        room.source.words.put_nowait(MessageState.FAILED)
        await recover(room.gateway)
        await settled(room)
        room.source.messages["c1"][-1] = replace(reply, state=MessageState.STREAMING)
        start = await room.gateway.store.events.head(1)
        assert (await shown(room))[-1].state is MessageState.FAILED
        assert (await row(room, reply)).state is MessageState.FAILED
        assert await Supervisor(room.gateway).look() == 0
        room.source.messages["c1"][-1] = replace(reply, text="Answer after all", state=MessageState.STREAMING)
        assert (await shown(room))[-1].state is MessageState.STREAMING
        assert await logged(room, after=start) == [("MESSAGE_UPDATED", reply.native_id)]


async def test_reply_that_its_source_has_not_shown_is_waited_for_and_then_broke_off(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        room.source.tells_ids_late = True
        sent = await begins_a_reply(room)
        await room.gateway.replies.drain(0)
        del room.source.messages["c1"][-1]
        clock = Clock()
        after = room.restarted(clock=clock)
        supervisor = Supervisor(after.gateway)
        await supervisor.look()
        assert (await row(after, sent.reply)).state is MessageState.STREAMING
        clock.ahead = timedelta(seconds=after.gateway.tuning.reply_patience_seconds - 60)
        await supervisor.look()
        assert (await row(after, sent.reply)).state is MessageState.STREAMING
        clock.ahead += timedelta(seconds=120)
        await supervisor.look()
        reply = await row(after, sent.reply)
        assert (reply.text, reply.state) == ("Half", MessageState.FAILED)


async def test_reply_that_shows_up_while_it_is_waited_for_is_that_reply(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        room.source.tells_ids_late = True
        sent = await begins_a_reply(room)
        await room.gateway.replies.drain(0)
        late = room.source.messages["c1"].pop()
        clock = Clock()
        after = room.restarted(clock=clock)
        supervisor = Supervisor(after.gateway)
        await supervisor.look()
        room.source.messages["c1"].append(replace(late, text="Whole", state=MessageState.COMPLETE))
        clock.ahead = timedelta(seconds=20)
        await supervisor.look()
        reply = await row(after, sent.reply)
        assert (reply.text, reply.state) == ("Whole", MessageState.COMPLETE)
        assert len(await shown(after)) == 2


async def test_reply_to_a_message_of_unknown_fate_is_as_unknown(folder: Path) -> None:
    async with a_chat_room(folder, replies_late=True) as room:
        room.source.hold_at["send_message"] = asyncio.Event()
        sent = await say(room, reply=ReplyMode.STREAM)
        await room.source.until_asked("send_message")
        await room.gateway.replies.drain(0)
        room.source.hold_at.clear()
        after = room.restarted()
        await recover(after.gateway)
        assert (await row(after, sent.message)).state is MessageState.PENDING
        assert (await row(after, sent.reply)).state is MessageState.PENDING
        room.source.says_by_itself("c1", "Hi")
        room.source.says_by_itself("c1", "Hello", MessageRole.ASSISTANT)
        assert [(one.native_id, one.state.value) for one in await shown(after)] == [
            (one.native_id, "COMPLETE") for one in (sent.message, sent.reply) if one is not None
        ]


async def test_reply_of_a_source_that_was_disconnected_broke_off(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        sent = await begins_a_reply(room)
        await room.gateway.replies.drain(0)
        store = room.gateway.store
        await store.database.write(
            lambda tx: tx.execute("/* test */ UPDATE source SET removed_at = 1, keeps_mirror = 1 WHERE id = 1", {})
        )
        after = room.restarted()
        await recover(after.gateway)
        assert (await row(after, sent.reply)).state is MessageState.FAILED


# Messages of unknown fate


async def loses_a_message(room: Room) -> None:
    room.source.faults.append(Fault.BEFORE)
    with pytest.raises(OutcomeUnknown):
        await say(room, "Lost", idempotency_key="k")


async def states_of_own(room: Room) -> list[str]:
    rows = await room.gateway.store.messages.tree(1, 1, "c1")
    return [one.state.value for one in rows if one.text == "Lost"]


async def intent_states(room: Room) -> list[IntentState]:
    return [intent.state for intent in await room.gateway.store.intents.open_intents()]


async def test_message_whose_absence_proves_that_it_was_never_sent_fails_in_the_end(folder: Path) -> None:
    async with a_chat_room(folder, absence_proves_not_sent=True, **OURS) as room:
        room.source.faults.append(Fault.BEFORE)
        await loses_a_message(room)
        clock = Clock()
        after = room.restarted(clock=clock)
        await recover(after.gateway)
        assert await states_of_own(after) == ["PENDING"]
        clock.ahead = LATER
        await recover(after.gateway)
        assert await states_of_own(after) == ["FAILED"]
        assert await intent_states(after) == []
        assert at_source(after) == []
        again = await say(after, "Lost", idempotency_key="k")
        assert again.replayed is False
        assert at_source(after) == ["Lost"]


async def test_message_whose_absence_proves_nothing_stays_pending_and_is_found_late(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        await loses_a_message(room)
        clock = Clock()
        after = room.restarted(clock=clock)
        clock.ahead = LATER
        await recover(after.gateway)
        assert await states_of_own(after) == ["PENDING"]
        room.source.says_by_itself("c1", "Lost")
        clock.ahead += LATER
        await Supervisor(after.gateway).look()
        assert await states_of_own(after) == ["COMPLETE"]


async def test_reading_that_is_not_whole_proves_no_absence(folder: Path) -> None:
    async with a_chat_room(folder, absence_proves_not_sent=True, **OURS) as room:
        room.source.faults.append(Fault.BEFORE)
        await loses_a_message(room)
        clock = Clock()
        after = room.restarted(clock=clock)
        clock.ahead = LATER
        room.source.fails = UpstreamUnavailable("Down.", source_id=1, operation="read_messages")
        await recover(after.gateway)
        assert await states_of_own(after) == ["PENDING"]


# Several processes


async def test_same_key_waits_for_the_process_that_is_at_it(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        first, second = room.with_a_second_process()
        room.source.hold_at["send_message"] = asyncio.Event()
        sending = asyncio.create_task(say(first, idempotency_key="k"))
        await room.source.until_asked("send_message")
        repeating = asyncio.create_task(say(second, idempotency_key="k"))
        assert await Supervisor(second.gateway).look() == 0
        assert not repeating.done()
        room.source.hold_at["send_message"].set()
        sent, repeated = await asyncio.gather(sending, repeating)
        assert repeated.replayed
        assert repeated.message == sent.message
        assert at_source(room) == ["Hi"]


async def test_same_key_does_not_wait_for_a_process_that_dies(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        first, second = room.with_a_second_process()
        room.source.hold_at["send_message"] = asyncio.Event()
        sending = asyncio.create_task(say(first, idempotency_key="k"))
        await room.source.until_asked("send_message")
        repeating = asyncio.create_task(say(second, idempotency_key="k"))
        await first.gateway.replies.drain(0)
        assert isinstance(second.gateway.presence, Together)
        second.gateway.presence.others.clear()
        with pytest.raises(OutcomeUnknown):
            await repeating
        await asyncio.gather(sending, return_exceptions=True)


async def test_open_intents_of_a_dead_process_are_settled_by_a_living_one(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        first, second = room.with_a_second_process()
        room.source.hold_at["send_message"] = asyncio.Event()
        sending = asyncio.create_task(say(first, idempotency_key="k"))
        await room.source.until_asked("send_message")
        await first.gateway.replies.drain(0)
        await asyncio.gather(sending, return_exceptions=True)
        room.source.hold_at.clear()
        (intent,) = await room.gateway.store.intents.open_intents()
        room.source.messages["c1"].append(
            replace(room.source.says_by_itself("c1", "Hi"), native_id=intent.message_id or "")
        )
        assert await Supervisor(second.gateway).look() == 0
        assert isinstance(second.gateway.presence, Together)
        second.gateway.presence.others.clear()
        assert await Supervisor(second.gateway).look() == 1
        assert await intent_states(second) == []
        assert (await say(second, idempotency_key="k")).replayed


# When


async def test_what_does_not_change_is_looked_at_less_and_less_often(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        await loses_a_message(room)
        clock = Clock()
        after = room.restarted(clock=clock)
        supervisor, looks = Supervisor(after.gateway), []
        for second in range(0, 3600, 5):
            clock.ahead = timedelta(seconds=second)
            if await supervisor.look():
                looks.append(second)
        assert looks[0] == 0
        gaps = [b - a for a, b in pairwise(looks)]
        assert gaps == sorted(gaps)
        assert max(gaps) <= 605
        assert len(looks) < 25


async def test_reply_that_is_being_written_is_looked_at_within_thirty_seconds(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        sent = await begins_a_reply(room)
        await room.gateway.replies.drain(0)
        clock = Clock()
        after = room.restarted(clock=clock)
        supervisor, looks = Supervisor(after.gateway), []
        room.source.fails = UpstreamUnavailable("Down.", source_id=1, operation="read_messages")
        for second in range(0, 600, 5):
            clock.ahead = timedelta(seconds=second)
            if await supervisor.look():
                looks.append(second)
        assert max(b - a for a, b in pairwise(looks)) <= 20
        room.source.fails = None
        rows = room.source.messages["c1"]
        rows[-1] = replace(rows[-1], text="Whole", state=MessageState.COMPLETE)
        clock.ahead = timedelta(seconds=620)
        await supervisor.look()
        assert (await row(after, sent.reply)).state is MessageState.COMPLETE


async def test_call_makes_it_look_at_once(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room, AsyncExitStack() as stack:
        first, second = room.with_a_second_process()
        sent = await begins_a_reply(first)
        supervisor = Supervisor(second.gateway)
        before = asyncio.all_tasks()
        await stack.enter_async_context(supervising(supervisor, every_seconds=3600))
        await first.gateway.replies.drain(0)
        rows = room.source.messages["c1"]
        rows[-1] = replace(rows[-1], text="Whole", state=MessageState.COMPLETE)
        assert isinstance(second.gateway.presence, Together)
        second.gateway.presence.others.clear()
        supervisor.call()
        async with asyncio.timeout(30):
            # Nobody listens, or what watches the chat for them would see the end as well.
            while (await row(second, sent.reply)).state is not MessageState.COMPLETE:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await stack.aclose()
        assert asyncio.all_tasks() - before == set()
