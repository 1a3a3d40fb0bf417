"""Fixtures that every test may use."""

from collections.abc import Iterator

import pytest

from tests.tracing import traced_at_first

# What tests share asserts too: its failures shall show both sides.
pytest.register_assert_rewrite("tests.cells", "tests.client", "tests.open_webui", "tests.upstreams.live_contract")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Every test."""
    with traced_at_first():
        return (yield)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The loop that the gateway runs on; trio is not one of them."""
    return "asyncio"
