"""Cursors: only ours, only for their list and organization, only with keys in use."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import BadCursor
from resolvers.cursors import Cursors, fingerprint

OLD, NEW = b"o" * 32, b"n" * 32


def test_cursor_round_trips() -> None:
    cursors = Cursors([NEW])
    payload = ["é", 1, None, {"a": [True]}]
    assert cursors.open("chats", 7, cursors.seal("chats", 7, payload)) == payload


def test_cursor_of_another_list_or_tenant_is_refused() -> None:
    cursors = Cursors([NEW])
    text = cursors.seal("chats", 7, [1])
    for kind, organization in (("folders", 7), ("chats", 8)):
        with pytest.raises(BadCursor):
            cursors.open(kind, organization, text)


def test_older_key_still_opens_and_removed_one_does_not() -> None:
    text = Cursors([OLD]).seal("chats", 7, [1])
    assert Cursors([NEW, OLD]).open("chats", 7, text) == [1]
    with pytest.raises(BadCursor, match="no longer in use"):
        Cursors([NEW]).open("chats", 7, text)


@given(st.integers(0, 200), st.integers(0, 7))
def test_every_changed_bit_is_noticed(position: int, bit: int) -> None:
    cursors = Cursors([NEW])
    data = bytearray(base64.urlsafe_b64decode(cursors.seal("chats", 7, ["abc", 12345]) + "=="))
    data[position % len(data)] ^= 1 << bit
    with pytest.raises(BadCursor):
        cursors.open("chats", 7, base64.urlsafe_b64encode(bytes(data)).rstrip(b"=").decode())


@given(st.text(max_size=5000))
def test_any_text_is_refused_kindly(text: str) -> None:
    with pytest.raises(BadCursor):
        Cursors([NEW]).open("chats", 7, text)


def test_fingerprint_tells_filters_apart() -> None:
    assert fingerprint(["a"], None) != fingerprint(["b"], None)
    assert fingerprint(["a"], None) == fingerprint(["a"], None)
