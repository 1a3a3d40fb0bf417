"""Many simulated vendors behind one port, each below a path of its own, and answers that no simulator gives."""

import zlib
from collections.abc import AsyncIterator, Callable
from functools import cache

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Answer = Callable[[], AsyncIterator[bytes]]
MIB = 1024 * 1024


class Street:
    """One ASGI application for many: the first step of the path says whose house it is. Lifespan is nobody's."""

    def __init__(self, houses: dict[str, ASGIApp]) -> None:
        self.houses = houses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        _, name, rest = scope["path"].split("/", 2)
        raw = scope["raw_path"].split(b"/", 2)[2]
        await self.houses[name]({**scope, "path": f"/{rest}", "raw_path": b"/" + raw}, receive, send)


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


class Says:
    """A vendor that answers everything so."""

    def __init__(self, chunks: Answer, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.chunks = chunks
        self.status = status
        self.headers = {"content-type": "application/json"} | (headers or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        async for chunk in self.chunks():
            body: Message = {"type": "http.response.body", "body": chunk, "more_body": True}
            await send(body)
        await send({"type": "http.response.body", "body": b""})


def once(raw: bytes | str) -> Answer:
    """One piece."""

    async def chunks() -> AsyncIterator[bytes]:
        yield raw.encode() if isinstance(raw, str) else raw

    return chunks


def megabytes(count: int) -> Answer:
    """A list of chats that goes on and on."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"chats": ["'
        for _ in range(count):
            yield b"x" * MIB
        yield b'"]}'

    return chunks


@cache
def packed(megabytes_: int) -> bytes:
    """A small answer that is large when it is unpacked."""
    packer = zlib.compressobj(1, wbits=31)
    parts = [b'{"chats": ["', *[b"x" * MIB] * megabytes_, b'"]}']
    return b"".join([*map(packer.compress, parts), packer.flush()])
