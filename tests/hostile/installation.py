"""An installed gateway: a folder with settings and a store, whose commands are run and whose server is started as often as a test wants."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import jwt

from tests.gateway import ROOT, Gateway, a_free_port
from tests.processes import Process, forked, spawned, stop
from tests.stores import add_key, add_tenant

ISSUER, AUDIENCE = "https://id.example.com", "switchboard"
JWT_SECRET = "canary-of-the-sign-in-service-" * 2
JWT = f"""
[auth.jwt]
issuer = "{ISSUER}"
audience = "{AUDIENCE}"
secret = "env:JWT_SECRET"
"""


def a_token(subject: str, *, seconds: float = 600, **claims: object) -> str:
    """What the sign-in service gives to a person; negative `seconds` ended long ago."""
    ends = datetime.now(UTC) + timedelta(seconds=seconds)
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "exp": ends, **claims}
    return jwt.encode(said, JWT_SECRET, algorithm="HS256")


@dataclass
class Installation:
    """`settings` and `sources` are TOML; `output` is all that the server said."""

    folder: Path
    settings: str = ""
    sources: str = ""
    env: dict[str, str] = field(default_factory=lambda: {"SWITCHBOARD_SECRET_KEY": "canary-secret-" * 4})

    @property
    def output(self) -> str:
        """What the servers printed so far."""
        return (self.folder / "output.log").read_text(errors="replace")

    @property
    def database(self) -> Path:
        """The store's file."""
        return self.folder / "test.db"

    def run(self, *arguments: str) -> str:
        """A command; what it printed on stdout."""
        command = [sys.executable, "-m", "switchboard", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def an_organization(self, slug: str, *, admin: str | None = None) -> str:
        """Make one, with an `admin` of the sign-in service; the secret of an admin's key for it."""
        add_tenant(self.database, slug, admin=(ISSUER, admin) if admin is not None else None)
        return add_key(self.database, slug)

    @contextmanager
    def serving(self, api_key: str = "") -> Iterator[Gateway]:
        """The server, until the block is left."""
        port = a_free_port()
        start = spawned if "workers" in self.settings else forked
        process = start(
            ["serve", "--port", str(port)],
            folder=self.folder,
            env=self._environment(),
            output=self.folder / "output.log",
        )
        try:
            self._wait_until_ready(f"http://127.0.0.1:{port}/readyz", process)
            yield Gateway(f"http://127.0.0.1:{port}/graphql", api_key, self.folder, process, {})
        finally:
            stop(process)

    def _environment(self) -> Mapping[str, str]:
        config = self.folder / "switchboard.toml"
        head = f'database_url = "sqlite:///{self.database}"\nallow_private_addresses = true\nlog_format = "json"\n'
        config.write_text(f"{head}{self.settings}\n{self.sources}")
        return {
            **os.environ,
            "JWT_SECRET": JWT_SECRET,
            **self.env,
            "PYTHONPATH": str(ROOT),
            "SWITCHBOARD_CONFIG": str(config),
        }

    def _wait_until_ready(self, url: str, process: Process, seconds: float = 300) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and process.poll() is None:
            try:
                if httpx.get(url, timeout=2, verify=False).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)  # another process starts; there is nothing to wait on
        raise AssertionError(f"The gateway was not ready within {seconds:g} s. It said:\n{self.output}")


def a_source(organization: str, key: str, vendor: str, base_url: str, api_key: str, options: str = "") -> str:
    """One table of `[[sources]]`."""
    return f"""
[[sources]]
organization = "{organization}"
key = "{key}"
vendor = "{vendor}"
base_url = "{base_url}"
credentials = {{ api_key = "{api_key}" }}
{f"options = {{ {options} }}" if options else ""}
"""
