"""How often something is read: soon after something new, less often with every reading that brings nothing."""

_GROWTH = 1.5
_JITTER = 0.2
"""How much sooner a reading may come, so that feeds that began together do not stay together."""


class Pace:
    """The time between two readings, in seconds, between `shortest` and `longest`."""

    __slots__ = ("_longest", "_seconds", "_shortest")

    def __init__(self, shortest: float, longest: float) -> None:
        self._shortest = shortest
        self._longest = longest
        self._seconds = shortest

    def hurry(self) -> None:
        """Something was new."""
        self._seconds = self._shortest

    def slow_down(self) -> None:
        """Nothing was."""
        self._seconds = min(self._longest, self._seconds * _GROWTH)

    def wait(self, chance: float) -> float:
        """How long until the next reading; `chance` is at least 0 and below 1."""
        return self._seconds * (1 - _JITTER * chance)

    def longest_wait(self, chance: float) -> float:
        """The same where something else tells what is new, and reading is for the rest."""
        return self._longest * (1 - _JITTER * chance)

    def after_failures(self, failures: int, chance: float) -> float:
        """The wait after so many failures in a row, with full jitter: those that failed together do not come back together."""
        bound = min(self._longest, self._shortest * 2.0 ** min(failures, 30))
        return self._shortest / 2 + bound * chance
