"""Replies in the background: what a reader sees while they grow, and what is left when they are stopped."""

from itertools import pairwise
from typing import Any

import anyio
import httpx
import pytest

from simulators.open_webui import Switches

pytestmark = pytest.mark.anyio
CHATS = "/api/v1/chats"


async def send(client: httpx.AsyncClient, text: str, **more: object) -> Any:
    question = {"id": "q", "parentId": None, "role": "user", "content": text, "models": ["fake-slow"]}
    body = {"model": "fake-slow", "stream": True, "id": "r", "parent_id": None, "session_id": "s"}
    return (await client.post("/api/chat/completions", json=body | {"user_message": question} | more)).json()


async def reply(client: httpx.AsyncClient, chat_id: str) -> dict[str, Any]:
    chat = (await client.get(f"{CHATS}/{chat_id}")).json()
    message: dict[str, Any] = chat["chat"]["history"]["messages"]["r"]
    return message


async def texts_until_done(client: httpx.AsyncClient, chat_id: str) -> list[str]:
    seen: list[str] = []
    with anyio.fail_after(10):
        while not (message := await reply(client, chat_id))["done"]:
            seen.append(message["content"])
    return [*seen, message["content"]]


async def test_the_text_grows_until_it_is_done(client: httpx.AsyncClient) -> None:
    text = " ".join(f"w{place}" for place in range(40))
    seen = await texts_until_done(client, (await send(client, text))["chat_id"])
    assert seen[-1] == f"Echo 1: {text}"
    assert len(set(seen)) > 2
    assert all(later.startswith(earlier) for earlier, later in pairwise(seen))


async def test_a_chat_is_active_only_while_a_reply_runs(client: httpx.AsyncClient) -> None:
    chat_id = (await send(client, "one two three"))["chat_id"]
    assert (await client.get(f"{CHATS}/?page=1")).json()[0]["active"] is True
    await texts_until_done(client, chat_id)
    assert (await client.get(f"{CHATS}/?page=1")).json()[0]["active"] is False


async def test_a_stopped_reply_keeps_its_text(client: httpx.AsyncClient) -> None:
    chat_id = (await send(client, "long please"))["chat_id"]
    with anyio.fail_after(10):
        while not (await reply(client, chat_id))["content"]:
            await anyio.lowlevel.checkpoint()
    assert (await client.post(f"/api/tasks/chat/{chat_id}/stop")).json()["status"] is True
    message = await reply(client, chat_id)
    assert message["done"] is True
    assert message["output"][0]["status"] == "incomplete"
    assert message["content"].startswith("word0")
    assert (await client.get(f"/api/tasks/chat/{chat_id}")).json() == {"task_ids": []}


async def test_a_reply_stopped_before_its_first_word_is_never_done(client: httpx.AsyncClient) -> None:
    """Seen on a running 0.12.4: the message stays open, and no task is left that would ever finish it."""
    await client.post("/__control/switches", json={"begin_ms": 60_000})
    chat_id = (await send(client, "one"))["chat_id"]
    assert (await client.post(f"/api/tasks/chat/{chat_id}/stop")).json()["status"] is True
    message = await reply(client, chat_id)
    assert (message["content"], message["done"]) == ("", False)
    assert "output" not in message
    assert (await client.get("/api/tasks")).json() == {"tasks": []}


async def test_deleting_the_chat_ends_its_reply(client: httpx.AsyncClient) -> None:
    chat_id = (await send(client, "long please"))["chat_id"]
    await client.delete(f"{CHATS}/{chat_id}")
    assert (await client.get("/api/tasks")).json() == {"tasks": []}


async def test_a_reset_ends_what_is_running(client: httpx.AsyncClient) -> None:
    await send(client, "long please")
    await client.post("/__control/reset", json={})
    assert (await client.get("/api/tasks")).json() == {"tasks": []}


async def test_the_pace_is_a_switch(client: httpx.AsyncClient, switches: Switches) -> None:
    await client.post("/__control/switches", json={"slow_word_ms": 0})
    assert switches.slow_word_ms == 0
    chat_id = (await send(client, "long please"))["chat_id"]
    assert (await texts_until_done(client, chat_id))[-1].endswith("word199")
