"""Wakes subscribers for what other processes commit: workers of the same gateway, a second one, the command line, anything that writes into the store.

Neighbours that listen to each other (`switchboard.neighbours`) are faster; this finds what they do not tell, or whoever is none.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from resolvers.feed import Feed
from storage.changes import Changes

LOOK_SECONDS = 0.05
"""20 looks a second, while somebody listens, are 0.3 % of a processor."""

_log = logging.getLogger(__name__)


@asynccontextmanager
async def noticing(feed: Feed, changes: Changes, *, every_seconds: float = LOOK_SECONDS) -> AsyncIterator[None]:
    """Look again and again, until the block is left."""
    task = asyncio.create_task(_again_and_again(feed, changes, every_seconds), name="noticing other processes")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _again_and_again(feed: Feed, changes: Changes, every_seconds: float) -> None:
    while True:
        await feed.attended()
        await asyncio.sleep(every_seconds)
        try:
            for organization_id, head in changes.heads(feed.organizations()).items():
                feed.committed(organization_id, head)
        except sqlite3.Error:
            _log.exception("The store could not be looked at for what other processes commit. It is tried again.")
