"""Watching a source as a whole: its list, and the chats that the list speaks of, or hides."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.capabilities import Capability, ChatOrder, ChatOrderField, native, unsupported
from domain.errors import SourceStatusCode, UpstreamUnavailable
from domain.records import EventKind, Folder
from resolvers.context import Tuning, utc_now
from tests.builders import T0, a_chat, at
from tests.fakes import FakeSource
from tests.pagers import PagingSource
from tests.resolvers.rooms import REPLIES, a_vendor, logged, quiet, shown
from tests.resolvers.watching.virtual import WatchedRoom, a_watched_room

pytestmark = pytest.mark.anyio
LONGEST = 60.0
TELLING: dict[str, Any] = {"rows_tell_messages": True, "clock_tick": timedelta(seconds=1)}
NEWEST_CREATED = ChatOrder(ChatOrderField.CREATED_AT, descending=True)


def a_vendor_of(number: int, **traits: Any) -> FakeSource:
    """So many chats, c0 the one that changed last."""
    chats = [a_chat(f"c{n}", title=f"c{n}", created_at=at(-n), updated_at=at(-n)) for n in range(number)]
    return a_vendor(chats=chats, **traits)


def somebody_writes(watched: WatchedRoom, chat_id: str, *, second: float, text: str = "New") -> str:
    """A message comes by itself, and its chat's row tells it."""
    source = watched.source
    source.chats = [
        replace(chat, updated_at=T0 + timedelta(seconds=second)) if chat.native_id == chat_id else chat
        for chat in source.chats
    ]
    return source.says_by_itself(chat_id, text).native_id


async def created(watched: WatchedRoom) -> list[str]:
    return [native_id for _, native_id in await logged(watched.room, EventKind.MESSAGE_CREATED)]


def reads(watched: WatchedRoom) -> tuple[int, int]:
    """How many pages of the list and how many chats were read since the last look."""
    calls = watched.source.calls
    found = (calls.count("list_chats") + calls.count("drain_chats"), calls.count("read_messages"))
    calls.clear()
    return found


# A list whose rows tell of messages


async def test_message_in_any_chat_is_noticed_by_its_row_and_only_that_chat_is_read(folder: Path) -> None:
    async with (
        a_watched_room(folder, a_vendor_of(20, **TELLING)) as watched,
        watched.subscribed([await watched.whole()]),
    ):
        await watched.passes(600)
        reads(watched)
        new = somebody_writes(watched, "c7", second=5)
        while not await created(watched):
            await watched.passes(1)
        assert await created(watched) == [new]
        pages, chats = reads(watched)
        assert (pages, chats) == (1, 1)


async def test_quiet_source_costs_one_page_each_time_and_writes_nothing(folder: Path) -> None:
    vendor = a_vendor_of(20, **TELLING)
    async with (
        a_watched_room(folder, vendor, full_pass_seconds=10_000) as watched,
        watched.subscribed([await watched.whole()]),
    ):
        await watched.passes(600)
        reads(watched)
        writer = watched.room.gateway.store.database._connection._conn
        before = writer.statements  # type: ignore[attr-defined]
        await watched.passes(10 * LONGEST)
        assert reads(watched) == (10, 0)
        assert writer.statements == before  # type: ignore[attr-defined]


async def test_every_chat_is_read_once_so_that_what_comes_later_is_news(folder: Path) -> None:
    vendor = a_vendor_of(8, **TELLING)
    vendor.says_by_itself("c5", "History")
    async with a_watched_room(folder, vendor) as watched, watched.subscribed([await watched.whole()]):
        await watched.passes(60)
        assert reads(watched)[1] == 8
        assert await logged(watched.room) == []
        new = somebody_writes(watched, "c5", second=9)
        await watched.passes(LONGEST)
        assert await created(watched) == [new]


async def test_of_very_many_chats_only_the_newest_are_read_ahead(folder: Path) -> None:
    vendor = a_vendor_of(12, **TELLING)
    async with (
        a_watched_room(folder, vendor, chats_per_source=4) as watched,
        watched.subscribed([await watched.whole()]),
    ):
        await watched.passes(120)
        assert reads(watched)[1] == 4


