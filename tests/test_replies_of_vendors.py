"""Replies of vendors, over real sockets: a listener that is cut off at any word, and connects again, has the same text every time; and
who waits for a reply and leaves ends it at the vendor.

Open WebUI with an API key is read again and again while its reply grows, Lexicon tells it over a socket, Splox over two streams.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulators import lexicon, open_webui, splox
from simulators.serving import running
from tests.client import Client, a_client
from tests.gateway import Gateway
from tests.hostile.installation import Installation
from tests.joining import Reader, hard_words
from tests.test_crash import AGENTS, a_table
from tests.tier import count

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WORDS = count(long=300, least=40)
CUTS = count(long=300, least=10)
PACE_MS = 160 if CUTS > 100 else 40
"""Between two words. Open WebUI is looked at every 150 ms at the most often: slower words make as many deltas as there are words."""
PACES = {"open-webui": "fast_word_ms", "lexicon": "token_ms", "splox": "word_ms"}
CREATE = """mutation ($input: CreateChatInput!) { createChat(input: $input) {
  chat { id eventCursor } userErrors { code message } } }"""
SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
  reply { id } userErrors { code message } } }"""
AGAIN = """mutation ($input: RegenerateMessageInput!) { regenerateMessage(input: $input) {
  message { id } userErrors { code message } } }"""
CHAT = "query ($id: ID!) { chat(id: $id) { eventCursor messages(last: 20) { nodes { id role text state } } } }"
LIVE = """subscription ($chat: ID!, $after: EventCursor!) { chatEvents(chatIds: [$chat], after: $after) {
  __typename cursor
  ... on MessageCreated { message { id role text state } }
  ... on MessageDelta { messageId offset text }
  ... on MessageUpdated { message { id role text state } } } }"""


