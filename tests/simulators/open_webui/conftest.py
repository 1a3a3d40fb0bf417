"""A server on a real socket, with a clock that stands still until it is moved."""

from collections.abc import AsyncIterator

import httpx
import pytest

from simulators import open_webui
from simulators.serving import serve


class Clock:
    """Epoch seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.5

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def switches() -> open_webui.Switches:
    return open_webui.Switches(fast_word_ms=0, slow_word_ms=10)


@pytest.fixture
async def client(clock: Clock, switches: open_webui.Switches) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks as the admin, whose account is the seeded one."""
    key = {"authorization": f"Bearer {open_webui.ADMIN_KEY}"}
    app = open_webui.create_app(clock=clock, switches=switches)
    async with serve(app) as url, httpx.AsyncClient(base_url=url, headers=key) as client:
        yield client
