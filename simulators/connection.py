"""The TCP connection under a request or a socket, so that a simulator can drop it as real servers do, and tell it from others.

ASGI knows no such thing. The protocols here put the connection into the scope, with a number that no other one of this
process has; `drop` closes it.
"""

import asyncio
import itertools
from typing import Any

from starlette.types import Receive, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request as Handshake

_KEY = "simulators.transport"
_numbers = itertools.count(1)


class DroppableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with the transport in `scope["extensions"]`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn narrows it
        super().connection_made(transport)
        self._number = next(_numbers)

    def on_headers_complete(self) -> None:
        self.scope["extensions"] = {_KEY: {"transport": self.transport, "number": self._number}}
        super().on_headers_complete()


class DroppableSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, with the transport in `scope["extensions"]`."""

    def handle_connect(self, event: Handshake) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:  # else there is no scope: it was no handshake
            self.scope["extensions"][_KEY] = {"transport": self.transport, "number": next(_numbers)}


def number_of(scope: Scope) -> int | None:
    extensions: dict[str, Any] = scope.get("extensions") or {}
    return extensions[_KEY]["number"] if _KEY in extensions else None


def transport_of(scope: Scope) -> asyncio.Transport:
    extensions: dict[str, Any] = scope.get("extensions") or {}
    if _KEY not in extensions:
        raise RuntimeError("a connection can be dropped only on a real socket: use simulators.serving.serve(app)")
    transport: asyncio.Transport = extensions[_KEY]["transport"]
    return transport


async def drop(scope: Scope, receive: Receive) -> None:
    """Send what was already given to the socket, then close it, and return when it is closed."""
    transport_of(scope).close()
    await _leaving(receive)


async def left_within(receive: Receive, seconds: float) -> bool:
    """Wait so long, or until the caller leaves; whether it left."""
    try:
        await asyncio.wait_for(_leaving(receive), seconds)
    except TimeoutError:
        return False
    return True


async def _leaving(receive: Receive) -> None:
    while not (await receive())["type"].endswith(".disconnect"):
        pass
