"""What others write at a vendor arrives by itself, through a real gateway and over real sockets, by polling alone where there is nothing else."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from simulators import chatlogger, kodey, lexicon, open_webui, splox
from simulators.control import Control
from simulators.keys import KEYS, OPTIONS, PATHS
from simulators.serving import running
from tests.client import Client, a_client
from tests.gateway import Gateway, served_gateway
from tests.tier import count

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
VENDORS: dict[str, Callable[..., Control]] = {
    "splox": splox.create_app,
    "lexicon": lexicon.create_app,
    "chatlogger": chatlogger.create_app,
    "kodey": kodey.create_app,
    "open_webui": open_webui.create_app,
}
QUICK = """[live]
linger_seconds = 0.5
poll_seconds_min = 0.05
poll_seconds_max = 0.5
polls_per_minute = 6000
"""
ADDED = "subscription ($id: ID, $after: EventCursor) { messageAdded(chatId: $id, after: $after) { chatId message { id text } } }"
EVERYTHING = """subscription ($after: EventCursor) { chatEvents(after: $after) { __typename
  ... on MessageCreated { chatId message { text } } ... on CaughtUp { incomplete { code source { key } } } } }"""


@dataclass
class Simulated:
    """A gateway, and where the vendors behind it are told what happens there."""

    gateway: Gateway
    urls: Mapping[str, str]

    async def emits(self, vendor: str, chat_id: str, text: str) -> None:
        """Somebody writes there."""
        async with httpx.AsyncClient() as http:
            body = {"chat_id": chat_id, "text": text, "role": "user"}
            (await http.post(f"{self.urls[vendor]}/__control/emit", json=body)).raise_for_status()

    async def calls(self, vendor: str) -> list[dict[str, Any]]:
        """What the vendor was asked."""
        async with httpx.AsyncClient() as http:
            found: list[dict[str, Any]] = (await http.get(f"{self.urls[vendor]}/__control/calls")).json()
            return found

    async def feeds(self) -> float:
        """How many the gateway says that it runs."""
        async with httpx.AsyncClient() as http:
            text = (await http.get(f"{self.gateway.origin}/metrics", headers=self.gateway.headers)).text
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("switchboard_feeds{"))


def a_source(vendor: str, url: str, **options: Any) -> str:
    """Its table in the settings."""
    credentials = ", ".join(f'{name} = "{value}"' for name, value in KEYS[vendor].items())
    lines = [f"{name} = {_toml(value)}" for name, value in {**OPTIONS.get(vendor, {}), **options}.items()]
    return f"""[[sources]]
