"""Sends over connections that break, and over a gateway that is killed: never two messages, never a false "failed".

The truth is what the simulators hold (`GET /__control/state`), for local chats the store's file.
"""

import asyncio
import json
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.ids import parse_id
from simulators import chatlogger, kodey, lexicon, open_webui, splox
from simulators.keys import KEYS, OPTIONS, PATHS
from simulators.serving import running
from tests.client import Client, a_client
from tests.gateway import Gateway
from tests.hostile.installation import Installation
from tests.tier import count

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SOURCES = ("open-webui", "kodey", "splox", "lexicon", "chatlogger", "local")
SENDS = count(long=200, least=24)
SAME = "Yes."
"""What every fifth send says."""
OPERATIONS: Mapping[str, Sequence[str]] = {
    "open-webui": ("complete", "update_chat"),
    "kodey": ("send_message",),
    "splox": ("run_workflow",),
    "lexicon": ("send_message",),
    "chatlogger": ("create_message",),
}
"""Source → what its simulator calls the operations that keep a message."""
AGENTS: Mapping[str, Mapping[str, Any]] = {
    "open-webui": {"agent": "fake-gpt"},
    "kodey": {"agent": kodey.SEEDED_AGENTS[0]},
    "splox": {"agent": splox.ASSISTANT.workflow_id},
    "lexicon": {"userId": OPTIONS["lexicon"]["user_ids"][0]},
}
REPLIES: Mapping[str, Sequence[str]] = {
    "open-webui": ("STREAM", "WAIT", "NONE"),
    "kodey": ("WAIT",),  # answers before the vendor has the message otherwise, so that there is no outcome yet
    "splox": ("STREAM", "WAIT"),
    "lexicon": ("STREAM", "WAIT"),
    "chatlogger": ("STREAM",),
    "local": ("STREAM",),
}
CREATE = "mutation ($input: CreateChatInput!) { createChat(input: $input) { chat { id } userErrors { code message } } }"
SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
  message { id text state } replayed userErrors { code message } } }"""
PIN = "mutation ($input: SetChatPinnedInput!) { setChatPinned(input: $input) { chat { pinned } userErrors { code } } }"
CHAT = """query ($id: ID!) { chat(id: $id) { messages(last: 100) {
  status { code } pageInfo { hasPreviousPage } nodes { id role text state } } } }"""


class Outcome(Enum):
    """What the sender was told."""

    SENT = auto()
    FAILED = auto()
    UNKNOWN = auto()


@contextmanager
def simulated_vendors() -> Iterator[dict[str, str]]:
    """All five in this process; key of the source → where its simulator is."""
    made = {"open-webui": open_webui, "kodey": kodey, "splox": splox, "lexicon": lexicon, "chatlogger": chatlogger}
    with ExitStack() as stack:
        yield {vendor: stack.enter_context(running(module.create_app())) for vendor, module in made.items()}


def a_table(key: str, base_url: str, secrets: Mapping[str, Mapping[str, str]] = KEYS) -> str:
    """One of `[[sources]]`, its credentials and options as the simulator wants them. `secrets`: vendor → credentials."""
    vendor = key.replace("-", "_")
    credentials = ", ".join(f"{name} = {json.dumps(secret)}" for name, secret in secrets[vendor].items())
    options = ", ".join(f"{name} = {_toml(value)}" for name, value in OPTIONS.get(vendor, {}).items())
    return f"""
