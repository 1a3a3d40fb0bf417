"""Creating chats: what each vendor demands is known before any call, and the examples of the vendors' own pages can be said in GraphQL.

The bodies below are those of the "Create Chat" pages of Splox, Lexicon Labs, ChatLogger, Kodey and Open WebUI, read 2026-11-20.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from simulators import splox
from simulators.calls import fingerprint
from simulators.chatlogger.accounts import API_KEY, SLUG
from simulators.keys import KEYS, SESSIONS
from simulators.serving import running
from tests.cells.world import OURS, VENDORS, Simulated, mutation, source_table, talk
from tests.client import Client
from tests.gateway import Gateway
from tests.hostile.installation import Installation

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

RESOURCE = "0199e001-a23b-7c8d-1234-567890abcdef"
FLOW, SLOW = ({"id": flow.workflow_id, "type": "workflow"} for flow in (splox.ASSISTANT, splox.SLOW))
SOURCES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "splox": ("splox", {"resources": [FLOW, SLOW]}),
    "splox-alone": ("splox", {"resources": [FLOW]}),
    "lexicon": ("lexicon", {"user_ids": ["user123", "user456"]}),
    "lexicon-alone": ("lexicon", {"user_ids": ["user123"]}),
    "chatlogger": ("chatlogger", {"slug": SLUG, "user_ids": ["42"]}),
    "chatlogger-users": ("chatlogger", {"slug": SLUG}),
    "kodey": ("kodey", {"user_ids": ["string"]}),
    "kodey-fixed": ("kodey", {"user_id": "string"}),
    "kodey-users": ("kodey", {}),
    "open-webui": ("open_webui", {}),
    "local": ("local", {}),
}
"""Key → vendor and options."""


@dataclass
class Desk:
    """A gateway with `SOURCES`; `ids` and `schemas` by key."""

    gateway: Gateway
    simulated: Mapping[str, Simulated]
    ids: dict[str, str] = field(default_factory=dict)
    schemas: dict[str, Any] = field(default_factory=dict)

    def calls(self, key: str) -> list[dict[str, Any]]:
        """What the source's vendor was asked."""
        vendor = SOURCES[key][0]
        return self.simulated[vendor].calls() if vendor in self.simulated else []

    def forget_calls(self, key: str) -> None:
        """Begin to count anew."""
        if (vendor := SOURCES[key][0]) in self.simulated:
            self.simulated[vendor].forget_calls()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with ExitStack() as stack:
        urls = {
            vendor: stack.enter_context(running(how.simulator()))
            for vendor, how in VENDORS.items()
            if how.simulator is not None
        }
        tables = [
            source_table(OURS, vendor, urls[vendor], key=key, options=options)
            for key, (vendor, options) in SOURCES.items()
            if vendor in urls
        ]
        installation = Installation(tmp_path_factory.mktemp("examples"), sources="\n".join(tables))
        api_key = installation.an_organization(OURS)
        gateway = stack.enter_context(installation.serving(api_key))
        desk = Desk(gateway, {vendor: Simulated(url) for vendor, url in urls.items()})
        asked = httpx.post(
            gateway.url,
            json={"query": "{ sources { id key createChatSchema } }"},
            headers=gateway.headers,
            trust_env=False,
        ).json()
        for source in asked["data"]["sources"]:
            desk.ids[source["key"]], desk.schemas[source["key"]] = source["id"], source["createChatSchema"]
        yield desk


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as http:
        yield Client(desk.gateway.url, desk.gateway.headers, http)


# The pages


@dataclass(frozen=True)
class Example:
    """A request as a page shows it, the input that says the same, and where it goes. `secret` is the header that signs it in."""

    source: str
    given: Mapping[str, Any]
    path: str
    body: Mapping[str, Any]
    secret: tuple[str, str]
    operation: str = "create_chat"


