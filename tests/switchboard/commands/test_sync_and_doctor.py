"""`switchboard sync` and `switchboard doctor`, with a simulated vendor."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from simulators import open_webui
from simulators.serving import running
from storage.store import open_store
from tests.switchboard.commands.running import Ended, Run

pytestmark = pytest.mark.slow

CONFIG = """
database_url = "sqlite:///{folder}/test.db"
allow_private_addresses = true
[[sources]]
organization = "acme"
key = "webui"
vendor = "open_webui"
base_url = "{url}"
credentials = {{ api_key = "env:TESTED_KEY" }}
"""


@dataclass
class Shell:
    """A folder with the settings of a vendor's source, in which commands are run."""

    _run: Run
    folder: Path
    url: str
    key: str

    def run(self, *arguments: str) -> Ended:
        return self._run(*arguments, TESTED_KEY=self.key)

    def messages(self) -> int:
        """How many messages the store knows."""

        async def count() -> int:
            async with open_store(f"sqlite:///{self.folder / 'test.db'}") as store:
                row = await store.database.fetch_one("SELECT count(*) FROM message", {})
                return int(row[0]) if row else 0

        return asyncio.run(count())


@pytest.fixture
def shell(run: Run, tmp_path: Path) -> Iterator[Shell]:
    with running(open_webui.create_app(seed=True)) as url:
        (tmp_path / "switchboard.toml").write_text(CONFIG.format(folder=tmp_path, url=url))
        assert run("organizations", "create", "acme", "--name", "Acme", TESTED_KEY=open_webui.ADMIN_KEY).code == 0
        yield Shell(run, tmp_path, url, open_webui.ADMIN_KEY)


def calls(shell: Shell, operation: str) -> int:
    return len(httpx.get(f"{shell.url}/__control/calls", params={"operation": operation}).json())


def test_sync_reads_everything_once_and_goes_on_where_it_stopped(shell: Shell) -> None:
    first = shell.run("sync", "--organization", "acme")
    assert first.code == 0, first.err
    known = shell.messages()
    assert known > 12
    read = calls(shell, "get_chat")
    second = shell.run("sync", "--organization", "acme")
    assert second.code == 0, second.err
    assert calls(shell, "get_chat") == read
    assert shell.messages() == known


def test_sync_of_a_vendor_that_is_down_says_so(shell: Shell) -> None:
    httpx.post(f"{shell.url}/__control/faults", json={"status": 500, "body": "down", "times": 50})
    done = shell.run("sync", "--organization", "acme", "webui")
    assert done.code == 1
    assert "webui" in done.err


def test_sync_of_an_unknown_source_says_how_to_see_them(shell: Shell) -> None:
    done = shell.run("sync", "--organization", "acme", "nowhere")
    assert done.code == 1
    assert "switchboard sources list" in done.err


def test_doctor_finds_all_well(shell: Shell) -> None:
    done = shell.run("doctor")
    assert done.code == 0, done.out
    for word in ("settings", "store", "acme/webui", "version", "credentials", "capabilities"):
        assert word in done.out


def test_doctor_says_what_is_wrong(shell: Shell) -> None:
    shell.key = "sk-" + "0" * 32
    done = shell.run("doctor")
    assert done.code == 1
    assert "failed" in done.out
    assert "sk-000" not in done.out + done.err
