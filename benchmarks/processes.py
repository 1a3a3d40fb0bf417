"""How long it takes until the subscribers of one process hear what another one commits and what its replies say, and what looking costs.

    python -m benchmarks.processes [samples]

Two processes on one store: this one listens, the other commits and speaks. `neighbours` is the way over sockets, `store` the look at the
store that finds what no neighbour tells. Latency is from just before the commit to the listener's waking; the commit itself, which syncs
the disk, is told beside it.
"""

import asyncio
import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection

import uvloop

from domain.records import Delta, EventKind
from resolvers.cursors import Cursors
from resolvers.feed import Feed
from resolvers.spoken import Growth
from storage.changes import changes
from storage.database import Transaction
from storage.presence import present
from storage.store import Store, open_store
from switchboard.neighbours import neighbours
from switchboard.noticing import LOOK_SECONDS, noticing

_IDLE_SECONDS = 10
_PAUSE_SECONDS = 0.013
"""Between two commits: no multiple of the time between two looks."""


@asynccontextmanager
async def _a_process(url: str, *, is_neighbour: bool, looks: bool) -> AsyncIterator[tuple[Store, Feed]]:
    async with AsyncExitStack() as stack:
        presence = stack.enter_context(present(url))
        store = await stack.enter_async_context(open_store(url, readers=1))
        feed = Feed(Cursors([b"k" * 32]))
        store.on_commit(feed.committed)
        if is_neighbour:
            await stack.enter_async_context(neighbours(presence, store, feed))
        if looks:
            await stack.enter_async_context(noticing(feed, stack.enter_context(changes(url))))
        yield store, feed


async def _log(store: Store, number: int) -> None:
    async def unit(tx: Transaction) -> None:
        name = str(number)
        await store.events.append(tx, 1, EventKind.CHAT_CREATED, 1, name, name, at=datetime.now(UTC))

    await store.database.write(unit)


def _words(number: int) -> Growth:
    text = "word " * number
    delta = Delta(
        organization_id=1,
        source_id=1,
        chat_id="c",
        message_id="m",
        after_seq=0,
        offset=0,
        text=text,
        occurred_at=datetime.now(UTC),
    )
    return Growth(delta, text, "benchmark")


def _other(url: str, pipe: Connection, is_neighbour: bool, samples: int) -> None:
    """Commits and speaks; tells when, by the clock that all processes of a machine share, and how long its commits took."""

    async def run() -> None:
        async with _a_process(url, is_neighbour=is_neighbour, looks=False) as (store, feed):
            await asyncio.sleep(0.5)  # both have met
            moments, commits, said = [], [], []
            for number in range(samples):
                began = time.monotonic()
                await _log(store, number)
                moments.append(began)
                commits.append(time.monotonic() - began)
                await asyncio.sleep(_PAUSE_SECONDS)
            for number in range(1, samples + 1):
                said.append(time.monotonic())
                feed.grew(_words(number))
                await asyncio.sleep(_PAUSE_SECONDS / 4)
            pipe.send((moments, commits, said))
            await asyncio.to_thread(pipe.recv)

    uvloop.run(run())


async def _hear(url: str, is_neighbour: bool, samples: int) -> dict[str, Sequence[float]]:
    async with _a_process(url, is_neighbour=is_neighbour, looks=not is_neighbour) as (store, feed):
        head = await store.events.head(1)
        here, there = multiprocessing.get_context("spawn").Pipe()
        other = multiprocessing.get_context("spawn").Process(target=_other, args=(url, there, is_neighbour, samples))
        other.start()
        woke: dict[int, float] = {}
        heard: dict[int, float] = {}
        with feed.listen(1) as listener:
            listener.take_words()
            answer = asyncio.create_task(asyncio.to_thread(here.recv))
            while not (answer.done() and len(woke) >= 1 and (not is_neighbour or samples in heard)):
                waiting = asyncio.ensure_future(listener.wait())
                await asyncio.wait({waiting, answer}, timeout=1, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                now = time.monotonic()
                for seq in range(max(woke, default=0) + 1, listener.head - head + 1):
                    woke[seq] = now
                for growth in listener.take_words():
                    heard[len(growth.text_so_far) // 5] = now
            moments, commits, said = await answer
        here.send(None)
        await asyncio.to_thread(other.join)
        found = {
            "commit_ms": [1000 * seconds for seconds in commits],
            "wake_ms": [1000 * (woke[place] - began) for place, began in enumerate(moments, 1) if place in woke],
        }
        if is_neighbour:
            found["words_ms"] = [1000 * (heard[place] - began) for place, began in enumerate(said, 1) if place in heard]
        return found


async def _idle(url: str) -> float:
    """Percent of a processor that listening and looking cost while nothing happens."""
    async with _a_process(url, is_neighbour=True, looks=True) as (_, feed):
        with feed.listen(1):
            before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
            await asyncio.sleep(_IDLE_SECONDS)
            after, seconds = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - began
    return 100 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / seconds


async def _cost_of_a_look(url: str, times: int = 20_000) -> float:
    """µs of CPU."""
    with changes(url) as watched:
        began = time.process_time()
        for _ in range(times):
            watched.heads([1])
        return 1e6 * (time.process_time() - began) / times


async def _measure(samples: int) -> None:
    with tempfile.TemporaryDirectory(prefix="switchboard-") as folder:
        url = f"sqlite:///{folder}/bench.db"
        async with open_store(url, readers=1) as store:

            async def unit(tx: Transaction) -> None:
                await store.organizations.add(tx, "acme", "Acme", datetime.now(UTC))

            await store.database.write(unit)
        report: dict[str, object] = {}
        for way in ("neighbours", "store"):
            found = await _hear(url, way == "neighbours", samples)
            report[way] = {name: _summary(values) for name, values in found.items()}
        report["look_us"] = round(await _cost_of_a_look(url), 1)
        report["looks_a_second"] = 1 / LOOK_SECONDS
        report["idle_percent"] = round(await _idle(url), 2)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")


def _summary(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 3),
        "p99": round(ordered[int(len(ordered) * 0.99)], 3),
        "samples": len(ordered),
    }


if __name__ == "__main__":
    uvloop.run(_measure(int(sys.argv[1]) if len(sys.argv) > 1 else 500))
