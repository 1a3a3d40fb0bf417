"""ChatLogger's quirks in shape, paging and numbers, one rule per test."""

import json
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from simulators import chatlogger
from tests.simulators.chatlogger.conftest import KEY, ORG, Clock

pytestmark = pytest.mark.anyio
CHAT_KEYS = {"id", "organization_id", "user_id", "title", "tags", "metadata", "created_at", "updated_at"}
PAGE_EXAMPLE = {
    "metadata": {
        "avg_response_time": 42.0,
        "country_code": "string",
        "ip_address": "string",
        "is_escalated": True,
        "is_forwarded_to_hr": True,
        "language_code": "string",
        "question_category": "string",
        "sentiment": "string",
        "session_id": "string",
        "token_count": 42,
        "transcript_link": "string",
        "user_rating": 42,
    },
    "tags": ["string"],
    "title": "string",
    "user_id": 42,
}
"""The operation page's request."""


async def create(client: httpx.AsyncClient, **said: Any) -> int:
    chat_id: int = (await client.post(f"{ORG}/chats", headers=KEY, json=said)).json()["chat_id"]
    return chat_id


async def send(client: httpx.AsyncClient, chat_id: int, **said: Any) -> httpx.Response:
    body = {"role": "user", "content": "hi"} | said
    return await client.post(f"{ORG}/chats/{chat_id}/messages", headers=KEY, json=body)


async def get(client: httpx.AsyncClient, chat_id: int, **query: str) -> dict[str, Any]:
    chat: dict[str, Any] = (await client.get(f"/api/v1/chats/{chat_id}", params=query)).json()
    return chat


async def rows(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await client.get("/api/v1/chats", params=query)).json()
    return listed


async def change(client: httpx.AsyncClient, chat_id: int, **said: Any) -> dict[str, Any]:
    answer = await client.patch(f"/api/v1/chats/{chat_id}", json=said)
    assert answer.status_code == 200
    changed: dict[str, Any] = answer.json()
    return changed


async def test_the_pages_own_request_is_kept_whole(client: httpx.AsyncClient) -> None:
    chat = await get(client, await create(client, **PAGE_EXAMPLE))
    assert set(chat) == CHAT_KEYS
    assert {name: chat[name] for name in PAGE_EXAMPLE} == PAGE_EXAMPLE


async def test_creating_tells_the_id_alone(client: httpx.AsyncClient) -> None:
    for path, headers in ((f"{ORG}/chats", KEY), ("/api/v1/chats", {})):
        answer = await client.post(path, headers=headers, json={"title": "T"})
        assert (answer.status_code, set(answer.json())) == (201, {"message", "chat_id"})


async def test_a_cookies_user_wins_over_the_bodys(client: httpx.AsyncClient) -> None:
    chat_id = (await client.post("/api/v1/chats", json={"user_id": 42})).json()["chat_id"]
    assert (await get(client, chat_id))["user_id"] == 1


async def test_a_user_that_does_not_exist_fails_the_insert(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{ORG}/chats", headers=KEY, json={"user_id": 9999})
    assert (answer.status_code, set(answer.json())) == (500, {"error"})


async def test_an_empty_chat_has_neither_user_nor_tags(client: httpx.AsyncClient) -> None:
    chat = await get(client, await create(client))
    assert set(chat) == CHAT_KEYS - {"user_id", "tags"}
    assert (chat["title"], chat["metadata"]) == ("", {})


async def test_unknown_metadata_is_dropped_and_empty_values_vanish(client: httpx.AsyncClient) -> None:
    metadata = {"mood": "good", "sentiment": "", "is_escalated": False, "token_count": 0, "session_id": "s"}
    assert (await get(client, await create(client, metadata=metadata)))["metadata"] == {"session_id": "s"}


@pytest.mark.parametrize(
    "said",
    [
        {"title": 7},
        {"tags": "a"},
        {"tags": [1]},
        {"metadata": []},
        {"metadata": {"token_count": 1.5}},
        {"metadata": {"is_escalated": "yes"}},
        {"user_id": -1},
        {"user_id": "1"},
    ],
)
async def test_a_value_of_another_kind_is_refused(client: httpx.AsyncClient, said: dict[str, Any]) -> None:
    answer = await client.post(f"{ORG}/chats", headers=KEY, json=said)
    assert (answer.status_code, set(answer.json())) == (400, {"error"})


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"title": NaN}'])
async def test_a_body_that_is_no_object_is_refused(client: httpx.AsyncClient, raw: bytes) -> None:
    assert (await client.post(f"{ORG}/chats", headers=KEY, content=raw)).status_code == 400


