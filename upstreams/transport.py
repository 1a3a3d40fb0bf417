"""How bytes get to a vendor and back: connections, addresses, and the one answer to "was it sent?".

httpx gives the interface, aiohttp the connections: one pool, in which each connection serves one account alone (`ACCOUNT`). pyreqwest is a little faster (measured: 0.02 ms a call) and was left,
because in 0.15.1 a cancelled request goes on: its connection stays open until the vendor answers, so a client that goes away, or a
deadline, would not reach the vendor. Redirects are never followed, cookies never kept, and proxies of the environment never
used: the first and the last lead to hosts that nobody checked, and the second would mix the accounts of two sources.
"""

import functools
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextvars import ContextVar

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_reqrep import ConnectionKey
from multidict import CIMultiDict
from yarl import URL

ACCOUNT = "switchboard.account"
"""The extension of a request that says in whose name it is sent: a source and its credentials, as any text."""
_CONNECT_SECONDS = 3.0
_IDLE_SECONDS = 60.0
_NAMES_SECONDS = 10
_CHUNK_BYTES = 16 * 1024
_account: ContextVar[str] = ContextVar(ACCOUNT, default="")


class NotConnected(httpx.ConnectError):
    """No connection came about, so nothing was sent."""


class AddressRefused(NotConnected):
    """The address is none, or a private one and the settings do not allow that."""


def certainly_not_sent(error: BaseException) -> bool:
    """Whether a failed request certainly did not reach the vendor's logic. What is not recognised counts as perhaps executed.

    Only a connection that never came about is certain. The names of errors are no help: other transports call it a
    `ConnectError` too when the server read the whole request and closed without an answer.
    """
    if isinstance(error, NotConnected):
        return True
    is_own_pool = type(error.__cause__).__module__.startswith("httpcore")
    return is_own_pool and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)


def is_broken_connection(error: BaseException) -> bool:
    """Whether the connection died under the request: what happens on a pooled connection that the vendor had dropped."""
    return isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError)


def is_public(address: str) -> bool:
    """Whether an address belongs to the open internet. Addresses inside addresses (IPv4 in IPv6, 6to4, NAT64) are looked into."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


class PublicResolver(AbstractResolver):
    """Resolves a name and checks every address of it. The connection goes to the very addresses that were checked, so a name that
    answers differently the second time gains nothing."""

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        self._resolver = resolver or aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises `AddressRefused` when one of them is private."""
        found = await self._resolver.resolve(host, port, family)
        for entry in found:
            check_public(entry["host"])
        return found

    async def close(self) -> None:
        """Let the resolver below go."""
        await self._resolver.close()


@functools.cache
def authorities() -> ssl.SSLContext:
    """Who is trusted, with `SSL_CERT_FILE` for authorities of one's own. Loaded once: it takes 50 ms, in which the loop stands still."""
    return httpx.create_ssl_context()


def check_public(host: str) -> None:
    """Raise `AddressRefused` for the text of a private address; a name is checked when it is resolved."""
    try:
        public = is_public(host)
    except ValueError:
        return
    if not public:
        raise AddressRefused("the host leads into a private network; set `allow_private_addresses` if that is meant")


class Transport(httpx.AsyncBaseTransport):
    """The transport for all sources of a process. `resolver` takes the place of the system's in tests."""

    def __init__(self, *, allow_private_addresses: bool, resolver: AbstractResolver | None = None) -> None:
        self._allows_private = allow_private_addresses
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it. Cancelling closes the connection."""
        if not self._allows_private:
            check_public(request.url.host)
        account = _account.set(request.extensions.get(ACCOUNT, ""))
        try:
            response = await self._open().request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=CIMultiDict(request.headers.multi_items()),
                data=request.content or None,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _as_httpx(error, request) from error
        finally:
            _account.reset(account)
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response, request))

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        # On first use: a pool belongs to the loop that it runs on.
        if self._session is None:
            connector = aiohttp.TCPConnector(
                limit=0,  # each source has a limit of its own
                resolver=self._resolver if self._allows_private else PublicResolver(self._resolver),
                ttl_dns_cache=_NAMES_SECONDS,
                keepalive_timeout=_IDLE_SECONDS,
                ssl=authorities(),
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                request_class=_Request,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
                auto_decompress=False,  # httpx does it
                trust_env=False,
            )
        return self._session


class _Request(aiohttp.ClientRequest):
    """Finds a connection of its own account only.

    A vendor, or what stands before it, that once sends an answer too many, or remembers who signed in on a connection, would else tell
    one tenant what is another's.
    """

    @property
    def connection_key(self) -> ConnectionKey:
        """What tells connections apart in the pool: host, port and TLS, and here the account too."""
        # The field is for headers to a proxy, of which there are none.
        return super().connection_key._replace(proxy_headers_hash=hash(_account.get()))


class _Body(httpx.AsyncByteStream):
    """The body of an answer as it arrives."""

    def __init__(self, response: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._response = response
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_chunked(_CHUNK_BYTES):
                yield chunk
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise httpx.ReadError("the answer broke off", request=self._request) from error

    async def aclose(self) -> None:
        # Keeps the connection when the body was read to its end, closes it otherwise.
        self._response.release()


def _as_httpx(error: BaseException, request: httpx.Request) -> httpx.RequestError:
    """aiohttp's errors in httpx's words. `ClientConnectorError` and `ConnectionTimeoutError` come from connecting alone."""
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return NotConnected("no connection", request=request)
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return AddressRefused("`base_url` is not an http or https address", request=request)
    return httpx.RemoteProtocolError("the connection broke", request=request)
