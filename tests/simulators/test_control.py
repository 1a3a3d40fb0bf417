"""Faults on demand, the book of calls, on real sockets."""

from collections.abc import AsyncIterator

import httpx
import pytest

from simulators import kodey
from simulators.calls import fingerprint
from simulators.serving import running, serve

pytestmark = pytest.mark.anyio
KEY = {"x-api-key": kodey.SECRET_KEY}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with serve(kodey.create_app()) as url, httpx.AsyncClient(base_url=url, headers=KEY) as client:
        yield client


async def fault(client: httpx.AsyncClient, **said: object) -> None:
    (await client.post("/__control/faults", json=said)).raise_for_status()


async def count_chats(client: httpx.AsyncClient) -> int:
    return len((await client.get("/__control/state")).json()["chats"])


async def create(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/chat", json={"agentId": "a", "metadata": {}})


async def read_into(parts: list[bytes], answer: httpx.Response) -> None:
    async for part in answer.aiter_raw():
        parts.append(part)


async def test_a_fault_ends_after_its_times(client: httpx.AsyncClient) -> None:
    await fault(client, operation="list_chats", status=503, body={"message": "down"}, times=2)
    statuses = [(await client.get("/chat")).status_code for _ in range(3)]
    assert statuses == [503, 503, 200]


async def test_a_fault_hits_only_its_operation(client: httpx.AsyncClient) -> None:
    await fault(client, operation="create_chat", status=500)
    assert (await client.get("/chat")).status_code == 200


async def test_deleted_faults_are_gone(client: httpx.AsyncClient) -> None:
    await fault(client, status=500)
    assert (await client.delete("/__control/faults")).json() == {"cleared": 1}
    assert (await client.get("/chat")).status_code == 200


async def test_a_replaced_answer_is_not_executed(client: httpx.AsyncClient) -> None:
    await fault(client, operation="create_chat", status=500, times=1)
    assert (await create(client)).status_code == 500
    assert await count_chats(client) == 12


async def test_an_executed_failure_is_executed(client: httpx.AsyncClient) -> None:
    await fault(client, operation="create_chat", status=500, times=1, execute=True)
    assert (await create(client)).status_code == 500
    assert await count_chats(client) == 13


async def test_a_body_may_be_raw(client: httpx.AsyncClient) -> None:
    await fault(client, status=200, body='{"chats": [', content_type="text/html", headers={"x-odd": "1"}, times=1)
    answer = await client.get("/chat")
    assert (answer.text, answer.headers["content-type"], answer.headers["x-odd"]) == ('{"chats": [', "text/html", "1")


@pytest.mark.parametrize(("when", "chats"), [("before", 12), ("after", 13), ("middle", 13)])
async def test_a_drop_executes_or_not(client: httpx.AsyncClient, when: str, chats: int) -> None:
    await fault(client, operation="create_chat", drop=when, times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await create(client)
    assert await count_chats(client) == chats


async def test_a_drop_in_the_middle_sends_status_and_half_of_the_body(client: httpx.AsyncClient) -> None:
    whole = (await client.get("/chat")).content
    await fault(client, operation="list_chats", drop="middle", times=1)
    received: list[bytes] = []
    async with client.stream("GET", "/chat") as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            await read_into(received, answer)
    assert b"".join(received) == whole[: len(whole) // 2]


async def test_a_caller_that_leaves_during_a_delay_causes_nothing(client: httpx.AsyncClient) -> None:
    await fault(client, operation="create_chat", delay_ms=60_000, times=1)
    with pytest.raises(httpx.ReadTimeout):
        await client.post("/chat", json={"agentId": "a", "metadata": {}}, timeout=0.05)
    assert (await create(client)).status_code == 200
    assert await count_chats(client) == 13
    first = (await client.get("/__control/calls")).json()[0]
    assert (first["status"], first["dropped"]) == (None, "by the caller")


async def test_the_book_tells_calls_over_one_connection_from_those_over_another(client: httpx.AsyncClient) -> None:
    await client.get("/chat")
    await client.get("/chat")
    async with httpx.AsyncClient(base_url=client.base_url, headers=KEY) as another:
        await another.get("/chat")
    first, second, third = [call["connection"] for call in (await client.get("/__control/calls")).json()]
    assert first == second
    assert first != third


async def test_the_book_tells_every_call_and_no_secret(client: httpx.AsyncClient) -> None:
    await client.get("/chat", params={"userId": "user-anna"})
    answer = await client.get("/__control/calls")
    (call,) = answer.json()
    assert call["operation"] == "list_chats"
    assert call["query"] == {"userId": "user-anna"}
    assert call["status"] == 200
    assert call["headers"]["x-api-key"] == fingerprint(kodey.SECRET_KEY)
    assert kodey.SECRET_KEY not in answer.text


async def test_reset_forgets_chats_calls_and_faults(client: httpx.AsyncClient) -> None:
    await create(client)
    await fault(client, status=500)
    await client.post("/__control/reset", json={"seed": False})
    assert (await client.get("/chat")).json() == {"chats": []}
    assert len((await client.get("/__control/calls")).json()) == 1


@pytest.mark.parametrize(("said", "names"), [({"drop": "now"}, "drop"), ({"times": 0}, "times"), ({"mood": 1}, "mood")])
async def test_a_fault_that_is_none_is_refused(client: httpx.AsyncClient, said: dict[str, object], names: str) -> None:
    answer = await client.post("/__control/faults", json=said)
    assert answer.status_code == 400
    assert names in answer.json()["error"]


async def test_an_unknown_switch_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/__control/switches", json={"mood": "good"})
    assert answer.status_code == 400
    assert "mood" in answer.json()["error"]


def test_a_caller_without_a_loop_is_served() -> None:
    with running(kodey.create_app()) as url:
        assert httpx.get(f"{url}/chat", headers=KEY).status_code == 200
