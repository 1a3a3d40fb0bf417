"""Every vendor with single rows that are wrong inside a good answer, through `POST /graphql`.

A row that cannot be understood costs itself: it is counted in `skippedRows`, and the sentence names the vendor, what was asked and the JSON path.
The other rows are there, and so are those of the other source. Lists that repeat themselves or never end stand in `test_endless_lists`.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.hostile.anatomy import LISTS, VENDORS, Rows, named
from tests.hostile.district import District, Place, a_district, ids

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
BIG = 2**53 + 1
"""The first whole number that a double does not hold."""
BEYOND = 2**70
"""A whole number of more than 64 bits."""
in_each_list = pytest.mark.parametrize(("vendor", "order"), LISTS, ids=named)


@pytest.fixture(scope="module")
async def district(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[District]:
    async with a_district(tmp_path_factory.mktemp("bad-rows")) as district:
        yield district


@dataclass
class Spoiling:
    """Changes the first row of each answer that has rows. `rows`: how many; `ids`: which."""

    where: Rows
    change: Callable[[dict[str, Any]], Any]
    rows: int = 0
    ids: set[str] = field(default_factory=set)

    def __call__(self, body: Any) -> Any:
        rows = self.where.of(body)
        if rows:
            self.rows += 1
            self.ids.add(str(rows[0]["id"]))
            rows[0] = self.change(dict(rows[0]))
        return self.where.put(body, rows)


async def spoiled(district: District, vendor: str, change: Callable[[dict[str, Any]], Any]) -> tuple[Place, Spoiling]:
    """A vendor whose lists of chats begin with a row that is changed so."""
    place = await district.settle(vendor)
    spoiling = Spoiling(VENDORS[vendor].chats, change)
    place.house.changed[spoiling.where.operation] = spoiling
    return place, spoiling


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Take a field away."""
    return lambda row: {key: value for key, value in row.items() if key != name}


