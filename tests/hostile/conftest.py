"""One demo for all of these tests."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.client import Client, a_client
from tests.gateway import Gateway, running_gateway


@pytest.fixture(scope="session")
def demo() -> Iterator[Gateway]:
    with running_gateway() as gateway:
        yield gateway


@pytest.fixture
async def client(demo: Gateway) -> AsyncIterator[Client]:
    async with a_client(demo) as client:
        yield client
