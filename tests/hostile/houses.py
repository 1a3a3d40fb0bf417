"""Simulators whose answers a test spoils on their way, operation by operation: what no fault of a simulator's control can say."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulators.control import Control
from tests.hostile.vendors import Answer

Change = Callable[[Any], Any]
"""From the body of a good answer to what is sent instead."""


@dataclass
class House:
    """One vendor. `changed`: by operation, what becomes of its good answers; `instead`: who answers it in the vendor's place.

    `asked`: the operations that were called, in their order.
    """

    control: Control
    changed: dict[str, Change] = field(default_factory=dict)
    instead: dict[str, ASGIApp] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation = self.control.operation_of(scope)
        if "/__control/" not in scope["path"]:
            self.asked.append(operation)
        if operation in self.instead:
            await self.instead[operation](scope, receive, send)
        elif operation in self.changed:
            await self._change(operation, scope, receive, send)
        else:
            await self.control(scope, receive, send)

    async def _change(self, operation: str, scope: Scope, receive: Receive, send: Send) -> None:
        told: list[Message] = []

        async def keep(message: Message) -> None:
            told.append(message)

        await self.control(scope, receive, keep)
        body = b"".join(message.get("body", b"") for message in told[1:])
        if told[0]["status"] < 300:
            body = json.dumps(self.changed[operation](json.loads(body))).encode()
        headers = [(name, value) for name, value in told[0]["headers"] if name != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({**told[0], "headers": headers})
        await send({"type": "http.response.body", "body": body})


def drops(count: int, pause_seconds: float = 0.02) -> Answer:
    """A body that comes byte by byte and means nothing until it is whole."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"["
        for _ in range(count):
            await asyncio.sleep(pause_seconds)
            yield b" "
        yield b"]"

    return chunks
