"""The public keys of a sign-in service (RFC 7517): fetched on first use, again when they are old, and when a token names an unknown one.

Unknown key ids cost at most one fetch in `_PAUSE_SECONDS`, whatever is sent to us. While the service cannot be reached, the keys
that are known stay good.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import jwt

_PAUSE_SECONDS = 5.0
_MAX_BYTES = 1 << 20
_log = logging.getLogger(__name__)

Fetch = Callable[[str], Awaitable[Mapping[str, Any]]]


class KeysUnavailable(Exception):
    """The keys of the sign-in service were never fetched and cannot be: a fault of ours or of the service, not of the token."""


async def fetch_json(url: str) -> Mapping[str, Any]:
    """GET a small JSON object. Raises `httpx.HTTPError` or `ValueError`."""
    async with httpx.AsyncClient(timeout=5, follow_redirects=False) as client, client.stream("GET", url) as answer:
        answer.raise_for_status()
        body = b""
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > _MAX_BYTES:
                raise ValueError(f"the answer is longer than {_MAX_BYTES} bytes")
    found = httpx.Response(200, content=body).json()
    if not isinstance(found, dict):
        raise ValueError("the answer is not a JSON object")
    return found


class Jwks:
    """The keys behind one address. `clock` counts seconds and only ever forwards."""

    def __init__(
        self, url: str, *, ttl_seconds: float, fetch: Fetch = fetch_json, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._ttl = ttl_seconds
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._lock = asyncio.Lock()

    async def key(self, kid: str | None) -> jwt.PyJWK | None:
        """The key of an id; for tokens without one the only key there is. None when the service does not publish it."""
        known = self._known(kid)
        if known is not None and (
            self._is_fresh() or self._lock.locked()
        ):  # an old key serves while new ones are fetched
            return known
        async with self._lock:  # many tokens with one new key: one fetch
            if not ((known := self._known(kid)) and self._is_fresh()) and self._may_try():
                await self._refresh()
        if self._fetched_at is None:
            raise KeysUnavailable(f"The keys of the sign-in service could not be fetched from {self._url}.")
        return self._known(kid)

    def _known(self, kid: str | None) -> jwt.PyJWK | None:
        if kid is None:
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(kid)

    def _is_fresh(self) -> bool:
        return self._fetched_at is not None and self._clock() - self._fetched_at < self._ttl

    def _may_try(self) -> bool:
        return self._tried_at is None or self._clock() - self._tried_at >= _PAUSE_SECONDS

    async def _refresh(self) -> None:
        self._tried_at = self._clock()
        try:
            found = await self._fetch(self._url)
            keys = _usable(found.get("keys"))
        except (httpx.HTTPError, ValueError) as error:
            _log.warning(
                "The keys of the sign-in service could not be fetched from %s: %s. Check `auth.jwt.jwks_url`.",
                self._url,
                error,
            )
            return
        self._keys = keys
        self._fetched_at = self._tried_at


def _usable(published: object) -> dict[str | None, jwt.PyJWK]:
    """The signing keys among `published`; kinds that we do not know are passed over, as RFC 7517 section 5 asks."""
    if not isinstance(published, list):
        raise ValueError("the answer has no list `keys`")
    keys: dict[str | None, jwt.PyJWK] = {}
    for one in published:
        if not isinstance(one, dict) or one.get("use", "sig") != "sig" or one.get("kty") == "oct":
            continue
        try:
            keys[one.get("kid")] = jwt.PyJWK(one)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
    return keys
