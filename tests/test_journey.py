"""What a person does with chats of any source, through GraphQL over real sockets: the same story for each of them."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from simulators import kodey, splox
from simulators.keys import OPTIONS
from tests.client import Client, a_client
from tests.gateway import Gateway, running_gateway

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

EVENTS = """subscription ($after: EventCursor, $chatIds: [ID!]) { chatEvents(after: $after, chatIds: $chatIds) {
  __typename cursor
  ... on MessageCreated { chatId clientMutationId message { id role text state } }
  ... on MessageUpdated { chatId message { id role text state } }
  ... on MessageDeleted { chatId messageId }
  ... on MessageDelta { chatId messageId offset text }
  ... on ChatCreated { chatId chat { title } }
  ... on ChatUpdated { chatId chat { title pinned archived tags folder { name } } }
  ... on ChatDeleted { chatId }
  ... on FolderChanged { folderId folder { name } }
  ... on CaughtUp { incomplete { code source { key } } }
} }"""
CHAT = "id title pinned archived tags folder { id name } version source { key } messages(last: 10) { nodes { id role text state parent { id } } }"


SOURCES = ["local", "splox", "lexicon", "chatlogger", "kodey", "open-webui"]
SILENT = ("local", "chatlogger")
"""Where nobody answers."""
DEMANDED: dict[str, dict[str, object]] = {
    "splox": {"agent": splox.ASSISTANT.workflow_id},
    "lexicon": {"userId": OPTIONS["lexicon"]["user_ids"][0]},
    "kodey": {"agent": kodey.SEEDED_AGENTS[0]},
    "open-webui": {"agent": "fake-gpt"},
}
"""Source → what `createChat` must name there."""


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway() as gateway:
        yield gateway


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[Client]:
    async with a_client(gateway) as client:
        yield client


async def source_ids(client: Client) -> dict[str, str]:
    data = await client.ask("{ sources { id key } }")
    return {source["key"]: source["id"] for source in data["sources"]}


async def a_new_chat(client: Client, source: str, **fields: object) -> str:
    sources = await source_ids(client)
    fields |= DEMANDED.get(source, {})
    payload = await client.do(
        "mutation ($input: CreateChatInput!) { createChat(input: $input) { chat { id } userErrors { code message path } } }",
        input={"sourceId": sources[source], **fields},
    )
    return payload["chat"]["id"]


async def chat(client: Client, chat_id: str) -> dict[str, Any]:
    return (await client.ask(f"query ($id: ID!) {{ chat(id: $id) {{ {CHAT} }} }}", id=chat_id))["chat"]


async def test_chats_of_all_sources_stand_in_one_list(client: Client) -> None:
    data = await client.ask(
        "{ chats(first: 20) { nodes { title source { vendor } } sources { code source { key } } pageInfo { hasNextPage } } }"
    )
    assert {node["source"]["vendor"] for node in data["chats"]["nodes"]} == {
        "local",
        "splox",
        "lexicon",
        "chatlogger",
        "kodey",
        "open_webui",
    }
    assert [status["code"] for status in data["chats"]["sources"]] == ["OK"] * len(SOURCES)


@pytest.mark.parametrize("source", SOURCES)
async def test_chat_is_named_pinned_tagged_filed_archived_and_deleted(client: Client, source: str) -> None:
    chat_id = await a_new_chat(client, source)
    folder = await client.do(
        'mutation { createFolder(input: {name: "Journey"}) { folder { id origin } userErrors { code } } }'
    )
    folder_id = folder["folder"]["id"]
    changes: list[tuple[str, dict[str, Any]]] = [
        ("updateChat", {"title": "A journey"}),
        ("setChatTags", {"tags": ["two", "one"]}),
        ("setChatPinned", {"pinned": True}),
        ("setChatPinned", {"pinned": True}),
        ("moveChat", {"folderId": folder_id}),
    ]
    for mutation, fields in changes:
        name = mutation[0].upper() + mutation[1:]
        await client.do(
            f"mutation ($input: {name}Input!) {{ {mutation}(input: $input) {{ chat {{ id }} userErrors {{ code message path }} }} }}",
            input={"chatId": chat_id, **fields},
        )
    shown = await chat(client, chat_id)
    assert (shown["title"], shown["tags"], shown["pinned"]) == ("A journey", ["one", "two"], True)
    assert shown["folder"] == {"id": folder_id, "name": "Journey"}
    filed = await client.ask(
        "query ($ids: [ID!]) { chats(first: 9, filter: {folderIds: $ids}) { nodes { id } } }", ids=[folder_id]
    )
    assert filed["chats"]["nodes"] == [{"id": chat_id}]
    await client.do(
        "mutation ($id: ID!) { setChatArchived(input: {chatId: $id, archived: true}) { chat { archived } userErrors { code message } } }",
        id=chat_id,
    )
    listed = await client.ask("{ chats(first: 100) { nodes { id } } }")
    assert {"id": chat_id} not in listed["chats"]["nodes"]
    archived = await client.ask("{ chats(first: 100, filter: {archived: true}) { nodes { id } } }")
    assert {"id": chat_id} in archived["chats"]["nodes"]
    await client.do(
        "mutation ($id: ID!) { deleteChat(input: {chatId: $id}) { deletedChatId userErrors { code message } } }",
        id=chat_id,
    )
    assert (await client.ask("query ($id: ID!) { chat(id: $id) { id } }", id=chat_id))["chat"] is None


@pytest.mark.parametrize("source", SOURCES)
async def test_message_and_reply_arrive_in_a_subscription(client: Client, source: str) -> None:
    chat_id = await a_new_chat(client, source)
    start = await client.ask("query ($id: ID!) { chat(id: $id) { eventCursor } }", id=chat_id)
    async with client.events(EVENTS, chatIds=[chat_id], after=start["chat"]["eventCursor"]) as events:
        await events.until(__typename="CaughtUp", incomplete=[])
        sent = await client.do(
            """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
              message { id text state } reply { id state } replayed clientMutationId userErrors { code message path } } }""",
            input={"chatId": chat_id, "text": "Hello 👋 there", "clientMutationId": "bubble"},
        )
        assert sent["clientMutationId"] == "bubble"
        created = await events.until(__typename="MessageCreated", clientMutationId="bubble")
        assert created["message"]["id"] == sent["message"]["id"]
        assert created["message"]["text"] == "Hello 👋 there"
        if source not in SILENT:
            final: dict[str, Any] = {}
            while final.get("message", {}).get("id") != sent["reply"]["id"] or final["message"]["state"] != "COMPLETE":
                final = await events.next(20)
            text = ""
            for delta in events.seen:
                if delta["__typename"] == "MessageDelta" and delta["messageId"] == sent["reply"]["id"]:
                    text = text.encode("utf-16-le")[: delta["offset"] * 2].decode("utf-16-le") + delta["text"]
            assert final["message"]["text"].startswith(text)
            assert final["message"]["text"]
    shown = await chat(client, chat_id)
    messages = shown["messages"]["nodes"]
    assert [message["role"] for message in messages] == (["USER"] if source in SILENT else ["USER", "ASSISTANT"])
    assert all(message["state"] == "COMPLETE" for message in messages)
    assert messages[0]["id"] == sent["message"]["id"]
    if source not in SILENT:
        assert messages[1]["id"] == sent["reply"]["id"]
        assert messages[1]["parent"] == {"id": messages[0]["id"]}


@pytest.mark.parametrize("source", SOURCES)
async def test_same_key_sends_once(client: Client, source: str) -> None:
    chat_id = await a_new_chat(client, source)
    send = """mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
      message { id } reply { id } replayed userErrors { __typename code message } } }"""
    wanted = {"chatId": chat_id, "text": "Only once", "idempotencyKey": f"once-{source}", "reply": "STREAM"}
    first = await client.do(send, input=wanted)
    second = await client.do(send, input=wanted)
    assert (first["replayed"], second["replayed"]) == (False, True)
    assert first["message"] == second["message"]
    conflict = await client.refused(send, input={**wanted, "text": "Something else"})
    assert (conflict["__typename"], conflict["code"]) == ("IdempotencyConflictError", "IDEMPOTENCY_CONFLICT")
    if source not in SILENT:
        waited = await client.do(send, input={"chatId": chat_id, "text": "And now wait", "reply": "WAIT"})
        assert waited["reply"] is not None
    texts = [
        message["text"] for message in (await chat(client, chat_id))["messages"]["nodes"] if message["role"] == "USER"
    ]
    assert texts.count("Only once") == 1
