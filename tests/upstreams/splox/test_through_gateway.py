"""Splox through a gateway, over real sockets: a chat that is longer than a page, words while they are written, and a stop."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from simulators import splox as simulator
from simulators.keys import KEYS, PATHS
from simulators.serving import running
from tests.client import Client, a_client
from tests.gateway import Gateway, served_gateway

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SEND = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
  message { id text state } reply { id text state } userErrors { code message path } } }"""
CREATE = "mutation ($input: CreateChatInput!) { createChat(input: $input) { chat { id title } userErrors { code message path } } }"
PAGE = """query ($id: ID!, $before: String) { chat(id: $id) { messages(last: 40, before: $before) {
  nodes { id role text state parent { id } } pageInfo { hasPreviousPage startCursor } status { code } } } }"""
LONG = 103
"""Messages to send: with their answers a page of 200 does not hold them."""
ASSISTANT, SLOW = simulator.ASSISTANT.workflow_id, simulator.SLOW.workflow_id


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    app = simulator.create_app(seed=False, switches=simulator.Switches(runs_per_minute=10_000))
    with running(app) as url:
        resources = ", ".join(f'{{ id = "{one}", type = "workflow" }}' for one in (ASSISTANT, SLOW))
        table = f"""[[sources]]
organization = "acme"
key = "flows"
vendor = "splox"
base_url = "{url}{PATHS["splox"]}"
credentials = {{ api_key = "{KEYS["splox"]["api_key"]}" }}
options = {{ runs_per_minute = 10000, resources = [{resources}] }}
"""
        with served_gateway(table) as gateway:
            yield gateway


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[Client]:
    async with a_client(gateway) as client:
        yield client


async def a_new_chat(client: Client, title: str, agent: str = ASSISTANT) -> str:
    (source,) = [one for one in (await client.ask("{ sources { id key } }"))["sources"] if one["key"] == "flows"]
    made = await client.do(CREATE, input={"sourceId": source["id"], "title": title, "agent": agent})
    assert made["chat"]["title"] == title
    return str(made["chat"]["id"])


async def all_messages(client: Client, chat_id: str) -> list[dict[str, Any]]:
    pages: list[dict[str, Any]] = []
    before = None
    while True:
        found = (await client.ask(PAGE, id=chat_id, before=before))["chat"]["messages"]
        assert found["status"]["code"] == "OK"
        pages = [*found["nodes"], *pages]
        if not found["pageInfo"]["hasPreviousPage"]:
            return pages
        before = found["pageInfo"]["startCursor"]


async def test_messages_of_a_long_chat_keep_their_ids(client: Client) -> None:
    """Equal messages and their answers: more than a native page, under the ids that the sender was told."""
    chat_id = await a_new_chat(client, "Long")
    told: list[str] = []
    for _ in range(LONG):
        sent = await client.do(SEND, input={"chatId": chat_id, "text": "And now?", "reply": "WAIT"})
        assert sent["reply"]["state"] == "COMPLETE"
        assert sent["reply"]["text"]
        told += [sent["message"]["id"], sent["reply"]["id"]]
    found = await all_messages(client, chat_id)
    assert [message["id"] for message in found] == told
    assert [message["role"] for message in found] == ["USER", "ASSISTANT"] * LONG
    assert {message["state"] for message in found} == {"COMPLETE"}
    assert [message["parent"] and message["parent"]["id"] for message in found] == [None, *told[:-1]]
    oldest = await client.ask("query ($id: ID!) { node(id: $id) { ... on Message { text } } }", id=told[0])
    assert oldest["node"] == {"text": "And now?"}
    gone = await client.do(
        "mutation ($id: ID!) { deleteChat(input: {chatId: $id}) { deletedChatId userErrors { code message } } }",
        id=chat_id,
    )
    assert gone["deletedChatId"] == chat_id


async def test_words_of_a_reply_arrive_and_it_is_stopped(client: Client) -> None:
    chat_id = await a_new_chat(client, "Stopped", SLOW)
    query = """subscription { chatEvents { __typename
      ... on MessageDelta { messageId offset text }
      ... on MessageUpdated { message { id text state } } } }"""
    async with client.events(query) as events:
        sent = await client.do(SEND, input={"chatId": chat_id, "text": "A long story", "reply": "STREAM"})
        reply_id = sent["reply"]["id"]
        words = await events.until(__typename="MessageDelta", messageId=reply_id)
        assert words["text"]
        stopped = await client.do(
            "mutation ($id: ID!) { stopGeneration(input: {messageId: $id}) { message { id text state } userErrors { code message } } }",
            id=reply_id,
        )
        assert (stopped["message"]["id"], stopped["message"]["state"]) == (reply_id, "CANCELLED")
        assert stopped["message"]["text"].startswith(words["text"])
    found = await all_messages(client, chat_id)
    assert [message["id"] for message in found] == [sent["message"]["id"], reply_id]
    assert found[1]["state"] == "CANCELLED"


async def test_what_splox_cannot_do_names_its_field(client: Client) -> None:
    (source,) = [one for one in (await client.ask("{ sources { id key } }"))["sources"] if one["key"] == "flows"]
    for field, value in (
        ("agent", None),
        ("userId", "eve"),
        ("options", {"x": 1}),
        ("messages", [{"role": "USER", "text": "hi"}]),
    ):
        known = {"sourceId": source["id"], "agent": ASSISTANT}
        error = await client.refused(CREATE, input={**known, field: value})
        assert error["code"] == "INVALID_ARGUMENT"
        assert field in error["path"]