async def test_new_chat_is_news_with_all_its_messages(folder: Path) -> None:
    async with (
        a_watched_room(folder, a_vendor_of(5, **TELLING)) as watched,
        watched.subscribed([await watched.whole()]),
    ):
        await watched.passes(60)
        watched.source.chats.append(
            a_chat("late", organization_id=watched.room.organization.id, source_id=1, updated_at=at(50))
        )
        texts = [watched.source.says_by_itself("late", f"Message {n}").native_id for n in range(3)]
        await watched.passes(LONGEST)
        assert await logged(watched.room) == [
            ("CHAT_CREATED", "late"),
            *(("MESSAGE_CREATED", native_id) for native_id in texts),
        ]


async def test_second_message_within_a_tick_of_the_clock_is_not_taken_for_nothing(folder: Path) -> None:
    """The vendor's times are whole seconds: its row looks the same after the second message."""
    async with (
        a_watched_room(folder, a_vendor_of(5, **TELLING)) as watched,
        watched.subscribed([await watched.whole()]),
    ):
        await watched.passes(600)
        second = (utc_now() - T0).total_seconds() // 1
        first = somebody_writes(watched, "c3", second=second)
        while not await created(watched):
            await watched.passes(0.5)
        other = somebody_writes(watched, "c3", second=second)
        await watched.passes(3)
        assert await created(watched) == [first, other]
        reads(watched)
        await watched.passes(10)
        assert reads(watched)[1] == 0


async def test_walk_through_the_list_that_breaks_off_hides_nothing(folder: Path) -> None:
    async with (
        a_watched_room(folder, a_vendor_of(9, **TELLING)) as watched,
        watched.subscribed([await watched.whole()]),
    ):
        await watched.passes(600)
        news = [somebody_writes(watched, f"c{n}", second=10 + n) for n in range(6)]
        pages = iter(range(100))
        list_chats = watched.source.list_chats

        async def second_page_fails(order: ChatOrder, token: str | None) -> Any:
            if token is not None and next(pages) == 0:
                raise UpstreamUnavailable("Down.", source_id=1, operation="list_chats")
            return await list_chats(order, token)

        watched.source.list_chats = second_page_fails  # type: ignore[method-assign]
        await watched.passes(2 * LONGEST)
        assert next(pages) > 1, "it did break off"
        assert sorted(await created(watched)) == sorted(news)


async def test_renamed_chat_is_noticed_although_its_time_did_not_move(folder: Path) -> None:
    vendor = a_vendor_of(4, **TELLING, also={**REPLIES, Capability.RENAME_CHAT: native()})
    async with a_watched_room(folder, vendor) as watched, watched.subscribed([await watched.whole()]):
        await watched.passes(60)
        await watched.source.rename_chat("c0", "Renamed")
        await watched.passes(LONGEST)
        assert await logged(watched.room) == [("CHAT_UPDATED", "c0")]


async def test_what_no_row_tells_is_found_by_the_slow_full_pass(folder: Path) -> None:
    vendor = a_vendor_of(4, **TELLING, also={**REPLIES, Capability.TAG_CHAT: native()})
    async with (
        a_watched_room(folder, vendor, full_pass_seconds=900) as watched,
        watched.subscribed([await watched.whole()]),
    ):
        await watched.passes(1000)
        await watched.source.set_tags("c3", ["blue"])
        await watched.passes(60)
        assert await logged(watched.room) == []
        await watched.passes(1000)
        assert await logged(watched.room) == [("CHAT_UPDATED", "c3")]


async def test_absent_chat_is_deleted_only_when_its_source_says_so_twice(folder: Path) -> None:
    async with (
        a_watched_room(folder, a_vendor_of(4, **TELLING), full_pass_seconds=900) as watched,
        watched.subscribed([await watched.whole()]),
    ):
        await watched.passes(60)
        hidden, kept = watched.source.chats[3], watched.source.chats[:2]
        watched.source.chats = kept
        get_chat, asked = watched.source.get_chat, []

        async def still_there(chat_id: str) -> Any:
            asked.append(chat_id)
            return hidden if chat_id == "c3" else await get_chat(chat_id)

        watched.source.get_chat = still_there  # type: ignore[method-assign]
        await watched.passes(1000)
        assert await logged(watched.room) == [("CHAT_DELETED", "c2")]
        assert asked.count("c2") >= 2


