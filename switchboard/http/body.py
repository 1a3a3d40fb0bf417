"""Reads a request's body within limits of size and time, which neither ASGI nor uvicorn sets."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from domain.errors import ErrorCode
from switchboard.http.problem import Problem

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_DRAIN_BYTES = 8 * 1024 * 1024
_DRAIN_SECONDS = 2.0
_CLOSE = {"Connection": "close"}


class ClientGone(Exception):
    """The client closed the connection; nobody reads an answer."""


async def read_body(receive: Receive, headers: Mapping[str, str], *, limit_bytes: int, timeout_seconds: float) -> bytes:
    """The whole body. Raises `Problem` with 413 beyond the limit, 408 when it does not come in time, and `ClientGone`."""
    chunks: list[bytes] = []
    await _take(receive, headers, chunks.append, limit_bytes, timeout_seconds)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def skip_body(receive: Receive, headers: Mapping[str, str], *, limit_bytes: int, timeout_seconds: float) -> None:
    """Let the body go by, within the same bounds and with the same errors as `read_body`. Nothing of it is kept."""
    await _take(receive, headers, lambda chunk: None, limit_bytes, timeout_seconds)


async def _take(
    receive: Receive,
    headers: Mapping[str, str],
    take: Callable[[bytes], None],
    limit_bytes: int,
    timeout_seconds: float,
) -> None:
    announced = headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > 15 or int(announced) > limit_bytes):
        if headers.get("expect", "").lower() != "100-continue":
            await _drain(receive)
        raise _too_large(limit_bytes, int(announced[:15]))
    try:
        async with asyncio.timeout(timeout_seconds):
            await _hand_on(receive, take, limit_bytes)
    except TimeoutError:
        raise Problem(
            408,
            f"Reading the body: it was not complete after {timeout_seconds:g} seconds. Send the whole body at once.",
            code=ErrorCode.LIMIT_EXCEEDED,
            headers=_CLOSE,
        ) from None


async def _hand_on(receive: Receive, take: Callable[[bytes], None], limit_bytes: int) -> None:
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit_bytes:
            if message.get("more_body"):
                await _drain(receive)
            raise _too_large(limit_bytes, size)
        take(chunk)
        if not message.get("more_body"):
            return


async def _drain(receive: Receive) -> None:
    """Read on for a moment and throw away: a connection closed with unread data resets the client before it sees the answer."""
    drained = 0
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while drained < _DRAIN_BYTES:
                message = await receive()
                drained += len(message.get("body", b""))
                if not message.get("more_body"):
                    return
    except TimeoutError:
        return


def _too_large(limit_bytes: int, figure: int) -> Problem:
    return Problem(
        413,
        f"Reading the body: it has at least {figure} bytes, and {limit_bytes} is the limit. Send less at once.",
        code=ErrorCode.LIMIT_EXCEEDED,
        headers=_CLOSE,
        extensions={"limit": limit_bytes, "figure": figure},
    )
