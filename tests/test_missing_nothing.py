"""A client that is cut again and again, and a gateway that is killed: each message arrives exactly once, in order.

Others write at the source, as its own clients would; the subscriber resumes with the cursor of the last event that it processed,
and removes no duplicates itself.
"""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from domain.ids import parse_id
from simulators.keys import KEYS, SESSIONS
from tests.client import Client, a_client
from tests.gateway import Gateway
from tests.hostile.installation import Installation
from tests.test_crash import AGENTS, CREATE, a_table, simulated_vendors
from tests.tier import TIER, count

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MESSAGES = count(long=1000, least=60)
CUTS = count(long=20, least=4)
KILLS = 2 if TIER == "long" else 1
CHATS = 10
PER_SECOND = 40
QUICK = """
[live]
poll_seconds_min = 0.1
poll_seconds_max = 1.0
linger_seconds = 1.0
"""
CURSOR = "query ($id: ID!) { chat(id: $id) { eventCursor messages(last: 1) { status { code } } } }"
SEND = (
    "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } userErrors { code message } } }"
)
OF_CHATS = """subscription ($ids: [ID!], $after: EventCursor) { happened: chatEvents(chatIds: $ids, after: $after) {
  __typename cursor ... on MessageCreated { chatId message { id text } } ... on StreamGap { reason } } }"""
OF_SOURCE = """subscription ($ids: [ID!], $after: EventCursor) { happened: messageAdded(filter: {sourceIds: $ids}, after: $after) {
  __typename cursor chatId message { id text } } }"""
Event = Mapping[str, Any]
Transport = Callable[[Gateway, Mapping[str, Any]], AsyncIterator[Event]]


@dataclass(frozen=True)
class Way:
    """How the gateway learns of what others write at a source."""

    source: str
    settings: str = QUICK
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: KEYS)


POLLED = f"{QUICK}streams_per_source = 0\n"
WAYS = {
    "local, by another process": Way("local"),
    "splox, by its streams": Way("splox"),
    "splox, polled": Way("splox", POLLED),
    "lexicon, polled": Way("lexicon"),
    "chatlogger, polled": Way("chatlogger"),
    "kodey, polled": Way("kodey"),
    "open-webui, by its socket": Way("open-webui", secrets=SESSIONS),
    "open-webui, polled": Way("open-webui", POLLED),
}


class Cut(Exception):
    """The connection is gone: cut by the test, or by a gateway that was killed."""


