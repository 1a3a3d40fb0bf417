"""Fixtures that every test may use."""

import pytest

# What tests share asserts too: its failures shall show both sides.
pytest.register_assert_rewrite("tests.cells", "tests.client", "tests.open_webui", "tests.upstreams.live_contract")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The loop that the gateway runs on; trio is not one of them."""
    return "asyncio"
