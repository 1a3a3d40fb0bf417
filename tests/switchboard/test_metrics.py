"""What `/metrics` tells of the feeds."""

from pathlib import Path

import pytest

from domain.errors import UpstreamUnavailable
from engine.broadcasts import Broadcasts
from resolvers.watching.feeds import Feeds
from switchboard.metrics import exposition, poll_observer
from tests.engine.log import Audiences
from tests.resolvers.conftest import Room, a_room
from tests.resolvers.rooms import a_vendor, quiet
from tests.resolvers.watching.virtual import VirtualClock, WatchedRoom

pytestmark = pytest.mark.anyio


def told(room: Room, name: str) -> dict[str, float]:
    """The samples of a metric by their labels."""
    lines = exposition(room.gateway, Broadcasts(Audiences())).decode().splitlines()
    return {
        line.removeprefix(name).rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
        for line in lines
        if line.startswith(f"{name}{{")
    }


async def test_feeds_and_their_readings_are_told_by_vendor(tmp_path: Path) -> None:
    clock = VirtualClock()
    feeds = Feeds(clock=clock.watch_clock, observe=poll_observer())
    async with a_room(tmp_path, a_vendor("measured"), a_vendor("failing"), feeds=feeds) as room:
        watched = WatchedRoom(room, clock)
        room.sources["failing"].fails = UpstreamUnavailable("Down.", source_id=2, operation="read_messages")
        targets = [*await watched.chats(source="measured"), *await watched.chats(source="failing")]
        async with feeds.interest(room.context(), targets):
            await quiet(room)
            assert told(room, "switchboard_feeds") == {'{vendor="measured"}': 1, '{vendor="failing"}': 1}
            readings = told(room, "switchboard_polls_total")
            assert readings['{outcome="ok",vendor="measured"}'] >= 1
            assert readings['{outcome="failed",vendor="failing"}'] >= 1
        await watched.passes(31)
        assert told(room, "switchboard_feeds") == {}
