"""`python -m simulators` as the demo starts it: a process of its own that leaves nothing behind."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from urllib.parse import urlsplit

import httpx
import pytest

from simulators import chatlogger, kodey, lexicon, open_webui, splox
from simulators.__main__ import VENDORS
from simulators.seed import talks


@contextmanager
def started(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    command = [sys.executable, "-W", "error", "-m", "simulators", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            word, _, urls = process.stdout.readline().partition(" ")
            assert word == "ready"
            yield process, json.loads(urls)
        finally:
            process.kill()


def test_every_vendor_answers_once_ready_is_printed() -> None:
    with started(*(f"{vendor}:0" for vendor in VENDORS)) as (_, urls):
        answer = httpx.get(f"{urls['kodey']}/chat", headers={"x-api-key": kodey.SECRET_KEY})
        assert len(answer.json()["chats"]) == 12
        key = {"authorization": f"Bearer {open_webui.ADMIN_KEY}"}
        everything = {"include_pinned": "true", "include_folders": "true"}
        rows = httpx.get(f"{urls['open_webui']}/api/v1/chats/", params=everything, headers=key)
        assert len(rows.json()) == 10  # and two are archived
        token = {"authorization": f"Bearer {splox.TOKEN}"}
        resource = f"{splox.PREFIX}/chats/workflow/{splox.ASSISTANT.workflow_id}"
        assert len(httpx.get(urls["splox"] + resource, headers=token).json()["chats"]) == 9  # and three on an agent
        tenant = {"x-api-key": lexicon.API_KEY}
        assert httpx.get(f"{urls['lexicon']}/api/v1/chats/user/user-ben", headers=tenant).json()["total"] == 4
        said = {"email": chatlogger.ADMIN_EMAIL, "password": chatlogger.PASSWORD}
        session = httpx.post(f"{urls['chatlogger']}/auth/login", json=said).cookies
        assert len(httpx.get(f"{urls['chatlogger']}/api/v1/chats", cookies=session).json()) == 12


def test_the_seeded_chats_of_all_vendors_are_interleaved() -> None:
    """So that one list over all shows all."""
    times = {vendor: [talk.created_age for talk in talks(vendor)] for vendor in VENDORS}
    whose = [vendor for _, vendor in sorted((age, vendor) for vendor, ages in times.items() for age in ages)]
    assert all(one != other for one, other in pairwise(whose))


def test_without_a_seed_there_is_nothing() -> None:
    with started("kodey:0", "--no-seed") as (_, urls):
        assert httpx.get(f"{urls['kodey']}/chat", headers={"x-api-key": kodey.SECRET_KEY}).json() == {"chats": []}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_quietly(number: signal.Signals) -> None:
    with started("kodey:0") as (process, _):
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


def test_a_caller_that_waits_does_not_hold_it() -> None:
    with started("kodey:0") as (process, urls):
        url = urls["kodey"]
        httpx.post(f"{url}/__control/faults", json={"delay_ms": 60_000})
        target = urlsplit(url)
        with socket.create_connection((target.hostname or "", target.port or 80)) as waiting:
            waiting.sendall(b"GET /chat HTTP/1.1\r\nHost: x\r\n\r\n")
            while not httpx.get(f"{url}/__control/calls").json():
                pass
            process.terminate()
            _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


def test_it_ends_with_its_standard_input_when_told_to_watch() -> None:
    with started("kodey:0", "--watch-stdin") as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=10) == 0


def test_a_taken_port_is_told_in_a_sentence() -> None:
    with started("kodey:0") as (_, urls):
        port = urls["kodey"].rpartition(":")[2]
        second = subprocess.run(
            [sys.executable, "-m", "simulators", f"kodey:{port}"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert second.returncode == 1
    assert "Choose another port" in second.stderr
    assert "Traceback" not in second.stderr
