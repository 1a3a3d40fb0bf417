"""Strict reading of JSON: what is required and missing is named by its path, never replaced by something empty."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson

from domain.ids import is_safe_native_id
from domain.source import NOTHING_SKIPPED, Skipped

T = TypeVar("T")
_LONGEST_ID_BYTES = 360
_MOST_DIGITS = 20


class WrongShape(ValueError):
    """A place in an answer is not as documented. `json_path` leads to it, e.g. `$.chats[3].id`."""

    def __init__(self, json_path: str, expected: str) -> None:
        super().__init__(f"{json_path}: expected {expected}")
        self.json_path = json_path
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON object with the path where it stands."""

    fields: Mapping[str, Any]
    path: str = "$"

    def at(self, name: str) -> str:
        """The path of a field."""
        return f"{self.path}.{name}"

    def text(self, name: str) -> str:
        """A required text."""
        value = self.fields.get(name)
        if not isinstance(value, str):
            raise WrongShape(self.at(name), "a text")
        return value

    def identifier(self, name: str) -> str:
        """A required id. One that cannot be part of a global id makes its row unreadable, not the whole list."""
        value = self.text(name)
        if not can_be_an_id(value):
            raise WrongShape(self.at(name), "an id")
        return value

    def text_or_none(self, name: str) -> str | None:
        """A text that may be null or absent."""
        value = self.fields.get(name)
        if value is not None and not isinstance(value, str):
            raise WrongShape(self.at(name), "a text or null")
        return value

    def flag(self, name: str) -> bool:
        """A required boolean."""
        value = self.fields.get(name)
        if not isinstance(value, bool):
            raise WrongShape(self.at(name), "true or false")
        return value

    def instant(self, name: str) -> datetime:
        """A required ISO 8601 time."""
        value = self.text(name)
        try:
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):  # the latter in UTC before the first or after the last year
            raise WrongShape(self.at(name), "a time in ISO 8601") from None

    def epoch_seconds(self, name: str) -> datetime:
        """A required time in seconds since 1970."""
        moment = self.epoch_seconds_or_none(name)
        if moment is None:
            raise WrongShape(self.at(name), "seconds since 1970")
        return moment

    def epoch_seconds_or_none(self, name: str) -> datetime | None:
        """Seconds since 1970 that may be null or absent."""
        value = self.fields.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise WrongShape(self.at(name), "seconds since 1970")
        try:
            return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            raise WrongShape(self.at(name), "seconds since 1970") from None

    def object(self, name: str) -> "Json":
        """A required object."""
        return as_object(self.fields.get(name), self.at(name))

    def list(self, name: str) -> list[Any]:
        """A required list."""
        return as_list(self.fields.get(name), self.at(name))


def loads(text: bytes | str) -> Any:
    """JSON of any vendor. What orjson refuses (lone surrogates, NaN) Python's own parser reads; the surrogates are replaced.

    Whole numbers are exact up to 64 bits; greater ones become the nearest float, because nothing here could write them again.
    Raises `ValueError` for everything else, also for what is nested more deeply than any answer is.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        value = json.loads(text, parse_int=_whole_number)
        return json.loads(
            json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _whole_number(digits: str) -> int | float:
    if len(digits) > _MOST_DIGITS:
        return float(digits)
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else float(digits)


def can_be_an_id(text: str) -> bool:
    """Whether a native id is safe in a URL's path and short enough for a global id, which holds two of them in 1 KB."""
    return is_safe_native_id(text) and len(text.encode("utf-8", "surrogatepass")) <= _LONGEST_ID_BYTES


def as_object(value: Any, path: str = "$") -> Json:
    """The value as an object."""
    if not isinstance(value, dict):
        raise WrongShape(path, "an object")
    return Json(value, path)


def as_list(value: Any, path: str = "$") -> list[Any]:
    """The value as a list."""
    if not isinstance(value, list):
        raise WrongShape(path, "a list")
    return value


def rows(values: Iterable[Any], path: str, read: Callable[[Json], T]) -> tuple[list[T], Skipped]:
    """Every row that can be understood, and those that could not: one strange row does not cost the list."""
    understood: list[T] = []
    skipped = NOTHING_SKIPPED
    for index, value in enumerate(values):
        try:
            understood.append(read(as_object(value, f"{path}[{index}]")))
        except WrongShape as wrong:
            skipped += left_out(wrong)
    return understood, skipped


def left_out(wrong: WrongShape) -> Skipped:
    """One row less."""
    return Skipped(1, place=str(wrong))
