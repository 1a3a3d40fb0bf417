"""Which processes have the store open: each holds a lock on a file of its own, which the kernel lets go when the process ends, however it ends.

    switchboard.db
    switchboard.db-processes/1f0c…        locked: its process lives
    switchboard.db-processes/1f0c….sock   where it listens to the others (see `switchboard.neighbours`)

So the death of a process is noticed without a clock, and one that only stands still is not taken for dead. A store that is shared by
machines needs leases instead; SQLite is not shared by machines.
"""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from storage import sqlite

_SOCKET = ".sock"


class Presence(Protocol):
    """This process among the others."""

    @property
    def own(self) -> str:
        """The name of this process; no other one ever had it."""

    def living(self) -> frozenset[str]:
        """The names of the processes that live, this one among them."""


class Alone:
    """A process that knows of no other, as in tests."""

    def __init__(self) -> None:
        self.own = uuid.uuid4().hex

    def living(self) -> frozenset[str]:
        """This one."""
        return frozenset([self.own])


class Present:
    """A process that others see, while `present` is entered. `folder` holds a file for each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.own = uuid.uuid4().hex
        self._file = self._lock()

    def living(self) -> frozenset[str]:
        """Those whose files are locked. What the dead left is removed on the way."""
        others = (path for path in self.folder.iterdir() if path.suffix != _SOCKET and path.name != self.own)
        return frozenset([self.own, *(path.name for path in others if not self._is_left(path))])

    def socket_of(self, process: str) -> Path:
        """Where a process listens."""
        return self.folder / (process + _SOCKET)

    def leave(self) -> None:
        """As if the process ended."""
        self._remove(self.folder / self.own)
        os.close(self._file)

    def _lock(self) -> int:
        """A locked file of our own. Somebody may take it for left between its making and its locking: then it is made once more."""
        path = self.folder / self.own
        while True:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            made = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(made, fcntl.LOCK_EX)
            if path.exists():
                return made
            os.close(made)

    def _is_left(self, path: Path) -> bool:
        try:
            opened = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            self._remove(path)
            return True
        finally:
            os.close(opened)

    def _remove(self, path: Path) -> None:
        for one in (self.socket_of(path.name), path):
            with suppress(FileNotFoundError):
                one.unlink()


@contextmanager
def present(url: str) -> Iterator[Present]:
    """Be among the processes of the store at `url`, until the block is left."""
    file = sqlite.file_of(url)
    presence = Present(file.with_name(file.name + "-processes"))
    try:
        yield presence
    finally:
        presence.leave()
