"""No holes, in order: whatever is read of a chat that is shown in pages, the log gets each new message once."""

import shutil
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import BadCursor, UpstreamUnavailable
from domain.records import EventKind
from domain.source import MessagesRead, MessageWindow
from resolvers.context import Tuning
from resolvers.reading import read_messages
from resolvers.sending import ReplyMode
from resolvers.targets import ChatTarget
from resolvers.watching.chat_reader import ChatNews, ChatReader
from resolvers.watching.tuning import WatchTuning
from tests.pagers import PagingSource, WalksFromTheNewest, WholeWhenShort
from tests.resolvers.conftest import Room, a_room
from tests.resolvers.rooms import a_vendor, logged, quiet, say, settled
from tests.tier import count

pytestmark = pytest.mark.anyio
KINDS = [PagingSource, WholeWhenShort, WalksFromTheNewest]
EACH_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


@asynccontextmanager
async def a_paged_room(
    folder: Path, kind: type[PagingSource] = PagingSource, messages: int = 0, **traits: Any
) -> AsyncIterator[Room]:
    """A chat with so many messages at a source that shows five at a time."""
    vendor = a_vendor("vendor", *(f"old {n}" for n in range(messages)), kind=kind, max_page=5, **traits)
    async with a_room(folder, vendor, tuning=Tuning(fill_pages=4)) as room:
        await room.gateway.sources.connect((await room.gateway.sources.of(room.organization.id))[0])
        yield room


def source(room: Room) -> PagingSource:
    assert isinstance(room.source, PagingSource)
    return room.source


def target(room: Room) -> ChatTarget:
    return ChatTarget(room.source.source, room.source, "c1")


def written(room: Room, number: int = 1) -> list[str]:
    """Somebody writes so many messages at the source; their ids."""
    return [room.source.says_by_itself("c1", "words").native_id for _ in range(number)]


async def queried(room: Room, **window: Any) -> MessagesRead:
    read = await read_messages(room.context(), target(room), MessageWindow(**window))
    assert read is not None
    return read


async def polled(room: Room, fill_pages: int = 100, *, is_full: bool = False) -> ChatNews:
    reader = ChatReader(WatchTuning(fill_pages=fill_pages), lambda: None)
    return await reader.read(room.context(), target(room), is_full=is_full)


async def created(room: Room) -> list[str]:
    return [native_id for _, native_id in await logged(room, EventKind.MESSAGE_CREATED)]


def ids(read: MessagesRead) -> list[str]:
    return [message.native_id for message in read.messages]


@EACH_KIND
async def test_page_without_a_known_message_is_joined_before_it_is_committed(
    folder: Path, kind: type[PagingSource]
) -> None:
    async with a_paged_room(folder, kind, 7) as room:
        await queried(room, last=2)
        new = written(room, 11)
        read = await queried(room, last=2)
        assert ids(read) == new[-2:]
        assert read.has_before
        assert await created(room) == new


@EACH_KIND
async def test_chat_that_is_news_is_read_to_its_beginning(folder: Path, kind: type[PagingSource]) -> None:
    async with a_paged_room(folder, kind, 0) as room:
        await queried(room, last=2)
        new = written(room, 12)
        await queried(room, last=2)
        assert await created(room) == new


@EACH_KIND
async def test_known_message_in_the_page_costs_no_further_call(folder: Path, kind: type[PagingSource]) -> None:
    async with a_paged_room(folder, kind, 7) as room:
        await queried(room, last=2)
        written(room, 1)
        source(room).calls.clear()
        await queried(room, last=2)
        assert source(room).calls == ["read_messages"]


async def test_source_that_fails_on_the_way_costs_the_answer_nothing_and_the_next_reading_joins(folder: Path) -> None:
    async with a_paged_room(folder, messages=7) as room:
        await queried(room, last=2)
        new = written(room, 8)
        source(room).page_faults = deque([False, True])
        assert ids(await queried(room, last=2)) == new[-2:]
        assert await created(room) == []
        await room.gateway.watching.aclose()
        await queried(room, last=2)
        assert await created(room) == new


async def test_feed_that_fails_on_the_way_commits_nothing(folder: Path) -> None:
    async with a_paged_room(folder, messages=7) as room:
        await polled(room)
        new = written(room, 12)
        source(room).page_faults = deque([False, False, True])
        with pytest.raises(UpstreamUnavailable):
            await polled(room)
        assert await created(room) == []
        await polled(room)
        assert await created(room) == new


