"""Replies: when their rows are there, how their words arrive, and what is left when they break off."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.errors import OutcomeUnknown, UpstreamUnavailable
from domain.records import EventKind, MessageRole, MessageState
from resolvers.live_events import DeltaCame, Happened
from resolvers.sending import (
    ReplyMode,
    delete_message,
    edit_message,
    regenerate_message,
    stop_generation,
)
from tests.builders import a_principal
from tests.fakes import Fault
from tests.resolvers.rooms import (
    ALL_NATIVE,
    Ear,
    a_chat_room,
    an_ear,
    at_source,
    chat_id,
    logged,
    message_id,
    say,
    settled,
    shown,
)

pytestmark = pytest.mark.anyio
KINDS = pytest.mark.parametrize("takes_message_ids", [True, False], ids=["ids-of-ours", "ids-of-its-own"])
LATE: dict[str, Any] = {"replies_late": True, "always_replies": True}


def broken() -> UpstreamUnavailable:
    return UpstreamUnavailable("It broke.", source_id=1, operation="send_message")


async def words_of(ear: Ear, reply: str) -> list[tuple[int, str]]:
    """The words of a reply up to its last line in the log."""
    while True:
        event = await ear.next()
        is_reply = isinstance(event, Happened) and event.message is not None and event.message.native_id == reply
        if is_reply and event.message.state.is_final:  # type: ignore[union-attr]
            break
    came = [event.delta for event in ear.heard if isinstance(event, DeltaCame)]
    assert {delta.message_id for delta in came} <= {reply}
    return [(delta.offset, delta.text) for delta in came]


# Late replies


async def test_late_reply_has_its_row_before_the_source_answers(folder: Path) -> None:
    async with a_chat_room(folder, **LATE) as room:
        room.source.words = asyncio.Queue()
        sent = await say(room, reply=ReplyMode.STREAM)
        assert sent.message is not None
        assert sent.reply is not None
        assert (sent.message.state, sent.reply.state) == (MessageState.PENDING, MessageState.STREAMING)
        room.source.words.put_nowait(MessageState.COMPLETE)
        await settled(room)


async def test_late_exchange_keeps_its_ids_when_the_source_shows_its_own(folder: Path) -> None:
    async with a_chat_room(folder, "Before", **LATE) as room:
        sent = await say(room, reply=ReplyMode.STREAM)
        await settled(room)
        rows = await shown(room)
        assert [row.text for row in rows] == ["Before", "Hi", "Hello yourself"]
        assert sent.message is not None
        assert sent.reply is not None
        assert [row.native_id for row in rows[1:]] == [sent.message.native_id, sent.reply.native_id]
        assert {row.state for row in rows} == {MessageState.COMPLETE}


async def test_reading_during_a_late_exchange_shows_each_message_once(folder: Path) -> None:
    async with a_chat_room(folder, **LATE) as room:
        room.source.words = asyncio.Queue()
        sent = await say(room, reply=ReplyMode.STREAM)
        await room.source.until_asked("send_message")
        during = [row.native_id for row in await shown(room)]
        room.source.words.put_nowait("Hello")
        room.source.words.put_nowait(MessageState.COMPLETE)
        await settled(room)
        after = [row.native_id for row in await shown(room)]
        assert sent.message is not None
        assert sent.reply is not None
        assert during == after == [sent.message.native_id, sent.reply.native_id]
        assert await logged(room, EventKind.MESSAGE_DELETED) == []


async def test_late_message_that_was_certainly_not_sent_fails_with_its_reply(folder: Path) -> None:
    async with a_chat_room(folder, **LATE) as room:
        room.source.faults.append(Fault.REFUSED)
        sent = await say(room, reply=ReplyMode.WAIT, idempotency_key="k")
        assert sent.message is not None
        assert sent.reply is not None
        assert (sent.message.state, sent.reply.state) == (MessageState.FAILED, MessageState.FAILED)
        again = await say(room, reply=ReplyMode.WAIT, idempotency_key="k")
        assert again.replayed is False
        assert at_source(room) == ["Hi"]


async def test_late_message_that_was_lost_is_settled_by_the_next_read(folder: Path) -> None:
    async with a_chat_room(folder, **LATE) as room:
        room.source.faults.append(Fault.AFTER)
        room.source.fails_after_send["read_messages"] = broken()
        sent = await say(room, reply=ReplyMode.STREAM)
        await settled(room)
        room.source.fails_at.clear()
        assert sent.message is not None
        assert sent.reply is not None
        assert [(row.native_id, row.state.value) for row in await shown(room)] == [
            (sent.message.native_id, "COMPLETE"),
            (sent.reply.native_id, "COMPLETE"),
        ]


@pytest.mark.parametrize("reads", [True, False], ids=["read-meanwhile", "not-read"])
async def test_ids_that_the_source_tells_at_the_end_change_nothing_for_clients(folder: Path, reads: bool) -> None:
    async with a_chat_room(folder, "Before") as room:
        room.source.tells_ids_late = True
        room.source.words = asyncio.Queue()
        sent = await say(room, reply=ReplyMode.STREAM)
        await room.source.grows_to("Half")
        assert sent.message is not None
        assert sent.reply is not None
        ids = [sent.message.native_id, sent.reply.native_id]
        if reads:
            assert [row.native_id for row in await shown(room)][1:] == ids
        room.source.words.put_nowait(MessageState.COMPLETE)
        await settled(room)
        assert [(row.native_id, row.state.value) for row in await shown(room)][1:] == [(one, "COMPLETE") for one in ids]
        assert await logged(room, EventKind.MESSAGE_DELETED) == []
        assert sorted(await logged(room, EventKind.MESSAGE_CREATED)) == sorted(("MESSAGE_CREATED", one) for one in ids)


# Words


@KINDS
async def test_words_arrive_in_pieces_that_rebuild_the_reply(folder: Path, takes_message_ids: bool) -> None:
    async with a_chat_room(folder, takes_message_ids=takes_message_ids) as room:
        room.source.words = asyncio.Queue()
        async with an_ear(room) as ear:
            sent = await say(room, reply=ReplyMode.STREAM)
            assert sent.reply is not None
            for words in ["He", "Hello 👋", "Hello 👋🏽 you"]:
                room.source.words.put_nowait(words)
                while not (isinstance(event := await ear.next(), DeltaCame)):
                    pass
                assert event.delta.message_id == sent.reply.native_id
            room.source.words.put_nowait(MessageState.COMPLETE)
            pieces = await words_of(ear, sent.reply.native_id)
        assert pieces == [(0, "He"), (2, "llo 👋"), (8, "🏽 you")]


async def test_rewritten_text_goes_back_to_where_it_differs(folder: Path) -> None:
    """The offset counts UTF-16 code units and never lies between the halves of a pair."""
    async with a_chat_room(folder, takes_message_ids=True) as room:
        room.source.words = asyncio.Queue()
        async with an_ear(room) as ear:
            await say(room, reply=ReplyMode.STREAM)
            came = []
            for words in ["😀😀x", "😀😁", "😀"]:
                room.source.words.put_nowait(words)
                event = await ear.until(DeltaCame)
                assert isinstance(event, DeltaCame)
                came.append((event.delta.offset, event.delta.text))
            room.source.words.put_nowait(MessageState.COMPLETE)
            await settled(room)
        assert came == [(0, "😀😀x"), (2, "😁"), (2, "")]


async def test_late_joiner_gets_all_words_so_far_first(folder: Path) -> None:
    async with a_chat_room(folder, takes_message_ids=True) as room:
        room.source.words = asyncio.Queue()
        async with an_ear(room) as early:
            await say(room, reply=ReplyMode.STREAM)
            room.source.words.put_nowait("One ")
            await early.until(DeltaCame)
            async with an_ear(room) as late:
                room.source.words.put_nowait("One two ")
                event = await late.next()
                assert isinstance(event, DeltaCame)
                assert (event.delta.offset, event.delta.text) == (0, "One two ")
                room.source.words.put_nowait("One two three")
                after = await late.next()
                assert isinstance(after, DeltaCame)
                assert (after.delta.offset, after.delta.text) == (8, "three")
            room.source.words.put_nowait(MessageState.COMPLETE)
            await settled(room)


@KINDS
async def test_reply_that_breaks_off_keeps_its_words_and_is_settled_by_the_next_read(
    folder: Path, takes_message_ids: bool
) -> None:
    async with a_chat_room(folder, takes_message_ids=takes_message_ids) as room:
        room.source.words = asyncio.Queue()
        sent = await say(room, reply=ReplyMode.STREAM)
        assert sent.reply is not None
        room.source.words.put_nowait("Half a sent")
        room.source.words.put_nowait(broken())
        await settled(room)
        row = await room.gateway.store.messages.get(room.organization.id, 1, "c1", sent.reply.native_id)
        assert row is not None
        assert (row.text, row.state) == ("Half a sent", MessageState.STREAMING)
        reply = room.source.messages["c1"][-1]
        room.source.messages["c1"][-1] = replace(reply, text="Half a sentence.", state=MessageState.COMPLETE)
        assert [(one.text, one.state) for one in await shown(room)][-1] == ("Half a sentence.", MessageState.COMPLETE)
        assert (await shown(room))[-1].native_id == sent.reply.native_id


@KINDS
async def test_reply_of_a_message_that_was_found_again_is_followed(folder: Path, takes_message_ids: bool) -> None:
    async with a_chat_room(folder, takes_message_ids=takes_message_ids) as room:
        room.source.faults.append(Fault.AFTER)
        room.source.half_replies = True
        sent = await say(room, reply=ReplyMode.WAIT)
        assert "follow_reply" in room.source.calls
        assert sent.reply is not None
        assert (sent.reply.text, sent.reply.state) == ("Hello yourself", MessageState.COMPLETE)
        assert [row.native_id for row in await shown(room)][-1] == sent.reply.native_id


# Stopping, answering once more, editing, deleting


async def test_stopping_ends_a_reply_with_its_words(folder: Path) -> None:
    async with a_chat_room(folder, also=ALL_NATIVE, takes_message_ids=True) as room:
        room.source.words = asyncio.Queue()
        sent = await say(room, reply=ReplyMode.STREAM)
        assert sent.reply is not None
        room.source.words.put_nowait("So far")
        stopped = await stop_generation(room.context(), message_id=message_id(room, sent.reply.native_id))
        assert (stopped.text, stopped.state) == ("So far", MessageState.CANCELLED)
        assert len(room.gateway.replies) == 0


async def test_answer_once_more_is_a_sibling(folder: Path) -> None:
    async with a_chat_room(folder, "Hi", "Yes", also=ALL_NATIVE, takes_message_ids=True) as room:
        answered = await regenerate_message(
            room.context(), message_id=message_id(room, "m1"), model=None, reply=ReplyMode.WAIT, idempotency_key="k"
        )
        assert answered.reply is not None
        assert (answered.reply.parent_id, answered.reply.text) == ("m0", "Hello yourself")
        replayed = await regenerate_message(
            room.context(), message_id=message_id(room, "m1"), model=None, reply=ReplyMode.WAIT, idempotency_key="k"
        )
        assert (replayed.replayed, replayed.reply) == (True, answered.reply)
        assert room.source.calls.count("regenerate") == 1


async def test_answer_once_more_whose_outcome_is_unknown_is_not_replayed_as_done(folder: Path) -> None:
    async with a_chat_room(folder, "Hi", "Yes", also=ALL_NATIVE, takes_message_ids=True) as room:
        room.source.faults.append(Fault.BEFORE)
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                await regenerate_message(
                    room.context(),
                    message_id=message_id(room, "m1"),
                    model=None,
                    reply=ReplyMode.WAIT,
                    idempotency_key="k",
                )
        assert [row.text for row in await shown(room)] == ["Hi", "Yes"]
        assert room.source.calls.count("regenerate") == 1


async def test_edit_changes_the_words_and_is_logged_once(folder: Path) -> None:
    async with a_chat_room(folder, "Hi", also=ALL_NATIVE, takes_message_ids=True) as room:
        edited = await edit_message(room.context(), message_id=message_id(room, "m0"), text="Ho")
        assert edited.text == "Ho"
        assert [row.text for row in await shown(room)] == ["Ho"]
        assert await logged(room) == [("MESSAGE_UPDATED", "m0")]


async def test_deleting_names_all_that_went(folder: Path) -> None:
    async with a_chat_room(folder, "Hi", "Yes", also=ALL_NATIVE, takes_message_ids=True) as room:
        deleted = await delete_message(room.context(), message_id=message_id(room, "m0"))
        assert list(deleted.ids) == [message_id(room, "m0"), message_id(room, "m1")]
        assert await shown(room) == []
        assert sorted(await logged(room)) == [("MESSAGE_DELETED", "m0"), ("MESSAGE_DELETED", "m1")]


@KINDS
async def test_own_id_of_a_message_works_for_editing_deleting_and_branches(
    folder: Path, takes_message_ids: bool
) -> None:
    """Whatever the source calls it."""
    async with a_chat_room(folder, also=ALL_NATIVE, takes_message_ids=takes_message_ids) as room:
        sent = await say(room, "Hi")
        assert sent.message is not None
        public = message_id(room, sent.message.native_id)
        edited = await edit_message(room.context(), message_id=public, text="Ho")
        assert (edited.native_id, edited.text) == (sent.message.native_id, "Ho")
        assert [(row.native_id, row.text) for row in await shown(room)] == [(sent.message.native_id, "Ho")]
        deleted = await delete_message(room.context(), message_id=public)
        assert list(deleted.ids) == [public]
        assert await shown(room) == []


async def test_client_mutation_id_stands_in_the_senders_own_event_only(folder: Path) -> None:
    async with a_chat_room(folder, takes_message_ids=True) as room:
        start = await room.context().event_cursor()
        await say(room, client_mutation_id="bubble")
        for key, expected in [("key:1", "bubble"), ("key:2", None)]:
            context = room.context(principal=a_principal(key=key))
            async with an_ear(room, context, after=start, chats=[chat_id(room)]) as ear:
                event = ear.heard[0]
                assert isinstance(event, Happened)
                assert event.client_mutation_id == expected


async def test_roles_of_a_finished_exchange(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        await say(room, reply=ReplyMode.WAIT)
        assert [row.role for row in await shown(room)] == [MessageRole.USER, MessageRole.ASSISTANT]
