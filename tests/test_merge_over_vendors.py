"""The merge's promise through `POST /graphql`, over every real connector: what stays unchanged is shown once and in order, whatever happens around it."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import pytest

from domain.ids import IdType, parse_id_of
from simulators import chatlogger, kodey, lexicon, open_webui, splox
from simulators.serving import running
from tests.cells.world import source_table
from tests.client import Client
from tests.gateway import Gateway
from tests.hostile.installation import Installation
from tests.own_api import Dial, OwnApi, Row
from tests.tier import count

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MAKERS: Mapping[str, Any] = {
    "splox": splox.create_app,
    "lexicon": lexicon.create_app,
    "chatlogger": chatlogger.create_app,
    "kodey": kodey.create_app,
    "open_webui": open_webui.create_app,
}
STOCK = {"splox": 25, "lexicon": 70, "chatlogger": 60, "kodey": 25, "open_webui": 130}
"""Vendor → how many chats it begins with: more than one page where the vendor has pages."""
LOCAL_STOCK = 12
MOMENTS = [1_780_000_000 + 3600 * hour for hour in range(40)]
"""When chats are made: few enough that many are equal, in a source and across sources."""
TITLES = ["Alpha", "alpha", "ALPHA", "Beta", "Éclair", "éclair", "zeta", "Straße", "STRASSE", "one more"]
LIST = """query ($first: Int, $after: String, $last: Int, $before: String, $filter: ChatFilter, $orderBy: ChatOrder) {
  chats(first: $first, after: $after, last: $last, before: $before, filter: $filter, orderBy: $orderBy, withinMs: 30000) {
    edges { cursor node { id nativeId } } pageInfo { hasNextPage hasPreviousPage }
    sources { code asOf stale message source { id key } } } }"""
CREATE = "mutation ($input: CreateChatInput!) { createChat(input: $input) { chat { id } userErrors { code message } } }"
DELETE = "mutation ($input: DeleteChatInput!) { deleteChat(input: $input) { userErrors { code message } } }"
TOUCH = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { userErrors { code message } } }"
Place = tuple[int, str]
"""A source's number and a native id: what ties go by."""


@dataclass
class Running:
    """The gateway, the simulators' addresses and clocks, and what was written when, which outlives a test."""

    gateway: Gateway
    urls: Mapping[str, str]
    dials: Mapping[str, Dial]
    changed: dict[str, dict[str, float]] = field(default_factory=lambda: {vendor: {} for vendor in MAKERS})
    local: dict[str, float] = field(default_factory=dict)
    """Global ids of the local chats → when they were last written to."""


