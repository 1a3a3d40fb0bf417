"""Lexicon through a gateway, over real sockets: one user in Lexicon's own order, and a chat that is longer than a page."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from simulators import lexicon as simulator
from simulators.keys import KEYS
from simulators.serving import running
from tests.client import Client, a_client
from tests.gateway import Gateway, served_gateway

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
  message { id text state } reply { id text state } userErrors { code message path } } }"""
CREATE = "mutation ($input: CreateChatInput!) { createChat(input: $input) { chat { id title } userErrors { code message path } } }"
PAGE = """query ($id: ID!, $before: String) { chat(id: $id) { messages(last: 40, before: $before) {
  nodes { id role text state parent { id } } pageInfo { hasPreviousPage startCursor } status { code } } } }"""


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running(simulator.create_app(seed=False)) as url:
        table = f"""[[sources]]
organization = "acme"
key = "team"
vendor = "lexicon"
base_url = "{url}"
credentials = {{ api_key = "{KEYS["lexicon"]["api_key"]}" }}
options = {{ user_ids = ["anna"] }}
"""
        with served_gateway(table) as gateway:
            yield gateway


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[Client]:
    async with a_client(gateway) as client:
        yield client


async def a_new_chat(client: Client, title: str) -> str:
    (source,) = [one for one in (await client.ask("{ sources { id key } }"))["sources"] if one["key"] == "team"]
    made = await client.do(CREATE, input={"sourceId": source["id"], "title": title, "metadata": {"k": 1}})
    assert made["chat"]["title"] == title
    return str(made["chat"]["id"])


@pytest.mark.parametrize("direction", ["DESC", "ASC"])
async def test_chats_are_listed_in_both_native_orders(client: Client, direction: str) -> None:
    made = [await a_new_chat(client, f"{direction} {number}") for number in range(7)]
    seen: list[str] = []
    after = None
    while True:
        data = await client.ask(
            "query ($after: String, $order: ChatOrder) { chats(first: 3, after: $after, orderBy: $order) {"
            " nodes { id } pageInfo { hasNextPage endCursor } sources { code source { key } } } }",
            after=after,
            order={"field": "CREATED_AT", "direction": direction},
        )
        page = data["chats"]
        assert {"code": "OK", "source": {"key": "team"}} in page["sources"]
        seen += [node["id"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert len(seen) == len(set(seen))
    assert set(made) <= set(seen)


async def test_messages_of_a_long_chat_keep_their_ids(client: Client) -> None:
    """Sixty equal messages and their answers: more than a native page, under the ids that the sender was told."""
    chat_id = await a_new_chat(client, "Long")
    told: list[str] = []
    for _ in range(60):
        sent = await client.do(SEND, input={"chatId": chat_id, "text": "And now?", "reply": "WAIT"})
        assert sent["reply"]["state"] == "COMPLETE"
        told += [sent["message"]["id"], sent["reply"]["id"]]
    pages: list[dict[str, Any]] = []
    before = None
    while True:
        found = (await client.ask(PAGE, id=chat_id, before=before))["chat"]["messages"]
        assert found["status"]["code"] == "OK"
        pages = [*found["nodes"], *pages]
        if not found["pageInfo"]["hasPreviousPage"]:
            break
        before = found["pageInfo"]["startCursor"]
    assert [message["id"] for message in pages] == told
    assert [message["role"] for message in pages] == ["USER", "ASSISTANT"] * 60
    assert all(message["state"] == "COMPLETE" for message in pages)
    oldest = await client.ask("query ($id: ID!) { node(id: $id) { ... on Message { text } } }", id=told[0])
    assert oldest["node"] == {"text": "And now?"}
    gone = await client.do(
        "mutation ($id: ID!) { deleteChat(input: {chatId: $id}) { deletedChatId userErrors { code message } } }",
        id=chat_id,
    )
    assert gone["deletedChatId"] == chat_id


async def test_what_lexicon_cannot_do_names_its_field(client: Client) -> None:
    (source,) = [one for one in (await client.ask("{ sources { id key } }"))["sources"] if one["key"] == "team"]
    for field, value in (("userId", "eve"), ("agent", "a"), ("messages", [{"role": "USER", "text": "hi"}])):
        error = await client.refused(CREATE, input={"sourceId": source["id"], field: value})
        assert error["code"] == "INVALID_ARGUMENT"
        assert field in error["path"]
