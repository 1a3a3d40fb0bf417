"""A started gateway: the demo, as `make run` starts it, in a folder and on ports of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Gateway:
    """How to reach it. `sources`: key → base URL of its simulator."""

    url: str
    api_key: str
    folder: Path
    process: subprocess.Popen[bytes]
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
def running_gateway(seconds: float = 60) -> Iterator[Gateway]:
    """Start the demo and wait until it answers; it and its simulators are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="switchboard-") as folder:
        state = Path(folder) / ".switchboard"
        process = subprocess.Popen(
            [sys.executable, "-m", "switchboard", "demo", "--port", str(a_free_port())],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
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
            _stop(process)


def a_free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(path: Path, process: subprocess.Popen[bytes], seconds: float) -> dict:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if path.exists():
            return json.loads(path.read_text())
        if process.poll() is not None:
            break
        time.sleep(0.05)  # another process writes the file; there is nothing to wait on
    process.kill()
    output = process.communicate()[0].decode(errors="replace")
    raise AssertionError(f"The gateway did not start within {seconds:g} s. It said:\n{output}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
