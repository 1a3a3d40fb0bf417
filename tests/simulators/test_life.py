"""Life at the vendors: only what their own clients could do, bounded, and the same for the same seed."""

import asyncio
import json
import urllib.request
from collections.abc import Callable, Mapping
from itertools import islice, pairwise
from random import Random
from typing import Any

import pytest

from simulators import chatlogger, kodey, lexicon, open_webui, splox
from simulators.control import Control, EmitError
from simulators.life import LONGEST, MOST_BEGUN, MOST_MESSAGES, TALKS, Life, RoomsOf, lines, live
from simulators.seed import talks
from tests.simulators.test_main import started
from tests.tier import count

pytestmark = pytest.mark.anyio

MAKERS: Mapping[str, Callable[[], Control]] = {
    "chatlogger": chatlogger.create_app,
    "kodey": kodey.create_app,
    "lexicon": lexicon.create_app,
    "open_webui": open_webui.create_app,
    "splox": splox.create_app,
}


class Hall:
    """Rooms whose only bound is what is asked of them here."""

    def __init__(self, **rooms: int) -> None:
        self.rooms = dict(rooms)
        self.said: list[tuple[str, str, str]] = []
        self.ended: list[str] = []
        self.is_closed = False

    async def list(self) -> Mapping[str, int]:
        return dict(self.rooms)

    async def begin(self, title: str) -> str:
        name = f"begun{len(self.rooms) + len(self.ended)}"
        self.rooms[name] = 0
        return name

    async def end(self, chat_id: str) -> None:
        del self.rooms[chat_id]
        self.ended.append(chat_id)

    async def say(self, chat_id: str, role: str, text: str) -> None:
        if self.is_closed or chat_id not in self.rooms:
            raise EmitError("gone")
        self.rooms[chat_id] += 1
        self.said.append((chat_id, role, text))


async def lived(hall: Any, steps: int, seed: str = "seed") -> Life:
    life = Life(hall, seed)
    await life.settle_in()
    for _ in range(steps):
        await life.step()
    return life


def test_talks_read_like_talks() -> None:
    texts = [text for talk in TALKS for text in talk]
    assert len(texts) >= 36
    assert len(set(texts)) == len(texts)
    for talk in TALKS:
        assert len(talk) % 2 == 0, "whoever asked has the last word"
    assert all(text[0].isupper() and text[-1] in ".!?" and 8 < len(text) < 120 for text in texts)


def test_no_talk_comes_twice_before_all_had_their_turn() -> None:
    said = list(islice(lines(Random(1)), sum(map(len, TALKS))))
    assert sorted(line.text for line in said) == sorted(text for talk in TALKS for text in talk)
    assert sum(line.is_first for line in said) == len(TALKS)


async def test_same_seed_gives_the_same_talks_in_the_same_chats() -> None:
    halls = [Hall(a=0, b=0, c=0) for _ in range(3)]
    for hall, seed in zip(halls, ("one", "one", "two"), strict=True):
        await lived(hall, 200, seed)
    assert halls[0].said == halls[1].said
    assert halls[0].said != halls[2].said


async def test_talk_stays_in_its_chat_and_its_roles_take_turns() -> None:
    hall = Hall(a=0, b=0, c=0)
    await lived(hall, 300)
    assert {chat for chat, _, _ in hall.said} == {"a", "b", "c"}
    for one, other in pairwise(hall.said):
        if other[1] == "assistant":
            assert (one[0], one[1]) == (other[0], "user")


async def test_chats_that_others_begin_are_left_alone() -> None:
    hall = Hall(a=0)
    life = await lived(hall, 1)
    hall.rooms["mine"] = 0
    for _ in range(100):
        await life.step()
    assert hall.rooms["mine"] == 0


async def test_full_chats_are_left_alone_and_begun_ones_are_deleted_when_there_are_too_many() -> None:
    hall = Hall(a=MOST_MESSAGES - LONGEST + 1, b=MOST_MESSAGES)
    before = dict(hall.rooms)
    await lived(hall, (MOST_BEGUN + 2) * MOST_MESSAGES)
    assert {name: hall.rooms[name] for name in before} == before
    assert max(hall.rooms.values()) <= MOST_MESSAGES
    assert len(hall.rooms) <= MOST_BEGUN + len(before)
    assert hall.ended[:2] == ["begun2", "begun3"]


