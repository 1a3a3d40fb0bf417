"""Two organizations, and one person's own source: nothing of one is seen by the other, whatever is asked."""

import asyncio
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from domain.ids import parse_id
from domain.records import Scope
from tests.client import Client, Events
from tests.hostile.installation import a_token
from tests.hostile.test_ids import CHATS, MESSAGES, NOT_FOR_YOU, OTHERS, Place
from tests.hostile.world import WORDS, World, a_world, ann, expected_key
from tests.stores import add_key

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

EVERYTHING = """{
  viewer { organization { id slug } }
  organization { id slug members(first: 50) { nodes { id displayName role } } apiKeys(first: 50) { nodes { id prefix } }
    auditLog(first: 100) { nodes { id action input target { id } } } }
  organizations(first: 50) { nodes { id slug } }
  sources { id key account { nativeId } health { state } }
  chats(first: 100, withinMs: 20000) { totalCount { value } nodes { id title owner { nativeId } messages(last: 50) { nodes { id text } } } sources { code source { key } } }
  archived: chats(first: 100, withinMs: 20000, filter: {archived: true}) { nodes { id title } }
  folders(first: 100, withinMs: 20000) { nodes { id name chats(first: 50) { nodes { id } } } }
}"""
SEARCH = "query ($words: String!) { search(query: $words, first: 50, withinMs: 20000) { edges { snippet node { __typename ... on Chat { id } ... on Message { id text } } } coverage { source { key } } } }"
EVENTS = "subscription { chatEvents { __typename ... on MessageCreated { chatId message { text } } ... on ChatCreated { chatId } } }"
CREATE = (
    "mutation ($input: CreateChatInput!) { createChat(input: $input) { chat { id } userErrors { code message path } } }"
)
SEND = (
    "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } userErrors { code message } } }"
)
ID = re.compile(r'"id": ?"([^"]+)"')


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_world(tmp_path_factory.mktemp("tenants")) as world:
        yield world


async def all_that_is_seen(client: Client) -> str:
    """What somebody can see, as one text."""
    told = [await client.ask(EVERYTHING)]
    told += [await client.ask(SEARCH, words=word) for word in WORDS.values()]
    return json.dumps(told, ensure_ascii=False)


async def source_id(client: Client, key: str) -> str:
    return next(one["id"] for one in (await client.ask("{ sources { id key } }"))["sources"] if one["key"] == key)


async def a_local_chat(client: Client, **fields: Any) -> str:
    return (await client.do(CREATE, input={"sourceId": await source_id(client, "local"), **fields}))["chat"]["id"]


@pytest.mark.parametrize(("own", "other"), [("acme", "beta"), ("beta", "acme")])
async def test_each_sees_its_own_and_nothing_of_the_other(world: World, own: str, other: str) -> None:
    """Equal native ids on both sides: a mix-up would show the other's words."""
    async with world.client(world.keys[own]) as client:
        seen = await all_that_is_seen(client)
    words = seen.replace(f'"words": "{WORDS[other]}"', "")
    assert WORDS[own] in words
    assert WORDS[other] not in words
    assert f'"{other}"' not in words
    for vendor in ("kodey", "open_webui"):
        assert world.keys_seen(own, vendor) == {expected_key(own, vendor)}


async def test_both_have_the_same_native_ids(world: World) -> None:
    """Without this the tests beside it would prove little."""
    natives = []
    for organization in ("acme", "beta"):
        async with world.client(world.keys[organization]) as client:
            seen = await client.ask("{ chats(first: 100, withinMs: 20000) { nodes { nativeId source { key } } } }")
            natives.append({(node["source"]["key"], node["nativeId"]) for node in seen["chats"]["nodes"]})
    shared = {key for key, _ in natives[0] & natives[1]}
    assert shared == {"kodey", "open-webui"}


