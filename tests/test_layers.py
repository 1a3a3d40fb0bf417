"""The picture of the README: imports go to the right only. The contracts stand in `pyproject.toml`."""

import subprocess
import sys
from pathlib import Path

from tests.gateway import ROOT


def test_imports_go_to_the_right_only() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_domain_imports_the_standard_library_only() -> None:
    """`domain` is the vocabulary: whoever reads it needs to know nothing else."""
    code = "import sys, pkgutil, domain\nfor module in pkgutil.iter_modules(domain.__path__): __import__(f'domain.{module.name}')\n"
    code += "print(*{name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names) - {'domain', '__main__'})"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
