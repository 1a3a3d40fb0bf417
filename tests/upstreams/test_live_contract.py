"""The contract over a real Open WebUI, for `make test-open-webui`: the same functions that simulators and the local store pass."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.upstreams.live_contract import CHECKS, Subject
from tests.upstreams.wire import a_source
from upstreams.http import UpstreamClients
from upstreams.policy import UpstreamSettings
from upstreams.registry import connectors

pytestmark = [pytest.mark.anyio, pytest.mark.open_webui]

URL = os.environ.get("OPEN_WEBUI_URL", "")
KEYS = {
    "administrator": ("api_key", os.environ.get("OPEN_WEBUI_API_KEY", "")),
    "user": ("api_key", os.environ.get("OPEN_WEBUI_USER_API_KEY", "")),
    "user, signed in": ("jwt", os.environ.get("OPEN_WEBUI_USER_JWT", "")),
}


@pytest.fixture(params=sorted(KEYS))
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    """A source with the key of an administrator, then of an ordinary user, then with the user's session. Its models are the first that the server lists, or as named in
    `OPEN_WEBUI_MODEL` and `OPEN_WEBUI_SLOW_MODEL`."""
    name, key = KEYS[str(request.param)]
    if not URL or not key:
        pytest.skip(
            "OPEN_WEBUI_URL, OPEN_WEBUI_API_KEY, OPEN_WEBUI_USER_API_KEY and OPEN_WEBUI_USER_JWT name no server"
        )
    clients = UpstreamClients(UpstreamSettings(allow_private_addresses=True))
    source = connectors(clients)["open_webui"].connect(a_source("open_webui", URL), {name: key})
    models = [agent.native_id for agent in await source.list_agents() or ()]
    found = Subject(
        source,
        agent=os.environ.get("OPEN_WEBUI_MODEL", models[0] if models else None),
        slow_agent=os.environ.get("OPEN_WEBUI_SLOW_MODEL", "fake-slow" if "fake-slow" in models else None),
        secrets=[key],
    )
    yield found
    await found.clean_up()
    await clients.aclose()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_open_webui_keeps_the_contract(subject: Subject, check: Callable[[Subject], Awaitable[None]]) -> None:
    await check(subject)
