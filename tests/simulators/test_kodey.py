"""Kodey's documented quirks, one rule per test; what the documents leave open is tested as a switch."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulators import kodey
from simulators.serving import serve

ANSWERS = Path(__file__).parents[1] / "upstreams" / "answers" / "kodey"
pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    key = {"x-api-key": kodey.SECRET_KEY}
    async with (
        serve(kodey.create_app(clock=clock)) as url,
        httpx.AsyncClient(base_url=url, headers=key) as client,
    ):
        yield client


async def switch(client: httpx.AsyncClient, **said: object) -> None:
    (await client.post("/__control/switches", json=said)).raise_for_status()


async def create(client: httpx.AsyncClient, **more: object) -> str:
    answer = await client.post("/chat", json={"agentId": "agent_support", "metadata": {"k": 1}} | more)
    chat_id: str = answer.json()["id"]
    return chat_id


async def test_creating_echoes_neither_user_nor_metadata(client: httpx.AsyncClient) -> None:
    answer = await client.post("/chat", json={"agentId": "a", "userId": "u", "metadata": {"k": 1}})
    assert answer.status_code == 200
    assert set(answer.json()) == {"id", "agentId", "teamId", "createdAt"}


async def test_a_list_row_has_no_team(client: httpx.AsyncClient) -> None:
    (row, *_) = (await client.get("/chat")).json()["chats"]
    assert set(row) == {"id", "agentId", "userId", "createdAt"}


async def test_one_chat_has_no_user(client: httpx.AsyncClient) -> None:
    chat = (await client.get(f"/chat/{await create(client, userId='u')}")).json()
    assert set(chat) == {"id", "agentId", "teamId", "messages", "createdAt"}


async def test_sending_answers_the_reply_and_only_the_list_knows_the_question(client: httpx.AsyncClient) -> None:
    path = f"/chat/{await create(client)}/message"
    reply = (await client.post(path, json={"content": "hi", "role": "user"})).json()
    assert set(reply) == {"id", "chatId", "content", "role", "createdAt"}
    assert (reply["role"], reply["content"]) == ("assistant", "Echo 1: hi")
    question, answer = (await client.get(path)).json()["messages"]
    assert set(question) == {"id", "content", "role", "createdAt"}
    assert (question["content"], answer["id"]) == ("hi", reply["id"])


def documented(name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((ANSWERS / f"{name}.json").read_text())
    return answer


def keys_of(body: Any) -> Any:
    """The keys, those of the first row of a list included."""
    if isinstance(body, list):
        return [keys_of(one) for one in body[:1]]
    return {key: keys_of(value) for key, value in body.items()} if isinstance(body, dict) else None


@pytest.mark.parametrize("name", ["create_chat", "list_chats", "send_message", "list_messages", "bad_request"])
async def test_an_answer_has_the_documented_keys(client: httpx.AsyncClient, name: str) -> None:
    """The page's own examples, which the connectors read too."""
    page = documented(name)
    path = page["request"]["path"].replace("chat_1", "chat_seed00")
    answer = await client.request(page["request"]["method"], path, json=page["request"]["body"])
    assert answer.status_code == page["status"]
    assert keys_of(answer.json()) == keys_of(page["body"])


async def test_deleting_has_no_content_and_only_once(client: httpx.AsyncClient) -> None:
    path = f"/chat/{await create(client)}"
    gone = await client.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    again = await client.delete(path)
    assert (again.status_code, set(again.json())) == (404, {"error", "message"})


async def test_another_teams_chat_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/chat/{await create(client)}", headers={"x-api-key": kodey.OTHER_TEAM_KEY})
    assert answer.status_code == 404


@pytest.mark.parametrize("key", [None, "sk_live_wrong"])
async def test_a_wrong_key_is_told_with_a_message_alone(client: httpx.AsyncClient, key: str | None) -> None:
    del client.headers["x-api-key"]
    answer = await client.get("/chat", headers={"x-api-key": key} if key else {})
    assert (answer.status_code, set(answer.json())) == (401, {"message"})


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_publishable_key_may_not_manage_unless_switched(client: httpx.AsyncClient, method: str) -> None:
    path = "/chat" if method == "GET" else f"/chat/{await create(client)}"
    key = {"x-api-key": kodey.PUBLISHABLE_KEY}
    refused = await client.request(method, path, headers=key)
    assert refused.status_code == 403
    assert set(refused.json()) == {"error", "message", "allowedEndpoints", "upgradeInstructions"}
    await switch(client, publishable_may_manage=True)
    assert (await client.request(method, path, headers=key)).is_success


