"""What admins did."""

from datetime import datetime

import strawberry

from domain import records
from domain.ids import IdType, format_id
from domain.paging import Page
from resolvers import nodes
from schema import anything
from schema.arguments import Info
from schema.connection import Connection, Count, Edge, exact_count, rows_of
from schema.node import Node
from schema.scalars import JSON


@strawberry.type(description="One administrative act.")
class AuditEntry(Node):
    id: strawberry.ID = strawberry.field(description="The opaque id, good for `node`.")
    at: datetime = strawberry.field(description="When it was done.")
    actor: str = strawberry.field(description="Who did it: a member's name, or the name of a key.")
    action: str = strawberry.field(description="What was done: the name of the mutation.")
    input: JSON = strawberry.field(description="What was asked, secrets left out.")
    record: strawberry.Private[records.AuditEntry]

    @classmethod
    def of(cls, record: records.AuditEntry) -> "AuditEntry":
        """The GraphQL type of a record."""
        return cls(
            record=record,
            id=strawberry.ID(format_id(IdType.AUDIT_ENTRY, record.id)),
            at=record.at,
            actor=record.actor,
            action=record.action,
            input=JSON(dict(record.input)),
        )

    @strawberry.field(description="What it was done to, or null when that is gone.")
    async def target(self, info: Info) -> Node | None:
        if self.record.target is None:
            return None
        return anything.node_of(await nodes.node(info.context, self.record.target))


@strawberry.type(description="An entry in a list.")
class AuditEntryEdge(Edge[AuditEntry]):
    node: AuditEntry = strawberry.field(description="The entry.")


@strawberry.type(description="A page of the audit log.")
class AuditEntryConnection(Connection[AuditEntry, AuditEntryEdge]):
    total_count: Count | None = strawberry.field(description="How many there are, or null when that is not known.")

    @classmethod
    def of(cls, page: Page[records.AuditEntry]) -> "AuditEntryConnection":
        """The GraphQL type of a page."""
        return cls(**rows_of(page, AuditEntry.of, AuditEntryEdge), total_count=exact_count(page))
