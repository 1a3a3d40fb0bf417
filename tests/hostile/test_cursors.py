"""Cursors that are forged, of another list, of another organization, or of a removed key."""

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client import Client
from tests.gateway import Gateway
from tests.hostile.installation import Installation

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LISTS = {
    "chats": "chats(first: 2 {}) {{ pageInfo {{ endCursor }} }}",
    "archived chats": "chats(first: 2, filter: {{archived: true}} {}) {{ pageInfo {{ endCursor }} }}",
    "chats by title": "chats(first: 2, orderBy: {{field: TITLE, direction: ASC}} {}) {{ pageInfo {{ endCursor }} }}",
    "folders": "folders(first: 2 {}) {{ pageInfo {{ endCursor }} }}",
    "search": 'search(query: "the", first: 2 {}) {{ pageInfo {{ endCursor }} }}',
    "other search": 'search(query: "offsite", first: 2 {}) {{ pageInfo {{ endCursor }} }}',
    "api keys": "organization {{ apiKeys(first: 1 {}) {{ pageInfo {{ endCursor }} }} }}",
}


async def end_cursor(client: Client, field: str) -> str:
    (connection,) = (await client.ask("{ " + field.format("") + " }")).values()
    connection = connection.get("apiKeys", connection)
    assert connection["pageInfo"]["endCursor"], field
    return connection["pageInfo"]["endCursor"]


async def after(client: Client, field: str, cursor: str) -> dict[str, Any]:
    query = "query ($after: String!) { " + field.format(", after: $after") + " }"
    return await client.post(query, after=cursor)


def assert_refused(body: dict[str, Any]) -> None:
    (error,) = body["errors"]
    assert error["extensions"]["code"] == "BAD_CURSOR"
    assert error["message"].startswith("The ")
    assert " again" in error["message"]  # it says what to do


@pytest.mark.parametrize("name", LISTS)
async def test_forged_cursor_is_refused(client: Client, name: str) -> None:
    good = await end_cursor(client, LISTS[name])
    assert "errors" not in await after(client, LISTS[name], good)
    flipped = bytearray(base64.urlsafe_b64decode(good + "=" * (-len(good) % 4)))
    flipped[-1] ^= 1
    forged = [
        base64.urlsafe_b64encode(flipped).decode().rstrip("="),
        good[:-4],
        good + "AAAA",
        "",
        "x",
        "é",
        "A" * 5000,
    ]
    for cursor in [*forged, base64.urlsafe_b64encode(b'\x01{"seq": 0}').decode()]:
        assert_refused(await after(client, LISTS[name], cursor))


@pytest.mark.parametrize("name", LISTS)
async def test_cursor_of_another_list_is_refused(client: Client, name: str) -> None:
    """Another filter and another order are other lists."""
    good = await end_cursor(client, LISTS[name])
    for other in LISTS:
        if other != name:
            assert_refused(await after(client, LISTS[other], good))


async def test_cursor_of_another_chats_messages_is_refused(client: Client) -> None:
    data = await client.ask("{ chats(first: 9) { nodes { id messages(last: 1) { pageInfo { startCursor } } } } }")
    # Other tests may have begun chats that hold nothing yet.
    first, second, *_ = (chat for chat in data["chats"]["nodes"] if chat["messages"]["pageInfo"]["startCursor"])
    query = "query ($id: ID!, $cursor: String!) { chat(id: $id) { messages(last: 1, before: $cursor) { status { code } } } }"
    cursor = first["messages"]["pageInfo"]["startCursor"]
    assert "errors" not in await client.post(query, id=first["id"], cursor=cursor)
    assert_refused(await client.post(query, id=second["id"], cursor=cursor))


@pytest.mark.parametrize("after", ["x", "", "é", "A" * 5000, "AQIDBAUGBwgJCgsMDQ4PEBESE30"])
async def test_forged_event_cursor_is_refused(client: Client, after: str) -> None:
    query = "subscription ($after: EventCursor) { chatEvents(after: $after) { __typename } }"
    async with client.events(query, after=after) as events:
        message = await events.message()
        assert message["type"] == "error", message
        assert message["payload"][0]["extensions"]["code"] == "BAD_CURSOR"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Installation, str, str]:
    """Two organizations, each with a key."""
    folder: Path = tmp_path_factory.mktemp("cursors")
    installation = Installation(folder)
    return installation, installation.an_organization("acme"), installation.an_organization("beta")


