"""A reply whose listener is cut off at any word, and comes back on another connection, has the same text every time."""

import asyncio
import random
from pathlib import Path

import pytest

from domain.records import EventKind, MessageState
from resolvers.live_events import DeltaCame, Happened
from resolvers.sending import ReplyMode, regenerate_message
from tests.joining import Reader, hard_words
from tests.resolvers.conftest import Room
from tests.resolvers.rooms import ALL_NATIVE, a_chat_room, an_ear, message_id, say, settled
from tests.tier import count

pytestmark = pytest.mark.anyio
DELTAS = 300
_PACE_SECONDS = 0.002
"""Between two pieces, so that they are not heard as one."""
CUTS = count(long=DELTAS, least=12)
KINDS = pytest.mark.parametrize("takes_message_ids", [True, False], ids=["ids-of-ours", "ids-of-its-own"])


def growing(rewrites: bool) -> list[str]:
    """The text of a reply, step by step: one code point or a few at a time, so that nothing that belongs together comes together."""
    chance = random.Random(5)
    whole = " ".join(hard_words(120))
    steps: list[str] = []
    text, at = "", 0
    while len(steps) < DELTAS:
        more = chance.randrange(1, 4)
        text, at = text + whole[at : at + more], at + more
        steps.append(text)
        if rewrites and chance.random() < 0.1:
            text = text[: -chance.randrange(1, min(9, len(text)))] + chance.choice(["𝔘", "\u200d", "x"])
            steps.append(text)
    return steps[:DELTAS]


async def reads(room: Room, cut: int, begin: str, subscribed: asyncio.Semaphore) -> Reader:
    """Until it has seen the end; after its `cut`-th delta it is cut off and continues behind that."""
    reader, after, is_over = Reader(), begin, False
    while not is_over:
        async with an_ear(room, after=after, patience=300) as ear:
            waiting = [event for event in ear.heard if isinstance(event, Happened)]
            subscribed.release()
            while not is_over:
                event = waiting.pop(0) if waiting else await ear.next()
                after = event.cursor
                if isinstance(event, DeltaCame):
                    reader.delta(event.delta.offset, event.delta.text)
                    if reader.deltas == cut:
                        break
                elif isinstance(event, Happened) and event.message is not None and event.message.role == "ASSISTANT":
                    is_over = event.event.kind is EventKind.MESSAGE_UPDATED and event.message.state.is_final
                    reader.message(event.message.text)
    return reader


async def says_it_all(room: Room, steps: list[str]) -> None:
    for text in steps:
        await room.source.grows_to(text)
        await asyncio.sleep(_PACE_SECONDS)
    assert room.source.words is not None
    room.source.words.put_nowait(MessageState.COMPLETE)
    await settled(room)


@KINDS
@pytest.mark.parametrize("rewrites", [False, True], ids=["grows", "rewrites"])
async def test_reply_that_is_cut_at_every_word_has_the_same_text(
    folder: Path, takes_message_ids: bool, rewrites: bool
) -> None:
    steps = growing(rewrites)
    async with a_chat_room(folder, takes_message_ids=takes_message_ids) as room:
        begin, subscribed = await room.context().event_cursor(), asyncio.Semaphore(0)
        cuts = [round(1 + place * (DELTAS - 1) / max(1, CUTS - 1)) for place in range(CUTS)]
        readers = [asyncio.create_task(reads(room, cut, begin, subscribed)) for cut in cuts]
        for _ in readers:
            await subscribed.acquire()
        room.source.words = asyncio.Queue()
        await say(room, reply=ReplyMode.STREAM)
        await says_it_all(room, steps)
        done = await asyncio.wait_for(asyncio.gather(*readers), 600)
    assert [reader.text for reader in done] == [steps[-1]] * CUTS
    known = {"", *steps}
    assert all(state in known for reader in done for state in reader.states)
    assert max(reader.deltas for reader in done) >= 100


async def test_answer_once_more_comes_word_by_word_too(folder: Path) -> None:
    steps = growing(rewrites=True)[:60]
    async with a_chat_room(folder, "Hi", "Yes", also=ALL_NATIVE, takes_message_ids=True) as room:
        begin, subscribed = await room.context().event_cursor(), asyncio.Semaphore(0)
        readers = [asyncio.create_task(reads(room, cut, begin, subscribed)) for cut in (1, 30, 1000)]
        for _ in readers:
            await subscribed.acquire()
        room.source.words = asyncio.Queue()
        await regenerate_message(
            room.context(), message_id=message_id(room, "m1"), model=None, reply=ReplyMode.STREAM, idempotency_key=None
        )
        await says_it_all(room, steps)
        assert [reader.text for reader in await asyncio.gather(*readers)] == [steps[-1]] * 3
