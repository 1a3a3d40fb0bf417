"""Secrets leave neither plain nor in disguise."""

import base64

import pytest

from upstreams.redaction import Redactor

SECRET = "sk-live/ä+1234567890"


@pytest.mark.parametrize(
    "spelling",
    [
        SECRET,
        "sk-live%2F%C3%A4%2B1234567890",
        base64.b64encode(SECRET.encode()).decode(),
        f"Bearer {SECRET}, again {SECRET}",
    ],
)
def test_secret_is_replaced_however_it_is_written(spelling: str) -> None:
    shown = Redactor([SECRET])(f"before {spelling} after")
    assert "1234567890" not in shown
    assert "[redacted]" in shown
    assert shown.startswith("before ")


def test_secret_inside_a_longer_secret_leaves_no_tail() -> None:
    assert Redactor(["abcd", "abcdefgh"])("abcdefgh") == "[redacted]"


def test_quote_is_short_and_one_line() -> None:
    quoted = Redactor([SECRET]).quote("a\r\n\x00b " + "x" * 500)
    assert quoted.startswith("a b x")
    assert len(quoted) == 200


def test_empty_secret_replaces_nothing() -> None:
    assert Redactor(["", "abc"])("abc") == "abc"


def test_secrets_are_not_in_the_representation() -> None:
    assert SECRET not in repr(Redactor([SECRET]))
