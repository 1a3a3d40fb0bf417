"""Vendors that answer nonsense, break off, or say nothing: each gets its code, in time, and costs nobody else anything."""

import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from domain.ids import IdType
from simulators import kodey
from simulators.control import Control
from simulators.faults import Fault
from simulators.serving import running
from tests.client import Client
from tests.gateway import Gateway
from tests.hostile.forging import forged_id, short_of
from tests.hostile.installation import Installation, a_source
from tests.hostile.vendors import Answer, Says, Street, megabytes, once, packed

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SECRET = kodey.SECRET_KEY
HTML = f"<!doctype html><html><title>{SECRET}</title><body>Gateway zone 7</body></html>"
ROW = {"id": "chat_seed00", "agentId": "a", "createdAt": "2026-01-01T00:00:00Z"}
OTHER = {**ROW, "id": "other"}


def rows(*chats: Any) -> Answer:
    return once(json.dumps({"chats": chats}))


def fault(**said: Any) -> Fault:
    return Fault(**said)


UNAVAILABLE, CHANGED = "UPSTREAM_UNAVAILABLE", "UPSTREAM_CHANGED"
FAULTS: dict[str, tuple[Fault, str]] = {
    "html": (fault(body=HTML, content_type="text/html"), CHANGED),
    "html-as-json": (fault(body=HTML, content_type="application/json"), CHANGED),
    "half-a-json": (fault(body='{"chats": [{"id": "x"', content_type="application/json"), CHANGED),
    "nothing-at-all": (fault(body="", content_type="application/json"), CHANGED),
    "null": (fault(body="null", content_type="application/json"), CHANGED),
    "other-shape": (fault(body={"chats": {"a": 1}, "id": 5, "agentId": []}), CHANGED),
    "e500": (fault(status=500), UNAVAILABLE),
    "e500-with-secret": (fault(status=500, body={"error": "Boom", "message": f"key {SECRET} failed"}), UNAVAILABLE),
    "e503-html": (fault(status=503, body=HTML, content_type="text/html"), UNAVAILABLE),
    "e599": (fault(status=599), UNAVAILABLE),
    "e401": (fault(status=401, body={"message": f"Unauthorized {SECRET}"}), "UPSTREAM_UNAUTHORIZED"),
    "e403": (fault(status=403, body={"error": "Forbidden"}), "UPSTREAM_UNAUTHORIZED"),
    "e429": (fault(status=429), "RATE_LIMITED"),
    "e429-retry-after": (fault(status=429, headers={"Retry-After": "7"}), "RATE_LIMITED"),
    "e429-far-away": (fault(status=429, headers={"Retry-After": "999999999999"}), "RATE_LIMITED"),
    "e429-nonsense": (fault(status=429, headers={"Retry-After": "soon, nan, -1"}), "RATE_LIMITED"),
    "e302": (fault(status=302, headers={"Location": "http://evil.example/"}), CHANGED),
    "e418": (fault(status=418), UNAVAILABLE),
    "dropped-before": (fault(drop="before"), UNAVAILABLE),
    "dropped-after": (fault(drop="after"), UNAVAILABLE),
    "dropped-in-the-middle": (fault(drop="middle"), UNAVAILABLE),
    "silent": (fault(delay_ms=60_000), "TIMEOUT"),
}
ANSWERS: dict[str, tuple[Says, str]] = {
    "deep-json": (Says(once("[" * 100_000)), CHANGED),
    "deep-json-whole": (Says(once("[" * 50_000 + "]" * 50_000)), CHANGED),
    "endless": (Says(megabytes(200)), CHANGED),
    "bomb": (Says(once(packed(200)), headers={"content-encoding": "gzip"}), CHANGED),
    "broken-gzip": (Says(once(b"\x1f\x8b nonsense"), headers={"content-encoding": "gzip"}), UNAVAILABLE),
    "wrong-encoding": (Says(once(b'{"chats": "\xff\xfe"}')), CHANGED),
}
"""What a list of chats becomes; a chat by itself has the same code, but for those in `ALONE`."""
SKIPPED: dict[str, tuple[Says, int, int]] = {
    "one-without-a-time": (Says(rows(ROW, {"id": "b", "agentId": "a"}, OTHER)), 2, 1),
    "one-without-an-id": (Says(rows(ROW, {"agentId": "a", "createdAt": ROW["createdAt"]})), 1, 1),
    "wrong-types": (Says(rows(ROW, {**ROW, "id": 5}, {**ROW, "id": None}, "x", None, [], {**ROW, "userId": 7})), 1, 6),
    "hostile-ids": (Says(rows(ROW, *({**ROW, "id": i} for i in ("..", "", "a\n", "x" * 4096, "a/../b")))), 1, 5),
    "odd-but-good-ids": (Says(rows(*({**ROW, "id": i} for i in ("a/b", "%2e%2e", "é 💬", "?x=1#y")))), 4, 0),
    "impossible-times": (
        Says(
            rows(
                ROW,
                *(
                    {**OTHER, "createdAt": t}
                    for t in ("", "x", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-13-01T00:00:00Z")
                ),
            )
        ),
        1,
        5,
    ),
    "twice-the-same": (Says(rows(ROW, ROW, OTHER, ROW)), 2, 0),
    "half-a-character": (Says(once(json.dumps({"chats": [ROW, {**OTHER, "userId": "\ud800"}]}))), 2, 0),
}
"""Rows that are shown, and rows that are left out."""
ALONE = {"RATE_LIMITED": "UPSTREAM_UNAVAILABLE", "TIMEOUT": "UPSTREAM_TIMEOUT"}


@dataclass
class Faulty:
    """A gateway with one source per fault, named after it, and the simulators or answers behind them."""

    gateway: Gateway
    installation: Installation
    vendors: dict[str, ASGIApp]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    vendors: dict[str, ASGIApp] = {}
    for name, (wrong, _) in FAULTS.items():
        vendors[name] = control = kodey.create_app()
        control.faults.add(wrong)
    vendors |= {name: answer for name, (answer, _) in ANSWERS.items()}
    vendors |= {name: answer for name, (answer, *_) in SKIPPED.items()}
    vendors["good"] = kodey.create_app()
    with ExitStack() as stack:
        url = stack.enter_context(running(Street(vendors)))
        installation = Installation(
            tmp_path_factory.mktemp("faults"),
            settings="[upstream]\ntotal_timeout_seconds = 2\n",
            sources="".join(a_source("acme", name, "kodey", f"{url}/{name}", SECRET) for name in vendors),
        )
        key = installation.an_organization("acme")
        yield Faulty(stack.enter_context(installation.serving(key)), installation, vendors)


@pytest.fixture
async def client(faulty: Faulty) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(timeout=20) as http:
        yield Client(faulty.gateway.url, faulty.gateway.headers, http)


LIST = """query ($ids: [ID!]!, $ms: Int!) { chats(first: 50, withinMs: $ms, filter: {sourceIds: $ids}) {
  nodes { nativeId source { key } } sources { code message skippedRows retryAfterMs stale source { key } } } }"""
ONE = "query ($id: ID!) { chat(id: $id) { nativeId } }"
_IDS: dict[str, str] = {}


async def source_id(client: Client, name: str) -> str:
    if not _IDS:
        data = await client.ask("{ sources { id key } }")
        _IDS.update({one["key"]: one["id"] for one in data["sources"]})
    return _IDS[name]


async def listed(client: Client, *names: str, ms: int = 5000) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Native ids of the rows, and the statuses by source."""
    body = await client.post(LIST, ids=[await source_id(client, name) for name in names], ms=ms)
    assert "errors" not in body, body["errors"]
    found = body["data"]["chats"]
    return [node["nativeId"] for node in found["nodes"]], {one["source"]["key"]: one for one in found["sources"]}


def assert_clean(sentence: str) -> None:
    """Three parts, and nothing that must not be seen."""
    assert SECRET not in sentence
    assert "Traceback" not in sentence
    assert "<html" not in sentence
    assert re.search(r"\. [A-Z][^.]*\.?$|\. [A-Z].*$", sentence), sentence


@pytest.mark.parametrize("name", [*FAULTS, *ANSWERS])
async def test_list_says_what_became_of_a_source(client: Client, name: str) -> None:
    expected = {**FAULTS, **ANSWERS}[name][1]
    started = time.monotonic()
    found, statuses = await listed(client, name)
    assert time.monotonic() - started < 4
    assert (found, statuses[name]["code"]) == ([], expected)
    assert_clean(statuses[name]["message"])
    if name == "e429-retry-after":
        assert 5000 < statuses[name]["retryAfterMs"] <= 7000


@pytest.mark.parametrize("name", [*FAULTS, *ANSWERS])
async def test_chat_alone_says_it_as_an_error(client: Client, name: str) -> None:
    """Never the vendor's status as ours: HTTP says 200, and 401 is the client's own alone."""
    code = {**FAULTS, **ANSWERS}[name][1]
    chat = forged_id(IdType.CHAT, short_of(await source_id(client, name)), "chat_seed00")
    started = time.monotonic()
    answer = await client.http.post(client.url, json={"query": ONE, "variables": {"id": chat}}, headers=client.headers)
    assert time.monotonic() - started < 4
    assert answer.status_code == 200
    body = answer.json()
    assert body["data"] == {"chat": None}
    (error,) = body["errors"]
    assert error["extensions"]["code"] in (ALONE.get(code, code), UNAVAILABLE), error
    assert_clean(error["message"])


@pytest.mark.parametrize("name", SKIPPED)
async def test_rows_that_make_no_sense_are_left_out_and_counted(client: Client, name: str) -> None:
    _, shown, skipped = SKIPPED[name]
    found, statuses = await listed(client, name)
    assert (len(found), len(set(found)), statuses[name]["skippedRows"]) == (shown, shown, skipped), statuses
    assert statuses[name]["code"] == ("PARTIAL" if skipped else "OK")


async def test_silent_source_costs_the_deadline_and_no_more(client: Client) -> None:
    """A fresh source, so that no circuit is open: the good one's rows come with the deadline."""
    started = time.monotonic()
    found, statuses = await listed(client, "silent", "good", ms=400)
    assert time.monotonic() - started < 1.5
    assert statuses["silent"]["code"] in ("TIMEOUT", "CIRCUIT_OPEN")
    assert (statuses["good"]["code"], len(found) > 5) == ("OK", True)


async def test_answer_about_another_chat_is_not_passed_on(faulty: Faulty, client: Client) -> None:
    """As from a cache that mixes up addresses: a client would file the one under the id of the other."""
    good = faulty.vendors["good"]
    assert isinstance(good, Control)
    good.faults.add(fault(operation="get_chat", body={**OTHER, "teamId": "t", "messages": []}))
    chats = [
        forged_id(IdType.CHAT, short_of(await source_id(client, "good")), native)
        for native in ("unseen", "chat_seed00")
    ]
    await listed(client, "good")
    unseen, seen = [await client.post(ONE, id=chat) for chat in chats]
    good.faults.clear()
    assert unseen["data"] == {"chat": None}
    assert unseen["errors"][0]["extensions"]["code"] == CHANGED
    assert_clean(unseen["errors"][0]["message"])
    assert seen["data"] == {"chat": {"nativeId": "chat_seed00"}}  # the gateway's copy answers


async def test_all_faults_at_once_leave_the_good_source_whole(client: Client) -> None:
    alone, _ = await listed(client, "good")
    found, statuses = await listed(client, *FAULTS, *ANSWERS, "good", ms=3000)
    assert statuses["good"]["code"] == "OK"
    assert found == alone


async def test_large_answers_are_not_held(faulty: Faulty, client: Client) -> None:
    """32 MB is the limit: 200 MB are not kept, packed or not."""
    _, statuses = await listed(client, "endless", "bomb")
    # A busy machine does not get as far as the limit before the deadline.
    assert {one["code"] for one in statuses.values()} <= {CHANGED, "CIRCUIT_OPEN", "TIMEOUT"}
    peak = peak_kilobytes(faulty.gateway.process.pid)
    assert peak is None or peak < 450_000


def peak_kilobytes(process_id: int) -> int | None:
    """The most memory that a process ever took; None where the system does not tell (Linux does)."""
    told = Path(f"/proc/{process_id}/status")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", told.read_text())[0]) if told.exists() else None


def test_nothing_secret_was_said(faulty: Faulty) -> None:
    """After all of the above: neither keys nor a vendor's page nor a stack trace are in what the gateway printed."""
    said = faulty.installation.output
    assert "list chats" in said or "list_chats" in said
    for secret in (SECRET, faulty.gateway.api_key, "canary", "Gateway zone 7"):
        assert secret not in said
    assert "Traceback" not in said, said[said.index("Traceback") - 500 :][:3000]
