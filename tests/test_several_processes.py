"""Two gateways on one store, as two workers are: what one does the subscribers of the other see, and what one leaves behind the other settles."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from domain.ids import parse_id
from simulators import kodey, open_webui
from simulators.serving import running
from tests.client import Client, a_client
from tests.gateway import ROOT, Gateway
from tests.hostile.installation import Installation
from tests.joining import Reader
from tests.test_crash import AGENTS, a_table

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CREATE = """mutation ($input: CreateChatInput!) { createChat(input: $input) {
  chat { id eventCursor } userErrors { code message } } }"""
SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
  message { id state } reply { id state } replayed userErrors { code message } } }"""
CHAT = "query ($id: ID!) { chat(id: $id) { eventCursor messages(last: 20) { nodes { id role text state } } } }"
LIVE = """subscription ($chat: ID!, $after: EventCursor!) { chatEvents(chatIds: [$chat], after: $after) {
  __typename cursor
  ... on MessageCreated { message { id role text state } }
  ... on MessageDelta { messageId offset text }
  ... on MessageUpdated { message { id role text state } } } }"""


@dataclass
class Place:
    """An installation that two gateways serve, and its vendors."""

    installation: Installation
    sources: dict[str, str]
    first: Gateway
    second: Gateway

    async def control(self, source: str, method: str, path: str, **said: Any) -> Any:
        async with httpx.AsyncClient(timeout=30) as http:
            answer = await http.request(method, f"{self.sources[source]}/__control/{path}", json=said)
        return answer.raise_for_status().json()

    async def new_chat(self, client: Client, source: str) -> tuple[str, str]:
        ids = {one["key"]: one["id"] for one in (await client.ask("{ sources { id key } }"))["sources"]}
        made = await client.do(CREATE, input={"sourceId": ids[source], **AGENTS.get(source, {})})
        await client.ask(CHAT, id=made["chat"]["id"])  # what comes now is news
        return made["chat"]["id"], made["chat"]["eventCursor"]


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, dict[str, str], Gateway]]:
    """The vendors, and the gateway that outlives the other one of each test."""
    with ExitStack() as stack:
        made = {"open-webui": open_webui, "kodey": kodey}
        urls = {key: stack.enter_context(running(module.create_app())) for key, module in made.items()}
        tables = "".join(a_table(key, url) for key, url in urls.items())
        installation = Installation(tmp_path_factory.mktemp("several"), sources=tables)
        yield installation, urls, stack.enter_context(installation.serving(installation.an_organization("acme")))


@pytest.fixture
def place(standing: tuple[Installation, dict[str, str], Gateway]) -> Iterator[Place]:
    installation, urls, second = standing
    with installation.serving(second.api_key) as first:
        yield Place(installation, urls, first, second)


async def read_to_the_end(events: Any, reply: str) -> Reader:
    reader = Reader()
    while True:
        event = await events.next(seconds=40)
        if event["__typename"] == "MessageDelta" and event["messageId"] == reply:
            reader.delta(event["offset"], event["text"])
        elif event["__typename"] in ("MessageCreated", "MessageUpdated") and event["message"]["id"] == reply:
            reader.message(event["message"]["text"])
            if event["message"]["state"] not in ("PENDING", "STREAMING"):
                return reader


async def test_words_of_a_reply_reach_the_subscribers_of_another_process(place: Place) -> None:
    await place.control("open-webui", "POST", "switches", fast_word_ms=60)
    async with a_client(place.first) as here, a_client(place.second) as there:
        chat, cursor = await place.new_chat(here, "open-webui")
        async with there.events(LIVE, chat=chat, after=cursor) as events:
            await events.until(__typename="CaughtUp")
            words = " ".join(f"{number}👋" for number in range(40))
            sent = await here.do(SEND, input={"chatId": chat, "text": words})
            reader = await read_to_the_end(events, sent["reply"]["id"])
        assert reader.text.endswith(words)
        assert reader.deltas >= 3
        assert all(reader.text.startswith(state) for state in reader.states)