organization = "acme"
key = "{vendor.replace("_", "-")}"
vendor = "{vendor}"
base_url = "{url}{PATHS.get(vendor, "")}"
credentials = {{ {credentials} }}
options = {{ {", ".join(lines)} }}
"""


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


@pytest.fixture(scope="module")
def simulated() -> Iterator[Simulated]:
    with ExitStack() as stack:
        urls = {vendor: stack.enter_context(running(create_app())) for vendor, create_app in VENDORS.items()}
        sources = "".join(a_source(vendor, url) for vendor, url in urls.items())
        yield Simulated(stack.enter_context(served_gateway(sources, settings=QUICK)), urls)


@asynccontextmanager
async def client_of(simulated: Simulated) -> AsyncIterator[Client]:
    async with a_client(simulated.gateway) as client:
        yield client


async def a_chat_of(client: Client, vendor: str) -> dict[str, Any]:
    """One that the vendor was seeded with, as a page with its cursor."""
    data = await client.ask("{ sources { id vendor } }")
    (source_id,) = [source["id"] for source in data["sources"] if source["vendor"] == vendor]
    listed = await client.ask(
        "query ($ids: [ID!]) { chats(first: 1, filter: {sourceIds: $ids}) { nodes { id } } }", ids=[source_id]
    )
    query = "query ($id: ID!) { chat(id: $id) { id nativeId eventCursor messages(last: 5) { nodes { id } } } }"
    found: dict[str, Any] = (await client.ask(query, id=listed["chats"]["nodes"][0]["id"]))["chat"]
    return found


@pytest.mark.parametrize("vendor", VENDORS)
async def test_messages_of_others_arrive_once_and_in_order(simulated: Simulated, vendor: str) -> None:
    chance = random.Random(vendor)
    texts = [f"{vendor} {number}" for number in range(count(long=200, least=6))]
    async with client_of(simulated) as client:
        chat = await a_chat_of(client, vendor)
        async with client.events(ADDED, id=chat["id"], after=chat["eventCursor"]) as events:

            async def somebody_writes() -> None:
                for text in texts:
                    await simulated.emits(vendor, chat["nativeId"], text)
                    await asyncio.sleep(chance.random() * 0.1)  # a person at a keyboard

            writing = asyncio.ensure_future(somebody_writes())
            arrived = [(await events.next(30))["message"]["text"] for _ in texts]
            await writing
        assert arrived == texts


async def test_whole_organization_hears_of_every_vendor(simulated: Simulated) -> None:
    async with client_of(simulated) as client:
        chats = {vendor: await a_chat_of(client, vendor) for vendor in VENDORS}
        after = (await client.ask("{ chats(first: 1) { eventCursor } }"))["chats"]["eventCursor"]
        async with client.events(EVERYTHING, after=after) as events:
            await events.until(30, __typename="CaughtUp", incomplete=[])
            for vendor, chat in chats.items():
                await simulated.emits(vendor, chat["nativeId"], f"To all who listen, {vendor}")
            missing = {(chat["id"], f"To all who listen, {vendor}") for vendor, chat in chats.items()}
            while missing:
                event = await events.next(30)
                if event["__typename"] == "MessageCreated":
                    missing.discard((event["chatId"], event["message"]["text"]))
        told = [event["message"]["text"] for event in events.seen if event["__typename"] == "MessageCreated"]
        assert len(told) == len(set(told))


async def test_client_that_was_away_gets_what_was_written_meanwhile_and_then_what_is_new(simulated: Simulated) -> None:
    async with client_of(simulated) as client:
        chat = await a_chat_of(client, "kodey")
        for round_ in range(count(long=20, least=2)):
            away, back = f"Away {round_}", f"Back {round_}"
            await simulated.emits("kodey", chat["nativeId"], away)
            async with client.events(ADDED, id=chat["id"], after=chat["eventCursor"]) as events:
                seen = [event["message"]["text"] for event in [await events.next(30)]]
                while seen[-1] != away:
                    seen.append((await events.next(30))["message"]["text"])
                await simulated.emits("kodey", chat["nativeId"], back)
                assert (await events.next(30))["message"]["text"] == back
                assert len(seen) == len(set(seen))


async def test_quota_holds_under_load_and_requests_still_get_through() -> None:
    per_minute, chats = 600, 60
    app = kodey.create_app(seed=False)
    with running(app) as url:
        source = a_source("kodey", url, requests_per_minute=per_minute)
        settings = QUICK.replace("polls_per_minute = 6000", f"polls_per_minute = {per_minute // 2}")
        with served_gateway(source, settings=settings) as gateway:
            simulated = Simulated(gateway, {"kodey": url})
            made = [app.simulator.create(kodey.TEAM, kodey.SEEDED_AGENTS[0], None, {}) for _ in range(chats)]  # type: ignore[attr-defined]
            async with client_of(simulated) as client:
                ids = await _ids_of(client, [chat.id for chat in made])
                query = """subscription ($ids: [ID!]) { chatEvents(chatIds: $ids) {
                  __typename ... on MessageCreated { message { text } } } }"""
                async with client.events(query, ids=ids) as events:
                    await _until(lambda: _asked(simulated, {chat.id for chat in made}))
                    for number in range(count(long=10)):
                        await simulated.emits("kodey", made[number].id, f"Under load {number}")
                        asked = await client.ask("query ($id: ID!) { chat(id: $id) { id } }", id=ids[-1])
                        assert asked["chat"]["id"] == ids[-1]
                        await events.until(60, __typename="MessageCreated", message={"text": f"Under load {number}"})
                calls = sorted(call["at"] for call in await simulated.calls("kodey"))
                _check_quota(calls, burst=per_minute / 10, per_second=per_minute / 60)
                await _until(lambda: _is_unwatched(simulated))
                before = len(await simulated.calls("kodey"))
                await client.ask("query ($id: ID!) { chat(id: $id) { id } }", id=ids[0])
                assert len(await simulated.calls("kodey")) == before + 1


async def _ids_of(client: Client, native_ids: list[str]) -> list[str]:
    found = await client.ask("{ chats(first: 100) { nodes { id nativeId } } }")
    return [node["id"] for node in found["chats"]["nodes"] if node["nativeId"] in native_ids]


async def _asked(simulated: Simulated, native_ids: set[str]) -> bool:
    paths = {call["path"] for call in await simulated.calls("kodey") if call["operation"] == "list_messages"}
    return all(any(native_id in path for path in paths) for native_id in native_ids)


async def _is_unwatched(simulated: Simulated) -> bool:
    return await simulated.feeds() == 0


async def _until(is_so: Any) -> None:
    async with asyncio.timeout(60):
        while not await is_so():  # noqa: ASYNC110  another process cannot ring a bell
            await asyncio.sleep(0.25)


def _check_quota(calls: list[float], *, burst: float, per_second: float) -> None:
    """In no stretch of time more than the burst and what was allowed since."""
    for start, began in enumerate(calls):
        for end in range(start, len(calls), 7):
            allowed = burst + per_second * (calls[end] - began) + 2
            assert end - start + 1 <= allowed, f"{end - start + 1} calls in {calls[end] - began:.2f} s"
