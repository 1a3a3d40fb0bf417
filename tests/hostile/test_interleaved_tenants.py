"""Two organizations with equal native ids, equal keys of their sources and different credentials, and thousands of operations at once: nothing crosses.

Every answer, event and header is judged as it comes; the vendors' books, the connections, the store's file and what was printed are looked at
afterwards. `TEST_SEED` chooses other operations.
"""

import asyncio
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

import httpx
import pytest

from domain.ids import parse_id
from tests.hostile.interleaved import aftermath, faults, reading, trespassing, writing
from tests.hostile.interleaved.course import Course, Operation, put_on_shelves, run
from tests.hostile.interleaved.houses import CANARY, WORDS
from tests.hostile.interleaved.listed import Place, held, kept, whole_list
from tests.hostile.interleaved.listening import Heard, everybody_has_heard, everybody_listens, what_was_missed
from tests.hostile.interleaved.world import EVERY, MINE, ORGANIZATIONS, Actor, World, a_world
from tests.tier import count

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("TEST_SEED", "31"))
COUNT = count(long=10_000)
"""Operations of GraphQL."""
AT_ONCE = 8

OPERATIONS: Mapping[Operation, int] = {
    reading.opens_a_chat: 10,
    reading.opens_equal_chats_at_once: 1,
    reading.looks_at_nodes: 4,
    reading.lists_chats: 5,
    reading.searches: 4,
    reading.lists_folders: 2,
    reading.looks_into_a_folder: 3,
    reading.lists_sources: 3,
    reading.asks_for_agents: 1,
    writing.creates_a_chat: 3,
    writing.creates_a_folder: 2,
    writing.removes_a_folder: 1,
    writing.sends: 6,
    writing.renames: 4,
    writing.tags: 3,
    writing.pins: 4,
    writing.archives: 2,
    writing.moves: 4,
    writing.marks_read: 3,
    writing.edits: 2,
    writing.deletes: 2,
    trespassing.reads_anothers: 16,
    trespassing.reads_many_of_anothers: 8,
    trespassing.filters_by_anothers: 5,
    trespassing.looks_into_anothers_folder: 1,
    trespassing.searches_for_anothers_words: 3,
    trespassing.continues_anothers_list: 3,
    trespassing.listens_to_anothers: 2,
    trespassing.writes_to_anothers: 24,
    faults.breaks_a_vendor: 1,
    faults.tries_wrong_credentials: 1,
}
"""Each, and how often it comes among a hundred and a few."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_world(tmp_path_factory.mktemp("interleaved")) as world:
        yield world


@dataclass
class Happened:
    """What came of it all. `before`: the chats that each organization was shown at first; `after`, at last."""

    course: Course
    heard: dict[str, list[Heard]]
    before: dict[str, set[Place]]
    after: dict[str, set[Place]]


@pytest.fixture(scope="module")
def happened(world: World) -> Happened:
    course = Course(SEED)
    return run(everything_happens(world, course), course)


async def everything_happens(world: World, course: Course) -> Happened:
    async with world.peopled():
        await put_on_shelves(world)
        before = await listed_by_ann(world)
        heard = await everybody_listens(world)
        await course.run(world, a_plan(world), at_once=AT_ONCE)
        await replies_end(world)
        await everybody_has_heard(world, heard)
        for house in world.houses.values():
            house.control.faults.clear()
        return Happened(course, heard, before, await listed_by_ann(world))


def a_plan(world: World) -> Iterator[tuple[Actor, Operation]]:
    """Everybody does everything once, in any order, and goes on as it comes."""
    chance = Random(SEED)
    once = [(actor, operation) for actor in world.actors for operation in OPERATIONS]
    yield from chance.sample(once, len(once))
    while world.asked < COUNT:
        yield chance.choice(world.actors), chance.choices(list(OPERATIONS), list(OPERATIONS.values()))[0]


async def listed_by_ann(world: World) -> dict[str, set[Place]]:
    """She sees all of an organization, and what is her own."""
    lists = [await whole_list(world, world.actor(f"ann@{organization}")) for organization in ORGANIZATIONS]
    return {name: {place for place, _ in shown.values()} for name, shown in zip(ORGANIZATIONS, lists, strict=True)}


async def replies_end(world: World) -> None:
    """No reply is being written any more."""
    ends = time.monotonic() + 300
    while "switchboard_replies_followed 0.0" not in await metrics(world):
        assert time.monotonic() < ends
        await asyncio.sleep(0.05)  # another process works; there is nothing to wait on


async def metrics(world: World) -> str:
    async with httpx.AsyncClient(timeout=300, verify=False) as http:
        return (await http.get(f"{world.gateway.origin}/metrics")).text


# What was done: without this the rest would prove little


def test_both_have_the_same_native_ids(happened: Happened) -> None:
    acme, beta = ({place for place in happened.before[name] if place[0] != "local"} for name in ORGANIZATIONS)
    assert acme == beta
    assert {key for key, _ in acme} == {*EVERY, MINE}


def test_each_kind_of_operation_succeeded_in_both(world: World, happened: Happened) -> None:
    course = happened.course
    assert world.asked >= COUNT
    kinds = {(organization, operation.__name__) for organization in ORGANIZATIONS for operation in OPERATIONS}
    assert kinds - set(course.done) == set()
    assert course.refused.total() < course.done.total() / 5, course.codes


def test_everybody_was_told_their_own(world: World, happened: Happened) -> None:
    """The words that are looked for stand in what is theirs."""
    for actor in world.actors:
        for audience in actor.audiences:
            assert world.judge.seen[actor.name, WORDS[audience]] > 5, (actor.name, audience)
        assert world.judge.judged[actor.name] > COUNT / 10


def test_events_came_to_everybody_whom_they_concern(world: World, happened: Happened) -> None:
    kinds = {"MessageCreated", "MessageUpdated", "ChatCreated", "ChatUpdated", "ChatDeleted", "FolderChanged"}
    for actor in world.actors:
        everything, *messages_alone = happened.heard[actor.name]
        assert set(everything.kinds) >= kinds, actor.name
        for heard in (everything, *messages_alone):
            assert len(heard.texts) > 2
            assert what_was_missed(world, actor, heard) == set(), actor.name


# Every answer and event was judged when it came. What is left behind:


def test_vendors_were_called_with_the_credentials_of_their_source_alone(world: World, happened: Happened) -> None:
    for house in world.houses.values():
        assert aftermath.wrong_credentials(house) == [], house


def test_nothing_that_was_written_went_to_anothers_vendor(world: World, happened: Happened) -> None:
    for house in world.houses.values():
        assert aftermath.foreign_words_sent(house) == [], house


def test_no_connection_served_two_sources(world: World, happened: Happened) -> None:
    assert aftermath.shared_connections(world) == {}


def test_every_row_holds_words_of_its_own_organization_alone(world: World, happened: Happened) -> None:
    wrong, counted = aftermath.wrong_rows(world)
    assert wrong == []
    for table in ("chat", "message", "event", "intent", "chat_overlay", "folder", "read_marker", "source", "audit"):
        assert counted[table, "acme"] > 0, table
        assert counted[table, "beta"] > 0, table


def test_lists_store_and_vendors_agree(world: World, happened: Happened) -> None:
    for organization in ORGANIZATIONS:
        shelf = world.shelves[organization]
        made = {chat for chat in shelf.made - shelf.leaving if shelf.chats[chat].key == "local"}
        expected = {("local", parse_id(chat).parts[0]) for chat in made}
        for audience in (organization, f"ann@{organization}"):
            expected |= set().union(*(held(house) for whose, house in world.houses.items() if whose[0] == audience))
        assert happened.after[organization] == expected
        assert kept(world, organization) == expected


def test_nothing_secret_was_printed_counted_or_kept_in_the_clear(world: World, happened: Happened) -> None:
    """At the lowest level of the log; of what people wrote nothing is there either."""
    said = world.installation.output + asyncio.run(metrics(world))
    assert "switchboard.upstreams" in said
    assert "switchboard_store_statements" in said
    assert aftermath.secrets_in(world, said) == []
    assert [word for word in WORDS.values() if word in said] == []
    assert "Bearer" not in said
    assert "eyJ" not in said
    assert "Traceback" not in said, said[said.index("Traceback") - 500 :][:3000]
    files = b"".join(path.read_bytes() for path in world.installation.folder.rglob("test.db*") if path.is_file())
    assert [secret for secret in (CANARY, *world.judge.secrets) if secret.encode() in files] == []
