"""The book of every call that a simulator received."""

import hashlib
import json
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl

from simulators.connection import number_of

_SECRET_HEADERS = {"authorization", "x-api-key", "x-organization-api-key", "cookie"}
_SECRET_FIELDS = {"api_key", "password"}
"""In a query, or at the top of a body."""
_KEPT = 20_000


@dataclass(slots=True)
class Call:
    """One request, one handshake of a socket (GET), or one frame that came over it (FRAME, with the handshake's headers).

    `status` is None while it runs and where the connection was dropped without an answer; a frame that was dealt with
    has 200. `headers`: lower-case names; a secret is written as the start of its SHA-256, so that two calls can be told apart.
    `body`: the JSON that was sent, the text where it was none, None where nothing was sent. `at`: epoch seconds.
    `connection`: the number of the TCP connection that it came over, None where there is no real one.
    """

    operation: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    at: float
    connection: int | None = None
    status: int | None = None
    dropped: str | None = None


def fingerprint(secret: str) -> str:
    """How a secret is written into the book."""
    return "sha256:" + hashlib.sha256(secret.encode()).hexdigest()[:16]


class Calls:
    """The latest calls, oldest first, at most 20 000."""

    def __init__(self) -> None:
        self._book: deque[Call] = deque(maxlen=_KEPT)

    def begin(self, operation: str, scope: Any, body: bytes, at: float) -> Call:
        headers = _read_headers(scope["headers"])
        query = _hidden(dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)))
        method = scope.get("method", "GET")  # a handshake's scope does not name it
        call = Call(operation, method, scope["path"], query, headers, _read_body(body), at, number_of(scope))
        self._book.append(call)
        return call

    def clear(self) -> None:
        self._book.clear()

    def named(self, operation: str | None = None) -> list[dict[str, Any]]:
        so_far = list(self._book)  # at once: a test may look from another thread while calls go on coming
        return [asdict(call) for call in so_far if operation in (None, call.operation)]


def _read_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}
    return {name: fingerprint(value) if name in _SECRET_HEADERS else value for name, value in headers.items()}


def _read_body(raw: bytes) -> Any:
    if not raw:
        return None
    try:
        body = json.loads(raw)
    except ValueError:
        return raw.decode("utf-8", "replace")
    return _hidden(body) if isinstance(body, dict) else body


def _hidden(said: dict[str, Any]) -> dict[str, Any]:
    return {name: fingerprint(str(value)) if name in _SECRET_FIELDS else value for name, value in said.items()}
