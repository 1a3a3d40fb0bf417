"""How bytes get to a vendor and back: connections, addresses, and the one answer to "was it sent?".

httpx gives the interface, pyreqwest the connections: one pool for all sources, a seventh of the cost of httpx's own
(measured, see `docs/`). Redirects are never followed and proxies of the environment never used: both lead to hosts that nobody checked.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import httpx
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.compatibility.httpx import HttpxTransport
from pyreqwest.exceptions import PyreqwestError

CONNECT_SECONDS = 3.0
_IDLE_SECONDS = 60.0
_PIN_SECONDS = 60.0
_MAX_PINS = 256

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class AddressRefused(httpx.ConnectError):
    """The host has no address, or a private one and the settings do not allow that. Nothing was sent."""


def certainly_not_sent(error: BaseException) -> bool:
    """Whether a failed request certainly did not reach the vendor's logic. What is not recognised counts as perhaps executed.

    Only the connecting phase is certain. pyreqwest 0.15.1 calls it `ConnectError` too when the server read the whole request and closed
    without an answer; its causes tell the difference: `client error (Connect)` was never sent, `client error (SendRequest)` may have been.
    """
    if isinstance(error, AddressRefused):
        return True
    if isinstance(error, httpx.RequestError) and isinstance(error.__cause__, PyreqwestError):
        messages = _causes(error.__cause__)
        return "client error (Connect)" in messages and "client error (SendRequest)" not in messages
    # httpx's own pool, where somebody passes another transport in: there the class alone is certain.
    is_own_pool = type(error.__cause__).__module__.startswith("httpcore")
    return is_own_pool and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)


def _causes(error: PyreqwestError) -> list[str]:
    details: Any = getattr(error, "details", None)
    causes = details.get("causes") if isinstance(details, dict) else None
    return [cause.get("message", "") for cause in causes or () if isinstance(cause, dict)]


def is_broken_connection(error: BaseException) -> bool:
    """Whether the connection died under the request: what happens on a pooled connection that the vendor had dropped."""
    if not isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
        return False
    if isinstance(error.__cause__, PyreqwestError):
        return "client error (SendRequest)" in _causes(error.__cause__)
    return isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError)


def shared_transport(*, allow_private_addresses: bool, resolve: Resolve | None = None) -> httpx.AsyncBaseTransport:
    """The transport for all sources of a process."""
    if allow_private_addresses:
        return HttpxTransport(_builder().build())
    return PublicTransport(resolve or resolve_by_system)


def _builder() -> ClientBuilder:
    return (
        ClientBuilder()
        .no_proxy()
        .follow_redirects(False)
        .referer(False)
        .connect_timeout(timedelta(seconds=CONNECT_SECONDS))
        .pool_idle_timeout(timedelta(seconds=_IDLE_SECONDS))
    )


async def resolve_by_system(host: str, port: int) -> list[str]:
    """All addresses of a host, as the operating system knows them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


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


class PublicTransport(httpx.AsyncBaseTransport):
    """Goes to public addresses only.

    A host is resolved here, every address of it checked, and the connection pinned to the checked one: a name that answers differently
    the second time gains nothing. A pin lasts a minute.
    """

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._pins: dict[tuple[str, int], tuple[float, str, HttpxTransport]] = {}
        self._lock = asyncio.Lock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it on a connection to a checked address."""
        pinned = await self._pinned(request)
        return await pinned.handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        for _, _, transport in self._pins.values():
            await transport.aclose()
        self._pins.clear()

    async def _pinned(self, request: httpx.Request) -> HttpxTransport:
        host, port = request.url.host, request.url.port or (443 if request.url.scheme == "https" else 80)
        now = asyncio.get_running_loop().time()
        async with self._lock:
            known = self._pins.get((host, port))
            if known is not None and known[0] > now:
                return known[2]
        address = await self._checked_address(host, port, request)
        async with self._lock:
            known = self._pins.get((host, port))
            # Keep warm connections when the name still leads to the same place.
            transport = (
                known[2] if known is not None and known[1] == address else HttpxTransport(_client(host, address, port))
            )
            self._pins.pop((host, port), None)
            self._pins[host, port] = (now + _PIN_SECONDS, address, transport)
            while len(self._pins) > _MAX_PINS:
                self._pins.pop(next(iter(self._pins)))
            return transport

    async def _checked_address(self, host: str, port: int, request: httpx.Request) -> str:
        try:
            addresses = [str(ipaddress.ip_address(host))]
        except ValueError:
            try:
                addresses = list(await self._resolve(host, port))
            except OSError as error:
                raise AddressRefused("the host name has no address", request=request) from error
        if not addresses or not all(is_public(address) for address in addresses):
            raise AddressRefused(
                "the host leads into a private network; set `upstreams.allow_private_addresses` if that is meant",
                request=request,
            )
        return addresses[0]


def _client(host: str, address: str, port: int) -> Client:
    return _builder().resolve(host, address, port).build()
