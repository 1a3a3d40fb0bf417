"""Random lines, words, comings, goings, stalls and moves between audiences: everybody hears exactly the log from its position on."""

import asyncio
import random

import pytest

from engine.broadcast import Broadcast
from engine.sharing import Rendered
from tests.engine.log import Receiver, Room
from tests.tier import count

pytestmark = pytest.mark.anyio
NAMES = ("ann", "bob", "eve")


class Person(Receiver):
    """Behaves as a subscription does: reads alone while it is behind, listens with others when it is level.

    Lines say their position and form, words where they begin and what they are.
    """

    def __init__(self, room: "Talk", who: str) -> None:
        super().__init__(who=who, position=room.log.head)
        self._room = room
        self._tasks: set[asyncio.Task[None]] = set()
        self.begin = self.last = room.log.head
        self.lines: list[str] = []
        self.text: str | None = None
        self.broadcast: Broadcast | None = None

    # Listening

    def come(self, *, is_behind: bool) -> None:
        task = asyncio.create_task(self._join(is_behind=is_behind))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def go(self) -> None:
        """As a client that is cut: what it has heard last is where it will continue."""
        for task in self._tasks:
            task.cancel()
        if self.broadcast is not None:
            self.broadcast.leave(self)
            assert self.position >= self.last
            self.broadcast = None
        self.position, self.text = self.last, None

    def fell_out(self) -> None:
        assert self.position >= self.last
        self.broadcast = None
        self.text = None
        self.come(is_behind=True)

    async def _join(self, *, is_behind: bool) -> None:
        execution = await self._room.execution()
        while True:
            if is_behind:
                async for position, event in self._room.log.catch_up(self.context(), self.position):
                    while self.room <= 0:  # noqa: ASYNC110  turns of the loop are what is random here
                        await asyncio.sleep(0)
                    self.room -= 1
                    self._hear(event)
                    self.position = position
            self.broadcast = await self._room.broadcasts.join(self, self._room.log, execution)
            if self.broadcast is not None:
                return
            is_behind = True

    # Hearing

    def take(self, rendered: Rendered) -> bool:
        if self.room <= 0:
            return False
        self.room -= 1
        self._hear(rendered.event)
        return True

    def _hear(self, event: str) -> None:
        if not event.startswith("words"):
            self.lines.append(event)
            self.last = int(event.split()[1])
            return
        _, offset, words = event.split(":")
        assert int(offset) <= len(self.text or ""), "words are missing"
        assert self.text is not None or offset == "0", "who comes in the middle gets them whole"
        self.text = (self.text or "")[: int(offset)] + words
        assert self._room.text.startswith(self.text)

    async def level(self) -> None:
        async with asyncio.timeout(20):
            while self.broadcast is None or self.last < self._room.log.head:  # noqa: ASYNC110  as above
                await asyncio.sleep(0)

    def assert_exact(self) -> None:
        log = self._room.log.lines[self.begin :]
        assert self.lines == [line.own if line.to == self.who else line.event for line in log]


class Talk(Room):
    """A room in which words are said; `text` is all of them."""

    text = ""

    def line(self, to: str | None) -> None:
        position = self.log.head + 1
        self.log.add(f"line {position}", to=to, own=f"own {position}" if to else None)

    def more_words(self, words: str) -> None:
        offset, self.text = len(self.text), self.text + words
        self.log.say("reply", f"words:{offset}:{words}", f"words:0:{self.text}")


def something_happens(room: Talk, people: list[Person], chance: random.Random) -> None:
    person = chance.choice(people)
    match chance.randrange(8):
        case 0 | 1:
            room.line(None)
        case 2:
            room.line(chance.choice(NAMES))
        case 3 | 4:
            room.more_words(chance.choice("abcdef") * chance.randrange(1, 4))
        case 5:
            room.audiences.of_name[chance.choice(NAMES)] = chance.choice(["all", "admins"])
            room.audiences.changed()
        case 6:
            person.room = chance.choice([0, 1, 3, 10**9])
        case 7:
            person.go()
            person.come(is_behind=chance.random() < 0.5)


@pytest.mark.parametrize("seed", range(count(long=1000, least=20)))
async def test_everybody_hears_exactly_the_log_from_its_position_on(seed: int) -> None:
    chance, room = random.Random(seed), Talk()
    people = [Person(room, chance.choice(NAMES)) for _ in range(6)]
    for person in people:
        person.come(is_behind=False)
    for _ in range(120):
        something_happens(room, people, chance)
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)
    for person in people:
        person.room = 10**9
    room.line(None)
    for person in people:
        await person.level()
        person.assert_exact()
    room.more_words("z")
    await room.quiet()
    assert {person.text for person in people} == {room.text}
    for person in people:
        person.go()
    assert len(room.broadcasts) == 0
    await room.broadcasts.aclose()
    assert room.log.readers == 0
