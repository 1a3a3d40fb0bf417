"""Over the simulator: a source with one user, which has Lexicon's own orders; `test_contract_everywhere` has one with several."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from simulators import lexicon as simulator
from simulators.keys import KEYS
from simulators.serving import running
from tests.upstreams.live_contract import CHECKS, Subject
from tests.upstreams.wire import a_source
from upstreams.http import UpstreamClients
from upstreams.lexicon.source import lexicon
from upstreams.policy import UpstreamSettings

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running(simulator.create_app(seed=False)) as address:
        yield address


@pytest.fixture
async def subject(url: str) -> AsyncIterator[Subject]:
    clients = UpstreamClients(UpstreamSettings(allow_private_addresses=True))
    source = lexicon(clients).connect(a_source("lexicon", url, user_ids=["only-one"]), KEYS["lexicon"])
    assert source.capabilities.native_orders
    found = Subject(source, secrets=list(KEYS["lexicon"].values()))
    yield found
    await found.clean_up()
    await clients.aclose()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_source_of_one_user_keeps_the_contract(
    subject: Subject, check: Callable[[Subject], Awaitable[None]]
) -> None:
    await check(subject)
