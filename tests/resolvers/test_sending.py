"""A message is sent at most once, and whoever sent it is never told something false."""

import asyncio
import random
from pathlib import Path

import pytest

from domain.errors import (
    CapabilityMissing,
    IdempotencyConflict,
    InvalidArgument,
    NotFound,
    OutcomeUnknown,
    UpstreamRejected,
)
from domain.records import EventKind, MessageState
from resolvers.context import Tuning
from resolvers.sending import ReplyMode, Sent
from storage.intents import IntentState
from tests.builders import a_principal
from tests.fakes import Fault
from tests.resolvers.conftest import Room
from tests.resolvers.rooms import a_chat_room, at_source, chat_id, logged, say, settled, shown, texts
from tests.tier import count

pytestmark = pytest.mark.anyio
KINDS = pytest.mark.parametrize("takes_message_ids", [True, False], ids=["ids-of-ours", "ids-of-its-own"])


async def unsettled(room: Room) -> list[IntentState]:
    """The states of the intents that are open or unknown."""
    return [intent.state for intent in await room.gateway.store.intents.open_intents()]


async def test_intent_is_committed_before_the_source_is_asked(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        room.source.hold_at["send_message"] = asyncio.Event()
        sending = asyncio.create_task(say(room))
        await room.source.until_asked("send_message")
        assert await unsettled(room) == [IntentState.OPEN]
        room.source.hold_at["send_message"].set()
        await sending
        assert await unsettled(room) == []


@KINDS
async def test_message_that_was_sent_is_shown_once_under_the_id_that_the_sender_got(
    folder: Path, takes_message_ids: bool
) -> None:
    async with a_chat_room(folder, "Before", "Yes", takes_message_ids=takes_message_ids) as room:
        sent = await say(room, "Hi")
        assert sent.message is not None
        assert sent.message.state is MessageState.COMPLETE
        rows = await shown(room)
        assert [row.text for row in rows] == ["Before", "Yes", "Hi"]
        assert rows[-1].native_id == sent.message.native_id
        created = await logged(room, EventKind.MESSAGE_CREATED, EventKind.MESSAGE_DELETED)
        assert created == [("MESSAGE_CREATED", sent.message.native_id)]


@KINDS
async def test_certain_refusal_is_an_error_and_frees_the_key(folder: Path, takes_message_ids: bool) -> None:
    async with a_chat_room(folder, takes_message_ids=takes_message_ids) as room:
        room.source.faults.append(Fault.REFUSED)
        with pytest.raises(UpstreamRejected):
            await say(room, idempotency_key="k")
        again = await say(room, idempotency_key="k")
        assert again.replayed is False
        assert at_source(room) == await texts(room) == ["Hi"]


@KINDS
async def test_message_whose_answer_was_lost_is_found_again(folder: Path, takes_message_ids: bool) -> None:
    async with a_chat_room(folder, "Hi", "Yes", takes_message_ids=takes_message_ids) as room:
        room.source.faults.append(Fault.AFTER)
        sent = await say(room, "Hi")
        assert sent.message is not None
        rows = await shown(room)
        assert [row.text for row in rows] == ["Hi", "Yes", "Hi"]
        assert (rows[-1].native_id, rows[-1].state) == (sent.message.native_id, MessageState.COMPLETE)
        assert sent.message.native_id not in ("m0", "m1")
        assert room.source.calls.count("send_message") == 1


@KINDS
async def test_equal_text_before_the_send_is_never_taken_for_it(folder: Path, takes_message_ids: bool) -> None:
    async with a_chat_room(folder, "Hi", "Yes", takes_message_ids=takes_message_ids) as room:
        room.source.faults.append(Fault.BEFORE)
        with pytest.raises(OutcomeUnknown):
            await say(room, "Hi")
        assert [(row.text, row.state.value) for row in await shown(room)] == [
            ("Hi", "COMPLETE"),
            ("Yes", "COMPLETE"),
            *([] if takes_message_ids else [("Hi", "PENDING")]),
        ]
        assert at_source(room) == ["Hi"]


@KINDS
async def test_next_read_settles_a_message_that_was_not_to_be_seen(folder: Path, takes_message_ids: bool) -> None:
    async with a_chat_room(folder, "Before", takes_message_ids=takes_message_ids) as room:
        room.source.faults.append(Fault.AFTER)
        room.source.fails_after_send = {
            "read_messages": UpstreamRejected("No.", source_id=1, operation="read_messages")
        }
        with pytest.raises(OutcomeUnknown):
            await say(room, "Hi", idempotency_key="k")
        with pytest.raises(OutcomeUnknown):
            await say(room, "Hi", idempotency_key="k")
        room.source.fails_at.clear()
        rows = await shown(room)
        assert [(row.text, row.state) for row in rows][-1] == ("Hi", MessageState.COMPLETE)
        assert len(rows) == 2
        replayed = await say(room, "Hi", idempotency_key="k")
        assert (replayed.replayed, replayed.message) == (True, rows[-1])
        assert room.source.calls.count("send_message") == 1


async def test_absence_that_proves_it_lets_the_message_be_sent_again_under_the_same_id(folder: Path) -> None:
    async with a_chat_room(folder, takes_message_ids=True, absence_proves_not_sent=True) as room:
        room.source.faults.append(Fault.BEFORE)
        sent = await say(room, "Hi")
        assert sent.message is not None
        assert [row.native_id for row in await shown(room)] == [sent.message.native_id]
        assert room.source.calls.count("send_message") == 2


@pytest.mark.parametrize("second", [Fault.BEFORE, Fault.REFUSED])
async def test_second_attempt_that_fails_is_not_called_failed(folder: Path, second: Fault) -> None:
    """The first one may still be on its way."""
    async with a_chat_room(folder, takes_message_ids=True, absence_proves_not_sent=True) as room:
        room.source.faults.extend([Fault.BEFORE, second])
        with pytest.raises(OutcomeUnknown):
            await say(room, "Hi")
        assert room.source.calls.count("send_message") == 2


async def test_same_key_and_input_is_answered_from_the_first(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        first = await say(room, idempotency_key="k")
        second = await say(room, idempotency_key="k")
        assert (second.replayed, second.message) == (True, first.message)
        assert at_source(room) == ["Hi"]


async def test_same_key_with_other_words_is_a_conflict(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        await say(room, "One", idempotency_key="k")
        with pytest.raises(IdempotencyConflict):
            await say(room, "Two", idempotency_key="k")
        assert at_source(room) == ["One"]


async def test_key_belongs_to_its_principal(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        await say(room, idempotency_key="k")
        other = await say(room, context=room.context(principal=a_principal(key="key:2")), idempotency_key="k")
        assert other.replayed is False
        assert at_source(room) == ["Hi", "Hi"]


async def test_requests_with_one_key_at_once_send_once_and_agree(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        answers = await asyncio.gather(*(say(room, idempotency_key="k") for _ in range(5)))
        assert at_source(room) == ["Hi"]
        assert {answer.message.native_id for answer in answers if answer.message} == {
            row.native_id for row in await shown(room)
        }
        assert [answer.replayed for answer in answers].count(False) == 1


async def test_request_with_the_key_of_a_running_one_waits_for_it(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        room.source.hold_at["send_message"] = asyncio.Event()
        first = asyncio.create_task(say(room, idempotency_key="k"))
        second = asyncio.create_task(say(room, idempotency_key="k"))
        await room.source.until_asked("send_message")
        assert not second.done()
        room.source.hold_at["send_message"].set()
        assert (await first).message == (await second).message
        assert at_source(room) == ["Hi"]


async def test_sender_that_leaves_does_not_stop_the_sending(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        room.source.hold_at["send_message"] = asyncio.Event()
        sending = asyncio.create_task(say(room))
        await room.source.until_asked("send_message")
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        room.source.hold_at["send_message"].set()
        await settled(room)
        assert at_source(room) == await texts(room) == ["Hi"]


async def test_shutdown_in_the_middle_answers_that_nobody_knows(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        room.source.hold_at["send_message"] = asyncio.Event()
        sending = asyncio.create_task(say(room))
        await room.source.until_asked("send_message")
        await room.gateway.replies.drain(0)
        with pytest.raises(OutcomeUnknown):
            await sending
        assert len(room.gateway.replies) == len(room.gateway.locks) == 0


async def test_fault_of_our_own_does_not_leave_the_key_locked(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        room.source.fails_at["send_message"] = ZeroDivisionError()
        with pytest.raises(ZeroDivisionError):
            await say(room, idempotency_key="k")
        with pytest.raises(OutcomeUnknown):
            await asyncio.wait_for(say(room, idempotency_key="k"), 5)


@pytest.mark.parametrize("text", ["", "  \n", "é" * 600_000])
async def test_impossible_text_is_refused_before_any_call(folder: Path, text: str) -> None:
    async with a_chat_room(folder) as room:
        with pytest.raises(InvalidArgument):
            await say(room, text)
        assert room.source.calls == []


async def test_parent_of_another_chat_is_not_found(folder: Path) -> None:
    async with a_chat_room(folder, "Before") as room:
        with pytest.raises(NotFound) as caught:
            await say(room, parent_id=chat_id(room))
        assert caught.value.path == ("parentId",)
        assert room.source.calls == []


async def test_reply_none_to_a_source_that_always_replies_is_refused(folder: Path) -> None:
    async with a_chat_room(folder, always_replies=True) as room:
        with pytest.raises(InvalidArgument):
            await say(room, reply=ReplyMode.NONE)
        assert room.source.calls == []


async def test_waiting_for_a_reply_that_cannot_come_is_refused(folder: Path) -> None:
    async with a_chat_room(folder, also={}) as room:
        room.source.capabilities.support.pop(next(iter([*()]), None), None)  # type: ignore[attr-defined]
        with pytest.raises(CapabilityMissing):
            await say(room, reply=ReplyMode.WAIT)
        assert room.source.calls == []


async def test_chat_that_is_gone_is_not_found(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        room.source.chats = []
        with pytest.raises(NotFound):
            await say(room)
        assert "send_message" not in room.source.calls


async def test_waiting_ends_with_a_reply_that_is_still_written(folder: Path) -> None:
    async with a_chat_room(folder, tuning=Tuning(wait_reply_seconds=0.01)) as room:
        room.source.words = asyncio.Queue()
        sent = await say(room, reply=ReplyMode.WAIT)
        assert sent.reply is not None
        assert sent.reply.state is MessageState.STREAMING
        room.source.words.put_nowait(MessageState.COMPLETE)
        await settled(room)


async def test_waiting_brings_the_finished_reply(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        sent = await say(room, reply=ReplyMode.WAIT)
        assert sent.reply is not None
        assert (sent.reply.state, sent.reply.text) == (MessageState.COMPLETE, "Hello yourself")


@KINDS
@pytest.mark.parametrize("seed", range(count(long=5)))
async def test_whatever_breaks_no_send_makes_two_messages_and_no_answer_is_false(
    folder: Path, takes_message_ids: bool, seed: int
) -> None:
    """Equal texts throughout a part of it, several senders at once, and somebody who reads all the while."""
    chance = random.Random(seed)
    sends = count(long=40, least=10)
    equal = ["the same"] * (sends // 2) + [f"text {n}" for n in range(sends - sends // 2)]
    chance.shuffle(equal)
    async with a_chat_room(folder, takes_message_ids=takes_message_ids, absence_proves_not_sent=False) as room:
        room.source.faults.extend(chance.choice([*Fault, None]) for _ in equal)
        outcomes: list[tuple[str, Sent | Exception]] = []

        async def sender(mine: list[str]) -> None:
            for text in mine:
                try:
                    outcomes.append((text, await say(room, text)))
                except (OutcomeUnknown, UpstreamRejected) as error:
                    outcomes.append((text, error))

        async def reader() -> None:
            while len(outcomes) < len(equal):
                await shown(room)

        await asyncio.gather(sender(equal[0::2]), sender(equal[1::2]), reader())
        rows = {row.native_id: row for row in await shown(room)}
        succeeded = [(text, sent.message) for text, sent in outcomes if isinstance(sent, Sent)]
        for text in set(equal):
            mine = [sent for said, sent in outcomes if said == text]
            good = sum(isinstance(sent, Sent) for sent in mine)
            perhaps = sum(isinstance(sent, OutcomeUnknown) for sent in mine)
            assert good <= len(at_source(room, text)) <= good + perhaps
            whole = [row for row in rows.values() if row.text == text and row.state is MessageState.COMPLETE]
            assert len(whole) == len(at_source(room, text))
        ids = [message.native_id for _, message in succeeded if message is not None]
        assert len(set(ids)) == len(ids) == len(succeeded)
        for text, message in succeeded:
            assert message is not None
            assert rows[message.native_id].text == text


@pytest.mark.parametrize("seed", range(count(long=5)))
async def test_whatever_breaks_a_late_send_is_one_message_or_none_and_never_falsely_failed(
    folder: Path, seed: int
) -> None:
    """The sender was answered before; what became of it stands in the row."""
    chance = random.Random(seed)
    said = [chance.choice(["the same", "the same", f"text {n}"]) for n in range(count(long=40, least=10))]
    async with a_chat_room(folder, replies_late=True, always_replies=True) as room:
        failed = []
        for text in said:
            room.source.faults.extend([chance.choice([*Fault, None])] if chance.random() < 0.7 else [])
            before = len(at_source(room))
            sent = await say(room, text, reply=ReplyMode.STREAM)
            if chance.random() < 0.5:
                await shown(room)
            await settled(room)
            assert len(at_source(room)) - before <= 1
            assert sent.message is not None
            row = await room.gateway.store.messages.get(1, 1, "c1", sent.message.native_id)
            if row is None or row.state is MessageState.FAILED or row.deleted_at is not None:
                failed.append(len(at_source(room)) - before)
        assert set(failed) <= {0}
        rows = await shown(room)
        for text in set(said):
            complete = [row for row in rows if row.text == text and row.state is MessageState.COMPLETE]
            assert len(complete) == len(at_source(room, text))
