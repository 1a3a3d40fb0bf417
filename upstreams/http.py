"""The HTTP client that all connectors share: one pool and one policy for a whole process, in which no two sources share a connection.

A connector describes a request (`upstreams.requests`), names its vendor's policy, and asks `UpstreamClient` (`upstreams.client`),
which answers or raises an error of `domain.errors`. Deadlines, retries, quotas, the circuit breaker, single-flight and the limit of an answer's
size are there; nothing of it is repeated in a connector.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from domain.records import Source
from upstreams.client import Shared, UpstreamClient
from upstreams.clock import Clock
from upstreams.flights import SingleFlight
from upstreams.policy import Call, UpstreamSettings, VendorPolicy
from upstreams.quota import Quota
from upstreams.redaction import Redactor
from upstreams.transport import Transport


def _ignore(call: Call) -> None:
    """Nobody measures."""


class UpstreamClients:
    """Makes the clients of all sources. The application makes one per process and closes it at the end.

    `observe` is called after every attempt. `transport` takes the place of the real one in tests.
    """

    def __init__(
        self,
        settings: UpstreamSettings | None = None,
        *,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        observe: Callable[[Call], None] = _ignore,
    ) -> None:
        self._settings = settings or UpstreamSettings()
        self._clock = clock or Clock()
        self._given_transport = transport
        self._http: httpx.AsyncClient | None = None
        self._quotas: dict[str, Quota] = {}
        self._shared = Shared(
            settings=self._settings,
            clock=self._clock,
            observe=observe,
            http=self._open,
            flights=SingleFlight(),
            generations={},
        )

    @property
    def clock(self) -> Clock:
        """The clock that everything here goes by."""
        return self._clock

    @property
    def settings(self) -> UpstreamSettings:
        """The bounds for all sources."""
        return self._settings

    def client(
        self,
        source: Source,
        *,
        headers: Mapping[str, str],
        secrets: Sequence[str],
        policy: VendorPolicy,
        per_minute: float | None = None,
        at_most: Mapping[str, int] | None = None,
    ) -> UpstreamClient:
        """The client of one source. `headers` carry its credentials, `secrets` are kept out of every sentence.

        `per_minute` is the vendor's quota, shared by all sources with the same credential at the same address. `at_most` are quotas that single
        operations have of their own, calls a minute: waiting for one of them holds nothing else up.
        """
        scope = hashlib.sha256("\0".join([source.vendor, source.base_url or "", *secrets]).encode()).hexdigest()
        quota = self._quotas.get(scope)
        if quota is None:
            quota = self._quotas[scope] = Quota(self._clock.monotonic, per_minute=per_minute)
        return UpstreamClient(
            self._shared,
            source,
            headers=headers,
            redact=Redactor(secrets),
            policy=policy,
            quota=quota,
            quotas={operation: self._quota_of(scope, operation, bound) for operation, bound in (at_most or {}).items()},
            scope=scope,
        )

    def _quota_of(self, scope: str, operation: str, bound: int) -> Quota:
        key = f"{scope} {operation}"
        if key not in self._quotas:
            self._quotas[key] = Quota(self._clock.monotonic, at_most=bound)
        return self._quotas[key]

    async def aclose(self) -> None:
        """Close every connection."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    def _open(self) -> httpx.AsyncClient:
        # On first use: a pool belongs to the loop that it runs on.
        if self._http is None:
            allowed = self._settings.allow_private_addresses
            self._http = httpx.AsyncClient(
                transport=self._given_transport or Transport(allow_private_addresses=allowed),
                timeout=None,  # deadlines are kept by the client, over the whole call
                follow_redirects=False,
                trust_env=False,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # none: two sources may share a host
                headers={"User-Agent": self._settings.user_agent},
            )
        return self._http
