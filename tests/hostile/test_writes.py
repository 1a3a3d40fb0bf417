"""Writes that are refused, or as large as can be: what they answer, and that nothing of a refused one is left anywhere."""

import json
import sqlite3
import uuid
from contextlib import closing
from typing import Any

import httpx
import pytest

from domain.ids import parse_id
from tests.client import Client
from tests.gateway import Gateway

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MIB = 1024 * 1024
SOURCES = ["local", "kodey", "open-webui"]
AGENTS = {"local": {}, "kodey": {"agent": "agent_support"}, "open-webui": {"agent": "fake-gpt"}}
CREATE = "mutation ($input: CreateChatInput!) { createChat(input: $input) { chat { id agent { nativeId } } userErrors { __typename code message path } } }"
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id text state } userErrors { __typename code message path } } }"
FOLDER = "mutation ($input: CreateFolderInput!) { createFolder(input: $input) { folder { id } userErrors { code message path } } }"
MOVE_FOLDER = "mutation ($input: UpdateFolderInput!) { updateFolder(input: $input) { folder { id } userErrors { __typename code message path } } }"
MOVE_CHAT = "mutation ($input: MoveChatInput!) { moveChat(input: $input) { chat { id } userErrors { __typename code message path } } }"


def rows_of(demo: Gateway, *tables: str) -> dict[str, int]:
    """How many rows the store has."""
    with closing(sqlite3.connect(f"file:{demo.folder}/.switchboard/demo.db?mode=ro", uri=True)) as store:
        return {table: store.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}


def messages_in(demo: Gateway, chat_id: str) -> int:
    """How many messages and intents the store has of one chat."""
    source, (native,) = parse_id(chat_id).short, parse_id(chat_id).parts
    found = 0
    with closing(sqlite3.connect(f"file:{demo.folder}/.switchboard/demo.db?mode=ro", uri=True)) as store:
        for table in ("message", "intent"):
            query = f"SELECT count(*) FROM {table} WHERE source_id = ? AND chat_id = ?"
            found += store.execute(query, (source, native)).fetchone()[0]
    return found


async def source_ids(client: Client) -> dict[str, str]:
    return {one["key"]: one["id"] for one in (await client.ask("{ sources { id key } }"))["sources"]}


async def a_chat(client: Client, source: str) -> str:
    source_id = (await source_ids(client))[source]
    return (await client.do(CREATE, input={"sourceId": source_id, **AGENTS[source]}))["chat"]["id"]


async def a_folder(client: Client, **fields: Any) -> str:
    return (await client.do(FOLDER, input={"name": f"Folder {uuid.uuid4()}", **fields}))["folder"]["id"]


async def calls_at(demo: Gateway, source: str, http: httpx.AsyncClient) -> list[dict[str, Any]]:
    return (await http.get(f"{demo.sources[source]}/__control/calls")).json() if source in demo.sources else []


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u3000"])
async def test_empty_message_is_refused_before_any_call(client: Client, demo: Gateway, source: str, text: str) -> None:
    chat_id = await a_chat(client, source)
    calls = await calls_at(demo, source, client.http)
    assert await client.refused(SEND, input={"chatId": chat_id, "text": text}) == {
        "__typename": "ValidationError",
        "code": "INVALID_ARGUMENT",
        "message": "The message is empty. Write at least one character that is not a space.",
        "path": ["input", "text"],
    }
    assert messages_in(demo, chat_id) == 0
    assert await calls_at(demo, source, client.http) == calls


@pytest.mark.parametrize("source", SOURCES)
async def test_largest_message_that_fits_arrives_whole(client: Client, source: str) -> None:
    """The body limit is 1 MiB with the operation in it, so a text of 1 MiB never fits: the next byte is a 413."""
    chat_id = await a_chat(client, source)
    around = len(json.dumps({"query": SEND, "variables": {"input": {"chatId": chat_id, "text": ""}}}))
    text = "x" * (MIB - around)

    async def send(words: str) -> httpx.Response:
        body = json.dumps({"query": SEND, "variables": {"input": {"chatId": chat_id, "text": words}}})
        headers = {**client.headers, "Content-Type": "application/json"}
        return await client.http.post(client.url, content=body, headers=headers)

    too_large = await send(text + "x")
    assert (too_large.status_code, too_large.json()["errors"][0]["extensions"]["code"]) == (413, "LIMIT_EXCEEDED")
    sent = (await send(text)).json()["data"]["sendMessage"]
    assert (sent["userErrors"], sent["message"]["text"] == text) == ([], True)
    shown = await client.ask("query ($id: ID!) { message(id: $id) { text } }", id=sent["message"]["id"])
    assert shown["message"]["text"] == text


