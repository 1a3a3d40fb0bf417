"""The TCP connection under a request or a socket, so that a simulator can drop it as real servers do.

ASGI knows no such thing. The protocols here put the connection into the scope; `drop` closes it.
"""

import asyncio
from typing import Any

from starlette.types import Receive, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request as Handshake

_KEY = "simulators.transport"


class DroppableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with the transport in `scope["extensions"]`."""

    def on_headers_complete(self) -> None:
        self.scope["extensions"] = {_KEY: {"transport": self.transport}}
        super().on_headers_complete()


class DroppableSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, with the transport in `scope["extensions"]`."""

    def handle_connect(self, event: Handshake) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:  # else there is no scope: it was no handshake
            self.scope["extensions"][_KEY] = {"transport": self.transport}


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
