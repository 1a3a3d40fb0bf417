"""What a vendor's refusals mean: a table of data per connector, read by one function.

A vendor's status never becomes ours: Open WebUI says 401 for "not found", so the operation and the words decide as well.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from domain.errors import (
    Conflict,
    GatewayError,
    InvalidArgument,
    NotFound,
    UnexpectedAnswer,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnauthorized,
    UpstreamUnavailable,
)


class Meaning(Enum):
    """What an answer that is no success says. CHANGED: the route is not there any more."""

    NOT_FOUND = "not found"
    UNAUTHORIZED = "unauthorized"
    REJECTED = "rejected"
    INVALID = "invalid argument"
    CONFLICT = "conflict"
    RATE_LIMITED = "rate limited"
    UNAVAILABLE = "unavailable"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Truth:
    """One row: first match wins.

    `operations` empty: any. `statuses` are inclusive bounds. `pattern` is searched in the vendor's words, ignoring case. `advice` is
    the last part of the sentence, what to do. `argument` is the path of the input field that is to blame. `without_json`: only an
    answer whose body is no JSON, which a router or proxy gave and not the vendor's own logic.
    """

    meaning: Meaning
    statuses: tuple[int, int]
    advice: str
    operations: frozenset[str] = frozenset()
    pattern: str | None = None
    argument: tuple[str, ...] = ()
    without_json: bool = False

    def matches(self, refusal: "Refusal") -> bool:
        """Whether the row is about this answer."""
        if self.operations and refusal.operation not in self.operations:
            return False
        if not self.statuses[0] <= refusal.status <= self.statuses[1]:
            return False
        if self.without_json and refusal.has_json:
            return False
        return self.pattern is None or re.search(self.pattern, refusal.words, re.IGNORECASE) is not None


GENERAL: tuple[Truth, ...] = (
    Truth(Meaning.UNAUTHORIZED, (401, 401), "Check the credentials of the source."),
    Truth(Meaning.UNAUTHORIZED, (403, 403), "Use credentials that may do this."),
    Truth(Meaning.NOT_FOUND, (404, 404), "Read the list again; it may have been deleted."),
    Truth(Meaning.NOT_FOUND, (410, 410), "Read the list again; it may have been deleted."),
    Truth(Meaning.CHANGED, (405, 405), "Check `base_url` and the options of the source, and the vendor's version."),
    Truth(Meaning.UNAVAILABLE, (408, 408), "Try again later."),
    Truth(Meaning.CONFLICT, (409, 409), "Read it again, then decide."),
    Truth(Meaning.RATE_LIMITED, (429, 429), "Ask less often."),
    Truth(Meaning.REJECTED, (400, 499), "Change the input."),
    Truth(Meaning.UNAVAILABLE, (500, 599), "Try again later."),
    Truth(Meaning.CHANGED, (100, 399), "Check `base_url`: it must be the vendor's own address, without redirection."),
)
"""What HTTP itself says; the last rows of every table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that is no success, as the table is asked about it. `words` are the vendor's, without secrets and short."""

    source_id: int
    source_key: str
    operation: str
    status: int
    words: str
    retry_after_seconds: float | None
    perhaps_executed: bool
    has_json: bool = True


def error_of(table: Sequence[Truth], refusal: Refusal) -> GatewayError:
    """The error that a refusal is."""
    row = next(row for row in (*table, *GENERAL) if row.matches(refusal))
    said = f': "{refusal.words}"' if refusal.words else ""
    attempt = refusal.operation.replace("_", " ")
    message = f"{refusal.source_key}: {attempt} was answered with {refusal.status}{said}. {row.advice}"
    error = _MAKERS[row.meaning](message, row, refusal)
    if isinstance(error, UpstreamError):
        error.vendor_status = refusal.status
    return error


def _upstream(kind: Callable[..., GatewayError]) -> Callable[[str, Truth, Refusal], GatewayError]:
    def make(message: str, row: Truth, refusal: Refusal) -> GatewayError:
        more: dict[str, Any] = {}
        if kind is UpstreamRateLimited or kind is UpstreamUnavailable:
            more["retry_after_seconds"] = refusal.retry_after_seconds
        if kind is UpstreamUnavailable or kind is UnexpectedAnswer:
            more["perhaps_executed"] = refusal.perhaps_executed
        return kind(message, source_id=refusal.source_id, operation=refusal.operation, **more)

    return make


_MAKERS: dict[Meaning, Callable[[str, Truth, Refusal], GatewayError]] = {
    Meaning.NOT_FOUND: lambda message, row, refusal: NotFound(message, path=row.argument),
    Meaning.INVALID: lambda message, row, refusal: InvalidArgument(message, path=row.argument),
    Meaning.CONFLICT: lambda message, row, refusal: Conflict(message, path=row.argument),
    Meaning.UNAUTHORIZED: _upstream(UpstreamUnauthorized),
    Meaning.REJECTED: _upstream(UpstreamRejected),
    Meaning.RATE_LIMITED: _upstream(UpstreamRateLimited),
    Meaning.UNAVAILABLE: _upstream(UpstreamUnavailable),
    Meaning.CHANGED: _upstream(UnexpectedAnswer),
}
