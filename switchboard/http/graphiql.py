"""GraphiQL from the gateway's own files: the page, what it loads, and the demo's key.

The page stands at the endpoint itself (`/graphql`, for `Accept: text/html`) and names everything else relative to it,
below `graphiql/`, so it works behind any prefix that a proxy adds. Nothing is asked of another host; the content
security policy makes sure of it. `switchboard/graphiql` holds the sources, `make graphiql` builds them.
"""

import re
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

DIST: Final = Path(__file__).resolve().parents[1] / "graphiql" / "dist"
"""Where `make graphiql` puts the build, and where the wheel carries it."""

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self' 'unsafe-inline'",  # the editor computes its colours and writes them into style elements
            "worker-src 'self'",
            "connect-src 'self'",
            "img-src 'self' data:",
            "font-src 'self' data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

_MEDIA_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
}
_NAME: Final = re.compile(r"[\w-][\w.-]{0,99}", re.ASCII)
_NOT_BUILT: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Switchboard</title></head>
<body style="font-family: system-ui, sans-serif; max-width: 40rem; margin: 15vh auto; line-height: 1.5">
<h1>GraphiQL is not built yet</h1>
<p>The gateway is running, and this address answers GraphQL over POST. Only this page is missing from the checkout.
Build it, then load the page again:</p>
<pre>make graphiql</pre>
</body></html>
"""


class GraphiQLPage:
    """The page as an ASGI application; `assets` is a second one, to be mounted at `graphiql` beside the endpoint.

    `demo_key` tells the demo's API key, or None where there is none to give away: in every start that is not the demo,
    and in a demo that is not bound to loopback.
    """

    def __init__(self, dist: Path = DIST, demo_key: Callable[[], str | None] = lambda: None) -> None:
        self._dist = dist
        self._demo_key = demo_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (_only_read(scope) or self._page(scope))(scope, receive, send)

    async def assets(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path"].removeprefix(scope.get("root_path", "")).removeprefix("/")
        await (_only_read(scope) or self._asset(name, scope))(scope, receive, send)

    def _page(self, scope: Scope) -> Response:
        page = self._dist / "index.html"
        if not page.is_file():
            return HTMLResponse(_NOT_BUILT, 503, {**SECURITY_HEADERS, "Cache-Control": "no-store"})
        return _file(page, "text/html; charset=utf-8", "no-cache", scope)

    def _asset(self, name: str, scope: Scope) -> Response:
        if name == "":
            return RedirectResponse("../graphql")
        if name == "demo-key":
            return self._key(scope)
        path = self._dist / "graphiql" / name
        media_type = _MEDIA_TYPES.get(path.suffix)
        if media_type is None or not _NAME.fullmatch(name) or not path.is_file():
            return Response(status_code=404, headers=SECURITY_HEADERS)
        # The name carries a hash of the content.
        return _file(path, media_type, "public, max-age=31536000, immutable", scope)

    def _key(self, scope: Scope) -> Response:
        """The demo's key, or 204: a page that asks in vain is nothing to report in the browser's console."""
        headers = {"Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin", **SECURITY_HEADERS}
        key = self._demo_key() if _asked_on_this_machine(scope) else None
        return (
            Response(status_code=204, headers=headers) if key is None else JSONResponse({"api_key": key}, 200, headers)
        )


def _only_read(scope: Scope) -> Response | None:
    if scope["method"] in ("GET", "HEAD"):
        return None
    return Response(status_code=405, headers={"Allow": "GET, HEAD", **SECURITY_HEADERS})


def _file(path: Path, media_type: str, cache_control: str, scope: Scope) -> Response:
    """The file, or its compressed neighbour that the build wrote."""
    headers = {"Cache-Control": cache_control, "Vary": "Accept-Encoding", **SECURITY_HEADERS}
    packed = path.with_name(f"{path.name}.gz")
    if _accepts_gzip(Headers(scope=scope).get("accept-encoding", "")) and packed.is_file():
        path, headers["Content-Encoding"] = packed, "gzip"
    return FileResponse(path, headers=headers, media_type=media_type)


def _accepts_gzip(accept_encoding: str) -> bool:
    """Whether `gzip` is named and not refused by `q=0`."""
    for offer in accept_encoding.lower().split(","):
        coding, _, parameters = offer.partition(";")
        if coding.strip() == "gzip":
            return re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", parameters) is None
    return False


def _asked_on_this_machine(scope: Scope) -> bool:
    """Whether the page of this very gateway asks, in a browser on the machine that the gateway runs on.

    `Host` keeps out names that somebody else's DNS points here, the forwarding headers keep out what a proxy on this
    machine brings from outside, `Sec-Fetch-Site` keeps out pages served from other ports.
    """
    headers = Headers(scope=scope)
    client, server = scope.get("client"), scope.get("server")
    return (
        client is not None
        and server is not None
        and _is_loopback(client[0])
        and _is_loopback(server[0])
        and _is_loopback(_host_name(headers.get("host", "")))
        and not any(name in headers for name in ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"))
        and headers.get("sec-fetch-site", "same-origin") == "same-origin"
    )


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
