"""What a page costs: SQL statements counted at the driver, calls counted at the simulators."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest

from simulators import kodey, open_webui
from simulators.control import Control
from simulators.serving import running
from tests.client import Client
from tests.gateway import Gateway
from tests.hostile.installation import Installation, a_source

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CHATS = 45
LOCAL = "query ($ids: [ID!]!, $first: Int!) { chats(first: $first, filter: {sourceIds: $ids}) { %s } }"
ROW = "nodes { id title tags pinned archived unreadCount folder { id name } owner { nativeId } source { key } }"
BELOW = "nodes { id title messages(last: 5) { nodes { id text role parent { id } } } }"
NO_MESSAGES = """{ chats(first: 50, withinMs: 10000) { eventCursor totalCount { value }
  nodes { id title tags pinned archived metadata updatedAt lastMessageAt agent { nativeId } owner { nativeId } folder { name } source { key health { state } } } sources { code } } }"""


@dataclass
class Counted:
    """A gateway with many local chats, and the vendors behind it."""

    gateway: Gateway
    vendors: dict[str, Control]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
    vendors = {"kodey": kodey.create_app(), "open-webui": open_webui.create_app()}
    keys = {"kodey": kodey.SECRET_KEY, "open-webui": open_webui.ADMIN_KEY}
    with ExitStack() as stack:
        sources = "".join(
            a_source("acme", key, key.replace("-", "_"), stack.enter_context(running(vendor)), keys[key])
            for key, vendor in vendors.items()
        )
        installation = Installation(tmp_path_factory.mktemp("counts"), sources=sources)
        key = installation.an_organization("acme")
        yield Counted(stack.enter_context(installation.serving(key)), vendors)


@pytest.fixture
async def client(counted: Counted) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(timeout=30) as http:
        yield Client(counted.gateway.url, counted.gateway.headers, http)


async def local_with_chats(client: Client) -> str:
    """The id of the local source, which has at least `CHATS` chats, a message in each."""
    sources = (await client.ask("{ sources { id key } }"))["sources"]
    local = next(one["id"] for one in sources if one["key"] == "local")
    found = await client.ask(LOCAL % "nodes { id }", ids=[local], first=100)
    create = "mutation ($input: CreateChatInput!) { createChat(input: $input) { chat { id } userErrors { message } } }"
    for number in range(len(found["chats"]["nodes"]), CHATS):
        words = [{"role": "USER", "text": f"Hello {number}"}, {"role": "ASSISTANT", "text": "Good day"}]
        await client.do(create, input={"sourceId": local, "title": f"Chat {number}", "messages": words})
    return local


async def statements(client: Client, gateway: Gateway) -> int:
    """How many the driver was given since the start."""
    told = (await client.http.get(f"{gateway.origin}/metrics")).text
    return int(float(re.findall(r"^switchboard_store_statements (\S+)", told, re.MULTILINE)[0]))


@pytest.mark.parametrize("selection", [ROW, BELOW], ids=["rows", "messages below"])
async def test_page_of_20_and_of_40_take_the_same_statements(client: Client, counted: Counted, selection: str) -> None:
    """The least of several, because the gateway also notes the use of keys and reads settings anew, in its own time."""
    local = await local_with_chats(client)
    cost: dict[int, list[int]] = {20: [], 40: []}
    for first in [20, 40] * 6:
        before = await statements(client, counted.gateway)
        page = await client.ask(LOCAL % selection, ids=[local], first=first)
        cost[first].append(await statements(client, counted.gateway) - before)
        assert len(page["chats"]["nodes"]) == first
    assert min(cost[20]) == min(cost[40]) > 0, cost


async def test_query_without_messages_makes_no_message_call(client: Client, counted: Counted) -> None:
    for vendor in counted.vendors.values():
        vendor.calls.clear()
    page = await client.ask(NO_MESSAGES)
    assert {one["source"]["key"] for one in page["chats"]["nodes"]} >= {"kodey", "open-webui"}
    assert {call["operation"] for call in counted.vendors["kodey"].calls.named()} == {"list_chats"}
    operations = {call["operation"] for call in counted.vendors["open-webui"].calls.named()}
    assert "list_chats" in operations
    assert not operations & {"get_chat", "list_messages", "get_messages"}, operations


async def test_no_vendor_is_asked_for_the_chats_of_another_source(client: Client, counted: Counted) -> None:
    local = await local_with_chats(client)
    before = [len(vendor.calls.named()) for vendor in counted.vendors.values()]
    await client.ask(LOCAL % BELOW, ids=[local], first=40)
    assert [len(vendor.calls.named()) for vendor in counted.vendors.values()] == before
