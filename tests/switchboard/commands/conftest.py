"""Runs the command line inside the test's own process."""

import logging
import os
from pathlib import Path

import pytest
import structlog

from switchboard.cli import main
from tests.switchboard.commands.running import SECRET, Ended, Run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, in a folder of its own, with a secret."""
    for name in [name for name in os.environ if name.startswith("SWITCHBOARD_") and "TIER" not in name]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*arguments: str, **more: str) -> Ended:
        with monkeypatch.context() as patched:
            for name, value in {"SWITCHBOARD_SECRET_KEY": SECRET, **more}.items():
                patched.setenv(name, value)
            capsys.readouterr()
            try:
                with pytest.raises(SystemExit) as ended:
                    main(arguments)
            finally:
                root.handlers[:], root.level = handlers, level
                structlog.reset_defaults()
            code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


@pytest.fixture
def acme(run: Run) -> Run:
    """As `run`, with the organization `acme`."""
    assert run("organizations", "create", "acme", "--name", "Acme").code == 0
    return run
