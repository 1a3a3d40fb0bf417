"""Methods that a source does not have: one line each in a connector, refusing before any request."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, NoReturn

from domain.capabilities import Capability
from domain.errors import CapabilityMissing
from domain.source import ChatSource


def refused(capability: Capability) -> Callable[..., Coroutine[Any, Any, Any]]:
    """A method that raises `CapabilityMissing`."""

    async def method(self: ChatSource, *args: Any, **options: Any) -> Any:
        refuse(self, capability)

    return method


def refused_stream(capability: Capability) -> Callable[..., AsyncIterator[Any]]:
    """An iterating method that raises `CapabilityMissing`."""

    async def method(self: ChatSource, *args: Any, **options: Any) -> AsyncIterator[Any]:
        refuse(self, capability)
        yield  # makes it an iterator

    return method


def refuse(source: ChatSource, capability: Capability) -> NoReturn:
    """Say that `source` cannot do it, and why."""
    why = source.capabilities.of(capability).note or "The vendor does not offer it."
    raise CapabilityMissing(
        f"{source.source.key}: {capability.lower().replace('_', ' ')} was not tried, because the source cannot do it. {why} Ask `source.capabilities` first.",
        capability=capability,
        source_id=source.source.id,
    )