async def test_chat_that_somebody_named_too_is_not_read_twice(folder: Path) -> None:
    async with (
        a_watched_room(folder, a_vendor_of(4, **TELLING)) as watched,
        watched.subscribed([await watched.whole(), *await watched.chats("c1", "c2")]),
    ):
        await watched.passes(600)
        reads(watched)
        new = somebody_writes(watched, "c1", second=9)
        while not await created(watched):
            await watched.passes(1)
        assert await created(watched) == [new]
        _, chats = reads(watched)
        assert chats <= 2
        await watched.passes(LONGEST)
        assert reads(watched)[1] <= 3, "the two that were named, now and then, for what rows do not tell"


async def test_after_the_last_subscriber_nothing_of_the_source_is_read(folder: Path) -> None:
    for rows_tell in (True, False):
        (folder / str(rows_tell)).mkdir()
        vendor = a_vendor_of(6, rows_tell_messages=rows_tell)
        async with a_watched_room(folder / str(rows_tell), vendor) as watched:
            async with watched.subscribed([await watched.whole()]):
                await watched.passes(100)
            await watched.passes(30)
            reads(watched)
            await watched.passes(10 * LONGEST)
            assert watched.source.calls == []
            assert watched.clock.timers == 0


async def test_chat_that_is_still_subscribed_to_is_read_on_when_its_source_is_not(folder: Path) -> None:
    vendor = a_vendor_of(3, rows_tell_messages=True)
    async with a_watched_room(folder, vendor) as watched, watched.subscribed(await watched.chats("c1")):
        async with watched.subscribed([await watched.whole()]):
            await watched.passes(100)
        await watched.passes(100)
        new = somebody_writes(watched, "c1", second=9)
        somebody_writes(watched, "c2", second=9)
        await watched.passes(2 * LONGEST)
        assert await created(watched) == [new]


async def test_restart_reads_only_the_chats_that_changed_meanwhile(folder: Path) -> None:
    vendor = a_vendor_of(9, **TELLING)
    async with a_watched_room(folder, vendor) as watched:
        async with watched.subscribed([await watched.whole()]):
            await watched.passes(120)
        await watched.passes(31)
        new = somebody_writes(watched, "c4", second=9)
        reads(watched)
        async with watched.subscribed([await watched.whole()]):
            await watched.passes(20)
            assert reads(watched)[1] == 1
            assert await created(watched) == [new]


# A list whose rows do not tell


async def test_chats_are_read_in_turns_and_those_with_something_new_more_often(folder: Path) -> None:
    async with (
        a_watched_room(folder, a_vendor_of(5)) as watched,
        watched.subscribed([await watched.whole()]),
    ):
        await watched.passes(600)
        new = watched.source.says_by_itself("c3", "New").native_id
        await watched.passes(LONGEST)
        assert await created(watched) == [new]
        watched.source.says_by_itself("c3", "Newer")
        asked = _chats_asked(watched)
        await watched.passes(LONGEST)
        assert asked.count("c3") > 2 * asked.count("c1")


def _chats_asked(watched: WatchedRoom) -> list[str]:
    asked: list[str] = []
    read_messages = watched.source.read_messages

    async def noting(chat_id: str, window: Any) -> Any:
        asked.append(chat_id)
        return await read_messages(chat_id, window)

    watched.source.read_messages = noting  # type: ignore[method-assign]
    return asked


