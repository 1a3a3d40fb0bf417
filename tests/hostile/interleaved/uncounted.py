"""Without counting which lines run: that makes thousands of operations three times slower, and other tests run the same lines."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from coverage import Coverage
from coverage.exceptions import CoverageWarning

ENV: Mapping[str, str] = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}
"""For a process that is started."""


@contextmanager
def uncounted() -> Iterator[None]:
    """In this process, and in the threads that it starts, until the block is left."""
    counting = Coverage.current()
    if counting is not None:
        counting.stop()
    try:
        yield
    finally:
        if counting is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CoverageWarning)  # that modules were imported before: they were counted
                counting.start()
