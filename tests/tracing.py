"""What of the tests is traced for the coverage report: the beginning of each test, and neither the demo nor an `Installation` that serves.

Tracing makes Python code take half as long again and more. A test that repeats itself for seconds runs the same lines again, and most
gateways that tests start run the lines that tests of their parts run. Traced whole are the commands, and what `served_gateway` starts.
"""

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from coverage import Coverage

_TRACED_SECONDS = 1.0
"""Of the processor, from the beginning of a test."""
_VARIABLES = ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")


@contextmanager
def traced_at_first() -> Iterator[None]:
    """Stop tracing when this has worked for a second; go on with it afterwards."""
    coverage = Coverage.current()
    if coverage is None:
        yield
        return
    is_stopped = False

    def stop(*_: object) -> None:
        nonlocal is_stopped
        is_stopped = True
        coverage.stop()

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, _TRACED_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        if is_stopped:
            coverage.start()


def untraced(environment: Mapping[str, str]) -> dict[str, str]:
    """The same for a process that is not traced."""
    return {name: value for name, value in environment.items() if name not in _VARIABLES}
