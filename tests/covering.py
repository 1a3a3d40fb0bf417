"""A plugin of pytest (`-p tests.covering`): which lines and branches of our packages the workers run, each worker into a file of its own
in the folder that `COVERAGE_FOLDER` names.

By slipcover, which marks the code as it is loaded and takes a mark away once it was seen. What coverage.py traces on Python 3.11 makes
the tests take half as long again. slipcover's own plugin also marks the tests, which it cannot do with the pytest we use.
"""

import json
import os
from pathlib import Path

import slipcover

PACKAGES = ["switchboard", "schema", "resolvers", "storage", "domain", "upstreams", "engine"]
_NOT_OURS = ["storage/migrations/*"]
_NEVER_RUN = [r"if TYPE_CHECKING:", r"\.\.\.$", r"raise AssertionError"]

_folder = os.environ.get("COVERAGE_FOLDER")
_worker = os.environ.get("PYTEST_XDIST_WORKER")

if _folder and _worker:
    _seen = slipcover.Slipcover(branch=True, source=PACKAGES, omit=_NOT_OURS, exclude_also=_NEVER_RUN)
    slipcover.ImportManager(_seen, slipcover.FileMatcher(sources=PACKAGES, omit=_NOT_OURS)).__enter__()


def pytest_sessionfinish() -> None:
    """Of a worker, at its end."""
    if _folder and _worker:
        Path(_folder, f"{_worker}.json").write_text(json.dumps(_seen.get_coverage()))
