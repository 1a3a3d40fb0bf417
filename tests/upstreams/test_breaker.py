"""The circuit breaker's states and what moves it between them."""

from tests.upstreams.wire import FakeClock
from upstreams.breaker import Breaker, BreakerState


def a_breaker(clock: FakeClock) -> Breaker:
    return Breaker(clock.clock.monotonic, threshold=3, open_seconds=5, longest_seconds=12)


def opened(clock: FakeClock) -> Breaker:
    breaker = a_breaker(clock)
    for _ in range(3):
        assert breaker.admit() is None
        breaker.fail()
    return breaker


def test_opens_only_after_failures_in_a_row() -> None:
    breaker = a_breaker(FakeClock())
    for _ in range(5):
        breaker.fail()
        breaker.fail()
        breaker.succeed()
    assert breaker.state is BreakerState.CLOSED


def test_open_circuit_names_the_seconds_left() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    assert breaker.state is BreakerState.OPEN
    clock.seconds += 2
    assert breaker.admit() == 3


def test_half_open_lets_one_probe_through() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.seconds += 5
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.admit() is None
    assert breaker.admit() is not None


def test_successful_probe_closes() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.seconds += 5
    breaker.admit()
    breaker.succeed()
    assert breaker.state is BreakerState.CLOSED
    assert breaker.admit() is None


def test_each_failed_probe_doubles_the_wait_up_to_the_bound() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    waits = []
    clock.seconds += 5
    for _ in range(3):
        assert breaker.admit() is None
        breaker.fail()
        waits.append(breaker.admit())
        clock.seconds += waits[-1] or 0
    assert waits == [10, 12, 12]


def test_abandoned_probe_frees_its_place() -> None:
    clock = FakeClock()
    breaker = opened(clock)
    clock.seconds += 5
    assert breaker.admit() is None
    breaker.abandon()
    assert breaker.admit() is None
