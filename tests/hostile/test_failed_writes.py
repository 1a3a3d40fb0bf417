"""Writes at vendors that break off, refuse or answer nonsense: what is told, and what is in the store afterwards."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from domain.ids import parse_id
from simulators import kodey
from simulators.control import Control
from simulators.faults import Fault
from simulators.serving import running
from tests.client import Client
from tests.hostile.installation import Installation, a_source
from tests.hostile.test_upstream_faults import HTML, SECRET, Faulty, assert_clean
from tests.hostile.vendors import Street

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

UNKNOWN = "OUTCOME_UNKNOWN"
FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "e400": ({"status": 400, "body": {"error": "Bad Request", "message": f"no {SECRET}"}}, "UPSTREAM_REJECTED"),
    "e401": ({"status": 401, "body": {"message": "Unauthorized"}}, "UPSTREAM_UNAUTHORIZED"),
    "e403": ({"status": 403}, "UPSTREAM_UNAUTHORIZED"),
    "e409": ({"status": 409}, "CONFLICT"),
    "e429": ({"status": 429}, "UPSTREAM_RATE_LIMITED"),
    "e429-retry-after": ({"status": 429, "headers": {"Retry-After": "7"}}, "UPSTREAM_RATE_LIMITED"),
    "e500-undone": ({"status": 500}, UNKNOWN),
    "e500-done": ({"status": 500, "execute": True}, UNKNOWN),
    "html": ({"body": HTML, "content_type": "text/html"}, UNKNOWN),
    "half-a-json": ({"body": '{"id": "', "content_type": "application/json", "execute": True}, UNKNOWN),
    "other-shape": ({"body": {"id": 7}}, UNKNOWN),
    "dropped-before": ({"drop": "before"}, UNKNOWN),
    "dropped-after": ({"drop": "after"}, UNKNOWN),
    "dropped-in-the-middle": ({"drop": "middle"}, UNKNOWN),
    "silent": ({"delay_ms": 60_000}, UNKNOWN),
}
CREATE = "mutation ($input: CreateChatInput!) { createChat(input: $input) { chat { id } replayed userErrors { __typename code message path ... on UpstreamError { retryable retryAfterMs } } } }"
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id state } reply { id state } userErrors { __typename code message } } }"


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    vendors: dict[str, ASGIApp] = {}
    for name, (said, _) in FAULTS.items():
        vendors[name] = control = kodey.create_app()
        for operation in ("create_chat", "send_message"):
            control.faults.add(Fault(operation=operation, **said))
    with ExitStack() as stack:
        url = stack.enter_context(running(Street(vendors)))
        installation = Installation(
            tmp_path_factory.mktemp("writes"),
            settings="[upstream]\ntotal_timeout_seconds = 2\n",
            sources="".join(
                a_source("acme", name, "kodey", f"{url}/{name}", SECRET, "reply_timeout_seconds = 2")
                for name in vendors
            ),
        )
        key = installation.an_organization("acme")
        yield Faulty(stack.enter_context(installation.serving(key)), installation, vendors)


@pytest.fixture
async def client(faulty: Faulty) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(timeout=20) as http:
        yield Client(faulty.gateway.url, faulty.gateway.headers, http)


async def source_id(client: Client, name: str) -> str:
    return next(one["id"] for one in (await client.ask("{ sources { id key } }"))["sources"] if one["key"] == name)


def stored(faulty: Faulty, query: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{faulty.installation.database}?mode=ro", uri=True)) as store:
        return store.execute(query, values).fetchall()


def control_of(faulty: Faulty, name: str) -> Control:
    control = faulty.vendors[name]
    assert isinstance(control, Control)
    return control


@pytest.mark.parametrize("name", FAULTS)
async def test_chat_that_was_perhaps_made_is_not_said_to_have_failed(faulty: Faulty, client: Client, name: str) -> None:
    """Nor is it made twice: the same key asks the vendor no second time where the first may have been carried out."""
    code = FAULTS[name][1]
    source = await source_id(client, name)
    wanted = {"sourceId": source, "agent": "agent_support", "idempotencyKey": f"key-{name}"}
    error = await client.refused(CREATE, input=wanted)
    assert error["code"] == code
    assert_clean(error["message"])
    if name == "e429-retry-after":
        assert (error["retryable"], error["retryAfterMs"]) == (True, 7000)
    short = parse_id(source).short
    assert stored(faulty, "SELECT count(*) FROM chat WHERE source_id = ?", short) == [(0,)]
    assert stored(faulty, "SELECT count(*) FROM event WHERE source_id = ?", short) == [(0,)]
    ((state,),) = stored(faulty, "SELECT state FROM intent WHERE source_id = ?", short)
    assert state == ("UNKNOWN" if code == UNKNOWN else "FAILED")
    made = len(control_of(faulty, name).calls.named("create_chat"))
    again = await client.refused(CREATE, input=wanted)
    if code == UNKNOWN:
        assert again["code"] == UNKNOWN
        assert len(control_of(faulty, name).calls.named("create_chat")) == made == 1


async def ended_intent(faulty: Faulty, message: str) -> list[tuple[Any, ...]]:
    """The state of the intent of a message, once it is not open any more."""
    while True:
        if ended := stored(faulty, "SELECT state FROM intent WHERE message_id = ? AND state <> 'OPEN'", message):
            return ended
        await asyncio.sleep(0.05)  # another process writes it; there is nothing to wait on


@pytest.mark.parametrize("name", [name for name in FAULTS if name != "e429-retry-after"])
async def test_message_ends_as_failed_or_stays_pending(faulty: Faulty, client: Client, name: str) -> None:
    """FAILED only where the vendor surely has it not; its text is kept for whoever wrote it. Sent once at most."""
    code = FAULTS[name][1]
    control = control_of(faulty, name)
    data = await client.ask(
        "query ($id: ID!) { chats(first: 1, withinMs: 5000, filter: {sourceIds: [$id]}) { nodes { id } } }",
        id=await source_id(client, name),
    )
    chat_id = data["chats"]["nodes"][0]["id"]
    (before,) = [chat for chat in control.simulator.state()["chats"] if chat["id"] == parse_id(chat_id).parts[0]]
    texts = [one["content"] for one in before["messages"]]
    payload = (await client.ask(SEND, input={"chatId": chat_id, "text": "Once, please"}))["sendMessage"]
    if payload["userErrors"]:
        (error,) = payload["userErrors"]
        assert error["code"] == code
        return
    message, reply = payload["message"]["id"], payload["reply"]["id"]
    ids = (parse_id(message).parts[1], parse_id(reply).parts[1])
    ended = await asyncio.wait_for(ended_intent(faulty, ids[0]), 8)
    assert ended == [("UNKNOWN" if code == UNKNOWN else "FAILED",)] or ended == [("DONE",)]
    read = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Message { state text deletedAt } } }"
    for _ in range(3):
        sent, answer = (await client.ask(read, ids=[message, reply]))["nodes"]
    after = next(chat for chat in control.simulator.state()["chats"] if chat["id"] == before["id"])
    arrived = [one["content"] for one in after["messages"]][len(texts) :].count("Once, please")
    assert len(control.calls.named("send_message")) == 1
    if ended == [("FAILED",)]:
        # Nothing of it is at the vendor, and whoever wrote it finds it with its words, reading after reading.
        assert arrived == 0
        assert sent == {"state": "FAILED", "text": "Once, please", "deletedAt": None}
        assert answer == {"state": "FAILED", "text": "", "deletedAt": None}
        return
    assert sent["text"] == "Once, please"
    assert (sent["state"] == "COMPLETE") is (arrived == 1)
    assert arrived <= 1


def test_nothing_secret_was_said(faulty: Faulty) -> None:
    """After all of the above: neither keys nor words of people nor a stack trace are in what the gateway printed."""
    said = faulty.installation.output
    assert "create_chat" in said
    for secret in (SECRET, faulty.gateway.api_key, "canary", "Once, please", "Gateway zone 7"):
        assert secret not in said
    assert "Traceback" not in said, said[said.index("Traceback") - 500 :][:3000]