def client_of(gateway: Gateway, key: str, http: httpx.AsyncClient) -> Client:
    return Client(gateway.url, {"Authorization": f"Bearer {key}"}, http)


async def a_cursor(client: Client) -> tuple[str, str]:
    """The cursor of a list, and of the log."""
    (source,) = (await client.ask("{ sources { id } }"))["sources"]
    for title in "abc":
        query = (
            "mutation ($input: CreateChatInput!) { createChat(input: $input) { chat { id } userErrors { message } } }"
        )
        await client.do(query, input={"sourceId": source["id"], "title": title})
    data = await client.ask("{ chats(first: 2) { eventCursor pageInfo { endCursor } } }")
    return data["chats"]["pageInfo"]["endCursor"], data["chats"]["eventCursor"]


async def test_cursor_of_another_organization_tells_nothing(installed: tuple[Installation, str, str]) -> None:
    installation, acme, beta = installed
    events = "subscription ($after: EventCursor) { chatEvents(after: $after) { __typename } }"
    # A place in another log reads like one that a removed key made: lost. Nothing of that log is told.
    with installation.serving() as gateway:
        async with httpx.AsyncClient(timeout=20) as http:
            list_cursor, event_cursor = await a_cursor(client_of(gateway, acme, http))
            stranger = client_of(gateway, beta, http)
            assert_refused(await after(stranger, LISTS["chats"], list_cursor))
            async with stranger.events(events, after=event_cursor) as found:
                assert [(await found.next())["__typename"] for _ in range(2)] == ["StreamGap", "CaughtUp"]


async def test_cursor_outlives_a_new_key_and_dies_with_the_removed_one(
    installed: tuple[Installation, str, str],
) -> None:
    """`secret_keys`: the first signs, all verify. A lost place in the log is a gap, which names where to go on."""
    installation, acme, _ = installed
    everything = "subscription ($after: EventCursor) { chatEvents(after: $after) { __typename cursor ... on StreamGap { from to reason } } }"
    only_messages = "subscription ($after: EventCursor) { messageAdded(after: $after) { cursor } }"
    async with httpx.AsyncClient(timeout=20) as http:
        with installation.serving() as gateway:
            list_cursor, event_cursor = await a_cursor(client_of(gateway, acme, http))
        installation.env["SWITCHBOARD_NEW_KEY"] = "another-secret-" * 4
        installation.env["SWITCHBOARD_SECRET_KEYS"] = "env:SWITCHBOARD_NEW_KEY,env:SWITCHBOARD_SECRET_KEY"
        with installation.serving() as gateway:
            client = client_of(gateway, acme, http)
            assert "errors" not in await after(client, LISTS["chats"], list_cursor)
            async with client.events(everything, after=event_cursor) as events:
                await events.until(__typename="CaughtUp")
        installation.env["SWITCHBOARD_SECRET_KEYS"] = "env:SWITCHBOARD_NEW_KEY"
        try:
            with installation.serving() as gateway:
                client = client_of(gateway, acme, http)
                assert_refused(await after(client, LISTS["chats"], list_cursor))
                async with client.events(everything, after=event_cursor) as events:
                    gap = await events.next()
                    assert (gap["__typename"], gap["reason"], gap["from"]) == ("StreamGap", "EXPIRED", event_cursor)
                    assert (await events.next())["__typename"] == "CaughtUp"
                async with client.events(only_messages, after=event_cursor) as events:
                    (ended,) = (await events.message())["payload"]
                    assert ended["extensions"]["code"] == "STREAM_GAP"
                    assert ended["extensions"]["from"] == event_cursor
                    resume = ended["extensions"]["resumeFrom"]
                async with client.events(everything, after=resume) as events:
                    assert (await events.next())["__typename"] == "CaughtUp"
        finally:
            del installation.env["SWITCHBOARD_SECRET_KEYS"]
