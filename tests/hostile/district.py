"""The whole application in the test's own process, reached over `POST /graphql`, and vendors that each test breaks in its own way.

Every test settles a vendor of its own as a source of its own, so that neither circuits nor copies nor quotas of another test are in its way.
Two sources are always well: `good`, a Kodey, and `local`.
"""

import io
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import structlog

from domain.ids import IdType, chat_id, format_id
from domain.records import Organization, Scope, Source
from resolvers.context import utc_now
from resolvers.organizations import add_api_key, add_organization
from simulators.keys import KEYS, OPTIONS, PATHS
from simulators.serving import running
from switchboard.app import Application
from switchboard.logging import configure_logging
from switchboard.settings import Settings
from tests.cells.held import HELD, HeldChat
from tests.cells.world import VENDORS
from tests.hostile.houses import House
from tests.hostile.vendors import Street

_URL = "http://gateway.example/graphql"
LIST = """query ($ids: [ID!]!, $order: ChatOrder, $after: String) {
  chats(first: 100, after: $after, withinMs: 30000, orderBy: $order, filter: {sourceIds: $ids}) {
  nodes { nativeId title source { key } } pageInfo { hasNextPage endCursor } sources { code message skippedRows retryAfterMs stale source { key } } } }"""
MESSAGES = """query ($id: ID!) { chat(id: $id) { messages(last: 100) {
  totalCount { value exact } nodes { id role text } status { code message skippedRows stale } } } }"""
CREATE = """mutation ($input: CreateChatInput!) { createChat(input: $input) { chat { id }
  userErrors { __typename code message path ... on UpstreamError { retryable retryAfterMs source { key } } } } }"""
SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id state } reply { id state }
  userErrors { __typename code message path ... on UpstreamError { retryable retryAfterMs source { key } } } } }"""
DELETE = """mutation ($input: DeleteChatInput!) { deleteChat(input: $input) { deletedChatId
  userErrors { __typename code message path ... on UpstreamError { retryable retryAfterMs source { key } } } } }"""


@dataclass
class District:
    """`said` is every answer so far, `log` every line of the log."""

    app: Application
    organization: Organization
    http: httpx.AsyncClient
    street: Street
    url: str
    log: io.StringIO
    said: list[str] = field(default_factory=list)
    good: "Place | None" = None

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The answer. Whatever a vendor does, its status is 200: what went wrong stands inside."""
        answer = await self.http.post(_URL, json={"query": query, "variables": variables})
        self.said.append(answer.text)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def settle(self, vendor: str, **options: Any) -> "Place":
        """A new vendor, well so far, and a source at it."""
        make = VENDORS[vendor].simulator
        assert make is not None
        house = House(make())
        key = f"{vendor.replace('_', '-')}-{len(self.street.houses)}"
        self.street.houses[key] = house
        given = {**OPTIONS.get(vendor, {}), **VENDORS[vendor].options, **options}
        base_url = f"{self.url}/{key}{PATHS.get(vendor, '')}"
        source = await self._add_source(key, vendor, base_url, KEYS[vendor], given)
        return Place(self, house, source)

    async def _add_source(
        self, key: str, vendor: str, base_url: str, credentials: Mapping[str, str], options: Mapping[str, Any]
    ) -> Source:
        gateway = self.app.gateway
        assert gateway is not None
        source = await gateway.store.database.write(
            lambda tx: gateway.store.sources.add(
                tx,
                organization_id=self.organization.id,
                key=key,
                vendor=vendor,
                display_name=key,
                base_url=base_url,
                options=options,
                created_at=utc_now(),
                sealed_credentials=gateway.seal_credentials(credentials),
            )
        )
        await gateway.sources.changed(self.organization.id)
        return source