@pytest.mark.parametrize(
    "said",
    [{}, {"agentId": "", "metadata": {}}, {"agentId": "a"}, {"agentId": "a", "metadata": {}, "userId": 7}],
)
async def test_a_chat_without_what_it_needs_is_refused(client: httpx.AsyncClient, said: dict[str, object]) -> None:
    answer = await client.post("/chat", json=said)
    assert (answer.status_code, answer.json()["error"]) == (400, "Bad Request")


async def test_a_body_that_is_not_json_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post("/chat", content=b'{"agentId":"a","metadata":{}}')).status_code == 400
    half = await client.post("/chat", content=b'{"agentId":', headers={"content-type": "application/json"})
    assert half.status_code == 400


async def test_an_assistants_message_cannot_be_sent(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"/chat/{await create(client)}/message", json={"content": "hi", "role": "assistant"})
    assert answer.status_code == 400


async def test_every_answer_tells_the_rate(client: httpx.AsyncClient, clock: Clock) -> None:
    clock.now = 1_795_000_030.0
    headers = (await client.get("/chat/none")).headers
    assert headers["x-ratelimit-limit"] == "1000"
    assert headers["x-ratelimit-remaining"] == "999"
    assert headers["x-ratelimit-reset"] == str((1_795_000_030 // 60 + 1) * 60)


async def test_past_its_limit_a_key_waits_for_the_next_minute(client: httpx.AsyncClient, clock: Clock) -> None:
    await switch(client, secret_per_minute=2)
    answers = [await client.get("/chat") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert set(answers[2].json()) == {"error", "message", "retryAfter"}
    assert "retry-after" not in answers[2].headers
    clock.now += answers[2].json()["retryAfter"]
    assert (await client.get("/chat")).status_code == 200


async def test_the_order_of_messages_is_a_switch(client: httpx.AsyncClient) -> None:
    path = "/chat/chat_seed00/message"
    rising = [one["id"] for one in (await client.get(path)).json()["messages"]]
    await switch(client, message_order="desc")
    assert [one["id"] for one in (await client.get(path)).json()["messages"]] == rising[::-1]
    await switch(client, message_order="shuffled")
    seen = {tuple(one["id"] for one in (await client.get(path)).json()["messages"]) for _ in range(20)}
    assert len(seen) > 1
    assert all(sorted(one) == sorted(rising) for one in seen)


async def test_lists_are_filtered_by_user_and_kind_of_agent(client: httpx.AsyncClient) -> None:
    mine = (await client.get("/chat", params={"userId": "user-anna"})).json()["chats"]
    assert {row["userId"] for row in mine} == {"user-anna"}
    sales = (await client.get("/chat", params={"agentType": "sales"})).json()["chats"]
    assert {row["agentId"] for row in sales} == {"agent_sales"}


async def test_the_seed_is_twelve_chats_spread_over_days(client: httpx.AsyncClient) -> None:
    times = [datetime.fromisoformat(row["createdAt"]) for row in (await client.get("/chat")).json()["chats"]]
    assert len(set(times)) == 12
    assert (max(times) - min(times)).days >= 3


async def test_a_message_of_another_client_appears(client: httpx.AsyncClient) -> None:
    chat_id = await create(client)
    told = (await client.post("/__control/emit", json={"chat_id": chat_id, "text": "psst", "role": "user"})).json()
    (message,) = (await client.get(f"/chat/{chat_id}/message")).json()["messages"]
    assert (message["id"], message["content"], message["role"]) == (told["message_id"], "psst", "user")


async def test_nothing_appears_in_a_chat_that_is_not_there(client: httpx.AsyncClient) -> None:
    answer = await client.post("/__control/emit", json={"chat_id": "none"})
    assert answer.status_code == 400
    assert "none" in answer.json()["error"]
