"""The tables. They are the schema: migrations reach exactly them, and a test says so.

Conventions: times are whole microseconds since 1970 in UTC (`…_at`), JSON is text written by orjson, enums are their names. Every
table with data of a tenant carries `organization_id`. Rows are read and written as SQL text; these classes never travel.
"""

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, LargeBinary, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

_LIVE = text("deleted_at IS NULL")
_NO = text("0")


class OrganizationRow(SQLModel, table=True):
    """A tenant."""

    __tablename__ = "organization"
    __table_args__ = {"sqlite_autoincrement": True}  # SQLAlchemy's own form

    id: int = Field(primary_key=True)
    slug: str = Field(unique=True)
    name: str
    created_at: int = Field(sa_type=BigInteger)


class OrganizationStreamRow(SQLModel, table=True):
    """The counter of an organization's log: `head` is the newest position given out."""

    __tablename__ = "organization_stream"

    organization_id: int = Field(primary_key=True, foreign_key="organization.id")
    head: int = Field(sa_type=BigInteger)


class MemberRow(SQLModel, table=True):
    """Somebody who belongs to an organization."""

    __tablename__ = "member"
    __table_args__ = (
        UniqueConstraint("organization_id", "issuer", "subject"),
        Index("member_identity", "issuer", "subject"),
        {"sqlite_autoincrement": True},
    )

    id: int = Field(primary_key=True)
    organization_id: int = Field(foreign_key="organization.id")
    issuer: str
    subject: str
    display_name: str | None
    role: str
    joined_at: int = Field(sa_type=BigInteger)