async def test_in_a_list_tags_and_metadata_are_json_inside_a_string(client: httpx.AsyncClient) -> None:
    await create(client, tags=["a", "b"], metadata={"session_id": "s"}, user_id=42)
    row = (await rows(client))[0]
    assert set(row) == CHAT_KEYS
    assert (json.loads(row["tags"]), json.loads(row["metadata"])) == (["a", "b"], {"session_id": "s"})


@pytest.mark.parametrize("absent", ["[]", "null", ""])
async def test_absent_tags_of_a_row_are_a_switch(
    client: httpx.AsyncClient, switches: chatlogger.Switches, chat_id: int, absent: Any
) -> None:
    switches.absent_tags = absent
    assert (await rows(client))[0]["tags"] == absent


async def test_a_list_is_newest_first_and_pages_without_a_total(client: httpx.AsyncClient) -> None:
    whole = await rows(client, limit=1000)
    assert len(whole) == 12
    times = [row["created_at"] for row in whole]
    assert times == sorted(times, reverse=True)
    pages = [await rows(client, limit=5, offset=offset) for offset in (0, 5, 10, 15)]
    assert [len(page) for page in pages] == [5, 5, 2, 0]
    assert [row["id"] for page in pages for row in page] == [row["id"] for row in whole]


async def test_twenty_are_given_unless_asked_otherwise(client: httpx.AsyncClient) -> None:
    for _ in range(10):
        await create(client)
    assert len(await rows(client)) == 20


@pytest.mark.parametrize(("zero", "given"), [("empty", 0), ("all", 12)])
async def test_a_limit_that_is_no_number_is_zero(
    client: httpx.AsyncClient, switches: chatlogger.Switches, zero: Any, given: int
) -> None:
    switches.limit_zero = zero
    assert len(await rows(client, limit="many")) == given
    assert len(await rows(client, limit=0, offset="x")) == given


async def test_messages_are_oldest_first_with_any_role(client: httpx.AsyncClient, chat_id: int) -> None:
    sent = [await send(client, chat_id, role=role, content=role) for role in ("system", "assistant", "user")]
    assert [(one.status_code, set(one.json())) for one in sent] == [(201, {"message", "message_id"})] * 3
    listed = (await client.get(f"/api/v1/chats/{chat_id}/messages")).json()
    assert [one["role"] for one in listed] == ["system", "assistant", "user"]
    assert [one["id"] for one in listed] == [one.json()["message_id"] for one in sent]
    assert set(listed[0]) == {"id", "chat_id", "role", "content", "metadata", "created_at"}


async def test_nobody_answers(client: httpx.AsyncClient, chat_id: int) -> None:
    await send(client, chat_id, content="Anybody there?")
    assert len((await client.get(f"/api/v1/chats/{chat_id}/messages")).json()) == 1


@pytest.mark.parametrize("said", [{"role": "tool"}, {"content": ""}, {"content": 1}, {"metadata": "x"}])
async def test_a_message_that_is_none_is_refused(client: httpx.AsyncClient, chat_id: int, said: dict[str, Any]) -> None:
    assert (await send(client, chat_id, **said)).status_code == 400


async def test_metadata_of_a_message_is_a_string_inside_a_chat_and_parsed_in_its_list(
    client: httpx.AsyncClient, chat_id: int
) -> None:
    await send(client, chat_id, metadata={"token_count": 3, "response_time": 250, "mood": "good"})
    expected = {"token_count": 3, "response_time": 250}
    (listed,) = (await client.get(f"/api/v1/chats/{chat_id}/messages")).json()
    (inside,) = (await get(client, chat_id, include_messages="true"))["messages"]
    assert listed["metadata"] == expected
    assert json.loads(inside["metadata"]) == expected


@pytest.mark.parametrize("value", ["1", "True", "yes"])
async def test_only_true_includes_messages(client: httpx.AsyncClient, chat_id: int, value: str) -> None:
    assert "messages" not in await get(client, chat_id, include_messages=value)


async def test_what_is_not_named_stays_and_a_title_cannot_be_emptied(client: httpx.AsyncClient, clock: Clock) -> None:
    chat_id = await create(client, title="T", tags=["a"], metadata={"session_id": "s"})
    clock.now += 60
    changed = await change(client, chat_id, title="")
    assert (changed["title"], changed["tags"], changed["metadata"]) == ("T", ["a"], {"session_id": "s"})
    assert changed["updated_at"] > changed["created_at"]


async def test_tags_and_metadata_are_replaced_whole(client: httpx.AsyncClient) -> None:
    chat_id = await create(client, tags=["a"], metadata={"session_id": "s", "token_count": 7})
    changed = await change(client, chat_id, title="U", tags=[], metadata={"token_count": 8})
    assert (changed["title"], "tags" in changed, changed["metadata"]) == ("U", False, {"token_count": 8})


