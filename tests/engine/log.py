"""A log that can be shared, and receivers of what is told of it, for the tests of broadcasts."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
)

from engine.broadcast import Broadcast
from engine.broadcasts import Broadcasts
from engine.execution import Engine, Execution, Subscription
from engine.requests import OperationRequest, Response
from engine.sharing import Rendered
from tests.engine.toy import format_error


@dataclass(frozen=True)
class Told:
    """As `engine.sharing.Telling`."""

    position: int
    event: Any = None
    to: Hashable = None
    own: Any = None
    part_of: Hashable = None
    whole: Any = None


@dataclass
class Batch:
    """As `engine.sharing.Batch`."""

    position: int
    told: list[Told] = field(default_factory=list)


class Log:
    """Lines at positions 1, 2, …, and words between them. It is its own source stream, whoever reads it."""

    def __init__(self, who: Callable[[Any], Hashable] = lambda context: context["who"]) -> None:
        self.lines: list[Told] = []
        self._who = who
        self.words: list[Told] = []
        self.readers = 0
        self.fault: Exception | None = None
        self.is_forgotten = False
        self._bells: set[asyncio.Event] = set()

    def __aiter__(self) -> AsyncIterator[Any]:
        raise AssertionError("it is always shared")

    @property
    def head(self) -> int:
        return len(self.lines)

    def add(self, event: Any = None, *, to: Hashable = None, own: Any = None) -> int:
        """One line more; its position."""
        self.lines.append(Told(self.head + 1, event, to, own))
        self.wake()
        return self.head

    def say(self, thing: Hashable, words: Any, whole: Any) -> None:
        """A piece of something that grows, which whoever reads now is told."""
        self.words.append(Told(self.head, words, part_of=thing, whole=whole))
        self.wake()

    def wake(self) -> None:
        for bell in self._bells:
            bell.set()

    async def replay(self, context: Any) -> AsyncGenerator[tuple[int, Any], None]:
        yield self.head, None

    async def catch_up(self, context: Any, position: int) -> AsyncGenerator[tuple[int, Any], None]:
        for line in list(self.lines[position:]):
            event = line.own if line.to is not None and line.to == self._who(context) else line.event
            await asyncio.sleep(0)
            yield line.position, event

    async def told(self, context: Any, position: int) -> AsyncGenerator[Batch, None]:
        bell, said = asyncio.Event(), len(self.words)
        self._bells.add(bell)
        self.readers += 1
        try:
            while True:
                if self.fault is not None:
                    raise self.fault
                if self.is_forgotten:
                    return
                words, said = self.words[said:], len(self.words)
                if position < self.head:
                    lines, position = self.lines[position:], self.head
                    yield Batch(position, list(lines))
                if words:
                    yield Batch(position, words)
                await bell.wait()
                bell.clear()
        finally:
            self.readers -= 1
            self._bells.discard(bell)


class Audiences:
    """Everybody of a name is told the same. `of_name` may be changed; `changed` has to be called then."""

    def __init__(self) -> None:
        self.of_name: dict[str, str] = {}
        self.looking = asyncio.Event()
        self.looking.set()
        self._epoch = 0

    def changed(self) -> None:
        self._epoch += 1

    async def of(self, context: Any, *, is_viewers_own: bool) -> Hashable:
        await asyncio.sleep(0)
        who = context["who"]
        return (self.of_name.get(who, "all"), who if is_viewers_own else None)

    def context(self, audience: Any, *, request_id: str) -> Any:
        return {"who": audience, "request_id": request_id}

    async def epoch(self, context: Any) -> int:
        await self.looking.wait()
        return self._epoch


@dataclass(eq=False)
class Receiver:
    """Somebody who listens. `room` is how much more is taken."""

    position: int = 0
    who: str = "somebody"
    room: int = 10**9
    since: int = 0
    heard: list[bytes] = field(default_factory=list)
    fell: int = 0
    broken: Response | None = None

    @property
    def address(self) -> str:
        return self.who

    def context(self) -> Any:
        return {"who": self.who}

    def take(self, rendered: Rendered) -> bool:
        if self.room <= 0:
            return False
        self.room -= 1
        self.heard.append(rendered.json)
        return True

    def fell_out(self) -> None:
        self.fell += 1

    def broke(self, response: Response) -> None:
        self.broken = response

    @property
    def events(self) -> list[str]:
        """What it was told, in short."""
        return [one.decode().removeprefix('{"data":{"log":"').removesuffix('"}}') for one in self.heard]


class Room:
    """One log, and all that is needed to listen to it. `executed` has each event that was executed, with the context.

    The execution of an event waits for the `hold` of its name.
    """

    def __init__(self) -> None:
        self.log = Log()
        self.audiences = Audiences()
        self.broadcasts = Broadcasts(self.audiences)
        self.executed: list[tuple[Any, Any]] = []
        self.hold: dict[str, asyncio.Event] = {}
        self.engine = Engine(
            self._schema(), format_error=format_error, viewers_own=frozenset({("Subscription", "mine")})
        )

    def _schema(self) -> GraphQLSchema:
        async def resolve(event: Any, info: Any) -> str:
            self.executed.append((event, info.context))
            if (held := self.hold.get(str(event))) is not None:
                await held.wait()
            return str(event)

        one = GraphQLField(GraphQLString, subscribe=lambda *_: self.log, resolve=resolve)
        query = GraphQLObjectType("Query", {"a": GraphQLField(GraphQLString)})
        return GraphQLSchema(query, subscription=GraphQLObjectType("Subscription", {"log": one, "mine": one}))

    async def started(self, query: str = "subscription { log }") -> Subscription:
        started = await self.engine.subscribe(OperationRequest(query=query), {"who": "somebody"})
        assert isinstance(started, Subscription)
        return started

    async def execution(self, query: str = "subscription { log }") -> Execution:
        return (await self.started(query)).execution

    async def join(self, receiver: Receiver, query: str = "subscription { log }") -> Broadcast | None:
        return await self.broadcasts.join(receiver, self.log, await self.execution(query))

    async def quiet(self) -> None:
        """Until everything has been told that there is to tell."""
        for _ in range(400):
            await asyncio.sleep(0)
