"""A real gateway over twenty simulators, two organizations in it, and Ann, who belongs to both and has a source of her own in each.

Every source is connected over the API. `kodey`, `splox`, … are at a host of their organization; those that end in `-shared` are at one address for
both organizations, where only the credential tells whose a request is, and so is Ann's own, `mine`.
"""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from simulators.keys import PATHS
from simulators.serving import running
from tests.client import Client
from tests.gateway import Gateway
from tests.hostile.installation import ISSUER, JWT, JWT_SECRET, Installation, a_token
from tests.hostile.interleaved.door import Door
from tests.hostile.interleaved.houses import House, a_house
from tests.hostile.interleaved.judge import Judge
from tests.hostile.interleaved.line import Line, a_line
from tests.hostile.interleaved.registry import Registry
from tests.hostile.interleaved.shelf import Shelf, Source
from tests.hostile.vendors import Street
from tests.stores import add_tenant

ORGANIZATIONS = ("acme", "beta")
OWN = {
    "kodey": "kodey",
    "splox": "splox",
    "lexicon": "lexicon",
    "chatlogger": "chatlogger",
    "open-webui": "open_webui",
}
SHARED = {"kodey-shared": "kodey", "chatlogger-shared": "chatlogger", "open-webui-shared": "open_webui"}
EVERY = {**OWN, **SHARED}
MINE = "mine"
"""Key of Ann's own source, a Kodey at the shared address."""
PEOPLE = {"acme": "bob", "beta": "eve"}
"""Each is an admin of one organization and no more."""

CONNECT = """mutation ($input: ConnectSourceInput!) { connectSource(input: $input) {
  source { id key vendor } checks { name passed message } userErrors { code message path } } }"""
_ORGANIZATION = """mutation ($input: CreateOrganizationInput!) { createOrganization(input: $input) {
  organization { id } userErrors { code message } } }"""
_KEY = """mutation { createApiKey(input: {name: "all", scopes: [READ, WRITE, ADMIN]}) {
  secret userErrors { code message } } }"""
_ADD = "mutation ($input: AddMemberInput!) { addMember(input: $input) { userErrors { code message } } }"
_OWN = """{ organization { id members(first: 50) { nodes { id } } apiKeys(first: 50) { nodes { id } } }
  sources { id key vendor } }"""


@dataclass
class Actor:
    """Somebody in one organization. `audiences`: what they may see. `person` is the same in both organizations for Ann, and for the keys."""

    person: str
    organization: str
    credential: str = field(repr=False)
    http: httpx.AsyncClient = field(repr=False)
    line: Line = field(repr=False)
    numbers: dict[str, Iterator[int]] = field(
        default_factory=lambda: defaultdict(lambda: itertools.count(1)), repr=False
    )
    """Of idempotency keys, by mutation: everybody uses the same ones."""

    @property
    def name(self) -> str:
        return f"{self.person}@{self.organization}"

    @property
    def audiences(self) -> tuple[str, ...]:
        return (self.organization, self.name) if self.person == "ann" else (self.organization,)


@dataclass
class World:
    """All of it. `houses`: (audience, key of the source) → its simulator."""

    installation: Installation
    gateway: Gateway
    houses: Mapping[tuple[str, str], House]
    urls: Mapping[tuple[str, str], str]
    keys: Mapping[str, str]
    judge: Judge
    shelves: Mapping[str, Shelf]
    actors: list[Actor] = field(default_factory=list)
    asked: int = 0
    """Operations of GraphQL that were judged."""

    def own(self, actor: Actor) -> list[Shelf]:
        """What somebody may see."""
        return [self.shelves[audience] for audience in actor.audiences]

    def foreign(self, actor: Actor) -> list[Shelf]:
        """What somebody may not see."""
        return [shelf for audience, shelf in self.shelves.items() if audience not in actor.audiences]

    def actor(self, name: str) -> Actor:
        return next(actor for actor in self.actors if actor.name == name)

    def credential(self, person: str, organization: str) -> str:
        """A person's token, or the organization's API key."""
        return self.keys[organization] if person == "key" else a_token(person, seconds=7200)

    @asynccontextmanager
    async def client(self, credential: str, organization: str) -> AsyncIterator[Client]:
        """A client that nobody judges."""
        async with httpx.AsyncClient(timeout=300, verify=False) as http:
            yield Client(self.gateway.url, headers_of(credential, organization), http)

    @asynccontextmanager
    async def peopled(self) -> AsyncIterator[None]:
        """With everybody at their lines: `actors`. What comes is taken and judged until the block is left; what is wrong with it ends the block."""
        async with AsyncExitStack() as stack:
            for organization in ORGANIZATIONS:
                for person in ("key", "ann", PEOPLE[organization]):
                    self.actors.append(await self._actor(stack, person, organization))
            async with asyncio.TaskGroup() as group:
                reading = [group.create_task(actor.line.read()) for actor in self.actors]
                yield
                for task in reading:
                    task.cancel()

    async def _actor(self, stack: AsyncExitStack, person: str, organization: str) -> Actor:
        credential = self.credential(person, organization)
        headers = headers_of(credential, organization)
        # The gateway closes a connection that is idle for 5 s: one that is near to it is not used any more.
        limits = httpx.Limits(keepalive_expiry=1.0)
        http = await stack.enter_async_context(
            httpx.AsyncClient(timeout=300, headers=headers, limits=limits, verify=False)
        )
        who = f"{person}@{organization}"
        audiences = (organization, who) if person == "ann" else (organization,)

        def check(raw: str, named: Collection[str]) -> None:
            self.judge.answer(who, audiences, raw, asked=named)

        line = await stack.enter_async_context(a_line(self.gateway.url, headers, check))
        return Actor(person, organization, credential, http, line)


