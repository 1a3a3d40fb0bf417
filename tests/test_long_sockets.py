"""Sockets and streams that outlive the right to them, over real connections to `switchboard serve`: what ends them, and how it is said."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from tests.client import Client, Events
from tests.gateway import Gateway
from tests.hostile.installation import ISSUER, JWT, Installation, a_token

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LIVE = "subscription { chatEvents { __typename ... on ChatUpdated { chat { title viewerCan } } } }"
MARGIN_SECONDS = 10
"""So long before its token ends a socket is closed."""
PATIENCE_SECONDS = 30
"""Far more than is promised: a loaded machine must not fail a test."""


@dataclass
class Place:
    """A gateway that runs, and how to reach its commands."""

    installation: Installation
    gateway: Gateway
    http: httpx.AsyncClient

    def client(self, credential: str) -> Client:
        return Client(self.gateway.url, {"Authorization": f"Bearer {credential}"}, self.http)

    @property
    def admin(self) -> Client:
        """With the key that outlives every test."""
        return self.client(self.gateway.api_key)

    async def a_key(self) -> str:
        """A key to be revoked."""
        made = await self.admin.do(
            'mutation { createApiKey(input: {name: "short", scopes: [READ, WRITE]}) { secret userErrors { code message } } }'
        )
        return str(made["secret"])

    async def a_member(self, subject: str, role: str = "MEMBER") -> str:
        """The id of a new member."""
        own = (await self.admin.ask("{ organization { id } }"))["organization"]["id"]
        made = await self.admin.do(
            "mutation ($input: AddMemberInput!) { addMember(input: $input) { member { id } userErrors { code message } } }",
            input={"organizationId": own, "subject": subject, "issuer": ISSUER, "role": role},
        )
        return str(made["member"]["id"])


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two workers"])
def running(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[Installation, Gateway]]:
    settings = f"workers = {request.param}\n{JWT}leeway_seconds = 0\n"
    installation = Installation(tmp_path_factory.mktemp("long-sockets"), settings=settings)
    key = installation.an_organization("acme")
    with installation.serving(key) as gateway:
        yield installation, gateway


@pytest.fixture
async def place(running: tuple[Installation, Gateway]) -> AsyncIterator[Place]:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        yield Place(*running, http)


@dataclass(frozen=True)
class Closed:
    """How a socket ended."""

    code: int | None
    reason: str
    at: datetime


async def closed(events: Events) -> Closed:
    """Wait for the end, whatever comes before it."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                await events.socket.recv()
    except ConnectionClosed as error:
        assert error.rcvd is not None, "the connection was cut without a word"
        return Closed(error.rcvd.code, error.rcvd.reason, datetime.now(UTC))


class Stream:
    """A subscription over server-sent events."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def begun(self) -> None:
        """Until the gateway has answered with the first comment, so the subscription is there."""
        assert await anext(self._lines) == ":"

    async def rest(self) -> list[str]:
        """Every line until the gateway ends it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return [line async for line in self._lines if line not in ("", ":")]


@asynccontextmanager
async def a_stream(client: Client) -> AsyncIterator[Stream]:
    headers = {**client.headers, "Accept": "text/event-stream"}
    async with client.http.stream("POST", client.url, json={"query": LIVE}, headers=headers) as response:
        assert response.status_code == 200
        stream = Stream(response)
        await stream.begun()
        yield stream


@asynccontextmanager
async def open_both(client: Client, number: int = 3) -> AsyncIterator[tuple[list[Events], list[Stream]]]:
    """Some sockets and some streams, so that with two workers each of them has some."""
    async with AsyncExitStack() as stack:
        yield (
            [await stack.enter_async_context(client.events(LIVE)) for _ in range(number)],
            [await stack.enter_async_context(a_stream(client)) for _ in range(number)],
        )


async def assert_all_ended(sockets: list[Events], streams: list[Stream], code: int, words: str, comment: str) -> None:
    for socket in sockets:
        ended = await closed(socket)
        assert (ended.code, words in ended.reason) == (code, True), ended
    for stream in streams:
        assert await stream.rest() == [f": {comment}"], "a stream that is cut does not complete"


FORBIDDEN = (4403, "the credential is no longer valid", "the credential ended; reconnect with a new one")


# Revoked


async def test_key_revoked_by_the_command_line_ends_sockets_and_streams(place: Place) -> None:
    """Another process does it; each gateway looks every two seconds. `test_settings` holds the bound of five."""
    key = await place.a_key()
    async with open_both(place.client(key)) as (sockets, streams):
        revoke = ("keys", "revoke", key[:11], "--organization", "acme")
        await asyncio.to_thread(place.installation.run, *revoke)
        await assert_all_ended(sockets, streams, *FORBIDDEN)
    refused = await place.http.post(place.gateway.url, json={"query": "{ __typename }"}, headers={"Authorization": key})
    assert refused.status_code == 401


async def test_key_revoked_through_graphql_ends_sockets_and_streams(place: Place) -> None:
    key = await place.a_key()
    async with open_both(place.client(key)) as (sockets, streams):
        listed = await place.admin.ask("{ organization { apiKeys(first: 50) { nodes { id prefix } } } }")
        found = [one["id"] for one in listed["organization"]["apiKeys"]["nodes"] if key.startswith(one["prefix"])]
        await place.admin.do(
            "mutation ($id: ID!) { revokeApiKey(input: {apiKeyId: $id}) { userErrors { code message } } }", id=found[0]
        )
        await assert_all_ended(sockets, streams, *FORBIDDEN)


