"""Who is asking (observed on 0.12.4): API keys, sessions (JWT, HS256), and what a wrong one is told."""

import time
from dataclasses import dataclass

import jwt
from starlette.requests import Request

from simulators.open_webui.errors import NOT_AUTHENTICATED, SESSION_EXPIRED, DetailError

ADMIN_KEY = "sk-" + "a" * 32
USER_KEY = "sk-" + "b" * 32
PASSWORD = "simulator"
SESSION_SECONDS = 28 * 24 * 3600
_SECRET = "the simulator signs its sessions with this"


@dataclass
class User:
    id: str
    name: str
    email: str
    role: str
    api_key: str

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"


def accounts() -> list[User]:
    """An admin and an ordinary user."""
    return [
        User("5f1d7a9e-0000-4000-8000-00000000000a", "Ada Admin", "admin@example.test", "admin", ADMIN_KEY),
        User("5f1d7a9e-0000-4000-8000-00000000000b", "Uma User", "user@example.test", "user", USER_KEY),
    ]


def session_of(user: User, now: int) -> tuple[str, int]:
    """A token for 28 days, and when it ends."""
    ends = now + SESSION_SECONDS
    return jwt.encode({"id": user.id, "typ": "session", "iat": now, "exp": ends}, _SECRET, algorithm="HS256"), ends


def read_credential(request: Request) -> str:
    """The token as sent: `Authorization: Bearer`, then `x-api-key`, then the cookie."""
    _, _, token = request.headers.get("authorization", "").partition(" ")
    if token:  # whatever the scheme is called
        return token
    found = request.headers.get("x-api-key") or request.cookies.get("token")
    if not found:
        raise DetailError(401, NOT_AUTHENTICATED)
    return found


def who_is(request: Request, users: list[User]) -> tuple[User, bool]:
    """The user, and whether a person's session speaks for it (else an API key)."""
    token = read_credential(request)
    if token.startswith("sk-"):
        for user in users:
            if token == user.api_key:
                return user, False
        raise DetailError(401, SESSION_EXPIRED)
    try:
        signed_in = _signed_in(token, users)
    except jwt.PyJWTError as error:
        raise DetailError(401, "401 Unauthorized") from error
    if signed_in is None:
        raise DetailError(401, "Invalid authentication request.")
    return signed_in, True


def user_of_session(token: str, users: list[User]) -> User | None:
    """Whose session a token is; None for everything else, API keys too."""
    try:
        return _signed_in(token, users)
    except jwt.PyJWTError:
        return None


def _signed_in(token: str, users: list[User]) -> User | None:
    claims = jwt.decode(token, _SECRET, algorithms=["HS256"])
    return next((user for user in users if user.id == claims["id"]), None)


class SignInLimit:
    """At most 15 tries in three minutes for each e-mail address."""

    def __init__(self) -> None:
        self._tries: dict[str, list[float]] = {}

    def count(self, email: str) -> None:
        now = time.monotonic()
        recent = [at for at in self._tries.get(email, []) if now - at < 180]
        if len(recent) >= 15:
            raise DetailError(429, "API rate limit exceeded")
        self._tries[email] = [*recent, now]
