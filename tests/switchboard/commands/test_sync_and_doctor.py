"""`switchboard sync` and `switchboard doctor`, with a simulated vendor."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from simulators import open_webui
from simulators.serving import running
from storage.store import open_store
from tests.gateway import ROOT

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


class Shell:
    """Runs the command line in a folder."""

    def __init__(self, folder: Path, url: str, key: str) -> None:
        self.folder, self.url = folder, url
        (folder / "switchboard.toml").write_text(CONFIG.format(folder=folder, url=url))
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SWITCHBOARD_SECRET_KEY": "tests-" * 8,
            "TESTED_KEY": key,
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "switchboard", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def messages(self) -> int:
        """How many messages the store knows."""

        async def count() -> int:
            async with open_store(f"sqlite:///{self.folder / 'test.db'}") as store:
                row = await store.database.fetch_one("SELECT count(*) FROM message", {})
                return int(row[0]) if row else 0

        return asyncio.run(count())


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with running(open_webui.create_app(seed=True)) as url:
        shell = Shell(tmp_path, url, open_webui.ADMIN_KEY)
        assert shell.run("organizations", "create", "acme", "--name", "Acme").returncode == 0
        yield shell


def calls(shell: Shell, operation: str) -> int:
    return len(httpx.get(f"{shell.url}/__control/calls", params={"operation": operation}).json())


def test_sync_reads_everything_once_and_goes_on_where_it_stopped(shell: Shell) -> None:
    first = shell.run("sync", "--organization", "acme")
    assert first.returncode == 0, first.stderr
    known = shell.messages()
    assert known > 12
    read = calls(shell, "get_chat")
    second = shell.run("sync", "--organization", "acme")
    assert second.returncode == 0, second.stderr
    assert calls(shell, "get_chat") == read
    assert shell.messages() == known


def test_sync_of_a_vendor_that_is_down_says_so(shell: Shell) -> None:
    httpx.post(f"{shell.url}/__control/faults", json={"status": 500, "body": "down", "times": 50})
    done = shell.run("sync", "--organization", "acme", "webui")
    assert done.returncode == 1
    assert "webui" in done.stderr


def test_sync_of_an_unknown_source_says_how_to_see_them(shell: Shell) -> None:
    done = shell.run("sync", "--organization", "acme", "nowhere")
    assert done.returncode == 1
    assert "switchboard sources list" in done.stderr


def test_doctor_finds_all_well(shell: Shell) -> None:
    done = shell.run("doctor")
    assert done.returncode == 0, done.stdout
    for word in ("settings", "store", "acme/webui", "version", "credentials", "capabilities"):
        assert word in done.stdout


def test_doctor_says_what_is_wrong(shell: Shell) -> None:
    shell.environment["TESTED_KEY"] = "sk-" + "0" * 32
    done = shell.run("doctor")
    assert done.returncode == 1
    assert "failed" in done.stdout
    assert "sk-000" not in done.stdout + done.stderr
