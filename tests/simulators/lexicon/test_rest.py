"""Lexicon's documented REST quirks, one rule per test; what the documents leave open is tested as a switch."""

from datetime import datetime

import httpx
import pytest

from simulators import lexicon
from tests.simulators.lexicon.conftest import Clock

pytestmark = pytest.mark.anyio
CHAT_KEYS = {"id", "user_id", "tenant_id", "title", "config", "created_at", "updated_at", "last_message_at"}
PAGE_KEYS = {"total", "offset", "limit", "has_more"}


async def anna(client: httpx.AsyncClient, **query: object) -> httpx.Response:
    return await client.get("/api/v1/chats/user/user-anna", params=query)  # type: ignore[arg-type]


async def test_the_pages_own_request_is_answered_with_its_fields(client: httpx.AsyncClient) -> None:
    """The page "create" shows this request."""
    metadata = {"department": "technical", "priority": "high"}
    said = {"user_id": "user123", "title": "Support Session", "metadata": metadata}
    answer = await client.post("/api/v1/chats/", json=said)
    chat = answer.json()
    assert (answer.status_code, set(chat)) == (201, CHAT_KEYS)
    assert chat["config"] == {"metadata": metadata}
    assert chat["created_at"] == "2026-11-18T11:06:40Z"
    assert (chat["tenant_id"], chat["last_message_at"]) == (lexicon.TENANT, None)


async def test_a_chat_without_a_title_gets_one(client: httpx.AsyncClient) -> None:
    assert (await client.post("/api/v1/chats/", json={"user_id": "u"})).json()["title"]


@pytest.mark.parametrize("said", [{}, {"user_id": ""}, {"user_id": 7}, {"user_id": "u", "metadata": []}, [], None])
async def test_a_chat_without_what_it_needs_is_refused(client: httpx.AsyncClient, said: object) -> None:
    assert (await client.post("/api/v1/chats/", json=said)).status_code == 400


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/v1/chats"), ("GET", "/api/v1/chats/user/user-anna/")])
async def test_a_wrong_slash_is_redirected_unless_switched(
    client: httpx.AsyncClient, switches: lexicon.Switches, method: str, path: str
) -> None:
    assert (await client.request(method, path, json={"user_id": "u"})).status_code == 307
    switches.missing_slash = "not_found"
    assert (await client.request(method, path, json={"user_id": "u"})).is_client_error


async def test_a_row_has_a_count_and_a_chat_has_a_status_too(client: httpx.AsyncClient) -> None:
    page = (await anna(client)).json()
    assert set(page) == PAGE_KEYS | {"chats"}
    assert set(page["chats"][0]) == CHAT_KEYS | {"message_count"}
    one = (await client.get(f"/api/v1/chats/{page['chats'][0]['id']}")).json()
    assert set(one) == CHAT_KEYS | {"message_count", "status"}
    assert one["message_count"] == page["chats"][0]["message_count"] > 0


@pytest.mark.parametrize("user", ["user-nobody", "user-new"])
async def test_a_user_without_chats_is_not_found(client: httpx.AsyncClient, chat_id: str, user: str) -> None:
    await client.delete(f"/api/v1/chats/{chat_id}")
    assert (await client.get(f"/api/v1/chats/user/{user}")).status_code == 404


async def test_a_page_past_the_end_is_empty(client: httpx.AsyncClient) -> None:
    page = (await anna(client, offset=100)).json()
    assert (page["chats"], page["total"], page["has_more"]) == ([], 4, False)


async def test_chats_are_newest_first_unless_asked_otherwise(client: httpx.AsyncClient) -> None:
    falling = [row["id"] for row in (await anna(client)).json()["chats"]]
    rising = [row["id"] for row in (await anna(client, order="asc")).json()["chats"]]
    times = [row["created_at"] for row in (await anna(client)).json()["chats"]]
    assert falling == rising[::-1]
    assert times == sorted(times, reverse=True)


async def test_pages_cover_the_whole_once(client: httpx.AsyncClient) -> None:
    whole = [row["id"] for row in (await anna(client)).json()["chats"]]
    pages = [(await anna(client, limit=3, offset=offset)).json() for offset in (0, 3)]
    assert [row["id"] for page in pages for row in page["chats"]] == whole
    assert [page["has_more"] for page in pages] == [True, False]


async def test_has_more_may_say_false_although_there_is_more(
    client: httpx.AsyncClient, switches: lexicon.Switches
) -> None:
    switches.has_more = "always_false"
    page = (await anna(client, limit=1)).json()
    assert (page["has_more"], page["total"]) == (False, 4)


async def test_messages_are_oldest_first_and_name_no_chat(client: httpx.AsyncClient) -> None:
    chat = (await anna(client)).json()["chats"][0]
    page = (await client.get(f"/api/v1/chats/{chat['id']}/messages")).json()
    assert set(page) == PAGE_KEYS | {"messages"}
    keys = {"id", "content", "sender_role", "media_type", "media_url", "created_at", "metadata"}
    assert set(page["messages"][0]) == keys
    assert [one["sender_role"] for one in page["messages"][:2]] == ["user", "assistant"]
    assert page["messages"][0]["id"].startswith("msg-")
    assert set(page["messages"][1]["metadata"]) == {"model", "tokens_used"}
    newest = await client.get(f"/api/v1/chats/{chat['id']}/messages", params={"order": "desc", "limit": 1})
    assert newest.json()["messages"] == page["messages"][-1:]


