"""A stream that many share tells each of them what it would tell them alone."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from domain.errors import StreamGapFound
from domain.records import EventKind, MessageState, Visibility
from resolvers.audience import audience_of, context_of
from resolvers.chat_writes import mark_chat_read, set_chat_pinned
from resolvers.context import Context
from resolvers.live import Stream, event_stream, message_stream
from resolvers.live_events import Batch, DeltaCame, Gap, GapReason, Happened, LiveEvent, Told
from resolvers.sending import ReplyMode
from resolvers.wanted import ChatEventFilter, MessageEventFilter
from tests.builders import a_principal
from tests.resolvers.conftest import Room, a_room
from tests.resolvers.rooms import a_chat_room, a_vendor, an_ear, chat_id, say, settled
from tests.resolvers.test_live import expire
from tests.tier import count

pytestmark = pytest.mark.anyio
OURS: dict[str, Any] = {"takes_message_ids": True}
ANN, BOB = "key:1", "key:2"


def of(room: Room, principal: str) -> Context:
    return room.context(principal=a_principal(key=principal))


async def everything(room: Room, **wants: Any) -> Stream:
    return await event_stream(room.context(), chat_ids=None, filter_=ChatEventFilter(**wants), after=None)


class Shared:
    """What is told to all, as it comes; `heard` is what was taken of it so far."""

    def __init__(self) -> None:
        self.came: asyncio.Queue[Batch | None] = asyncio.Queue()
        self.heard: list[Told] = []
        self.position = 0

    async def listen(self, batches: AsyncIterator[Batch]) -> None:
        async for batch in batches:
            self.came.put_nowait(batch)
        self.came.put_nowait(None)

    async def to(self, position: int) -> None:
        async with asyncio.timeout(10):
            while self.position < position:
                await self.next()

    async def next(self) -> Batch:
        batch = await asyncio.wait_for(self.came.get(), 10)
        assert batch is not None, "it has ended"
        self.heard += batch.told
        self.position = batch.position
        return batch

    def lines(self, principal: str) -> list[tuple[int, str | None]]:
        return shown([one.for_one(principal) for one in self.heard if one.part_of is None])


def shown(events: Sequence[LiveEvent | None]) -> list[tuple[int, str | None]]:
    """Which lines were told, and the id of a request with them; their rows are as they were when they were read."""
    return [(event.event.seq, event.client_mutation_id) for event in events if isinstance(event, Happened)]


@asynccontextmanager
async def shared(room: Room, stream: Stream | None = None, context: Context | None = None) -> AsyncIterator[Shared]:
    """The stream as an audience hears it, from now on."""
    stream = stream or await everything(room)
    audience = await audience_of(context or room.context(), is_viewers_own=False)
    position = await room.gateway.store.events.head(room.organization.id)
    many = context_of(room.gateway, audience, request_id="many")
    heard = Shared()
    async with aclosing(stream.told(many, position)) as batches:
        listening = asyncio.create_task(heard.listen(batches))
        while not room.gateway.feed.count():  # noqa: ASYNC110  turns of the loop until it listens
            await asyncio.sleep(0)
        yield heard
        listening.cancel()
        await asyncio.wait([listening])
    assert room.gateway.feed.count() == 0


async def head(room: Room) -> int:
    return await room.gateway.store.events.head(room.organization.id)


@pytest.mark.parametrize("seed", range(count(long=100, least=3)))
async def test_each_hears_what_it_would_hear_alone(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with a_chat_room(folder, "Before", **OURS) as room:
        start = await room.context().event_cursor()
        async with shared(room) as many:
            for number in range(12):
                context = of(room, chance.choice([ANN, BOB]))
                match chance.randrange(4):
                    case 0:
                        await say(room, f"{number}", context, client_mutation_id=f"bubble {number}")
                    case 1:
                        await mark_chat_read(context, chat_id=chat_id(room), up_to_message_id=None)
                    case 2:
                        await set_chat_pinned(context, chat_id=chat_id(room), pinned=bool(number % 2))
                    case 3:
                        await say(room, f"{number}", context, reply=ReplyMode.WAIT)
            await many.to(await head(room))
        for principal in (ANN, BOB, "key:3"):
            async with an_ear(room, of(room, principal), after=start) as ear:
                assert many.lines(principal) == shown(ear.heard)


async def test_id_of_a_request_is_told_to_its_sender_alone(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        async with shared(room) as many:
            await say(room, "Hi", of(room, ANN), client_mutation_id="bubble")
            await many.to(await head(room))
        (told,) = many.heard
        assert isinstance(told.own, Happened)
        assert isinstance(told.event, Happened)
        assert (told.to, told.own.client_mutation_id, told.event.client_mutation_id) == (ANN, "bubble", None)
        assert told.event.message == told.own.message


async def test_read_marker_is_told_to_its_principal_and_to_nobody_else(folder: Path) -> None:
    async with a_chat_room(folder, "Before", **OURS) as room:
        async with shared(room) as many:
            await mark_chat_read(of(room, BOB), chat_id=chat_id(room), up_to_message_id=None)
            await many.to(await head(room))
        (told,) = many.heard
        assert (told.to, told.event) == (BOB, None)
        assert isinstance(told.own, Happened)
        assert told.own.event.kind is EventKind.READ_STATE_CHANGED


async def test_lines_of_a_private_source_are_for_an_audience_of_its_owner(folder: Path) -> None:
    mine = a_vendor("mine", record={"visibility": Visibility.OWNER, "owner": ANN}, **OURS)
    async with a_room(folder, mine, a_vendor("ours", **OURS)) as room:
        audiences = [await audience_of(of(room, key), is_viewers_own=False) for key in (ANN, BOB, "key:3")]
        assert (audiences[0].principal, audiences[1].principal) == (a_principal(key=ANN), None)
        assert audiences[1] == audiences[2] != audiences[0]
        async with shared(room, context=of(room, BOB)) as many:
            await say(room, "Secret", of(room, ANN))
            await say(room, "Open", of(room, ANN), chat_id=chat_id(room, source="ours"))
            await many.to(await head(room))
            (told,) = many.heard
            assert isinstance(told.event, Happened)
            assert told.event.message is not None
            assert told.event.message.text == "Open"
        async with shared(room, context=of(room, ANN)) as own:
            await say(room, "Secret", of(room, ANN))
            await own.to(await head(room))
            assert len(own.lines(ANN)) == 1


async def test_words_are_told_as_they_come_and_whole(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        room.source.words = asyncio.Queue()
        async with shared(room) as many:
            await say(room, reply=ReplyMode.STREAM)
            for text in ("One", "One two", "One 2"):
                await room.source.grows_to(text)
            words: list[Told] = []
            while len(words) < 3:
                words += [told for told in (await many.next()).told if told.part_of is not None]
            room.source.words.put_nowait(MessageState.COMPLETE)
            await settled(room)
        assert [_words(told.event) for told in words] == [(0, "One"), (3, " two"), (4, "2")]
        assert [_words(told.whole) for told in words] == [(0, "One"), (0, "One two"), (0, "One 2")]
        assert len({told.part_of for told in words}) == 1


def _words(event: LiveEvent | None) -> tuple[int, str]:
    assert isinstance(event, DeltaCame)
    return event.delta.offset, event.delta.text


async def test_words_behind_dropped_ones_are_whole_for_everybody(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        room.source.words = asyncio.Queue()
        stream = await everything(room)
        async with aclosing(stream.told(room.context(), await head(room))) as batches:
            first = asyncio.ensure_future(anext(batches))
            await asyncio.sleep(0)
            await say(room, reply=ReplyMode.STREAM)
            await room.source.grows_to("x")
            batch = await first
            while batch.told[0].part_of is None:
                batch = await asyncio.wait_for(anext(batches), 10)
            for length in range(300):  # which nobody takes
                await room.source.grows_to("x" * (length + 2))
            told = (await asyncio.wait_for(anext(batches), 10)).told[0]
            assert told.event == told.whole
            room.source.words.put_nowait(MessageState.COMPLETE)
            await settled(room)


async def test_shared_stream_ends_when_lines_were_forgotten_before_they_were_read(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        stream, position = await everything(room), await head(room)
        await say(room, "Lost")
        await expire(room)
        await say(room, "Next")
        assert [batch async for batch in stream.told(room.context(), position)] == []


async def test_who_fell_out_catches_up_to_the_head(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        stream, position = await everything(room), await head(room)
        await say(room, "One")
        await say(room, "Two", client_mutation_id="bubble")
        steps = [step async for step in stream.catch_up(room.context(), position)]
        assert [event.message.text for _, event in steps if isinstance(event, Happened) and event.message] == [
            "One",
            "Two",
        ]
        assert steps[-1] == (await head(room), None)


async def test_who_fell_out_for_too_long_is_told_of_the_gap(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        stream, position = await everything(room), await head(room)
        messages = await message_stream(room.context(), chat_id=None, filter_=MessageEventFilter(), after=None)
        await say(room, "Lost")
        await expire(room)
        (at, gap), (level, nothing) = [step async for step in stream.catch_up(room.context(), position)]
        assert isinstance(gap, Gap)
        assert gap.reason is GapReason.SLOW_READER
        assert gap.gap_from == room.gateway.feed.cursor_at(room.organization.id, position)
        assert gap.gap_to == gap.cursor == await room.context().event_cursor()
        assert (at, level, nothing) == (await head(room), await head(room), None)
        with pytest.raises(StreamGapFound) as caught:
            _ = [step async for step in messages.catch_up(room.context(), position)]
        assert caught.value.gap_to == gap.gap_to


async def test_replay_ends_where_others_can_be_joined(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        await say(room, "One")
        stream = await everything(room)
        assert [step async for step in stream.replay(room.context())] == [(await head(room), None)]
        assert room.gateway.feed.count() == 0
