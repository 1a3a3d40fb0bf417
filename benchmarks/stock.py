"""What Strawberry gives out of the box, for `benchmarks.fanout`: its router for FastAPI, and a queue for each subscriber.

    python -m benchmarks.stock

It serves on a free port, which it prints.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter

_QUEUES: "set[asyncio.Queue[MessageCreated]]" = set()


@strawberry.type
class Message:
    """As the gateway's, as far as the benchmark selects it."""

    id: strawberry.ID
    role: str
    text: str
    created_at: str


@strawberry.type
class MessageCreated:
    """As the gateway's."""

    cursor: str
    message: Message


@strawberry.type
class Query:
    """There has to be one."""

    hello: str = "world"


@strawberry.type
class Mutation:
    """Says something to everybody."""

    @strawberry.mutation
    async def say(self, text: str) -> bool:
        message = Message(
            id=strawberry.ID("AQMDAmMxAQMDAmMx"), role="USER", text=text, created_at="2026-11-21T04:37:38Z"
        )
        for queue in _QUEUES:
            queue.put_nowait(MessageCreated(cursor="AbIqtn_cCrcI7m_GKstZhF9bNl0", message=message))
        return True


@strawberry.type
class Subscription:
    """Everything that is said."""

    @strawberry.subscription
    async def message_added(self, chat_id: strawberry.ID) -> AsyncGenerator[MessageCreated, None]:
        queue: asyncio.Queue[MessageCreated] = asyncio.Queue()
        _QUEUES.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            _QUEUES.discard(queue)


class Server(uvicorn.Server):
    """Says where it is."""

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)  # noqa: T201  read by the parent


def main() -> None:
    """Serve as uvicorn does unless told otherwise, but for the fast loop, which the gateway has too."""
    app = FastAPI()
    app.include_router(GraphQLRouter(strawberry.Schema(Query, Mutation, Subscription)), prefix="/graphql")
    config = uvicorn.Config(app, host="127.0.0.1", port=0, loop="uvloop", log_level="critical", access_log=False)
    Server(config).run()


if __name__ == "__main__":
    main()
