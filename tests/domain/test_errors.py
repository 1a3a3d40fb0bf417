"""The tree in the docstring is the only list of codes: it and the classes agree."""

import re

import domain.errors
from domain.errors import ErrorCode, GatewayError, UserErrorCode


def every_error() -> list[type[GatewayError]]:
    found, waiting = [], [GatewayError]
    while waiting:
        one = waiting.pop()
        if one.__module__ == domain.errors.__name__:
            found.append(one)
        waiting.extend(one.__subclasses__())
    return found


def test_every_error_stands_in_the_tree_with_a_code_that_it_has() -> None:
    documented = dict(re.findall(r"^ *(\w+) {2,}([A-Z_]+)", domain.errors.__doc__ or "", re.M))
    for error in every_error():
        if error.__name__ in ("GatewayError", "UpstreamError"):
            continue
        codes = {error.code.value, error.user_code.value if error.user_code else None, error.status_code.value}
        assert documented[error.__name__] in codes, error.__name__


def test_enumerated_codes_are_named_like_their_values() -> None:
    for code in (*ErrorCode, *UserErrorCode):
        assert code.name == code.value
