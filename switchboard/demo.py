"""`make run`: the gateway with a simulator for every vendor there is, some chats in each, and one address to open.

Unless it is told to be quiet, other people write into these chats every few seconds, as other clients of the vendors would.

Everything is on loopback. State is under `.switchboard/`: the store is made anew at each start, because the simulators forget too;
the secret is kept. When all of it answers, `.switchboard/demo.json` tells how to reach it.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from rich.console import Console

from resolvers.context import Gateway
from simulators.keys import KEYS, OPTIONS, PATHS
from simulators.life import live
from switchboard.app import Application
from switchboard.demo_data import Demo, fill_store
from switchboard.demo_life import local_rooms
from switchboard.keys import kept_secret
from switchboard.serving import server_config
from switchboard.settings import Settings, SourceSettings

STATE = Path(".switchboard")
HOST = "127.0.0.1"
VENDORS = tuple(KEYS)
_BLOCK = 10
"""Ports of one try: the gateway's, then one per simulator."""


class DemoError(Exception):
    """The demo cannot start; the sentence says what to do."""


def run(port: int = 4000, *, life_seconds: float | None = None) -> None:
    """Start everything, until Ctrl-C. `life_seconds`: about how often a message appears by itself at each source; None: never.

    Raises `DemoError`.
    """
    STATE.mkdir(mode=0o700, exist_ok=True)
    asyncio.run(_run(port, life_seconds))


async def _run(port: int, life_seconds: float | None) -> None:
    ports = free_block(port, 1 + len(VENDORS))
    simulators = await _start_simulators(ports[1:], life_seconds)
    try:
        demo = await _prepare(ports)
        await _serve(demo, ports[0], life_seconds)
    finally:
        await _stop(simulators)
        (STATE / "demo.json").unlink(missing_ok=True)


def free_block(port: int, size: int) -> list[int]:
    """`size` ports in a row that are free, from `port` on, else the next block of ten. Raises `DemoError`."""
    for start in range(port, min(port + 50 * _BLOCK, 65_536 - size), _BLOCK):
        ports = list(range(start, start + size))
        if all(_is_free(one) for one in ports):
            return ports
    raise DemoError(f"No {size} free ports in a row were found from {port} on. Choose another one: make PORT=5000 run")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


async def _start_simulators(ports: Sequence[int], life_seconds: float | None) -> asyncio.subprocess.Process:
    """A process of their own, which ends when its standard input closes: also when this one is killed."""
    places = [f"{vendor}:{port}" for vendor, port in zip(VENDORS, ports, strict=True)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulators",
        *places,
        "--host",
        HOST,
        "--watch-stdin",
        *(["--life", str(life_seconds)] if life_seconds is not None else []),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the gateway, which ends them last
    )
    assert process.stdout is not None  # a pipe was asked for
    line = await process.stdout.readline()
    if not line.startswith(b"ready"):
        raise DemoError("The simulated vendors did not start. What they said stands above.")
    return process


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), 5)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _prepare(ports: Sequence[int]) -> Demo:
    for name in ("demo.db", "demo.db-wal", "demo.db-shm"):
        (STATE / name).unlink(missing_ok=True)
    settings = Settings(
        database_url=f"sqlite:///{STATE / 'demo.db'}",
        secret_keys=(kept_secret(STATE / "secret"),),
        allowed_origins=("http://localhost:*", "http://127.0.0.1:*"),
        allow_private_addresses=True,
        development=True,
        host=HOST,
        port=ports[0],
        sources=tuple(
            SourceSettings(
                organization="demo",
                key=vendor.replace("_", "-"),
                vendor=vendor,
                base_url=f"http://{HOST}:{port}{PATHS.get(vendor, '')}",
                credentials=dict(KEYS[vendor]),
                options=dict(OPTIONS.get(vendor, {})),
            )
            for vendor, port in zip(VENDORS, ports[1:], strict=True)
        ),
    )
    return await fill_store(settings)


async def _serve(demo: Demo, port: int, life_seconds: float | None) -> None:
    application = Application(demo.settings, demo_key=lambda: demo.api_key)
    living: list[asyncio.Task[None]] = []

    def ready() -> None:
        _announce(demo, port)
        if life_seconds is not None and application.gateway is not None:
            living.append(asyncio.create_task(_live(application.gateway, demo.organization, life_seconds)))

    await _Server(server_config(application, demo.settings), ready, lambda: _end(living)).serve()


async def _live(gateway: Gateway, organization: str, seconds: float) -> None:
    if (rooms := await local_rooms(gateway, organization)) is not None:
        await live(rooms, "local", seconds)


def _end(living: Sequence[asyncio.Task[None]]) -> None:
    for task in living:
        task.cancel()


class _Server(uvicorn.Server):
    """Tells when it answers and when it is about to end, and ends quietly on a signal."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None], on_end: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._on_end = on_end

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn raises the signal anew at the end, which would skip what has to be stopped after it."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_end()
        await super().shutdown(sockets)


def _announce(demo: Demo, port: int) -> None:
    url = f"http://{HOST}:{port}/graphql"
    known = {
        "url": url,
        "api_key": demo.api_key,
        "organization": demo.organization,
        "sources": [
            {"key": source.key, "vendor": source.vendor, "base_url": source.base_url}
            for source in demo.settings.sources
        ],
    }
    path = STATE / "demo.json"
    partial = path.with_suffix(".new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(known, file, indent=2)
    partial.replace(path)
    console = Console()
    console.print(f"\n  Switchboard answers at [bold]{url}[/]\n")
    console.print("  Open it in a browser: the first tab has a query and a subscription to try.")
    console.print(
        f"  Chats of {', '.join(['local', *VENDORS])}; the key for programs is in {path}. Ctrl-C stops all of it.\n"
    )
