"""Many operations at once, by everybody, in an order that a seed decides; and what came of each kind."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from tests.hostile.interleaved.houses import WORDS
from tests.hostile.interleaved.listed import whole_list
from tests.hostile.interleaved.turn import Refused, Turn
from tests.hostile.interleaved.world import ORGANIZATIONS, Actor, World
from tests.hostile.interleaved.writing import CREATE, FOLDER

T = TypeVar("T")
Operation = Callable[[Turn], Awaitable[None]]


@dataclass
class Course:
    """What came of the operations, by (organization, name of the operation). `codes`: why some came to nothing.

    `under_way`: by number, those that were not over when it ended, which is good to know of a leak that a socket showed.
    """

    seed: int
    done: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    under_way: dict[int, str] = field(default_factory=dict)

    async def run(self, world: World, plan: Iterable[tuple[Actor, Operation]], *, at_once: int) -> None:
        """All of the plan, so many at a time; the first failure ends it."""
        steps = enumerate(plan)
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(self._work(world, steps))

    async def _work(self, world: World, steps: Iterator[tuple[int, tuple[Actor, Operation]]]) -> None:
        for number, (actor, operation) in steps:
            turn = Turn(world, actor, Random(f"{self.seed} {number}"), number)
            kind = (actor.organization, operation.__name__)
            self.under_way[number] = f"{actor.name} {operation.__name__}"
            try:
                await operation(turn)
                self.done[kind] += 1
            except Refused as refused:
                self.refused[kind] += 1
                self.codes[f"{operation.__name__} {refused.code}"] += 1
            except Exception as error:
                said = "\n".join(text[:4000] for text in turn.said)
                error.add_note(f"Operation {number}, {self.under_way[number]}:\n{said}")
                raise
            del self.under_way[number]


async def put_on_shelves(world: World) -> None:
    """What is there at the start: the seeded chats, and a few of the gateway's own store, made here."""
    for organization in ORGANIZATIONS:
        shelf = world.shelves[organization]
        async with world.client(world.keys[organization], organization) as client:
            for number in range(3):
                title = f"{WORDS[organization]} begins {number}"
                made = await client.do(CREATE, input={"sourceId": shelf.sources["local"].id, "title": title})
                shelf.made.add(made["chat"]["id"])
                shelf.staying.add(made["chat"]["id"])
                folder = await client.do(FOLDER, input={"name": f"Shared {number}"})
                shelf.folders.append(folder["folder"]["id"])
                shelf.staying.add(folder["folder"]["id"])
        for chat_id, (_, source) in (await whole_list(world, world.actor(f"ann@{organization}"))).items():
            mine = world.shelves[f"ann@{organization}"]
            (mine if source.key in mine.sources else shelf).chats[chat_id] = source


def run(work: Coroutine[Any, Any, T], course: Course | None = None) -> T:
    """What comes of it. Where several fail at once, one failure is enough to read; with what `course` was at."""
    try:
        return asyncio.run(work)
    except* Exception as group:
        failure = _first_of(group)
        if course is not None:
            failure.add_note(f"With TEST_SEED={course.seed}. Under way: {course.under_way}")
        raise failure from None


def _first_of(error: BaseException) -> BaseException:
    return _first_of(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
