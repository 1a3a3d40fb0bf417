"""A small GraphQL client for tests, over real sockets: queries by HTTP, subscriptions by graphql-transport-ws."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.gateway import Gateway


@dataclass
class Client:
    """Asks one gateway with one key. `ask` gives the data, and fails the test on any top-level error."""

    url: str
    headers: Mapping[str, str]
    http: httpx.AsyncClient = field(repr=False)

    async def post(self, query: str, **variables: Any) -> dict[str, Any]:
        """The whole response."""
        answer = await self.http.post(self.url, json={"query": query, "variables": variables}, headers=self.headers)
        return answer.json()

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data."""
        body = await self.post(query, **variables)
        assert "errors" not in body, body["errors"]
        return body["data"]

    async def do(self, mutation: str, **variables: Any) -> dict[str, Any]:
        """The payload of the only field of a mutation, which must have no user errors."""
        (payload,) = (await self.ask(mutation, **variables)).values()
        assert payload.get("userErrors") == [], payload["userErrors"]
        return payload

    async def refused(self, mutation: str, **variables: Any) -> dict[str, Any]:
        """The only user error of a mutation."""
        (payload,) = (await self.ask(mutation, **variables)).values()
        (error,) = payload["userErrors"]
        return error

    @asynccontextmanager
    async def events(self, query: str, **variables: Any) -> AsyncIterator["Events"]:
        """A subscription; its events are read with `next()` or `until()`."""
        url = self.url.replace("http", "ws", 1)
        async with connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
            await socket.send(json.dumps({"type": "connection_init", "payload": dict(self.headers)}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            await socket.send(
                json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query, "variables": variables}})
            )
            yield Events(socket)


@dataclass
class Events:
    """What a subscription brings."""

    socket: ClientConnection
    seen: list[dict[str, Any]] = field(default_factory=list)

    async def message(self, seconds: float = 10) -> dict[str, Any]:
        """The next message of the protocol that is not a ping."""
        while True:
            message = json.loads(await asyncio.wait_for(self.socket.recv(), seconds))
            if message["type"] != "ping":
                return message

    async def next(self, seconds: float = 10) -> dict[str, Any]:
        """The next event; an error of the protocol fails the test."""
        message = await self.message(seconds)
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message["payload"]["errors"]
        (event,) = message["payload"]["data"].values()
        self.seen.append(event)
        return event

    async def until(self, seconds: float = 15, **wanted: Any) -> dict[str, Any]:
        """The first event from now on that has these fields with these values."""
        async with asyncio.timeout(seconds):
            while True:
                event = await self.next(seconds)
                if all(event.get(name) == value for name, value in wanted.items()):
                    return event


@asynccontextmanager
async def a_client(gateway: Gateway, **headers: str) -> AsyncIterator[Client]:
    """A client with the demo's key."""
    async with httpx.AsyncClient(timeout=30) as http:
        yield Client(gateway.url, {**gateway.headers, **headers}, http)
