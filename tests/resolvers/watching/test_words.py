"""Words of answers that somebody else asked for, told by a vendor's own stream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from domain.capabilities import NativeStream
from domain.records import Message, MessageRole, MessageState
from domain.source import ReplyGrew, StreamOpened
from resolvers.live_events import DeltaCame, Happened
from resolvers.sending import ReplyMode
from resolvers.watching.words import ForeignWords
from tests.resolvers.rooms import Ear, a_vendor, an_ear, chat_id, quiet, say, settled
from tests.resolvers.watching.virtual import WatchedRoom, a_watched_room

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def heard(folder: Path) -> AsyncIterator[tuple[WatchedRoom, Ear, Message]]:
    """A subscriber of a chat in which somebody else's answer is being written: `He`, and its row is announced."""
    async with a_watched_room(folder, a_vendor("vendor", "Question", stream=NativeStream.CHAT)) as watched:
        async with an_ear(watched.room, chats=[chat_id(watched.room)]) as ear:
            await watched.passes(1)
            reply = watched.source.says_by_itself("c1", "He", MessageRole.ASSISTANT)
            reply = watched.source._put(replace(reply, state=MessageState.STREAMING))
            watched.source.notices.put_nowait(StreamOpened())
            await ear.until(Happened)
            yield watched, ear, reply
        await watched.passes(31)


async def grows(watched: WatchedRoom, reply: Message, text: str, state: MessageState = MessageState.STREAMING) -> None:
    grown = replace(reply, text=text, state=state)
    if state is MessageState.STREAMING and any(reply.key == one.key for one in watched.source.messages["c1"]):
        watched.source._put(grown)
    watched.source.notices.put_nowait(ReplyGrew(grown))
    await quiet(watched.room)


async def words_of(ear: Ear, reply: Message, text: str) -> str:
    """What the deltas make of the answer, until it is `text`."""
    joined = ""
    while joined != text:
        event = await ear.until(DeltaCame)
        assert isinstance(event, DeltaCame)
        assert event.delta.message_id == reply.native_id
        joined = joined.encode("utf-16-le")[: 2 * event.delta.offset].decode("utf-16-le") + event.delta.text
    return joined


async def test_words_are_handed_on_as_they_come(folder: Path) -> None:
    async with heard(folder) as (watched, ear, reply):
        for text in ["Hell", "Hello", "Hello 👋", "Hello 👋🏽 there"]:
            await grows(watched, reply, text)
        assert await words_of(ear, reply, "Hello 👋🏽 there")


async def test_cumulative_words_told_twice_or_rewritten_are_absorbed(folder: Path) -> None:
    async with heard(folder) as (watched, ear, reply):
        for text in ["Hello", "Hello", "Help", "Help me"]:
            await grows(watched, reply, text)
        assert await words_of(ear, reply, "Help me")


async def test_words_so_far_are_kept_for_whoever_reads_the_chat(folder: Path) -> None:
    async with heard(folder) as (watched, _, reply):
        await grows(watched, reply, "Hello")
        await watched.passes(1)
        await grows(watched, reply, "Hello there")
        store, organization_id = watched.room.gateway.store, watched.room.organization.id
        async with asyncio.timeout(30):
            # It is saved by another task of the loop.
            while (row := await store.messages.get(organization_id, *reply.key)) is None or row.text != "Hello there":  # noqa: ASYNC110
                await asyncio.sleep(0.001)


async def test_end_of_the_answer_is_read_from_the_chat(folder: Path) -> None:
    async with heard(folder) as (watched, ear, reply):
        await watched.passes(5)
        final = watched.source._put(replace(reply, text="Hello there", state=MessageState.COMPLETE))
        await grows(watched, reply, "Hello there", MessageState.COMPLETE)
        await watched.passes(1)
        event = await ear.until(Happened)
        assert isinstance(event, Happened)
        assert event.message is not None
        assert (event.message.text, event.message.state) == (final.text, MessageState.COMPLETE)
        await grows(watched, reply, "Hello there, too late")
        await watched.passes(1)
        assert not any(isinstance(one, DeltaCame) and "late" in one.delta.text for one in ear.heard)


async def test_words_of_an_answer_that_is_not_known_make_its_chat_be_read(folder: Path) -> None:
    async with heard(folder) as (watched, ear, _):
        await watched.passes(5)
        other = watched.source.says_by_itself("c1", "Another", MessageRole.ASSISTANT)
        other = watched.source._put(replace(other, state=MessageState.STREAMING))
        await grows(watched, other, "Another a")
        await watched.passes(1)
        event = await ear.until(Happened)
        assert isinstance(event, Happened)
        assert event.event.native_id == other.native_id
        await grows(watched, other, "Another answer")
        assert await words_of(ear, other, "Another answer")


async def test_words_of_an_answer_that_an_exchange_follows_are_left_to_it(folder: Path) -> None:
    async with a_watched_room(
        folder, a_vendor("vendor", "Question", stream=NativeStream.CHAT, takes_message_ids=True)
    ) as watched:
        async with an_ear(watched.room, chats=[chat_id(watched.room)]) as ear:
            watched.source.words = asyncio.Queue()
            sent = await say(watched.room, reply=ReplyMode.STREAM)
            assert sent.reply is not None
            await watched.passes(1)
            await grows(watched, sent.reply, "From the stream")
            await watched.source.grows_to("From the exchange")
            await ear.until(DeltaCame)
            watched.source.words.put_nowait(MessageState.COMPLETE)
            await settled(watched.room)
            told = "".join(one.delta.text for one in ear.heard if isinstance(one, DeltaCame))
            assert "From the stream" not in told
        await watched.passes(31)


async def test_number_of_answers_that_are_remembered_is_bounded(folder: Path) -> None:
    async with heard(folder) as (watched, _, reply):
        words = ForeignWords()
        context = watched.room.context()
        assert await words.heard(context, replace(reply, text="Hello"), 0)
        for number in range(30):
            unknown = replace(reply, native_id=f"unknown{number}")
            assert not await words.heard(context, unknown, 0)
        assert len(words) == 1
        assert not await words.heard(context, replace(reply, state=MessageState.COMPLETE), 0)
        assert len(words) == 0
