"""Several writers in several processes: whatever they do, each log is a line of positions without holes, in the order of commits."""

import asyncio
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from domain.records import Event
from tests.storage.conftest import World, an_organization
from tests.tier import count

pytestmark = pytest.mark.anyio
PROCESSES = 3
UNITS = count(long=1000, least=40)

_WRITERS = """
import asyncio, json, random, sys
from datetime import UTC, datetime
from domain.records import EventKind
from storage.store import open_store

class Refused(Exception):
    pass

async def main(url, organizations, name, units):
    chance = random.Random(name)
    async with open_store(url, readers=1) as store:
        async def unit(number):
            sizes = {one: chance.randrange(0, 4) for one in chance.sample(organizations, chance.randrange(1, len(organizations) + 1))}
            fails = chance.random() < 0.2
            async def write(tx):
                for organization, size in sizes.items():
                    for place in range(size):
                        await store.events.append(
                            tx, organization, EventKind.CHAT_CREATED, 1, f"{name}/{number}", f"{place}", 1,
                            detail={"unit": f"{name}/{number}", "size": size}, at=datetime.now(UTC))
                if fails:
                    raise Refused
            try:
                await store.database.write(write)
            except Refused:
                print(json.dumps([f"{name}/{number}", None]), flush=True)
            else:
                print(json.dumps([f"{name}/{number}", sizes]), flush=True)
        async def writer(numbers):
            for number in numbers:
                await unit(number)
                await asyncio.sleep(chance.random() / 500)
        await asyncio.gather(*(writer(range(start, units, 4)) for start in range(4)))

asyncio.run(main(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
"""


def start(url: str, organizations: Sequence[int], name: str) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-c", _WRITERS, url, json.dumps(list(organizations)), name, str(UNITS // PROCESSES)]
    return subprocess.Popen(arguments, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)


def assert_whole(events: Sequence[Event]) -> None:
    """Positions without a hole, and each unit with all its lines, one behind the other."""
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    units: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        units[event.detail["unit"]].append(event)
    for lines in units.values():
        assert len(lines) == lines[0].detail["size"]
        assert all(after.seq == before.seq + 1 for before, after in pairwise(lines))
        assert [event.native_id for event in lines] == [str(place) for place in range(len(lines))]


async def test_log_is_without_holes_at_every_moment_and_in_the_order_of_commits(world: World, url: str) -> None:
    """A reader looks all the while: what it sees is always a beginning of what is there in the end."""
    other, _ = await an_organization(world.store, "globex")
    organizations = [world.organization.id, other.id]
    processes = [start(url, organizations, name) for name in ("a", "b", "c")[:PROCESSES]]
    seen: dict[int, list[Event]] = {one: [] for one in organizations}
    reading = [asyncio.create_task(asyncio.to_thread(process.communicate)) for process in processes]
    looks = 0
    while not all(task.done() for task in reading):
        for one in organizations:
            head = await world.store.events.head(one)
            events = await world.store.events.after(one, 0, 1_000_000)
            assert len(events) >= head
            assert_whole(events)
            assert events[: len(seen[one])] == seen[one]
            seen[one] = events
            looks += 1
    said = [json.loads(line) for task in reading for line in (await task)[0].splitlines()]
    assert [process.returncode for process in processes] == [0] * PROCESSES
    assert looks > 10
    for one in organizations:
        events = await world.store.events.after(one, 0, 1_000_000)
        assert_whole(events)
        assert_as_said(events, one, said)


def assert_as_said(events: Sequence[Event], organization: int, said: Sequence[Any]) -> None:
    """Every unit that was answered is there, no other one is, and each process's stand in the order in which they were answered."""
    written = [name for name, sizes in said if sizes is not None and sizes.get(str(organization))]
    logged = list(dict.fromkeys(event.detail["unit"] for event in events))
    assert sorted(logged) == sorted(written)
    for process in "abc":
        assert [name for name in logged if name.startswith(process)] == [
            name for name in written if name.startswith(process)
        ]
