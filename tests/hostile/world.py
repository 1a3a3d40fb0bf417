"""Two organizations side by side: vendors with equal native ids and credentials of their own, keys, and people in one or both."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from simulators import kodey, open_webui
from simulators.calls import fingerprint
from simulators.control import Control
from simulators.serving import running
from tests.client import Client
from tests.gateway import Gateway
from tests.hostile.installation import ISSUER, JWT, Installation, a_source, a_token

KODEY_KEYS = {"acme": kodey.SECRET_KEY, "beta": kodey.USER_KEY}
OPEN_WEBUI_KEYS = {"acme": open_webui.ADMIN_KEY, "beta": "sk-" + "c" * 32}
WORDS = {"acme": "zebra", "beta": "giraffe", "ann": "okapi"}
"""In every message at the vendors of that organization, or at the source that only Ann sees."""


@dataclass
class World:
    """A running gateway. `vendors`: (organization, vendor) → simulator; Ann's own Kodey is ("ann", "kodey")."""

    installation: Installation
    gateway: Gateway
    keys: dict[str, str]
    vendors: dict[tuple[str, str], Control] = field(default_factory=dict)
    private_url: str = ""

    @asynccontextmanager
    async def client(self, credential: str, organization: str | None = None) -> AsyncIterator[Client]:
        """A client with a key or token."""
        headers = {"Authorization": f"Bearer {credential}"}
        if organization is not None:
            headers["X-Organization"] = organization
        async with httpx.AsyncClient(timeout=30) as http:
            yield Client(self.gateway.url, headers, http)

    def calls(self) -> int:
        """How many calls all vendors have received."""
        return sum(len(vendor.calls.named()) for vendor in self.vendors.values())

    def keys_seen(self, organization: str, vendor: str) -> set[str]:
        """Fingerprints of the credentials that a vendor was called with."""
        calls = self.vendors[organization, vendor].calls.named()
        name = "x-api-key" if vendor == "kodey" else "authorization"
        return {call["headers"][name] for call in calls if name in call["headers"]}


def expected_key(organization: str, vendor: str) -> str:
    """The fingerprint of an organization's own credential."""
    if vendor == "kodey":
        return fingerprint(KODEY_KEYS[organization])
    return fingerprint(f"Bearer {OPEN_WEBUI_KEYS[organization]}")


def a_kodey(word: str) -> Control:
    """The seeded Kodey, with a word in each message; a user's key may do everything."""
    control = kodey.create_app(switches=kodey.Switches(user_key_may_chat=True))
    vendor: Any = control.simulator
    for chat in vendor.chats.values():
        for message in chat.messages:
            message.content = f"{word} {message.content}"
    return control


def an_open_webui(word: str, key: str) -> Control:
    """The seeded Open WebUI, with a word in each title and message; `key` is its admin's."""
    control = open_webui.create_app()
    vendor: Any = control.simulator
    vendor.users[0].api_key = key
    for chat in vendor.store.chats.values():
        chat.title = chat.body["title"] = f"{word} {chat.title}"
        for message in chat.body["history"]["messages"].values():
            message["content"] = f"{word} {message['content']}"
    return control


@contextmanager
def a_world(folder: Path) -> Iterator[World]:
    """Started, and gone afterwards. Ann is an admin of both organizations, Bob of acme, Eve of beta."""
    with ExitStack() as stack:
        vendors: dict[tuple[str, str], Control] = {("ann", "kodey"): a_kodey(WORDS["ann"])}
        sources = ""
        for organization in ("acme", "beta"):
            word = WORDS[organization]
            vendors[organization, "kodey"] = a_kodey(word)
            vendors[organization, "open_webui"] = an_open_webui(word, OPEN_WEBUI_KEYS[organization])
            for vendor, keys in (("kodey", KODEY_KEYS), ("open_webui", OPEN_WEBUI_KEYS)):
                url = stack.enter_context(running(vendors[organization, vendor]))
                sources += a_source(organization, vendor.replace("_", "-"), vendor, url, keys[organization])
        installation = Installation(folder, settings=JWT, sources=sources)
        keys = {
            organization: installation.an_organization(organization, admin="ann") for organization in ("acme", "beta")
        }
        private_url = stack.enter_context(running(vendors["ann", "kodey"]))
        gateway = stack.enter_context(installation.serving())
        world = World(installation, gateway, keys, vendors, private_url)
        asyncio.run(_let_in(world))
        yield world


async def _let_in(world: World) -> None:
    add = "mutation ($input: AddMemberInput!) { addMember(input: $input) { userErrors { code message } } }"
    for organization, person in (("acme", "bob"), ("beta", "eve")):
        async with world.client(world.keys[organization]) as client:
            own = (await client.ask("{ organization { id } }"))["organization"]["id"]
            await client.do(add, input={"organizationId": own, "subject": person, "issuer": ISSUER, "role": "ADMIN"})


def ann() -> str:
    """Ann's token."""
    return a_token("ann")