@dataclass
class Place:
    """One vendor and the source at it. What is asked goes through GraphQL."""

    district: District
    house: House
    source: Source

    @property
    def key(self) -> str:
        """The source's key."""
        return self.source.key

    @property
    def id(self) -> str:
        """The source's id."""
        return format_id(IdType.SOURCE, self.source.id)

    @property
    def secrets(self) -> list[str]:
        """What nobody may ever see; a password that is a common word stands in other places by right."""
        return [secret for name, secret in KEYS[self.source.vendor].items() if name == "api_key"]

    def forget_list(self) -> None:
        """Let the next list be read from the vendor, however new the last one is."""
        assert self.district.app.gateway is not None
        self.district.app.gateway.drains.forget(self.source.id)

    async def fault(self, **said: Any) -> None:
        """Tell the simulator what shall go wrong."""
        url = f"{self.district.url}/{self.key}/__control/faults"
        async with httpx.AsyncClient(trust_env=False, verify=False) as http:
            answer = await http.post(url, json=said)
        assert answer.status_code == 200, answer.text

    def calls(self, operation: str) -> int:
        """How often the vendor was asked for this."""
        return self.house.asked.count(operation)

    def held(self) -> list[str]:
        """Native ids of the chats that the vendor shows, as far as a list of active ones does."""
        chats = HELD[self.source.vendor](self.house.control.simulator.state())
        return [chat.id for chat in chats if not chat.archived]

    def a_talk(self) -> HeldChat:
        """A chat with messages, as its vendor holds it."""
        chats = HELD[self.source.vendor](self.house.control.simulator.state())
        return next(chat for chat in chats if len(chat.path) >= 4 and not chat.archived)

    def a_chat(self) -> str:
        """The id of that chat."""
        return chat_id(self.source.id, self.a_talk().id)

    async def listed(self, order: Mapping[str, str] | None = None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Its rows and its status in a list that holds the good source too, whose rows must all be there."""
        good = self.district.good
        assert good is not None
        body = await self.district.ask(LIST, ids=[self.id, good.id], order=order)
        assert "errors" not in body, body["errors"]
        chats = body["data"]["chats"]
        statuses = {status["source"]["key"]: status for status in chats["sources"]}
        assert statuses[good.key]["code"] == "OK", statuses[good.key]
        rows = {key: [one for one in chats["nodes"] if one["source"]["key"] == key] for key in (self.key, good.key)}
        assert ids(rows[good.key]) == sorted(good.held())
        return rows[self.key], statuses[self.key]

    async def pages(self, order: Mapping[str, str] | None, most: int) -> tuple[list[str], list[dict[str, Any]], bool]:
        """Native ids of its rows on at most so many pages, its status on each, and whether the last page was the end."""
        rows: list[str] = []
        statuses: list[dict[str, Any]] = []
        after: str | None = None
        for _ in range(most):
            body = await self.district.ask(LIST, ids=[self.id], order=order, after=after)
            assert "errors" not in body, body["errors"]
            chats = body["data"]["chats"]
            rows += [one["nativeId"] for one in chats["nodes"]]
            statuses += chats["sources"]
            if not chats["pageInfo"]["hasNextPage"]:
                return rows, statuses, True
            after = chats["pageInfo"]["endCursor"]
        return rows, statuses, False

    async def chat(self) -> dict[str, Any]:
        """The answer for one of its chats beside one of the good source, which must be there."""
        good = self.district.good
        assert good is not None
        query = "query ($id: ID!, $good: ID!) { chat(id: $id) { nativeId } good: chat(id: $good) { nativeId } }"
        body = await self.district.ask(query, id=self.a_chat(), good=good.a_chat())
        assert body["data"]["good"] is not None
        return body

    async def messages(self) -> dict[str, Any]:
        """The answer for the messages of one of its chats."""
        return await self.district.ask(MESSAGES, id=self.a_chat())

    async def create(self) -> dict[str, Any]:
        """The payload of making a chat."""
        return await self._do(CREATE, sourceId=self.id, **VENDORS[self.source.vendor].chat)

    async def send(self) -> dict[str, Any]:
        """The payload of sending a message."""
        return await self._do(SEND, chatId=self.a_chat(), text="Words of a person")

    async def delete(self) -> dict[str, Any]:
        """The payload of deleting a chat."""
        return await self._do(DELETE, chatId=self.a_chat())

    async def _do(self, mutation: str, **input_: Any) -> dict[str, Any]:
        body = await self.district.ask(mutation, input=input_)
        assert "errors" not in body, body["errors"]
        (payload,) = body["data"].values()
        return dict(payload)


def ids(rows: list[dict[str, Any]]) -> list[str]:
    """The native ids of rows, in an order of their own."""
    return sorted(row["nativeId"] for row in rows)


def refusal(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The only user error of a payload."""
    (error,) = payload["userErrors"]
    return dict(error)


@asynccontextmanager
async def a_district(folder: Path, **settings: Any) -> AsyncIterator[District]:
    """Started, with the good source; gone afterwards. `settings` are the gateway's."""
    log = io.StringIO()
    street = Street({})
    given = Settings(
        database_url=f"sqlite:///{folder / 'test.db'}",
        secret_keys=("s" * 43,),
        allow_private_addresses=True,
        **settings,
    )
    app = Application(given)
    with running(street) as url, _logging_to(log):
        async with app.rest.router.lifespan_context(app.rest):
            organization, secret = await _an_organization(app)
            headers = {"Authorization": f"Bearer {secret}"}
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, headers=headers, timeout=60) as http:
                district = District(app, organization, http, street, url, log)
                district.good = await district.settle("kodey")
                yield district


@contextmanager
def _logging_to(log: io.StringIO) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("json", "info", stream=log)
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()


async def _an_organization(app: Application) -> tuple[Organization, str]:
    gateway = app.gateway
    assert gateway is not None
    store, at = gateway.store, utc_now()
    made = await store.database.write(lambda tx: add_organization(store, tx, slug="acme", name="Acme", at=at))
    _, secret = await store.database.write(
        lambda tx: add_api_key(store, tx, made, name="Tests", scopes=frozenset(Scope), expires_at=None, at=at)
    )
    return made, secret
