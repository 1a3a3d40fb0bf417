"""Search over sources that search themselves and sources that cannot."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from domain.capabilities import Capability, SupportLevel, native
from domain.errors import BadCursor, InvalidArgument, NotFound, SourceStatusCode, UpstreamUnavailable
from domain.ids import folder_id
from domain.paging import PageRequest
from domain.records import GATEWAY, Chat, MessageRole, SearchHit
from resolvers.chat_writes import move_chat, set_chat_pinned
from resolvers.folders import create_folder
from resolvers.messages import MessageQuery, load_messages
from resolvers.search import SearchFilter, SearchList, search
from tests.builders import a_chat, a_message
from tests.fakes import FakeSource
from tests.resolvers.conftest import Room, a_room
from tests.resolvers.rooms import a_vendor, chat_id, shown, source_id

pytestmark = pytest.mark.anyio


def a_searching(key: str, *found: str) -> FakeSource:
    """A source that searches itself and finds these, whatever is asked for."""
    fake = a_vendor(key, also={Capability.SEARCH: native()})
    fake.hits = [SearchHit(a_message(text, text=text), score=9 - n) for n, text in enumerate(found)]
    return fake


async def find(room: Room, query: str = "needle", first: int = 10, within_ms: int = 2000, **fields: Any) -> SearchList:
    page = PageRequest(first=first, after=fields.pop("after", None))
    return await search(room.context(), query, page, SearchFilter(**fields), within_ms)


def words(found: SearchList) -> list[str | None]:
    return [hit.found.title if isinstance(hit.found, Chat) else hit.found.text for hit in found.page.rows]


async def test_hits_of_all_sources_are_interleaved_by_rank_and_scores_fall(folder: Path) -> None:
    async with a_room(folder, a_searching("one", "a1", "a2", "a3"), a_searching("two", "b1", "b2")) as room:
        found = await find(room)
        assert words(found) == ["a1", "b1", "a2", "b2", "a3"]
        scores = [hit.score for hit in found.page.rows]
        assert scores == sorted(scores, reverse=True)


async def test_source_that_cannot_search_is_searched_in_the_index(folder: Path) -> None:
    async with a_room(folder, a_vendor("plain", "the needle here", "nothing"), a_searching("self", "x")) as room:
        await shown(room)
        found = await find(room)
        assert sorted(filter(None, words(found))) == ["the needle here", "x"]
        coverage = {one.target.source.key: (one.mode, one.complete) for one in found.coverage}
        assert coverage == {"plain": (SupportLevel.EMULATED, False), "self": (SupportLevel.NATIVE, True)}
        assert room.source.calls == ["read_messages"]


async def test_source_whose_search_fails_falls_back_to_the_index(folder: Path) -> None:
    fake = a_vendor("one", "the needle here", also={Capability.SEARCH: native()})
    async with a_room(folder, fake) as room:
        await shown(room)
        room.source.fails_at["search"] = UpstreamUnavailable("Down.", source_id=1, operation="search")
        found = await find(room)
        assert words(found) == ["the needle here"]
        assert [(s.code, s.stale) for s in found.statuses] == [(SourceStatusCode.UPSTREAM_UNAVAILABLE, True)]
        assert found.coverage[0].mode is SupportLevel.EMULATED


async def test_search_that_takes_too_long_is_reported(folder: Path) -> None:
    async with a_room(folder, a_searching("one", "a")) as room:
        room.source.hold = asyncio.Event()
        found = await find(room, within_ms=10)
        assert [status.code for status in found.statuses] == [SourceStatusCode.TIMEOUT]


async def test_pages_of_a_search_both_ways(folder: Path) -> None:
    async with a_room(folder, a_searching("one", *"abcde")) as room:
        first = await find(room, first=2)
        second = await find(room, first=2, after=first.page.cursors[-1])
        last = await find(room, first=2, after=second.page.cursors[-1])
        assert [words(page) for page in (first, second, last)] == [["a", "b"], ["c", "d"], ["e"]]
        assert [page.page.has_next for page in (first, second, last)] == [True, True, False]
        assert [page.page.has_previous for page in (first, second, last)] == [False, True, True]
        back = await search(
            room.context(), "needle", PageRequest(last=2, before=last.page.cursors[0]), SearchFilter(), 2000
        )
        assert words(back) == ["c", "d"]


async def test_cursor_of_another_query_or_list_is_refused(folder: Path) -> None:
    async with a_room(folder, a_searching("one", *"abc")) as room:
        cursor = (await find(room, first=1)).page.cursors[0]
        for fields in [{"query": "other"}, {"roles": (MessageRole.USER,)}]:
            with pytest.raises(BadCursor):
                await find(room, first=1, after=cursor, **fields)  # type: ignore[arg-type]
        with pytest.raises(BadCursor):
            await find(room, first=1, after=room.gateway.cursors.seal("chats", 1, ["x", 1]))


@pytest.mark.parametrize("query", ["", "  ", "x" * 501])
async def test_impossible_queries_are_refused_before_any_call(folder: Path, query: str) -> None:
    async with a_room(folder, a_searching("one", "a")) as room:
        with pytest.raises(InvalidArgument):
            await find(room, query)
        assert room.source.calls == []


async def test_search_has_no_end_and_a_depth(folder: Path) -> None:
    async with a_room(folder, a_searching("one", "a")) as room:
        with pytest.raises(InvalidArgument) as caught:
            await search(room.context(), "needle", PageRequest(last=2), SearchFilter(), 2000)
        assert caught.value.path == ("last",)
        cursor = (await find(room, first=1)).page.cursors[0]
        payload = room.gateway.cursors.open("search", 1, cursor)
        deep = room.gateway.cursors.seal("search", 1, [payload[0], 495])
        with pytest.raises(InvalidArgument):
            await find(room, first=10, after=deep)


async def test_chat_of_one_source_is_not_searched_at_another(folder: Path) -> None:
    """Both have a chat of this native id."""
    two = a_vendor("two", "a needle too", chats=[a_chat("c1"), a_chat("c2")])
    async with a_room(folder, a_vendor("one", "a needle"), two) as room:
        await shown(room)
        await load_messages(room.context(), [MessageQuery((2, "c1"), PageRequest(last=1))])
        found = await find(room, chat_ids=(chat_id(room, source="one"), chat_id(room, "c2", "two")))
        assert words(found) == ["a needle"]
        only = await find(room, chat_ids=(chat_id(room, source="two"),))
        assert words(only) == ["a needle too"]
        assert [status.source.key for status in only.statuses] == ["two"]


async def test_hits_outside_the_wanted_folders_do_not_use_up_the_page(folder: Path) -> None:
    fake = a_vendor("one", chats=[a_chat(f"c{n}", title=f"needle {n}") for n in range(8)])
    async with a_room(folder, fake) as room:
        made = await create_folder(room.context(), name="F", parent_id=None, source_id=None, idempotency_key=None)
        inside = folder_id(GATEWAY, made.value.native_id)
        for number in range(8):
            await set_chat_pinned(room.context(), chat_id=chat_id(room, f"c{number}"), pinned=True)
        await move_chat(room.context(), chat_id=chat_id(room, "c0"), folder_id=inside)
        found = await find(room, first=1, folder_ids=(inside,))
        assert words(found) == ["needle 0"]
        assert found.page.has_next is False


async def test_found_chat_has_its_overlay(folder: Path) -> None:
    async with a_room(folder, a_vendor("one", chats=[a_chat("c1", title="needle")])) as room:
        await set_chat_pinned(room.context(), chat_id=chat_id(room), pinned=True)
        (hit,) = (await find(room)).page.rows
        assert isinstance(hit.found, Chat)
        assert hit.found.pinned is True


async def test_ids_that_name_nothing_are_refused_before_any_call(folder: Path) -> None:
    async with a_room(folder, a_searching("one", "a")) as room:
        for field in ["source_ids", "chat_ids", "folder_ids"]:
            with pytest.raises(NotFound):
                await find(room, **{field: ("x",)})  # type: ignore[arg-type]
        assert room.source.calls == []


async def test_named_sources_only_are_searched(folder: Path) -> None:
    async with a_room(folder, a_searching("one", "a"), a_searching("two", "b")) as room:
        assert words(await find(room, source_ids=(source_id(2),))) == ["b"]
        assert room.source.calls == []
