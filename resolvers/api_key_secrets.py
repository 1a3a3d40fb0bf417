"""API keys: `sb_` and 32 random bytes as base64url. The store keeps their SHA-256; the key itself is shown once."""

import hashlib
import secrets
from dataclasses import dataclass, field

from domain.records import Role, Scope

_MARK = "sb_"
_LENGTH = len(_MARK) + 43
_PREFIX_LENGTH = len(_MARK) + 8


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made: what to show once, and what to store."""

    secret: str = field(repr=False)
    prefix: str
    digest: bytes


def new_api_key() -> NewKey:
    """Make a key."""
    secret = _MARK + secrets.token_urlsafe(32)
    return NewKey(secret, secret[:_PREFIX_LENGTH], digest_of(secret))


def is_api_key(text: str) -> bool:
    """Whether a bearer token has the form of an API key; anything else is read as a JWT."""
    return text.startswith(_MARK) and len(text) == _LENGTH and text.isascii()


def digest_of(secret: str) -> bytes:
    """What the store keeps. The key has 256 random bits, so a plain hash cannot be searched for it."""
    return hashlib.sha256(secret.encode()).digest()


def role_of(scopes: frozenset[Scope]) -> Role:
    """What a key may do in its organization, by its scopes."""
    if Scope.ADMIN in scopes:
        return Role.ADMIN
    return Role.MEMBER if Scope.WRITE in scopes else Role.VIEWER