@pytest.mark.parametrize("orders", [(NEWEST_CREATED,), ()], ids=["by-creation", "in-no-order"])
async def test_new_chat_is_found_in_every_kind_of_list(folder: Path, orders: Sequence[ChatOrder]) -> None:
    vendor = a_vendor_of(7)
    vendor.capabilities = replace(vendor.capabilities, native_orders=tuple(orders))
    async with a_watched_room(folder, vendor) as watched, watched.subscribed([await watched.whole()]):
        await watched.passes(60)
        ids = {"organization_id": watched.room.organization.id, "source_id": 1}
        watched.source.chats.append(a_chat("late", created_at=at(50), updated_at=at(50), **ids))
        new = watched.source.says_by_itself("late", "First words").native_id
        await watched.passes(LONGEST)
        assert await logged(watched.room) == [("CHAT_CREATED", "late"), ("MESSAGE_CREATED", new)]


async def test_whole_list_is_found_read_by_who_lists_chats_in_another_order(folder: Path) -> None:
    vendor = a_vendor_of(7)
    vendor.capabilities = replace(vendor.capabilities, native_orders=())
    async with a_watched_room(folder, vendor) as watched, watched.subscribed([await watched.whole()]):
        await watched.passes(1)
        assert watched.room.gateway.drains.fresh(1, frozenset(), utc_now() - timedelta(seconds=30)) is not None


async def test_chats_of_a_source_without_a_list_are_those_that_are_known(folder: Path) -> None:
    vendor = a_vendor_of(3, also={**REPLIES, Capability.LIST_CHATS: unsupported()})
    async with a_watched_room(folder, vendor) as watched:
        await watched.chats()
        await shown(watched.room, "c1")
        watched.calls()
        async with watched.subscribed([await watched.whole()]):
            await watched.passes(60)
            new = watched.source.says_by_itself("c1", "New").native_id
            await watched.passes(LONGEST)
            assert await created(watched) == [new]
            assert reads(watched)[0] == 0


async def test_folders_of_the_vendor_are_looked_at_now_and_then(folder: Path) -> None:
    async with (
        a_watched_room(folder, a_vendor_of(2, has_folders=True, **TELLING)) as watched,
        watched.subscribed([await watched.whole()]),
    ):
        await watched.passes(60)
        watched.source.folders.append(
            Folder(organization_id=watched.room.organization.id, source_id=1, native_id="f", name="New")
        )
        await watched.passes(2 * LONGEST)
        assert await logged(watched.room) == [("FOLDER_CHANGED", "f")]


# Catching up with a whole source


async def caught_up(watched: WatchedRoom) -> list[SourceStatusCode]:
    found = await watched.feeds.read_once(watched.room.context(), [await watched.whole()])
    return [status.code for status in found]


@pytest.mark.parametrize("rows_tell", [True, False])
async def test_catching_up_finds_what_is_new_in_any_chat(folder: Path, rows_tell: bool) -> None:
    vendor = a_vendor_of(9, rows_tell_messages=rows_tell)
    async with a_watched_room(folder, vendor) as watched:
        async with watched.subscribed([await watched.whole()]):
            await watched.passes(60)
        await watched.passes(31)
        news = [somebody_writes(watched, f"c{n}", second=9) for n in (2, 8)]
        assert await caught_up(watched) == []
        assert sorted(await created(watched)) == sorted(news)


async def test_catching_up_waits_for_the_messages_of_a_chat_that_is_new(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor_of(3, **TELLING)) as watched:
        assert await caught_up(watched) == []
        await watched.passes(40)
        ids = {"organization_id": watched.room.organization.id, "source_id": 1}
        watched.source.chats.append(a_chat("late", updated_at=at(50), **ids))
        new = watched.source.says_by_itself("late", "First words").native_id
        assert await caught_up(watched) == []
        assert await created(watched) == [new]


@pytest.mark.parametrize("rows_tell", [True, False])
async def test_behind_caught_up_a_message_in_any_chat_is_news(folder: Path, rows_tell: bool) -> None:
    """Nobody has ever read these chats: what a first reading shows would be history."""
    vendor = a_vendor_of(9, rows_tell_messages=rows_tell)
    async with a_watched_room(folder, vendor) as watched, watched.subscribed([await watched.whole()]):
        assert await caught_up(watched) == []
        new = somebody_writes(watched, "c8", second=9)
        await watched.passes(LONGEST)
        assert await created(watched) == [new]


