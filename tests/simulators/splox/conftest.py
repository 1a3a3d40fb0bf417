"""A running simulator with a clock of its own, and clients of both accounts."""

from collections.abc import AsyncIterator

import httpx
import pytest

from simulators import splox
from simulators.serving import serve
from tests.simulators.splox.asking import Clock, Splox


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def url(clock: Clock) -> AsyncIterator[str]:
    async with serve(
        splox.create_app(clock=clock, switches=splox.Switches(keepalive_ms=20, status_check_ms=10))
    ) as url:
        yield url


@pytest.fixture
async def mine(url: str) -> AsyncIterator[Splox]:
    """The owner of the workflows."""
    async with _client(url, splox.TOKEN) as client:
        yield Splox(client)


@pytest.fixture
async def theirs(url: str) -> AsyncIterator[Splox]:
    async with _client(url, splox.OTHER_TOKEN) as client:
        yield Splox(client)


def _client(url: str, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url + splox.PREFIX, headers={"authorization": f"Bearer {token}"})
