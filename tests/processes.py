"""Starts `switchboard` in a process of its own: as users do, or split off one that has imported it, as importing takes two seconds
of the processor.
"""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing import forkserver, get_context
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen, TimeoutExpired
from typing import Protocol

_LOADED_BEFORE = ["switchboard.app", "switchboard.commands.serve"]


class Process(Protocol):
    """What tests do with a process, whichever way it was started: as of `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int, /) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class _Fork:
    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        self._command = process.name

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise TimeoutExpired(self._command, timeout or 0)
        return code

    def send_signal(self, sig: int, /) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def spawned(arguments: Sequence[str], *, folder: Path, env: Mapping[str, str], output: Path) -> Process:
    """`switchboard` with these arguments, as users start it. All that it says goes to the end of `output`."""
    # A file, not a pipe: nobody reads a pipe while the tests run, and a full one stops who writes.
    with output.open("ab") as said:
        return Popen(
            [sys.executable, "-m", "switchboard", *arguments],
            cwd=folder,
            env=env,
            stdin=DEVNULL,
            stdout=said,
            stderr=STDOUT,
        )


def forked(arguments: Sequence[str], *, folder: Path, env: Mapping[str, str], output: Path) -> Process:
    """As `spawned`, without the time to import. Not for several workers, which a process that was split off cannot start."""
    process = _context().Process(
        target=_run, args=(tuple(arguments), folder, dict(env), output), name=" ".join(("switchboard", *arguments))
    )
    process.start()
    return _Fork(process)


def stop(process: Process, seconds: float = 20) -> None:
    """End it: in order, or by force when that takes longer."""
    process.terminate()
    try:
        process.wait(seconds)
    except TimeoutExpired:
        process.kill()
        process.wait()


@cache
def _context() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload(_LOADED_BEFORE)
    forkserver.ensure_running()
    return context


def _run(arguments: tuple[str, ...], folder: Path, env: Mapping[str, str], output: Path) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    said = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(said, 1)
    os.dup2(said, 2)

    from switchboard.cli import main

    main(arguments)