async def test_ids_of_the_other_lead_nowhere(world: World) -> None:
    async with world.client(world.keys["acme"]) as mine, world.client(world.keys["beta"]) as stranger:
        ids = sorted(set(ID.findall(await all_that_is_seen(mine))))
        assert {parse_id(one).type.name for one in ids} >= {"CHAT", "MESSAGE", "SOURCE", "API_KEY", "ORGANIZATION"}
        before = world.calls()
        for start in range(0, len(ids), 100):
            some = ids[start : start + 100]
            data = await stranger.ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=some)
            found = [one for one in some if data["nodes"][some.index(one)] is not None]
            # Folders of the gateway are numbered per organization: theirs have random names, so none is there either.
            assert found == []
        for one in ids:
            kind = parse_id(one).type.name.lower()
            if kind in ("chat", "message", "folder", "source"):
                assert await stranger.ask(f"query ($id: ID!) {{ {kind}(id: $id) {{ id }} }}", id=one) == {kind: None}
        assert world.calls() == before


@pytest.mark.parametrize("place", [*CHATS, *MESSAGES, *OTHERS], ids=str)
async def test_id_of_the_other_is_refused_like_what_is_no_id(world: World, place: Place) -> None:
    """Same type, code, words and path; and no vendor is asked, so it takes no longer either."""
    async with world.client(world.keys["acme"]) as mine, world.client(world.keys["beta"]) as stranger:
        theirs = await good_ids(mine)
        own = await good_ids(stranger)
        others = {
            name: own.get(value, value) if isinstance(value, str) else value for name, value in place.others.items()
        }
        calls = world.calls()
        for id_text in (theirs[place.noun], "no-id"):
            error = await stranger.refused(place.document, input={**others, place.argument: id_text})
            assert error == {
                "__typename": "NotFoundError",
                "code": "NOT_FOUND",
                "message": f"There is no {place.noun} {NOT_FOR_YOU}",
                "path": ["input", place.argument],
                "missingId": id_text,
            }
        assert world.calls() == calls


_GOOD: dict[str, dict[str, str]] = {}


async def good_ids(client: Client) -> dict[str, str]:
    """One id of each kind: by noun, and what `Place.others` names."""
    key = client.headers["Authorization"]
    if key not in _GOOD:
        chat_id = await a_local_chat(client, title="Mine")
        message = (await client.do(SEND, input={"chatId": chat_id, "text": "Hello"}))["message"]["id"]
        folder = await client.do(
            'mutation { createFolder(input: {name: "Mine"}) { folder { id } userErrors { code } } }'
        )
        data = await client.ask(
            "{ organization { id members(first: 9) { nodes { id } } apiKeys(first: 9) { nodes { id } } } }"
        )
        organization = data["organization"]
        _GOOD[key] = {
            "chat": chat_id,
            "demo": chat_id,
            "message": message,
            "message of this chat": message,
            "folder": folder["folder"]["id"],
            "work": folder["folder"]["id"],
            "source": await source_id(client, "local"),
            "local": await source_id(client, "local"),
            "organization": organization["id"],
            "member": organization["members"]["nodes"][0]["id"],
            "API key": organization["apiKeys"]["nodes"][0]["id"],
        }
    return _GOOD[key]


async def test_events_do_not_cross(world: World) -> None:
    """The stranger's next event is its own: the other's came before and is not among them."""
    async with (
        world.client(world.keys["acme"]) as mine,
        world.client(world.keys["beta"]) as stranger,
        stranger.events(EVENTS) as events,
    ):
        await listening(events)
        kodey = await mine.do(CREATE, input={"sourceId": await source_id(mine, "kodey"), "agent": "agent_support"})
        await mine.do(SEND, input={"chatId": kodey["chat"]["id"], "text": "zebra"})
        await mine.do(SEND, input={"chatId": await a_local_chat(mine), "text": "zebra"})
        own = await a_local_chat(stranger)
        assert await events.next() == {"__typename": "ChatCreated", "chatId": own}


async def listening(events: Events) -> None:
    """A ping is answered by the socket's loop after it has started the subscription."""
    await events.socket.send(json.dumps({"type": "ping"}))
    while json.loads(await asyncio.wait_for(events.socket.recv(), 10))["type"] != "pong":
        pass


