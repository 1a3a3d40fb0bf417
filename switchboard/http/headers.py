"""Request headers as the protocols read them, and the request id that every answer carries."""

import re
import secrets
from collections.abc import Iterable

RawHeaders = Iterable[tuple[bytes, bytes]]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}\Z")
_LISTS = frozenset({"accept", "sec-websocket-protocol", "x-forwarded-for"})


def read_headers(raw: RawHeaders) -> dict[str, str]:
    """Lower-case name → value. A list header sent in several lines is joined; of any other the first line counts."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name = raw_name.decode("latin-1").lower()
        value = raw_value.decode("latin-1")
        if name not in headers:
            headers[name] = value
        elif name in _LISTS:
            headers[name] += ", " + value
    return headers


def request_id_of(headers: dict[str, str]) -> str:
    """The client's `X-Request-Id` where it is harmless in a log and a header, else one of our own."""
    given = headers.get("x-request-id")
    return given if given and _REQUEST_ID.match(given) else secrets.token_hex(12)
