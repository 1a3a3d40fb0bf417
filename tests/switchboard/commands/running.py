"""Commands of the command line, as tests run them, and how they end."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from tests.gateway import ROOT

SECRET = "s" * 43


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBOARD_") or "TIER" in name}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1", **more}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "switchboard", *arguments]


def assert_fails(ended: Ended, sentence: str) -> None:
    assert (ended.code, ended.out) == (1, "")
    assert sentence in ended.err
    assert "Traceback" not in ended.err
