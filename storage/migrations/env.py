"""Alembic's entry: runs inside the transaction that `storage.migrate` has begun."""

from alembic import context
from sqlmodel import SQLModel

from storage import tables  # noqa: F401  # fills the metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    transactional_ddl=True,
)
context.run_migrations()