@dataclass
class World:
    """Six sources: five by their own APIs, and the local one by the gateway's. `numbers`: vendor → its source's number."""

    running: Running
    client: Client
    vendors: Mapping[str, OwnApi]
    source_ids: Mapping[str, str]

    @property
    def numbers(self) -> dict[str, int]:
        return {vendor: _number(source_id) for vendor, source_id in self.source_ids.items()}

    async def rows(self) -> dict[Place, Row]:
        """Everything that is held now."""
        found: dict[Place, Row] = {}
        for vendor, own in self.vendors.items():
            found |= {(self.numbers[vendor], native_id): row for native_id, row in (await own.rows()).items()}
        data = await self.client.ask(
            "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Chat { nativeId title createdAt updatedAt } } }",
            ids=list(self.running.local),
        )
        for chat in filter(None, data["nodes"]):
            row = Row(chat["nativeId"], chat["title"], _micros(chat["createdAt"]), _micros(chat["updatedAt"]))
            found[self.numbers["local"], row.native_id] = row
        return found

    def changed_at(self, place: Place) -> float:
        """When somebody last wrote to a chat of a vendor; the local source is always read as it is."""
        vendor = next(vendor for vendor, number in self.numbers.items() if number == place[0])
        return 0.0 if vendor == "local" else self.vendors[vendor].changed[place[1]]

    async def insert(self, vendor: str, chance: random.Random) -> None:
        title = chance.choice(TITLES)
        if vendor != "local":
            await self.vendors[vendor].insert(title, chance.choice(MOMENTS))
            return
        made = await self.client.do(CREATE, input={"sourceId": self.source_ids["local"], "title": title})
        self.running.local[made["chat"]["id"]] = time.time()

    async def delete(self, vendor: str, chance: random.Random) -> None:
        if vendor == "local":
            chat = chance.choice(sorted(self.running.local))
            del self.running.local[chat]
            await self.client.do(DELETE, input={"chatId": chat})
        else:
            await self.vendors[vendor].delete(chance.choice(sorted(await self.vendors[vendor].rows())))

    async def touch(self, vendor: str, chance: random.Random) -> None:
        if vendor == "local":
            chat = chance.choice(sorted(self.running.local))
            await self.client.do(TOUCH, input={"chatId": chat, "text": "Touched", "reply": "NONE"})
        else:
            await self.vendors[vendor].touch(chance.choice(sorted(await self.vendors[vendor].rows())))

    async def disturb(self, chance: random.Random) -> None:
        """A few things that others do between two pages; each vendor keeps about as many chats as it had."""
        for _ in range(chance.randint(0, 3)):
            vendor = chance.choice(sorted(self.source_ids))
            await chance.choice([self.insert, self.delete, self.touch])(vendor, chance)
            held = len(self.running.local) if vendor == "local" else len(await self.vendors[vendor].rows())
            if held < 8:
                await self.insert(vendor, chance)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with ExitStack() as stack:
        dials = {vendor: Dial() for vendor in MAKERS}
        urls = {
            vendor: stack.enter_context(running(make(seed=False, clock=dials[vendor])))
            for vendor, make in MAKERS.items()
        }
        tables = [source_table("acme", vendor, url) for vendor, url in urls.items()]
        # Lists that were read whole are read again in the middle of a listing, and not for each page.
        folder = tmp_path_factory.mktemp("merge")
        installation = Installation(folder, settings="list_ttl_seconds = 0.5", sources="\n".join(tables))
        gateway = stack.enter_context(installation.serving(installation.an_organization("acme")))
        made = Running(gateway, urls, dials)
        asyncio.run(_fill(made))
        yield made


async def _fill(made: Running) -> None:
    chance = random.Random(5)
    async with a_world(made) as world:
        for vendor, size in {**STOCK, "local": LOCAL_STOCK}.items():
            for _ in range(size):
                await world.insert(vendor, chance)


@asynccontextmanager
async def a_world(made: Running) -> AsyncIterator[World]:
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        client = Client(made.gateway.url, made.gateway.headers, http)
        sources = (await client.ask("{ sources { id vendor } }"))["sources"]
        own = {
            vendor: OwnApi(vendor, url, made.dials[vendor], http, made.changed[vendor])
            for vendor, url in made.urls.items()
        }
        yield World(made, client, own, {source["vendor"]: source["id"] for source in sources})


@pytest.fixture
async def world(served: Running) -> AsyncIterator[World]:
    async with a_world(served) as world:
        yield world


@dataclass(frozen=True)
class Wanted:
    """One way to list."""

    field: str
    descending: bool
    backwards: bool
    vendors: tuple[str, ...]

    def key(self, place: Place, row: Row) -> tuple[bool, Any]:
        """Without what ties go by."""
        if self.field == "TITLE":
            return row.title is None, (row.title or "").casefold()
        return False, row.created if self.field == "CREATED_AT" else row.updated

    def ordered(self, rows: Mapping[Place, Row]) -> list[Place]:
        """The order that the design describes: unknown last and ties by source and id, whatever the direction."""
        places = sorted(rows)
        places.sort(key=lambda place: self.key(place, rows[place])[1], reverse=self.descending)
        places.sort(key=lambda place: self.key(place, rows[place])[0])
        return places