[[sources]]
organization = "acme"
key = "{key}"
vendor = "{vendor}"
base_url = "{base_url}{PATHS.get(vendor, "")}"
credentials = {{ {credentials} }}
options = {{ {options} }}
"""


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return json.dumps(value)


@dataclass
class World:
    """A gateway that can be killed and started again, the simulators behind it, and one chat in each source."""

    installation: Installation
    vendors: Mapping[str, str]
    api_key: str = ""
    chats: dict[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def started(self) -> AsyncIterator[tuple[Gateway, Client]]:
        """On the same store each time."""
        with self.installation.serving(self.api_key) as gateway:
            async with a_client(gateway) as client:
                yield gateway, client

    async def opens_chats(self, client: Client, wanted: Sequence[str] = SOURCES) -> None:
        sources = {one["key"]: one["id"] for one in (await client.ask("{ sources { id key } }"))["sources"]}
        for source in wanted:
            made = await client.do(CREATE, input={"sourceId": sources[source], **AGENTS.get(source, {})})
            self.chats[source] = made["chat"]["id"]

    async def control(self, source: str, method: str, path: str, **said: Any) -> Any:
        async with httpx.AsyncClient(timeout=30) as http:
            answer = await http.request(method, f"{self.vendors[source]}/__control/{path}", json=said)
        return answer.raise_for_status().json()

    async def held(self, source: str) -> Counter[str]:
        """The texts of the user's messages that the source really has in our chat."""
        short, (native,) = parse_id(self.chats[source]).short, parse_id(self.chats[source]).parts
        if source == "local":
            with closing(sqlite3.connect(f"file:{self.installation.database}?mode=ro", uri=True)) as store:
                query = "SELECT text FROM message WHERE source_id = ? AND chat_id = ? AND role = 'USER'"
                return Counter(text for (text,) in store.execute(query, (short, native)))
        state = await self.control(source, "GET", "state")
        if source == "splox":
            return Counter(_words(one) for one in state["messages"][native] if one["role"] == "user")
        (chat,) = [one for one in state["chats"] if str(one["id"]) == native]
        messages = chat["body"]["history"]["messages"].values() if source == "open-webui" else chat["messages"]
        return Counter(one["content"] for one in messages if one["role"] == "user")

    async def is_asked(self, source: str) -> bool:
        """Whether a message is on its way to it."""
        calls = await self.control(source, "GET", "calls")
        return any(call["operation"] in OPERATIONS[source] for call in calls)

    async def holds_killed(self, source: str) -> bool:
        """Whether it has the message during which the gateway dies."""
        return (await self.held(source))["Killed"] > 0

    async def shows(self, client: Client, source: str) -> list[dict[str, Any]]:
        """The user's messages as the next read gives them, while nothing goes wrong."""
        if source in self.vendors:
            await self.control(source, "DELETE", "faults")
        chat = (await client.ask(CHAT, id=self.chats[source]))["chat"]
        assert chat["messages"]["status"]["code"] == "OK"
        assert not chat["messages"]["pageInfo"]["hasPreviousPage"]
        return [one for one in chat["messages"]["nodes"] if one["role"] == "USER"]

    async def is_settled(self, client: Client, source: str) -> None:
        """The next read shows exactly what the source has; what it has not is still PENDING, or FAILED."""
        shown = await self.shows(client, source)
        assert len({one["id"] for one in shown}) == len(shown)
        there = Counter(one["text"] for one in shown if one["state"] == "COMPLETE")
        assert there == await self.held(source), (source, shown)


def _words(message: Mapping[str, Any]) -> str:
    return "".join(part.get("text", "") for part in message["content"])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    with simulated_vendors() as vendors:
        tables = "".join(a_table(key, url) for key, url in vendors.items())
        installation = Installation(tmp_path, sources=tables)
        yield World(installation, vendors, installation.an_organization("acme"))


def outcome_of(payload: Mapping[str, Any]) -> Outcome:
    """A message that is still PENDING when its sender was answered is one of unknown fate too."""
    if payload["userErrors"]:
        codes = [error["code"] for error in payload["userErrors"]]
        return Outcome.UNKNOWN if codes == ["OUTCOME_UNKNOWN"] else Outcome.FAILED
    return {"COMPLETE": Outcome.SENT, "PENDING": Outcome.UNKNOWN, "FAILED": Outcome.FAILED}[payload["message"]["state"]]


async def sends(client: Client, world: World, source: str, text: str, **fields: Any) -> Outcome:
    wanted = {"chatId": world.chats[source], "text": text, **fields}
    return outcome_of((await client.ask(SEND, input=wanted))["sendMessage"])


async def breaks(world: World, source: str, chance: random.Random) -> str:
    """The next connection that carries a message, or any one, is dropped at some moment; which one."""
    kind = chance.choice(["not", "before", "after", "middle", "random"])
    if kind == "not" or source not in world.vendors:
        return "not"
    if kind == "random":
        drop = chance.choice(["before", "after", "middle"])
        await world.control(source, "POST", "faults", drop=drop, times=chance.randint(1, 3))
        return f"{drop} anything"
    for operation in OPERATIONS[source]:
        await world.control(source, "POST", "faults", drop=kind, operation=operation, times=1)
    return kind


async def sends_some(world: World, client: Client, chance: random.Random, numbers: range) -> Counter[Outcome]:
    """Each source in turn; what the source holds afterwards is compared with what the sender was told."""
    told: Counter[Outcome] = Counter()
    for number in numbers:
        source, text = SOURCES[number % len(SOURCES)], SAME if number % 5 == 0 else f"Send {number}"
        before = await world.held(source)
        kind = await breaks(world, source, chance)
        outcome = await sends(client, world, source, text, reply=chance.choice(REPLIES[source]))
        told[outcome] += 1
        new = await world.held(source) - before
        assert new in ([Counter(), Counter([text])]), (number, source, kind, outcome, new)
        if outcome is Outcome.SENT:
            assert new == Counter([text]), (number, source, kind)
        if outcome is Outcome.FAILED:
            assert new == Counter(), (number, source, kind)
        await world.is_settled(client, source)
    return told


