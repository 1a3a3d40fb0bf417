"""Everything that can go wrong on purpose, and the only list of codes.

GatewayError
  InvalidArgument          INVALID_ARGUMENT          (path of the field)
  NotFound                 NOT_FOUND                 (what is missing, or is not yours)
  Unauthenticated          UNAUTHENTICATED
  OrganizationRequired     ORGANIZATION_REQUIRED     (organizations)
  Forbidden                FORBIDDEN                 (required role or scope)
  BadCursor                BAD_CURSOR
  LimitExceeded            LIMIT_EXCEEDED            (limit, figure)
  BudgetExceeded           UPSTREAM_BUDGET_EXCEEDED  (budget, planned)
  StreamGapFound           STREAM_GAP                (from, to, resume from)
  Conflict                 CONFLICT                  (current version)
  IdempotencyConflict      IDEMPOTENCY_CONFLICT      (first used at)
  CapabilityMissing        UNSUPPORTED               (no upstream call was made)
  OutcomeUnknown           OUTCOME_UNKNOWN           (it may have been done)
  UpstreamError            nothing was done, unless `perhaps_executed`
    UpstreamTimeout        UPSTREAM_TIMEOUT
    UpstreamUnavailable    UPSTREAM_UNAVAILABLE
      CircuitOpen          CIRCUIT_OPEN in a status, UPSTREAM_UNAVAILABLE elsewhere
    UpstreamUnauthorized   UPSTREAM_UNAUTHORIZED
    UpstreamRejected       UPSTREAM_REJECTED
    UpstreamRateLimited    UPSTREAM_RATE_LIMITED     (retry_after_seconds); RATE_LIMITED in a status
    UnexpectedAnswer       UPSTREAM_CHANGED          (vendor, operation, JSON path)
      UpstreamTooLarge     UPSTREAM_CHANGED

A message has three parts: what was attempted, what happened, what to do. It never holds a secret or a message's text.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from domain.capabilities import Capability


class ErrorCode(StrEnum):
    """`extensions.code` of a top-level error."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    ORGANIZATION_REQUIRED = "ORGANIZATION_REQUIRED"
    FORBIDDEN = "FORBIDDEN"
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    BAD_CURSOR = "BAD_CURSOR"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    UPSTREAM_BUDGET_EXCEEDED = "UPSTREAM_BUDGET_EXCEEDED"
    RATE_LIMITED = "RATE_LIMITED"
    PERSISTED_DOCUMENT_NOT_FOUND = "PERSISTED_DOCUMENT_NOT_FOUND"
    DOCUMENT_NOT_ALLOWED = "DOCUMENT_NOT_ALLOWED"
    STREAM_GAP = "STREAM_GAP"
    UPSTREAM_TIMEOUT = "UPSTREAM_TIMEOUT"
    UPSTREAM_UNAVAILABLE = "UPSTREAM_UNAVAILABLE"
    UPSTREAM_UNAUTHORIZED = "UPSTREAM_UNAUTHORIZED"
    UPSTREAM_CHANGED = "UPSTREAM_CHANGED"
    INTERNAL = "INTERNAL"


