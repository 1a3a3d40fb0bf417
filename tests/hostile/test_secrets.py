"""Canaries: keys, tokens, credentials and people's words are looked for in what the gateway printed and in what it keeps in the clear."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.client import Client
from tests.hostile.installation import JWT_SECRET, a_token
from tests.hostile.test_tenants import CONNECT, CREATE, EVENTS, SEND, a_local_chat, source_id
from tests.hostile.world import KODEY_KEYS, OPEN_WEBUI_KEYS, World, a_world, ann

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WORDS = "canary words of a person"
LOST = "sk_live_canary_that_is_refused"
RENEW = (
    "mutation ($input: UpdateSourceInput!) { updateSource(input: $input) { webhookPath userErrors { code message } } }"
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("secrets")
    with a_world(folder) as world:
        yield world


async def misbehave(world: World, client: Client) -> None:
    """Everything that could end in a log: good and bad credentials, words in good and bad places, sources that refuse."""
    chat = await a_local_chat(client, title=WORDS)
    await client.do(SEND, input={"chatId": chat, "text": WORDS})
    await client.post(f'{{ chats(first: 0, nonsense: "{WORDS}") {{ nodes {{ id }} }} }}')
    await client.post("query ($id: Int!) { chat(id: $id) { id } }", id=WORDS)
    await client.post("query ($q: String!) { search(query: $q, first: 1) { edges { cursor } } }", q=WORDS)
    kodey = await client.do(CREATE, input={"sourceId": await source_id(client, "kodey"), "agent": "agent_support"})
    await client.do(SEND, input={"chatId": kodey["chat"]["id"], "text": WORDS})
    fields = {"key": "lost", "vendor": "kodey", "baseUrl": world.private_url}
    refused = await client.refused(CONNECT, input={**fields, "credentials": [{"name": "api_key", "value": LOST}]})
    assert LOST not in str(refused)
    unreachable = {**fields, "baseUrl": "http://ann:canary-password@127.0.0.1:1/"}
    answer = await client.post(CONNECT, input={**unreachable, "credentials": [{"name": "api_key", "value": LOST}]})
    assert LOST not in str(answer)
    for bad in ("sb_canary-of-a-wrong-key", a_token("canary-subject", aud="x"), "canary.of.nothing"):
        headers = {"Authorization": f"Bearer {bad}"}
        await client.http.post(client.url, json={"query": "{ __typename }"}, headers=headers)
        await client.http.get(f"{client.url}?query={{__typename}}&access_token={bad}", headers=headers)
    async with client.events(EVENTS) as events:
        await events.socket.send(json.dumps({"type": "subscribe", "id": "2", "payload": {"query": f"{{ {WORDS}"}}))
        await events.message()


async def a_webhook(world: World, client: Client) -> str:
    """Makes one, knocks at it in good and bad ways, and gives its token."""
    made = await client.do(RENEW, input={"sourceId": await source_id(client, "kodey"), "webhook": "RENEW"})
    path = made["webhookPath"]
    for address, method, body in (
        (path, "POST", WORDS.encode()),
        (path, "GET", b""),
        (f"{path}x", "POST", b""),
        (f"{path}?{WORDS}", "POST", b"x" * 300_000),
    ):
        await client.http.request(method, f"{world.gateway.origin}{address}", content=body)
    return path.rpartition("/")[2]


async def test_nothing_secret_is_printed_or_kept_in_the_clear(world: World) -> None:
    tokens = []
    async with httpx.AsyncClient(timeout=30) as http:
        for credential, headers in ((world.keys["acme"], {}), (ann(), {"X-Organization": "acme"})):
            client = Client(world.gateway.url, {"Authorization": f"Bearer {credential}", **headers}, http)
            await misbehave(world, client)
            tokens.append(await a_webhook(world, client))
        metrics = (await http.get(f"{world.gateway.origin}/metrics")).text
    said = world.installation.output + metrics
    assert '"event"' in said
    assert "switchboard_store_statements" in said
    secrets = [
        *world.keys.values(),
        *KODEY_KEYS.values(),
        *OPEN_WEBUI_KEYS.values(),
        JWT_SECRET,
        LOST,
        WORDS,
        "canary",
        *tokens,
    ]
    assert [secret for secret in secrets if secret in said] == []
    assert "Bearer" not in said
    assert "eyJ" not in said
    assert "Traceback" not in said, said[said.index("Traceback") - 500 :][:3000]
    kept = b"".join(path.read_bytes() for path in world.installation.folder.glob("test.db*") if path.is_file())
    assert [
        secret
        for secret in (*world.keys.values(), *KODEY_KEYS.values(), *OPEN_WEBUI_KEYS.values(), LOST, *tokens)
        if secret.encode() in kept
    ] == []
