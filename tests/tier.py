"""How often a test repeats itself: `make test-quick`, `make test` and `make test-long` run the same code with other counts."""

import os

TIER = os.environ.get("SWITCHBOARD_TEST_TIER", "quick")
_SHARE = {"quick": 50, "standard": 10, "long": 1}


def count(*, long: int, least: int = 1) -> int:
    """`long` repetitions in the long tier, a tenth of it in the standard one, a fiftieth in the quick one; never fewer than `least`."""
    return max(least, long // _SHARE[TIER])
