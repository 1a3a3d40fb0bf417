"""What is missing is named; what is strange costs one row."""

from datetime import UTC, datetime

import orjson
import pytest

from upstreams.json_reading import Json, WrongShape, as_list, as_object, can_be_an_id, loads, rows


@pytest.mark.parametrize(
    ("read", "name"),
    [
        ("text", "x"),
        ("text", "number"),
        ("identifier", "empty"),
        ("identifier", "dots"),
        ("identifier", "long"),
        ("flag", "number"),
        ("text_or_none", "number"),
        ("instant", "words"),
        ("instant", "early"),
        ("epoch_seconds", "words"),
        ("epoch_seconds", "x"),
        ("epoch_seconds", "flag"),
        ("epoch_seconds", "huge"),
        ("object", "number"),
        ("list", "number"),
    ],
)
def test_wrong_shape_is_named_by_its_path(read: str, name: str) -> None:
    fields = {
        "number": 1,
        "empty": "",
        "dots": "..",
        "long": "x" * 400,
        "words": "soon",
        "early": "0001-01-01T00:00:00+02:00",
        "flag": True,
        "huge": 1e300,
    }
    with pytest.raises(WrongShape) as caught:
        getattr(Json(fields, "$.a"), read)(name)
    assert caught.value.json_path == f"$.a.{name}"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-15T10:30:00Z", datetime(2024, 1, 15, 10, 30, tzinfo=UTC)),
        ("2024-01-15T10:30:00.123456+02:00", datetime(2024, 1, 15, 8, 30, 0, 123456, tzinfo=UTC)),
        ("2024-01-15T10:30:00", datetime(2024, 1, 15, 10, 30, tzinfo=UTC)),
    ],
)
def test_instant_is_in_utc(text: str, moment: datetime) -> None:
    assert Json({"at": text}).instant("at") == moment


def test_epoch_seconds_are_exact() -> None:
    assert Json({"at": 1795198509}).epoch_seconds("at") == datetime(2026, 11, 20, 18, 15, 9, tzinfo=UTC)


def test_strange_row_is_left_out_and_counted() -> None:
    found, skipped = rows([{"id": "a"}, {}, "no", {"id": "b"}], "$.rows", lambda row: row.identifier("id"))
    assert found == ["a", "b"]
    assert (skipped.count, skipped.place) == (2, "$.rows[1].id: expected a text")


def test_outermost_value_is_named_too() -> None:
    with pytest.raises(WrongShape, match=r"\$: expected an object"):
        as_object([])
    with pytest.raises(WrongShape, match=r"\$: expected a list"):
        as_list({})


def test_longest_ids_fit_into_a_global_id() -> None:
    from domain.ids import message_id

    longest = "x" * 360
    assert can_be_an_id(longest)
    assert message_id(2**31, longest, longest)


@pytest.mark.parametrize("more", ["", ', "\\ud800"'], ids=["", "with half a character"])
def test_whole_numbers_are_exact_up_to_64_bits_and_greater_ones_can_be_written_again(more: str) -> None:
    exact = [2**53 + 1, 2**64 - 1, -(2**63)]
    found = loads(f"[{', '.join(map(str, exact))}, {2**70}, {'9' * 5000}{more}]")
    assert found[:3] == exact
    assert found[3] == pytest.approx(2**70)
    assert orjson.loads(orjson.dumps(found))[:3] == exact
