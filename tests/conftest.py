"""Fixtures that every test may use."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The loop that the gateway runs on; trio is not one of them."""
    return "asyncio"