async def test_organization_is_named_or_the_only_one(world: World) -> None:
    async with world.client(ann()) as client:
        answer = await client.http.post(client.url, json={"query": "{ organization { slug } }"}, headers=client.headers)
        assert answer.status_code == 403
        (error,) = answer.json()["errors"]
        assert (error["extensions"]["code"], error["extensions"]["organizations"]) == (
            "ORGANIZATION_REQUIRED",
            ["acme", "beta"],
        )
        assert "X-Organization" in error["message"]
        with pytest.raises(ConnectionClosed) as closed:
            async with client.events(EVENTS):
                pass
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, "acme, beta" in closed.value.rcvd.reason) == (4403, True)
    for slug in ("acme", "beta"):
        async with world.client(ann(), slug) as client:
            assert await client.ask("{ organization { slug } }") == {"organization": {"slug": slug}}
    async with world.client(a_token("bob")) as client:
        assert await client.ask("{ organization { slug } }") == {"organization": {"slug": "acme"}}
    async with world.client(a_token("bob"), "beta") as client:
        answer = await client.http.post(client.url, json={"query": "{ organization { slug } }"}, headers=client.headers)
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["organizations"]) == (403, ["acme"])


@pytest.mark.parametrize(
    "token",
    [a_token("ann", seconds=-3600), a_token("ann", aud="other"), a_token("ann", iss="x"), a_token("ann")[:-3] + "abc"],
)
async def test_token_that_is_not_good_is_401(world: World, token: str) -> None:
    async with world.client(token, "acme") as client:
        answer = await client.http.post(client.url, json={"query": "{ __typename }"}, headers=client.headers)
        assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        with pytest.raises(ConnectionClosed) as closed:
            async with client.events(EVENTS):
                pass
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4403


# A source that only its owner sees


CONNECT = """mutation ($input: ConnectSourceInput!) { connectSource(input: $input) { source { id key } userErrors { code message path } } }"""


@pytest.fixture(scope="module")
def private(world: World) -> str:
    """The id of the Kodey that Ann connected for herself."""

    async def connect() -> str:
        async with world.client(ann(), "acme") as client:
            fields = {
                "key": "okapi-house",
                "vendor": "kodey",
                "baseUrl": world.private_url,
                "credentials": [{"name": "api_key", "value": "sk_live_simulator"}],
                "visibility": "OWNER",
            }
            return (await client.do(CONNECT, input=fields))["source"]["id"]

    return asyncio.run(connect())


@pytest.mark.parametrize("who", ["bob", "key"])
async def test_owners_source_is_seen_by_its_owner_alone(world: World, private: str, who: str) -> None:
    async with world.client(ann(), "acme") as owner:
        seen = await all_that_is_seen(owner)
        assert "okapi" in seen.replace('"words": "okapi"', "")
        ids = [
            one
            for one in set(ID.findall(seen))
            if parse_id(one).short == parse_id(private).short
            and parse_id(one).type.name in ("CHAT", "MESSAGE", "SOURCE")
        ]
        assert len(ids) > 10
    credential = a_token("bob") if who == "bob" else world.keys["acme"]
    async with world.client(credential) as admin:
        assert "okapi" not in await all_that_is_seen(admin)
        for start in range(0, len(ids), 100):
            data = await admin.ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids[start : start + 100])
            assert not any(data["nodes"])
        (error,) = (
            await admin.post(
                "query ($id: ID!) { chats(first: 1, filter: {sourceIds: [$id]}) { totalCount { value } } }", id=private
            )
        )["errors"]
        assert error["message"] == f"There is no source {NOT_FOR_YOU}"


async def test_owners_events_reach_its_owner_alone(world: World, private: str) -> None:
    async with (
        world.client(ann(), "acme") as owner,
        world.client(a_token("bob")) as admin,
        admin.events(EVENTS) as others,
        owner.events(EVENTS) as own,
    ):
        await listening(others)
        await listening(own)
        made = await owner.do(CREATE, input={"sourceId": private, "agent": "agent_support"})
        assert await own.next() == {"__typename": "ChatCreated", "chatId": made["chat"]["id"]}
        await owner.do(SEND, input={"chatId": made["chat"]["id"], "text": "okapi"})
        shared = await a_local_chat(owner)
        assert await others.next() == {"__typename": "ChatCreated", "chatId": shared}


