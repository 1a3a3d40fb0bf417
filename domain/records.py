"""The records that all layers share: frozen, without I/O, GraphQL or SQL.

`None` means "the source does not tell, or it is not set"; for `Chat`, `told` says which of the two.
Times are aware and in UTC. Ids called `…_id` of type `int` are the store's own short ids; `native_id` is the id inside a source.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

GATEWAY = 0
"""In place of a source id: the gateway itself keeps it, for example a folder that may hold chats of any source."""


class Role(StrEnum):
    """What somebody may do in an organization. Each role includes the ones before it."""

    VIEWER = "VIEWER"
    MEMBER = "MEMBER"
    ADMIN = "ADMIN"

    def includes(self, other: "Role") -> bool:
        """Whether this role may do all that `other` may."""
        ranks = (Role.VIEWER, Role.MEMBER, Role.ADMIN)
        return ranks.index(self) >= ranks.index(other)


class Scope(StrEnum):
    """What a key or token may be used for. Independent of each other: `WRITE` does not include `READ`."""

    READ = "READ"
    WRITE = "WRITE"
    ADMIN = "ADMIN"


class Visibility(StrEnum):
    """Who sees a source and everything in it."""

    ORGANIZATION = "ORGANIZATION"
    OWNER = "OWNER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is asking. `key` identifies it in the store and is stable: `key:<api key id>` or `jwt:<issuer> <subject>`."""

    key: str
    subject: str | None
    """The `sub` claim of a token; None for API keys."""
    display_name: str | None

    def owns(self, source: "Source") -> bool:
        """Whether it connected a source, which then may be for its eyes only."""
        return source.owner == self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """The tenant: owns sources, folders, chats, keys; nothing crosses it. `slug` is unique on the gateway."""

    id: int
    slug: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Somebody who belongs to an organization, known by (`issuer`, `subject`) of the sign-in service."""

    id: int
    organization_id: int
    issuer: str
    subject: str
    display_name: str | None
    role: Role
    joined_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key for programs, without its secret. `prefix` are its first characters."""

    id: int
    organization_id: int
    name: str
    prefix: str
    scopes: frozenset[Scope]
    role: Role
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One administrative act. `target` is a global id or None; `input` holds no secrets."""

    id: int
    organization_id: int
    at: datetime
    actor: str
    action: str
    target: str | None
    input: Mapping[str, Any]


class AccountKind(StrEnum):
    """What kind of owner a vendor knows."""

    ACCOUNT = "ACCOUNT"
    TENANT = "TENANT"
    ORGANIZATION = "ORGANIZATION"
    TEAM = "TEAM"
    INSTANCE = "INSTANCE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the vendor calls the owner of everything that a source sees."""

    kind: AccountKind
    native_id: str | None = None
    slug: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One configured connection of one organization to one vendor. Its credentials are kept apart and are not part of the record."""

    id: int
    organization_id: int
    key: str
    vendor: str
    display_name: str
    base_url: str | None
    options: Mapping[str, Any] = field(default_factory=dict)
    visibility: Visibility = Visibility.ORGANIZATION
    owner: str | None = None
    """`Principal.key` of who connected it; with `OWNER` nobody else sees it."""
    account: Account | None = None
    created_at: datetime
    disconnected_at: datetime | None = None
    """Set when only the gateway's copy of its chats is left: `disconnectSource(mirror: KEEP)`."""

    def is_visible_to(self, principal: Principal) -> bool:
        """Whether `principal`, a member of the organization, may know of it."""
        return self.visibility is Visibility.ORGANIZATION or principal.owns(self)


class AgentKind(StrEnum):
    """What can answer in a chat."""

    MODEL = "MODEL"
    AGENT = "AGENT"
    WORKFLOW = "WORKFLOW"


@dataclass(frozen=True, slots=True)
class Person:
    """A person at a source."""

    native_id: str | None = None
    display_name: str | None = None


@dataclass(frozen=True, slots=True)
class Agent:
    """An assistant, agent, workflow or model at a source. `native_id` is what `createChat(agent)` takes."""

    native_id: str | None = None
    display_name: str | None = None
    kind: AgentKind | None = None


Actor = Person | Agent


