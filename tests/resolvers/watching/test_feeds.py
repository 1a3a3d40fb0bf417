"""Interest: who watches what, from the first subscriber to some time after the last."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from domain.capabilities import NativeStream
from domain.errors import LimitExceeded, SourceStatusCode, UpstreamUnavailable
from domain.records import EventKind, Health, HealthState, Visibility
from resolvers.context import Tuning
from resolvers.interest import Unwatched
from resolvers.sources import disconnect_source
from resolvers.targets import SourceTarget
from tests.builders import a_chat, a_principal
from tests.fakes import FakeSource
from tests.resolvers.rooms import a_vendor, logged, quiet, source_id
from tests.resolvers.watching.virtual import WatchedRoom, a_watched_room
from tests.tier import count

pytestmark = pytest.mark.anyio
LINGER, LONGEST = 30, 60


def chats(number: int) -> list[str]:
    return [f"c{place}" for place in range(number)]


def a_vendor_of(number: int, **traits: Any) -> FakeSource:
    return a_vendor(chats=[a_chat(name) for name in chats(number)], **traits)


async def test_first_subscriber_starts_a_feed_and_it_lingers_after_the_last(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched:
        assert watched.calls() == 0
        async with watched.subscribed():
            await quiet(watched.room)
            assert watched.calls() == 1
            assert watched.feeds.counts() == {"vendor": 1}
        await watched.passes(LINGER - 1)
        assert watched.calls() > 0
        await watched.passes(1 + LONGEST)
        watched.calls()
        await watched.passes(10 * LONGEST)
        assert watched.calls() == 0
        assert (watched.feeds.counts(), watched.clock.timers) == ({}, 0)


async def test_new_subscriber_within_the_linger_keeps_the_feed(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched:
        async with watched.subscribed():
            await watched.passes(1)
        await watched.passes(LINGER - 1)
        async with watched.subscribed():
            await watched.passes(LINGER * 4)
            assert watched.calls() > 0
            assert watched.feeds.counts() == {"vendor": 1}


async def test_calls_follow_the_chats_and_not_the_subscribers(folder: Path) -> None:
    number = count(long=1000, least=20)
    async with a_watched_room(folder, a_vendor_of(10)) as watched:
        targets = await watched.chats(*chats(10))
        async with AsyncExitStack() as stack:
            for place in range(number):
                await stack.enter_async_context(watched.subscribed([targets[place % 10]]))
            await watched.passes(120)
            many = watched.calls()
            assert watched.feeds.counts() == {"vendor": 10}
    (folder / "few").mkdir()
    async with (
        a_watched_room(folder / "few", a_vendor_of(10)) as watched,
        watched.subscribed(await watched.chats(*chats(10))),
    ):
        await watched.passes(120)
        assert many == watched.calls()


async def test_a_thousand_subscribers_that_come_and_go_leave_nothing(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor_of(3, stream=NativeStream.CHAT)) as watched:
        before = len(asyncio.all_tasks())
        targets = [*await watched.chats(*chats(3)), await watched.whole()]
        for place in range(count(long=1000, least=30)):
            async with watched.subscribed([targets[place % 4]]):
                if place % 10 == 0:
                    await watched.passes(1)
            if place % 7 == 0:
                await watched.passes(LINGER + 1)
        await watched.passes(LINGER + 1)
        await quiet(watched.room)
        assert watched.feeds.counts() == {}
        assert watched.clock.timers == 0
        assert len(asyncio.all_tasks()) == before


async def test_store_of_the_gateway_and_what_cannot_be_read_need_no_feed(folder: Path) -> None:
    own = a_vendor("own", reads_from_store=True)
    async with a_watched_room(folder, own) as watched, watched.subscribed():
        await watched.passes(LONGEST)
        assert watched.source.calls == []
        assert watched.feeds.counts() == {}


async def test_more_chats_than_are_watched_at_a_time_are_refused_and_nothing_is_left_of_them(folder: Path) -> None:
    async with (
        a_watched_room(folder, a_vendor_of(9), feeds_per_source=5) as watched,
        watched.subscribed(await watched.chats(*chats(4))),
    ):
        with pytest.raises(LimitExceeded) as caught:
            async with watched.subscribed(await watched.chats(*chats(6))):
                raise AssertionError("it was to be refused")
        assert (caught.value.limit, caught.value.figure) == (5, 6)
        assert watched.feeds.counts() == {"vendor": 4}
        async with watched.subscribed(await watched.chats(*chats(5))):
            assert watched.feeds.counts() == {"vendor": 5}


async def test_more_chats_of_all_sources_than_are_watched_at_a_time_are_refused(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor("one"), a_vendor("two"), feeds=1) as watched:
        targets = [*await watched.chats("c1", source="one"), *await watched.chats("c1", source="two")]
        with pytest.raises(LimitExceeded) as caught:
            async with watched.subscribed(targets):
                raise AssertionError("it was to be refused")
        assert "of this gateway" in caught.value.message
        await watched.passes(LINGER)
        assert watched.feeds.counts() == {}


async def test_what_only_lingers_makes_room_for_who_subscribes(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor_of(9), feeds_per_source=5) as watched:
        async with watched.subscribed(await watched.chats(*chats(4))):
            pass
        async with watched.subscribed(await watched.chats(*chats(9)[4:])):
            assert watched.feeds.counts() == {"vendor": 5}
        await watched.passes(LINGER)
        assert watched.clock.timers == 0


async def test_chat_that_is_not_there_is_asked_for_and_then_left_alone(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched:
        nowhere = await watched.chats("nowhere")
        async with watched.subscribed(nowhere):
            await watched.passes(1)
            assert 1 <= len(watched.source.calls) <= 2
            watched.calls()
            await watched.passes(10 * LONGEST)
            assert watched.source.calls == []
            async with watched.subscribed(nowhere):
                assert await watched.feeds.read_once(watched.room.context(), nowhere) == []
        assert await logged(watched.room) == []


async def test_private_source_is_watched_for_its_owner(folder: Path) -> None:
    mine = a_vendor(record={"visibility": Visibility.OWNER, "owner": "key:1"})
    async with a_watched_room(folder, mine) as watched, watched.subscribed():
        await watched.passes(1)
        new = watched.source.says_by_itself("c1", "For your eyes only")
        await watched.passes(LONGEST)
        assert await logged(watched.room) == [("MESSAGE_CREATED", new.native_id)]


async def test_disconnected_source_ends_its_feeds_at_once(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor("one"), a_vendor("two")) as watched:
        both = [*await watched.chats("c1", source="one"), await watched.whole("one"), await watched.whole("two")]
        async with watched.subscribed(both):
            await watched.passes(5)
            await disconnect_source(watched.room.context(), source_id=source_id(1), keep_mirror=False)
            await watched.passes(1)
            assert watched.feeds.counts() == {"two": 1}
            watched.calls()
            await watched.passes(10 * LONGEST)
            assert watched.source.calls == []
        assert watched.readings["disconnected"] == 1


async def test_source_that_is_connected_later_is_watched_for_who_subscribed_to_everything(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor("one"), a_vendor("two", record={"owner": "key:1"})) as watched:
        room, whole = watched.room, await watched.whole("one")
        async with (
            watched.feeds.interest(room.context(), [whole], is_everything=True),
            watched.feeds.interest(room.context(), [whole]),
        ):
            await quiet(room)
            assert watched.feeds.counts() == {"one": 1}
            for _ in range(2):
                await room.gateway.sources.changed(room.organization.id, 2)
                await asyncio.gather(*watched.feeds._ending)
            assert watched.feeds.counts() == {"one": 1, "two": 1}
        await watched.passes(31)
        assert watched.feeds.counts() == {}


async def test_private_source_that_is_connected_later_is_not_watched_for_others(folder: Path) -> None:
    private = a_vendor("two", record={"visibility": Visibility.OWNER, "owner": "key:1"})
    async with a_watched_room(folder, a_vendor("one"), private) as watched:
        room, whole = watched.room, await watched.whole("one")
        other = room.context(principal=a_principal(key="key:2"))
        async with watched.feeds.interest(other, [whole], is_everything=True):
            await room.gateway.sources.changed(room.organization.id, 2)
            (looking,) = watched.feeds._ending
            await looking
            assert watched.feeds.counts() == {"one": 1}


async def test_end_of_the_process_ends_readings_under_way(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched:
        watched.source.hold = asyncio.Event()
        async with watched.feeds.interest(watched.room.context(), await watched.chats()):
            await watched.source.until_asked("read_messages")
            await watched.feeds.aclose()
        assert watched.feeds.counts() == {}
        assert not watched.feeds.is_reading


# Catching up


async def caught_up(watched: WatchedRoom, *targets: SourceTarget) -> list[SourceStatusCode]:
    found = await watched.feeds.read_once(watched.room.context(), targets or await watched.chats())
    return [status.code for status in found]


async def test_reading_that_began_before_does_not_count(folder: Path) -> None:
    """What was written after it began would be missing behind `CaughtUp`."""
    async with a_watched_room(folder, a_vendor()) as watched, watched.subscribed():
        await quiet(watched.room)
        watched.calls()
        watched.source.hold = asyncio.Event()
        watched.feeds.knock(1, "c1")
        await watched.passes_only(1)
        before = watched.calls()
        new = watched.source.says_by_itself("c1", "Meanwhile")
        waiting = asyncio.ensure_future(caught_up(watched))
        await asyncio.sleep(0)
        watched.source.hold.set()
        assert await waiting == []
        assert (before, watched.calls()) == (1, 1)
        assert await logged(watched.room) == [("MESSAGE_CREATED", new.native_id)]


async def test_all_who_ask_at_the_same_time_share_a_reading(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched, watched.subscribed():
        await quiet(watched.room)
        watched.calls()
        assert await asyncio.gather(*(caught_up(watched) for _ in range(50))) == [[]] * 50
        assert watched.calls() <= 2


async def test_catching_up_waits_neither_for_its_turn_nor_for_the_budget(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor_of(20), polls_per_minute=6) as watched:
        targets = await watched.chats(*chats(20))
        async with watched.subscribed(targets):
            assert await caught_up(watched, *targets) == []


async def test_source_that_fails_is_named_with_its_error_and_the_feed_goes_on(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor("good"), a_vendor("down")) as watched:
        targets = [await watched.whole("good"), await watched.whole("down")]
        watched.room.sources["down"].fails = UpstreamUnavailable("Down.", source_id=2, operation="list_chats")
        async with watched.subscribed(targets):
            assert await caught_up(watched, *targets) == [SourceStatusCode.UPSTREAM_UNAVAILABLE]
            watched.room.sources["down"].fails = None
            assert await caught_up(watched, *targets) == []


async def test_source_that_is_late_is_named_and_its_reading_goes_on(folder: Path) -> None:
    within = Tuning(caught_up_seconds=0.01)
    async with a_watched_room(folder, a_vendor(), within=within) as watched, watched.subscribed():
        watched.source.hold = asyncio.Event()
        assert await caught_up(watched) == [SourceStatusCode.TIMEOUT]
        watched.source.hold.set()
        await quiet(watched.room)
        assert watched.readings["ok"] >= 1


async def test_client_that_leaves_while_it_waits_takes_nothing_from_others(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched, watched.subscribed():
        await quiet(watched.room)
        watched.source.hold = asyncio.Event()
        stays, leaves = (asyncio.ensure_future(caught_up(watched)) for _ in range(2))
        await watched.source.until_asked("read_messages")
        leaves.cancel()
        watched.source.hold.set()
        assert await stays == []


# What nobody watches


async def test_nothing_is_watched_where_there_are_no_feeds() -> None:
    nobody = Unwatched()
    health = Health(state=HealthState.HEALTHY)
    assert (nobody.knock(1, None), nobody.counts(), nobody.health_of(1, health)) == (False, {}, health)
    await nobody.aclose()


async def test_knock_at_what_nobody_subscribes_to_is_no_call(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched:
        await watched.chats()
        assert not watched.feeds.knock(1, "c1")
        assert not watched.feeds.knock(1, None)
        await watched.passes(LONGEST)
        assert watched.source.calls == []
        assert await logged(watched.room, EventKind.MESSAGE_CREATED) == []
