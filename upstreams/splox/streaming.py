"""One event stream of Splox: open, and read frame by frame."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from upstreams.client import UpstreamClient
from upstreams.requests import Request
from upstreams.splox.events import FrameReader

_SILENCE_SECONDS = 10.0
"""Three times the pause between two `keepalive`, and a little more: a stream that is silent for longer is broken."""


@asynccontextmanager
async def frames_of(client: UpstreamClient, request: Request) -> AsyncIterator[AsyncGenerator[Mapping[str, Any], None]]:
    """The frames of a stream that is open. They end when Splox closes it; a stream that breaks, or falls silent, raises `UpstreamError`."""
    async with (
        client.stream(request, silence_seconds=_SILENCE_SECONDS) as lines,
        aclosing(_read(client, lines)) as frames,
    ):
        yield frames


async def _read(client: UpstreamClient, lines: AsyncGenerator[bytes, None]) -> AsyncGenerator[Mapping[str, Any], None]:
    reader, counted = FrameReader(), 0
    async for line in lines:
        frame = reader.feed(line)
        client.garbled(reader.garbled - counted)
        counted = reader.garbled
        if frame is not None:
            yield frame
