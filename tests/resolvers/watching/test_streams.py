"""A vendor's own stream beside polling: what it tells is read at once, and nothing depends on it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from domain.capabilities import NativeStream
from domain.errors import UpstreamUnavailable
from domain.records import EventKind
from domain.source import ChatTouched, Notice, StreamOpened
from resolvers.sources import update_source
from tests.builders import a_chat
from tests.fakes import FakeSource
from tests.resolvers.rooms import a_vendor, logged, quiet, source_id
from tests.resolvers.watching.virtual import WatchedRoom, a_watched_room

pytestmark = pytest.mark.anyio
LONGEST = 60.0
OF_CHATS: dict[str, Any] = {"stream": NativeStream.CHAT, "stream_tells_messages": True}
OF_SOURCE: dict[str, Any] = {"stream": NativeStream.SOURCE, "stream_tells_messages": True}


@dataclass
class StreamingSource(FakeSource):
    """Has a stream for each chat, or one (None): what a test puts into it, an exception breaks it and None ends it."""

    streams: defaultdict[str | None, "asyncio.Queue[Notice | Exception | None]"] = field(
        default_factory=lambda: defaultdict(asyncio.Queue)
    )
    watched: list[str | None] = field(default_factory=list)

    async def watch(self, chat_id: str | None) -> AsyncGenerator[Notice, None]:
        self.watched.append(chat_id)
        try:
            await self._asked("watch")
            while (notice := await self.streams[chat_id].get()) is not None:
                if isinstance(notice, Exception):
                    raise notice
                yield notice
        finally:
            self.watched.remove(chat_id)


def a_streaming_vendor(chats: int = 1, **traits: Any) -> StreamingSource:
    rows = [a_chat(f"c{n}") for n in range(1, chats + 1)]
    vendor = a_vendor(chats=rows, kind=StreamingSource, **traits)
    assert isinstance(vendor, StreamingSource)
    return vendor


def source(watched: WatchedRoom) -> StreamingSource:
    assert isinstance(watched.source, StreamingSource)
    return watched.source


async def tells(watched: WatchedRoom, *notices: Notice | Exception | None, chat_id: str | None = "c1") -> None:
    """The stream of a chat says these, and they are heard."""
    for notice in notices:
        source(watched).streams[chat_id].put_nowait(notice)
    await quiet(watched.room)


async def created(watched: WatchedRoom) -> list[str]:
    return [native_id for _, native_id in await logged(watched.room, EventKind.MESSAGE_CREATED)]


async def test_what_the_stream_touches_is_read_at_once(folder: Path) -> None:
    async with a_watched_room(folder, a_streaming_vendor(**OF_CHATS)) as watched, watched.subscribed():
        await watched.passes(1)
        await tells(watched, StreamOpened())
        await watched.passes(LONGEST / 2)
        new = source(watched).says_by_itself("c1", "New").native_id
        await tells(watched, ChatTouched("c1"))
        assert await created(watched) == [new]


async def test_what_happened_before_the_stream_was_open_is_read(folder: Path) -> None:
    async with a_watched_room(folder, a_streaming_vendor(**OF_CHATS)) as watched, watched.subscribed():
        await watched.passes(600)
        new = source(watched).says_by_itself("c1", "While nobody told").native_id
        await tells(watched, StreamOpened())
        assert await created(watched) == [new]


async def test_open_stream_that_tells_messages_leaves_polling_for_the_rest(folder: Path) -> None:
    for tells_messages, least, most in ((True, 9, 12), (False, 15, 40)):
        (folder / str(tells_messages)).mkdir()
        vendor = a_streaming_vendor(stream=NativeStream.CHAT, stream_tells_messages=tells_messages)
        async with a_watched_room(folder / str(tells_messages), vendor) as watched, watched.subscribed():
            await watched.passes(1)
            await tells(watched, StreamOpened())
            watched.calls()
            await watched.passes(600)
            assert least <= watched.calls() <= most


async def test_stream_that_breaks_is_opened_again_and_polling_is_quick_meanwhile(folder: Path) -> None:
    async with a_watched_room(folder, a_streaming_vendor(**OF_CHATS)) as watched, watched.subscribed():
        await watched.passes(1)
        await tells(watched, StreamOpened())
        await watched.passes(LONGEST / 2)
        watched.calls()
        broken = UpstreamUnavailable("Cut.", source_id=1, operation="watch")
        await tells(watched, broken)
        assert watched.calls() == 1, "what the break may have hidden is read"
        new = source(watched).says_by_itself("c1", "In the dark").native_id
        await watched.passes(5)
        assert await created(watched) == [new]
        assert source(watched).watched == ["c1"]


@pytest.mark.parametrize("end", [None, UpstreamUnavailable("No.", source_id=1, operation="watch"), ValueError("bug")])
async def test_stream_that_never_opens_is_tried_less_and_less_often(
    folder: Path, end: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    vendor = a_streaming_vendor(**OF_CHATS)
    async with a_watched_room(folder, vendor) as watched:
        watched.clock.chance = 0.999
        async with watched.subscribed():
            for _ in range(500):
                vendor.streams["c1"].put_nowait(end)
            await watched.passes(3600)
            tried = vendor.calls.count("watch")
            assert 10 < tried < 3600 / LONGEST + 20
            new = vendor.says_by_itself("c1", "All the same").native_id
            await watched.passes(2 * LONGEST)
            assert await created(watched) == [new]
    assert ("its stream could not be followed" in caplog.text) == isinstance(end, ValueError)


async def test_garbage_order_and_repetition_are_absorbed(folder: Path) -> None:
    async with a_watched_room(folder, a_streaming_vendor(2, **OF_CHATS)) as watched, watched.subscribed():
        await watched.passes(1)
        first = source(watched).says_by_itself("c1", "One").native_id
        await tells(watched, ChatTouched("c1"), StreamOpened(), ChatTouched(None), StreamOpened(), ChatTouched("c1"))
        second = source(watched).says_by_itself("c1", "Two").native_id
        source(watched).says_by_itself("c2", "Not subscribed to")
        await tells(watched, *[ChatTouched("c1")] * 200, ChatTouched("c2"), ChatTouched("nowhere"))
        watched.calls()
        await watched.passes(5)
        assert await created(watched) == [first, second]
        assert watched.calls() <= 5


async def test_one_stream_of_a_source_serves_all_its_feeds(folder: Path) -> None:
    vendor = a_streaming_vendor(3, **OF_SOURCE)
    async with a_watched_room(folder, vendor) as watched:
        targets = [*await watched.chats("c1", "c2"), await watched.whole()]
        async with watched.subscribed(targets):
            await watched.passes(1)
            assert vendor.watched == [None]
            await tells(watched, StreamOpened(), chat_id=None)
            await watched.passes(LONGEST / 2)
            news = [vendor.says_by_itself(f"c{n}", "New").native_id for n in (1, 3)]
            await tells(watched, ChatTouched("c1"), ChatTouched("c3"), chat_id=None)
            assert sorted(await created(watched)) == sorted(news)
            somewhere = vendor.says_by_itself("c2", "Somewhere").native_id
            await watched.passes(1)
            await tells(watched, ChatTouched(None), chat_id=None)
            assert somewhere in await created(watched)
        await watched.passes(31)
        assert vendor.watched == []


async def test_stream_of_a_chat_is_left_with_its_last_subscriber(folder: Path) -> None:
    vendor = a_streaming_vendor(3, **OF_CHATS)
    async with a_watched_room(folder, vendor) as watched, watched.subscribed(await watched.chats("c1")):
        async with watched.subscribed(await watched.chats("c2")):
            await watched.passes(1)
            assert sorted(map(str, vendor.watched)) == ["c1", "c2"]
        await watched.passes(29)
        assert sorted(map(str, vendor.watched)) == ["c1", "c2"]
        await watched.passes(LONGEST)
        assert vendor.watched == ["c1"]


async def test_number_of_streams_is_bounded_and_the_other_chats_are_polled(folder: Path) -> None:
    vendor = a_streaming_vendor(5, **OF_CHATS)
    async with (
        a_watched_room(folder, vendor, streams_per_source=2) as watched,
        watched.subscribed(await watched.chats(*(f"c{n}" for n in range(1, 6)))),
    ):
        await watched.passes(5)
        assert len(vendor.watched) == 2
        news = [vendor.says_by_itself(f"c{n}", "New").native_id for n in range(1, 6)]
        await watched.passes(LONGEST)
        assert sorted(await created(watched)) == sorted(news)


async def test_chats_that_are_only_read_in_turns_have_no_stream(folder: Path) -> None:
    vendor = a_streaming_vendor(5, **OF_CHATS)
    async with a_watched_room(folder, vendor) as watched, watched.subscribed([await watched.whole()]):
        await watched.passes(LONGEST)
        assert vendor.watched == []


async def test_source_that_is_configured_anew_gets_new_streams(folder: Path) -> None:
    vendor = a_streaming_vendor(**OF_CHATS)
    async with a_watched_room(folder, vendor) as watched, watched.subscribed():
        await watched.passes(1)
        before = vendor.calls.count("watch")
        await update_source(
            watched.room.context(),
            source_id=source_id(1),
            display_name="Renamed",
            base_url=None,
            credentials=None,
            options=None,
        )
        # A fake stays the same object, whatever it is connected with.
        watched.feeds._watches[1]._live = None
        await watched.passes(2)
        assert vendor.calls.count("watch") == before + 1
        assert vendor.watched == ["c1"]
