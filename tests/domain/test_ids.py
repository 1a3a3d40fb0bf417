"""Global ids: round trip, one spelling, nothing hostile."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import (
    GlobalId,
    IdType,
    NotAnId,
    chat_id,
    format_id,
    is_safe_native_id,
    message_id,
    parse_id,
    parse_id_of,
)

NATIVE = st.text(min_size=1, max_size=60).filter(is_safe_native_id).filter(lambda s: s.isprintable())


@given(st.integers(0, 2**40), NATIVE, NATIVE)
def test_message_id_round_trips(source: int, chat: str, message: str) -> None:
    assert parse_id(message_id(source, chat, message)) == GlobalId(IdType.MESSAGE, source, (chat, message))


@given(st.binary(max_size=80))
def test_any_bytes_are_an_id_or_are_refused(data: bytes) -> None:
    """Whatever a client sends is either an id in its one spelling or `NotAnId`, never another exception."""
    text = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    try:
        parsed = parse_id(text)
    except NotAnId:
        return
    assert str(parsed) == text


@given(st.text(max_size=40))
def test_any_text_is_an_id_or_is_refused(text: str) -> None:
    try:
        parsed = parse_id(text)
    except NotAnId:
        return
    assert str(parsed) == text


@given(NATIVE, NATIVE, st.integers(0, 999), st.integers(0, 999))
def test_different_things_have_different_ids(a: str, b: str, source: int, other: int) -> None:
    assert (chat_id(source, a) == chat_id(other, b)) == ((source, a) == (other, b))


@pytest.mark.parametrize(
    "native", ["", ".", "..", "a/../b", "../x", "x/.", "..\\x", "a\x00b", "a\nb", "\x7f", "\x1b[2J"]
)
def test_native_id_that_could_leave_its_place_is_refused(native: str) -> None:
    with pytest.raises(NotAnId):
        chat_id(1, native)


@pytest.mark.parametrize("native", ["a/b", "a..b", "...", "%2e%2e", "a b", "é", "?x=1", "#x"])
def test_native_id_that_needs_escaping_is_kept(native: str) -> None:
    """Escaping is the connector's work; the id itself keeps what the vendor gave."""
    assert parse_id(chat_id(1, native)).parts == (native,)


def test_id_longer_than_one_kilobyte_is_refused() -> None:
    with pytest.raises(NotAnId, match="at most 1024"):
        chat_id(1, "x" * 4096)
    with pytest.raises(NotAnId):
        parse_id("A" * 1025)


def test_forged_id_with_unsafe_part_is_refused() -> None:
    forged = bytes((1, IdType.CHAT, 1, 2)) + b".."
    with pytest.raises(NotAnId):
        parse_id(base64.urlsafe_b64encode(forged).rstrip(b"=").decode())


@pytest.mark.parametrize("type_", [IdType.MEMBER, IdType.API_KEY, IdType.AUDIT_ENTRY, IdType.SOURCE])
def test_short_id_that_no_store_gives_out_is_refused(type_: IdType) -> None:
    """SQLite's integers have 63 bits; a larger one must not reach a statement."""
    assert parse_id_of(format_id(type_, 2**63 - 1), type_) == GlobalId(type_, 2**63 - 1)
    assert parse_id_of(format_id(type_, 2**63), type_) is None


def test_id_of_another_type_is_not_found() -> None:
    assert parse_id_of(chat_id(1, "c"), IdType.MESSAGE) is None
    assert parse_id_of(chat_id(1, "c"), IdType.CHAT) is not None


def test_types_of_ids_never_change() -> None:
    """Ids that clients keep must stay good: these texts were given out by version 1."""
    assert format_id(IdType.ORGANIZATION, 1) == "AQEB"
    assert chat_id(300, "c1") == "AQOsAgJjMQ"
    assert message_id(1, "c1", "m1") == "AQQBAmMxAm0x"
