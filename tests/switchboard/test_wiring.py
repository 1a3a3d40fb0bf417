"""The parts of one process, put together and taken apart again."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from engine.broadcasts import Broadcasts
from resolvers.context import Gateway
from storage.database import Transaction
from switchboard.metrics import exposition
from switchboard.settings import MirrorSettings, Settings
from switchboard.wiring import open_gateway
from tests.engine.log import Audiences
from tests.writer import held

pytestmark = pytest.mark.anyio


def settings_of(folder: Path, **changes: Any) -> Settings:
    return Settings(database_url=f"sqlite:///{folder / 'wired.db'}", secret_keys=("t" * 32,), **changes)


def hand_in(gateway: Gateway, text: str, *, rows: int = 3, weight: int = 100) -> bool:
    """A row that was read and is written behind its answer."""

    async def unit(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE IF NOT EXISTS line (text TEXT)")
        await tx.execute("INSERT INTO line (text) VALUES (:text)", {"text": text})

    return gateway.mirror_queue.hand_in(gateway.store.database, 1, unit, rows=rows, weight=weight)


def kept(folder: Path) -> list[str]:
    connection = sqlite3.connect(folder / "wired.db")
    try:
        return [row[0] for row in connection.execute("SELECT text FROM line")]
    finally:
        connection.close()


def metric(gateway: Gateway, name: str) -> float:
    (line,) = [
        line
        for line in exposition(gateway, Broadcasts(Audiences())).decode().splitlines()
        if line.startswith(f"{name} ")
    ]
    return float(line.split()[1])


async def test_what_waits_behind_answers_is_written_before_the_process_ends(tmp_path: Path) -> None:
    async with open_gateway(settings_of(tmp_path)) as (gateway, _):
        for text in "abc":
            assert hand_in(gateway, text)
    assert kept(tmp_path) == ["a", "b", "c"]


async def test_what_cannot_be_written_in_time_is_dropped_and_counted(tmp_path: Path) -> None:
    counted: list[float] = []
    async with AsyncExitStack() as after, asyncio.timeout(30):
        async with open_gateway(settings_of(tmp_path, shutdown_seconds=0.05)) as (gateway, _):
            hand_in(gateway, "in time")
            await gateway.mirror_queue.caught_up(1)
            go_on = await after.enter_async_context(held(gateway.store.database))
            hand_in(gateway, "too late", rows=7)
            assert metric(gateway, "switchboard_mirror_waiting_rows") == 7
            count = gateway.mirror_queue.on_dropped

            def dropped(rows: int) -> None:
                before = metric(gateway, "switchboard_mirror_dropped_rows_total")
                count(rows)
                counted.append(metric(gateway, "switchboard_mirror_dropped_rows_total") - before)
                go_on.set()  # only now can the store be closed

            gateway.mirror_queue.on_dropped = dropped
        assert (counted, gateway.mirror_queue.rows) == ([7], 0)
    assert kept(tmp_path) == ["in time"]


async def test_bounds_are_those_of_the_settings_and_drops_are_counted(tmp_path: Path) -> None:
    bounds = MirrorSettings(queue_rows=10, queue_bytes=1024)
    async with open_gateway(settings_of(tmp_path, mirror=bounds)) as (gateway, _):
        before = metric(gateway, "switchboard_mirror_dropped_rows_total")
        async with held(gateway.store.database):
            assert hand_in(gateway, "rows", rows=8)
            assert not hand_in(gateway, "too many", rows=3)
            assert not hand_in(gateway, "too large", rows=1, weight=1000)
        assert metric(gateway, "switchboard_mirror_dropped_rows_total") - before == 4
    assert kept(tmp_path) == ["rows"]


async def test_rows_that_cannot_be_written_are_counted_and_others_are(tmp_path: Path) -> None:
    async def broken(tx: Transaction) -> None:
        raise ValueError("on purpose")

    async with open_gateway(settings_of(tmp_path)) as (gateway, _):
        before = metric(gateway, "switchboard_mirror_failed_rows_total")
        gateway.mirror_queue.hand_in(gateway.store.database, 1, broken, rows=5, weight=1)
        hand_in(gateway, "after")
        await gateway.mirror_queue.caught_up(1)
        assert metric(gateway, "switchboard_mirror_failed_rows_total") - before == 5
    assert kept(tmp_path) == ["after"]
