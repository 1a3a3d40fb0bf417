"""JSON Web Tokens of a sign-in service (RFC 7519): signature, issuer, audience and times are checked, and what they claim is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from domain.errors import Unauthenticated
from switchboard.jwks import Jwks, fetch_json
from switchboard.settings import JwtSettings, from_environment
from switchboard.settings_errors import SettingsError

_MAX_TOKEN = 16_384
_LEAST_SECRET_BYTES = 32
_MAX_TEXT = 255


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says. `organization` is a slug, None when the token names none or no claim is configured for it."""

    issuer: str
    subject: str
    display_name: str | None
    organization: str | None
    expires_at: datetime


class TokenVerifier:
    """Checks tokens as `auth.jwt` says."""

    def __init__(
        self,
        settings: JwtSettings,
        *,
        keys: Jwks | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._now = now
        self._secret: str | None = None
        self._keys = keys
        if settings.secret is not None:
            self._secret = from_environment(settings.secret, setting="auth.jwt.secret")
            if len(self._secret.encode()) < _LEAST_SECRET_BYTES:
                raise SettingsError(
                    f"`auth.jwt.secret` has fewer than {_LEAST_SECRET_BYTES} bytes and could be guessed. Use a longer one."
                )
        elif settings.jwks_url is not None and keys is None:
            self._keys = Jwks(settings.jwks_url, ttl_seconds=settings.jwks_ttl_seconds, fetch=fetch_json)

    async def verify(self, token: str) -> Claims:
        """The claims of a good token. Raises `Unauthenticated`, or `KeysUnavailable` when that cannot be told."""
        if len(token) > _MAX_TOKEN:
            raise _refused("it is too long")
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            if algorithm not in self._settings.allowed_algorithms:
                raise _refused(f"its algorithm is not one of {', '.join(self._settings.allowed_algorithms)}")
            payload = jwt.decode(
                token,
                await self._key_of(header),
                algorithms=[algorithm],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                options={
                    "require": ["exp", "iss", "sub", "aud"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError as error:
            raise _refused(_reason(error)) from error
        return self._claims(payload)

    async def _key_of(self, header: Mapping[str, Any]) -> Any:
        if self._secret is not None:
            return self._secret
        assert self._keys is not None  # the settings demand one of the two
        kid = header.get("kid")
        key = await self._keys.key(kid if isinstance(kid, str) else None)
        if key is None:
            raise _refused("the sign-in service does not publish the key that signed it")
        return key

    def _claims(self, payload: Mapping[str, Any]) -> Claims:
        """Times are checked here, against our own clock, so that tests need not wait."""
        leeway = timedelta(seconds=self._settings.leeway_seconds)
        expires_at = _moment(payload, "exp") + leeway
        now = self._now()
        if now >= expires_at:
            raise _refused("it has expired")
        for start in ("nbf", "iat"):
            if start in payload and now < _moment(payload, start) - leeway:
                raise _refused(f"it is not good yet (`{start}`)")
        subject = payload["sub"]
        if not isinstance(subject, str) or not 1 <= len(subject) <= _MAX_TEXT:
            raise _refused(f"its `sub` is not a text of 1 to {_MAX_TEXT} characters")
        claim = self._settings.organization_claim
        organization = payload.get(claim) if claim is not None else None
        if organization is not None and not isinstance(organization, str):
            raise _refused(f"its claim `{claim}` is not a text")
        name = payload.get("name")
        return Claims(
            issuer=self._settings.issuer,
            subject=subject,
            display_name=name[:_MAX_TEXT] if isinstance(name, str) and name else None,
            organization=organization or None,
            expires_at=expires_at,
        )


def _moment(payload: Mapping[str, Any], claim: str) -> datetime:
    value = payload[claim]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused(f"its `{claim}` is not a time")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise _refused(f"its `{claim}` is not a possible time") from error


def _reason(error: jwt.PyJWTError) -> str:
    match error:
        case jwt.InvalidAudienceError():
            return "it is for another audience"
        case jwt.InvalidIssuerError():
            return "it is of another issuer"
        case jwt.MissingRequiredClaimError():
            return f"it has no claim `{error.claim}`"
        case jwt.InvalidSignatureError():
            return "its signature is wrong"
        case _:
            return "it is not a valid JWT"


def _refused(reason: str) -> Unauthenticated:
    return Unauthenticated(f"The token was refused: {reason}. Sign in again.")
