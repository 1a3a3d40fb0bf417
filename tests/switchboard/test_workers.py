"""Several workers of one machine share the store and its log."""

import asyncio

import pytest

from tests.client import a_client
from tests.gateway import served_gateway

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SOURCES = ""


async def test_subscriber_of_one_worker_hears_what_another_writes() -> None:
    """Each connection may land at either worker, so several listeners and several writers cover both."""
    with served_gateway(SOURCES, settings="workers = 2") as gateway:
        async with a_client(gateway) as client:
            sources = await client.ask("{ sources { id vendor } }")
            created = await client.do(
                'mutation ($id: ID!) { createChat(input: {sourceId: $id, title: "Shared"}) { chat { id eventCursor } userErrors { message } } }',
                id=sources["sources"][0]["id"],
            )
            chat = created["chat"]["id"]
            live = "subscription ($id: ID!) { messageAdded(chatId: $id) { message { text } } }"
            texts = [f"Message {number}" for number in range(6)]

            async def hear() -> list[str]:
                async with client.events(live, id=chat) as events:
                    ready.release()
                    return [(await events.next())["message"]["text"] for _ in texts]

            ready = asyncio.Semaphore(0)
            listeners = [asyncio.create_task(hear()) for _ in range(4)]
            for _ in listeners:
                await ready.acquire()
            await asyncio.sleep(0.5)  # the sockets are open; that all have subscribed is said by no message
            for text in texts:
                async with a_client(gateway) as writer:
                    await writer.do(
                        "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } userErrors { message } } }",
                        input={"chatId": chat, "text": text},
                    )
            assert await asyncio.gather(*listeners) == [texts] * 4
