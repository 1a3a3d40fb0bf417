"""A gateway over a real store, without network, and the contexts of those who ask."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from domain.records import Organization, Principal, Role, Scope
from domain.source import Connector
from resolvers.context import Context, Gateway, utc_now
from resolvers.cursors import Cursors
from resolvers.drains import Drains
from resolvers.feed import Feed
from resolvers.principals import person_key
from resolvers.replies import Replies
from resolvers.routing import Sources
from resolvers.webhooks import WebhookTokens
from resolvers.writes import ChatLocks
from storage.store import Store
from switchboard.keys import KeyRing

ISSUER = "https://id.example.com"


def a_gateway(
    store: Store,
    *,
    connectors: Mapping[str, Connector] | None = None,
    clock: Callable[[], datetime] = utc_now,
    **changes: Any,
) -> Gateway:
    """All parts, with keys of its own."""
    ring = KeyRing(["t" * 32])
    cursors = Cursors(ring.cursor_keys)
    feed = Feed(cursors)
    return Gateway(
        **{
            "store": store,
            "sources": Sources(store, connectors or {}, ring.unseal, clock),
            "connectors": connectors or {},
            "cursors": cursors,
            "feed": feed,
            "replies": Replies(),
            "drains": Drains(),
            "locks": ChatLocks(),
            "seal_credentials": ring.seal,
            "webhook_tokens": WebhookTokens(ring.webhook_keys),
            "clock": clock,
            **changes,
        }
    )


def a_context(
    gateway: Gateway,
    organization: Organization,
    *,
    person: str | None = None,
    role: Role = Role.ADMIN,
    scopes: frozenset[Scope] | None = None,
) -> Context:
    """One operation: of an API key, or of a person of `ISSUER`. Scopes are what the role allows, unless given."""
    principal = (
        Principal(key="key:1", subject=None, display_name="Tests")
        if person is None
        else Principal(key=person_key(ISSUER, person), subject=person, display_name=person.title())
    )
    allowed = {Role.VIEWER: [Scope.READ], Role.MEMBER: [Scope.READ, Scope.WRITE], Role.ADMIN: list(Scope)}[role]
    return Context(
        gateway=gateway,
        organization=organization,
        principal=principal,
        role=role,
        scopes=frozenset(allowed) if scopes is None else scopes,
        request_id="test",
    )
