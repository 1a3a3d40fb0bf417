"""JSON out (orjson, with the standard library where orjson gives up) and JSON in, guarded against hostile documents."""

import json
from typing import Any

import orjson


class NotJSON(ValueError):
    """The text is not JSON that the gateway reads; the message says why."""


def encode(value: Any) -> bytes:
    """`value` as UTF-8 JSON. Raises `TypeError`, `ValueError` or `RecursionError` for what JSON cannot hold.

    orjson refuses integers beyond 64 bits and lone surrogates, which a scalar or a vendor's text may hold; the
    standard library writes both (surrogates as escapes).
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def decode(text: bytes | str) -> Any:
    """Read JSON from a client. Raises `NotJSON` for anything that is not, for bad UTF-8, absurd numbers, and nesting beyond 1,024 levels.

    Strict: no `NaN`, no byte order mark, no trailing comma. Integers beyond 64 bits become floats, as JavaScript reads them.
    """
    try:
        return orjson.loads(text)
    except ValueError as error:  # orjson.JSONDecodeError is one; so is its refusal of invalid UTF-8
        raise NotJSON(str(error)) from error
