"""Whoever leaves leaves nothing: no task, no queue, no file descriptor, no listener, no broadcast."""

import asyncio
import gc
import os
import random
from collections import Counter
from pathlib import Path

import pytest

from engine.broadcast import Broadcast
from switchboard.http.operation import Operation
from switchboard.http.outbox import Outbox
from switchboard.http.socket import Socket
from switchboard.http.subscriber import Subscriber
from switchboard.sessions import GatewaySession
from tests.client import Client
from tests.served import ServedGateway, a_chat, say, served_here
from tests.switchboard.http.rawsocket import raw_socket
from tests.switchboard.http.toy import until
from tests.tier import count

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SUBSCRIPTIONS = [
    "subscription ($chat: ID!) { messageAdded(chatId: $chat) { cursor message { text } } }",
    "subscription ($chat: ID!) { chatEvents(chatIds: [$chat]) { cursor ... on MessageCreated { message { text } } } }",
    "subscription ($chat: ID!) { chatEvents(chatIds: [$chat]) { ... on ChatUpdated { chat { unreadCount } } } }",
]
KEPT = (Broadcast, Operation, Outbox, Socket, Subscriber, GatewaySession)
_WORKERS = 8
_PER_SOCKET = 5


def held() -> Counter[str]:
    """Objects of a subscription that are alive."""
    gc.collect()
    return Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, KEPT))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def comings_and_goings(served: ServedGateway, secret: str, chat: str, cycles: int, chance: random.Random) -> None:
    """Subscribe and leave so often, in every way in which one can leave."""
    done = 0
    while done < cycles:
        async with raw_socket(served.port) as socket:
            await socket.initialise({"Authorization": f"Bearer {secret}"})
            for number in range(min(_PER_SOCKET, cycles - done)):
                done += 1
                variables = {"chat": chat if chance.random() < 0.95 else "nonsense"}
                socket.subscribe(f"{number}", chance.choice(SUBSCRIPTIONS), variables=variables)
                if chance.random() < 0.5:
                    await asyncio.sleep(0)
                if chance.random() < 0.6:
                    socket.send("complete", id=f"{number}")
            if chance.random() < 0.5:
                socket.send("ping")
                while (await socket.message())["type"] != "pong":
                    pass
            if chance.random() < 0.3:
                socket.writer.transport.abort()


async def streams(served: ServedGateway, client: Client, chat: str, cycles: int, chance: random.Random) -> None:
    """The same by server-sent events, which can only be left by closing the connection."""
    for _ in range(cycles):
        body = {"query": chance.choice(SUBSCRIPTIONS), "variables": {"chat": chat}}
        headers = {**client.headers, "Accept": "text/event-stream"}
        async with client.http.stream("POST", served.url, json=body, headers=headers) as response:
            if chance.random() < 0.5:
                await anext(response.aiter_bytes())


async def test_ten_thousand_comings_and_goings_leave_nothing(tmp_path: Path) -> None:
    cycles, chance = count(long=10_000), random.Random(4)
    async with served_here(tmp_path) as served:
        _, secret = await served.key()
        client = served.client(secret)
        chat = await a_chat(client)
        await comings_and_goings(served, secret, chat, 20, chance)
        await quiet(served)
        tasks, files, objects = len(asyncio.all_tasks()), descriptors(), held()

        talking = asyncio.create_task(talk(client, chat))
        await asyncio.gather(
            *(
                comings_and_goings(served, secret, chat, cycles * 9 // 10 // _WORKERS, random.Random(seed))
                for seed in range(_WORKERS)
            ),
            streams(served, client, chat, cycles // 10, chance),
        )
        talking.cancel()
        await asyncio.wait([talking])
        await quiet(served)
        assert len(served.broadcasts) == served.broadcasts.subscriptions == 0
        assert served.gateway.feed.count() == 0
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        await until(lambda: descriptors() <= files + 8)  # the client keeps some connections of its own
        assert held() == objects


async def talk(client: Client, chat: str) -> None:
    """There is always something to tell."""
    number = 0
    while True:
        await say(client, chat, f"message {number}")
        number += 1
        await asyncio.sleep(0.05)  # so that the comings and goings are what takes the time


async def quiet(served: ServedGateway) -> None:
    """Until all who left are known to have gone."""
    await until(lambda: served.broadcasts.subscriptions == 0 and len(served.watches) == 0)
