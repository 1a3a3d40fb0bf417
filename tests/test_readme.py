"""Every claim of the README that a machine can check: its tables, its queries, its commands."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from simulators import open_webui
from simulators.serving import running
from switchboard.documentation import README, written
from switchboard.http.webhooks import BODY_BYTES, BODY_SECONDS
from switchboard.settings import load_settings, settings_table
from tests.client import Client, a_client
from tests.gateway import ROOT, Gateway, running_gateway

TEXT = README.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.S | re.M)


def operation(name: str) -> str:
    """The GraphQL block that holds an operation."""
    return next(block for block in blocks("graphql") if re.search(rf"\b{name}\b", block))


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with running_gateway() as gateway:
        yield gateway


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[Client]:
    async with a_client(gateway) as client:
        yield client


def test_generated_tables_are_current() -> None:
    assert written(TEXT) == TEXT, "The tables of README.md are outdated. Write them anew with: make readme"


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"`make (?:[A-Z]+=\S+ )?([a-z-]+)`", TEXT))
    assert named <= targets


def test_every_folder_that_is_named_exists() -> None:
    named = re.findall(r"`((?:upstreams|simulators|schema|docs|tests|resolvers|storage)/[\w./<>-]+)`", TEXT)
    assert named
    for path in named:
        assert "<" in path or (ROOT / path).exists(), path


def test_settings_example_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = blocks("toml")
    tomllib.loads(example)
    config = tmp_path / "switchboard.toml"
    config.write_text(example)
    monkeypatch.chdir(tmp_path)
    settings = load_settings(config)
    assert settings.sources[0].vendor == "open_webui"


def shape(value: Any) -> Any:
    """Keys and kinds, without the values; null fits everything."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "null" if value is None else type(value).__name__


@pytest.mark.anyio
@pytest.mark.slow
async def test_query_gives_an_answer_like_the_one_shown(client: Client) -> None:
    shown = json.loads(*blocks("json"))
    answer = await client.post(operation("Newest"))
    for _ in range(10):  # a busy machine may not have all sources in time at first
        if answer["data"]["chats"]["sources"] == shown["data"]["chats"]["sources"]:
            break
        answer = await client.post(operation("Newest"))
    assert shape(answer) == shape(shown)
    assert _lasting(answer) == _lasting(shown)


def _lasting(answer: Any) -> Any:
    """What is the same at each start: not the times, and not what is made of them."""
    chats = answer["data"]["chats"]
    return [(node["id"], node["title"], node["source"]) for node in chats["nodes"]], chats["sources"]


LIVE = (ROOT / "docs" / "live.md").read_text(encoding="utf-8")


def test_settings_that_are_named_exist() -> None:
    names = {re.sub(r"\[\]", "", name) for name, _, _, _ in settings_table()}
    named = set(re.findall(r"`((?:auth|events|limits|mirror|upstream|websocket)\.[\w.]+)`", TEXT + LIVE))
    assert named
    assert named <= names


def test_bounds_of_webhooks_are_those_of_the_code() -> None:
    assert f"did not come within {BODY_SECONDS:g} s, or has more than {BODY_BYTES // 1024} KB" in LIVE


def test_commands_of_the_live_page_exist() -> None:
    (command,) = re.findall(r"^```sh\n(.*?)^```", LIVE, re.S | re.M)
    words = command.split()
    done = subprocess.run([sys.executable, "-m", *words[:3], "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert words[3] in done.stdout


@pytest.mark.parametrize("page", [TEXT, LIVE], ids=["README", "docs/live"])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\((?:\.\./)?([\w./-]+\.md)(?:#[\w-]+)?\)", page):
        assert (ROOT / link).exists() or (ROOT / "docs" / link).exists(), link


@pytest.mark.anyio
@pytest.mark.slow
async def test_mutation_is_heard_in_the_subscription(client: Client) -> None:
    chats = await client.ask("{ chats(first: 50) { nodes { id source { vendor } } } }")
    chat_id = next(chat["id"] for chat in chats["chats"]["nodes"] if chat["source"]["vendor"] == "open_webui")
    async with client.events(operation("Live")) as events:
        # A chat that was not opened yet has history only: its first reading makes no events.
        payload = await client.do(operation("Say"), chatId=chat_id, text="Hello from the README")
        created = await events.until(__typename="MessageCreated", clientMutationId="bubble-1")
        assert created["message"]["id"] == payload["message"]["id"]


@pytest.mark.slow
def test_curl_command_answers(gateway: Gateway) -> None:
    command = next(block for block in blocks("sh") if block.startswith("curl"))
    environment = {**os.environ, "SWITCHBOARD_URL": gateway.url, "SWITCHBOARD_KEY": gateway.api_key}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, env=environment)
    assert len(json.loads(done.stdout)["data"]["chats"]["nodes"]) == 20


@pytest.mark.slow
def test_production_commands_make_a_gateway_that_can_start(tmp_path: Path) -> None:
    """All of them but `serve`, which needs the vendor of the example."""
    command = next(block for block in blocks("sh") if "keys secret" in block)
    lines = [line for line in command.splitlines() if "serve" not in line]
    scripts = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "SWITCHBOARD_DATABASE_URL": f"sqlite:///{tmp_path / 'test.db'}",
    }
    done = subprocess.run(
        ["bash", "-euc", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"sb_[\w-]{43}", done.stdout.strip().splitlines()[-1])


@pytest.mark.slow
def test_source_is_connected_from_the_shell(tmp_path: Path) -> None:
    command = next(block for block in blocks("sh") if "sources add" in block)
    scripts = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SWITCHBOARD_DATABASE_URL": f"sqlite:///{tmp_path / 'test.db'}",
        "SWITCHBOARD_ALLOW_PRIVATE_ADDRESSES": "true",
        "SWITCHBOARD_SECRET_KEY": "tests-" * 8,
        "OPEN_WEBUI_KEY": open_webui.ADMIN_KEY,
    }
    with running(open_webui.create_app()) as url:
        said = f"switchboard organizations create acme --name Acme\n{command.replace('https://chat.example.com', url)}"
        done = subprocess.run(
            ["bash", "-euc", said], cwd=tmp_path, capture_output=True, text=True, check=False, env=environment
        )
    assert done.returncode == 0, done.stderr
    assert "The source acme/assistants is connected." in done.stderr
