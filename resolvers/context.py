"""What one request may use. Built per request by `switchboard.app`; tests build one by hand."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from domain.errors import Forbidden
from domain.records import Organization, Principal, Role, Scope
from domain.source import Connector
from resolvers.batching import Batches
from resolvers.cursors import Cursors
from resolvers.drains import Drains
from resolvers.feed import Feed
from resolvers.interest import Unwatched, Watching
from resolvers.log_tail import LogTail
from resolvers.mirror_queue import MirrorQueue
from resolvers.replies import Replies
from resolvers.routing import Sources
from resolvers.webhooks import Knock, WebhookTokens
from resolvers.writes import ChatLocks
from storage.presence import Alone, Presence
from storage.store import Store

Clock = Callable[[], datetime]
"""The present time, aware, in UTC. Handed in, so that a test never sleeps."""


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Numbers that the settings decide. Durations in seconds."""

    list_ttl_seconds: float = 30.0
    """How long a drained list is good before the source is read whole again."""
    call_budget: int = 200
    """Most upstream calls of one operation."""
    caught_up_seconds: float = 10.0
    """How long `CaughtUp` waits for a source."""
    wait_reply_seconds: float = 30.0
    """How long `sendMessage(reply: WAIT)` waits."""
    event_batch: int = 500
    """Most lines of the log that one subscriber reads at once."""
    fill_pages: int = 5
    """How many pages a request reads back to close a hole in what is known of a chat; a feed goes on."""
    fill_seconds: float = 5.0
    """How long it may take for it."""
    reply_patience_seconds: float = 600.0
    """How long a reply that nobody could follow to its end may take to show up at its source, before it is taken to have broken off."""
    absence_seconds: float = 120.0
    """How long after a request that nobody heard the answer of it could still arrive; absent after that, it was never carried out, where absence proves it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The long-living parts that all requests share."""

    store: Store
    sources: Sources
    connectors: Mapping[str, Connector]
    cursors: Cursors
    feed: Feed
    replies: Replies
    drains: Drains
    locks: ChatLocks
    tail: LogTail = field(default_factory=LogTail)
    seal_credentials: Callable[[Mapping[str, str]], bytes]
    webhook_tokens: WebhookTokens
    mirror_queue: MirrorQueue = field(default_factory=MirrorQueue)
    clock: Clock = utc_now
    tuning: Tuning = field(default_factory=Tuning)
    watching: Watching = field(default_factory=Unwatched)
    presence: Presence = field(default_factory=Alone)
    default_issuer: str | None = None
    """`auth.jwt.issuer`, for `addMember` without one."""
    access_changed: Callable[[], None] = lambda: None
    """Called after the commit when a key or membership was changed, so that this process notices at once."""
    knock: Knock = lambda source_id, chat_id: None
    """Called when a source told that something happened there; returns at once."""
    take_variable: Callable[[str], str | None] = lambda name: None
    """The value of an environment variable that a credential may name as `env:NAME`; None: it may not, or it is not set."""


class Context:
    """One operation of one principal in one organization. `batches` collects fields below lists; `head` is the log's position at its start.

    `may_mirror_late`: what it reads may be committed behind its answer (`resolvers.mirroring`); set before it is executed.
    `client_left` is set when the client goes before a mutation has ended, which runs to its end all the same; None: nobody looks.
    """

    __slots__ = (
        "_head",
        "batches",
        "client_left",
        "gateway",
        "last_event_id",
        "may_mirror_late",
        "organization",
        "principal",
        "request_id",
        "role",
        "scopes",
        "started_at",
    )

    def __init__(
        self,
        *,
        gateway: Gateway,
        organization: Organization,
        principal: Principal,
        role: Role,
        scopes: frozenset[Scope],
        request_id: str,
        last_event_id: str | None = None,
        client_left: asyncio.Event | None = None,
    ) -> None:
        self.gateway = gateway
        self.organization = organization
        self.principal = principal
        self.role = role
        self.scopes = scopes
        self.request_id = request_id
        self.last_event_id = last_event_id
        self.may_mirror_late = False
        self.client_left = client_left
        self.started_at = gateway.clock()
        self.batches: Batches[Context] = Batches(self)
        self._head: int | None = None

    @property
    def has_left(self) -> bool:
        """Whether the client has gone."""
        return self.client_left is not None and self.client_left.is_set()

    @property
    def store(self) -> Store:
        """Short for `gateway.store`."""
        return self.gateway.store

    def now(self) -> datetime:
        """The present time."""
        return self.gateway.clock()

    def require(self, scope: Scope, role: Role | None = None) -> None:
        """Raise `Forbidden` unless the scopes of the key and the role of the principal allow it."""
        if scope not in self.scopes:
            raise Forbidden(
                f"This needs the scope {scope.value}, which the key or token of this request does not have. "
                "Use a key that has it.",
                required_scope=scope.value,
            )
        needed = role or {Scope.READ: Role.VIEWER, Scope.WRITE: Role.MEMBER, Scope.ADMIN: Role.ADMIN}[scope]
        if not self.role.includes(needed):
            raise Forbidden(
                f"This is for the role {needed.value} and above in {self.organization.slug}; you are {self.role.value} there. "
                "Ask an admin of the organization.",
                required_role=needed.value,
            )

    @property
    def is_admin(self) -> bool:
        """Whether what only admins see may be shown."""
        return self.role is Role.ADMIN and Scope.ADMIN in self.scopes

    async def event_cursor(self) -> str:
        """The position of the log before the first row of this operation was read.

        Read once. Resolvers that give out an `eventCursor` call this before they read anything.
        """
        if self._head is None:
            self._head = await self.store.events.head(self.organization.id)
        return self.gateway.feed.cursor_at(self.organization.id, self._head)


def system_context(gateway: Gateway, organization: Organization, principal: str = "system") -> Context:
    """The gateway itself at work, outside a request. `principal`: for whom, where a private source is to be reached."""
    return Context(
        gateway=gateway,
        organization=organization,
        principal=Principal(key=principal, subject=None, display_name=None),
        role=Role.ADMIN,
        scopes=frozenset(Scope),
        request_id="system",
    )
