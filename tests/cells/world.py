"""A gateway with every source there is, for two organizations that use the same accounts at the vendors, and the way behind its back.

Clients here do not verify certificates: all is plain HTTP on loopback, and reading the list of authorities takes longer than a call.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from domain.capabilities import Capabilities
from domain.ids import IdType, chat_id, parse_id_of
from simulators import chatlogger, kodey, lexicon, open_webui, splox
from simulators.control import Control
from simulators.keys import KEYS, OPTIONS, PATHS, SESSIONS
from simulators.serving import running
from storage.local_table import CAPABILITIES as LOCAL
from tests.cells.held import HELD, HeldChat, of_local
from tests.client import Client
from tests.gateway import Gateway
from tests.hostile.installation import Installation
from upstreams.http import UpstreamClients
from upstreams.registry import connectors

ERRORS = "userErrors { __typename code message path ... on CapabilityError { capability source { key } } }"
OURS, THEIRS = "acme", "globex"
"""Two organizations; `THEIRS` is whoever else uses the vendor."""


@dataclass(frozen=True)
class Vendor:
    """How to use one vendor. A new one is one line of `VENDORS`.

    `chat` is what `createChat` needs; `slow` the same for an assistant that takes seconds. `metadata`: two values that a chat can have.
    """

    simulator: Callable[[], Control] | None = None
    chat: Mapping[str, Any] = field(default_factory=dict)
    slow: Mapping[str, Any] = field(default_factory=dict)
    metadata: tuple[Mapping[str, Any], Mapping[str, Any]] = ({"ticket": 7}, {"labels": ["a", "b"]})
    options: Mapping[str, Any] = field(default_factory=dict)


VENDORS: Mapping[str, Vendor] = {
    "splox": Vendor(
        lambda: splox.create_app(switches=splox.Switches(runs_per_minute=1000, word_ms=20, slow_word_ms=100)),
        chat={"agent": splox.ASSISTANT.workflow_id},
        slow={"agent": splox.SLOW.workflow_id},
        # Without the agent: under the type `api` the chats of others are listed for it, and cannot be opened.
        options={
            "runs_per_minute": 1000,
            "resources": [{"id": flow.workflow_id, "type": "workflow"} for flow in (splox.ASSISTANT, splox.SLOW)],
        },
    ),
    "lexicon": Vendor(
        lambda: lexicon.create_app(switches=lexicon.Switches(token_ms=20)), chat={"userId": lexicon.SEEDED_USERS[0]}
    ),
    "chatlogger": Vendor(
        chatlogger.create_app, metadata=({"country_code": "DE", "user_rating": 4}, {"session_id": "s-1"})
    ),
    "kodey": Vendor(kodey.create_app, chat={"agent": kodey.SEEDED_AGENTS[0]}),
    "open_webui": Vendor(open_webui.create_app, chat={"agent": "fake-gpt"}, slow={"agent": "fake-slow"}),
    "local": Vendor(),
}
TABLES: Mapping[str, Capabilities] = {
    **{vendor: connector.capabilities for vendor, connector in connectors(UpstreamClients()).items()},
    "local": LOCAL,
}
"""Vendor → its column of the table."""


@dataclass(frozen=True)
class Simulated:
    """A running simulator, by its control API."""

    url: str

    def state(self) -> dict[str, Any]:
        """All that it holds."""
        return self._ask("GET", "state")

    def calls(self) -> list[dict[str, Any]]:
        """What it was asked since `forget_calls`."""
        return self._ask("GET", "calls")

    def forget_calls(self) -> None:
        """Begin to count anew."""
        self._ask("DELETE", "calls")

    def emit(self, chat: str, text: str) -> None:
        """A message that somebody else wrote."""
        self._ask("POST", "emit", {"chat_id": chat, "text": text})

    def _ask(self, method: str, what: str, body: Any = None) -> Any:
        answer = httpx.request(
            method, f"{self.url}/__control/{what}", json=body, trust_env=False, verify=False, timeout=10
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


@dataclass
class Installed:
    """Simulators that run, and an installed gateway whose sources are at them. `keys`: organization → API key."""

    installation: Installation
    simulated: Mapping[str, Simulated]
    keys: Mapping[str, str]


@dataclass
class Place:
    """`Installed`, with the gateway running."""

    installed: Installed
    gateway: Gateway

    @asynccontextmanager
    async def subject(self, vendor: str) -> Any:
        """What a check works on."""
        async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as http:
            clients = {
                name: Client(self.gateway.url, {"Authorization": f"Bearer {key}"}, http)
                for name, key in self.installed.keys.items()
            }
            sources = {}
            for name, client in clients.items():
                listed = (await client.ask("{ sources { id vendor } }"))["sources"]
                sources[name] = next(source["id"] for source in listed if source["vendor"] == vendor)
            yield Subject(vendor, self.installed, clients[OURS], clients[THEIRS], sources[OURS], sources[THEIRS])


@dataclass
class Subject:
    """One source, used by `us`; `them` is another organization, at the same account of the vendor."""

    vendor: str
    installed: Installed
    us: Client
    them: Client
    source_id: str
    their_source_id: str

    @property
    def how(self) -> Vendor:
        """How the vendor is used."""
        return VENDORS[self.vendor]

    @property
    def table(self) -> Capabilities:
        """The vendor's column."""
        return TABLES[self.vendor]

    @property
    def keeps_titles(self) -> bool:
        """Whether the vendor shows titles at all."""
        return "title" in self.table.row_fields

    @property
    def database(self) -> Path:
        """The gateway's store."""
        return self.installed.installation.database

    @property
    def short_id(self) -> int:
        """The source's id inside the gateway."""
        return _short(self.source_id)

    def id_of(self, native_id: str) -> str:
        """The id of a chat for us."""
        return chat_id(self.short_id, native_id)

    def their_id_of(self, native_id: str) -> str:
        """The id of a chat for them."""
        return chat_id(_short(self.their_source_id), native_id)

    # Behind the gateway's back

    def all_held(self) -> list[HeldChat]:
        """Every chat that the vendor holds for us."""
        if self.vendor == "local":
            return of_local(self.database, self.short_id)
        return HELD[self.vendor](self._simulated.state())

    def held(self, native_id: str) -> HeldChat | None:
        """One chat as the vendor holds it; None when it does not."""
        return next((chat for chat in self.all_held() if chat.id == native_id), None)

    def must_hold(self, native_id: str) -> HeldChat:
        """As `held`, where it must be there."""
        chat = self.held(native_id)
        assert chat is not None, f"{self.vendor} does not hold {native_id}"
        return chat

    def calls(self) -> list[dict[str, Any]]:
        """What the vendor was asked; nobody can be asked for the local store."""
        return [] if self.vendor == "local" else self._simulated.calls()

    def forget_calls(self) -> None:
        """Begin to count anew."""
        if self.vendor != "local":
            self._simulated.forget_calls()

    async def somebody_writes(self, native_id: str, text: str) -> None:
        """A message that does not come through our gateway; in the local store, one of another client."""
        if self.vendor == "local":
            await self.do("sendMessage", chatId=self.id_of(native_id), text=text)
        else:
            self._simulated.emit(native_id, text)

    @property
    def _simulated(self) -> Simulated:
        return self.installed.simulated[self.vendor]

    # Through GraphQL

    async def do(self, name: str, selection: str = "", /, **fields: Any) -> dict[str, Any]:
        """The payload of a mutation that must succeed."""
        return await self.us.do(mutation(name, selection), input=fields)

    async def refused(self, name: str, /, **fields: Any) -> dict[str, Any]:
        """The only user error of a mutation."""
        return await self.us.refused(mutation(name), input=fields)

    async def new_chat(self, title: str = "Cell", **fields: Any) -> str:
        """The native id of a new chat, with a title where the vendor keeps one."""
        title_of_it = {"title": title} if self.keeps_titles else {}
        payload = await self.do(
            "createChat",
            "chat { nativeId }",
            **{"sourceId": self.source_id, **self.how.chat, **title_of_it, **fields},
        )
        return str(payload["chat"]["nativeId"])

    async def a_talk(self) -> str:
        """A chat with messages that the gateway did not write, so that only what is checked writes something; here, where there are none."""
        for chat in reversed(self.all_held()):
            if len(chat.path) >= 2 and len(chat.path) == len(chat.messages) and not chat.archived:
                return chat.id
        return await self.new_chat(messages=talk("one", "two"))

    async def chat(self, native_id: str, selection: str) -> Any:
        """Fields of a chat; None when it is not there."""
        return (await self.us.ask(f"query ($id: ID!) {{ chat(id: $id) {{ {selection} }} }}", id=self.id_of(native_id)))[
            "chat"
        ]

    async def messages(self, native_id: str, selection: str = "id text role") -> list[dict[str, Any]]:
        """The active path of a chat."""
        shown = await self.chat(native_id, f"messages(last: 100) {{ nodes {{ {selection} }} }}")
        return list(shown["messages"]["nodes"])


