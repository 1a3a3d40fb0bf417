"""Fan-out over real sockets: what it costs to tell one message to a thousand subscribers of one chat, and how late they hear it.

    python -m benchmarks.fanout [subscribers]

The gateway is `switchboard serve` with a chat of its own store; messages are sent through its API, and what sending costs is measured
apart. Beside it, in the same run, a stock Strawberry router with a subscription of the same shape, for fewer subscribers. CPU is the
server process's (user + system from /proc) and says the most on a shared machine; latencies are those of the machine as it was, its
other load included. The listeners are a process of their own. Bounded: about a minute, loopback only.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.gateway import cpu_seconds
from tests.gateway import Gateway as StartedGateway
from tests.gateway import served_gateway

_SUBSCRIPTION = (
    "subscription ($chat: ID!) { messageAdded(chatId: $chat) { cursor message { id role text createdAt } } }"
)
_CREATE = "mutation ($input: CreateChatInput!) { createChat(input: $input) { chat { id } userErrors { message } } }"
_SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { id } userErrors { message } } }"
_PER_SECOND, _PACED = 20, 100
_FLOOD, _SENDERS = 200, 16
_STOCK = 200
_SETTLES_SECONDS = 60
_SOURCE = '[[sources]]\norganization = "acme"\nkey = "notes"\nvendor = "local"\n'

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
    order = {"url": url, "listeners": number, "stalled": 0, "init": {}, **order}
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


class Gateway:
    """The gateway's process and a client of it."""

    def __init__(self, started: StartedGateway, http: httpx.AsyncClient) -> None:
        self._started = started
        self._http = http

    @property
    def pid(self) -> int:
        """The process whose CPU is measured."""
        return self._started.process.pid

    async def ask(self, query: str, **variables: Any) -> Any:
        """The data."""
        answer = (await self._http.post(self._started.url, json={"query": query, "variables": variables})).json()
        if "errors" in answer:
            raise SystemExit(f"The operation failed: {answer['errors']}")
        return answer["data"]

    async def chat(self) -> str:
        """A new chat: what sending costs grows with what was said before."""
        source = (await self.ask("{ sources { id } }"))["sources"][0]["id"]
        return str((await self.ask(_CREATE, input={"sourceId": source}))["createChat"]["chat"]["id"])

    def saying(self, chat: str) -> Say:
        """How a message gets into a chat."""

        async def say(number: int) -> None:
            text = f"#{number}:{time.monotonic_ns()}# a message of about as many words as people write"
            done = await self.ask(_SEND, input={"chatId": chat, "text": text, "reply": "NONE"})
            assert not done["sendMessage"]["userErrors"], done

        return say

    async def sending(self, run: Run) -> float:
        """CPU seconds of a message that nobody listens to."""
        say = self.saying(await self.chat())
        before = cpu_seconds(self.pid)
        messages = await run(say)
        return (cpu_seconds(self.pid) - before) / messages

    @asynccontextmanager
    async def subscribed(self, chat: str, number: int, stalled: int) -> AsyncIterator[Listeners]:
        """So many who listen to a chat."""
        payload = {"query": _SUBSCRIPTION, "variables": {"chat": chat}}
        order = {"init": self._started.headers, "payload": payload, "stalled": stalled}
        async with listening(self._started.url, number, **order) as listeners:
            yield listeners

    async def tell(self, name: str, run: Run, subscribers: int, stalled: int) -> None:
        """Print what messages cost that so many hear."""
        alone = await self.sending(run)
        chat, rss = await self.chat(), rss_kb(self.pid)
        async with self.subscribed(chat, subscribers, stalled) as listeners:
            memory = (rss_kb(self.pid) - rss) / subscribers
            before = cpu_seconds(self.pid)
            messages = await run(self.saying(chat))
            wanted = messages * (subscribers - stalled)
            found = await listeners.report(wanted)
            cpu = cpu_seconds(self.pid) - before
        print(  # noqa: T201
            f"{name}: {cpu / wanted * 1e6:.1f} µs CPU per delivery, {(cpu - alone * messages) / wanted * 1e6:.1f} without sending "
            f"({alone * 1e6:.0f} µs per message); {memory:.1f} KB per connection\n"
            f"    {found['heard']} of {wanted} heard, {found['out_of_order']} not in order; p50, p99, max: {found['p50_p99_max_ms']} ms"
        )


async def measure_gateway(subscribers: int) -> None:
    """Print what the gateway costs."""
    limits = httpx.Limits(max_connections=_SENDERS)
    with served_gateway(_SOURCE) as started:
        async with httpx.AsyncClient(headers=started.headers, timeout=60, limits=limits) as http:
            gateway = Gateway(started, http)
            await flood(gateway.saying(await gateway.chat()))  # warm
            await gateway.tell(f"{_PER_SECOND} messages a second, one reader stalls", paced, subscribers, 1)
            await gateway.tell("as many as are taken", flood, subscribers, 0)


def rss_kb(pid: int) -> int:
    """Resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def main() -> None:
    subscribers = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    asyncio.run(measure_gateway(subscribers))


if __name__ == "__main__":
    main()
