"""Organizations, their users and keys, and what a request may do by which of them."""

from dataclasses import dataclass

import jwt
from starlette.requests import Request

from simulators.chatlogger.errors import ChatLoggerError, unauthorized

SLUG, OTHER_SLUG = "simulator", "another"
ORGANIZATION, OTHER_ORGANIZATION = 2, 3
API_KEY = "c2ltdWxhdG9yLWtleS1vZi1vcmdhbml6YXRpb24tMDI="
OTHER_API_KEY = "c2ltdWxhdG9yLWtleS1vZi1vcmdhbml6YXRpb24tMDM="
ADMIN_EMAIL, USER_EMAIL, OTHER_EMAIL = "admin@example.test", "user@example.test", "other@example.test"
PASSWORD = "simulator"
COOKIE = "auth_token"
_SECRET = "the simulator signs its cookies with this"


@dataclass(frozen=True)
class User:
    id: int
    organization: int
    email: str
    first_name: str
    last_name: str
    role: str


@dataclass(frozen=True)
class Key:
    """Of an organization. `text` is shown once, when it is made."""

    id: int
    organization: int
    label: str
    text: str


ORGANIZATIONS = {SLUG: ORGANIZATION, OTHER_SLUG: OTHER_ORGANIZATION}
"""Slug → id; no path tells of an organization."""
USERS = (  # the example of the page names user 42
    User(1, ORGANIZATION, ADMIN_EMAIL, "Ada", "Admin", "admin"),
    User(42, ORGANIZATION, USER_EMAIL, "Uma", "User", "user"),
    User(3, OTHER_ORGANIZATION, OTHER_EMAIL, "Otto", "Other", "admin"),
)


def keys() -> list[Key]:
    """One for each organization."""
    return [
        Key(1, ORGANIZATION, "seeded", API_KEY),
        Key(2, OTHER_ORGANIZATION, "seeded", OTHER_API_KEY),
    ]


def token_of(user: User, now: float, seconds: int) -> str:
    claims = {"user_id": user.id, "organization_id": user.organization, "role": user.role, "exp": int(now) + seconds}
    return jwt.encode(claims, _SECRET, algorithm="HS256")


def who_is(request: Request, now: float) -> User:
    """The user of the cookie; no header counts."""
    token = request.cookies.get(COOKIE)
    if token is None:
        raise unauthorized("Authentication required")
    try:
        claims = jwt.decode(token, _SECRET, algorithms=["HS256"], options={"verify_exp": False})
    except jwt.PyJWTError as error:
        raise unauthorized("Invalid token") from error
    if now >= claims["exp"]:
        raise unauthorized("Invalid token")
    return next(user for user in USERS if user.id == claims["user_id"])


def organization_of(request: Request, known: list[Key]) -> int:
    """The organization of the key in the header, if it is the path's; a cookie does not count."""
    text = request.headers.get("x-organization-api-key")
    if not text:
        raise unauthorized("API key required")
    key = next((one for one in known if one.text == text), None)
    if key is None:
        raise unauthorized("Invalid API key")
    meant = ORGANIZATIONS.get(request.path_params["slug"])
    if meant is None:
        raise ChatLoggerError(404, "Organization not found")
    if meant != key.organization:
        raise ChatLoggerError(403, "API key does not belong to this organization")
    return key.organization
