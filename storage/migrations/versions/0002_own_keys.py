"""Keys of sources that only their owner sees are taken for that owner alone."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
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
