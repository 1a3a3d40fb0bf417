"""Adding a seventh vendor needs one file, one line and recorded answers: the README's "Add a vendor", followed step by step."""

import inspect
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.capabilities import Capability
from simulators.serving import running, serve
from switchboard.app import Application
from switchboard.documentation import README
from switchboard.settings import Settings, SourceSettings
from tests.cells.world import Simulated, mutation
from tests.client import Client
from tests.hostile.installation import Installation
from tests.toy_vendor.connector import CAPABILITIES, toy
from tests.toy_vendor.server import API_KEY, create_app
from tests.upstreams import recorded, test_contract, wire
from tests.upstreams.live_contract import CHECKS, Subject
from upstreams.http import UpstreamClients
from upstreams.policy import UpstreamSettings
from upstreams.registry import CONNECTORS, connectors

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parent / "toy_vendor"


@pytest.fixture(autouse=True)
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 2, the line of the registry, and step 3, the recorded answers; both are taken away afterwards."""
    monkeypatch.setitem(CONNECTORS, "toy", toy)
    monkeypatch.setattr(recorded, "FOLDER", HERE / "answers")


def suite() -> Iterator[Any]:
    """Every test of the contract suite that takes a vendor, with all its parameters: no line of it is written for the toy."""
    for name, function in vars(test_contract).items():
        if not name.startswith("test_") or "vendor" not in inspect.signature(function).parameters:
            continue
        marks = [mark for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
        for choice in itertools.product(*(list(_choices(mark)) for mark in marks)):
            given = {key: value for part in choice for key, value in part.items()}
            yield pytest.param(function, given, id="-".join([name, *(str(value)[:20] for value in given.values())]))


def _choices(mark: pytest.Mark) -> Iterator[dict[str, Any]]:
    names, values = mark.args[:2]
    for value in values:
        yield {names: value} if isinstance(names, str) else dict(zip(names, value, strict=True))


@pytest.mark.parametrize(("function", "given"), list(suite()))
async def test_contract_suite_runs_for_it(function: Callable[..., Any], given: dict[str, Any]) -> None:
    outcome = function("toy", **given)
    if inspect.isawaitable(outcome):
        await outcome


@pytest.fixture
async def subject() -> AsyncIterator[Subject]:
    with running(create_app(seed=False)) as url:
        clients = UpstreamClients(UpstreamSettings(allow_private_addresses=True))
        source = connectors(clients)["toy"].connect(wire.a_source("toy", url), {"api_key": API_KEY})
        yield Subject(source, secrets=[API_KEY])
        await clients.aclose()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_its_server_keeps_the_contract(subject: Subject, check: Callable[[Subject], Awaitable[None]]) -> None:
    await check(subject)


# Through GraphQL


@pytest.fixture
def simulated() -> Iterator[Simulated]:
    with running(create_app()) as url:
        yield Simulated(url)


@pytest.fixture
async def client(tmp_path: Path, simulated: Simulated) -> AsyncIterator[Client]:
    """A gateway in this process, where the registry has the line."""
    installation = Installation(tmp_path)
    key = installation.an_organization("acme")
    settings = Settings(
        database_url=f"sqlite:///{installation.database}",
        secret_keys=(installation.env["SWITCHBOARD_SECRET_KEY"],),
        allow_private_addresses=True,
        sources=(
            SourceSettings(
                organization="acme",
                key="board",
                vendor="toy",
                base_url=simulated.url,
                credentials={"api_key": API_KEY},
            ),
        ),
    )
    async with (
        serve(Application(settings)) as url,
        httpx.AsyncClient(timeout=30, trust_env=False, verify=False) as http,
    ):
        yield Client(f"{url}/graphql", {"Authorization": f"Bearer {key}"}, http)


@pytest.mark.slow
async def test_its_chats_are_listed_opened_and_written(client: Client, simulated: Simulated) -> None:
    held = {chat["id"]: chat for chat in simulated.state()["chats"]}
    listed = await client.ask(
        """{ vendors { name } chats(first: 9) { nodes { id nativeId title source { key vendor } } sources { code source { key } } } }"""
    )
    assert "toy" in [vendor["name"] for vendor in listed["vendors"]]
    shown = {chat["nativeId"]: chat for chat in listed["chats"]["nodes"]}
    assert {native_id: chat["title"] for native_id, chat in shown.items()} == {
        native_id: chat["title"] for native_id, chat in held.items()
    }
    assert {"code": "OK", "source": {"key": "board"}} in listed["chats"]["sources"]
    native_id = next(iter(held))
    opened = await client.ask(
        "query ($id: ID!) { chat(id: $id) { messages(last: 9) { nodes { role text } } viewerCan } }",
        id=shown[native_id]["id"],
    )
    assert [message["text"] for message in opened["chat"]["messages"]["nodes"]] == [
        message["text"] for message in held[native_id]["messages"]
    ]
    assert set(opened["chat"]["viewerCan"]) <= {one.value for one in Capability if CAPABILITIES.can(one)}
    await client.do(
        mutation("sendMessage", "message { text }"), input={"chatId": shown[native_id]["id"], "text": "Thank you"}
    )
    assert simulated.state()["chats"][0]["messages"][-1]["text"] == "Thank you"
    await client.do(
        mutation("setChatPinned", "chat { pinned }"), input={"chatId": shown[native_id]["id"], "pinned": True}
    )
    simulated.forget_calls()
    error = await client.refused(mutation("shareChat"), input={"chatId": shown[native_id]["id"]})
    assert (error["__typename"], error["capability"]) == ("CapabilityError", "SHARE_CHAT")
    assert simulated.calls() == []


def test_readme_tells_these_steps() -> None:
    steps = README.read_text().partition("## Add a vendor")[2].partition("\n## ")[0]
    one_file, line, answers, _, _ = re.findall(r"^\d\. (.*(?:\n   .*)*)", steps, re.M)
    assert "fits into one file" in one_file
    assert "one line to `upstreams/registry.py`" in line
    named = set(re.findall(r"`(\w+)`", answers.partition("at least")[2].partition("\n")[0]))
    assert named == {path.stem for path in (HERE / "answers" / "toy").iterdir()}
    assert {path.name for path in HERE.glob("*.py")} == {"__init__.py", "connector.py", "server.py"}
