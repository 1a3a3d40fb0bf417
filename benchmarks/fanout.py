"""Fan-out over real sockets: what it costs to tell one message to a thousand subscribers of one chat, and how late they hear it.

    python -m benchmarks.fanout [subscribers]

The gateway is `switchboard serve` with a chat of its own store; messages are sent through its API. The same messages are sent with one
subscriber and with all of them, in chats of equal length: the difference is what the further ones cost. Beside it, in the same run, a
stock Strawberry router with a subscription of the same shape, for fewer subscribers. CPU is the server process's (user + system from
/proc) and says the most on a shared machine; latencies are those of the machine as it was, its other load included. Listeners are a
process of their own. Bounded: some minutes at most, loopback only.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.gateway import cpu_seconds
from tests.gateway import served_gateway

_SUBSCRIPTION = (
    "subscription ($chat: ID!) { messageAdded(chatId: $chat) { cursor message { id role text createdAt } } }"
)
_CREATE = "mutation ($input: CreateChatInput!) { createChat(input: $input) { chat { id } userErrors { message } } }"
_SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } userErrors { message } } }"
_SOURCE = '[[sources]]\norganization = "acme"\nkey = "notes"\nvendor = "local"\n'
_PER_SECOND, _PACED = 20, 100
_FLOOD, _SENDERS = 200, 16
_STOCK_SUBSCRIBERS, _STOCK_MESSAGES = 200, 50
_SETTLES_SECONDS = 60

Say = Callable[[int], Awaitable[None]]
"""Sends the message of a number."""
Run = Callable[[Say], Awaitable[int]]
"""Sends messages; how many."""


class Listeners:
    """A running process of `benchmarks.listeners`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def report(self, wanted: int) -> dict[str, Any]:
        """What came, when all has come or when nothing comes any more."""
        until = time.monotonic() + _SETTLES_SECONDS
        while await self._ask("count") < wanted and time.monotonic() < until:  # noqa: ASYNC110  another process counts
            await asyncio.sleep(0.1)
        found: dict[str, Any] = await self._ask("report")
        return found

    async def _ask(self, command: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        return await self.line()

    async def line(self) -> Any:
        """The next that it says."""
        assert self._process.stdout is not None
        return json.loads(await self._process.stdout.readline())


@asynccontextmanager
async def listening(url: str, number: int, **order: Any) -> AsyncIterator[Listeners]:
    """So many subscribers; they are gone afterwards."""
    order = {"url": url, "listeners": number, "stalled": 0, "init": {}, "offers_deflate": True, **order}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.listeners", json.dumps(order), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    listeners = Listeners(process)
    try:
        await listeners.line()
        yield listeners
    finally:
        process.kill()
        await process.wait()


async def paced(say: Say) -> int:
    """Messages at an even pace."""
    begin = time.monotonic()
    for number in range(_PACED):
        await asyncio.sleep(max(0.0, begin + number / _PER_SECOND - time.monotonic()))
        await say(number)
    return _PACED


async def flood(say: Say) -> int:
    """Messages as fast as they are taken."""
    numbers = iter(range(_FLOOD))

    async def sender() -> None:
        for number in numbers:
            await say(number)

    await asyncio.gather(*(sender() for _ in range(_SENDERS)))
    return _FLOOD


async def in_turn(say: Say) -> int:
    """Messages one after the other: the stock router answers nobody while it tells many."""
    for number in range(_STOCK_MESSAGES):
        await say(number)
    return _STOCK_MESSAGES


Subscribe = Callable[[str, int, int], AbstractAsyncContextManager[Listeners]]


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is measured: `place` makes a new chat, `send` says something in one."""

    pid: int
    place: Callable[[], Awaitable[str]]
    send: Callable[[str, str], Awaitable[None]]
    subscribe: Subscribe

    async def told(self, run: Run, subscribers: int, stalled: int = 0) -> "Told":
        """What messages cost that so many hear; those that stall are not waited for."""
        chat, rss = await self.place(), rss_kb(self.pid)

        async def say(number: int) -> None:
            await self.send(chat, f"#{number}:{time.monotonic_ns()}# a message of about as many words as people write")

        async with self.subscribe(chat, subscribers, stalled) as listeners:
            await at_rest(self.pid)  # the last ones have been acknowledged, and are not subscribed yet
            memory = rss_kb(self.pid) - rss
            before = cpu_seconds(self.pid)
            messages = await run(say)
            wanted = messages * (subscribers - stalled)
            found = await listeners.report(wanted)
            return Told(messages, wanted, cpu_seconds(self.pid) - before, memory / subscribers, found)


@dataclass(frozen=True, slots=True)
class Told:
    """`cpu` in seconds, `memory` in KB per connection, `heard` as the listeners report it."""

    messages: int
    wanted: int
    cpu: float
    memory: float
    heard: Mapping[str, Any]


async def compare(name: str, server: Server, run: Run, subscribers: int, stalled: int = 0) -> None:
    """Print what one more subscriber costs."""
    one = await server.told(run, 1)
    all_ = await server.told(run, subscribers, stalled)
    further = (all_.cpu - one.cpu) / (all_.wanted - one.wanted) * 1e6
    print(  # noqa: T201
        f"{name}, {subscribers} subscribers\n"
        f"  {further:8.1f} µs CPU per delivery to a further subscriber; {all_.cpu / all_.wanted * 1e6:.1f} with all that a message costs\n"
        f"  {one.cpu / one.messages * 1e6:8.0f} µs CPU per message that one hears; {all_.memory:.1f} KB of memory per connection\n"
        f"  {all_.heard['heard']} of {all_.wanted} heard, {all_.heard['out_of_order']} out of order; "
        f"p50, p99, max: {all_.heard['p50_p99_max_ms']} ms",
        flush=True,
    )


@asynccontextmanager
async def the_gateway() -> AsyncIterator[Server]:
    """A gateway as it is served."""
    limits = httpx.Limits(max_connections=_SENDERS)
    with served_gateway(_SOURCE) as started:
        async with httpx.AsyncClient(headers=started.headers, timeout=60, limits=limits) as http:
            ask = _asking(http, started.url)
            source = (await ask("{ sources { id } }"))["sources"][0]["id"]

            async def place() -> str:
                return str((await ask(_CREATE, input={"sourceId": source}))["createChat"]["chat"]["id"])

            async def send(chat: str, text: str) -> None:
                done = await ask(_SEND, input={"chatId": chat, "text": text, "reply": "NONE"})
                assert not done["sendMessage"]["userErrors"], done

            def subscribe(chat: str, number: int, stalled: int) -> AbstractAsyncContextManager[Listeners]:
                payload = {"query": _SUBSCRIPTION, "variables": {"chat": chat}}
                return listening(started.url, number, init=started.headers, payload=payload, stalled=stalled)

            yield Server(started.process.pid, place, send, subscribe)


@asynccontextmanager
async def the_stock_router() -> AsyncIterator[Server]:
    """Strawberry's own."""
    # It prints a traceback for each listener that leaves.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.stock", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        url = f"http://127.0.0.1:{int(await process.stdout.readline())}/graphql"
        async with httpx.AsyncClient(timeout=_SETTLES_SECONDS) as http:
            ask = _asking(http, url)

            async def place() -> str:
                return "1"

            async def send(_chat: str, text: str) -> None:
                await ask("mutation ($text: String!) { say(text: $text) }", text=text)

            def subscribe(chat: str, number: int, _stalled: int) -> AbstractAsyncContextManager[Listeners]:
                payload = {"query": _SUBSCRIPTION, "variables": {"chat": chat}}
                return listening(url, number, payload=payload, offers_deflate=False)  # which would cost it more

            yield Server(process.pid, place, send, subscribe)
    finally:
        process.terminate()
        await process.wait()


def _asking(http: httpx.AsyncClient, url: str) -> Callable[..., Awaitable[Any]]:
    async def ask(query: str, **variables: Any) -> Any:
        answer = (await http.post(url, json={"query": query, "variables": variables})).json()
        if "errors" in answer:
            raise SystemExit(f"The operation failed: {answer['errors']}")
        return answer["data"]

    return ask


async def at_rest(pid: int) -> None:
    """Until a process does next to nothing for half a second."""
    while True:
        before = cpu_seconds(pid)
        await asyncio.sleep(0.5)
        if cpu_seconds(pid) - before < 0.05:
            return


def rss_kb(pid: int) -> int:
    """Resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


async def measure(subscribers: int) -> None:
    """Print all."""
    async with the_gateway() as server:
        await server.told(flood, 1)  # warm
        await compare(f"{_PER_SECOND} messages a second, one reader stalls", server, paced, subscribers, 1)
        await compare("as many messages as are taken", server, flood, subscribers)
    async with the_stock_router() as server:
        await server.told(in_turn, 1)
        await compare("stock Strawberry, messages one after the other", server, in_turn, _STOCK_SUBSCRIBERS)


def main() -> None:
    """With a thousand subscribers unless said."""
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))


if __name__ == "__main__":
    main()
