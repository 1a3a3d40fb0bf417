"""Subscribers wake for what any process commits."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from resolvers.cursors import Cursors
from resolvers.feed import Feed
from storage.changes import changes
from storage.store import open_store
from switchboard.noticing import noticing
from tests.storage.conftest import an_organization

pytestmark = pytest.mark.anyio

_WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("UPDATE organization_stream SET head = 7 WHERE organization_id = ?", (sys.argv[2],))
"""


async def test_listener_hears_of_a_commit_of_any_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    async with open_store(url, readers=1) as store:
        organization, _ = await an_organization(store)
        feed = Feed(Cursors([b"k" * 32]))
        with changes(url) as watched:
            async with noticing(feed, watched):
                with feed.listen(organization.id) as listener:
                    arguments = [sys.executable, "-c", _WRITER, f"{tmp_path}/store.db", str(organization.id)]
                    await asyncio.to_thread(subprocess.run, arguments, check=True)
                    await asyncio.wait_for(listener.wait(), 10)
                    assert listener.head == 7


async def test_nothing_is_looked_at_while_nobody_listens_and_no_task_is_left(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    async with open_store(url, readers=1) as store:
        organization, _ = await an_organization(store)
        feed, before = Feed(Cursors([b"k" * 32])), asyncio.all_tasks()
        with changes(url) as watched:
            async with noticing(feed, watched, every_seconds=0.001):
                for _ in range(20):
                    await asyncio.sleep(0.001)
                assert watched.heads([organization.id]) != {}, "somebody has looked before"
        assert asyncio.all_tasks() == before
