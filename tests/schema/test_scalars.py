"""Values as they are read from and written to clients."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from graphql import GraphQLError
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.scalars import read_address, read_cursor, read_moment, read_object, write_moment
from tests.tier import count


@settings(max_examples=count(long=2000, least=50), deadline=None)
@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31), timezones=st.just(UTC)))
def test_a_moment_survives_being_written_and_read(moment: datetime) -> None:
    assert read_moment(write_moment(moment)) == moment


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 20, 18, 4, 5, 123456, tzinfo=UTC), "2026-11-20T18:04:05.123456Z"),
        (datetime(2026, 11, 20, 18, 4, 5, tzinfo=UTC), "2026-11-20T18:04:05Z"),
        (datetime(2026, 11, 20, 19, 4, 5, tzinfo=timezone(timedelta(hours=1))), "2026-11-20T18:04:05Z"),
    ],
)
def test_a_moment_is_written_in_utc(moment: datetime, text: str) -> None:
    assert write_moment(moment) == text


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-20T18:04:05",
        "2026-11-20",
        "20261120T180405Z",
        "2026-11-20 18:04:05Z",
        "2026-W47-5T18:04:05Z",
        "2026-13-20T18:04:05Z",
        "2026-11-20T24:04:05Z",
        "0001-01-01T00:00:00+23:59",
        "٢٠٢٦-11-20T18:04:05Z",
        "",
        5,
        None,
        True,
    ],
)
def test_what_is_no_moment_is_refused(value: object) -> None:
    with pytest.raises(GraphQLError, match="DateTime"):
        read_moment(value)


def test_an_offset_is_converted() -> None:
    assert read_moment("2026-11-20t19:04:05.5+01:00") == datetime(2026, 11, 20, 18, 4, 5, 500000, tzinfo=UTC)


@pytest.mark.parametrize("value", ["{}", 1, [], None, True])
def test_json_takes_objects_only(value: object) -> None:
    with pytest.raises(GraphQLError, match="JSON takes an object"):
        read_object(value)


@pytest.mark.parametrize(
    "value", ["example.com", "ftp://example.com", "javascript:alert(1)", "https://", "http:// x", 1]
)
def test_an_address_is_http_and_absolute(value: object) -> None:
    with pytest.raises(GraphQLError, match="URL takes"):
        read_address(value)


def test_an_address_is_kept_as_it_is() -> None:
    assert read_address("https://example.com/a?b=c") == "https://example.com/a?b=c"


def test_a_cursor_is_a_text() -> None:
    assert read_cursor("abc") == "abc"
    with pytest.raises(GraphQLError, match="EventCursor takes"):
        read_cursor(5)