def talk(*texts: str) -> list[dict[str, str]]:
    """First messages, by turns of a user and an assistant."""
    return [{"role": ("USER", "ASSISTANT")[place % 2], "text": text} for place, text in enumerate(texts)]


def mutation(name: str, selection: str = "") -> str:
    """A mutation that takes one input object."""
    kind = name[0].upper() + name[1:]
    return f"mutation ($input: {kind}Input!) {{ {name}(input: $input) {{ {selection} {ERRORS} }} }}"


@contextmanager
def installed(folder: Path, vendors: Sequence[str] = tuple(VENDORS)) -> Iterator[Installed]:
    """Start the simulators of `vendors`, seeded, and install a gateway with sources at them, the same for both organizations."""
    with ExitStack() as stack:
        urls = {
            vendor: stack.enter_context(running(make()))
            for vendor in vendors
            if (make := VENDORS[vendor].simulator) is not None
        }
        tables = [source_table(name, vendor, url) for name in (OURS, THEIRS) for vendor, url in urls.items()]
        installation = Installation(folder, settings="list_ttl_seconds = 0.001", sources="\n".join(tables))
        keys = {name: installation.an_organization(name) for name in (OURS, THEIRS)}
        yield Installed(installation, {vendor: Simulated(url) for vendor, url in urls.items()}, keys)


@contextmanager
def serving(place: Installed) -> Iterator[Place]:
    """Run the gateway, until the block is left."""
    with place.installation.serving() as gateway:
        yield Place(place, gateway)


def source_table(
    organization: str, vendor: str, url: str, *, key: str | None = None, options: Mapping[str, Any] | None = None
) -> str:
    """The `[[sources]]` table for a simulator, with what its own settings and `VENDORS` say where no `options` are given."""
    given = {**OPTIONS.get(vendor, {}), **VENDORS[vendor].options} if options is None else options
    fields = {
        "organization": organization,
        "key": key or vendor.replace("_", "-"),
        "vendor": vendor,
        "base_url": url + PATHS.get(vendor, ""),
        "credentials": SESSIONS.get(vendor, KEYS[vendor]),  # with which the column is whole
        "options": given,
    }
    return "\n".join(["[[sources]]", *(f"{name} = {_toml(value)}" for name, value in fields.items())])


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _short(source_id: str) -> int:
    parsed = parse_id_of(source_id, IdType.SOURCE)
    assert parsed is not None
    return parsed.short