async def test_more_chats_than_are_read_in_turns_are_left_out(folder: Path) -> None:
    async with (
        a_watched_room(folder, a_vendor_of(9), chats_per_source=4) as watched,
        watched.subscribed([await watched.whole()]),
    ):
        asked = _chats_asked(watched)
        await watched.passes(120)
        assert len(set(asked)) == 4


async def test_source_whose_chats_cannot_all_be_read_in_time_is_incomplete(folder: Path) -> None:
    vendor = a_vendor_of(30)
    within = Tuning(caught_up_seconds=0.2)
    async with a_watched_room(folder, vendor, polls_per_minute=6, within=within) as watched:
        assert await caught_up(watched) == [SourceStatusCode.TIMEOUT]


async def test_source_of_which_one_chat_fails_is_incomplete(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor_of(4)) as watched, watched.subscribed([await watched.whole()]):
        await watched.passes(60)
        read_messages = watched.source.read_messages

        async def one_fails(chat_id: str, window: Any) -> Any:
            if chat_id == "c2":
                raise UpstreamUnavailable("Down.", source_id=1, operation="read_messages")
            return await read_messages(chat_id, window)

        watched.source.read_messages = one_fails  # type: ignore[method-assign]
        assert await caught_up(watched) == [SourceStatusCode.UPSTREAM_UNAVAILABLE]


# The budget


async def test_many_chats_stretch_their_intervals_and_stay_inside_the_budget(folder: Path) -> None:
    vendor = a_vendor_of(100, polls_per_minute=30)
    vendor.page_size = 60
    async with a_watched_room(folder, vendor) as watched, watched.subscribed([await watched.whole()]):
        await watched.passes(60)
        reads(watched)
        asked = _chats_asked(watched)
        await watched.passes(600)
        pages, _ = reads(watched)
        assert pages + len(asked) <= 30 * 10 + 5, "five seconds' worth may have been saved up"
        assert len(asked) > 200
        assert all(asked.count(f"c{n}") >= 1 for n in range(100)), "everybody has a turn"


async def test_what_was_knocked_for_does_not_keep_the_others_from_their_turn(folder: Path) -> None:
    vendor = a_vendor_of(10, polls_per_minute=12)
    async with a_watched_room(folder, vendor) as watched, watched.subscribed([await watched.whole()]):
        await watched.passes(120)
        asked = _chats_asked(watched)
        for _ in range(600):
            watched.feeds.knock(1, "c0")
            await watched.passes(1)
        assert all(asked.count(f"c{n}") >= 2 for n in range(10))


async def test_sources_with_the_same_credential_share_a_budget(folder: Path) -> None:
    one, two = (a_vendor(key, chats=[a_chat(f"c{n}") for n in range(20)], polls_per_minute=30) for key in ("a", "b"))
    async with a_watched_room(folder, one, two) as watched:
        for key in ("a", "b"):
            source = (await watched.whole(key)).source
            watched.room.gateway.sources._signs_in_as[source.id] = "the same"
        async with watched.subscribed([await watched.whole("a"), await watched.whole("b")]):
            await watched.passes(60)
            for fake in (one, two):
                fake.calls.clear()
            await watched.passes(600)
            assert len(one.calls) + len(two.calls) <= 300
            assert min(len(one.calls), len(two.calls)) > 100


async def test_pages_that_a_reading_needs_beyond_the_first_count_too(folder: Path) -> None:
    vendor = a_vendor("vendor", "One", kind=PagingSource, max_page=5, polls_per_minute=30)
    async with a_watched_room(folder, vendor) as watched, watched.subscribed():
        for number in range(600):
            watched.source.says_by_itself("c1", str(number))
            if number % 30 == 0:
                await watched.passes(30)
        assert watched.calls() <= 30 * 10 + 10


async def test_two_watches_of_a_source_that_come_at_once_are_one(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor_of(2)) as watched:
        whole = await watched.whole()

        async def subscribe() -> None:
            async with watched.feeds.interest(watched.room.context(), [whole]):
                await asyncio.sleep(0)
                assert watched.feeds.counts() == {"vendor": 1}

        await asyncio.gather(*(subscribe() for _ in range(20)))
        await quiet(watched.room)
