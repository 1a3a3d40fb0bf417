"""One socket of somebody: subscriptions that stay open, and operations beside them, all by graphql-transport-ws."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.hostile.interleaved.judge import texts_in

Hear = Callable[[dict[str, Any]], None]
Check = Callable[[str, Collection[str]], None]
"""Takes each message as it came, before anything is made of it, and the texts that the operations under way have named."""

_SECONDS = 300.0


@dataclass
class Line:
    """`read` must run for as long as the line is used; it raises what `check` raises, and when the gateway hangs up."""

    socket: ClientConnection
    check: Check
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _asked: dict[str, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)
    _named: dict[str, list[str]] = field(default_factory=dict)
    _heard: dict[str, Hear] = field(default_factory=dict)

    async def read(self) -> None:
        """Until the socket ends."""
        async for raw in self.socket:
            assert isinstance(raw, str)
            self.check(raw, [text for named in self._named.values() for text in named])
            await self._take(json.loads(raw))
        raise AssertionError("the gateway closed a socket")

    async def ask(self, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """One operation; its whole response. Of a subscription the first event, and then it is ended."""
        number = f"ask-{next(self._numbers)}"
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        self._named[number] = texts_in(dict(variables))
        try:
            await self._subscribe(number, document, variables)
            return await asyncio.wait_for(answer, _SECONDS)
        finally:
            del self._asked[number], self._named[number]
            await self._say(type="complete", id=number)

    async def listen(self, document: str, variables: Mapping[str, Any], hear: Hear) -> None:
        """Subscribe for as long as the line lives."""
        number = f"listen-{next(self._numbers)}"
        self._heard[number] = hear
        await self._subscribe(number, document, variables)

    async def _take(self, message: dict[str, Any]) -> None:
        kind, number = message["type"], message.get("id", "")
        if kind == "ping":
            await self._say(type="pong")
        elif number in self._heard:
            assert kind == "next", message
            assert "errors" not in message["payload"], message
            (event,) = message["payload"]["data"].values()
            self._heard[number](event)
        elif number in self._asked and not self._asked[number].done() and kind != "complete":
            errors = {"errors": message["payload"]} if kind == "error" else message["payload"]
            self._asked[number].set_result(errors)

    async def _subscribe(self, number: str, document: str, variables: Mapping[str, Any]) -> None:
        await self._say(type="subscribe", id=number, payload={"query": document, "variables": dict(variables)})

    async def _say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))


@asynccontextmanager
async def a_line(url: str, headers: Mapping[str, str], check: Check) -> AsyncIterator[Line]:
    """Connected and let in."""
    # A message of any size: a list of chats is longer than the library's bound.
    async with connect(
        url.replace("http", "ws", 1),
        subprotocols=[Subprotocol("graphql-transport-ws")],
        max_size=None,
    ) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": dict(headers)}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        yield Line(socket, check)