async def is_killed_while_sending(
    world: World, gateway: Gateway, client: Client, chance: random.Random
) -> dict[str, dict[str, Any]]:
    """A send to each source at once. Some vendors carry it out while the gateway stands still and hears nothing any more, others never do.

    The inputs, to be asked for once more.
    """
    inputs = {
        source: {"chatId": world.chats[source], "text": "Killed", "idempotencyKey": f"killed-{source}"}
        for source in SOURCES
    }
    never = chance.sample(sorted(world.vendors), 2)
    for source in world.vendors:
        await world.control(source, "DELETE", "calls")
        for operation in OPERATIONS[source]:
            delay_ms = 60_000 if source in never else 1_000
            await world.control(source, "POST", "faults", operation=operation, delay_ms=delay_ms, times=1)
    sending = [asyncio.create_task(client.post(SEND, input=one)) for one in inputs.values()]
    await asyncio.gather(*(until(world.is_asked, source) for source in world.vendors))
    gateway.process.send_signal(signal.SIGSTOP)
    await asyncio.gather(*(until(world.holds_killed, source) for source in world.vendors if source not in never))
    gateway.process.kill()
    gateway.process.wait()
    await asyncio.gather(*sending, return_exceptions=True)
    assert [(await world.held(source))["Killed"] for source in never] == [0, 0]
    return inputs


async def until(is_so: Callable[[str], Awaitable[bool]], source: str) -> None:
    ends = time.monotonic() + 30
    while not await is_so(source):
        assert time.monotonic() < ends, f"{is_so.__name__} did not become true for {source} within 30 s"
        await asyncio.sleep(0.01)  # another process acts; there is nothing to wait on


async def asks_once_more(world: World, client: Client, inputs: Mapping[str, Mapping[str, Any]]) -> None:
    """Under the same keys: what was sent is replayed, what nobody knows stays unknown, and nothing is sent twice."""
    for source, wanted in inputs.items():
        await world.is_settled(client, source)
        before = await world.held(source)
        assert before["Killed"] <= 1, source
        payload = (await client.ask(SEND, input=wanted))["sendMessage"]
        outcome, after = outcome_of(payload), await world.held(source)
        assert after["Killed"] <= 1, source
        assert outcome is not Outcome.FAILED, (source, payload)
        if before["Killed"]:
            assert (outcome, payload["replayed"]) == (Outcome.SENT, True), source
        assert (outcome is Outcome.SENT) == (after["Killed"] == 1), (source, payload)
        await world.is_settled(client, source)


async def test_broken_connections_and_a_killed_gateway_lose_and_repeat_nothing(world: World) -> None:
    chance = random.Random(20)
    half = SENDS // 2
    async with world.started() as (gateway, client):
        await world.opens_chats(client)
        told = await sends_some(world, client, chance, range(half))
        inputs = await is_killed_while_sending(world, gateway, client, chance)
    async with world.started() as (_, client):
        await asks_once_more(world, client, inputs)
        told += await sends_some(world, client, chance, range(half, SENDS))
        for source in SOURCES:
            await world.is_settled(client, source)
    assert told.total() == SENDS
    assert told[Outcome.SENT] > 0
    assert told[Outcome.UNKNOWN] > 0


@pytest.mark.parametrize("breaks_off", [False, True], ids=["undisturbed", "answers-lost"])
async def test_fifty_who_pin_at_once_leave_the_chat_pinned(world: World, breaks_off: bool) -> None:
    async with world.started() as (_, client):
        await world.opens_chats(client, ["open-webui"])
        if breaks_off:
            await world.control("open-webui", "POST", "faults", operation="pin_chat", drop="after", times=2)
        chat_id = world.chats["open-webui"]
        wanted = {"chatId": chat_id, "pinned": True}
        answers = await asyncio.gather(*(client.ask(PIN, input=wanted) for _ in range(50)))
        state = await world.control("open-webui", "GET", "state")
        (pinned,) = [one["pinned"] for one in state["chats"] if one["id"] == parse_id(chat_id).parts[0]]
        assert pinned is True
        assert [one["setChatPinned"] for one in answers] == [{"chat": {"pinned": True}, "userErrors": []}] * 50
