"""JSON in and out."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.encoding import NotJSON, decode, encode
from tests.tier import count


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff", b"NaN", b"[1,]", b"\xef\xbb\xbf1", b"9" * 5000, b"[" * 100_000, '"\ud800"']
)
def test_what_is_not_json_is_refused(text: Any) -> None:
    with pytest.raises(NotJSON):
        decode(text)


def test_large_integers_are_read_as_javascript_reads_them() -> None:
    assert decode(b"123456789012345678901234567890") == 1.2345678901234568e29


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x"])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        encode(value)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@settings(max_examples=count(long=2000))
@given(values)
def test_any_value_is_written_on_one_line_and_read_back(value: Any) -> None:
    """One line: an event of a stream is one `data` line."""
    written = encode(value)
    assert b"\n" not in written
    assert b"\r" not in written
    assert json.loads(written) == value