async def test_reply_whose_process_is_killed_is_finished_by_another_one(place: Place) -> None:
    await place.control("open-webui", "POST", "switches", slow_word_ms=100)
    async with a_client(place.first) as here, a_client(place.second) as there:
        chat, cursor = await place.new_chat(here, "open-webui")
        async with there.events(LIVE, chat=chat, after=cursor) as events:
            await events.until(__typename="CaughtUp")
            words = " ".join(str(number) for number in range(60))
            sent = await here.do(SEND, input={"chatId": chat, "text": words, "model": "fake-slow"})
            await events.until(__typename="MessageDelta")
            place.first.process.send_signal(signal.SIGKILL)
            began = time.monotonic()
            reader = await read_to_the_end(events, sent["reply"]["id"])
            assert time.monotonic() - began < 30
        assert reader.text.endswith(words)
        (reply,) = [
            one for one in (await there.ask(CHAT, id=chat))["chat"]["messages"]["nodes"] if one["role"] != "USER"
        ]
        assert (reply["id"], reply["state"], reply["text"]) == (sent["reply"]["id"], "COMPLETE", reader.text)


async def test_message_whose_process_is_killed_is_settled_by_another_one(place: Place) -> None:
    """The vendor carries it out while its sender stands still and hears nothing any more; nobody reads the chat."""
    await place.control("kodey", "POST", "faults", operation="send_message", delay_ms=500, times=1)
    async with a_client(place.first) as here, a_client(place.second) as there:
        chat, cursor = await place.new_chat(here, "kodey")
        async with there.events(LIVE, chat=chat, after=cursor) as events:
            await events.until(__typename="CaughtUp")
            wanted = {"chatId": chat, "text": "Killed", "idempotencyKey": "k"}
            sent = await here.do(SEND, input=wanted)
            assert sent["message"]["state"] == "PENDING"
            place.first.process.send_signal(signal.SIGSTOP)
            native = parse_id(chat).parts[0]
            async with asyncio.timeout(30):
                while True:
                    chats = (await place.control("kodey", "GET", "state"))["chats"]
                    if next(one for one in chats if one["id"] == native)["messages"]:
                        break
                    await asyncio.sleep(0.02)  # another process acts; there is nothing to wait on
            place.first.process.send_signal(signal.SIGKILL)
            reader = await read_to_the_end(events, sent["reply"]["id"])
            assert reader.text
        again = await there.do(SEND, input=wanted)
        assert (again["replayed"], again["message"]["state"]) == (True, "COMPLETE")
        assert again["message"]["id"] == sent["message"]["id"]


async def test_what_the_command_line_reads_wakes_subscribers(place: Place) -> None:
    async with a_client(place.second) as here:
        chat, cursor = await place.new_chat(here, "open-webui")
        async with here.events(LIVE, chat=chat, after=cursor) as events:
            await events.until(__typename="CaughtUp")
            await place.control("open-webui", "POST", "emit", chat_id=parse_id(chat).parts[0], text="From elsewhere")
            await asyncio.to_thread(place.installation.run, "sync", "--organization", "acme", "--again", "open-webui")
            event = await events.until(__typename="MessageCreated")
            assert event["message"]["text"] == "From elsewhere"


_WRITER = """
import asyncio, sys
from domain.records import MessageRole
from domain.source import NewMessage
from storage.local import connector
from storage.store import open_store

async def main(url, source_id, chat, text):
    async with open_store(url, readers=1) as store:
        source = next(one for one in await store.sources.of(1) if one.id == source_id)
        live = connector(store).connect(source, {})
        new = NewMessage(id=text, reply_id="", chat_id=chat, role=MessageRole.USER, text=text, parent_id=None, wants_reply=False)
        async for _ in live.send_message(new):
            pass

asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]))
"""


async def test_any_process_that_writes_into_the_store_wakes_subscribers(place: Place) -> None:
    async with a_client(place.second) as here:
        chat, cursor = await place.new_chat(here, "local")
        parsed = parse_id(chat)
        async with here.events(LIVE, chat=chat, after=cursor) as events:
            await events.until(__typename="CaughtUp")
            for text in ("One", "Two"):
                arguments = [f"sqlite:///{place.installation.database}", str(parsed.short), parsed.parts[0], text]
                await asyncio.to_thread(
                    subprocess.run, [sys.executable, "-c", _WRITER, *arguments], cwd=ROOT, check=True
                )
                event = await events.until(__typename="MessageCreated")
                assert event["message"]["text"] == text