def ann() -> str:
    """Her token, which is good in both organizations."""
    return a_token("ann", seconds=7200)


def headers_of(credential: str, organization: str) -> dict[str, str]:
    """What a request carries; Ann must say in which organization she acts."""
    return {"Authorization": f"Bearer {credential}", "X-Organization": organization}


@contextmanager
def a_world(folder: Path, sources: Mapping[str, str] = EVERY, *, settings: str = "") -> Iterator[World]:
    """Started, connected, and gone afterwards. `sources`: those of each organization, beside Ann's own; key → vendor. `settings` is TOML."""
    houses = {(house.audience, house.key): house for house in _houses(sources)}
    with ExitStack() as stack:
        urls = _serve(stack, houses.values())
        installation = Installation(folder, settings=f'log_level = "debug"\n{settings}{JWT}')
        secret_key = installation.env["SWITCHBOARD_SECRET_KEY"]
        first, *others = ORGANIZATIONS
        add_tenant(installation.database, first, admin=(ISSUER, "ann"))
        gateway = stack.enter_context(installation.serving())
        registry = Registry(installation.database)
        stack.callback(registry.close)
        keys: dict[str, str] = {}
        secrets = [JWT_SECRET, secret_key]
        shelves = {audience: Shelf(audience) for audience, _ in houses}
        world = World(installation, gateway, houses, urls, keys, Judge(registry, secrets), shelves)
        for organization in others:
            asyncio.run(_found(world, first, organization))
        for organization in ORGANIZATIONS:
            keys[organization] = asyncio.run(_settle(world, organization))
        secrets += keys.values()
        yield world


def _houses(sources: Mapping[str, str]) -> Iterator[House]:
    for organization in ORGANIZATIONS:
        for key, vendor in sources.items():
            yield a_house(organization, key, vendor)
        yield a_house(f"ann@{organization}", MINE, "kodey")


def _serve(stack: ExitStack, houses: Collection[House]) -> dict[tuple[str, str], str]:
    """Three hosts: of each organization, and the shared one. (audience, key) → base URL."""
    streets: dict[str, dict[str, Any]] = {name: {} for name in (*ORGANIZATIONS, "shared")}
    behind: dict[str, list[House]] = {}
    for house in houses:
        if house.key in OWN:
            streets[house.audience][house.vendor] = house.control
        else:
            behind.setdefault(house.vendor, []).append(house)
    streets["shared"] |= {vendor: Door(inside) for vendor, inside in behind.items()}
    hosts = {name: stack.enter_context(running(Street(street))) for name, street in streets.items()}
    return {
        (house.audience, house.key): "/".join([hosts[house.audience if house.key in OWN else "shared"], house.vendor])
        + PATHS.get(house.vendor, "")
        for house in houses
    }


async def _found(world: World, first: str, organization: str) -> None:
    """Another organization, which Ann makes from the first."""
    async with world.client(ann(), first) as client:
        await client.do(_ORGANIZATION, input={"slug": organization, "name": organization.title()})


async def _settle(world: World, organization: str) -> str:
    """Connect what belongs to an organization, by a key that Ann makes; the key."""
    async with world.client(ann(), organization) as admin:
        key: str = (await admin.do(_KEY))["secret"]
        own = (await admin.ask("{ organization { id } }"))["organization"]["id"]
        person = {"subject": PEOPLE[organization], "issuer": ISSUER, "role": "ADMIN"}
        await admin.do(_ADD, input={"organizationId": own, **person})
    async with world.client(key, organization) as client:
        for whose, house in world.houses.items():
            if house.audience == organization:
                await client.do(CONNECT, input=settings_of(house, world.urls[whose]))
    await _connect_anns_own(world, organization)
    await _take_stock(world, organization, key)
    return key


async def _connect_anns_own(world: World, organization: str) -> None:
    """Over a socket, whose frames could be logged."""
    whose = (f"ann@{organization}", MINE)
    fields = {"visibility": "OWNER", **settings_of(world.houses[whose], world.urls[whose])}
    async with a_line(world.gateway.url, headers_of(ann(), organization), lambda raw, named: None) as line:
        reading = asyncio.create_task(line.read())
        told = await line.ask(CONNECT, {"input": fields})
        assert told["data"]["connectSource"]["userErrors"] == [], told
        reading.cancel()


def settings_of(house: House, url: str) -> dict[str, Any]:
    """What `connectSource` needs, the credentials at its end."""
    return {
        "key": house.key,
        "vendor": house.vendor,
        "displayName": f"{house.word} {house.key}",
        "baseUrl": url,
        "options": dict(house.options),
        "idempotencyKey": f"connect-{house.key}",
        "credentials": [{"name": name, "value": value} for name, value in house.credentials.items()],
    }


async def _take_stock(world: World, organization: str, key: str) -> None:
    shelf, mine = world.shelves[organization], world.shelves[f"ann@{organization}"]
    async with world.client(ann(), organization) as client:
        known = await client.ask(_OWN)
    for source in known["sources"]:
        target = mine if source["key"] == MINE else shelf
        target.sources[source["key"]] = Source(source["id"], source["key"], source["vendor"])
    shelf.others = {
        "organization": [known["organization"]["id"]],
        "member": [node["id"] for node in known["organization"]["members"]["nodes"]],
        "API key": [node["id"] for node in known["organization"]["apiKeys"]["nodes"]],
    }
