"""Who belongs to an organization."""

from datetime import datetime

import strawberry

from domain import records
from domain.ids import IdType, format_id
from domain.paging import Page
from schema.connection import Connection, Count, Edge, exact_count, rows_of
from schema.enums import Role
from schema.node import Node


@strawberry.type(description="Somebody who belongs to an organization.")
class Member(Node):
    id: strawberry.ID = strawberry.field(description="The opaque id.")
    display_name: str | None = strawberry.field(
        description="The name to show to people, or null when the sign-in service tells none."
    )
    role: Role = strawberry.field(description="What this member may do.")
    joined_at: datetime = strawberry.field(description="When the member joined.")

    @classmethod
    def of(cls, record: records.Member) -> "Member":
        """The GraphQL type of a record."""
        return cls(
            id=strawberry.ID(format_id(IdType.MEMBER, record.id)),
            display_name=record.display_name,
            role=record.role,
            joined_at=record.joined_at,
        )


@strawberry.type(description="A member in a list.")
class MemberEdge(Edge[Member]):
    node: Member = strawberry.field(description="The member.")


@strawberry.type(description="A page of members.")
class MemberConnection(Connection[Member, MemberEdge]):
    total_count: Count | None = strawberry.field(description="How many there are in all.")

    @classmethod
    def of(cls, page: Page[records.Member]) -> "MemberConnection":
        """The GraphQL type of a page."""
        return cls(**rows_of(page, Member.of, MemberEdge), total_count=exact_count(page))