class UserErrorCode(StrEnum):
    """`code` of an entry in `userErrors`."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    NOT_FOUND = "NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    UNSUPPORTED = "UNSUPPORTED"
    CONFLICT = "CONFLICT"
    IDEMPOTENCY_CONFLICT = "IDEMPOTENCY_CONFLICT"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    UPSTREAM_TIMEOUT = "UPSTREAM_TIMEOUT"
    UPSTREAM_UNAVAILABLE = "UPSTREAM_UNAVAILABLE"
    UPSTREAM_UNAUTHORIZED = "UPSTREAM_UNAUTHORIZED"
    UPSTREAM_REJECTED = "UPSTREAM_REJECTED"
    UPSTREAM_RATE_LIMITED = "UPSTREAM_RATE_LIMITED"
    UPSTREAM_CHANGED = "UPSTREAM_CHANGED"


class SourceStatusCode(StrEnum):
    """How one source contributed to a list."""

    OK = "OK"
    PARTIAL = "PARTIAL"
    INCOMPLETE = "INCOMPLETE"
    TIMEOUT = "TIMEOUT"
    RATE_LIMITED = "RATE_LIMITED"
    UPSTREAM_UNAUTHORIZED = "UPSTREAM_UNAUTHORIZED"
    UPSTREAM_UNAVAILABLE = "UPSTREAM_UNAVAILABLE"
    UPSTREAM_CHANGED = "UPSTREAM_CHANGED"
    CIRCUIT_OPEN = "CIRCUIT_OPEN"
    UNSUPPORTED = "UNSUPPORTED"


class GatewayError(Exception):
    """Something that was foreseen. `code` goes into `extensions.code`, `user_code` into `userErrors`, `status_code` into a source's status."""

    code = ErrorCode.INTERNAL
    user_code: UserErrorCode | None = None
    status_code = SourceStatusCode.UPSTREAM_UNAVAILABLE

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidArgument(GatewayError):
    """A value of the right type is impossible. `path` leads to it from the outside in, e.g. `("input", "title")`."""

    code = ErrorCode.INVALID_ARGUMENT
    user_code = UserErrorCode.INVALID_ARGUMENT

    def __init__(self, message: str, *, path: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.path = tuple(path)


class NotFound(GatewayError):
    """There is no such thing for whoever asks; another tenant's id is never anything else."""

    code = ErrorCode.INVALID_ARGUMENT
    user_code = UserErrorCode.NOT_FOUND

    def __init__(self, message: str, *, missing_id: str | None = None, path: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.missing_id = missing_id
        self.path = tuple(path)


class Unauthenticated(GatewayError):
    """No credential, or one that is not valid (any more)."""

    code = ErrorCode.UNAUTHENTICATED


class OrganizationRequired(GatewayError):
    """The principal belongs to several organizations and named none. `organizations` are the slugs to choose from."""

    code = ErrorCode.ORGANIZATION_REQUIRED

    def __init__(self, message: str, *, organizations: Sequence[str]) -> None:
        super().__init__(message)
        self.organizations = tuple(organizations)


class Forbidden(GatewayError):
    """The role or the scopes of the key do not allow it. Exactly one of the two `required_…` is set, by its name (`ADMIN`, `WRITE`)."""

    code = ErrorCode.FORBIDDEN
    user_code = UserErrorCode.FORBIDDEN

    def __init__(self, message: str, *, required_role: str | None = None, required_scope: str | None = None) -> None:
        super().__init__(message)
        self.required_role = required_role
        self.required_scope = required_scope


class BadCursor(GatewayError):
    """A cursor that was damaged, forged, made by another list, or signed by a key that is gone."""

    code = ErrorCode.BAD_CURSOR
    user_code = UserErrorCode.INVALID_ARGUMENT


class LimitExceeded(GatewayError):
    """A limit of the gateway; both numbers go into `extensions`."""

    code = ErrorCode.LIMIT_EXCEEDED

    def __init__(self, message: str, *, limit: int, figure: int) -> None:
        super().__init__(message)
        self.limit = limit
        self.figure = figure


class BudgetExceeded(GatewayError):
    """Answering would take more upstream calls than one operation may make. Nothing was called."""

    code = ErrorCode.UPSTREAM_BUDGET_EXCEEDED

    def __init__(self, message: str, *, budget: int, planned: int) -> None:
        super().__init__(message)
        self.budget = budget
        self.planned = planned


class StreamGapFound(GatewayError):
    """Ends `messageAdded`: something between two positions may be missing. The cursors are texts for the client."""

    code = ErrorCode.STREAM_GAP

    def __init__(self, message: str, *, gap_from: str, gap_to: str) -> None:
        super().__init__(message)
        self.gap_from = gap_from
        self.gap_to = gap_to


class Conflict(GatewayError):
    """Somebody else was faster, or a name is taken. Nothing was changed."""

    user_code = UserErrorCode.CONFLICT

    def __init__(self, message: str, *, current_version: str | None = None, path: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.current_version = current_version
        self.path = tuple(path)


class IdempotencyConflict(GatewayError):
    """The same `idempotencyKey` came before with another input. Nothing was done."""

    user_code = UserErrorCode.IDEMPOTENCY_CONFLICT

    def __init__(self, message: str, *, first_used_at: datetime) -> None:
        super().__init__(message)
        self.first_used_at = first_used_at


class CapabilityMissing(GatewayError):
    """The source cannot do it, and was not asked."""

    code = ErrorCode.INVALID_ARGUMENT
    user_code = UserErrorCode.UNSUPPORTED
    status_code = SourceStatusCode.UNSUPPORTED

    def __init__(self, message: str, *, capability: Capability, source_id: int) -> None:
        super().__init__(message)
        self.capability = capability
        self.source_id = source_id


class OutcomeUnknown(GatewayError):
    """The connection broke and looking did not tell whether it was done. The row stays pending; the next reads settle it."""

    user_code = UserErrorCode.OUTCOME_UNKNOWN

    def __init__(self, message: str, *, source_id: int, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.source_id = source_id
        self.retry_after_seconds = retry_after_seconds


class UpstreamError(GatewayError):
    """A source did not do what it was asked.

    `perhaps_executed` is True when the request may have reached the vendor's logic although no proper answer came;
    everything that is not certainly unsent counts. `retryable`: the same request may succeed later. `vendor_status`: the HTTP status that
    the source refused with, None where it did not; it never becomes ours.
    """

    code = ErrorCode.UPSTREAM_UNAVAILABLE
    user_code: UserErrorCode | None = UserErrorCode.UPSTREAM_UNAVAILABLE
    retryable = True
    vendor_status: int | None = None

    def __init__(
        self,
        message: str,
        *,
        source_id: int,
        operation: str,
        retry_after_seconds: float | None = None,
        perhaps_executed: bool = False,
    ) -> None:
        super().__init__(message)
        self.source_id = source_id
        self.operation = operation
        self.retry_after_seconds = retry_after_seconds
        self.perhaps_executed = perhaps_executed


class UpstreamTimeout(UpstreamError):
    """No answer within the deadline of the operation."""

    code = ErrorCode.UPSTREAM_TIMEOUT
    user_code = UserErrorCode.UPSTREAM_TIMEOUT
    status_code = SourceStatusCode.TIMEOUT


class UpstreamUnavailable(UpstreamError):
    """Connection refused or broken, or a 5xx."""


class CircuitOpen(UpstreamUnavailable):
    """It failed several times in a row and is left alone until `retry_after_seconds` have passed. No call was made."""

    status_code = SourceStatusCode.CIRCUIT_OPEN


class UpstreamUnauthorized(UpstreamError):
    """The source refuses the configured credentials, or they may not do this. Never the client's own 401."""

    code = ErrorCode.UPSTREAM_UNAUTHORIZED
    user_code = UserErrorCode.UPSTREAM_UNAUTHORIZED
    status_code = SourceStatusCode.UPSTREAM_UNAUTHORIZED
    retryable = False


class UpstreamRejected(UpstreamError):
    """The source understood and said no. Nothing was done."""

    user_code = UserErrorCode.UPSTREAM_REJECTED
    retryable = False


class UpstreamRateLimited(UpstreamError):
    """The source asked us to slow down, or the quota of its credentials is used up on our side."""

    user_code = UserErrorCode.UPSTREAM_RATE_LIMITED
    status_code = SourceStatusCode.RATE_LIMITED


class UnexpectedAnswer(UpstreamError):
    """The answer has not the documented shape. `json_path` leads to the first place that is wrong, e.g. `$.chats[3].id`."""

    code = ErrorCode.UPSTREAM_CHANGED
    user_code = UserErrorCode.UPSTREAM_CHANGED
    status_code = SourceStatusCode.UPSTREAM_CHANGED
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        source_id: int,
        operation: str,
        json_path: str = "$",
        perhaps_executed: bool = False,
    ) -> None:
        super().__init__(message, source_id=source_id, operation=operation, perhaps_executed=perhaps_executed)
        self.json_path = json_path


class UpstreamTooLarge(UnexpectedAnswer):
    """The answer is larger than we are willing to hold."""