@pytest.mark.parametrize("source", [None, "open-webui"])
async def test_folder_is_not_moved_below_itself(client: Client, source: str | None) -> None:
    """Folders of the gateway and of a vendor that would let it happen."""
    place = {"sourceId": (await source_ids(client))[source]} if source else {}
    top = await a_folder(client, **place)
    child = await a_folder(client, parentId=top, **place)
    grandchild = await a_folder(client, parentId=child, **place)
    for below in (top, child, grandchild):
        error = await client.refused(MOVE_FOLDER, input={"folderId": top, "parentId": below})
        assert (error["__typename"], error["code"]) == ("ValidationError", "INVALID_ARGUMENT")
        assert error["path"] == ["input", "parentId"]
        assert "itself" in error["message"]
    query = "query ($id: ID!) { folder(id: $id) { parent { id } } }"
    parents = [(await client.ask(query, id=one))["folder"]["parent"] for one in (top, child, grandchild)]
    assert parents == [None, {"id": top}, {"id": child}]


async def test_folder_of_a_vendor_is_not_moved_into_the_gateways(client: Client) -> None:
    ours = await a_folder(client)
    theirs = await a_folder(client, sourceId=(await source_ids(client))["open-webui"])
    for folder, parent in ((ours, theirs), (theirs, ours)):
        error = await client.refused(MOVE_FOLDER, input={"folderId": folder, "parentId": parent})
        assert (error["code"], error["path"]) == ("INVALID_ARGUMENT", ["input", "parentId"])


@pytest.mark.parametrize("source", ["local", "kodey"])
async def test_vendors_folder_refuses_chats_of_another_source(client: Client, demo: Gateway, source: str) -> None:
    sources = await source_ids(client)
    theirs = await a_folder(client, sourceId=sources["open-webui"])
    chat_id = await a_chat(client, source)
    before, calls = rows_of(demo, "chat", "intent"), await calls_at(demo, source, client.http)
    refused = {
        "__typename": "ValidationError",
        "code": "INVALID_ARGUMENT",
        "message": (
            "This folder is kept by another source and can hold that source's chats only. "
            "Use a folder of the gateway, or one of the chat's own source."
        ),
    }
    moved = await client.refused(MOVE_CHAT, input={"chatId": chat_id, "folderId": theirs})
    assert moved == {**refused, "path": ["input", "folderId"]}
    created = await client.refused(CREATE, input={"sourceId": sources[source], "folderId": theirs, **AGENTS[source]})
    assert created == {**refused, "path": ["input", "folderId"]}
    assert rows_of(demo, "chat", "intent") == before
    assert await calls_at(demo, source, client.http) == calls


COPY = "mutation ($input: CopyChatInput!) { copyChat(input: $input) { chat { id } userErrors { code path } } }"


async def test_copy_into_a_folder_of_another_source_names_its_own_argument(client: Client) -> None:
    sources = await source_ids(client)
    theirs = await a_folder(client, sourceId=sources["open-webui"])
    chat_id = await a_chat(client, "local")
    fields = {"chatId": chat_id, "targetSourceId": sources["local"], "targetFolderId": theirs}
    assert await client.refused(COPY, input=fields) == {"code": "INVALID_ARGUMENT", "path": ["input", "targetFolderId"]}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"title": ""}, ["title"]),
        ({"title": "x" * 1001}, ["title"]),
        ({"tags": [""]}, ["tags", "0"]),
        ({"tags": ["x" * 101]}, ["tags", "0"]),
        ({"tags": [f"tag {number}" for number in range(51)]}, ["tags"]),
        ({"options": {"x": 1}}, ["options"]),
        ({"idempotencyKey": ""}, ["idempotencyKey"]),
        ({"idempotencyKey": "x" * 201}, ["idempotencyKey"]),
    ],
)
async def test_chat_with_an_impossible_field_is_not_begun(
    client: Client, demo: Gateway, source: str, fields: dict[str, Any], path: list[str]
) -> None:
    source_id = (await source_ids(client))[source]
    before, calls = rows_of(demo, "chat", "intent"), await calls_at(demo, source, client.http)
    error = await client.refused(CREATE, input={"sourceId": source_id, **AGENTS[source], **fields})
    assert error["code"] == "INVALID_ARGUMENT"
    # A source that takes some options names the one that it does not take.
    named = [*path, *fields.get("options", {})] if source == "open-webui" else path
    assert error["path"] == ["input", *named]
    assert rows_of(demo, "chat", "intent") == before
    assert await calls_at(demo, source, client.http) == calls


async def test_field_that_a_vendor_does_not_take_is_named(client: Client) -> None:
    source_id = (await source_ids(client))["open-webui"]
    error = await client.refused(CREATE, input={"sourceId": source_id, "agent": "fake-gpt", "userId": "ann"})
    assert (error["message"], error["path"]) == ("The source takes no `userId`. Leave it out.", ["input", "userId"])


@pytest.mark.parametrize("agent", ["..", "../..", "a/b", "💬"])
async def test_agent_with_an_odd_name_is_the_vendors_to_judge(client: Client, agent: str) -> None:
    """An agent is no part of an address: a chat that Kodey made for it must not end as "perhaps made"."""
    source_id = (await source_ids(client))["kodey"]
    payload = await client.do(CREATE, input={"sourceId": source_id, "agent": agent})
    assert payload["chat"]["agent"] == {"nativeId": agent}