@dataclass
class World:
    """One source, its chats, and a gateway that is started again after each kill."""

    installation: Installation
    source: str
    vendors: Mapping[str, str]
    api_key: str
    gateway: Gateway | None = None
    source_id: str = ""
    chats: list[str] = field(default_factory=list)
    written: dict[str, list[str]] = field(default_factory=dict)
    up: asyncio.Event = field(default_factory=asyncio.Event)
    time_to_kill: asyncio.Event = field(default_factory=asyncio.Event)

    async def opens_chats(self, client: Client) -> str:
        """Ten chats, read once each; the cursor from which on everything is expected."""
        sources = {one["key"]: one["id"] for one in (await client.ask("{ sources { id key } }"))["sources"]}
        self.source_id = sources[self.source]
        for _ in range(CHATS):
            made = await client.do(CREATE, input={"sourceId": self.source_id, **AGENTS.get(self.source, {})})
            self.chats.append(made["chat"]["id"])
        self.written = {chat_id: [] for chat_id in self.chats}
        read = [(await client.ask(CURSOR, id=chat_id))["chat"] for chat_id in self.chats]
        assert {one["messages"]["status"]["code"] for one in read} == {"OK"}
        return read[-1]["eventCursor"]

    async def writes(self, chance: random.Random, http: httpx.AsyncClient, writer: Client | None) -> None:
        """Messages of others, one after the other, over all chats; the gateway is killed after some of them."""
        kills = chance.sample(range(MESSAGES // 5, MESSAGES * 4 // 5), KILLS)
        for number in range(MESSAGES):
            if number in kills:
                self.time_to_kill.set()
            chat_id, text = chance.choice(self.chats), f"Message {number}"
            if writer is not None:
                await writer.do(SEND, input={"chatId": chat_id, "text": text})
            else:
                said = {"chat_id": parse_id(chat_id).parts[0], "text": text, "role": "user"}
                (await http.post(f"{self.vendors[self.source]}/__control/emit", json=said)).raise_for_status()
            self.written[chat_id].append(text)
            await asyncio.sleep(1 / PER_SECOND)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Gateway]:
        """A gateway on the same store; the loop goes on while it starts and stops."""
        context = self.installation.serving(self.api_key)
        gateway = await asyncio.to_thread(context.__enter__)
        try:
            yield gateway
        finally:
            await asyncio.to_thread(context.__exit__, None, None, None)

    async def is_served(self, is_over: asyncio.Event) -> None:
        """Killed while others write, and started again each time."""
        for number in range(KILLS + 1):
            async with self.serving() as self.gateway:
                self.up.set()
                if number == KILLS:
                    await is_over.wait()
                else:
                    await self.time_to_kill.wait()
                    self.time_to_kill.clear()
                self.up.clear()
                if number < KILLS:
                    self.gateway.process.kill()


@dataclass
class Subscriber:
    """Keeps the cursor of the last event that it processed."""

    world: World
    stream: Transport
    cursor: str
    query: str
    seen: dict[str, list[str]] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    cuts: int = 0

    @property
    def is_done(self) -> bool:
        return len(self.ids) >= MESSAGES

    async def listens(self, chance: random.Random) -> None:
        """Until everything has come. Cut after a random number of events, as long as cuts are left."""
        while not self.is_done:
            await self.world.up.wait()
            left = chance.randrange(MESSAGES // CUTS) if self.cuts < CUTS else None
            try:
                await self._once(left)
            except Cut:
                self.cuts += 1
                await asyncio.sleep(0.02)

    async def _once(self, left: int | None) -> None:
        assert self.world.gateway is not None
        ids = self.world.chats if self.query is OF_CHATS else [self.world.source_id]
        body = {"query": self.query, "variables": {"ids": ids, "after": self.cursor}}
        async with aclosing(self.stream(self.world.gateway, body)) as events:  # type: ignore[type-var]
            async for event in events:
                if left == 0:
                    raise Cut
                self._process(event)
                left = left - 1 if left is not None else None
                if self.is_done:
                    return

    def _process(self, event: Event) -> None:
        assert event["__typename"] != "StreamGap", event
        if event["__typename"] == "MessageCreated":
            self.seen.setdefault(event["chatId"], []).append(event["message"]["text"])
            self.ids.append(event["message"]["id"])
        self.cursor = event["cursor"]


async def over_websocket(gateway: Gateway, body: Mapping[str, Any]) -> AsyncIterator[Event]:
    """`graphql-transport-ws`; the socket is not closed in order but torn down."""
    url = gateway.url.replace("http", "ws", 1)
    try:
        async with connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
            try:
                await socket.send(json.dumps({"type": "connection_init", "payload": gateway.headers}))
                assert json.loads(await socket.recv())["type"] == "connection_ack"
                await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": body}))
                async for frame in socket:
                    message = json.loads(frame)
                    if message["type"] == "next":
                        assert "errors" not in message["payload"], message["payload"]
                        yield message["payload"]["data"]["happened"]
                    elif message["type"] not in ("ping", "pong"):
                        raise AssertionError(message)
            finally:
                socket.transport.abort()
    except (ConnectionClosed, InvalidHandshake, OSError) as error:
        raise Cut from error
    raise Cut


async def over_sse(gateway: Gateway, body: Mapping[str, Any]) -> AsyncIterator[Event]:
    """Server-sent events, resumed by `Last-Event-ID` alone."""
    variables = dict(body["variables"])
    headers = {**gateway.headers, "Accept": "text/event-stream", "Last-Event-ID": variables.pop("after")}
    try:
        async with (
            httpx.AsyncClient(timeout=httpx.Timeout(10, read=60)) as http,
            http.stream("POST", gateway.url, json={**body, "variables": variables}, headers=headers) as answer,
        ):
            assert answer.status_code == 200, await answer.aread()
            last_id = None
            async for line in answer.aiter_lines():
                if line.startswith("id:"):
                    last_id = line.removeprefix("id:").strip()
                elif line.startswith("data:") and len(line) > len("data: "):
                    payload = json.loads(line.removeprefix("data:"))
                    assert "errors" not in payload, payload
                    event = payload["data"]["happened"]
                    assert last_id == event["cursor"]
                    yield event
    except httpx.TransportError as error:
        raise Cut from error
    raise Cut


@asynccontextmanager
async def a_world(folder: Path, way: Way, vendors: Mapping[str, str]) -> AsyncIterator[World]:
    tables = a_table(way.source, vendors[way.source], way.secrets) if way.source in vendors else ""
    installation = Installation(folder, settings=way.settings, sources=tables)
    yield World(installation, way.source, vendors, installation.an_organization("acme"))


@asynccontextmanager
async def a_second_writer(world: World) -> AsyncIterator[Client | None]:
    """Another process on the same store, for chats that no vendor keeps."""
    if world.source in world.vendors:
        yield None
        return
    async with world.serving() as other, a_client(other) as client:
        yield client


async def everything_has_come(world: World, transports: Sequence[Transport], chance: random.Random) -> list[Subscriber]:
    """Writes, cuts and kills until each subscriber has as many messages as were written: one that names the chats, one for the source."""
    is_over = asyncio.Event()
    serving = asyncio.create_task(world.is_served(is_over))
    tasks = [serving]
    try:
        await world.up.wait()
        assert world.gateway is not None
        async with a_client(world.gateway) as client:
            cursor = await world.opens_chats(client)
        wanted = (
            itertools.product(transports, (OF_CHATS, OF_SOURCE))
            if TIER == "long"
            else zip(transports, (OF_CHATS, OF_SOURCE), strict=True)
        )
        subscribers = [Subscriber(world, transport, cursor, query) for transport, query in wanted]
        async with a_second_writer(world) as writer, httpx.AsyncClient(timeout=30) as http:
            tasks.append(asyncio.create_task(world.writes(chance, http, writer)))
            tasks += [asyncio.create_task(one.listens(random.Random(chance.random()))) for one in subscribers]
            await asyncio.gather(*tasks[1:])
            is_over.set()
            await serving
        return subscribers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.mark.timeout(900)  # a gateway is started several times
@pytest.mark.parametrize("way", WAYS)
async def test_every_message_arrives_once_and_in_order(tmp_path: Path, way: str) -> None:
    with simulated_vendors() as vendors:
        async with (
            a_world(tmp_path, WAYS[way], vendors) as world,
            asyncio.timeout(180 + 6 * MESSAGES / PER_SECOND),
        ):
            subscribers = await everything_has_come(world, (over_websocket, over_sse), random.Random(way))
        for one in subscribers:
            assert one.seen == {chat_id: texts for chat_id, texts in world.written.items() if texts}
            assert len(set(one.ids)) == len(one.ids) == MESSAGES
            assert one.cuts >= CUTS
