"""How often something is read."""

from resolvers.watching.pace import Pace


def waits(pace: Pace, number: int) -> list[float]:
    found = []
    for _ in range(number):
        found.append(pace.wait(0))
        pace.slow_down()
    return found


def test_every_quiet_reading_lengthens_the_wait_up_to_the_longest() -> None:
    found = waits(Pace(1, 60), 20)
    assert found == sorted(found)
    assert (found[0], found[-1]) == (1, 60)


def test_something_new_shortens_it_at_once() -> None:
    pace = Pace(1, 60)
    waits(pace, 20)
    pace.hurry()
    assert pace.wait(0) == 1


def test_chance_only_shortens_and_not_by_much() -> None:
    pace = Pace(10, 60)
    assert 8 <= pace.wait(0.999) < pace.wait(0.5) < pace.wait(0) == 10
    assert 48 <= pace.longest_wait(0.999) <= 60


def test_failures_double_the_wait_up_to_the_longest() -> None:
    pace = Pace(1, 60)
    assert [pace.after_failures(n, 0.999) > pace.after_failures(n - 1, 0.999) for n in range(1, 6)] == [True] * 5
    assert pace.after_failures(10_000, 0.999) <= 61
    assert pace.after_failures(5, 0) > 0