async def test_folder_shows_and_deletes_only_chats_that_are_seen(world: World, private: str) -> None:
    move = "mutation ($input: MoveChatInput!) { moveChat(input: $input) { chat { id folder { id } } userErrors { code message } } }"
    async with world.client(ann(), "acme") as owner, world.client(a_token("bob")) as admin:
        folder = await owner.do(
            'mutation { createFolder(input: {name: "Both"}) { folder { id } userErrors { code } } }'
        )
        folder_id = folder["folder"]["id"]
        hidden = (await owner.do(CREATE, input={"sourceId": private, "agent": "agent_support"}))["chat"]["id"]
        shown = await a_local_chat(owner)
        for chat in (hidden, shown):
            await owner.do(move, input={"chatId": chat, "folderId": folder_id})
        inside = "query ($id: ID!) { folder(id: $id) { chats(first: 9) { totalCount { value } nodes { id } } } }"
        assert len((await owner.ask(inside, id=folder_id))["folder"]["chats"]["nodes"]) == 2
        seen = (await admin.ask(inside, id=folder_id))["folder"]["chats"]
        assert seen["nodes"] == [{"id": shown}]
        assert seen["totalCount"] in (None, {"value": 1})
        delete = "mutation ($input: DeleteFolderInput!) { deleteFolder(input: $input) { userErrors { code message } } }"
        await admin.do(delete, input={"folderId": folder_id, "contents": "DELETE_CHATS"})
        data = await owner.ask(
            "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on Chat { folder { id } } } }", ids=[hidden, shown]
        )
        assert data["nodes"] == [{"id": hidden, "folder": None}, None]


# What ends


async def read_on(events: Events) -> None:
    """Until the socket ends."""
    while True:
        await events.socket.recv()


async def closed_within(events: Events, seconds: float) -> tuple[int, float]:
    """The close code, and how long it took."""
    started = time.monotonic()
    with pytest.raises(ConnectionClosed) as closed:
        await asyncio.wait_for(read_on(events), seconds)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, time.monotonic() - started


async def test_revoked_keys_socket_is_closed_within_5_seconds(world: World) -> None:
    """Revoked by another process: this one has to find out."""
    key = add_key(world.installation.database, "acme", frozenset([Scope.READ]))
    async with world.client(key) as client:
        async with client.events(EVENTS) as events:
            await listening(events)
            run = world.installation.run
            await asyncio.to_thread(run, "keys", "revoke", key[:11], "--organization", "acme")
            assert (await closed_within(events, 5))[0] == 4403
        answer = await client.http.post(client.url, json={"query": "{ __typename }"}, headers=client.headers)
        assert answer.status_code == 401


async def test_removed_members_socket_is_closed_at_once(world: World) -> None:
    async with world.client(world.keys["acme"]) as admin, world.client(a_token("zoe")) as client:
        own = (await admin.ask("{ organization { id } }"))["organization"]["id"]
        add = "mutation ($input: AddMemberInput!) { addMember(input: $input) { member { id } userErrors { code message } } }"
        member = await admin.do(
            add, input={"organizationId": own, "subject": "zoe", "issuer": "https://id.example.com", "role": "VIEWER"}
        )
        async with client.events(EVENTS) as events:
            await listening(events)
            remove = "mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { userErrors { code } } }"
            await admin.do(remove, input={"memberId": member["member"]["id"]})
            assert (await closed_within(events, 5))[0] == 4403
        answer = await client.http.post(client.url, json={"query": "{ __typename }"}, headers=client.headers)
        assert answer.status_code == 403


def test_no_row_of_one_names_a_source_of_the_other(world: World) -> None:
    """Looked up in the store itself, after all of the above."""
    with closing(sqlite3.connect(f"file:{world.installation.database}?mode=ro", uri=True)) as store:
        owners = dict(store.execute("SELECT id, organization_id FROM source"))
        for table in ("chat", "message", "chat_overlay", "event", "intent", "read_marker"):
            rows = store.execute(
                f"SELECT DISTINCT source_id, organization_id FROM {table} WHERE source_id IS NOT NULL AND source_id > 0"
            ).fetchall()
            assert all(owners[source] == organization for source, organization in rows), table