def a_wanted(chance: random.Random, vendors: list[str]) -> Wanted:
    some = chance.sample(vendors, chance.randint(1, len(vendors))) if chance.random() < 0.4 else vendors
    order = chance.choice(["UPDATED_AT", "UPDATED_AT", "CREATED_AT", "TITLE"])
    return Wanted(order, chance.random() < 0.6, chance.random() < 0.4, tuple(some))


@pytest.mark.parametrize("seed", range(count(long=50, least=3)))
async def test_what_stays_unchanged_is_shown_once_and_in_order(world: World, seed: int) -> None:
    chance = random.Random(seed)
    wanted = a_wanted(chance, sorted(world.source_ids))
    before = await world.rows()
    shown, as_of = await listed(world, wanted, chance)
    after = await world.rows()

    numbers = {world.numbers[vendor] for vendor in wanted.vendors}
    assert {place[0] for place in shown} <= numbers, "a row of a source that was not asked for"
    stable = {
        place: row
        for place, row in before.items()
        if place[0] in numbers
        and place in after
        and wanted.key(place, after[place]) == wanted.key(place, row)
        and world.changed_at(place) < as_of.get(place[0], float("inf"))
    }
    assert [place for place in shown if place in stable] == wanted.ordered(stable), wanted
    if not wanted.backwards and wanted.descending:  # what changes moves to where the listing has been already
        assert len(shown) == len(set(shown)), "a row that changed was shown twice"


async def listed(world: World, wanted: Wanted, chance: random.Random) -> tuple[list[Place], dict[int, float]]:
    """Every row of a listing that others disturb, first to last; and up to when the first page knew each source that has been read whole."""
    variables: dict[str, Any] = {
        "orderBy": {"field": wanted.field, "direction": "DESC" if wanted.descending else "ASC"}
    }
    if len(wanted.vendors) < len(world.source_ids):
        variables["filter"] = {"sourceIds": [world.source_ids[vendor] for vendor in wanted.vendors]}
    size, position, more = (
        ("last", "before", "hasPreviousPage") if wanted.backwards else ("first", "after", "hasNextPage")
    )
    largest = chance.choice([13, 40, 100])
    pages: list[list[Place]] = []
    as_of: dict[int, float] = {}
    while True:
        asked = chance.randint(max(1, largest // 3), largest)
        page = (await world.client.ask(LIST, **variables, **{size: asked}))["chats"]
        assert {status["code"] for status in page["sources"]} == {"OK"}, page["sources"]
        if not pages:
            as_of = {
                _number(status["source"]["id"]): datetime.fromisoformat(status["asOf"]).timestamp()
                for status in page["sources"]
                if status["asOf"] is not None
            }
        assert len(page["edges"]) <= asked
        pages.append([(_number(edge["node"]["id"]), edge["node"]["nativeId"]) for edge in page["edges"]])
        if not page["pageInfo"][more]:
            break
        assert page["edges"], "a page without rows says that there are more"
        assert len(pages) < 200, "the listing does not end"
        variables[position] = page["edges"][0 if wanted.backwards else -1]["cursor"]
        await world.disturb(chance)
    ordered = reversed(pages) if wanted.backwards else pages
    return [place for page in ordered for place in page], as_of


async def test_forged_and_foreign_cursors_are_refused(world: World) -> None:
    page = (await world.client.ask(LIST, first=5))["chats"]
    cursor = page["edges"][-1]["cursor"]
    middle = len(cursor) // 2
    forged = cursor[:middle] + ("A" if cursor[middle] != "A" else "B") + cursor[middle + 1 :]
    for variables in (
        {"after": forged},
        {"after": cursor, "orderBy": {"field": "TITLE"}},
        {"after": cursor, "filter": {"sourceIds": [world.source_ids["kodey"]]}},
    ):
        answer = await world.client.post(LIST, first=5, **variables)
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_CURSOR"]
    assert (await world.client.ask(LIST, first=5, after=cursor))["chats"]["edges"]


def _number(global_id: str) -> int:
    parsed = parse_id_of(global_id, IdType.SOURCE, IdType.CHAT)
    assert parsed is not None
    return parsed.short


def _micros(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
