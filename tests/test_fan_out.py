"""Fan-out through the whole gateway: what is executed once, for whom, and who hears nothing more of it when rights change."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from domain.ids import IdType, format_id
from domain.records import Role, Scope
from resolvers.audience import Audience
from tests.client import Client, Events
from tests.hostile.installation import JWT_SECRET, a_token
from tests.served import CREATE, ServedGateway, a_chat, say, served_here
from tests.switchboard.http.toy import until
from tests.tier import count

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ADDED = "subscription ($chat: ID!, $after: EventCursor) { messageAdded(chatId: $chat, after: $after) { cursor message { text } } }"
WITH_ID = "subscription ($chat: ID!) { messageAdded(chatId: $chat) { message { text } clientMutationId } }"
EVENTS = "subscription ($chat: ID!) { chatEvents(chatIds: [$chat]) { __typename ... on MessageCreated { message { text } } } }"
RAW = "subscription ($chat: ID!) { messageAdded(chatId: $chat) { message { text raw } } }"
UNREAD = "subscription ($chat: ID!) { messageAdded(chatId: $chat) { message { text chat { unreadCount } } } }"
READ = "mutation ($chat: ID!) { markChatRead(input: {chatId: $chat}) { userErrors { code } } }"
REVOKE = "mutation ($id: ID!) { revokeApiKey(input: {apiKeyId: $id}) { userErrors { code } } }"
CURSOR = "query ($chat: ID!) { chat(id: $chat) { eventCursor } }"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[ServedGateway]:
    async with served_here(tmp_path) as served:
        yield served


@pytest.fixture
async def ann(served: ServedGateway) -> Client:
    """An admin."""
    return served.client((await served.key())[1])


@pytest.fixture
async def bob(served: ServedGateway) -> Client:
    """Another one."""
    return served.client((await served.key())[1])


@asynccontextmanager
async def listening(
    served: ServedGateway, *wanted: tuple[Client, str], **variables: Any
) -> AsyncIterator[list[Events]]:
    """Subscriptions that listen with others."""
    async with AsyncExitStack() as stack:
        before = served.listening()
        opened = [await stack.enter_async_context(client.events(query, **variables)) for client, query in wanted]
        await until(lambda: served.listening() == before + len(wanted))
        yield opened


async def text_of(events: Events) -> str:
    text: str = (await events.next())["message"]["text"]
    return text


async def test_principals_who_see_the_same_share_one_execution(served: ServedGateway, ann: Client, bob: Client) -> None:
    chat = await a_chat(ann)
    reader = served.client((await served.key(Scope.READ))[1])
    wanted = [(ann, ADDED), (bob, ADDED), (ann, ADDED), (reader, ADDED)]
    async with listening(served, *wanted, chat=chat) as opened:
        assert len(served.broadcasts) == 2, "a reader is another audience than an admin"
        await say(ann, chat, "Hi")
        assert [await text_of(one) for one in opened] == ["Hi"] * 4
    await until(lambda: len(served.broadcasts) == 0)


async def test_selection_that_depends_on_the_viewer_is_executed_for_each(
    served: ServedGateway, ann: Client, bob: Client
) -> None:
    chat = await a_chat(ann)
    await say(ann, chat, "Before")
    await ann.ask(READ, chat=chat)
    async with listening(served, (ann, UNREAD), (bob, UNREAD), (bob, UNREAD), chat=chat) as opened:
        assert len(served.broadcasts) == 2
        await say(bob, chat, "Hi")
        shown = [(await one.next())["message"]["chat"]["unreadCount"] for one in opened]
        assert shown[0] == 1
        assert shown[1] == shown[2] != 1


async def test_id_of_a_request_reaches_its_sender_alone_though_all_share(
    served: ServedGateway, ann: Client, bob: Client
) -> None:
    chat = await a_chat(ann)
    async with listening(served, (ann, WITH_ID), (bob, WITH_ID), (ann, WITH_ID), chat=chat) as opened:
        assert len(served.broadcasts) == 1
        await say(ann, chat, "Hi", clientMutationId="bubble")
        assert [(await one.next())["clientMutationId"] for one in opened] == ["bubble", None, "bubble"]


async def test_read_marker_reaches_its_principal_alone_though_all_share(
    served: ServedGateway, ann: Client, bob: Client
) -> None:
    chat = await a_chat(ann)
    await say(ann, chat, "Before")
    async with listening(served, (ann, EVENTS), (bob, EVENTS), chat=chat) as opened:
        assert len(served.broadcasts) == 1
        await ann.ask(READ, chat=chat)
        await say(ann, chat, "Hi")
        assert [(await opened[0].next())["__typename"] for _ in range(2)] == ["ReadStateChanged", "MessageCreated"]
        assert (await opened[1].next())["__typename"] == "MessageCreated"


async def test_position_to_continue_from_does_not_keep_subscribers_apart(served: ServedGateway, ann: Client) -> None:
    chat = await a_chat(ann)
    cursors = []
    for text in "abc":
        cursors.append((await ann.ask(CURSOR, chat=chat))["chat"]["eventCursor"])
        await say(ann, chat, text)
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(ann.events(ADDED, chat=chat, after=cursor)) for cursor in cursors]
        await until(lambda: served.listening() == 3)
        assert len(served.broadcasts) == 1
        await say(ann, chat, "d")
        for events, expected in zip(opened, ["abcd", "bcd", "cd"], strict=True):
            assert [await text_of(events) for _ in expected] == list(expected)


async def test_revoked_key_hears_nothing_that_was_committed_afterwards(
    served: ServedGateway, ann: Client, bob: Client
) -> None:
    """Somebody writes all the time; the others of the same broadcast hear everything."""
    chat = await a_chat(ann)
    for _ in range(count(long=50, least=2)):
        key, secret = await served.key()
        eve = served.client(secret)
        async with listening(served, (eve, ADDED), (bob, ADDED), chat=chat) as (of_eve, of_bob):
            assert len(served.broadcasts) == 1
            said = [f"{number}" for number in range(20)]
            writing = asyncio.create_task(_say_all(ann, chat, said))
            while len(of_bob.seen) < 5:
                await of_bob.next()
            assert (await ann.do(REVOKE, id=format_id(IdType.API_KEY, key.id)))["userErrors"] == []
            written_by_then = await _texts(ann, chat)
            await writing
            heard = [await text_of(of_bob) for _ in range(len(said) - 5)]
            assert heard == said[5:]
            texts, code = await _until_closed(of_eve)
            assert code == 4403
            assert texts == said[: len(texts)]
            assert set(texts) <= set(written_by_then)
        await until(lambda: served.listening() == 0)
        chat = await a_chat(ann)


async def _until_closed(events: Events) -> tuple[list[str], int | None]:
    """What came before the socket was closed, and the code."""
    texts: list[str] = []
    try:
        while True:
            texts.append(await text_of(events))
    except ConnectionClosed as closed:
        return texts, closed.rcvd.code if closed.rcvd is not None else None


async def _say_all(client: Client, chat: str, texts: list[str]) -> None:
    for text in texts:
        await say(client, chat, text)


async def _texts(client: Client, chat: str) -> list[str]:
    query = "query ($chat: ID!) { chat(id: $chat) { messages(last: 100) { nodes { text } } } }"
    return [node["text"] for node in (await client.ask(query, chat=chat))["chat"]["messages"]["nodes"]]


CONNECT = """mutation ($visibility: SourceVisibility!) { connectSource(input: {
  key: "own", vendor: "local", visibility: $visibility
}) { source { id } userErrors { code message path } } }"""
DISCONNECT = "mutation ($id: ID!) { disconnectSource(input: {sourceId: $id}) { userErrors { code message } } }"
ALL = "subscription { chatEvents(filter: {kinds: [MESSAGE_CREATED]}) { ... on MessageCreated { message { text } } } }"


@pytest.mark.parametrize("visibility", ["OWNER", "ORGANIZATION"])
async def test_who_sees_other_sources_moves_before_the_next_event_and_misses_none(
    served: ServedGateway, ann: Client, bob: Client, visibility: str
) -> None:
    chat = await a_chat(ann)
    is_private = visibility == "OWNER"
    async with listening(served, (ann, ALL), (bob, ALL)) as (of_ann, of_bob):
        assert len(served.broadcasts) == 1
        source = (await ann.do(CONNECT, visibility=visibility))["source"]["id"]
        await say(bob, chat, "one")
        own = (await ann.do(CREATE, input={"sourceId": source}))["chat"]["id"]
        await say(ann, own, "perhaps secret")
        await say(bob, chat, "two")
        everything = ["one", "perhaps secret", "two"]
        assert [await text_of(of_ann) for _ in everything] == everything
        expected = ["one", "two"] if is_private else everything
        assert [await text_of(of_bob) for _ in expected] == expected
        await until(lambda: served.listening() == 2 and len(served.broadcasts) == (2 if is_private else 1))
        assert visible(served) == ({1, 2} if is_private else {2})
        await ann.do(DISCONNECT, id=source)
        await say(bob, chat, "three")
        assert [await text_of(of_ann), await text_of(of_bob)] == ["three", "three"]
        await until(lambda: served.listening() == 2 and len(served.broadcasts) == 1)
        assert visible(served) == {1}


def visible(served: ServedGateway) -> set[int]:
    """How many sources the audiences see."""
    return {len(key.audience.sources) for key in served.broadcasts._running if isinstance(key.audience, Audience)}


JWT = {"issuer": "https://id.example.com", "audience": "switchboard", "secret": JWT_SECRET}
ROLE = "mutation ($id: ID!, $role: Role!) { updateMember(input: {memberId: $id, role: $role}) { userErrors { code } } }"


async def test_who_gets_another_role_moves_before_the_next_event(tmp_path: Path) -> None:
    async with served_here(tmp_path, auth={"jwt": JWT}) as served:
        ann = served.client((await served.key())[1])
        chat = await a_chat(ann)
        members = [await served.member(subject, Role.ADMIN) for subject in ("eve", "joe")]
        eve, joe = (served.client(a_token(subject)) for subject in ("eve", "joe"))
        async with listening(served, (eve, RAW), (joe, RAW), chat=chat) as (of_eve, of_joe):
            assert len(served.broadcasts) == 1
            await ann.do(ROLE, id=format_id(IdType.MEMBER, members[0].id), role="VIEWER")
            await say(ann, chat, "one")
            assert await text_of(of_eve) == await text_of(of_joe) == "one"
            await until(lambda: served.listening() == 2)
            roles = {key.audience.role for key in served.broadcasts._running if isinstance(key.audience, Audience)}
            assert roles == {Role.ADMIN, Role.VIEWER}


@pytest.mark.parametrize("seed", range(count(long=20, least=1)))
async def test_everybody_hears_exactly_the_log_from_its_cursor_on(
    served: ServedGateway, ann: Client, seed: int
) -> None:
    """Random comings and goings over sockets and event streams while several write; each continues from what it processed last."""
    chance = random.Random(seed)
    chat = await a_chat(ann)
    start = (await ann.ask(CURSOR, chat=chat))["chat"]["eventCursor"]
    texts = [f"{writer}{number}" for writer in "abc" for number in range(12)]
    writing = [asyncio.create_task(_say_all(ann, chat, [one for one in texts if one[0] == writer])) for writer in "abc"]
    listeners = [
        asyncio.create_task(_listen_with_cuts(ann, chat, start, len(texts), random.Random(chance.random()), by_sse))
        for by_sse in (False, False, False, True)
    ]
    heard = await asyncio.gather(*listeners)
    await asyncio.gather(*writing)
    assert heard[0] == await _texts(ann, chat)
    assert all(one == heard[0] for one in heard)
    await until(lambda: served.listening() == 0)


async def _listen_with_cuts(
    client: Client, chat: str, cursor: str, wanted: int, chance: random.Random, by_sse: bool
) -> list[str]:
    heard: list[str] = []
    while len(heard) < wanted:
        most = chance.randrange(1, 8)
        async with asyncio.timeout(60):
            events = _by_sse(client, chat, cursor) if by_sse else _by_socket(client, chat, cursor)
            async for event in events:
                heard.append(event["message"]["text"])
                cursor = event["cursor"]
                most -= 1
                if not most or len(heard) == wanted:
                    break
            await events.aclose()  # type: ignore[attr-defined]
    return heard


async def _by_socket(client: Client, chat: str, cursor: str) -> AsyncIterator[dict[str, Any]]:
    async with client.events(ADDED, chat=chat, after=cursor) as events:
        while True:
            yield await events.next(60)


async def _by_sse(client: Client, chat: str, cursor: str) -> AsyncIterator[dict[str, Any]]:
    """Its cursor is the `id:` of the last event, and goes back as `Last-Event-ID`."""
    headers = {**client.headers, "Accept": "text/event-stream", "Last-Event-ID": cursor}
    body = {"query": ADDED, "variables": {"chat": chat}}
    async with client.http.stream("POST", client.url, json=body, headers=headers) as response:
        last = ""
        async for line in response.aiter_lines():
            if line.startswith("id: "):
                last = line.removeprefix("id: ")
            elif line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))["data"]["messageAdded"]
                assert event["cursor"] == last
                yield event
