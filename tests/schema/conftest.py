"""A gateway with the local store alone, for what GraphQL does all the way down."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import graphql
import pytest
from graphql import ExecutionResult

from domain.ids import IdType, format_id
from domain.records import Organization, Role
from resolvers.context import Context, Gateway
from resolvers.organizations import add_organization
from schema.errors import format_error
from schema.root import public_schema
from storage import local
from storage.store import open_store
from tests.builders import T0
from tests.resolvers.gateways import ISSUER, a_context, a_gateway


@dataclass
class Desk:
    """Where a person of the organization `acme` asks; each question is a request of its own."""

    gateway: Gateway
    organization: Organization

    @property
    def source(self) -> str:
        """The id of the only source."""
        return format_id(IdType.SOURCE, 1)

    def context(self, **changes: Any) -> Context:
        """One request, of the admin Ada unless said."""
        return a_context(self.gateway, self.organization, **{"person": "ada", **changes})

    async def answer(self, document: str, context: Context | None = None, **variables: Any) -> ExecutionResult:
        """The whole answer."""
        return await graphql.graphql(
            public_schema, document, context_value=context or self.context(), variable_values=variables
        )

    async def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        """The data of a query that must succeed."""
        result = await self.answer(document, **variables)
        assert result.errors is None, [format_error(error, None) for error in result.errors]
        assert result.data is not None
        return result.data

    async def do(self, name: str, fields: str, /, **input_: Any) -> Mapping[str, Any]:
        """The payload of a mutation that must succeed."""
        data = await self.ask(document_of(name, fields), input=input_)
        payload = dict(data[name])
        assert payload.pop("userErrors") == []
        return payload

    async def refusals(self, name: str, /, **input_: Any) -> list[Mapping[str, Any]]:
        """The `userErrors` of a mutation."""
        data = await self.ask(document_of(name, ""), input=input_)
        return list(data[name]["userErrors"])


def document_of(name: str, fields: str) -> str:
    """A mutation with its input as a variable."""
    type_ = name[0].upper() + name[1:] + "Input"
    return f"mutation($input: {type_}!) {{ {name}(input: $input) {{ {fields} userErrors {{ __typename code message path }} }} }}"


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """The organization `acme` with its local source, Ada as its admin, and nothing else."""
    async with open_store(f"sqlite:///{tmp_path / 'test.db'}", readers=2) as store:
        connectors = {"local": local.connector(store)}
        gateway = a_gateway(store, connectors=connectors)
        store.on_commit(gateway.feed.committed)
        store.on_settled(gateway.feed.settled)
        organization = await store.database.write(
            lambda tx: add_organization(store, tx, slug="acme", name="Acme", at=T0)
        )
        await store.database.write(
            lambda tx: store.organizations.add_member(
                tx, organization.id, issuer=ISSUER, subject="ada", display_name="Ada", role=Role.ADMIN, at=T0
            )
        )
        yield Desk(gateway, organization)
        await gateway.replies.drain(1)
        await gateway.drains.aclose()
