"""Every statement on data of a tenant names whose it is. Held against all that the tests make the store run, at the driver."""

import re
from collections.abc import Iterable

from sqlmodel import SQLModel

from storage import tables

_TENANT_TABLES = {
    row.__tablename__
    for row in vars(tables).values()
    if isinstance(row, type) and issubclass(row, SQLModel) and "organization_id" in row.model_fields
}
_USED = re.compile(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+(\w+)")
_NAMED = re.compile(r"organization_id = |INTO \w+ \([^)]*organization_id")

_KNOWN = (
    # A credential tells the organization, and not the other way round.
    "WHERE api_key.digest = ",
    "FROM api_key WHERE revoked_at IS NULL LIMIT 1",
    "WHERE member.issuer = ",
    "/* by webhook */",
    # By an id that this process was given by a statement that named the organization.
    "UPDATE api_key SET last_used_at",
    "UPDATE intent SET state",
    # What any organization left open or unfinished is looked after together.
    "FROM intent INDEXED BY intent_open WHERE state IN",
    "INDEXED BY message_unfinished WHERE message.state IN",
    # The statement is a test's own.
    "/* test */",
    # What a trigger does to the index of a row.
    "-- ",
)


def strangers(statements: Iterable[str]) -> list[str]:
    """Those that use a table of tenants more often than they name an organization."""
    return sorted({statement for statement in statements if _is_strange(statement)})


def _is_strange(statement: str) -> bool:
    used = [table for table in _USED.findall(statement) if table in _TENANT_TABLES]
    named = _NAMED.findall(statement)
    return len(used) > len(named) and not any(known in statement for known in _KNOWN)
