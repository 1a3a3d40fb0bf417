"""Which web pages may talk to the gateway: one list for CORS (Fetch standard) and for the `Origin` of WebSockets.

A page of the gateway's own host may always; a request without `Origin` comes from no page and is judged by its credential alone.
"""

import re
from collections.abc import Mapping, Sequence

_METHODS = b"GET, POST, OPTIONS"
_ALLOWED_HEADERS = b"Authorization, Content-Type, X-Organization, Last-Event-ID, X-Request-Id"
_EXPOSED_HEADERS = b"X-Request-Id, Retry-After"
_PREFLIGHT_SECONDS = b"7200"
_DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443"}

ASGIHeaders = list[tuple[bytes, bytes]]


class Origins:
    """`allowed` holds origins as browsers send them; `*` stands for a port (`http://localhost:*`), for labels of a host
    (`https://*.example.com`), or alone for every origin."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._patterns = [_pattern(entry) for entry in allowed]

    def allows(self, headers: Mapping[str, str], scheme: str) -> bool:
        """Whether a request with these headers is answered. `scheme` is the one that the request came by."""
        origin = headers.get("origin")
        if origin is None or _is_own(origin, headers.get("host", ""), scheme):
            return True
        return any(pattern.fullmatch(origin) for pattern in self._patterns)


def cors_headers(origin: str | None) -> ASGIHeaders:
    """What an answer says to the browser about an allowed origin."""
    if origin is None:
        return []
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", _EXPOSED_HEADERS),
    ]


def preflight_headers() -> ASGIHeaders:
    """Beside `cors_headers`, the answer to the browser's question what it may send. Nobody needs a key for it, as browsers send none with it."""
    return [
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-allow-headers", _ALLOWED_HEADERS),
        (b"access-control-max-age", _PREFLIGHT_SECONDS),
    ]


def _pattern(entry: str) -> re.Pattern[str]:
    if entry == "*":
        return re.compile(r"[^\s]+")
    scheme, separator, rest = entry.strip().rstrip("/").lower().partition("://")
    host, colon, port = rest.rpartition(":") if re.search(r":(\d+|\*)$", rest) else (rest, "", "")
    # A wildcard of the host stands for whole labels, so that `*.example.com` is not `evilexample.com`.
    host_pattern = re.escape(host).replace(r"\*", r"[a-z0-9-]+(?:\.[a-z0-9-]+)*")
    # Browsers leave out the port that is the scheme's own.
    port_pattern = r"(?::\d{1,5})?" if port == "*" else re.escape(colon + port)
    return re.compile(re.escape(scheme + separator) + host_pattern + port_pattern, re.IGNORECASE)


def _is_own(origin: str, host: str, scheme: str) -> bool:
    """Same host and port. An `https` page counts as own behind a proxy that ends TLS; an `http` page on an `https` gateway does not."""
    origin_scheme, _, origin_host = origin.lower().partition("://")
    if not host or origin_scheme not in ("http", "https"):
        return False
    if scheme in ("https", "wss") and origin_scheme == "http":
        return False
    return _with_port(origin_host, origin_scheme) == _with_port(host.lower(), origin_scheme)


def _with_port(host: str, scheme: str) -> str:
    return host if re.search(r":\d+$", host) else f"{host}:{_DEFAULT_PORTS[scheme]}"
