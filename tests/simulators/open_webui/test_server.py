"""The server as a whole: its seed, its clock, its sessions, and what a test may switch."""

import time

import anyio
import httpx
import pytest

from simulators import open_webui
from simulators.open_webui import accounts
from simulators.open_webui.server import OpenWebUI
from tests.simulators.open_webui.conftest import Clock

pytestmark = pytest.mark.anyio
CHATS = "/api/v1/chats"


async def create(client: httpx.AsyncClient, title: str = "t") -> str:
    chat_id: str = (await client.post(f"{CHATS}/new", json={"chat": {"title": title}})).json()["id"]
    return chat_id


def test_the_docstring_names_every_operation() -> None:
    listed = (
        (open_webui.__doc__ or "")
        .partition("Operations (paths below `/api/v1` unless they start with `/api`)")[2]
        .partition("Everything else")[0]
    )
    routes = {route.name for route in OpenWebUI().app.routes if hasattr(route, "name")} - {"unknown"}
    assert set(listed.partition(":")[2].split()) == routes


async def test_the_seed_has_branches_folders_tags_pins_and_an_archive(client: httpx.AsyncClient) -> None:
    chats = [
        one for one in (await client.get("/__control/state")).json()["chats"] if one["title"] != "Only Uma sees this"
    ]
    assert len(chats) == 12
    assert {one["updated_at"] for one in chats} == {int(one["updated_at"]) for one in chats}
    assert sum(one["pinned"] for one in chats) == 2
    assert sum(one["archived"] for one in chats) == 2
    assert sum(one["folder_id"] is not None for one in chats) == 5
    assert any(one["meta"].get("tags") for one in chats)
    messages = [message for one in chats for message in one["body"]["history"]["messages"].values()]
    assert any(len(message["childrenIds"]) > 1 for message in messages)


async def test_the_seed_is_the_same_each_time(client: httpx.AsyncClient) -> None:
    before = (await client.get("/__control/state")).json()
    await create(client)
    await client.post("/__control/reset", json={})
    assert (await client.get("/__control/state")).json() == before


async def test_chats_of_one_second_stand_by_their_ids(client: httpx.AsyncClient) -> None:
    """Times are whole seconds, so ties are common: a gateway has to read them to their end."""
    made = {await create(client) for _ in range(5)}
    rows = (await client.get(f"{CHATS}/?page=1")).json()
    assert [row["id"] for row in rows][:5] == sorted(made)
    assert len({row["updated_at"] for row in rows[:5]}) == 1


async def test_a_list_has_sixty_on_a_page_and_then_none(client: httpx.AsyncClient, clock: Clock) -> None:
    await client.post("/__control/reset", json={"seed": False})
    for _ in range(61):
        clock.now += 1
        await create(client)
    sizes = [len((await client.get(f"{CHATS}/?page={page}")).json()) for page in (1, 2, 3)]
    assert sizes == [60, 1, 0]
    assert len((await client.get(f"{CHATS}/")).json()) == 61


async def test_the_version_can_be_an_older_one(client: httpx.AsyncClient) -> None:
    await client.post("/__control/switches", json={"version": "0.6.43"})
    assert (await client.get("/api/version")).json()["version"] == "0.6.43"


async def test_forty_appends_at_once_are_all_kept(client: httpx.AsyncClient) -> None:
    chat_id = await create(client)

    async def append(place: int) -> None:
        message = {"id": f"m{place}", "parentId": None, "role": "user", "content": str(place)}
        history = {"messages": {message["id"]: message}, "currentId": message["id"]}
        await client.post(f"{CHATS}/{chat_id}", json={"chat": {"history": history}})

    async with anyio.create_task_group() as group:
        for place in range(40):
            group.start_soon(append, place)
    chat = (await client.get(f"{CHATS}/{chat_id}")).json()
    assert len(chat["chat"]["history"]["messages"]) == 40


async def test_a_message_of_another_client_goes_below_the_current_one(client: httpx.AsyncClient) -> None:
    chat_id = (await client.get(f"{CHATS}/pinned")).json()[0]["id"]
    before = (await client.get(f"{CHATS}/{chat_id}")).json()["chat"]["history"]["currentId"]
    told = (await client.post("/__control/emit", json={"chat_id": chat_id, "text": "psst"})).json()
    history = (await client.get(f"{CHATS}/{chat_id}")).json()["chat"]["history"]
    assert history["currentId"] == told["message_id"]
    assert history["messages"][told["message_id"]]["parentId"] == before
    assert history["messages"][told["message_id"]]["content"] == "psst"


async def test_a_session_is_a_person_and_a_key_is_not(client: httpx.AsyncClient, clock: Clock) -> None:
    clock.now = time.time()  # a token that has ended is refused by the real time
    login = {"email": "user@example.test", "password": accounts.PASSWORD}
    signed_in = (await client.post("/api/v1/auths/signin", json=login)).json()
    session = {"authorization": f"Bearer {signed_in['token']}"}
    assert (await client.get("/api/v1/auths/", headers=session)).json()["id"] == signed_in["id"]
    assert (await client.get("/api/v1/auths/")).status_code == 403
    rows = (await client.get(f"{CHATS}/", headers=session)).json()
    assert [row["title"] for row in rows] == ["Only Uma sees this"]


async def test_the_sixteenth_sign_in_is_refused(client: httpx.AsyncClient) -> None:
    login = {"email": "user@example.test", "password": "wrong"}
    statuses = [(await client.post("/api/v1/auths/signin", json=login)).status_code for _ in range(16)]
    assert statuses == [400] * 15 + [429]


async def test_a_rotated_key_is_dead_at_once(client: httpx.AsyncClient) -> None:
    fresh = (await client.post("/api/v1/auths/api_key")).json()["api_key"]
    assert (await client.get(f"{CHATS}/")).status_code == 401
    assert (await client.get(f"{CHATS}/", headers={"authorization": f"Bearer {fresh}"})).status_code == 200


async def test_a_fault_is_aimed_by_the_name_of_the_operation(client: httpx.AsyncClient) -> None:
    await client.post("/__control/faults", json={"operation": "list_chats", "status": 502, "times": 1})
    assert (await client.get(f"{CHATS}/pinned")).status_code == 200
    assert (await client.get(f"{CHATS}/?page=1")).status_code == 502
