"""Contexts without a store: what a test needs to be known is put into the batches, and everything else is refused or missing."""

import asyncio
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

from graphql import ExecutionResult, graphql

from domain.capabilities import Capabilities, Capability, native
from domain.errors import GatewayError
from domain.records import Chat, Message, Principal, Role, Scope, Source
from resolvers.chats import load_chats
from resolvers.context import Context, Gateway
from resolvers.cursors import Cursors
from resolvers.feed import Feed
from resolvers.messages import load_message
from resolvers.sources import load_sources
from schema.root import public_schema
from tests.builders import ALL_SCOPES, T0, a_principal, an_organization

EVERYTHING = Capabilities(support={capability: native() for capability in Capability})


class WatchedPrincipal:
    """A principal that notes what is read of it: a field that does is different for each viewer."""

    def __init__(self, principal: Principal) -> None:
        self._principal = principal
        self.reads: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.reads.append(name)
        return getattr(self._principal, name)


class SourcesAtHand:
    """`Sources` of a few records, all with the same capabilities, none of which can be called."""

    def __init__(self, sources: Sequence[Source], capabilities: Capabilities) -> None:
        self._sources = {source.id: source for source in sources}
        self._capabilities = capabilities

    async def of(self, _organization_id: int) -> Sequence[Source]:
        return list(self._sources.values())

    async def visible(self, _organization_id: int, principal: Principal) -> Sequence[Source]:
        return [source for source in self._sources.values() if source.is_visible_to(principal)]

    async def get(self, organization_id: int, principal: Principal, source_id: int) -> Source | None:
        return next((one for one in await self.visible(organization_id, principal) if one.id == source_id), None)

    async def connect(self, source: Source) -> Any:
        return SimpleNamespace(source=source, capabilities=self._capabilities)


class RefusingContext(Context):
    """Every right is refused with `error`, so every mutation fails with it before it does anything."""

    __slots__ = ("error",)
    error: GatewayError

    def require(self, scope: Scope, role: Role | None = None) -> None:
        raise self.error


def a_gateway(*sources: Source, capabilities: Capabilities = EVERYTHING) -> Gateway:
    """Enough of a gateway for fields that need no store."""
    cursors = Cursors([b"k" * 32])
    parts = SimpleNamespace(
        clock=lambda: T0,
        cursors=cursors,
        feed=Feed(cursors),
        sources=SourcesAtHand(sources, capabilities),
        connectors={},
    )
    return cast(Gateway, parts)


def a_context(
    *sources: Source,
    chats: Sequence[Chat] = (),
    messages: Sequence[Message] = (),
    capabilities: Capabilities = EVERYTHING,
    kind: type[Context] = Context,
    **changes: Any,
) -> Context:
    """An admin's context that knows these records. Must be made inside a running loop."""
    given: dict[str, Any] = {
        "gateway": a_gateway(*sources, capabilities=capabilities),
        "organization": an_organization(),
        "principal": a_principal(),
        "role": Role.ADMIN,
        "scopes": ALL_SCOPES,
        "request_id": "req-1",
    }
    context = kind(**{**given, **changes})
    context._head = 7
    for source in sources:
        know(context, load_sources, source.id, source)
    for chat in chats:
        know(context, load_chats, chat.key, chat)
    for message in messages:
        know(context, load_message, message.key, message)
    return context


def a_refusing_context(error: GatewayError, *sources: Source) -> Context:
    """A context that refuses every right with `error`."""
    context = a_context(*sources, kind=RefusingContext)
    assert isinstance(context, RefusingContext)
    context.error = error
    return context


def know(context: Context, load: Any, key: Any, value: Any) -> None:
    """Let `load` answer `value` for `key`."""
    context.batches.know(load, key, value)


def fail(context: Context, load: Any, key: Any, error: BaseException) -> None:
    """Make `load` fail for `key` alone."""
    know(context, load, key, None)
    future = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    context.batches._values[load][key] = future


async def run(context: Context, document: str, variables: Mapping[str, Any] | None = None) -> ExecutionResult:
    """Execute a document on the clients' schema."""
    return await graphql(public_schema, document, context_value=context, variable_values=dict(variables or {}))


async def data_of(context: Context, document: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The data of a document that must succeed."""
    result = await run(context, document, variables)
    assert result.errors is None, result.errors
    assert result.data is not None
    return result.data
