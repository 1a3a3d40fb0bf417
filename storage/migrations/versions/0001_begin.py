"""The tables that the gateway begins with."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


_DESCENDING = """
CREATE INDEX chat_by_updated_desc ON chat (organization_id, source_id, updated_key DESC, native_id) WHERE deleted_at IS NULL;
CREATE INDEX chat_by_created_desc ON chat (organization_id, source_id, created_at DESC, native_id) WHERE deleted_at IS NULL;
CREATE INDEX chat_by_title_desc ON chat (organization_id, source_id, title_key DESC, native_id) WHERE deleted_at IS NULL
"""

# The index of a text is external: it reads the words from their table. To forget a row it must be told exactly the words that it was
# told before, so triggers keep it, and no statement can pass by them. A text that is still being written is not indexed.
_FULL_TEXT = (
    "CREATE VIRTUAL TABLE message_text USING fts5 (text, content='message', content_rowid='id', tokenize='trigram')",
    """
    CREATE TRIGGER message_text_added AFTER INSERT ON message WHEN new.state NOT IN ('PENDING', 'STREAMING')
    BEGIN
      INSERT INTO message_text (rowid, text) VALUES (new.id, new.text);
    END
    """,
    """
    CREATE TRIGGER message_text_changed AFTER UPDATE OF text, state ON message
    WHEN old.text IS NOT new.text
      OR (old.state IN ('PENDING', 'STREAMING')) <> (new.state IN ('PENDING', 'STREAMING'))
    BEGIN
      INSERT INTO message_text (message_text, rowid, text)
      SELECT 'delete', old.id, old.text WHERE old.state NOT IN ('PENDING', 'STREAMING');
      INSERT INTO message_text (rowid, text)
      SELECT new.id, new.text WHERE new.state NOT IN ('PENDING', 'STREAMING');
    END
    """,
    """
    CREATE TRIGGER message_text_removed AFTER DELETE ON message WHEN old.state NOT IN ('PENDING', 'STREAMING')
    BEGIN
      INSERT INTO message_text (message_text, rowid, text) VALUES ('delete', old.id, old.text);
    END
    """,
    "CREATE VIRTUAL TABLE chat_title USING fts5 (title, content='chat', content_rowid='id', tokenize='trigram')",
    """
    CREATE TRIGGER chat_title_added AFTER INSERT ON chat WHEN new.title IS NOT NULL
    BEGIN
      INSERT INTO chat_title (rowid, title) VALUES (new.id, new.title);
    END
    """,
    """
    CREATE TRIGGER chat_title_changed AFTER UPDATE OF title ON chat WHEN old.title IS NOT new.title
    BEGIN
      INSERT INTO chat_title (chat_title, rowid, title) SELECT 'delete', old.id, old.title WHERE old.title IS NOT NULL;
      INSERT INTO chat_title (rowid, title) SELECT new.id, new.title WHERE new.title IS NOT NULL;
    END
    """,
    """
    CREATE TRIGGER chat_title_removed AFTER DELETE ON chat WHEN old.title IS NOT NULL
    BEGIN
      INSERT INTO chat_title (chat_title, rowid, title) VALUES ('delete', old.id, old.title);
    END
    """,
)


def upgrade() -> None:
    """From an empty database."""
    op.create_table(
        "organization",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("slug"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("api_key_of_organization", "api_key", ["organization_id", "id"], unique=False)
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=True),
        sa.Column("input", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_of_organization", "audit", ["organization_id", "id"], unique=False)
    op.create_table(
        "event",
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("chat_id", sa.String(), nullable=False),
        sa.Column("native_id", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
        ),
        sa.PrimaryKeyConstraint("organization_id", "seq"),
    )
    op.create_index("event_age", "event", ["organization_id", "occurred_at"], unique=False)
    op.create_index(
        "event_once", "event", ["organization_id", "kind", "source_id", "chat_id", "native_id", "revision"], unique=True
    )
    op.create_table(
        "folder",
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("native_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("sort_name", sa.String(), nullable=False),
        sa.Column("parent_id", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
        ),
        sa.PrimaryKeyConstraint("organization_id", "source_id", "native_id"),
    )
    op.create_index("folder_tree", "folder", ["organization_id", "source_id", "parent_id"], unique=False)
    op.create_table(
        "intent",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("mutation", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("input_hash", sa.LargeBinary(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("chat_id", sa.String(), nullable=False),
        sa.Column("newest_known", sa.String(), nullable=True),
        sa.Column("message_id", sa.String(), nullable=True),
        sa.Column("reply_id", sa.String(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("intent_age", "intent", ["organization_id", "created_at"], unique=False)
    op.create_index(
        "intent_key",
        "intent",
        ["organization_id", "principal", "mutation", "idempotency_key"],
        unique=True,
        sqlite_where=sa.text("idempotency_key IS NOT NULL"),
    )
    op.create_index(
        "intent_open",
        "intent",
        ["state", "organization_id"],
        unique=False,
        sqlite_where=sa.text("state IN ('OPEN', 'UNKNOWN')"),
    )
    op.create_table(
        "member",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=True),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("organization_id", "issuer", "subject"),
        sqlite_autoincrement=True,
    )
    op.create_index("member_identity", "member", ["issuer", "subject"], unique=False)
    op.create_table(
        "organization_stream",
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("head", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
        ),
        sa.PrimaryKeyConstraint("organization_id"),
    )
    op.create_table(
        "read_marker",
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("chat_id", sa.String(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("message_at", sa.BigInteger(), nullable=True),
        sa.Column("marked_at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
        ),
        sa.PrimaryKeyConstraint("organization_id", "principal", "source_id", "chat_id"),
    )
    op.create_table(
        "source",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("vendor", sa.String(), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("base_url", sa.String(), nullable=True),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("visibility", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("credentials", sa.LargeBinary(), nullable=False),
        sa.Column("webhook", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.Column("keeps_mirror", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "source_key", "source", ["organization_id", "key"], unique=True, sqlite_where=sa.text("removed_at IS NULL")
    )
    op.create_table(
        "chat",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("native_id", sa.String(), nullable=False),
        sa.Column("known", sa.Integer(), nullable=False),
        sa.Column("overlaid", sa.Integer(), nullable=False),
        sa.Column("beneath", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("title_key", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("agent", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=True),
        sa.Column("pinned", sa.Boolean(), nullable=True),
        sa.Column("archived", sa.Boolean(), nullable=True),
        sa.Column("folder_source_id", sa.Integer(), nullable=True),
        sa.Column("folder_id", sa.String(), nullable=True),
        sa.Column("share_url", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=True),
        sa.Column("last_message_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_key", sa.BigInteger(), nullable=True),
        sa.Column("message_count", sa.Integer(), nullable=True),
        sa.Column("raw", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.Column("has_baseline", sa.Boolean(), nullable=False),
        sa.Column("oldest", sa.BigInteger(), nullable=True),
        sa.Column("active_leaf", sa.String(), nullable=True),
        sa.Column("path_length", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
        ),
        sa.ForeignKeyConstraint(
            ["source_id"],
            ["source.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("organization_id", "source_id", "native_id"),
    )
    op.create_index(
        "chat_by_created",
        "chat",
        ["organization_id", "source_id", "created_at", "native_id"],
        unique=False,
        sqlite_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "chat_by_title",
        "chat",
        ["organization_id", "source_id", "title_key", "native_id"],
        unique=False,
        sqlite_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "chat_by_updated",
        "chat",
        ["organization_id", "source_id", "updated_key", "native_id"],
        unique=False,
        sqlite_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index("chat_in_folder", "chat", ["organization_id", "folder_source_id", "folder_id"], unique=False)
    op.create_index("chat_seen", "chat", ["seen_at"], unique=False)
    op.create_table(
        "chat_overlay",
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("chat_id", sa.String(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=True),
        sa.Column("pinned", sa.Boolean(), nullable=True),
        sa.Column("archived", sa.Boolean(), nullable=True),
        sa.Column("folder_source_id", sa.Integer(), nullable=True),
        sa.Column("folder_id", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
        ),
        sa.ForeignKeyConstraint(
            ["source_id"],
            ["source.id"],
        ),
        sa.PrimaryKeyConstraint("organization_id", "source_id", "chat_id"),
    )
    op.create_table(
        "message_alias",
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("chat_id", sa.String(), nullable=False),
        sa.Column("native_id", sa.String(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
        ),
        sa.ForeignKeyConstraint(
            ["source_id"],
            ["source.id"],
        ),
        sa.PrimaryKeyConstraint("organization_id", "source_id", "chat_id", "native_id"),
        sa.UniqueConstraint("organization_id", "source_id", "chat_id", "public_id"),
    )
    op.create_table(
        "source_state",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("baseline_at", sa.BigInteger(), nullable=True),
        sa.Column("oldest", sa.BigInteger(), nullable=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=True),
        sa.Column("drained_at", sa.BigInteger(), nullable=True),
        sa.Column("is_complete", sa.Boolean(), nullable=False),
        sa.Column("folders_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
        ),
        sa.ForeignKeyConstraint(
            ["source_id"],
            ["source.id"],
        ),
        sa.PrimaryKeyConstraint("source_id"),
    )
    op.create_table(
        "message",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("chat_id", sa.String(), nullable=False),
        sa.Column("native_id", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("author", sa.Text(), nullable=True),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("parent_id", sa.String(), nullable=True),
        sa.Column("parts", sa.Text(), nullable=True),
        sa.Column("attachments", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=True),
        sa.Column("edited_at", sa.BigInteger(), nullable=True),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("raw", sa.Text(), nullable=True),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("is_own", sa.Boolean(), nullable=False),
        sa.Column("sent_by", sa.String(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id", "source_id", "chat_id"],
            ["chat.organization_id", "chat.source_id", "chat.native_id"],
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("organization_id", "source_id", "chat_id", "native_id"),
    )
    op.create_index(
        "message_path",
        "message",
        ["organization_id", "source_id", "chat_id", "position"],
        unique=False,
        sqlite_where=sa.text("position IS NOT NULL"),
    )
    op.create_index(
        "message_sent",
        "message",
        ["organization_id", "source_id", "chat_id", "sent_by", "position"],
        unique=False,
        sqlite_where=sa.text("sent_by IS NOT NULL"),
    )
    op.create_index(
        "message_unfinished",
        "message",
        ["organization_id", "state"],
        unique=False,
        sqlite_where=sa.text("state IN ('PENDING', 'STREAMING')"),
    )

    for statement in (*_DESCENDING.split(";"), *_FULL_TEXT):
        op.execute(statement)