@dataclass(frozen=True, slots=True)
class FolderRef:
    """Names a folder: of a source, or of the gateway (`source_id == GATEWAY`)."""

    source_id: int
    native_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder of chats. Names are unique nowhere. `parent_id` is native and of the same source; None at the top."""

    organization_id: int
    source_id: int
    native_id: str
    name: str
    parent_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def ref(self) -> FolderRef:
        """How chats name it."""
        return FolderRef(self.source_id, self.native_id)


CHAT_FIELDS = frozenset(
    [
        "title",
        "owner",
        "agent",
        "metadata",
        "tags",
        "pinned",
        "archived",
        "folder",
        "share_url",
        "created_at",
        "updated_at",
        "last_message_at",
        "message_count",
        "raw",
    ]
)
"""What a reading of a chat can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A chat as one reading showed it.

    `told` names the fields that this reading knows; the others are None because it did not tell, and never replace what is
    known. A field that is told and None is not set. `version` and overlays are added by the resolvers.
    """

    organization_id: int
    source_id: int
    native_id: str
    told: frozenset[str] = CHAT_FIELDS
    title: str | None = None
    owner: Actor | None = None
    agent: Agent | None = None
    metadata: Mapping[str, Any] | None = None
    tags: tuple[str, ...] | None = None
    """Alphabetical."""
    pinned: bool | None = None
    archived: bool | None = None
    folder: FolderRef | None = None
    share_url: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    last_message_at: datetime | None = None
    message_count: int | None = None
    """Length of the active path."""
    raw: Mapping[str, Any] | None = None
    """What the connector's allow-list lets through, for admins."""
    as_of: datetime | None = None
    """Set when this is the gateway's copy because the source could not be asked: when it was last seen."""

    @property
    def key(self) -> tuple[int, str]:
        """Identifies it inside the organization."""
        return (self.source_id, self.native_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """What the store keeps about a chat for the organization, where the vendor cannot. None: not kept here."""

    title: str | None = None
    metadata: Mapping[str, Any] | None = None
    tags: tuple[str, ...] | None = None
    pinned: bool | None = None
    archived: bool | None = None
    folder: FolderRef | None = None


class MessageRole(StrEnum):
    """Whose words a message holds."""

    USER = "USER"
    ASSISTANT = "ASSISTANT"
    SYSTEM = "SYSTEM"
    TOOL = "TOOL"
    OTHER = "OTHER"


class MessageState(StrEnum):
    """How far a message is. COMPLETE, FAILED and CANCELLED are final."""

    PENDING = "PENDING"
    STREAMING = "STREAMING"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will come by itself."""
        return self not in (MessageState.PENDING, MessageState.STREAMING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that came with a message."""

    name: str | None = None
    media_type: str | None = None
    size_bytes: int | None = None
    url: str | None = None


class PartKind(StrEnum):
    """What a piece of a message is; the fields of `Part` that each uses stand there."""

    TEXT = "TEXT"
    REASONING = "REASONING"
    TOOL_CALL = "TOOL_CALL"
    CITATION = "CITATION"
    ATTACHMENT = "ATTACHMENT"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a message. TOOL_CALL: `name`, `call_id`, `arguments`, `result`; CITATION: `name` (title), `url`; ATTACHMENT: `attachment`; OTHER: `name` (its kind), `raw`."""

    kind: PartKind
    text: str | None = None
    name: str | None = None
    call_id: str | None = None
    arguments: Any = None
    result: Any = None
    url: str | None = None
    attachment: Attachment | None = None
    raw: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message of a chat as one reading showed it.

    `parent_id` is the message before it; sources without branches chain their messages, so every chat is a tree.
    `parts` is empty when the text is all there is: it then stands for one TEXT part.
    """

    organization_id: int
    source_id: int
    chat_id: str
    native_id: str
    role: MessageRole
    text: str = ""
    state: MessageState = MessageState.COMPLETE
    author: Actor | None = None
    model: str | None = None
    parent_id: str | None = None
    parts: tuple[Part, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    created_at: datetime | None = None
    edited_at: datetime | None = None
    deleted_at: datetime | None = None
    metadata: Mapping[str, Any] | None = None
    raw: Mapping[str, Any] | None = None

    @property
    def key(self) -> tuple[int, str, str]:
        """Identifies it inside the organization."""
        return (self.source_id, self.chat_id, self.native_id)


class EventKind(StrEnum):
    """What a line of the log tells; each is named after its GraphQL type."""

    MESSAGE_CREATED = "MESSAGE_CREATED"
    MESSAGE_UPDATED = "MESSAGE_UPDATED"
    MESSAGE_DELETED = "MESSAGE_DELETED"
    CHAT_CREATED = "CHAT_CREATED"
    CHAT_UPDATED = "CHAT_UPDATED"
    CHAT_DELETED = "CHAT_DELETED"
    FOLDER_CHANGED = "FOLDER_CHANGED"
    READ_STATE_CHANGED = "READ_STATE_CHANGED"
    SOURCE_HEALTH_CHANGED = "SOURCE_HEALTH_CHANGED"
    STREAM_GAP = "STREAM_GAP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of an organization's log, at position `seq` (1 is the first). It names rows; what they hold is read from the store.

    `source_id` is GATEWAY and `chat_id` empty where the event is about no source or chat. `native_id` is the message, folder or chat.
    `detail` holds what no row keeps: `client_mutation_id` and `principal` of a sent message, a read marker, a source's health.
    """

    organization_id: int
    seq: int
    kind: EventKind
    source_id: int
    chat_id: str
    native_id: str
    revision: int
    occurred_at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """The next words of an answer that is being written; not a line of the log.

    `after_seq` is the position of the message's last logged event; `offset` counts UTF-16 code units before `text`.
    """

    organization_id: int
    source_id: int
    chat_id: str
    message_id: str
    after_seq: int
    offset: int
    text: str
    occurred_at: datetime


class HealthState(StrEnum):
    """Whether a source answers."""

    UNKNOWN = "UNKNOWN"
    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    DOWN = "DOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How a source has been answering lately."""

    state: HealthState = HealthState.UNKNOWN
    checked_at: datetime | None = None
    last_success_at: datetime | None = None
    latency_ms: int | None = None
    message: str | None = None
    contract_drift: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked at a source. `passed` is None when it could not be."""

    name: str
    passed: bool | None
    message: str


@dataclass(frozen=True, slots=True)
class SearchHit:
    """Something found. `highlights` are ranges of `snippet` in UTF-16 code units; a higher `score` is better, within one source."""

    found: Chat | Message
    score: float
    snippet: str | None = None
    highlights: Sequence[tuple[int, int]] = ()
