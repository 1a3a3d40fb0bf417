"""A started gateway: the demo, as `make run` starts it, in a folder and on ports of its own."""

import json
import os
import secrets
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.processes import Process, spawned, stop
from tests.stores import add_key, add_tenant

ROOT = Path(__file__).resolve().parents[1]
_DEMO_PORTS = 10
"""The gateway's, and one for each simulator."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """How to reach it. `sources`: key → base URL of its simulator."""

    url: str
    api_key: str
    folder: Path
    process: Process
    sources: Mapping[str, str]

    @property
    def headers(self) -> dict[str, str]:
        """What every request needs."""
        return {"Authorization": f"Bearer {self.api_key}"}

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return self.url.removesuffix("/graphql")


@contextmanager
def running_gateway(seconds: float = 180, *, life: str = "4", quiet: bool = True) -> Iterator[Gateway]:
    """Start the demo and wait until it answers; it and its simulators are gone afterwards.

    Nobody writes but the test, unless it is not `quiet`: then others do about every `life` seconds.
    """
    with tempfile.TemporaryDirectory(prefix="switchboard-") as folder:
        state = Path(folder) / ".switchboard"
        port = str(a_free_port(_DEMO_PORTS))
        process = spawned(
            ["demo", "--port", port, "--life", life, *(["--quiet"] if quiet else [])],
            folder=Path(folder),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            output=Path(folder) / "output.log",
        )
        try:
            demo = _wait_for(state / "demo.json", process, seconds)
            yield Gateway(
                url=demo["url"],
                api_key=demo["api_key"],
                folder=Path(folder),
                process=process,
                sources={source["key"]: source["base_url"] for source in demo["sources"]},
            )
        finally:
            stop(process)


def a_free_port(block: int = 1) -> int:
    """The first of `block` neighbouring ports that nobody listens at now.

    Below those that the system gives to whoever asks for any, clients too; and each worker of the tests has a share of its own.
    """
    share = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12
    while True:
        first = 20_000 + 1_000 * share + secrets.randbelow(1_000 - block)
        if all(_is_free(port) for port in range(first, first + block)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _wait_for(path: Path, process: Process, seconds: float) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if path.exists():
            return json.loads(path.read_text())
        if process.poll() is not None:
            break
        time.sleep(0.05)  # another process writes the file; there is nothing to wait on
    process.kill()
    process.wait()
    output = (path.parents[1] / "output.log").read_text(errors="replace")
    raise AssertionError(f"The gateway did not start within {seconds:g} s. It said:\n{output}")


@contextmanager
def served_gateway(sources: str, *, settings: str = "", env: Mapping[str, str] | None = None) -> Iterator[Gateway]:
    """`switchboard serve` as in production: an organization, a key, and the `[[sources]]` tables of `sources`.

    Tables that name no organization belong to the one that is made, `acme`.
    """
    with tempfile.TemporaryDirectory(prefix="switchboard-") as folder:
        port = a_free_port()
        url = f"http://127.0.0.1:{port}/graphql"
        config = Path(folder) / "switchboard.toml"
        config.write_text(
            f'database_url = "sqlite:///{folder}/test.db"\nallow_private_addresses = true\n{settings}\n{sources}'
        )
        environment = {
            **os.environ,
            **(env or {}),
            "PYTHONPATH": str(ROOT),
            "SWITCHBOARD_SECRET_KEY": "tests-" * 8,
            "SWITCHBOARD_CONFIG": str(config),
        }

        store = Path(folder) / "test.db"
        add_tenant(store, "acme")
        api_key = add_key(store, "acme")
        output = Path(folder) / "output.log"
        process = spawned(["serve", "--port", str(port)], folder=Path(folder), env=environment, output=output)
        try:
            _wait_until_ready(f"http://127.0.0.1:{port}/readyz", process, output)
            yield Gateway(url=url, api_key=api_key, folder=Path(folder), process=process, sources={})
        finally:
            stop(process)


def _wait_until_ready(url: str, process: Process, log: Path, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)  # another process starts; there is nothing to wait on
    process.kill()
    process.wait()
    output = log.read_text(errors="replace")
    raise AssertionError(f"The gateway was not ready within {seconds:g} s. It said:\n{output}")