def having(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Set fields."""
    return lambda row: {**row, **fields}


def assert_left_out(place: Place, status: Mapping[str, Any], rows: int, operation: str, path: str) -> None:
    """What was left out is counted and named."""
    assert (status["code"], status["skippedRows"], status["stale"]) == ("PARTIAL", rows, False)
    for word in (place.key, place.source.vendor, operation, path):
        assert word in status["message"], status["message"]


@in_each_list
async def test_chat_that_lacks_a_field_is_left_out_and_named(
    district: District, vendor: str, order: Mapping[str, str] | None
) -> None:
    required = VENDORS[vendor].chats.required
    place, spoiling = await spoiled(district, vendor, without(required))
    rows, status = await place.listed(order)
    assert ids(rows) == sorted(set(place.held()) - spoiling.ids)
    assert_left_out(place, status, spoiling.rows, "list chats", VENDORS[vendor].chats.path(0))


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("row", [None, "x", 7, [], {"id": {}}], ids=repr)
async def test_row_that_is_no_chat_at_all_is_left_out(district: District, vendor: str, row: Any) -> None:
    place, spoiling = await spoiled(district, vendor, lambda _: row)
    rows, status = await place.listed()
    assert ids(rows) == sorted(set(place.held()) - spoiling.ids)
    assert (status["code"], status["skippedRows"]) == ("PARTIAL", spoiling.rows)


@pytest.mark.parametrize("vendor", VENDORS)
async def test_chat_alone_that_lacks_a_field_is_an_error_that_names_it(district: District, vendor: str) -> None:
    required = VENDORS[vendor].required
    place = await district.settle(vendor)
    place.house.changed["get_chat"] = without(required)
    body = await place.chat()
    (error,) = body["errors"]
    assert (body["data"]["chat"], error["extensions"]["code"]) == (None, "UPSTREAM_CHANGED")
    for word in (place.key, vendor, "get chat", f"$.{required}"):
        assert word in error["message"], error["message"]


def in_first_message(
    place: Place, change: Callable[[dict[str, Any]], Any]
) -> tuple[str, Callable[[Any], Any], Callable[[str], str]]:
    """The operation that shows messages, the change of its answers, and the path of a field of the first message."""
    first, where = place.a_talk().path[0].id, VENDORS[place.source.vendor].messages
    if where is None:

        def in_tree(body: Any) -> Any:
            messages = body["chat"]["history"]["messages"]
            if first in messages:  # whose the account is, is learnt from another chat
                messages[first] = change(messages[first])
            return body

        return "get_chat", in_tree, lambda name: f"$.chat.history.messages.{first}.{name}"

    def in_rows(body: Any) -> Any:
        return where.put(body, [change(row) if str(row["id"]) == first else row for row in where.of(body)])

    return where.operation, in_rows, lambda name: f"].{name}"


@pytest.mark.parametrize("vendor", VENDORS)
async def test_message_that_lacks_a_field_is_left_out_and_named(district: District, vendor: str) -> None:
    place = await district.settle(vendor)
    where = VENDORS[vendor].messages
    required = where.required if where is not None else "role"
    operation, change, path = in_first_message(place, without(required))
    place.house.changed[operation] = change
    found = (await place.messages())["data"]["chat"]["messages"]
    assert [one["text"] for one in found["nodes"]] == [one.text for one in place.a_talk().path[1:]]
    assert_left_out(place, found["status"], 1, operation.replace("_", " "), path(required))
    assert found["totalCount"] is None or not found["totalCount"]["exact"]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_role_that_nobody_knows_is_another_one(district: District, vendor: str) -> None:
    place = await district.settle(vendor)
    where = VENDORS[vendor].messages
    operation, change, _ = in_first_message(place, having(**{where.role if where is not None else "role": "oracle"}))
    place.house.changed[operation] = change
    found = (await place.messages())["data"]["chat"]["messages"]
    assert found["status"]["code"] == "OK"
    assert [one["text"] for one in found["nodes"]] == [one.text for one in place.a_talk().path]
    assert [one["role"] for one in found["nodes"]][:2] == ["OTHER", "ASSISTANT"]


@pytest.mark.parametrize(
    ("vendor", "fields"),
    [
        ("splox", {"resource_type": "spaceship"}),
        ("lexicon", {"status": "levitating"}),
        ("chatlogger", {"metadata": '{"sentiment": "purple"}'}),
        ("kodey", {"state": "purple"}),
        ("open_webui", {"active": "perhaps", "snippet": 5}),
    ],
)
async def test_value_that_nobody_knows_costs_nothing(
    district: District, vendor: str, fields: Mapping[str, Any]
) -> None:
    place, _ = await spoiled(district, vendor, having(**fields))
    rows, status = await place.listed()
    assert (ids(rows), status["code"], status["skippedRows"]) == (sorted(place.held()), "OK", 0)


# Numbers


async def test_id_beyond_2_53_is_exact(district: District) -> None:
    """ChatLogger's ids are whole numbers of 64 bits; Go writes them so, and a double would round them."""
    place, _ = await spoiled(district, "chatlogger", having(id=BIG))
    rows, status = await place.listed()
    assert str(BIG) in ids(rows)
    assert status["code"] == "OK"
    assert f'"nativeId":"{BIG}"' in district.said[-1].replace(" ", "")


NO_IDS = [
    (vendor, number)
    for vendor in VENDORS
    for number in (BIG, 2**64, BEYOND, -1, 0.5, float("nan"), float("inf"))
    if (vendor, number) != ("chatlogger", BIG)  # an id there, see above
]


@pytest.mark.parametrize(("vendor", "number"), NO_IDS)
async def test_number_that_is_no_id_leaves_the_row_out(district: District, vendor: str, number: float) -> None:
    place, spoiling = await spoiled(district, vendor, having(id=number))
    rows, status = await place.listed()
    assert ids(rows) == sorted(set(place.held()) - spoiling.ids)
    at = VENDORS[vendor].chats
    assert_left_out(place, status, spoiling.rows, "list chats", at.path(0).replace(at.required, "id"))


@pytest.mark.parametrize(
    ("vendor", "fields", "shown"),
    [
        ("splox", {"metadata": {"n": BIG, "m": BEYOND}}, "metadata"),
        (
            "lexicon",
            {"config": {"metadata": {"n": BIG, "m": BEYOND}}, "message_count": BIG, "total": BEYOND},
            "metadata",
        ),
        ("chatlogger", {"metadata": {"token_count": BIG, "avg_response_time": BEYOND}}, "metadata"),
        ("kodey", {"tokens": BEYOND, "messages": BIG}, None),
        ("open_webui", {"chat": {"metadata": {"n": BIG, "m": BEYOND}}, "context_usage": BEYOND}, "metadata"),
    ],
)
@pytest.mark.parametrize("broken_text", ["", "\ud800"], ids=["", "beside half a character"])
async def test_great_numbers_in_a_chat_are_passed_on_as_they_are(
    district: District, vendor: str, fields: Mapping[str, Any], shown: str | None, broken_text: str
) -> None:
    """Those of more than 64 bits as the nearest double. Half a character makes the gateway read the whole answer in another way."""
    place = await district.settle(vendor)
    place.house.changed["get_chat"] = having(**fields, extra=broken_text)
    query = "query ($id: ID!) { chat(id: $id) { metadata messageCount raw } }"
    body = await district.ask(query, id=place.a_chat())
    assert "errors" not in body
    assert body["data"]["chat"]["messageCount"] in (None, 0, 4)
    if shown is not None:
        assert sorted(body["data"]["chat"][shown].values()) == [BIG, pytest.approx(BEYOND)]


async def test_time_beyond_all_years_leaves_the_row_out(district: District) -> None:
    place, spoiling = await spoiled(district, "open_webui", having(updated_at=BIG))
    _, status = await place.listed()
    assert_left_out(place, status, spoiling.rows, "list chats", "$[0].updated_at")


@pytest.mark.parametrize("seconds", [BIG, BEYOND, 1e300], ids=str)
@pytest.mark.parametrize(("vendor", "name"), [("kodey", "retryAfter"), ("splox", "retry_after_seconds")])
async def test_wait_beyond_all_bounds_is_a_long_wait(
    district: District, vendor: str, name: str, seconds: float
) -> None:
    place = await district.settle(vendor)
    await place.fault(operation="list_chats", status=429, body={"error": "usage_window_exceeded", name: seconds})
    _, status = await place.listed()
    assert (status["code"], status["retryAfterMs"]) == ("RATE_LIMITED", 7 * 24 * 3600 * 1000)


# Names that the vendor chose


async def test_secret_in_a_name_of_the_answer_is_masked(district: District) -> None:
    """A JSON path leads through the ids of Open WebUI's messages, which clients choose."""
    place = await district.settle("open_webui")
    (secret,) = place.secrets

    def change(body: Any) -> Any:
        body["chat"]["history"]["messages"] |= {f"{secret}<b>\n": {"content": "no role"}}
        return body

    place.house.changed["get_chat"] = change
    found = (await place.messages())["data"]["chat"]["messages"]
    assert_left_out(place, found["status"], 1, "get chat", "$.chat.history.messages.[redacted]<b>")
    said = district.log.getvalue() + district.said[-1]
    assert secret not in said
    assert "rows left out: 1" in district.log.getvalue()