async def test_member_who_is_let_go_is_cut_off(place: Place) -> None:
    member = await place.a_member("gone")
    async with open_both(place.client(a_token("gone"))) as (sockets, streams):
        await place.admin.do(
            "mutation ($id: ID!) { removeMember(input: {memberId: $id}) { userErrors { code message } } }", id=member
        )
        await assert_all_ended(sockets, streams, *FORBIDDEN)


async def test_key_of_somebody_else_is_untouched_by_a_revocation(place: Place) -> None:
    kept, revoked = await place.a_key(), await place.a_key()
    async with place.client(kept).events(LIVE) as stays, place.client(revoked).events(LIVE) as goes:
        revoke = ("keys", "revoke", revoked[:11], "--organization", "acme")
        await asyncio.to_thread(place.installation.run, *revoke)
        assert (await closed(goes)).code == 4403
        await stays.socket.send('{"type":"ping"}')
        assert (await stays.message())["type"] == "pong"


# Less than before


async def test_role_that_is_lowered_counts_for_the_next_event_and_the_next_operation(place: Place) -> None:
    member = await place.a_member("lowered")
    local = (await place.admin.ask("{ sources { id } }"))["sources"][0]["id"]
    made = await place.admin.do(
        'mutation ($id: ID!) { createChat(input: {sourceId: $id, title: "0"}) { chat { id } userErrors { message } } }',
        id=local,
    )
    chat = made["chat"]["id"]

    async def renamed(title: str) -> None:
        await place.admin.do(
            "mutation ($id: ID!, $t: String) { updateChat(input: {chatId: $id, title: $t}) { userErrors { message } } }",
            id=chat,
            t=title,
        )

    async with place.client(a_token("lowered")).events(LIVE) as events:
        numbers = iter(range(1, 10_000))
        before = await _until_told(events, renamed, numbers)
        assert "RENAME_CHAT" in before
        await place.admin.do(
            "mutation ($id: ID!) { updateMember(input: {memberId: $id, role: VIEWER}) { userErrors { message } } }",
            id=member,
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "RENAME_CHAT" in await _until_told(events, renamed, numbers):
                pass
        document = f'mutation {{ deleteChat(input: {{chatId: "{chat}"}}) {{ userErrors {{ code }} }} }}'
        await events.socket.send(json.dumps({"id": "2", "type": "subscribe", "payload": {"query": document}}))
        answer = await events.message()
        while answer.get("id") != "2":
            answer = await events.message()
        assert answer["payload"]["data"]["deleteChat"]["userErrors"] == [{"code": "FORBIDDEN"}], answer


async def _until_told(events: Events, renamed: Any, numbers: Iterator[int]) -> list[str]:
    """What the subscriber can do with a chat, as an event tells it. The subscription may begin a moment after it was asked for."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            await renamed(str(next(numbers)))
            try:
                event = await events.next(1)
            except TimeoutError:
                continue
            return list(event["chat"]["viewerCan"])


# Expiring


async def test_socket_is_closed_before_its_token_ends(place: Place) -> None:
    await place.a_member("expiring")
    seconds = MARGIN_SECONDS + 3
    token = a_token("expiring", seconds=seconds)
    async with place.client(token).events(LIVE) as events:
        ended = await closed(events)
    assert ended.code == 4419
    assert "Connect again with a new one, or send it as payload of a ping" in ended.reason


async def test_token_is_renewed_by_a_ping(place: Place) -> None:
    await place.a_member("renewing")
    began = datetime.now(UTC)
    token, newer = (a_token("renewing", seconds=MARGIN_SECONDS + more) for more in (4, 8))
    async with place.client(token).events(LIVE) as events:
        for payload, renewed in [
            ({"Authorization": "Bearer nonsense"}, False),
            ({"Authorization": f"Bearer {a_token('somebody-else')}"}, False),
            ({"Authorization": f"Bearer {newer}"}, True),
        ]:
            await events.socket.send(json.dumps({"type": "ping", "payload": payload}))
            assert await events.message() == {"type": "pong", "payload": {"renewed": renewed}}
        ended = await closed(events)
    assert ended.code == 4419
    assert (ended.at - began).total_seconds() > 6, "it ended with the first token"


async def test_stream_is_cut_when_its_token_ends(place: Place) -> None:
    """A stream cannot be sent a newer one."""
    await place.a_member("streaming")
    async with a_stream(place.client(a_token("streaming", seconds=4))) as stream:
        assert await stream.rest() == [": the credential ended; reconnect with a new one"]


# Going away


@pytest.mark.parametrize("workers", [1, 2], ids=["one process", "two workers"])
async def test_sigterm_tells_sockets_and_streams_to_come_back(tmp_path: Path, workers: int) -> None:
    installation = Installation(tmp_path, settings=f"workers = {workers}")
    key = await asyncio.to_thread(installation.an_organization, "acme")
    serving = installation.serving(key)
    gateway = await asyncio.to_thread(serving.__enter__)
    try:
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
            place = Place(installation, gateway, http)
            async with open_both(place.admin) as (sockets, streams):
                gateway.process.send_signal(signal.SIGTERM)
                words = ("The gateway goes away, connect again", "the gateway goes away; reconnect")
                await assert_all_ended(sockets, streams, 1001, *words)
            assert await asyncio.to_thread(gateway.process.wait, PATIENCE_SECONDS) in (0, -signal.SIGTERM)
    finally:
        await asyncio.to_thread(serving.__exit__, None, None, None)
