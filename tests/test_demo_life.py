"""What a newcomer meets: the demo as `make run` starts it, in which other people write, and the quiet one of the tests."""

import asyncio
import signal

import pytest

from tests.client import Client, a_client
from tests.gateway import running_gateway

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MESSAGES = "{ chats(first: 50) { nodes { id source { vendor } messages(last: 1) { nodes { id } } } } }"
LOCAL = "{ chats(first: 1) { eventCursor } }"
LIVE = "subscription { messageAdded { cursor message { id role text chat { id source { vendor } } } } }"


async def newest(client: Client) -> dict[str, set[str]]:
    """Vendor → the newest messages of its chats."""
    found: dict[str, set[str]] = {}
    for chat in (await client.ask(MESSAGES))["chats"]["nodes"]:
        nodes = (chat["messages"] or {"nodes": []})["nodes"]
        found.setdefault(chat["source"]["vendor"], set()).update(message["id"] for message in nodes)
    return found


async def test_first_subscription_of_a_newcomer_shows_life() -> None:
    """Nobody does anything but subscribe; then every vendor has new messages too."""
    with running_gateway(life="0.3", quiet=False) as gateway:
        async with a_client(gateway) as client:
            before = await newest(client)
            async with client.events(LIVE) as events:
                heard = [(await events.next(60))["message"] for _ in range(6)]
            assert len({message["id"] for message in heard}) == 6
            assert {message["role"] for message in heard} == {"USER", "ASSISTANT"}
            async with asyncio.timeout(120):
                silent = set(before)
                while silent:
                    now = await newest(client)
                    silent = {vendor for vendor in silent if not now[vendor] - before[vendor]}
        gateway.process.send_signal(signal.SIGINT)
        gateway.process.wait(60)
        said = (gateway.folder / "output.log").read_text()
        assert "Traceback" not in said, said
        assert "has ended" not in said, said


async def test_quiet_demo_changes_by_nobodys_hand() -> None:
    """While it answers some questions, a demo that lives this fast would have written dozens of messages."""
    with running_gateway(life="0.1") as gateway:
        async with a_client(gateway) as client:
            state = f"{gateway.sources['kodey']}/__control/state"
            before = (await client.http.get(state)).json()
            start = await client.ask(LOCAL)
            for _ in range(20):
                assert await client.ask(LOCAL) == start
            assert (await client.http.get(state)).json() == before
