"""A server on a real socket, with a clock that stands still until it is moved."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from simulators import lexicon
from simulators.serving import serve

Event = dict[str, Any]
KEY = {"X-API-Key": lexicon.API_KEY}


class Clock:
    """Epoch seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.25

    def __call__(self) -> float:
        return self.now


class Talk:
    """One open socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def next(self) -> Event:
        event: Event = json.loads(await self.socket.recv())
        return event

    async def until(self, kind: str) -> list[Event]:
        """What comes up to the first event of this kind, itself included."""
        events = [await self.next()]
        while events[-1]["event_type"] != kind:
            events.append(await self.next())
        return events

    async def send(self, content: str, **more: Any) -> None:
        await self.socket.send(json.dumps({"content": content} | more))

    async def ask(self, content: str) -> list[Event]:
        """All that comes for one question, the reply included."""
        await self.send(content)
        return await self.until("message_stream_ended")


Open = Callable[..., AbstractAsyncContextManager[Talk]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def switches() -> lexicon.Switches:
    return lexicon.Switches(begin_ms=0, token_ms=0)


@pytest.fixture
async def client(clock: Clock, switches: lexicon.Switches) -> AsyncIterator[httpx.AsyncClient]:
    app = lexicon.create_app(clock=clock, switches=switches)
    async with serve(app) as url, httpx.AsyncClient(base_url=url, headers=KEY) as client:
        yield client


@pytest.fixture
async def chat_id(client: httpx.AsyncClient) -> str:
    created: str = (await client.post("/api/v1/chats/", json={"user_id": "user-new"})).json()["id"]
    return created


@pytest.fixture
def open_socket(client: httpx.AsyncClient, chat_id: str) -> Open:
    """Opens a socket to the chat; an argument replaces a header, None leaves it out."""

    @asynccontextmanager
    async def opened(**headers: str | None) -> AsyncIterator[Talk]:
        usual = {"X-API-Key": lexicon.API_KEY, "X-User-ID": "user-new", "X-Chat-ID": chat_id}
        said: dict[str, str | None] = {**usual, **{name.replace("_", "-"): value for name, value in headers.items()}}
        url = str(client.base_url.copy_with(scheme="ws", path="/ws/chat"))
        sent = {name: value for name, value in said.items() if value is not None}
        async with connect(url, additional_headers=sent, proxy=None) as socket:
            yield Talk(socket)

    return opened


@pytest.fixture
def fault(client: httpx.AsyncClient) -> Callable[..., Awaitable[None]]:
    async def adding(**said: object) -> None:
        (await client.post("/__control/faults", json=said)).raise_for_status()

    return adding
