"""The audit log: every administrative act is noted in the transaction that does it, without secrets."""

from collections.abc import Mapping
from typing import Any

from resolvers.context import Context
from resolvers.principals import actor_name
from storage.database import Transaction


async def note(
    context: Context,
    tx: Transaction,
    action: str,
    target: str | None,
    input_: Mapping[str, Any],
    *,
    organization_id: int | None = None,
) -> None:
    """Note `action`, the name of the mutation, done to `target`, a global id. The caller leaves secrets out of `input_`."""
    await context.store.organizations.add_audit(
        tx,
        organization_id if organization_id is not None else context.organization.id,
        at=context.now(),
        actor=actor_name(context.principal),
        action=action,
        target=target,
        input={name: value for name, value in input_.items() if value is not None},
    )
