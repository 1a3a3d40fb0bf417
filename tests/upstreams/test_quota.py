"""The token bucket, and obedience to what a vendor announces."""

import math
from datetime import UTC, datetime

import pytest

from tests.upstreams.wire import FakeClock
from upstreams.quota import Quota, longest_wait, retry_after_seconds

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def test_without_a_bound_nothing_waits() -> None:
    quota = Quota(FakeClock().clock.monotonic)
    for _ in range(1000):
        quota.take()
    assert quota.wait_seconds() == 0


def test_bucket_empties_and_fills_at_its_rate() -> None:
    clock = FakeClock()
    quota = Quota(clock.clock.monotonic, per_minute=60)
    for _ in range(6):
        assert quota.wait_seconds() == 0
        quota.take()
    assert quota.wait_seconds() == pytest.approx(1)
    clock.seconds += 1
    assert quota.wait_seconds() == 0


def test_a_minute_never_passes_much_more_than_the_quota() -> None:
    clock = FakeClock()
    quota = Quota(clock.clock.monotonic, per_minute=100)
    start, sent = clock.seconds, 0
    while clock.seconds < start + 60:
        wait = quota.wait_seconds()
        clock.seconds += wait
        quota.take()
        sent += 1
    assert 100 <= sent <= 112


def test_exhausted_limit_blocks_until_its_reset() -> None:
    clock = FakeClock()
    quota = Quota(clock.clock.monotonic)
    quota.obey({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(NOW.timestamp() + 7)}, NOW)
    assert quota.wait_seconds() == pytest.approx(7)
    quota.obey({"x-ratelimit-remaining": "5", "x-ratelimit-reset": "9999999999"}, NOW)
    assert quota.wait_seconds() == pytest.approx(7)


@pytest.mark.parametrize("reset", ["soon", "", "nan", "1e999", "-5"])
def test_senseless_reset_blocks_nothing(reset: str) -> None:
    quota = Quota(FakeClock().clock.monotonic)
    quota.obey({"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}, NOW)
    assert quota.wait_seconds() == 0


def test_no_announcement_blocks_for_more_than_an_hour() -> None:
    quota = Quota(FakeClock().clock.monotonic)
    quota.obey({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "99999999999"}, NOW)
    assert quota.wait_seconds() == 3600


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("-3", 0),
        ("2.5", 2.5),
        ("Sat, 21 Nov 2026 12:00:09 GMT", 9),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0),
        ("999999999", 3600),
        ("tomorrow", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(text: str, seconds: float | None) -> None:
    assert retry_after_seconds({"retry-after": text}, NOW) == seconds


def test_no_retry_after_is_none() -> None:
    assert retry_after_seconds({}, NOW) is None


@pytest.mark.parametrize(
    ("told", "seconds"), [(None, None), (0.0, 0), (1800.0, 1800), (2.0**53, 604_800), (math.inf, 604_800)]
)
def test_wait_that_a_body_names_is_a_week_at_most(told: float | None, seconds: float | None) -> None:
    """Clients count it in milliseconds of 32 bits."""
    assert longest_wait(told) == seconds


def test_small_quota_may_be_used_at_once_and_no_minute_passes_it() -> None:
    clock = FakeClock()
    quota = Quota(clock.clock.monotonic, at_most=20)
    moments: list[float] = []
    for number in range(100):
        wait = quota.wait_seconds()
        assert number >= 20 or wait == 0
        clock.seconds += wait + number % 7
        quota.take()
        moments.append(clock.seconds)
    for index in range(20, len(moments)):
        assert moments[index] - moments[index - 20] >= 60
