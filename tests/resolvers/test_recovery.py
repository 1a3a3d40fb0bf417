"""What a process that died left behind is settled by looking, never by sending again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.errors import OutcomeUnknown, UpstreamUnavailable
from domain.records import MessageState, Visibility
from resolvers.sending import ReplyMode, Sent
from resolvers.supervising import recover
from storage.intents import IntentState
from tests.resolvers.conftest import Room
from tests.resolvers.rooms import a_chat_room, at_source, say, settled, shown

pytestmark = pytest.mark.anyio
KINDS = pytest.mark.parametrize("takes_message_ids", [True, False], ids=["ids-of-ours", "ids-of-its-own"])


@asynccontextmanager
async def a_crash(folder: Path, at: str, **traits: Any) -> AsyncIterator[tuple[Room, Room]]:
    """The process dies while an operation of sending is held: the room before, and after the restart."""
    async with a_chat_room(folder, **traits) as room:
        room.source.hold_at[at] = asyncio.Event()
        sending = asyncio.create_task(say(room, "Hi", idempotency_key="k", reply=ReplyMode.STREAM))
        await room.source.until_asked(at)
        await room.gateway.replies.drain(0)
        await asyncio.gather(sending, return_exceptions=True)
        room.source.hold_at.clear()
        yield room, room.restarted()


async def dies_while_the_reply_is_written(room: Room, words: str) -> Sent:
    room.source.words = asyncio.Queue()
    sent = await say(room, "Hi", reply=ReplyMode.STREAM)
    await room.source.grows_to(words)
    await room.gateway.replies.drain(0)
    return sent


async def states(room: Room) -> list[IntentState]:
    return [intent.state for intent in await room.gateway.store.intents.open_intents()]


@KINDS
async def test_send_that_was_never_carried_out_is_unknown_and_not_sent_again(
    folder: Path, takes_message_ids: bool
) -> None:
    async with a_crash(folder, "send_message", takes_message_ids=takes_message_ids) as (before, after):
        assert await states(before) == [IntentState.OPEN]
        assert await recover(after.gateway) >= 1
        assert await states(after) == [IntentState.UNKNOWN]
        with pytest.raises(OutcomeUnknown):
            await say(after, "Hi", idempotency_key="k", reply=ReplyMode.STREAM)
        assert at_source(after) == []


@KINDS
async def test_send_that_was_carried_out_is_found_and_replayed(folder: Path, takes_message_ids: bool) -> None:
    async with a_crash(folder, "send_message", takes_message_ids=takes_message_ids) as (_, after):
        (intent,) = await after.gateway.store.intents.open_intents()
        after.source.says_by_itself("c1", "Hi")
        if takes_message_ids:
            after.source.messages["c1"] = [
                replace(one, native_id=intent.message_id or "") for one in after.source.messages["c1"]
            ]
        await recover(after.gateway)
        assert await states(after) == []
        replayed = await say(after, "Hi", idempotency_key="k", reply=ReplyMode.STREAM)
        assert replayed.replayed
        assert replayed.message is not None
        assert replayed.message.native_id == intent.message_id
        assert at_source(after) == ["Hi"]


@KINDS
async def test_reply_that_ended_in_the_meantime_is_complete(folder: Path, takes_message_ids: bool) -> None:
    async with a_chat_room(folder, takes_message_ids=takes_message_ids) as room:
        sent = await dies_while_the_reply_is_written(room, "Half")
        rows = room.source.messages["c1"]
        rows[-1] = replace(rows[-1], text="Whole", state=MessageState.COMPLETE)
        after = room.restarted()
        await recover(after.gateway)
        assert sent.reply is not None
        row = await after.gateway.store.messages.get(1, 1, "c1", sent.reply.native_id)
        assert row is not None
        assert (row.text, row.state) == ("Whole", MessageState.COMPLETE)


@KINDS
async def test_reply_that_the_source_still_writes_is_followed_to_its_end(folder: Path, takes_message_ids: bool) -> None:
    async with a_chat_room(folder, takes_message_ids=takes_message_ids) as room:
        sent = await dies_while_the_reply_is_written(room, "Half")
        after = room.restarted()
        await recover(after.gateway)
        assert room.source.words is not None
        await room.source.grows_to("Half and whole")
        room.source.words.put_nowait(MessageState.COMPLETE)
        await settled(after)
        assert sent.reply is not None
        row = await after.gateway.store.messages.get(1, 1, "c1", sent.reply.native_id)
        assert row is not None
        assert (row.text, row.state) == ("Half and whole", MessageState.COMPLETE)


@KINDS
async def test_reply_that_the_source_does_not_show_any_more_broke_off_with_its_words(
    folder: Path, takes_message_ids: bool
) -> None:
    async with a_chat_room(folder, takes_message_ids=takes_message_ids) as room:
        sent = await dies_while_the_reply_is_written(room, "Half")
        del room.source.messages["c1"][-1]
        after = room.restarted()
        await recover(after.gateway)
        assert sent.reply is not None
        row = await after.gateway.store.messages.get(1, 1, "c1", sent.reply.native_id)
        assert row is not None
        assert (row.text, row.state) == ("Half", MessageState.FAILED)


async def test_source_that_does_not_answer_leaves_its_things_for_the_next_reads(folder: Path) -> None:
    async with a_chat_room(folder, takes_message_ids=True) as room:
        sent = await dies_while_the_reply_is_written(room, "Half")
        room.source.fails = UpstreamUnavailable("Down.", source_id=1, operation="read_messages")
        after = room.restarted()
        await recover(after.gateway)
        assert sent.reply is not None
        row = await after.gateway.store.messages.get(1, 1, "c1", sent.reply.native_id)
        assert row is not None
        assert row.state is MessageState.STREAMING


async def test_source_that_cannot_be_opened_does_not_keep_the_gateway_from_starting(folder: Path) -> None:
    async with a_crash(folder, "send_message", takes_message_ids=True) as (_, after):
        after.sources.clear()
        assert await recover(after.restarted().gateway) == 1
        assert await states(after) == [IntentState.UNKNOWN]


async def test_private_source_is_settled_too(folder: Path) -> None:
    record = {"visibility": Visibility.OWNER, "owner": "key:1"}
    async with a_chat_room(folder, takes_message_ids=True, record=record) as room:
        sent = await dies_while_the_reply_is_written(room, "Half")
        rows = room.source.messages["c1"]
        rows[-1] = replace(rows[-1], state=MessageState.COMPLETE)
        await recover(room.restarted().gateway)
        assert sent.reply is not None
        assert (await shown(room))[-1].state is MessageState.COMPLETE
