"""Every vendor with everything that can be wrong with an answer as a whole, through `POST /graphql`.

One cell is one vendor with one fault. Of each: our HTTP status is 200, the rows of the other source are there, the code is the right one, the
sentence names the source and what was asked, and no secret that the vendor wrote into its answer is passed on or logged. Rows that are wrong
inside a good answer stand in `test_bad_rows`, vendors that are slow in `test_slow_vendors`.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.hostile.anatomy import VENDORS
from tests.hostile.district import District, Place, a_district, refusal
from tests.hostile.documented import ABSENT, ERRORS, UNAUTHORIZED, Documented
from tests.hostile.vendors import MIB, Says, megabytes

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
UNAVAILABLE, CHANGED, UNKNOWN = "UPSTREAM_UNAVAILABLE", "UPSTREAM_CHANGED", "OUTCOME_UNKNOWN"
HTML = "<!doctype html><html><title>{secret}</title><body>Gateway zone 7</body></html>"


@dataclass(frozen=True)
class Broken:
    """What becomes of a list, of a chat alone, and of a chat that is to be made, when every answer is `fault`; `{secret}` in it is the credential."""

    fault: Mapping[str, Any] | Says
    listed: str
    alone: str
    created: str
    found_again: frozenset[str] = frozenset()
    """The vendors that made the chat, and where the gateway finds it although the answer was lost."""


FAULTS: Mapping[str, Broken] = {
    "200 with HTML": Broken({"body": HTML, "content_type": "text/html"}, CHANGED, CHANGED, UNKNOWN),
    "200 with HTML that calls itself JSON": Broken(
        {"body": HTML, "content_type": "application/json"}, CHANGED, CHANGED, UNKNOWN
    ),
    "200 with another shape": Broken({"body": {"chats": {"a": "{secret}"}, "x": [5]}}, CHANGED, CHANGED, UNKNOWN),
    "200 with null": Broken({"body": "null", "content_type": "application/json"}, CHANGED, CHANGED, UNKNOWN),
    "200 with half a JSON": Broken(
        {"body": '[{"id": "{secret}"', "content_type": "application/json"}, CHANGED, CHANGED, UNKNOWN
    ),
    "500 with an undocumented body": Broken(
        {"status": 500, "body": [{"trace": ["{secret}"]}]}, UNAVAILABLE, UNAVAILABLE, UNKNOWN
    ),
    "503 with HTML": Broken(
        {"status": 503, "body": HTML, "content_type": "text/html"}, UNAVAILABLE, UNAVAILABLE, UNKNOWN
    ),
    "an undocumented status": Broken(
        {"status": 418, "body": {"error": "teapot {secret}"}}, UNAVAILABLE, UNAVAILABLE, "UPSTREAM_REJECTED"
    ),
    "302 to another host": Broken(
        {"status": 302, "headers": {"Location": "http://evil.example/{secret}"}}, CHANGED, CHANGED, CHANGED
    ),
    "a reset in the middle of the body": Broken(
        {"drop": "middle"}, UNAVAILABLE, UNAVAILABLE, UNKNOWN, frozenset(["open_webui"])
    ),
    "no answer at all": Broken({"drop": "before"}, UNAVAILABLE, UNAVAILABLE, UNKNOWN),
    "200 MB": Broken(Says(megabytes(200)), CHANGED, CHANGED, UNKNOWN),
}


@pytest.fixture(scope="module")
async def district(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[District]:
    # The limit is lower than by default, so that what passes it is known sooner.
    limit = {"response_bytes": 4 * MIB}
    async with a_district(tmp_path_factory.mktemp("bad-input"), upstream=limit) as district:
        yield district


def assert_says(place: Place, sentence: str, *words: str) -> None:
    """The source, what was asked, what happened and what to do, and nothing of what the vendor keeps secret."""
    assert sentence.startswith(f"{place.key}: "), sentence
    assert re.search(r"\. [A-Z].*$", sentence), sentence
    for word in words:
        assert word in sentence, sentence
    assert "<" not in sentence
    for secret in place.secrets:
        assert secret not in sentence


def assert_nothing_secret_was_said(district: District, place: Place) -> None:
    """Neither in any answer nor in the log: no credentials, no session, no page of the vendor, no stack trace."""
    said = district.log.getvalue() + "".join(district.said)
    for secret in (*place.secrets, "eyJ", "Gateway zone 7", "Traceback", "INTERNAL"):
        assert secret not in said


def with_secret(fault: Any, secret: str) -> Any:
    """The fault with the credential where it says `{secret}`."""
    if isinstance(fault, str):
        return fault.replace("{secret}", secret)
    if isinstance(fault, Mapping):
        return {name: with_secret(value, secret) for name, value in fault.items()}
    return [with_secret(value, secret) for value in fault] if isinstance(fault, list) else fault


async def broken(district: District, vendor: str, operation: str, fault: Mapping[str, Any] | Says) -> Place:
    """A vendor that answers one operation so, each time."""
    place = await district.settle(vendor)
    if isinstance(fault, Says):
        place.house.instead[operation] = fault
    else:
        await place.fault(operation=operation, **with_secret(fault, place.secrets[0]))
    return place


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("name", FAULTS)
async def test_answer_that_is_wrong_as_a_whole(district: District, vendor: str, name: str) -> None:
    """Three sources, so that a circuit that opens for the list does not answer for the chat."""
    cell, operations = FAULTS[name], ("list_chats", "get_chat", VENDORS[vendor].create)
    places = [await broken(district, vendor, operation, cell.fault) for operation in operations]
    (rows, status), alone, made = await asyncio.gather(places[0].listed(), places[1].chat(), places[2].create())

    named = [vendor] if name.startswith("200 with") else []
    assert (rows, status["code"], status["skippedRows"], status["stale"]) == ([], cell.listed, 0, False)
    assert_says(places[0], status["message"], "list chats", *named)

    (error,) = alone["errors"]
    assert (alone["data"]["chat"], error["extensions"]["code"]) == (None, cell.alone)
    assert_says(places[1], error["message"], "get chat", *named)

    assert places[2].calls(VENDORS[vendor].create) == 1
    if vendor in cell.found_again:
        assert (made["userErrors"], made["chat"] is not None) == ([], True)
    else:
        assert (refusal(made)["code"], made["chat"]) == (cell.created, None)
        assert_says(places[2], refusal(made)["message"])
    assert_nothing_secret_was_said(district, places[0])


# Documented errors


def with_secret_in_its_words(body: Any, secret: str) -> Any:
    """The body, with the credential at the end of every text in it."""
    if isinstance(body, str):
        return f"{body} {secret}"
    if isinstance(body, dict):
        return {name: with_secret_in_its_words(value, secret) for name, value in body.items()}
    return [with_secret_in_its_words(value, secret) for value in body] if isinstance(body, list) else body


async def refusing(district: District, cell: Documented) -> Place:
    """A vendor that refuses one operation as it was recorded, and quotes the credential at every turn."""
    place = await district.settle(cell.vendor)
    told = cell.told()
    body = with_secret_in_its_words(told["body"], place.secrets[0])
    kind = {name.lower(): value for name, value in told["headers"].items()}.get("content-type")
    headers = {name: value for name, value in told["headers"].items() if name.lower() == "retry-after"}
    sent = {"status": told["status"], "body": "" if body is None else body, "headers": headers}
    await place.fault(operation=cell.operation, **sent, **({"content_type": kind} if kind else {}))
    return place


@pytest.mark.parametrize("cell", ERRORS, ids=str)
async def test_documented_error(district: District, cell: Documented) -> None:
    assert cell.told()["origin"]
    place = await refusing(district, cell)
    code, error = await what_a_client_sees(place, cell.act)
    assert code == cell.code
    if error is not None and code != "NOT_FOUND":  # what is not there is not there, whoever says so
        assert_says(place, error["message"])
        if f'was answered with {cell.told()["status"]}: "' in error["message"]:
            assert "[redacted]" in error["message"]  # the vendor's own words help, without what is secret in them
    if cell.name in ("rate_limited", "usage_window_exceeded") and error is not None:
        seconds = cell.told()["headers"].get("Retry-After") or cell.told()["body"].get("retry_after_seconds") or 1
        assert error["retryAfterMs"] > (int(seconds) - 5) * 1000
    assert_nothing_secret_was_said(district, place)


async def what_a_client_sees(place: Place, act: str) -> tuple[str, dict[str, Any] | None]:
    """The code, and the status, error or user error that it stands in."""
    if act == "list":
        rows, status = await place.listed()
        assert rows == []
        return status["code"], status if status["message"] is not None else None
    if act in ("chat", "messages"):
        body = await (place.chat() if act == "chat" else place.messages())
        chat = body["data"]["chat"]
        assert (chat["messages"] if act == "messages" else chat) is None
        if "errors" not in body:
            return ABSENT, None
        (error,) = body["errors"]
        return error["extensions"]["code"], error
    error = refusal(await {"create": place.create, "send": place.send, "delete": place.delete}[act]())
    return error["code"], error


# Credentials that end between two calls


async def test_cookie_that_expires_between_two_calls_is_renewed_unnoticed(district: District) -> None:
    place = await district.settle("chatlogger")
    await place.listed()
    simulator: Any = place.house.control.simulator
    simulator.store.clock = lambda: time.time() + 25 * 3600  # a cookie lives a day
    place.forget_list()
    rows, status = await place.listed()
    assert (status["code"], status["stale"], status["message"]) == ("OK", False, None)
    assert sorted(row["nativeId"] for row in rows) == sorted(place.held())
    assert (place.calls("log_in"), place.calls("list_chats")) == (2, 3)
    assert_nothing_secret_was_said(district, place)


@pytest.mark.parametrize(
    ("vendor", "name"),
    [
        ("splox", "unauthorized"),
        ("lexicon", "unauthorized"),
        ("chatlogger", "login_refused"),
        ("kodey", "unauthorized"),
        ("open_webui", "unknown_key"),
    ],
)
async def test_credential_that_ends_between_two_calls_leaves_the_copy(
    district: District, vendor: str, name: str
) -> None:
    """The vendor's 401 is never the client's own: what is known is shown as a copy, until the vendor takes the credential again."""
    told = Documented(vendor, name, "list", "", UNAUTHORIZED).told()
    place = await district.settle(vendor)
    known, _ = await place.listed()
    await place.fault(status=told["status"], body=with_secret_in_its_words(told["body"], place.secrets[0]))
    place.forget_list()
    rows, status = await place.listed()
    assert (status["code"], status["stale"]) == (UNAUTHORIZED, True)
    assert rows == known
    assert_says(place, status["message"])
    assert (await place.chat())["data"]["chat"] is not None
    assert refusal(await place.create())["code"] == UNAUTHORIZED
    place.house.control.faults.clear()
    place.forget_list()
    rows, status = await place.listed()
    assert (rows, status["code"], status["stale"]) == (known, "OK", False)
    assert_nothing_secret_was_said(district, place)
