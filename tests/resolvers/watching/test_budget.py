"""How much one credential may be asked."""

from resolvers.watching.budget import Budget, Budgets
from tests.resolvers.watching.virtual import VirtualClock


def a_budget(per_minute: float = 60) -> tuple[Budget, VirtualClock]:
    clock = VirtualClock()
    return Budget(lambda: clock.now, per_minute), clock


def taken_in(budget: Budget, clock: VirtualClock, seconds: float) -> int:
    """How many readings begin when all begin as soon as they may."""
    until, number = clock.now + seconds, 0
    while True:
        clock.now += budget.wait_seconds()
        if clock.now >= until:
            return number
        budget.take()
        number += 1


def test_no_more_than_its_size_in_a_minute_after_the_first_burst() -> None:
    budget, clock = a_budget(60)
    assert taken_in(budget, clock, 60) <= 60 + 10
    assert taken_in(budget, clock, 600) <= 600


def test_what_does_not_wait_is_paid_for_by_the_others() -> None:
    budget, clock = a_budget(60)
    for _ in range(15):
        budget.take()
    assert budget.wait_seconds() == 6
    clock.now += 6
    assert budget.wait_seconds() == 0


def test_debt_is_bounded() -> None:
    budget, _ = a_budget(60)
    for _ in range(1000):
        budget.take()
    assert budget.wait_seconds() <= 61


def test_silence_that_a_vendor_asks_for_holds_for_everybody() -> None:
    budget, clock = a_budget(60)
    budget.block_for(30)
    budget.block_for(10)
    assert budget.wait_seconds() == budget.blocked_seconds() == 30
    clock.now += 30
    assert budget.wait_seconds() == budget.blocked_seconds() == 0


def test_interval_is_that_of_all_who_share_it() -> None:
    budget, _ = a_budget(60)
    budget.demand["one"], budget.demand["other"] = 30, 90
    assert budget.interval_seconds() == 120


def test_equal_credentials_share_one_and_unused_ones_are_forgotten() -> None:
    budgets = Budgets(lambda: 0.0)
    first = budgets.of("key", 60)
    assert budgets.of("key", 60) is first
    assert budgets.of("other", 60) is not first
    assert budgets.of("key", 30) is not first
    first.demand["somebody"] = 1
    budgets.forget_unused()
    assert budgets.of("key", 60) is first
    del first.demand["somebody"]
    budgets.forget_unused()
    assert budgets.of("key", 60) is not first
