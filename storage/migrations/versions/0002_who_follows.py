"""Who follows a reply, and who does a write: so that the living know what a process that died left behind."""

import sqlalchemy as sa
from alembic import op

revision = "0002_who_follows"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two columns that are null for all that is there."""
    op.add_column("message", sa.Column("follower", sa.String(), nullable=True))
    op.add_column("intent", sa.Column("process", sa.String(), nullable=True))
