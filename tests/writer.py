"""A writer that is held up: everything that is to be written waits until the test lets it go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from storage.database import Database, Transaction


@asynccontextmanager
async def held(database: Database) -> AsyncIterator[asyncio.Event]:
    """Inside the block nothing is committed, unless the event that it gives is set."""
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def unit(tx: Transaction) -> None:
        inside.set()
        await go_on.wait()

    holding = asyncio.create_task(database.write(unit))
    await inside.wait()
    try:
        yield go_on
    finally:
        go_on.set()
        await holding


async def until_something_waits(database: Database, *, unless: "asyncio.Future[Any]") -> None:
    """Until somebody's unit stands behind the one that holds the writer, or `unless` is done."""
    while database._jobs.empty() and not unless.done():
        await database.fetch_one("SELECT 1")  # readers are not held up, and the loop goes on meanwhile
