"""Forgets what is older than the settings want it kept: events of the log, idempotency keys, and the mirror of chats long unseen."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from domain.records import Organization
from resolvers.context import Gateway
from storage.database import Transaction
from storage.intents import KEPT
from switchboard.settings import Settings

_EVERY_SECONDS = 600.0
_log = logging.getLogger(__name__)


async def forget_old(gateway: Gateway, settings: Settings) -> None:
    """Forget once, one organization after the other, so that nobody waits long to write."""
    for organization in await gateway.store.organizations.all():
        await _forget_of(gateway, settings, organization)


async def _forget_of(gateway: Gateway, settings: Settings, organization: Organization) -> None:
    store, now = gateway.store, gateway.clock()
    keep = [
        source.id for source in await store.sources.of(organization.id) if _is_the_source_itself(gateway, source.vendor)
    ]

    async def forget_events(tx: Transaction) -> bool:
        before = now - timedelta(days=settings.events.retention_days)
        return await store.events.forget_before(tx, organization.id, before)

    async def unit(tx: Transaction) -> None:
        await store.intents.forget_before(tx, organization.id, now - KEPT)
        unseen = now - timedelta(days=settings.mirror.retention_days)
        await store.chats.forget_unseen(tx, organization.id, unseen, keep)

    while await store.database.write(forget_events):
        continue  # others write in between
    await store.database.write(unit)


def _is_the_source_itself(gateway: Gateway, vendor: str) -> bool:
    """Rows that are no copy of anything are never forgotten; nor are those of a vendor that this build does not know."""
    connector = gateway.connectors.get(vendor)
    return connector is None or connector.capabilities.reads_from_store


@asynccontextmanager
async def forgetting(
    gateway: Gateway, settings: Settings, *, every_seconds: float = _EVERY_SECONDS
) -> AsyncIterator[None]:
    """Forget at once and then again and again, until the block is left."""
    task = asyncio.create_task(_again_and_again(gateway, settings, every_seconds), name="retention")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _again_and_again(gateway: Gateway, settings: Settings, every_seconds: float) -> None:
    while True:
        try:
            await forget_old(gateway, settings)
        except sqlite3.Error:  # a full or busy disk: the next time is soon enough
            _log.exception("What is too old could not be forgotten. It is tried again in %s seconds.", every_seconds)
        await asyncio.sleep(every_seconds)
