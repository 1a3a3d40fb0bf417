"""A small schema, sessions and a served endpoint for the tests of the protocols."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import strawberry
import uvicorn
from graphql import GraphQLError

from engine.broadcasts import Broadcasts
from engine.execution import Engine
from switchboard.http.direct import DirectWebSocket
from switchboard.http.endpoint import GraphQLEndpoint
from switchboard.http.session import Ended, Refused
from tests.engine.log import Log


@dataclass
class Stage:
    """What a test makes the resolvers do, and what they report."""

    events: "asyncio.Queue[Any]" = field(default_factory=asyncio.Queue)
    """Each entry is delivered by `ticks`; an exception is raised, None ends the stream."""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when `wait` has begun, or `ticks` was subscribed to."""
    release: asyncio.Event = field(default_factory=asyncio.Event)
    """`wait` answers when this is set."""
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when `wait` or `ticks` was ended from outside."""
    log: Log = field(default_factory=lambda: Log(lambda context: context.subject))
    """What `log` shares."""
    executed: list[str] = field(default_factory=list)
    """The events of `log` that were executed."""
    mutations: list[str] = field(default_factory=list)
    contexts: list[Any] = field(default_factory=list)


@dataclass
class Context:
    """The GraphQL context of one operation."""

    request_id: str
    stage: Stage
    subject: str
    client_left: asyncio.Event | None = None


@strawberry.type
class Query:
    """Questions."""

    @strawberry.field
    def hello(self) -> str:
        return "world"

    @strawberry.field
    def echo(self, text: str) -> str:
        return text

    @strawberry.field
    def fail(self) -> str | None:
        raise RuntimeError("the database password is 1234")

    @strawberry.field
    def me(self) -> "Query":
        return Query()

    @strawberry.field
    def subject(self, info: strawberry.Info) -> str:
        return str(info.context.subject)

    @strawberry.field
    def large(self, first: int) -> str:
        return "x" * first

    @strawberry.field
    async def wait(self, info: strawberry.Info) -> str:
        stage: Stage = info.context.stage
        stage.reached.set()
        try:
            await stage.release.wait()
        except asyncio.CancelledError:
            stage.cancelled.set()
            raise
        return "waited"


@strawberry.type
class Mutation:
    """Changes."""

    @strawberry.mutation
    async def note(self, info: strawberry.Info, text: str) -> str:
        info.context.stage.mutations.append(text)
        return text

    @strawberry.mutation
    async def wait(self, info: strawberry.Info) -> str:
        stage: Stage = info.context.stage
        stage.reached.set()
        await stage.release.wait()
        stage.mutations.append("waited")
        return "waited"

    @strawberry.mutation
    async def wait_until_left(self, info: strawberry.Info) -> str:
        stage: Stage = info.context.stage
        stage.reached.set()
        await info.context.client_left.wait()
        stage.mutations.append("left")
        return "left"


@strawberry.type
class Subscription:
    """Streams."""

    @strawberry.subscription
    async def count(self, to: int) -> AsyncIterator[int]:
        for number in range(1, to + 1):
            yield number

    @strawberry.subscription
    async def numbers(self, after: int, pause_at: int, to: int) -> AsyncIterator[int]:
        for number in range(after + 1, to + 1):
            yield number
            if number == pause_at:
                await asyncio.Event().wait()

    @strawberry.subscription
    async def ticks(self, info: strawberry.Info) -> AsyncIterator[str]:
        stage: Stage = info.context.stage
        stage.reached.set()
        try:
            while (event := await stage.events.get()) is not None:
                if isinstance(event, Exception):
                    raise event
                yield event
        except (asyncio.CancelledError, GeneratorExit):
            stage.cancelled.set()
            raise

    @strawberry.subscription
    async def flood(self, first: int, times: int) -> AsyncIterator[str]:
        for _ in range(times):
            yield "x" * first

    @strawberry.subscription
    async def log(self, info: strawberry.Info) -> AsyncGenerator[str, None]:
        return cast(AsyncGenerator[str, None], info.context.stage.log)

    @strawberry.subscription
    async def refused(self) -> AsyncIterator[str]:
        raise GraphQLError("not for you", extensions={"code": "FORBIDDEN"})
        yield ""


schema = strawberry.Schema(Query, Mutation, Subscription)
graphql_schema = schema._schema


def _told(event: str, info: Any) -> str:
    info.context.stage.executed.append(event)
    return event


assert graphql_schema.subscription_type is not None
graphql_schema.subscription_type.fields["log"].resolve = _told


def format_error(error: GraphQLError, context: Any) -> dict[str, Any]:
    """Masked as the gateway's: what resolvers raise by accident is not told."""
    formatted: dict[str, Any] = dict(error.formatted)
    masked = error.original_error is not None and not isinstance(error.original_error, GraphQLError)
    if masked:
        formatted["message"] = "Something broke."
    code = "INTERNAL" if masked else (error.extensions or {}).get("code", "INTERNAL")
    formatted["extensions"] = {**(error.extensions or {}), "code": code, "requestId": context.request_id}
    return formatted


