"""Fixtures that every test may use."""

import gc
from collections.abc import Iterator
from functools import cache

import httpx
import pytest
from httpx._transports import default
from hypothesis import settings

from storage import store
from tests.stores import copying_when_new
from tests.tier import TIER

# How long one case takes tells nothing on a machine that does other things too. `make test` asks for the same cases each time, so that it
# tells of a change and not of luck; `make test-long` looks for new ones.
settings.register_profile("switchboard", deadline=None, derandomize=TIER != "long")
settings.load_profile("switchboard")
# What tests share asserts too: its failures shall show both sides.
pytest.register_assert_rewrite("tests.cells", "tests.client", "tests.open_webui", "tests.upstreams.live_contract")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _made_once() -> Iterator[None]:
    """What nearly every test needs and nobody changes: tables in a new store, and the certificates that each client of httpx loads."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, "_bring_up_to_date", copying_when_new(store._bring_up_to_date))
        patched.setattr(default, "create_ssl_context", cache(httpx.create_ssl_context))
        yield


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The loop that the gateway runs on; trio is not one of them."""
    return "asyncio"
