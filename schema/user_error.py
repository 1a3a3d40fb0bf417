"""Why a mutation did not do what was asked: what clients can act on."""

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import strawberry

from domain import errors
from domain.errors import GatewayError
from schema.arguments import Info
from schema.enums import Capability, Role, Scope, UserErrorCode
from schema.source import Source, source_of

SOURCE = "The source, or null when it is not connected (any more)."


@strawberry.interface(
    description=(
        "Why a mutation did not do what was asked. Ask for `code` and `message`, and for what a certain "
        "kind adds by `... on`: there will be more kinds."
    )
)
class UserError:
    code: UserErrorCode = strawberry.field(description="For programs.")
    message: str = strawberry.field(
        description=(
            "For people: what was tried, what happened, what to do. In English; it may change, so do not compare it."
        )
    )
    path: list[str] | None = strawberry.field(
        description=(
            'The field of the input that it is about, from the outside in, for example `["input", '
            '"messages", "0", "text"]`, or null when it is about no single field.'
        )
    )


@strawberry.type(description="A value of the input is not acceptable.")
class ValidationError(UserError):
    pass


@strawberry.type(description="Something that the input names does not exist for you.")
class NotFoundError(UserError):
    missing_id: strawberry.ID | None = strawberry.field(description="The id that leads nowhere.")


@strawberry.type(name="PermissionError", description="You may not do this.")
class MissingPermission(UserError):
    required_role: Role | None = strawberry.field(
        description="The role that may, or null when the scopes of the key are what is missing."
    )
    required_scope: Scope | None = strawberry.field(description="The scope that is missing, or null when the role is.")


@strawberry.type(description="The source cannot do this. Nothing was sent to it.")
class CapabilityError(UserError):
    capability: Capability = strawberry.field(description="What it cannot do.")
    source_id: strawberry.Private[int]

    @strawberry.field(description=SOURCE)
    async def source(self, info: Info) -> Source | None:
        return await source_of(info, self.source_id)


@strawberry.type(description="Somebody else was faster, or the name is taken. Nothing was changed.")
class ConflictError(UserError):
    current_version: str | None = strawberry.field(
        description="The version that is current now, or null when a name is taken. Read again, decide again."
    )


@strawberry.type(description="The same `idempotencyKey` was used before with another input. Nothing was done.")
class IdempotencyConflictError(UserError):
    first_used_at: datetime = strawberry.field(description="When the earlier request came.")


@strawberry.type(
    description=(
        "The connection broke before the source answered, and looking did not tell whether it was done. "
        "Do not simply send it again with another key: read first."
    )
)
class OutcomeUnknownError(UserError):
    source_id: strawberry.Private[int]

    @strawberry.field(description=SOURCE)
    async def source(self, info: Info) -> Source | None:
        return await source_of(info, self.source_id)

    retry_after_ms: int | None = strawberry.field(
        description="When looking again makes sense, in milliseconds from now, or null when that is not known."
    )


@strawberry.type(description="The source did not do what it was asked.")
class UpstreamError(UserError):
    source_id: strawberry.Private[int]

    @strawberry.field(description=SOURCE)
    async def source(self, info: Info) -> Source | None:
        return await source_of(info, self.source_id)

    retryable: bool = strawberry.field(
        description="Whether the same request, with the same `idempotencyKey`, may succeed later."
    )
    retry_after_ms: int | None = strawberry.field(
        description="When to try again, in milliseconds from now, or null when that is not known."
    )


def user_error_of(error: GatewayError, code: UserErrorCode) -> UserError:
    """The GraphQL type that tells most of an expected failure. Paths of resolvers begin with a field of the input."""
    path = getattr(error, "path", ())
    told: dict[str, Any] = {
        "code": code,
        "message": error.message,
        "path": ["input", *map(str, path)] if path else None,
    }
    match error:
        case errors.NotFound():
            missing = error.missing_id
            return NotFoundError(**told, missing_id=None if missing is None else strawberry.ID(missing))
        case errors.Forbidden():
            role, scope = error.required_role, error.required_scope
            return MissingPermission(
                **told,
                required_role=None if role is None else Role(role),
                required_scope=None if scope is None else Scope(scope),
            )
        case errors.CapabilityMissing():
            return CapabilityError(**told, capability=error.capability, source_id=error.source_id)
        case errors.Conflict():
            return ConflictError(**told, current_version=error.current_version)
        case errors.IdempotencyConflict():
            return IdempotencyConflictError(**told, first_used_at=error.first_used_at)
        case errors.OutcomeUnknown():
            wait = milliseconds(error.retry_after_seconds)
            return OutcomeUnknownError(**told, source_id=error.source_id, retry_after_ms=wait)
        case errors.UpstreamError():
            wait = milliseconds(error.retry_after_seconds)
            return UpstreamError(**told, source_id=error.source_id, retryable=error.retryable, retry_after_ms=wait)
        case _:
            return ValidationError(**told)


def user_errors(failures: Iterable[GatewayError]) -> list[UserError]:
    """One entry for each. A failure without a code of its own rises: it is not for `userErrors`."""
    found = []
    for failure in failures:
        if failure.user_code is None:
            raise failure
        found.append(user_error_of(failure, failure.user_code))
    return found


def milliseconds(seconds: float | None) -> int | None:
    """Rounded up, so that nobody comes back too early."""
    return None if seconds is None else math.ceil(seconds * 1000)
