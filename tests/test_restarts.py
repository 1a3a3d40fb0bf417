"""A gateway that ends in order, or is killed, again and again, while messages are sent: whoever resumes has each one once, in order.

Another gateway on the same store goes on writing all the while, as another worker does.
"""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.client import Client, a_client
from tests.gateway import Gateway
from tests.hostile.installation import Installation
from tests.tier import count

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MESSAGES = count(long=1000, least=100)
ENDS = (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, signal.SIGTERM, signal.SIGKILL)
CREATE = 'mutation ($id: ID!) { createChat(input: {sourceId: $id, title: "Shared"}) { chat { id eventCursor } userErrors { message } } }'
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } userErrors { message } } }"
LIVE = "subscription ($chat: ID!, $after: EventCursor!) { messageAdded(chatId: $chat, after: $after) { cursor message { text } } }"


@dataclass
class Place:
    """Where the gateway is now that is ended and started again; None while there is none."""

    gateway: Gateway | None = None
    started: asyncio.Event = field(default_factory=asyncio.Event)

    async def url(self) -> str:
        await self.started.wait()
        assert self.gateway is not None
        return self.gateway.url


@dataclass
class Subscriber:
    """Keeps what it gets, and where it was; `endings` is how its connections ended."""

    place: Place
    headers: dict[str, str]
    chat: str
    cursor: str
    texts: list[str] = field(default_factory=list)
    endings: list[str] = field(default_factory=list)

    def take(self, event: dict[str, Any]) -> None:
        assert "errors" not in event, event
        added = event["data"]["messageAdded"]
        self.texts.append(added["message"]["text"])
        self.cursor = added["cursor"]

    async def until(self, number: int, listen: Callable[["Subscriber"], Awaitable[str]]) -> None:
        """Listen until so many messages came, on as many connections as that takes."""
        while len(self.texts) < number:
            try:
                self.endings.append(await listen(self))
            except (OSError, InvalidHandshake, httpx.TransportError):
                await asyncio.sleep(0.05)  # nobody is there now


async def over_websocket(subscriber: Subscriber) -> str:
    """One connection; the code that it was closed with."""
    url = (await subscriber.place.url()).replace("http", "ws", 1)
    async with connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        try:
            await socket.send(json.dumps({"type": "connection_init", "payload": subscriber.headers}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            variables = {"chat": subscriber.chat, "after": subscriber.cursor}
            payload = {"query": LIVE, "variables": variables}
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
            while len(subscriber.texts) < MESSAGES:
                message = json.loads(await socket.recv())
                assert message["type"] in ("next", "ping"), message
                if message["type"] == "next":
                    subscriber.take(message["payload"])
        except ConnectionClosed as closed:
            return str(closed.rcvd.code) if closed.rcvd is not None else "broken"
    return "done"


async def over_events(subscriber: Subscriber) -> str:
    """One stream, continued by the id of its last event; `complete` would be its end for good."""
    url = await subscriber.place.url()
    headers = {**subscriber.headers, "Accept": "text/event-stream"}
    first = subscriber.cursor
    if subscriber.texts:
        headers["Last-Event-ID"], first = subscriber.cursor, "overruled"
    body = {"query": LIVE, "variables": {"chat": subscriber.chat, "after": first}}
    async with (
        httpx.AsyncClient(timeout=httpx.Timeout(30, read=60)) as http,
        http.stream("POST", url, json=body, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        event, identity = "", ""
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                event = value
            elif name == "id":
                identity = value
            elif name == "data" and event == "next":
                subscriber.take(json.loads(value))
                assert identity == subscriber.cursor
            if len(subscriber.texts) == MESSAGES:
                return "done"
            assert event != "complete"
    return "ended"


@dataclass
class Writer:
    """Sends one message after the other, each once the one before was answered, as far as it is let."""

    client: Client
    chat: str
    sent: list[str] = field(default_factory=list)
    let: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def run(self) -> None:
        for number in range(MESSAGES):
            await self.let.acquire()
            await self.client.do(SEND, input={"chatId": self.chat, "text": f"Message {number}"})
            self.sent.append(f"Message {number}")

    def goes_on(self, number: int) -> None:
        for _ in range(number):
            self.let.release()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not is_so():  # noqa: ASYNC110  other processes act; there is nothing to wait on
            await asyncio.sleep(0.01)


async def ends_again_and_again(
    place: Place, installation: Installation, key: str, writer: Writer, subscribers: Sequence[Subscriber]
) -> None:
    """Started, and ended in the middle of what is sent, some of which comes while nobody is there; in the end it stays."""
    share = MESSAGES // (2 * len(ENDS) + 1)
    for number in ENDS:
        with installation.serving(key) as gateway:
            place.gateway = gateway
            place.started.set()
            known = [len(one.texts) for one in subscribers]
            writer.goes_on(share)
            await until(lambda: all(len(one.texts) > was for one, was in zip(subscribers, known, strict=True)))  # noqa: B023
            place.started.clear()
            gateway.process.send_signal(number)
            writer.goes_on(share)
            await asyncio.to_thread(gateway.process.wait, 60)
    writer.goes_on(MESSAGES)


async def test_resuming_over_ends_and_kills_brings_each_message_once_and_in_order(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    key = installation.an_organization("acme")
    place, headers = Place(), {"Authorization": f"Bearer {key}"}
    with installation.serving(key) as other:
        async with a_client(other) as client:
            source = (await client.ask("{ sources { id } }"))["sources"][0]["id"]
            chat = (await client.do(CREATE, id=source))["chat"]
            writer = Writer(client, chat["id"])
            socket, stream = (Subscriber(place, headers, chat["id"], chat["eventCursor"]) for _ in range(2))
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(writer.run())
                listening = [
                    tasks.create_task(socket.until(MESSAGES, over_websocket)),
                    tasks.create_task(stream.until(MESSAGES, over_events)),
                ]
                await ends_again_and_again(place, installation, key, writer, [socket, stream])
                with installation.serving(key) as gateway:
                    place.gateway = gateway
                    place.started.set()
                    await asyncio.wait_for(asyncio.gather(*listening), 120)
    assert socket.texts == stream.texts == writer.sent
    assert socket.endings.count("1001") == ENDS.count(signal.SIGTERM), "a gateway that ends in order says so"
    assert stream.endings.count("ended") == ENDS.count(signal.SIGTERM)
