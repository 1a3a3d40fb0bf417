"""The store: its repositories over one database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from storage import migrate
from storage.database import Database
from storage.organizations import Organizations
from storage.sources import Sources


class Store:
    """Everything that the gateway keeps.

    Methods that write take the transaction first, so that a caller combines several: `await store.database.write(unit)`.
    Methods that read take a connection of the pool themselves and see what is committed.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.organizations = Organizations(database)
        self.sources = Sources(database)


@asynccontextmanager
async def open_store(url: str, *, readers: int = 4) -> AsyncIterator[Store]:
    """Open the store at `url`, bring its tables up to date, and close it afterwards."""
    await asyncio.to_thread(migrate.upgrade, url)
    database = await Database.open(url, readers)
    try:
        yield Store(database)
    finally:
        await database.close()
