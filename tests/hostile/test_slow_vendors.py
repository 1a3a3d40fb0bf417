"""Every vendor that answers drop by drop or not at all, through `POST /graphql`: the deadline ends it, and costs nobody else anything.

All of them are asked at the same time, once, because each takes the whole deadline.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.hostile.anatomy import VENDORS
from tests.hostile.district import District, Place, a_district, refusal
from tests.hostile.documented import Documented
from tests.hostile.houses import drops
from tests.hostile.vendors import Says

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
DEADLINE_SECONDS = 3.0
MUCH_LATER_SECONDS = 25.0
"""When a busy machine has surely done all of it, and no vendor has answered yet."""
ANSWER_SECONDS = 60.0
KINDS = ("drop by drop", "not at all")


@dataclass
class Seen:
    """What a client saw of one slow vendor, asked for a list, a chat alone, and a new chat."""

    places: list[Place]
    listed: tuple[list[dict[str, Any]], dict[str, Any]]
    alone: dict[str, Any]
    made: dict[str, Any]


@dataclass
class Street:
    """All slow vendors, by vendor and kind. `seconds`: how long it took to ask all of them."""

    district: District
    seen: dict[tuple[str, str], Seen]
    in_use: Place
    deleted: dict[str, Any]
    seconds: float


@pytest.fixture(scope="module")
async def street(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Street]:
    deadline = {"total_timeout_seconds": DEADLINE_SECONDS}
    async with a_district(tmp_path_factory.mktemp("slow"), upstream=deadline) as district:
        assert district.good is not None
        await district.good.listed()  # from now on it is known, however busy the machine is
        cells = [(vendor, kind) for vendor in VENDORS for kind in KINDS]
        places = {cell: await slow(district, *cell) for cell in cells}
        in_use = await chat_in_use(district)
        started = time.monotonic()
        asking = asyncio.gather(*(ask(places[cell]) for cell in cells))
        found, deleted = await asyncio.gather(asking, in_use.delete())
        seconds = time.monotonic() - started
        yield Street(district, dict(zip(cells, found, strict=True)), in_use, deleted, seconds)


async def slow(district: District, vendor: str, kind: str) -> list[Place]:
    """Three places, each slow at one thing."""
    places = [await district.settle(vendor) for _ in range(3)]
    for place, operation in zip(places, ("list_chats", "get_chat", VENDORS[vendor].create), strict=True):
        if kind == "drop by drop":
            place.house.instead[operation] = Says(drops(int(ANSWER_SECONDS / 0.1), 0.1))
        else:
            await place.fault(operation=operation, delay_ms=ANSWER_SECONDS * 1000)
    return places


async def chat_in_use(district: District) -> Place:
    """Lexicon refuses to delete a chat that somebody is connected to, and is asked again until the deadline."""
    told = Documented("lexicon", "delete_chat_open", "delete", "delete_chat", "CONFLICT").told()
    place = await district.settle("lexicon")
    await place.fault(operation="delete_chat", status=told["status"], body=told["body"])
    return place


async def ask(places: list[Place]) -> Seen:
    """All three at the same time."""
    listed, alone, made = await asyncio.gather(places[0].listed(), places[1].chat(), places[2].create())
    return Seen(places, listed, alone, made)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("vendor", VENDORS)
async def test_slow_vendor_costs_the_deadline(street: Street, vendor: str, kind: str) -> None:
    seen = street.seen[vendor, kind]
    rows, status = seen.listed
    assert (rows, status["code"], status["stale"]) == ([], "TIMEOUT", False)
    (error,) = seen.alone["errors"]
    assert (seen.alone["data"]["chat"], error["extensions"]["code"]) == (None, "UPSTREAM_TIMEOUT")
    assert refusal(seen.made)["code"] == "OUTCOME_UNKNOWN"
    waited = f"was not answered within {DEADLINE_SECONDS:g} s. Try again later."
    assert status["message"] == f"{seen.places[0].key}: list chats {waited}"
    assert error["message"] == f"{seen.places[1].key}: get chat {waited}"
    assert seen.places[2].calls(VENDORS[vendor].create) == 1


async def test_chat_that_stays_in_use_is_a_conflict(street: Street) -> None:
    assert refusal(street.deleted)["code"] == "CONFLICT"
    assert street.in_use.calls("delete_chat") > 1


async def test_all_of_them_together_cost_one_deadline(street: Street) -> None:
    assert DEADLINE_SECONDS - 0.5 < street.seconds < MUCH_LATER_SECONDS


async def test_nothing_secret_was_said(street: Street) -> None:
    said = street.district.log.getvalue() + "".join(street.district.said)
    for seen in street.seen.values():
        for secret in (*seen.places[0].secrets, "Traceback", "INTERNAL"):
            assert secret not in said
