"""Who waits for a reply, and who stops waiting."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from domain.errors import UpstreamUnavailable
from domain.records import MessageState
from resolvers.context import Tuning
from resolvers.sending import ReplyMode, Sent, regenerate_message
from tests.resolvers.conftest import Room
from tests.resolvers.rooms import ALL_NATIVE, REPLIES, a_chat_room, at_source, message_id, say, settled

pytestmark = pytest.mark.anyio
OURS: dict[str, Any] = {"takes_message_ids": True}
KINDS = pytest.mark.parametrize("takes_message_ids", [True, False], ids=["ids-of-ours", "ids-of-its-own"])


def waits(room: Room, left: asyncio.Event, **fields: Any) -> "asyncio.Task[Sent]":
    room.source.words = asyncio.Queue()
    context = room.context(client_left=left)
    return asyncio.create_task(say(room, context=context, reply=ReplyMode.WAIT, **fields))


@KINDS
async def test_client_that_leaves_while_it_waits_stops_the_reply_and_not_its_message(
    folder: Path, takes_message_ids: bool
) -> None:
    async with a_chat_room(folder, also=ALL_NATIVE, takes_message_ids=takes_message_ids) as room:
        left = asyncio.Event()
        waiting = waits(room, left)
        await room.source.until_asked("send_message")
        await room.source.grows_to("So far")
        left.set()
        sent = await asyncio.wait_for(waiting, 10)
        assert room.source.calls.count("stop_reply") == 1
        assert sent.message is not None
        assert sent.reply is not None
        assert (sent.message.state, sent.reply.state) == (MessageState.COMPLETE, MessageState.CANCELLED)
        assert sent.reply.text == "So far"
        assert at_source(room) == ["Hi"]


async def test_client_that_leaves_before_its_message_is_accepted_stops_the_reply_once_it_is(folder: Path) -> None:
    async with a_chat_room(folder, also=ALL_NATIVE, **OURS) as room:
        left = asyncio.Event()
        room.source.hold_at["send_message"] = asyncio.Event()
        waiting = waits(room, left)
        await room.source.until_asked("send_message")
        left.set()
        assert "stop_reply" not in room.source.calls
        room.source.hold_at["send_message"].set()
        await asyncio.wait_for(waiting, 10)
        assert room.source.calls.count("stop_reply") == 1
        assert at_source(room) == ["Hi"]


async def test_reply_that_cannot_be_stopped_goes_on(folder: Path) -> None:
    async with a_chat_room(folder, also=REPLIES, **OURS) as room:
        left = asyncio.Event()
        waiting = waits(room, left)
        await room.source.until_asked("send_message")
        left.set()
        sent = await asyncio.wait_for(waiting, 10)
        assert sent.reply is not None
        assert sent.reply.state is MessageState.STREAMING
        assert "stop_reply" not in room.source.calls
        assert len(room.gateway.replies) == 1
        assert room.source.words is not None
        room.source.words.put_nowait(MessageState.COMPLETE)
        await settled(room)


async def test_source_that_fails_to_stop_is_followed_on(folder: Path) -> None:
    async with a_chat_room(folder, also=ALL_NATIVE, **OURS) as room:
        left = asyncio.Event()
        room.source.fails_at["stop_reply"] = UpstreamUnavailable("Down.", source_id=1, operation="stop_reply")
        waiting = waits(room, left)
        await room.source.until_asked("send_message")
        left.set()
        sent = await asyncio.wait_for(waiting, 10)
        assert sent.reply is not None
        assert sent.reply.state is MessageState.STREAMING
        assert room.source.words is not None
        room.source.words.put_nowait(MessageState.COMPLETE)
        await settled(room)


@pytest.mark.parametrize("mode", [ReplyMode.STREAM, ReplyMode.NONE])
async def test_client_that_does_not_wait_stops_nothing_by_leaving(folder: Path, mode: ReplyMode) -> None:
    async with a_chat_room(folder, also=ALL_NATIVE, **OURS) as room:
        left = asyncio.Event()
        left.set()
        room.source.words = asyncio.Queue()
        await say(room, context=room.context(client_left=left), reply=mode)
        assert "stop_reply" not in room.source.calls
        room.source.words.put_nowait(MessageState.COMPLETE)
        await settled(room)


async def test_reply_that_somebody_else_waits_for_goes_on(folder: Path) -> None:
    """The same request came twice, and one of its senders left."""
    async with a_chat_room(folder, also=ALL_NATIVE, **OURS) as room:
        left = asyncio.Event()
        first = waits(room, left, idempotency_key="k")
        await room.source.until_asked("send_message")
        await room.source.grows_to("Half")
        second = asyncio.create_task(say(room, reply=ReplyMode.WAIT, idempotency_key="k"))
        async with asyncio.timeout(10):
            while not any(one.waiting == 2 for one in room.gateway.replies._following.values()):  # noqa: ASYNC110
                await asyncio.sleep(0)
        left.set()
        await first
        assert "stop_reply" not in room.source.calls
        assert room.source.words is not None
        room.source.words.put_nowait("Whole")
        room.source.words.put_nowait(MessageState.COMPLETE)
        sent = await second
        assert sent.reply is not None
        assert (sent.replayed, sent.reply.text, sent.reply.state) == (True, "Whole", MessageState.COMPLETE)


async def test_answer_once_more_is_stopped_too_when_nobody_waits(folder: Path) -> None:
    async with a_chat_room(folder, "Hi", "Yes", also=ALL_NATIVE, **OURS) as room:
        left = asyncio.Event()
        room.source.words = asyncio.Queue()
        waiting = asyncio.create_task(
            regenerate_message(
                room.context(client_left=left),
                message_id=message_id(room, "m1"),
                model=None,
                reply=ReplyMode.WAIT,
                idempotency_key=None,
            )
        )
        await room.source.until_asked("regenerate")
        await room.source.grows_to("Once")
        left.set()
        answered = await asyncio.wait_for(waiting, 10)
        assert answered.reply is not None
        assert (answered.reply.text, answered.reply.state) == ("Once", MessageState.CANCELLED)


async def test_waiting_ends_with_what_there_is(folder: Path) -> None:
    async with a_chat_room(folder, also=ALL_NATIVE, tuning=Tuning(wait_reply_seconds=0.05), **OURS) as room:
        sent = await waits(room, asyncio.Event())
        assert sent.reply is not None
        assert sent.reply.state is MessageState.STREAMING
        assert "stop_reply" not in room.source.calls
        assert room.source.words is not None
        room.source.words.put_nowait(MessageState.COMPLETE)
        await settled(room)


async def test_repeated_request_at_another_process_waits_for_the_reply_too(folder: Path) -> None:
    async with a_chat_room(folder, also=ALL_NATIVE, **OURS) as room:
        first, second = room.with_a_second_process()
        sending = waits(first, asyncio.Event(), idempotency_key="k")
        await first.source.until_asked("send_message")
        await first.source.grows_to("Half")
        repeating = asyncio.create_task(say(second, reply=ReplyMode.WAIT, idempotency_key="k"))
        assert first.source.words is not None
        first.source.words.put_nowait(MessageState.COMPLETE)
        sent, repeated = await asyncio.gather(sending, repeating)
        assert repeated.replayed
        assert repeated.reply == sent.reply
        assert at_source(room) == ["Hi"]
