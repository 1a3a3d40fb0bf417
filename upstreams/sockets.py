"""A WebSocket to a vendor, by the same rules as its HTTP calls.

Private addresses are refused at the very address that is connected to, redirects are not followed, proxies of the environment are not used, a
frame has the same bound as an answer, and nothing of it is logged: the handshake holds the credentials.
"""

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException

from upstreams.policy import UpstreamSettings
from upstreams.redaction import Redactor
from upstreams.transport import AddressRefused, NotConnected, PublicResolver, authorities, check_public

_CLOSING_SECONDS = 2.0
_OF_THE_BODY = frozenset(["content-encoding", "content-length", "transfer-encoding"])
_log = logging.getLogger("switchboard.upstreams.sockets")
_log.setLevel(logging.WARNING)  # below, the library writes every header and frame


class SocketRefused(Exception):
    """The vendor answered the handshake with something else than a socket."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"refused with {status}")
        self.status = status
        self.headers = headers
        self.body = body


class SocketClosed(Exception):
    """The socket is closed. `code` is the vendor's close code, 1006 when the connection broke; `reason` its words, without secrets."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"closed with {code}")
        self.code = code
        self.reason = reason


class Socket:
    """An open socket."""

    def __init__(self, connection: ClientConnection, redact: Redactor) -> None:
        self._connection = connection
        self._redact = redact

    async def send(self, value: Any) -> None:
        """Send a value as JSON."""
        await self.send_text(orjson.dumps(value).decode())

    async def send_text(self, text: str) -> None:
        """Send a text."""
        try:
            await self._connection.send(text)
        except ConnectionClosed as error:
            raise self._closed(error) from None

    async def receive(self) -> str | bytes:
        """The next frame."""
        try:
            return await self._connection.recv()
        except ConnectionClosed as error:
            raise self._closed(error) from None

    async def aclose(self) -> None:
        """Say good-bye, and wait a moment for the vendor to do so too."""
        await self._connection.close()

    def _closed(self, error: ConnectionClosed) -> SocketClosed:
        if error.rcvd is not None:
            return SocketClosed(error.rcvd.code, self._redact.quote(error.rcvd.reason))
        return SocketClosed(error.sent.code if error.sent is not None else 1006, "")


class _Direct(connect):
    """Follows no redirect: it leads to an address that nobody checked, with the credentials in the headers."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def opened(url: str, headers: Mapping[str, str], settings: UpstreamSettings, *, redact: Redactor) -> Socket:
    """Connect to the `http` or `https` address as a socket. Raises `SocketRefused`, or `NotConnected` where there is nobody."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # brackets or a port that are none
        raise AddressRefused("`base_url` is not an address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AddressRefused("`base_url` is not an http or https address")
    is_secure = parts.scheme == "https"
    more: dict[str, Any] = {"ssl": authorities()} if is_secure else {}
    if not settings.allow_private_addresses:
        more["host"] = await _public_address(parts.hostname, port or (443 if is_secure else 80))
    try:
        connection = await _Direct(
            f"ws{url.removeprefix('http')}",
            additional_headers=dict(headers),
            user_agent_header=settings.user_agent,
            proxy=None,
            open_timeout=None,  # the caller's deadline is over all of it
            close_timeout=_CLOSING_SECONDS,
            max_size=settings.max_answer_bytes,
            logger=_log,
            **more,
        )
    except InvalidStatus as error:
        answer = error.response
        headers = {name: value for name, value in answer.headers.raw_items() if name.lower() not in _OF_THE_BODY}
        raise SocketRefused(answer.status_code, headers, bytes(answer.body)) from None
    except (InvalidURI, ValueError):
        raise AddressRefused("`base_url` is not an address") from None
    except InvalidHandshake:
        raise httpx.RemoteProtocolError("what answered is no WebSocket server") from None
    except WebSocketException:
        raise httpx.RemoteProtocolError("the connection broke") from None
    except OSError as error:
        raise NotConnected("no connection") from error
    return Socket(connection, redact)


async def _public_address(host: str, port: int) -> str:
    check_public(host)
    resolver = PublicResolver()
    try:
        found = await resolver.resolve(host, port)
    except AddressRefused:
        raise
    except OSError as error:
        raise NotConnected("the name is not known") from error
    finally:
        await resolver.close()
    return found[0]["host"]
