"""What watching shows of a source's health: told once per change."""

from pathlib import Path
from typing import Any

import pytest

from domain.errors import UpstreamUnavailable
from domain.records import EventKind, HealthState, Source
from resolvers.live_events import Happened
from resolvers.sources import health
from resolvers.watching.feeds import Feeds
from tests.builders import a_chat
from tests.fakes import FakeSource
from tests.resolvers.rooms import a_vendor, an_ear, logged, quiet
from tests.resolvers.watching.virtual import WatchedRoom, a_watched_room

pytestmark = pytest.mark.anyio
LONGEST = 60.0
DOWN = UpstreamUnavailable("The source is down.", source_id=1, operation="read_messages")


def a_vendor_of(number: int, **traits: Any) -> FakeSource:
    return a_vendor(chats=[a_chat(f"c{n}") for n in range(number)], **traits)


async def told(watched: WatchedRoom) -> list[tuple[str, str | None]]:
    """(state, sentence) of each line about health."""
    events = await watched.room.gateway.store.events.after(watched.room.organization.id, 0, 1000)
    return [
        (event.detail["state"], event.detail["message"])
        for event in events
        if event.kind is EventKind.SOURCE_HEALTH_CHANGED
    ]


async def states(watched: WatchedRoom) -> list[str]:
    return [state for state, _ in await told(watched)]


async def record(watched: WatchedRoom) -> Source:
    return (await watched.whole()).source


async def test_source_that_answers_is_nothing_to_tell(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched, watched.subscribed():
        await watched.passes(600)
        assert await logged(watched.room) == []


async def test_source_that_fails_again_and_again_is_told_once_and_so_is_its_recovery(folder: Path) -> None:
    async with (
        a_watched_room(folder, a_vendor_of(3)) as watched,
        watched.subscribed(await watched.chats("c0", "c1", "c2")),
    ):
        await watched.passes(5)
        watched.source.fails = DOWN
        await watched.passes(600)
        assert await told(watched) == [("FAILING", "The source is down.")]
        watched.source.fails = None
        await watched.passes(2 * LONGEST)
        assert await states(watched) == ["FAILING", "FINE"]


async def test_hiccup_is_nothing_to_tell(folder: Path) -> None:
    async with (
        a_watched_room(folder, a_vendor_of(9)) as watched,
        watched.subscribed(await watched.chats(*(f"c{n}" for n in range(9)))),
    ):
        await watched.passes(5)
        watched.source.fails = DOWN
        watched.feeds.knock(1, None)
        await watched.passes(3)
        assert watched.readings["failed"] > 9
        watched.source.fails = None
        await watched.passes(600)
        assert await states(watched) == []


async def test_source_whose_quota_does_not_allow_a_reading_a_minute_is_told_with_its_interval(folder: Path) -> None:
    vendor = a_vendor_of(40, polls_per_minute=30)
    async with a_watched_room(folder, vendor) as watched:
        async with watched.subscribed([await watched.whole()]):
            await watched.passes(600)
            ((state, message),) = await told(watched)
            assert state == "SLOW"
            assert message is not None
            assert "every 82 s" in message
            assert "30 readings a minute" in message
            shown = await health(watched.room.context(), await record(watched))
            assert (shown.state, shown.message) == (HealthState.DEGRADED, message)
        await watched.passes(31)
        assert (await health(watched.room.context(), await record(watched))).state is not HealthState.DEGRADED


async def test_source_that_becomes_fast_enough_is_told(folder: Path) -> None:
    vendor = a_vendor_of(40, polls_per_minute=30)
    async with a_watched_room(folder, vendor) as watched, watched.subscribed(await watched.chats("c1")):
        async with watched.subscribed([await watched.whole()]):
            await watched.passes(300)
        await watched.passes(31 + LONGEST)
        assert await states(watched) == ["SLOW", "FINE"]


async def test_change_that_another_process_has_told_is_not_told_again(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched, watched.subscribed():
        watched.source.fails = DOWN
        await watched.passes(300)
        other = watched.room.restarted(feeds=Feeds(clock=watched.clock.watch_clock))
        async with other.feeds.interest(other.context(), await watched.chats()):
            await watched.passes(300)
            await quiet(other)
            assert await states(watched) == ["FAILING"]
            watched.source.fails = None
            await watched.passes(2 * LONGEST)
            await quiet(other)
        await other.feeds.aclose()
        assert await states(watched) == ["FAILING", "FINE"]


async def test_recovery_is_told_by_whoever_notices_it_also_after_a_restart(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched:
        async with watched.subscribed():
            watched.source.fails = DOWN
            await watched.passes(300)
        await watched.passes(31 + LONGEST)
        watched.source.fails = None
        async with watched.subscribed():
            await watched.passes(5)
            assert await states(watched) == ["FAILING", "FINE"]


async def test_subscriber_hears_of_it(folder: Path) -> None:
    async with a_watched_room(folder, a_vendor()) as watched:
        async with an_ear(watched.room) as ear:
            watched.source.fails = DOWN
            await watched.passes(300)
            event = await ear.until(Happened)
            assert isinstance(event, Happened)
            assert event.event.kind is EventKind.SOURCE_HEALTH_CHANGED
            assert event.source is not None
        await watched.passes(31)
