"""The store: its repositories over one database."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from storage import revision
from storage.chats import Chats
from storage.database import Database
from storage.events import Events, OnCommit
from storage.folders import Folders
from storage.followers import Followers
from storage.intents import Intents
from storage.messages import Messages, OnSettled
from storage.organizations import Organizations
from storage.read_markers import ReadMarkers
from storage.search import Search
from storage.sources import Sources

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


class Store:
    """Everything that the gateway keeps.

    Methods that write take the transaction first, so that a caller combines several: `await store.database.write(unit)`.
    Methods that read take a connection of the pool themselves and see what is committed.
    """

    def __init__(self, database: Database, clock: Clock = utc_now) -> None:
        self.database = database
        self.clock = clock
        self.organizations = Organizations(database)
        self.sources = Sources(database)
        self.events = Events(database)
        self.chats = Chats(database, self.events, clock)
        self.messages = Messages(database, self.events, self.chats, clock)
        self.followers = Followers(database)
        self.folders = Folders(database, self.events, self.chats, clock)
        self.intents = Intents(database)
        self.read_markers = ReadMarkers(database, self.events, clock)
        self.search = Search(database)

    def on_commit(self, callback: OnCommit) -> None:
        """Call back with (organization id, head of its log), in the loop, after each commit of this process that logged something."""
        self.events.on_commit(callback)

    def on_settled(self, callback: OnSettled) -> None:
        """Call back with (its id, whether it has ended), in the loop, after each commit of this process that ended a message or began it again."""
        self.messages.on_settled(callback)


@asynccontextmanager
async def open_store(url: str, *, readers: int = 4, clock: Clock = utc_now) -> AsyncIterator[Store]:
    """Open the store at `url`, bring its tables up to date, and close it afterwards."""
    await asyncio.to_thread(_bring_up_to_date, url)
    database = await Database.open(url, readers)
    try:
        yield Store(database, clock)
    finally:
        await database.close()


def _bring_up_to_date(url: str) -> None:
    if revision.is_newest(url):
        return
    from storage import migrate  # loads Alembic and most of SQLAlchemy, which nothing else needs

    migrate.upgrade(url)