@dataclass
class Place:
    """A gateway whose sources are simulators that write at a pace that suits the test."""

    gateway: Gateway
    sources: dict[str, str]

    async def paces(self, source: str, milliseconds: float = PACE_MS) -> None:
        """Its next replies come at the pace of these tests."""
        async with httpx.AsyncClient(timeout=30) as http:
            said = {PACES[source]: milliseconds}
            (await http.post(f"{self.sources[source]}/__control/switches", json=said)).raise_for_status()

    async def new_chat(self, client: Client, source: str) -> dict[str, Any]:
        ids = {one["key"]: one["id"] for one in (await client.ask("{ sources { id key } }"))["sources"]}
        made = await client.do(CREATE, input={"sourceId": ids[source], **AGENTS[source]})
        return made["chat"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = {"open-webui": open_webui, "lexicon": lexicon, "splox": splox}
    with ExitStack() as stack:
        urls = {key: stack.enter_context(running(module.create_app())) for key, module in made.items()}
        folder = tmp_path_factory.mktemp("replies")
        tables = "".join(a_table(key, url) for key, url in urls.items())
        installation = Installation(Path(folder), sources=tables)
        yield Place(stack.enter_context(installation.serving(installation.an_organization("acme"))), urls)


async def reads(client: Client, chat: str, after: str, cut: int, ready: asyncio.Semaphore, reply: str | None) -> Reader:
    """Until the end of the reply (the first that is announced, where its id is not known yet); after `cut` deltas on another connection."""
    reader, is_over = Reader(), False
    while not is_over:
        async with client.events(LIVE, chat=chat, after=after) as events:
            while not is_over:
                event = await events.next(seconds=300)
                after = event["cursor"]
                match event["__typename"]:
                    case "CaughtUp":
                        ready.release()
                    case "MessageDelta" if event["messageId"] == reply:
                        reader.delta(event["offset"], event["text"])
                        if reader.deltas == cut:
                            break
                    case "MessageCreated" | "MessageUpdated":
                        message = event["message"]
                        if message["role"] == "ASSISTANT" and reply in (None, message["id"]):
                            reply = message["id"]
                            reader.message(message["text"])
                            is_over = message["state"] not in ("PENDING", "STREAMING")
    return reader


@contextlib.asynccontextmanager
async def readers_of(client: Client, chat: str, after: str) -> Any:
    """One for each cut, all of them subscribed; the block begins the reply, and gets what they have of it in the end."""
    ready = asyncio.Semaphore(0)
    done: list[Reader] = []
    tasks = []
    for cut in range(1, CUTS + 1):
        tasks.append(asyncio.create_task(reads(client, chat, after, cut, ready, None)))
        await asyncio.wait_for(ready.acquire(), 60)
    try:
        yield done
        done += await asyncio.wait_for(asyncio.gather(*tasks), 600)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def assert_alike(readers: list[Reader], text: str) -> None:
    assert [reader.text for reader in readers] == [text] * CUTS
    strange = [state for reader in readers for state in reader.states if not text.startswith(state)]
    assert strange == []
    assert max(reader.deltas for reader in readers) > 5


async def shown(client: Client, chat: str) -> list[dict[str, Any]]:
    return (await client.ask(CHAT, id=chat))["chat"]["messages"]["nodes"]


@pytest.mark.parametrize("source", ["open-webui", "lexicon", "splox"])
async def test_reply_that_is_cut_at_every_word_has_the_same_text(place: Place, source: str) -> None:
    async with a_client(place.gateway) as client:
        await place.paces(source)
        chat = await place.new_chat(client, source)
        async with readers_of(client, chat["id"], chat["eventCursor"]) as readers:
            wanted = {"chatId": chat["id"], "text": " ".join(hard_words(WORDS)), "reply": "STREAM"}
            sent = await client.do(SEND, input=wanted)
        (reply,) = [one for one in await shown(client, chat["id"]) if one["role"] == "ASSISTANT"]
        assert reply["id"] == sent["reply"]["id"]
        assert reply["text"].endswith(hard_words(WORDS)[-1])
        assert_alike(readers, reply["text"])


async def test_answer_once_more_is_cut_at_every_word_too(place: Place) -> None:
    async with a_client(place.gateway) as client:
        await place.paces("open-webui", 1)
        chat = await place.new_chat(client, "open-webui")
        wanted = {"chatId": chat["id"], "text": " ".join(hard_words(WORDS)), "reply": "WAIT"}
        first = await client.do(SEND, input=wanted)
        await place.paces("open-webui")
        after = (await client.ask(CHAT, id=chat["id"]))["chat"]["eventCursor"]
        async with readers_of(client, chat["id"], after) as readers:
            again = await client.do(AGAIN, input={"messageId": first["reply"]["id"]})
        (reply,) = [one for one in await shown(client, chat["id"]) if one["role"] == "ASSISTANT"]
        assert reply["id"] == again["message"]["id"] != first["reply"]["id"]
        assert_alike(readers, reply["text"])


# Leaving


STOPS = {"open-webui": "/stop", "splox": "/stop", "lexicon": None}
"""What the path of the call that stops a reply ends with, None where there is no such call."""


async def stops(place: Place, source: str) -> int:
    """How many calls came to stop a reply."""
    async with httpx.AsyncClient(timeout=30) as http:
        calls = (await http.get(f"{place.sources[source]}/__control/calls")).json()
    ending = STOPS[source]
    return sum(call["method"] == "POST" and ending is not None and call["path"].endswith(ending) for call in calls)


async def leaves_while_it_waits(client: Client, chat: str, text: str) -> None:
    """By HTTP: the connection is closed, once the words of the reply have begun to come."""
    after = (await client.ask(CHAT, id=chat))["chat"]["eventCursor"]
    async with client.events(LIVE, chat=chat, after=after) as events:
        wanted = {"chatId": chat, "text": text, "reply": "WAIT"}
        async with httpx.AsyncClient(timeout=60) as http:
            body = {"query": SEND, "variables": {"input": wanted}}
            asking = asyncio.create_task(http.post(client.url, json=body, headers=dict(client.headers)))
            await events.until(seconds=60, __typename="MessageDelta")
            assert not asking.done()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        while True:
            event = await events.until(seconds=60, __typename="MessageUpdated")
            if event["message"]["role"] == "ASSISTANT" and event["message"]["state"] != "STREAMING":
                return


@pytest.mark.parametrize("source", ["open-webui", "splox"])
async def test_client_that_leaves_while_it_waits_ends_the_reply_at_the_vendor(place: Place, source: str) -> None:
    async with a_client(place.gateway) as client:
        await place.paces(source)
        chat, before = (await place.new_chat(client, source))["id"], await stops(place, source)
        words = " ".join(hard_words(400))
        await leaves_while_it_waits(client, chat, words)
        assert await stops(place, source) == before + 1
        question, reply = await shown(client, chat)
        assert (question["text"], question["state"]) == (words, "COMPLETE")
        assert reply["state"] == "CANCELLED"
        assert len(reply["text"]) < len(words)


async def test_reply_of_a_vendor_that_cannot_stop_goes_on_when_who_waits_leaves(place: Place) -> None:
    async with a_client(place.gateway) as client:
        await place.paces("lexicon")
        chat = (await place.new_chat(client, "lexicon"))["id"]
        words = " ".join(hard_words(60))
        await leaves_while_it_waits(client, chat, words)
        _, reply = await shown(client, chat)
        assert reply["state"] == "COMPLETE"
        assert reply["text"].endswith(words)