@pytest.mark.parametrize("query", [{"limit": 101}, {"limit": "x"}, {"offset": -1}, {"order": "up"}])
async def test_a_page_of_messages_that_cannot_be_is_refused(
    client: httpx.AsyncClient, chat_id: str, query: dict[str, str]
) -> None:
    assert (await client.get(f"/api/v1/chats/{chat_id}/messages", params=query)).status_code == 400


async def test_a_list_of_chats_is_bounded_when_it_is_switched(
    client: httpx.AsyncClient, switches: lexicon.Switches
) -> None:
    assert (await anna(client, limit=500)).status_code == 200
    switches.chat_page_max = 100
    assert (await anna(client, limit=101)).status_code == 400


async def test_deleting_says_when_and_only_once(client: httpx.AsyncClient, chat_id: str) -> None:
    answer = await client.delete(f"/api/v1/chats/{chat_id}")
    assert (answer.status_code, set(answer.json())) == (200, {"success", "message", "deleted_at"})
    assert answer.json()["success"] is True
    for path in (f"/api/v1/chats/{chat_id}", f"/api/v1/chats/{chat_id}/messages"):
        assert (await client.get(path)).status_code == 404
    assert (await client.delete(f"/api/v1/chats/{chat_id}")).status_code == 404


async def test_another_tenant_sees_nothing(client: httpx.AsyncClient, chat_id: str) -> None:
    other = {"X-API-Key": lexicon.OTHER_TENANT_KEY}
    for method, path in (("GET", chat_id), ("DELETE", chat_id), ("GET", "user/user-anna")):
        assert (await client.request(method, f"/api/v1/chats/{path}", headers=other)).status_code == 404


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "wrong"}, {"Authorization": f"Bearer {lexicon.API_KEY}"}])
async def test_a_key_is_a_header_of_its_own(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    del client.headers["X-API-Key"]
    assert (await client.get("/api/v1/chats/user/user-anna", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        ("detail", '{"detail":"Chat not found"}'),
        ("error", '{"error":"Chat not found"}'),
        ("message", '{"message":"Chat not found"}'),
        ("text", "Chat not found"),
        ("empty", ""),
    ],
)
async def test_an_errors_body_is_a_switch(
    client: httpx.AsyncClient, switches: lexicon.Switches, shape: str, body: str
) -> None:
    switches.error_body = shape  # type: ignore[assignment]
    answer = await client.get("/api/v1/chats/none")
    assert (answer.status_code, answer.text) == (404, body)


async def test_an_errors_body_may_be_a_list_as_of_pydantic(
    client: httpx.AsyncClient, switches: lexicon.Switches
) -> None:
    switches.error_body, switches.bad_request_status = "detail_list", 422
    answer = await client.post("/api/v1/chats/", json={})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["msg"] == "user_id is required"


async def test_times_may_have_fractions(client: httpx.AsyncClient, switches: lexicon.Switches) -> None:
    switches.fraction_digits = 6
    created = (await client.post("/api/v1/chats/", json={"user_id": "u"})).json()["created_at"]
    assert created == "2026-11-18T11:06:40.250000Z"


async def test_the_seed_is_twelve_chats_of_three_users_spread_over_days(client: httpx.AsyncClient) -> None:
    pages = [(await client.get(f"/api/v1/chats/user/{user}")).json() for user in lexicon.SEEDED_USERS]
    assert [page["total"] for page in pages] == [4, 4, 4]
    rows = [row for page in pages for row in page["chats"]]
    times = [datetime.fromisoformat(row["created_at"]) for row in rows]
    assert (max(times) - min(times)).days >= 3
    assert all(row["last_message_at"] == row["updated_at"] > row["created_at"] for row in rows)
    told = [(await client.get(f"/api/v1/chats/{row['id']}")).json()["status"] for row in rows]
    assert set(told) == {"active", "closed"}


@pytest.mark.parametrize("moves", [True, False])
async def test_whether_a_message_moves_the_chat_is_a_switch(
    client: httpx.AsyncClient, switches: lexicon.Switches, clock: Clock, chat_id: str, moves: bool
) -> None:
    switches.message_moves_updated_at = moves
    clock.now += 60
    told = (await client.post("/__control/emit", json={"chat_id": chat_id, "text": "psst", "role": "user"})).json()
    chat = (await client.get(f"/api/v1/chats/{chat_id}")).json()
    assert (chat["last_message_at"] == chat["updated_at"]) is moves
    (message,) = (await client.get(f"/api/v1/chats/{chat_id}/messages")).json()["messages"]
    assert (message["id"], message["content"], message["sender_role"]) == (told["message_id"], "psst", "user")