async def test_what_is_out_of_reach_for_a_request_is_brought_by_a_feed(folder: Path) -> None:
    async with a_paged_room(folder, messages=7) as room:
        await queried(room, last=2)
        new = written(room, 40)
        assert ids(await queried(room, last=2)) == new[-2:]
        assert await created(room) == []
        await quiet(room)
        assert await created(room) == new


async def test_what_is_out_of_reach_for_a_feed_is_a_gap_and_the_chat_begins_anew(folder: Path) -> None:
    async with a_paged_room(folder, messages=7) as room:
        await polled(room)
        new = written(room, 40)
        await polled(room, fill_pages=2)
        assert await logged(room) == [("STREAM_GAP", "c1")]
        later = written(room, 2)
        await polled(room)
        # Paging back through what was given up tells nothing as news.
        before, shown = new[-1], [*new, *later]
        while (read := await queried(room, last=4, before=before)).has_before:
            before = read.messages[0].native_id
            shown = [*ids(read), *shown]
        assert await logged(room) == [("STREAM_GAP", "c1"), *(("MESSAGE_CREATED", one) for one in later)]


async def test_message_from_elsewhere_before_one_of_ours_is_not_lost(folder: Path) -> None:
    """Ours is known from the moment it was sent: a reading that stopped at it would never see what stands before it."""
    async with a_paged_room(folder, messages=7) as room:
        await polled(room)
        sent = await say(room, "Ours")
        assert sent.message is not None
        rows = room.source.messages["c1"]
        rows.insert(-1, replace(rows[-1], native_id="faster", text="Theirs"))
        later = written(room, 4)
        await polled(room)
        assert await created(room) == [sent.message.native_id, "faster", *later]


async def test_long_chat_of_ours_alone_is_not_read_back_each_time(folder: Path) -> None:
    async with a_paged_room(folder, messages=2) as room:
        await polled(room)
        for number in range(12):
            await say(room, f"Ours {number}")
            await polled(room)
        source(room).calls.clear()
        await polled(room)
        await queried(room, last=3)
        assert source(room).calls == ["read_messages"] * 2


async def test_cursor_of_a_message_that_went_meanwhile_costs_a_request_nothing(folder: Path) -> None:
    async with a_paged_room(folder, messages=7) as room:
        await queried(room, last=2)
        written(room, 9)
        fake = source(room)
        asked = iter(range(9))

        def oldest_shown_goes() -> None:
            if next(asked) == 1:
                del fake.messages["c1"][-2:]

        fake.between = oldest_shown_goes
        assert len((await queried(room, last=2)).messages) == 2
        with pytest.raises(BadCursor):
            await queried(room, last=2, before="nowhere")


async def test_chat_that_goes_while_it_is_read_back_is_deleted(folder: Path) -> None:
    async with a_paged_room(folder, messages=7) as room:
        await queried(room, last=2)
        written(room, 9)
        fake = source(room)
        asked = iter(range(9))

        def chat_goes() -> None:
            if next(asked) == 1:
                fake.chats.clear()

        fake.between = chat_goes
        assert await read_messages(room.context(), target(room), MessageWindow(last=2)) is None
        assert await logged(room) == [("CHAT_DELETED", "c1")]


@EACH_KIND
async def test_full_pass_finds_what_was_deleted_and_edited_further_back(folder: Path, kind: type[PagingSource]) -> None:
    async with a_paged_room(folder, kind, 23) as room:
        await polled(room, is_full=True)
        rows = room.source.messages["c1"]
        await room.source.edit_message("c1", "m3", "Edited")
        room.source.messages["c1"] = [row for row in rows if row.native_id != "m9"]
        await room.source.edit_message("c1", "m3", "Edited")
        await polled(room)
        assert await logged(room) == []
        await polled(room, is_full=True)
        assert sorted(await logged(room, EventKind.MESSAGE_DELETED)) == [("MESSAGE_DELETED", "m9")]
        assert ("MESSAGE_UPDATED", "m3") in await logged(room, EventKind.MESSAGE_UPDATED)


