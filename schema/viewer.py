"""Who is asking, and which fields depend on it."""

from datetime import datetime

import strawberry

from resolvers.context import Context
from schema.enums import Role, Scope
from schema.organization import Organization

VIEWER_DEPENDENT: frozenset[tuple[str, str]] = frozenset(
    [
        ("Query", "viewer"),
        ("Organization", "viewerRole"),
        ("Chat", "unreadCount"),
        ("Chat", "viewerCan"),
        ("Source", "createChatSchema"),
    ]
)
"""(type, field) whose value may differ between two principals of one organization with the same role, scopes and visible sources.

An event of a subscription is executed once for all such principals, unless its selection holds one of these.
"""

TOLD_TO_ONE: frozenset[tuple[str, str]] = frozenset(
    [
        ("MessageCreated", "clientMutationId"),
        ("ReadStateChanged", "readUpToMessageId"),
        ("ReadStateChanged", "unreadCount"),
    ]
)
"""(type, field) that differ between principals in events that are told to one of them apart (`resolvers.live_events.line_told`).

Everybody else is told the event without it, or not at all; so a selection that holds one of these is shared all the same.
"""


@strawberry.type(description="Who is asking.")
class Viewer:
    display_name: str | None = strawberry.field(description="The name to show to people: of a person, or of the key.")
    organization: Organization = strawberry.field(description="The organization that this request acts in.")
    role: Role = strawberry.field(description="What you may do there.")
    scopes: list[Scope] = strawberry.field(description="What the key or token of this request may be used for.")

    @classmethod
    def of(cls, context: Context) -> "Viewer":
        """The GraphQL type of whoever made the request."""
        return cls(
            display_name=context.principal.display_name,
            organization=Organization.of(context.organization),
            role=context.role,
            scopes=[scope for scope in Scope if scope in context.scopes],
        )


@strawberry.type(
    description=("What you may still ask in the running period. Operations are charged by cost, not by number.")
)
class RateLimit:
    limit: int = strawberry.field(description="Cost that one period allows.")
    cost: int = strawberry.field(description="Cost of this operation.")
    remaining: int = strawberry.field(description="Cost that is left in this period.")
    reset_at: datetime = strawberry.field(description="When the next period begins.")
