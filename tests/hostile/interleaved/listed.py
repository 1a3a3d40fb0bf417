"""Which chats there are: as lists show them, as the store's file has them, and as the vendors hold them."""

import asyncio
import sqlite3
import time
from contextlib import closing
from typing import Any

from simulators import kodey, lexicon, splox
from simulators.chatlogger.accounts import ORGANIZATION
from tests.client import Client
from tests.hostile.interleaved.houses import House
from tests.hostile.interleaved.shelf import Source
from tests.hostile.interleaved.world import Actor, World

Place = tuple[str, str]
"""(key of the source, native id)."""
_SECONDS = 300.0
_ALL = """query ($after: String, $archived: Boolean) {
  chats(first: 100, after: $after, withinMs: 30000, filter: {archived: $archived}, orderBy: {field: CREATED_AT}) {
    pageInfo { hasNextPage endCursor } nodes { id nativeId source { id key vendor } } sources { code source { key } } } }"""


async def whole_list(world: World, actor: Actor) -> dict[str, tuple[Place, Source]]:
    """Every chat that somebody is shown, archived or not, by its id."""
    found: dict[str, tuple[Place, Source]] = {}
    async with world.client(actor.credential, actor.organization) as client:
        for archived in (False, True):
            after, more = None, True
            while more:
                page = await _whole_page(client, after=after, archived=archived)
                for node in page["nodes"]:
                    found[node["id"]] = (node["source"]["key"], node["nativeId"]), Source(**node["source"])
                after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    return found


async def _whole_page(client: Client, **variables: Any) -> dict[str, Any]:
    """To which every source contributed: one that failed a moment ago may still be left alone."""
    ends = time.monotonic() + _SECONDS
    while True:
        page: dict[str, Any] = (await client.ask(_ALL, **variables))["chats"]
        if {status["code"] for status in page["sources"]} == {"OK"}:
            return page
        assert time.monotonic() < ends, page["sources"]
        await asyncio.sleep(0.5)  # the gateway's own clock; there is nothing to wait on


def kept(world: World, organization: str) -> set[Place]:
    """What the store's file has of an organization's chats."""
    sql = (
        "SELECT source.key, chat.native_id FROM chat JOIN source ON source.id = chat.source_id "
        "JOIN organization ON organization.id = chat.organization_id WHERE organization.slug = ? AND chat.deleted_at IS NULL"
    )
    with closing(sqlite3.connect(f"file:{world.installation.database}?mode=ro", uri=True)) as store:
        return set(store.execute(sql, (organization,)).fetchall())


def held(house: House) -> set[Place]:
    """What a vendor holds, as far as the account of its source may see it."""
    vendor: Any = house.control.simulator
    flows = (splox.ASSISTANT.workflow_id, splox.SLOW.workflow_id)
    if house.vendor == "kodey":
        ids = [chat.id for chat in vendor.chats.values() if chat.team == kodey.TEAM]
    elif house.vendor == "splox":
        ids = [chat.id for chat in vendor.store.chats.values() if chat.resource_id in flows]
    elif house.vendor == "lexicon":
        ids = [chat.id for chat in vendor.store.chats.values() if chat.user in lexicon.SEEDED_USERS]
    elif house.vendor == "chatlogger":
        ids = [str(chat.id) for chat in vendor.store.chats.values() if chat.organization == ORGANIZATION]
    else:
        ids = [chat.id for chat in vendor.store.chats.values() if chat.user_id == vendor.users[0].id]
    return {(house.key, native) for native in ids}
