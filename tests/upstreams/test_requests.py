"""Requests as data, and ids that cannot leave their place in a path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import NotFound
from upstreams.requests import delete, get, post, segment


@pytest.mark.parametrize(
    ("native_id", "escaped"),
    [
        ("plain-1_2.3~", "plain-1_2.3~"),
        ("a/b", "a%2Fb"),
        ("a/..b", "a%2F..b"),
        ("%2e%2e", "%252e%252e"),
        ("a?b=c#d", "a%3Fb%3Dc%23d"),
        ("ä ☃", "%C3%A4%20%E2%98%83"),
        ("a\\b", "a%5Cb"),
    ],
)
def test_segment_is_escaped(native_id: str, escaped: str) -> None:
    assert segment(native_id) == escaped


@pytest.mark.parametrize("native_id", ["", ".", "..", "a/../b", "..\\b", "a\nb", "a\x00b", "\x7f", "\ud800"])
def test_impossible_id_is_not_found(native_id: str) -> None:
    with pytest.raises(NotFound):
        segment(native_id)


@given(st.text())
def test_segment_never_holds_anything_that_ends_it(native_id: str) -> None:
    try:
        escaped = segment(native_id)
    except NotFound:
        return
    assert not set(escaped) & set("/?#\\ ;\r\n")
    assert escaped.lower().replace("%2e", ".") not in (".", "..")


def test_target_has_booleans_in_lower_case_and_escapes_values() -> None:
    request = get("search", "/chats", {"text": "a&b=c d", "page": 2, "all": True})
    assert request.target == "/chats?text=a%26b%3Dc+d&page=2&all=true"


def test_only_readings_and_deletions_are_idempotent_by_themselves() -> None:
    assert get("a", "/").idempotent
    assert delete("a", "/").idempotent
    assert not post("a", "/").idempotent
