"""Sessions of the transports: a credential, found in headers or in the payload of `connection_init`, and what becomes of it.

open ──▶ good ──looked at again (`switchboard.watches`)──▶ good, perhaps with another role
            └──revoked, removed or expired──▶ ended
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.errors import Forbidden, GatewayError, OrganizationRequired, Unauthenticated
from resolvers.context import Context, Gateway
from switchboard.auth import Authenticator, Identity
from switchboard.http.session import Ended, Refused
from switchboard.jwks import KeysUnavailable
from switchboard.logging import bind_request
from switchboard.watches import Watches

_RETRY_SECONDS = 5


class GatewaySession:
    """One accepted credential, for one request or for the life of one socket."""

    __slots__ = ("_changes", "_identity", "_last_event_id", "_organization", "_sessions")

    def __init__(
        self,
        sessions: "GatewaySessions",
        identity: Identity,
        *,
        organization: str | None,
        last_event_id: str | None,
        changes: int,
    ) -> None:
        """`changes`: how many changes of keys and memberships were told of when the identity was asked for."""
        self._sessions = sessions
        self._identity = identity
        self._organization = organization
        self._last_event_id = last_event_id
        self._changes = changes

    @property
    def identity(self) -> Identity:
        """Who is asking, as last looked at."""
        return self._identity

    @property
    def address(self) -> str:
        """The principal's key."""
        return self._identity.principal.key

    @property
    def expires_at(self) -> datetime | None:
        """When the credential ends by itself; None: never. `renew` moves it."""
        return self._identity.expires_at

    def context(self, *, request_id: str, client_left: asyncio.Event | None = None) -> Context:
        """What one operation may use."""
        identity = self._identity
        return Context(
            gateway=self._sessions.gateway,
            organization=identity.organization,
            principal=identity.principal,
            role=identity.role,
            scopes=identity.scopes,
            request_id=request_id,
            last_event_id=self._last_event_id,
            client_left=client_left,
        )

    def watch(self, ended: Ended) -> None:
        """Look again and again whether the credential is good, until `close`."""
        self._sessions.watches.add(self, ended, since=self._changes)

    def looked(self, identity: Identity) -> None:
        """It is good, perhaps with another role."""
        self._identity = identity

    async def renew(self, payload: Mapping[str, Any]) -> bool:
        """Take a newer credential of the same principal; False when the payload holds none."""
        token = _token_in(payload, {})
        if token is None:
            return False
        fresh = await self._sessions.identify(token, _organization_in(payload, {}) or self._organization)
        if (
            fresh.principal.key != self._identity.principal.key
            or fresh.organization.id != self._identity.organization.id
        ):
            raise Refused(
                "The new credential is of somebody else, or for another organization. Open a new connection with it.",
                status=403,
                code="FORBIDDEN",
            )
        self._identity = fresh
        self._sessions.watches.changed()
        return True

    async def close(self) -> None:
        """Watch it no more."""
        self._sessions.watches.discard(self)


class GatewaySessions:
    """Opens sessions. `access_changed` is to be called when a key or membership was changed in this process."""

    def __init__(self, gateway: Gateway, authenticator: Authenticator, *, check_seconds: float) -> None:
        self.gateway = gateway
        self.authenticator = authenticator
        self.watches = Watches(authenticator, check_seconds=check_seconds, clock=gateway.clock)

    async def open(
        self,
        headers: Mapping[str, str],
        init_payload: Mapping[str, Any] | None,
        *,
        request_id: str,
        transport: str,
        last_event_id: str | None,
    ) -> GatewaySession:
        """The session of a request or socket. Raises `Refused`. What a payload says wins over headers."""
        bind_request(request_id)  # each request, and each socket, is a task of its own
        payload = init_payload or {}
        token = _token_in(payload, headers)
        if token is None:
            raise Refused(
                "The request carries no credential. Send `Authorization: Bearer …` with an API key or a token, "
                "on WebSockets in the payload of `connection_init`.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        organization = _organization_in(payload, headers)
        changes = self.watches.changes
        identity = await self.identify(token, organization)
        return GatewaySession(self, identity, organization=organization, last_event_id=last_event_id, changes=changes)

    async def identify(self, token: str, organization: str | None) -> Identity:
        """As `Authenticator.identify`, with what the transports answer in place of errors."""
        try:
            return await self.authenticator.identify(token, organization)
        except Unauthenticated as error:
            raise _refused(error, 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'}) from error
        except OrganizationRequired as error:
            raise _refused(error, 403, extensions={"organizations": list(error.organizations)}) from error
        except Forbidden as error:
            raise _refused(error, 403) from error
        except KeysUnavailable as error:
            raise Refused(
                "The token could not be checked, because the keys of the sign-in service cannot be read now. Try again soon.",
                status=503,
                code="INTERNAL",
                headers={"Retry-After": str(_RETRY_SECONDS)},
            ) from error

    def access_changed(self) -> None:
        """A key or membership was changed: every session is looked at again, before anything more is told to it."""
        self.authenticator.forget()
        self.watches.look_now()


def _refused(
    error: GatewayError,
    status: int,
    headers: Mapping[str, str] | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> Refused:
    return Refused(error.message, status=status, code=error.code.value, headers=headers, extensions=extensions)


def _token_in(payload: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    value = _named(payload, "authorization") or headers.get("authorization")
    if value is None:
        return None
    scheme, _, token = value.strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or not token.isascii():
        raise Refused(
            "The credential cannot be read. Write it as `Authorization: Bearer …`.",
            headers={"WWW-Authenticate": 'Bearer error="invalid_request"'},
        )
    return token


def _organization_in(payload: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    own = payload.get("organization")
    if isinstance(own, str) and own.strip():
        return own.strip()
    return (_named(payload, "x-organization") or headers.get("x-organization", "")).strip() or None


def _named(payload: Mapping[str, Any], name: str) -> str | None:
    """A text of the payload, or of its `headers`, by its name in any case, as clients send it."""
    inner = payload.get("headers")
    for place in (payload, inner if isinstance(inner, dict) else {}):
        for key, value in place.items():
            if key.lower() == name and isinstance(value, str):
                return value
    return None
