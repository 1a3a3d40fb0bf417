"""A server on a real socket, with a clock that stands still until it is moved."""

from collections.abc import AsyncIterator

import httpx
import pytest

from simulators import chatlogger
from simulators.serving import serve

KEY = {"x-organization-api-key": chatlogger.API_KEY}
ORG = f"/api/v1/orgs/{chatlogger.SLUG}"


class Clock:
    """Epoch seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.25

    def __call__(self) -> float:
        return self.now


async def log_in(client: httpx.AsyncClient, email: str = chatlogger.ADMIN_EMAIL) -> httpx.Response:
    """The client's jar has the cookie afterwards."""
    return await client.post("/auth/login", json={"email": email, "password": chatlogger.PASSWORD})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def switches() -> chatlogger.Switches:
    return chatlogger.Switches()


@pytest.fixture
async def stranger(clock: Clock, switches: chatlogger.Switches) -> AsyncIterator[httpx.AsyncClient]:
    """Has neither cookie nor key."""
    app = chatlogger.create_app(clock=clock, switches=switches)
    async with serve(app) as url, httpx.AsyncClient(base_url=url) as client:
        yield client


@pytest.fixture
async def client(stranger: httpx.AsyncClient) -> httpx.AsyncClient:
    """Has the admin's cookie; a key is added to a call that needs one."""
    (await log_in(stranger)).raise_for_status()
    return stranger


@pytest.fixture
async def chat_id(client: httpx.AsyncClient) -> int:
    created: int = (await client.post(f"{ORG}/chats", headers=KEY, json={"title": "T"})).json()["chat_id"]
    return created
