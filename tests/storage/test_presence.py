"""Who lives is known by locks that the kernel keeps."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.presence import Alone, Present, present

_OTHER = """
import sys
from storage.presence import present
with present(sys.argv[1]) as presence:
    print(presence.own, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def other(url: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", _OTHER, url],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.kill()


def name_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def left_in(presence: Present) -> list[str]:
    return sorted(path.name for path in presence.folder.iterdir())


def test_processes_of_one_store_see_each_other(url: str) -> None:
    with present(url) as first, present(url) as second:
        assert first.living() == second.living() == {first.own, second.own}


def test_process_that_leaves_is_gone_with_its_files(url: str) -> None:
    with present(url) as first:
        with present(url) as second:
            second.socket_of(second.own).touch()
        assert first.living() == {first.own}
        assert left_in(first) == [first.own]


def test_process_that_is_killed_is_gone_at_once(url: str, other: "subprocess.Popen[str]") -> None:
    name = name_of(other)
    with present(url) as first:
        first.socket_of(name).touch()
        assert first.living() == {first.own, name}
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert first.living() == {first.own}
        assert left_in(first) == [first.own]


def test_process_that_stands_still_lives(url: str, other: "subprocess.Popen[str]") -> None:
    name = name_of(other)
    with present(url) as first:
        other.send_signal(signal.SIGSTOP)
        assert name in first.living()
        other.send_signal(signal.SIGCONT)


def test_processes_of_other_stores_are_not_seen(tmp_path: Path) -> None:
    with present(f"sqlite:///{tmp_path}/a.db") as first, present(f"sqlite:///{tmp_path}/b.db"):
        assert first.living() == {first.own}


def test_nobody_else_may_look_in(url: str) -> None:
    with present(url) as first:
        assert os.stat(first.folder).st_mode & 0o077 == 0


def test_process_alone_lives() -> None:
    alone = Alone()
    assert alone.living() == {alone.own}
    assert Alone().own != alone.own