async def test_first_page_of_a_long_chat_leaves_no_footing_for_the_newest(folder: Path) -> None:
    async with a_paged_room(folder, messages=20) as room:
        assert ids(await queried(room, first=3)) == ["m0", "m1", "m2"]
        assert await room.gateway.store.messages.get(room.organization.id, 1, "c1", "m1") is not None
        await queried(room, last=3)
        new = written(room, 9)
        await queried(room, first=4, after="m1")
        await queried(room, last=3)
        assert await created(room) == new


# The property

_WINDOW = st.one_of(
    st.builds(lambda n: ("last", n, None), st.integers(1, 6)),
    st.builds(lambda n: ("first", n, None), st.integers(1, 6)),
    st.builds(lambda n, place: ("last", n, place), st.integers(1, 6), st.integers(0, 60)),
    st.builds(lambda n, place: ("first", n, place), st.integers(1, 6), st.integers(0, 60)),
)
_STEP = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 9)),
    st.tuples(st.just("query"), _WINDOW),
    st.tuples(st.just("poll"), st.booleans()),
    st.tuples(st.just("send"), st.tuples(st.integers(0, 4), st.integers(0, 6))),
    st.tuples(st.just("fail"), st.lists(st.booleans(), max_size=4)),
    st.tuples(st.just("meanwhile"), st.lists(st.integers(0, 3), max_size=4)),
)


@settings(max_examples=count(long=400, least=12), deadline=None, suppress_health_check=list(HealthCheck))
@given(kind=st.sampled_from(KINDS), history=st.integers(0, 12), steps=st.lists(_STEP, max_size=14))
async def test_every_message_behind_the_baseline_is_logged_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, kind: type[PagingSource], history: int, steps: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("joining")
    try:
        async with a_paged_room(folder, kind, history) as room:
            story = _Story(room)
            await story.poll(is_full=False)
            for step in steps:
                await story.perform(*step)
            source(room).page_faults.clear()
            source(room).between = lambda: None
            await settled(room)
            await quiet(room)
            await story.poll(is_full=False)
            assert await logged(room, EventKind.STREAM_GAP) == []
            await story.check()
    finally:
        shutil.rmtree(folder)


class _Story:
    def __init__(self, room: Room) -> None:
        self._room = room
        self._history = {message.native_id for message in room.source.messages["c1"]}

    async def perform(self, what: str, value: Any) -> None:
        fake = source(self._room)
        match what:
            case "write":
                written(self._room, value)
            case "query":
                await self._query(*value)
            case "poll":
                await self.poll(is_full=value)
            case "send":
                faster, behind = value
                self._meanwhile([0, faster])
                with suppress(UpstreamUnavailable):
                    await say(self._room, "Ours", reply=ReplyMode.NONE)
                written(self._room, behind)
            case "fail":
                fake.page_faults = deque(value)
            case _:
                self._meanwhile(value)

    def _meanwhile(self, numbers: Sequence[int]) -> None:
        """So many messages are written elsewhere before the next answers of the source."""
        waiting = deque(numbers)

        def write() -> None:
            if waiting:
                written(self._room, waiting.popleft())

        source(self._room).between = write

    async def _query(self, end: str, number: int, place: int | None) -> None:
        window: dict[str, Any] = {end: number}
        rows = self._room.source.messages["c1"]
        if place is not None and rows:
            shown = await self._public(rows[place % len(rows)].native_id)
            window["before" if end == "last" else "after"] = shown
        with suppress(UpstreamUnavailable):
            await queried(self._room, **window)

    async def poll(self, *, is_full: bool) -> None:
        with suppress(UpstreamUnavailable):
            await polled(self._room, is_full=is_full)

    async def _public(self, native_id: str) -> str:
        aliases = await self._room.gateway.store.messages.aliases(self._room.organization.id, 1, "c1")
        return aliases.get(native_id, native_id)

    async def check(self) -> None:
        events = await self._room.gateway.store.events.after(self._room.organization.id, 0, 10_000)
        told = [event.native_id for event in events if event.kind is EventKind.MESSAGE_CREATED]
        new = [
            await self._public(message.native_id)
            for message in self._room.source.messages["c1"]
            if message.native_id not in self._history
        ]
        assert sorted(told) == sorted(new), "each once"
        foreign = [one for one in new if one.startswith("foreign")]
        assert [one for one in told if one.startswith("foreign")] == foreign, "in the order of the source"
