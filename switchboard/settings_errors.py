"""Sentences about settings that are wrong: which, where, and what to do. Values are never shown, because they may be secrets."""

import difflib
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import ValidationError

PREFIX = "SWITCHBOARD_"
_NOT_SETTINGS = frozenset(["SWITCHBOARD_CONFIG", "SWITCHBOARD_SECRET_KEY", "SWITCHBOARD_TEST_TIER"])
"""Names with our prefix that are read elsewhere: the file, the usual home of the secret, the test suite."""


class SettingsError(Exception):
    """The settings cannot be used; the text says what to change. The command line prints it and ends."""


def explain(error: ValidationError, path: Path, names: Collection[str]) -> str:
    """One sentence per mistake that pydantic found."""
    return "\n".join(_sentence(one["type"], one["loc"], one["msg"], path, names) for one in error.errors())


def unknown_variables(environment: Mapping[str, str], names: Collection[str], *, referred: Collection[str]) -> None:
    """Raise `SettingsError` for a variable with our prefix that nothing reads: a slip of the pen would else go unnoticed."""
    known = {PREFIX + name.replace(".", "__").upper() for name in names if "[]" not in name}
    groups = {name.rsplit("__", depth)[0] for name in known for depth in range(1, name.count("__") + 1)} | {
        "SWITCHBOARD_SOURCES"
    }
    wrong = [
        name
        for name in sorted(environment)
        if name.upper().startswith(PREFIX)
        and name.upper() not in known | groups | _NOT_SETTINGS
        and name not in referred
    ]
    if wrong:
        raise SettingsError(
            "\n".join(f"The variable {name} is not a setting. {_nearest(name, known)}" for name in wrong)
        )


def _sentence(kind: str, place: tuple[int | str, ...], message: str, path: Path, names: Collection[str]) -> str:
    name = ".".join(str(part) for part in place)
    where = f"{path}" if place[:1] == ("sources",) else f"{path} or as {PREFIX}{name.replace('.', '__').upper()}"
    if not name:
        return f"{message.removeprefix('Value error, ')} The place is {path} or the environment."
    if kind == "extra_forbidden":
        shape = re.sub(r"\.\d+\.", "[].", name)
        return f"`{name}` in {path} is not a setting. {_nearest(shape, names)}"
    if kind == "missing":
        return f"`{name}` is needed and not set. Set it in {where}."
    if message.startswith("Value error, "):
        return message.removeprefix("Value error, ")
    return f"`{name}` is not possible: {message}. Correct it in {where}."


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"Did you mean {near[0]}?" if near else "Remove it; the README lists all settings."