class ApiKeyRow(SQLModel, table=True):
    """A key for programs. `digest` is the SHA-256 of the key, which is kept nowhere."""

    __tablename__ = "api_key"
    __table_args__ = (
        Index("api_key_of_organization", "organization_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int = Field(primary_key=True)
    organization_id: int = Field(foreign_key="organization.id")
    name: str
    prefix: str
    digest: bytes = Field(sa_type=LargeBinary, unique=True)
    scopes: str = Field(sa_type=Text)
    role: str
    created_at: int = Field(sa_type=BigInteger)
    last_used_at: int | None = Field(sa_type=BigInteger)
    expires_at: int | None = Field(sa_type=BigInteger)
    revoked_at: int | None = Field(sa_type=BigInteger)


class AuditRow(SQLModel, table=True):
    """One administrative act."""

    __tablename__ = "audit"
    __table_args__ = (Index("audit_of_organization", "organization_id", "id"), {"sqlite_autoincrement": True})

    id: int = Field(primary_key=True)
    organization_id: int = Field(foreign_key="organization.id")
    at: int = Field(sa_type=BigInteger)
    actor: str
    action: str
    target: str | None
    input: str = Field(sa_type=Text)


class SourceRow(SQLModel, table=True):
    """A connection to a vendor. A removed one stays as a tombstone, so that its id is never used again.

    Keys are unique among what everybody in the organization sees, and among what one owner alone sees: else a refused key would tell
    others that there is such a source.
    `webhook` is the keyed digest of the token in its webhook's address, which is kept nowhere; null: it has none.
    """

    __tablename__ = "source"
    __table_args__ = (
        Index(
            "source_key",
            "organization_id",
            "key",
            unique=True,
            sqlite_where=text("removed_at IS NULL AND visibility = 'ORGANIZATION'"),
        ),
        Index(
            "source_own_key",
            "organization_id",
            "owner",
            "key",
            unique=True,
            sqlite_where=text("removed_at IS NULL AND visibility = 'OWNER'"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: int = Field(primary_key=True)
    organization_id: int = Field(foreign_key="organization.id")
    key: str
    vendor: str
    display_name: str
    base_url: str | None
    options: str = Field(sa_type=Text)
    visibility: str
    owner: str | None
    account: str | None = Field(sa_type=Text)
    credentials: bytes = Field(sa_type=LargeBinary)
    webhook: bytes | None = Field(sa_type=LargeBinary)
    created_at: int = Field(sa_type=BigInteger)
    removed_at: int | None = Field(sa_type=BigInteger)
    keeps_mirror: bool


class SourceStateRow(SQLModel, table=True):
    """How far the list of a source's chats is known. `baseline_at` null: no reading showed its newest end yet.

    `oldest` is the order key of the oldest row of the first reading, null when that was the whole list. `folders_at`: when its folders were first listed.
    """

    __tablename__ = "source_state"

    source_id: int = Field(primary_key=True, foreign_key="source.id")
    organization_id: int = Field(foreign_key="organization.id")
    baseline_at: int | None = Field(sa_type=BigInteger)
    oldest: int | None = Field(sa_type=BigInteger)
    seen_at: int | None = Field(sa_type=BigInteger)
    drained_at: int | None = Field(sa_type=BigInteger)
    is_complete: bool
    folders_at: int | None = Field(sa_type=BigInteger)


class FolderRow(SQLModel, table=True):
    """A folder of the gateway (`source_id` 0) or of a vendor. `sort_name` is the name case-folded."""

    __tablename__ = "folder"
    __table_args__ = (Index("folder_tree", "organization_id", "source_id", "parent_id"),)

    organization_id: int = Field(primary_key=True, foreign_key="organization.id")
    source_id: int = Field(primary_key=True)
    native_id: str = Field(primary_key=True)
    name: str
    sort_name: str
    parent_id: str | None
    created_at: int | None = Field(sa_type=BigInteger)
    updated_at: int | None = Field(sa_type=BigInteger)
    revision: int
    changed_at: int = Field(sa_type=BigInteger)
    deleted_at: int | None = Field(sa_type=BigInteger)


def _list_index(name: str, key: str) -> list[Index]:
    """Two indexes for one order: ties are ascending in both directions, so neither direction is the other read backwards."""
    columns = ("organization_id", "source_id")
    return [
        Index(f"chat_by_{name}", *columns, key, "native_id", sqlite_where=_LIVE),
        Index(f"chat_by_{name}_desc", *columns, text(f"{key} DESC"), "native_id", sqlite_where=_LIVE),
    ]


class ChatRow(SQLModel, table=True):
    """What is known of a chat: effective values, overlays included.

    `known` and `overlaid` are bit sets over the fields of `domain.records.Chat` (see `storage.chat_rows`); `beneath` holds what the
    vendor tells about overlaid fields. `updated_key` is what `UPDATED_AT` orders by, `title_key` the title case-folded.
    `has_baseline`: a reading of its messages with the newest end was seen; `oldest` is the oldest time of that reading, null when it was whole.
    `read_mark`: what the chat's row in its source's list said when all its messages had been read, null when that is not certain.
    """

    __tablename__ = "chat"
    __table_args__ = (
        UniqueConstraint("organization_id", "source_id", "native_id"),
        *_list_index("updated", "updated_key"),
        *_list_index("created", "created_at"),
        *_list_index("title", "title_key"),
        Index("chat_in_folder", "organization_id", "folder_source_id", "folder_id"),
        Index("chat_seen", "seen_at"),
    )

    id: int = Field(primary_key=True)
    organization_id: int = Field(foreign_key="organization.id")
    source_id: int = Field(foreign_key="source.id")
    native_id: str
    known: int
    overlaid: int
    beneath: str | None = Field(sa_type=Text)
    title: str | None = Field(sa_type=Text)
    title_key: str | None = Field(sa_type=Text)
    owner: str | None = Field(sa_type=Text)
    agent: str | None = Field(sa_type=Text)
    metadata_: str | None = Field(sa_column_kwargs={"name": "metadata"}, sa_type=Text)
    tags: str | None = Field(sa_type=Text)
    pinned: bool | None
    archived: bool | None
    folder_source_id: int | None
    folder_id: str | None
    share_url: str | None = Field(sa_type=Text)
    created_at: int | None = Field(sa_type=BigInteger)
    updated_at: int | None = Field(sa_type=BigInteger)
    last_message_at: int | None = Field(sa_type=BigInteger)
    updated_key: int | None = Field(sa_type=BigInteger)
    message_count: int | None
    raw: str | None = Field(sa_type=Text)
    revision: int
    changed_at: int = Field(sa_type=BigInteger)
    seen_at: int = Field(sa_type=BigInteger)
    deleted_at: int | None = Field(sa_type=BigInteger)
    has_baseline: bool
    oldest: int | None = Field(sa_type=BigInteger)
    active_leaf: str | None
    path_length: int
    read_mark: str | None


class ChatOverlayRow(SQLModel, table=True):
    """What the organization keeps about a chat where its vendor cannot. Null: not kept here."""

    __tablename__ = "chat_overlay"

    organization_id: int = Field(primary_key=True, foreign_key="organization.id")
    source_id: int = Field(primary_key=True, foreign_key="source.id")
    chat_id: str = Field(primary_key=True)
    title: str | None = Field(sa_type=Text)
    metadata_: str | None = Field(sa_column_kwargs={"name": "metadata"}, sa_type=Text)
    tags: str | None = Field(sa_type=Text)
    pinned: bool | None
    archived: bool | None
    folder_source_id: int | None
    folder_id: str | None


class MessageRow(SQLModel, table=True):
    """What is known of a message. `position` is its index along the active path, null off the path.

    `is_own`: it was written through the gateway; while it is not final, a reading that lacks it does not delete it.
    `is_apart`: messages that are not known may stand between it and the others; at sources that page messages, the rest of a chat is one
    stretch without holes.
    `follower`: the process that last followed it while it was written; null: none ever did.
    `sent_by`: the principal who sent it through the gateway, for whom it is not unread; null: somebody else, or elsewhere.
    """

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("organization_id", "source_id", "chat_id", "native_id"),
        ForeignKeyConstraint(
            ("organization_id", "source_id", "chat_id"),
            ("chat.organization_id", "chat.source_id", "chat.native_id"),
            ondelete="CASCADE",
        ),
        Index(
            "message_path",
            "organization_id",
            "source_id",
            "chat_id",
            "position",
            sqlite_where=text("position IS NOT NULL"),
        ),
        Index(
            "message_sent",
            "organization_id",
            "source_id",
            "chat_id",
            "sent_by",
            "position",
            sqlite_where=text("sent_by IS NOT NULL"),
        ),
        Index(
            "message_unfinished",
            "organization_id",
            "state",
            sqlite_where=text("state IN ('PENDING', 'STREAMING')"),
        ),
    )

    id: int = Field(primary_key=True)
    organization_id: int
    source_id: int
    chat_id: str
    native_id: str
    role: str
    text: str = Field(sa_type=Text)
    state: str
    author: str | None = Field(sa_type=Text)
    model: str | None
    parent_id: str | None
    parts: str | None = Field(sa_type=Text)
    attachments: str | None = Field(sa_type=Text)
    created_at: int | None = Field(sa_type=BigInteger)
    edited_at: int | None = Field(sa_type=BigInteger)
    deleted_at: int | None = Field(sa_type=BigInteger)
    metadata_: str | None = Field(sa_column_kwargs={"name": "metadata"}, sa_type=Text)
    raw: str | None = Field(sa_type=Text)
    content_hash: bytes = Field(sa_type=LargeBinary)
    is_own: bool
    is_apart: bool = Field(sa_column_kwargs={"server_default": _NO})
    sent_by: str | None
    position: int | None
    revision: int
    changed_at: int = Field(sa_type=BigInteger)
    follower: str | None


class MessageAliasRow(SQLModel, table=True):
    """A message that was given out under an id of ours before its vendor told its own."""

    __tablename__ = "message_alias"
    __table_args__ = (UniqueConstraint("organization_id", "source_id", "chat_id", "public_id"),)

    organization_id: int = Field(primary_key=True, foreign_key="organization.id")
    source_id: int = Field(primary_key=True, foreign_key="source.id")
    chat_id: str = Field(primary_key=True)
    native_id: str = Field(primary_key=True)
    public_id: str


class EventRow(SQLModel, table=True):
    """One line of an organization's log."""

    __tablename__ = "event"
    __table_args__ = (
        Index("event_once", "organization_id", "kind", "source_id", "chat_id", "native_id", "revision", unique=True),
        Index("event_age", "organization_id", "occurred_at"),
    )

    organization_id: int = Field(primary_key=True, foreign_key="organization.id")
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    kind: str
    source_id: int
    chat_id: str
    native_id: str
    revision: int
    occurred_at: int = Field(sa_type=BigInteger)
    detail: str | None = Field(sa_type=Text)


class IntentRow(SQLModel, table=True):
    """A write that was announced before its vendor was asked. `process` is the one that does it; null: one of an older release."""

    __tablename__ = "intent"
    __table_args__ = (
        Index(
            "intent_key",
            "organization_id",
            "principal",
            "mutation",
            "idempotency_key",
            unique=True,
            sqlite_where=text("idempotency_key IS NOT NULL"),
        ),
        Index("intent_open", "state", "organization_id", sqlite_where=text("state IN ('OPEN', 'UNKNOWN')")),
        Index("intent_age", "organization_id", "created_at"),
        {"sqlite_autoincrement": True},
    )

    id: int = Field(primary_key=True)
    organization_id: int = Field(foreign_key="organization.id")
    principal: str
    mutation: str
    idempotency_key: str | None
    input_hash: bytes = Field(sa_type=LargeBinary)
    source_id: int
    chat_id: str
    newest_known: str | None
    message_id: str | None
    reply_id: str | None
    state: str
    result: str = Field(sa_type=Text)
    created_at: int = Field(sa_type=BigInteger)
    process: str | None


class ReadMarkerRow(SQLModel, table=True):
    """Up to where a principal has read a chat. `position` and `message_at` are the message's when it was marked."""

    __tablename__ = "read_marker"

    organization_id: int = Field(primary_key=True, foreign_key="organization.id")
    principal: str = Field(primary_key=True)
    source_id: int = Field(primary_key=True)
    chat_id: str = Field(primary_key=True)
    message_id: str
    position: int | None
    message_at: int | None = Field(sa_type=BigInteger)
    marked_at: int = Field(sa_type=BigInteger)
    revision: int
