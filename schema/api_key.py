"""Keys for programs."""

from datetime import datetime

import strawberry

from domain import records
from domain.ids import IdType, format_id
from domain.paging import Page
from schema.connection import Connection, Count, Edge, exact_count, rows_of
from schema.enums import Scope
from schema.node import Node


@strawberry.type(description="A key for programs. Its secret is shown once, when it is created.")
class ApiKey(Node):
    id: strawberry.ID = strawberry.field(description="The opaque id.")
    name: str = strawberry.field(description="What the key is for, as its creator put it.")
    prefix: str = strawberry.field(description="The first characters of the secret, to recognise it by.")
    scopes: list[Scope] = strawberry.field(description="What the key may be used for.")
    created_at: datetime = strawberry.field(description="When it was created.")
    last_used_at: datetime | None = strawberry.field(
        description="When it was last used, to within a minute, or null when it never was."
    )
    expires_at: datetime | None = strawberry.field(description="When it ends by itself, or null when it does not.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked, or null while it is good.")

    @classmethod
    def of(cls, record: records.ApiKey) -> "ApiKey":
        """The GraphQL type of a record."""
        return cls(
            id=strawberry.ID(format_id(IdType.API_KEY, record.id)),
            name=record.name,
            prefix=record.prefix,
            scopes=[scope for scope in Scope if scope in record.scopes],
            created_at=record.created_at,
            last_used_at=record.last_used_at,
            expires_at=record.expires_at,
            revoked_at=record.revoked_at,
        )


@strawberry.type(description="An API key in a list.")
class ApiKeyEdge(Edge[ApiKey]):
    node: ApiKey = strawberry.field(description="The key.")


@strawberry.type(description="A page of API keys.")
class ApiKeyConnection(Connection[ApiKey, ApiKeyEdge]):
    total_count: Count | None = strawberry.field(description="How many there are in all.")

    @classmethod
    def of(cls, page: Page[records.ApiKey]) -> "ApiKeyConnection":
        """The GraphQL type of a page."""
        return cls(**rows_of(page, ApiKey.of, ApiKeyEdge), total_count=exact_count(page))