async def test_what_is_not_possible_now_is_left_out() -> None:
    hall = Hall(a=0)
    life = await lived(hall, 0)
    hall.is_closed = True
    for _ in range(50):
        await life.step()
    hall.is_closed = False
    for _ in range(50):
        await life.step()
    assert hall.said[0][1] == "user", "it goes on with a new talk, not in the middle of one"


async def test_chat_that_somebody_deleted_is_forgotten() -> None:
    hall = Hall(a=0, b=0)
    life = await lived(hall, 1)
    hall.rooms.pop("a")
    for _ in range(60):
        await life.step()
    assert hall.rooms["b"] > 20


def test_pauses_are_around_what_was_asked_for_and_never_alike() -> None:
    life = Life(Hall(), "seed")
    pauses = [life.pause(4) for _ in range(1000)]
    assert 2 <= min(pauses) < max(pauses) <= 6
    assert len(set(pauses)) == 1000
    assert abs(sum(pauses) / 1000 - 4) < 0.2


async def test_fault_of_ours_ends_life_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Hall):
        async def say(self, chat_id: str, role: str, text: str) -> None:
            raise RuntimeError("a bug")

    await asyncio.wait_for(live(Broken(a=0), "kodey", 0.001), 10)
    assert "the life of kodey has ended" in caplog.text


# At each vendor


@pytest.mark.parametrize("vendor", MAKERS)
async def test_vendor_shows_what_was_said(vendor: str) -> None:
    control = MAKERS[vendor]()
    simulator: Any = control.simulator
    before = simulator.rooms()
    assert len(before) >= 8, "most of the seeded chats can be talked in"
    steps = 120
    await lived(RoomsOf(simulator), steps)
    after = simulator.rooms()
    assert sum(after.values()) == sum(before.values()) + steps
    assert set(after) == set(before)
    state = json.dumps(simulator.state(), ensure_ascii=False)
    assert sum(text in state for talk in TALKS for text in talk) >= 20
    await simulator.close()


@pytest.mark.parametrize("vendor", MAKERS)
async def test_vendor_stays_bounded(vendor: str) -> None:
    """Every chat is filled, chats are begun, and the oldest of these are deleted again where the vendor lets it."""
    control = MAKERS[vendor]()
    simulator: Any = control.simulator
    seeded = set(simulator.rooms())
    life = Life(RoomsOf(simulator), vendor)
    await life.settle_in()
    steps = count(long=20_000, least=7_000)
    for _ in range(steps):
        await life.step()
    rooms = simulator.rooms()
    assert max(rooms.values()) <= MOST_MESSAGES
    assert seeded <= set(rooms)
    assert len(set(rooms) - seeded) >= 1
    assert len(set(rooms) - seeded) <= MOST_BEGUN + 1
    await simulator.close()


async def test_vendor_that_would_refuse_to_delete_is_not_made_to() -> None:
    simulator: Any = chatlogger.create_app().simulator
    begun = simulator.begin("Begun")
    simulator.emit(begun, "Hello", "user")
    simulator.switches.delete_fails = True
    with pytest.raises(EmitError):
        simulator.end(begun)
    assert begun in simulator.rooms()


async def test_socket_keeps_a_chat_from_being_deleted() -> None:
    simulator: Any = lexicon.create_app().simulator
    begun = simulator.begin("Begun")
    simulator.store.socket_opened(begun)
    with pytest.raises(EmitError):
        simulator.end(begun)
    assert begun in simulator.rooms()


@pytest.mark.slow
def test_process_lives_only_when_it_is_told_to() -> None:
    def messages(url: str) -> int:
        with urllib.request.urlopen(f"{url}/__control/state") as answer:
            return sum(len(chat["messages"]) for chat in json.load(answer)["chats"])

    seeded = sum(len(talk.lines) for talk in talks("kodey"))
    with started("kodey:0", "--life", "0.01") as (_, urls):
        while messages(urls["kodey"]) < seeded + 10:
            pass
    with started("kodey:0") as (_, urls):
        assert messages(urls["kodey"]) == seeded
