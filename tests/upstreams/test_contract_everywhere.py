"""The contract of every source, over the simulators and the local store: the very functions that a real vendor passes.

A vendor that is added to the registry and to the simulators runs here without another line.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from simulators import chatlogger, kodey, lexicon, open_webui, splox
from simulators.control import Control
from simulators.keys import KEYS, OPTIONS, PATHS, SESSIONS
from simulators.serving import running
from storage import local
from storage.store import open_store
from tests.builders import T0
from tests.upstreams.live_contract import CHECKS, Subject
from tests.upstreams.wire import a_source
from upstreams.http import UpstreamClients
from upstreams.policy import UpstreamSettings
from upstreams.registry import connectors

pytestmark = pytest.mark.anyio

SIMULATED: dict[str, Callable[..., Control]] = {
    "splox": lambda seed: splox.create_app(seed=seed, switches=splox.Switches(runs_per_minute=10_000)),
    "lexicon": lexicon.create_app,
    "chatlogger": chatlogger.create_app,
    "kodey": kodey.create_app,
    "open_webui": open_webui.create_app,
}
AGENTS: dict[str, tuple[str | None, str | None]] = {
    "kodey": ("agent-1", None),
    "open_webui": ("fake-gpt", "fake-slow"),
}
"""Vendor → an agent that answers at once, and one that takes its time; vendors whose chats name none are left out."""

AGENTS["splox"] = (splox.ASSISTANT.workflow_id, splox.SLOW.workflow_id)
PECULIAR: dict[str, dict[str, Any]] = {
    "lexicon": {"user_id": OPTIONS["lexicon"]["user_ids"][0]},
    "chatlogger": {
        "missing_chat": "999999",
        "chat_metadata": ({"country_code": "DE", "user_rating": 4}, {"session_id": "s-1"}),
        "message_metadata": {"token_count": 7},
    },
}
"""Vendor → what its chats must name or can hold."""
QUOTAS: dict[str, dict[str, Any]] = {"splox": {"runs_per_minute": 10_000}}
"""Vendor → options that keep its quota from making the tests slow."""


def test_every_vendor_of_the_registry_is_simulated() -> None:
    vendors = set(connectors(UpstreamClients()))
    assert vendors == set(SIMULATED) == set(KEYS)


SIGNED_IN = {f"{vendor}, signed in": vendor for vendor in SESSIONS}
"""Places where somebody's session takes the place of the key."""


@pytest.fixture(scope="module", params=[*SIMULATED, *SIGNED_IN, "local"])
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Vendor, address and credentials; the local store has no others."""
    if request.param == "local":
        yield "local", "", {}
        return
    vendor = SIGNED_IN.get(request.param, request.param)
    with running(SIMULATED[vendor](seed=False)) as url:
        yield vendor, url, (SESSIONS if request.param in SIGNED_IN else KEYS)[vendor]


@pytest.fixture
async def subject(place: tuple[str, str, Mapping[str, str]], tmp_path: Path) -> AsyncIterator[Subject]:
    vendor, url, credentials = place
    async with AsyncExitStack() as stack:
        if vendor == "local":
            store = await stack.enter_async_context(open_store(f"sqlite:///{tmp_path / 'test.db'}"))
            organization = await store.database.write(lambda tx: store.organizations.add(tx, "acme", "Acme", T0))
            record = await store.database.write(
                lambda tx: store.sources.add(
                    tx, organization_id=organization.id, key="here", vendor="local", display_name="Here", created_at=T0
                )
            )
            yield Subject(local.connector(store).connect(record, {}), page_rows=60)
            return
        clients = UpstreamClients(UpstreamSettings(allow_private_addresses=True))
        stack.push_async_callback(clients.aclose)
        source = connectors(clients)[vendor].connect(
            a_source(vendor, url + PATHS.get(vendor, ""), **{**OPTIONS.get(vendor, {}), **QUOTAS.get(vendor, {})}),
            credentials,
        )
        agent, slow = AGENTS.get(vendor, (None, None))
        found = Subject(
            source, agent=agent, slow_agent=slow, secrets=list(credentials.values()), **PECULIAR.get(vendor, {})
        )
        yield found
        await found.clean_up()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_source_keeps_the_contract(subject: Subject, check: Callable[[Subject], Awaitable[None]]) -> None:
    await check(subject)
