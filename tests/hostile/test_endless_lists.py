"""Every vendor with lists that show a row twice, repeat themselves or never end, through `POST /graphql`: each row is shown once, and each list ends."""

import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulators.chatlogger.accounts import ORGANIZATION
from simulators.lexicon import SEEDED_USERS, TENANT
from tests.hostile.anatomy import CREATED, LISTS, TITLE, VENDORS, Rows, named
from tests.hostile.district import District, Place, a_district, ids

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
CALLS = 8
"""How many calls one operation may make here, so that a list without an end is given up soon."""
MOST_PAGES = 25
"""How many pages of a vendor one page of ours reads at most."""


@pytest.fixture(scope="module")
async def district(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[District]:
    async with a_district(tmp_path_factory.mktemp("endless"), upstream={"call_budget": CALLS}) as district:
        yield district


def all_twice(where: Rows) -> Callable[[Any], Any]:
    """The list, and behind it the same once more."""
    return lambda body: where.put(body, where.of(body) * 2)


@pytest.mark.parametrize(("vendor", "order"), LISTS, ids=named)
async def test_chat_that_is_twice_in_a_list_is_one(
    district: District, vendor: str, order: Mapping[str, str] | None
) -> None:
    place = await district.settle(vendor)
    place.house.changed["list_chats"] = all_twice(VENDORS[vendor].chats)
    rows, status = await place.listed(order)
    assert (ids(rows), status["code"], status["skippedRows"]) == (sorted(place.held()), "OK", 0)


@pytest.mark.parametrize("vendor", [vendor for vendor, anatomy in VENDORS.items() if anatomy.messages is not None])
@pytest.mark.parametrize("index", [0, 1, 3])
async def test_message_that_is_twice_in_a_chat_is_one(district: District, vendor: str, index: int) -> None:
    """Open WebUI's messages are a map, in which none can be twice."""
    place, where = await district.settle(vendor), VENDORS[vendor].messages
    assert where is not None

    def change(body: Any) -> Any:
        rows = where.of(body)
        return where.put(body, [*rows[: index + 1], rows[index], *rows[index + 1 :]])

    place.house.changed[where.operation] = change
    found = (await place.messages())["data"]["chat"]["messages"]
    assert [one["text"] for one in found["nodes"]] == [one.text for one in place.a_talk().path]
    assert (found["status"]["code"], found["totalCount"]["value"]) == ("OK", 4)


PAGED: list[tuple[str, Mapping[str, str] | None, int]] = [
    ("lexicon", None, 60),
    ("chatlogger", None, 220),
    ("chatlogger", CREATED, 60),
    ("open_webui", None, 60),
    ("open_webui", TITLE, 60),
]
"""Vendors whose lists have pages, the order, and how many more chats make a second page. Those of Splox and Kodey come in one answer."""
in_each_paged_list = pytest.mark.parametrize(("vendor", "order", "chats"), PAGED, ids=named)


def crowded(place: Place, chats: int) -> Place:
    """With so many more chats."""
    simulator: Any = place.house.control.simulator
    for number in range(chats):
        match place.source.vendor:
            case "chatlogger":
                simulator.store.add_chat(ORGANIZATION, None, f"More {number}", [], {})
            case "lexicon":
                simulator.store.add_chat(TENANT, SEEDED_USERS[0], f"More {number}", {})
            case "open_webui":
                simulator.store.add_chat(simulator.users[0], {"title": f"More {number}"})
    return place


@dataclass
class Overlapping:
    """Each page begins with the row that ended the page before, as when a chat came in between."""

    where: Rows
    last: Any = None
    repeated: int = 0

    def __call__(self, body: Any) -> Any:
        rows = self.where.of(body)
        shown = [self.last, *rows] if self.last is not None and rows else rows
        self.repeated += len(shown) - len(rows)
        self.last = rows[-1] if rows else None
        return self.where.put(body, shown)


@in_each_paged_list
async def test_chat_on_two_pages_is_one(
    district: District, vendor: str, order: Mapping[str, str] | None, chats: int
) -> None:
    place = crowded(await district.settle(vendor), chats)
    overlapping = Overlapping(VENDORS[vendor].chats)
    place.house.changed["list_chats"] = overlapping
    rows, statuses, is_end = await place.pages(order, most=10)
    assert overlapping.repeated > 0
    assert is_end
    assert {status["code"] for status in statuses} == {"OK"}
    assert sorted(rows) == sorted(place.held())


def going_on(body: Any) -> Any:
    """A page that says that another one follows, where pages say so."""
    return {**body, "has_more": True, "total": 1_000_000} if isinstance(body, dict) and "total" in body else body


@dataclass
class FirstPageAgain:
    """Every page is the first one."""

    where: Rows
    rows: list[Any] = field(default_factory=list)

    def __call__(self, body: Any) -> Any:
        self.rows = self.rows or self.where.of(body)
        return going_on(self.where.put(body, self.rows))


@dataclass
class AlwaysMore:
    """Every page is full of chats that were never seen."""

    where: Rows
    rows: list[Any] = field(default_factory=list)
    pages: int = 0

    def __call__(self, body: Any) -> Any:
        self.rows = self.rows or self.where.of(body)
        self.pages += 1
        shown = [{**row, "id": self._new_id(row["id"], index)} for index, row in enumerate(self.rows)]
        return going_on(self.where.put(body, shown))

    def _new_id(self, known: Any, index: int) -> Any:
        return 10**9 + self.pages * 1000 + index if isinstance(known, int) else f"new-{self.pages}-{index}"


@in_each_paged_list
async def test_list_whose_pages_are_all_the_same_ends_and_says_so(
    district: District, vendor: str, order: Mapping[str, str] | None, chats: int
) -> None:
    place = crowded(await district.settle(vendor), chats)
    again = FirstPageAgain(VENDORS[vendor].chats)
    place.house.changed["list_chats"] = again
    rows, statuses, is_end = await place.pages(order, most=10)
    assert is_end
    assert len(rows) == len(set(rows))
    assert set(rows) <= {str(row["id"]) for row in again.rows}
    assert statuses[0]["code"] == "PARTIAL"
    assert f"did not come to an end at {vendor}" in statuses[0]["message"]
    assert place.calls("list_chats") <= CALLS


@in_each_paged_list
async def test_list_that_never_ends_is_cut_and_says_so(
    district: District, vendor: str, order: Mapping[str, str] | None, chats: int
) -> None:
    """Where its pages are read as they are needed, it is simply long; where it is read whole, it is given up."""
    place = crowded(await district.settle(vendor), chats)
    place.house.changed["list_chats"] = AlwaysMore(VENDORS[vendor].chats)
    rows, (status,), is_end = await place.pages(order, most=1)
    assert len(rows) == len(set(rows)) == 100
    assert not is_end
    if status["code"] != "OK":
        assert status["code"] == "PARTIAL"
        assert f"did not come to an end at {vendor}" in status["message"]
    assert place.calls("list_chats") <= MOST_PAGES


async def test_history_that_never_ends_is_an_error_that_says_so(district: District) -> None:
    """Splox shows messages page by page and never how many there are: here one older message on each page, and always more."""
    place = await district.settle("splox")
    known: list[dict[str, Any]] = []
    numbers = itertools.count()

    def change(body: Any) -> Any:
        known.extend(body["messages"])
        number = next(numbers)
        moment = (datetime(2026, 1, 1, tzinfo=UTC) - timedelta(days=number)).isoformat()
        row = {**known[0], "id": f"endless-{number}", "parent_id": None, "created_at": moment}
        return {"messages": [row], "has_more": True}

    place.house.changed["list_messages"] = change
    body = await place.messages()
    (error,) = body["errors"]
    assert (body["data"]["chat"]["messages"], error["extensions"]["code"]) == (None, "UPSTREAM_CHANGED")
    assert error["message"].startswith(
        f"{place.key}: list messages was answered with pages that do not come to an end."
    )
    assert place.calls("list_messages") <= 100