_SPLOX = ("authorization", f"Bearer {KEYS['splox']['api_key']}")
_LEXICON = ("x-api-key", KEYS["lexicon"]["api_key"])
_CHAT_OF_PAGE = {
    "title": "New AI Conversation",
    "history": {
        "messages": {"msg-1": {"id": "msg-1", "role": "user", "content": "Hello!", "timestamp": 1709164800}},
        "currentId": "msg-1",
    },
}
_METADATA_OF_PAGE = {
    "avg_response_time": 42.0,
    "country_code": "string",
    "ip_address": "string",
    "is_escalated": True,
    "is_forwarded_to_hr": True,
    "language_code": "string",
    "question_category": "string",
    "sentiment": "string",
    "session_id": "string",
    "token_count": 42,
    "transcript_link": "string",
    "user_rating": 42,
}
EXAMPLES = {
    "splox, request": Example(
        "splox",
        {"title": "Support Chat", "agent": RESOURCE},
        "/api/v1/chats",
        {"name": "Support Chat", "resource_type": "api", "resource_id": RESOURCE},
        _SPLOX,
    ),
    "splox, usage": Example(
        "splox",
        {"title": "My Chat Session", "agent": RESOURCE},
        "/api/v1/chats",
        {"name": "My Chat Session", "resource_type": "api", "resource_id": RESOURCE},
        _SPLOX,
    ),
    "lexicon, request": Example(
        "lexicon",
        {"userId": "user456", "title": "<string>", "metadata": {}},
        "/api/v1/chats/",
        {"user_id": "user456", "title": "<string>", "metadata": {}},
        _LEXICON,
    ),
    "lexicon, usage": Example(
        "lexicon",
        {
            "userId": "user123",
            "title": "Support Session",
            "metadata": {"department": "technical", "priority": "high"},
        },
        "/api/v1/chats/",
        {
            "user_id": "user123",
            "title": "Support Session",
            "metadata": {"department": "technical", "priority": "high"},
        },
        _LEXICON,
    ),
    "chatlogger": Example(
        "chatlogger",
        {"metadata": _METADATA_OF_PAGE, "tags": ["string"], "title": "string", "userId": "42"},
        f"/api/v1/orgs/{SLUG}/chats",  # the page leaves out where the slug, its path parameter, stands
        {"metadata": _METADATA_OF_PAGE, "tags": ["string"], "title": "string", "user_id": 42},
        ("x-organization-api-key", API_KEY),
        operation="create_chat_with_key",
    ),
    "kodey": Example(
        "kodey",
        {"agent": "string", "userId": "string", "metadata": {}},
        "/chat",
        {"agentId": "string", "userId": "string", "metadata": {}},
        ("x-api-key", KEYS["kodey"]["api_key"]),
    ),
    "open_webui": Example(
        "open-webui",
        {"options": {"chat": _CHAT_OF_PAGE}},
        "/api/v1/chats/new",  # the page's /api/chats/new is not there on a real server
        {"chat": _CHAT_OF_PAGE, "folder_id": None},
        ("authorization", f"Bearer {SESSIONS['open_webui']['jwt']}"),
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
async def test_example_of_the_page_arrives_field_by_field(desk: Desk, client: Client, name: str) -> None:
    example = EXAMPLES[name]
    desk.forget_calls(example.source)
    payload = await client.do(
        mutation("createChat", "chat { nativeId }"), input={"sourceId": desk.ids[example.source], **example.given}
    )
    assert payload["chat"]["nativeId"]
    (call,) = [call for call in desk.calls(example.source) if call["operation"] == example.operation]
    assert (call["method"], call["path"], call["query"]) == ("POST", example.path, {})
    assert call["headers"]["content-type"] == "application/json"
    header, secret = example.secret
    assert call["headers"][header] == fingerprint(secret)
    if example.source == "open-webui":
        assert call["body"]["chat"].pop("switchboard_intent")  # by which a write is found again whose answer was lost
    assert call["body"] == example.body


async def test_example_of_kodeys_message_arrives_field_by_field(desk: Desk, client: Client) -> None:
    made = await client.do(
        mutation("createChat", "chat { id nativeId }"), input={"sourceId": desk.ids["kodey"], "agent": "string"}
    )
    desk.forget_calls("kodey")
    await client.do(
        mutation("sendMessage", "reply { text }"),
        input={"chatId": made["chat"]["id"], "text": "string", "reply": "WAIT"},
    )
    (call,) = [call for call in desk.calls("kodey") if call["operation"] == "send_message"]
    assert (call["method"], call["path"]) == ("POST", f"/chat/{made['chat']['nativeId']}/message")
    assert call["body"] == {"content": "string", "role": "user"}


async def test_chat_object_is_a_chat_like_any_other(desk: Desk, client: Client) -> None:
    """The fields beside `options` win over what stands in it."""
    made = await client.do(
        mutation("createChat", "chat { title agent { nativeId } messages(last: 9) { nodes { role text } } }"),
        input={
            "sourceId": desk.ids["open-webui"],
            "title": "Ours",
            "agent": "fake-gpt",
            "options": {"chat": _CHAT_OF_PAGE},
        },
    )
    assert made["chat"] == {
        "title": "Ours",
        "agent": {"nativeId": "fake-gpt"},
        "messages": {"nodes": [{"role": "USER", "text": "Hello!"}]},
    }


# What is demanded

LEAST: Mapping[str, Mapping[str, Any]] = {
    "splox": {"agent": FLOW["id"]},
    "splox-alone": {},
    "lexicon": {"userId": "user123"},
    "lexicon-alone": {},
    "chatlogger": {},
    "chatlogger-users": {},
    "kodey": {"agent": "agent_support"},
    "kodey-fixed": {"agent": "agent_support"},
    "kodey-users": {"agent": "agent_support"},
    "open-webui": {},
    "local": {},
}
"""Key → the least that the source takes."""
VALUES: Mapping[str, list[Any]] = {
    "title": ["A title", "", " ", "x" * 1001],
    "agent": ["fake-gpt", ""],
    "userId": ["user123", "42", "string", "somebody else", "042"],
    "metadata": [{}, {"ticket": 7}, _METADATA_OF_PAGE, {"token_count": "many"}, {"user_rating": None}],
    "tags": [[], ["one", "two"], [""], [" "], ["x" * 101], ["tag"] * 51, ["none"], [" None"]],
    "messages": [
        talk("one", "two"),
        talk("one", " "),
        [{"role": "TOOL", "text": "one"}],
        [{"role": "SYSTEM", "text": "one"}],
    ],
    "options": [
        {},
        {"unknown": 1},
        {"chat": {"title": 7}},
        {"chat": {"history": {"messages": {"m": {"id": "m"}}}}},
    ],
}
"""Field → values, possible and impossible; which is which differs between the sources."""
TRIES = [(key, name, value) for key in SOURCES for name, values in VALUES.items() for value in values]


@pytest.mark.parametrize(("key", "name", "value"), TRIES)
async def test_schema_agrees_with_what_is_accepted(desk: Desk, client: Client, key: str, name: str, value: Any) -> None:
    given = {**LEAST[key], name: value}
    validator = Draft202012Validator(desk.schemas[key])
    desk.forget_calls(key)
    answer = await client.ask(mutation("createChat", "chat { id }"), input={"sourceId": desk.ids[key], **given})
    errors = answer["createChat"]["userErrors"]
    if validator.is_valid(given):
        assert errors == []
        assert answer["createChat"]["chat"] is not None
        return
    (error,) = errors
    assert (error["code"], error["path"][:2]) == ("INVALID_ARGUMENT", ["input", name])
    assert desk.calls(key) == []


@pytest.mark.parametrize("key", SOURCES)
async def test_what_a_source_demands_is_missed_before_any_call(desk: Desk, client: Client, key: str) -> None:
    Draft202012Validator.check_schema(desk.schemas[key])
    validator = Draft202012Validator(desk.schemas[key])
    assert validator.is_valid(LEAST[key])
    for name in LEAST[key]:
        given = {other: value for other, value in LEAST[key].items() if other != name}
        assert not validator.is_valid(given)
        desk.forget_calls(key)
        error = await client.refused(mutation("createChat"), input={"sourceId": desk.ids[key], **given})
        assert (error["code"], error["path"]) == ("INVALID_ARGUMENT", ["input", name])
        assert error["message"].endswith(".")
        assert desk.calls(key) == []


def test_every_vendor_has_a_source_and_an_example() -> None:
    assert {vendor for vendor, _ in SOURCES.values()} == set(VENDORS)
    assert {SOURCES[example.source][0] for example in EXAMPLES.values()} == set(KEYS)
    assert set(LEAST) == set(SOURCES)


def test_chatlogger_takes_the_twelve_fields_of_its_page(desk: Desk) -> None:
    fields = desk.schemas["chatlogger"]["properties"]["metadata"]["properties"]
    assert set(fields) == set(_METADATA_OF_PAGE)
    assert len(fields) == 12
