"""Errors as clients read them: the table of `domain.errors` for what was foreseen, one neutral sentence for everything else."""

import logging
from typing import Any

from graphql import GraphQLError

from domain import errors
from domain.errors import ErrorCode, GatewayError
from schema.user_error import milliseconds

log = logging.getLogger(__name__)

INTERNAL_MESSAGE = (
    "The gateway could not answer this because of a fault of its own. Quote `extensions.requestId` when you report it."
)


def format_error(error: GraphQLError, context: Any) -> dict[str, Any]:
    """One entry of `errors`. `context` is that of the operation, or None where none was made yet."""
    request_id: str | None = getattr(context, "request_id", None)
    cause = _cause(error)
    if isinstance(cause, GatewayError):
        message, extensions = cause.message, {"code": cause.code.value, **_extras(cause)}
    elif cause is None:
        message, extensions = error.message, {"code": ErrorCode.GRAPHQL_VALIDATION_FAILED.value, **_given(error)}
    else:
        _log(error, cause, request_id)
        message, extensions = INTERNAL_MESSAGE, {"code": ErrorCode.INTERNAL.value}
    if request_id is not None:
        extensions["requestId"] = request_id
    entry: dict[str, Any] = {"message": message}
    if error.locations:
        entry["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
    if error.path is not None:
        entry["path"] = error.path
    return {**entry, "extensions": extensions}


def _cause(error: GraphQLError) -> BaseException | None:
    """What a resolver raised; None where the client's document, variables or arguments are at fault."""
    cause: BaseException | None = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if cause is not None and not isinstance(cause, GraphQLError):
        return cause
    if error.path is None:
        return None  # parsing, validation, or variables that do not fit
    # graphql-core itself speaks while it executes: of an argument that a variable made impossible, or of our own value.
    return None if error.message.startswith("Argument ") else cause or error


def _given(error: GraphQLError) -> dict[str, Any]:
    return dict(error.extensions or {})


def _extras(error: GatewayError) -> dict[str, Any]:
    match error:
        case errors.OrganizationRequired():
            return {"organizations": list(error.organizations)}
        case errors.LimitExceeded():
            return {"limit": error.limit, "figure": error.figure}
        case errors.BudgetExceeded():
            return {"budget": error.budget, "planned": error.planned}
        case errors.StreamGapFound():
            return {"from": error.gap_from, "to": error.gap_to, "resumeFrom": error.gap_to}
        case errors.Forbidden():
            return _present(requiredRole=error.required_role, requiredScope=error.required_scope)
        case errors.InvalidArgument():
            return _present(argument=list(error.path) or None)
        case errors.NotFound():
            return _present(missingId=error.missing_id, argument=list(error.path) or None)
        case errors.UpstreamError():
            return _present(
                retryable=error.retryable,
                retryAfterMs=milliseconds(error.retry_after_seconds),
                reason=error.user_code.value if error.user_code else None,
            )
    return {}


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _log(error: GraphQLError, cause: BaseException, request_id: str | None) -> None:
    log.error(
        "A field could not be answered",
        exc_info=(type(cause), cause, cause.__traceback__),
        extra={"request_id": request_id, "path": error.path},
    )