@pytest.mark.parametrize(
    ("chat_id", "status"),
    [
        ("999", 404),
        ("abc", 400),
        ("-1", 400),
        ("1.0", 400),
        (str(2**64), 400),
        (str(2**64 - 1), 404),
        ("9" * 5000, 400),
    ],
)
async def test_an_id_that_is_no_number_is_a_bad_request(client: httpx.AsyncClient, chat_id: str, status: int) -> None:
    answer = await client.get(f"/api/v1/chats/{chat_id}")
    assert (answer.status_code, set(answer.json())) == (status, {"error"})
    if status == 400:
        assert answer.json()["error"] == "Invalid chat ID"


async def test_deleting_takes_the_messages_along(client: httpx.AsyncClient, chat_id: int) -> None:
    await send(client, chat_id)
    assert set((await client.delete(f"/api/v1/chats/{chat_id}")).json()) == {"message"}
    assert (await client.get(f"/api/v1/chats/{chat_id}")).status_code == 404
    assert (await client.delete(f"/api/v1/chats/{chat_id}")).status_code == 404


async def test_deleting_may_fail_where_there_are_messages(
    client: httpx.AsyncClient, switches: chatlogger.Switches, chat_id: int
) -> None:
    switches.delete_fails = True
    await send(client, chat_id)
    answer = await client.delete(f"/api/v1/chats/{chat_id}")
    assert (answer.status_code, set(answer.json())) == (500, {"error"})
    assert (await client.get(f"/api/v1/chats/{chat_id}")).status_code == 200
    assert (await client.delete(f"/api/v1/chats/{await create(client)}")).status_code == 200


async def test_ids_may_be_beyond_what_a_double_holds(client: httpx.AsyncClient, switches: chatlogger.Switches) -> None:
    switches.first_id = 2**53 + 1
    first, second = [await create(client) for _ in range(2)]
    assert (first, second) == (9007199254740993, 9007199254740994)
    message = (await send(client, first)).json()["message_id"]
    assert message == 9007199254740995
    assert (await get(client, first))["id"] == first


async def test_times_have_a_fraction_and_an_offset(
    client: httpx.AsyncClient, switches: chatlogger.Switches, chat_id: int
) -> None:
    assert (await get(client, chat_id))["created_at"] == "2026-11-18T13:06:40.25+02:00"
    switches.utc_offset_minutes = 0
    assert (await get(client, chat_id))["created_at"] == "2026-11-18T11:06:40.25Z"
    switches.fraction_digits = 0
    assert (await get(client, chat_id))["created_at"] == "2026-11-18T11:06:40Z"


async def test_a_time_may_have_nine_digits(
    client: httpx.AsyncClient, switches: chatlogger.Switches, clock: Clock
) -> None:
    switches.fraction_digits, clock.now = 9, 1_795_000_000.1
    created = (await get(client, await create(client)))["created_at"]
    assert len(created.partition(".")[2]) > len("123456+02:00")


@pytest.mark.parametrize("moves", [True, False])
async def test_whether_a_message_moves_the_chat_is_a_switch(
    client: httpx.AsyncClient, switches: chatlogger.Switches, clock: Clock, chat_id: int, moves: bool
) -> None:
    switches.message_moves_updated_at = moves
    before = (await get(client, chat_id))["updated_at"]
    clock.now += 60
    await send(client, chat_id)
    assert ((await get(client, chat_id))["updated_at"] != before) is moves


async def test_the_seed_is_twelve_chats_spread_over_days(client: httpx.AsyncClient) -> None:
    listed = await rows(client)
    times = [datetime.fromisoformat(row["created_at"]) for row in listed]
    assert (len(set(times)), max(times) - min(times) > timedelta(days=3)) == (12, True)
    assert {row.get("user_id") for row in listed} == {1, 42, None}


async def test_a_message_of_another_client_appears(client: httpx.AsyncClient, chat_id: int) -> None:
    said = {"chat_id": str(chat_id), "text": "psst", "role": "system"}
    told = (await client.post("/__control/emit", json=said)).json()
    (message,) = (await client.get(f"/api/v1/chats/{chat_id}/messages")).json()
    assert (str(message["id"]), message["content"], message["role"]) == (told["message_id"], "psst", "system")


async def test_nothing_appears_in_a_chat_that_is_not_there(client: httpx.AsyncClient) -> None:
    assert (await client.post("/__control/emit", json={"chat_id": "none"})).status_code == 400
