"""What live feeds, replies in several processes, webhooks and private sources of equal keys need to remember."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _sources()
    _chats_and_messages()


def _sources() -> None:
    """Keys of sources that only their owner sees are taken for that owner alone."""
    op.add_column("source", sa.Column("webhook", sa.LargeBinary(), nullable=True))
    op.drop_index("source_key", table_name="source")
    op.create_index(
        "source_key",
        "source",
        ["organization_id", "key"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL AND visibility = 'ORGANIZATION'"),
    )
    op.create_index(
        "source_own_key",
        "source",
        ["organization_id", "owner", "key"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL AND visibility = 'OWNER'"),
    )


def _chats_and_messages() -> None:
    op.add_column("chat", sa.Column("read_mark", sa.String(), nullable=True))
    op.add_column("message", sa.Column("is_apart", sa.Boolean(), server_default=sa.text("0"), nullable=False))
    op.add_column("message", sa.Column("follower", sa.String(), nullable=True))
    op.add_column("intent", sa.Column("process", sa.String(), nullable=True))
    op.add_column("message", sa.Column("sent_by", sa.String(), nullable=True))
    op.create_index(
        "message_sent",
        "message",
        ["organization_id", "source_id", "chat_id", "sent_by", "position"],
        unique=False,
        sqlite_where=sa.text("sent_by IS NOT NULL"),
    )