@dataclass
class ToySession:
    """A session whose end a test decides."""

    sessions: "ToySessions"
    subject: str
    expires_at: datetime | None = None
    closed: bool = False
    ended: Ended | None = None

    def context(self, *, request_id: str, client_left: asyncio.Event | None = None) -> Context:
        made = Context(request_id, self.sessions.stage, self.subject, client_left)
        self.sessions.stage.contexts.append(made)
        return made

    @property
    def address(self) -> str:
        return self.subject

    def watch(self, ended: Ended) -> None:
        self.ended = ended

    def revoke(self, fault: Exception | None = None) -> None:
        """The credential is not good any more, or watching it broke."""
        assert self.ended is not None
        self.ended(fault)

    async def renew(self, payload: Mapping[str, Any]) -> bool:
        if "Authorization" not in payload:
            return False
        if payload["Authorization"] != "Bearer fresh":
            raise Refused("Renewing: the key is not known.")
        self.expires_at = None
        return True

    async def close(self) -> None:
        self.closed = True


@dataclass
class ToySessions:
    """Knows one key; without `key` everybody is let in."""

    stage: Stage = field(default_factory=Stage)
    key: str | None = None
    expires_at: datetime | None = None
    opened: list[ToySession] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def open(
        self,
        headers: Mapping[str, str],
        init_payload: Mapping[str, Any] | None,
        *,
        request_id: str,
        transport: str,
        last_event_id: str | None,
    ) -> ToySession:
        self.asked.append({"transport": transport, "last_event_id": last_event_id, "init_payload": init_payload})
        given = (init_payload or {}).get("Authorization") or headers.get("authorization")
        if given == "Bearer explode":
            raise RuntimeError("the key store is broken")
        if self.key is not None and given != f"Bearer {self.key}":
            raise Refused("Reading the credential: it is missing or not known. Send `Authorization: Bearer …`.")
        session = ToySession(self, given or "nobody", self.expires_at)
        self.opened.append(session)
        return session


class ToyAudiences:
    """Everybody is told the same."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def of(self, context: Any, *, is_viewers_own: bool) -> Any:
        return context.subject if is_viewers_own else "everybody"

    def context(self, audience: Any, *, request_id: str) -> Any:
        return Context(request_id, self._stage, str(audience))

    async def epoch(self, context: Any) -> int:
        return 0


@dataclass
class Served:
    """An endpoint on a free port of the loopback."""

    url: str
    port: int
    endpoint: GraphQLEndpoint
    sessions: ToySessions
    server: "EmbeddedServer"
    broadcasts: Broadcasts

    @property
    def stage(self) -> Stage:
        return self.sessions.stage


@contextlib.asynccontextmanager
async def serve(
    sessions: ToySessions | None = None,
    engine: Engine | None = None,
    *,
    port: int = 0,
    http: Any = "httptools",
    ws: Any = DirectWebSocket,
    **options: Any,
) -> AsyncIterator[Served]:
    """Serve the toy schema with uvicorn as the gateway is served. Afterwards no task of it may remain."""
    sessions = sessions or ToySessions()
    engine = engine or Engine(graphql_schema, format_error=format_error)
    broadcasts = Broadcasts(ToyAudiences(sessions.stage))
    endpoint = GraphQLEndpoint(engine, sessions, broadcasts=broadcasts, **options)
    config = uvicorn.Config(
        endpoint,
        host="127.0.0.1",
        port=port,
        ws=ws,
        http=http,
        lifespan="off",
        log_level="critical",
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=5,
    )
    server = EmbeddedServer(config)
    running = asyncio.create_task(server.serve())
    await server.ready.wait()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Served(f"http://127.0.0.1:{port}/graphql", port, endpoint, sessions, server, broadcasts)
    finally:
        endpoint.drain()
        server.stop.set()
        await running
    # What a client of the test left to the garbage collector is given a moment.
    with contextlib.suppress(TimeoutError):
        await until(lambda: not _other_tasks(), seconds=1)
    assert not _other_tasks(), f"tasks remain: {_other_tasks()}"
    assert not server.server_state.connections, "connections remain"
    assert (len(broadcasts), broadcasts.subscriptions) == (0, 0), "subscriptions remain"
    assert all(session.closed for session in sessions.opened), "a session was not closed"


def _other_tasks() -> list[asyncio.Task[Any]]:
    """Without the test itself, and the task of anyio's plugin that runs it."""
    tasks = [task for task in asyncio.all_tasks() if "TestRunner" not in repr(task)]
    return [task for task in tasks if not task.done() and task is not asyncio.current_task()]


async def until(condition: Callable[[], object], *, seconds: float = 10) -> None:
    """Wait for what another task brings about; turns of the loop, no clock."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  what is waited for lies inside the server, which has no event for it
            await asyncio.sleep(0.001)


class EmbeddedServer(uvicorn.Server):
    """Leaves the signals of the test's process alone, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self.stop = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield

    async def main_loop(self) -> None:
        """uvicorn looks ten times a second whether to stop; hundreds of tests would wait for that."""
        await self.on_tick(0)
        await self.stop.wait()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: Any = None) -> None:
        """As uvicorn's, without its pauses of a tenth of a second."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await until(lambda: not self.server_state.connections and not self.server_state.tasks)
        for server in self.servers:
            await server.wait_closed()
