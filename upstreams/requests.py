"""Requests as data: what a connector wants to ask, before any client is in sight."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from domain.errors import NotFound
from domain.ids import is_safe_native_id

QueryValue = str | int | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request to a vendor.

    `path` begins with `/` and is escaped already (see `segment`). `idempotent`: doing it twice is the same as doing it
    once, so it may be retried. `body` is sent as JSON; None sends no body. `timeout_seconds` bounds the whole call, retries
    included; None takes the client's. `accept` is the media type that is wanted. `headers` are added to those of the client:
    what signs in this request alone.
    """

    operation: str
    method: str
    path: str
    query: Mapping[str, QueryValue] = field(default_factory=dict)
    body: Any = field(default=None, repr=False)
    idempotent: bool = False
    timeout_seconds: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    accept: str = "application/json"

    @property
    def writes(self) -> bool:
        """Whether it changes something, so that one whose answer was lost may have been executed."""
        return self.method != "GET"

    @property
    def target(self) -> str:
        """Path and query as they go over the wire."""
        if not self.query:
            return self.path
        pairs = {name: str(value).lower() if isinstance(value, bool) else value for name, value in self.query.items()}
        return f"{self.path}?{urlencode(pairs)}"


def get(
    operation: str, path: str, query: Mapping[str, QueryValue] | None = None, *, timeout_seconds: float | None = None
) -> Request:
    """A reading request."""
    return Request(
        operation=operation,
        method="GET",
        path=path,
        query=query or {},
        idempotent=True,
        timeout_seconds=timeout_seconds,
    )


def listen(operation: str, path: str) -> Request:
    """A stream of server-sent events, to be read with `UpstreamClient.lines`."""
    return Request(operation=operation, method="GET", path=path, idempotent=True, accept="text/event-stream")


def post(
    operation: str, path: str, body: Any = None, *, idempotent: bool = False, timeout_seconds: float | None = None
) -> Request:
    """A writing request; say `idempotent` where the vendor's documents do."""
    return Request(
        operation=operation, method="POST", path=path, body=body, idempotent=idempotent, timeout_seconds=timeout_seconds
    )


def delete(operation: str, path: str, body: Any = None) -> Request:
    """A deletion. A retried one that finds nothing has succeeded the first time."""
    return Request(operation=operation, method="DELETE", path=path, body=body, idempotent=True)


def segment(native_id: str) -> str:
    """A native id as one segment of a path; nothing in it can leave its place.

    `%` is escaped too, so `%2e%2e`, which URL parsers read as `..`, arrives as it was written. Raises `NotFound` for what
    no vendor could have given out: empty, `.` or `..` as a step of it, control characters, lone surrogates.
    """
    try:
        if is_safe_native_id(native_id):
            return quote(native_id, safe="")
    except UnicodeEncodeError:
        pass
    raise NotFound("The id cannot exist at any source. Use an id that the gateway gave out.")
