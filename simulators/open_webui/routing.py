"""From a table of handlers to routes: who asks, what was sent, and how an outcome is answered."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from simulators.control import close_afterwards
from simulators.open_webui.accounts import User, who_is
from simulators.open_webui.errors import NOT_AUTHENTICATED, SESSION_EXPIRED, DetailError, UnhandledError, forbidden
from simulators.open_webui.store import Store
from simulators.open_webui.validation import read_body
from simulators.open_webui.writing import Tell


class Access(Enum):
    ANYBODY = 0
    USER = 1
    ADMIN = 2
    SESSION = 3
    """A person who signed in: an API key is refused."""
    SHARED = 4
    """A user; somebody without a credential is told that a session has expired."""


@dataclass(slots=True)
class Call:
    """One request. `body`: parsed JSON, or text where it was none; None where nothing was sent or the route takes none."""

    store: Store
    user: User
    request: Request
    body: Any
    tell: Tell
    """Tells the sockets of a user."""

    def path(self, name: str) -> str:
        value: str = self.request.path_params[name]
        return value


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Entry:
    method: str
    path: str
    handler: Handler
    takes_body: bool = False
    access: Access = Access.USER


def build(store: Store, users: list[User], tell: Tell, entries: list[Entry]) -> list[Route]:
    return [_route(store, users, tell, entry) for entry in entries]


def _route(store: Store, users: list[User], tell: Tell, entry: Entry) -> Route:
    async def answer(request: Request) -> Response:
        try:
            body = await read_body(request) if entry.takes_body else None
            user = _admit(request, users, entry.access)
            outcome = await entry.handler(Call(store, user, request, body, tell))
        except DetailError as refused:
            return JSONResponse({"detail": refused.detail}, status_code=refused.status)
        except UnhandledError:
            close_afterwards(request)
            return PlainTextResponse("Internal Server Error", status_code=500)
        return outcome if isinstance(outcome, Response) else JSONResponse(outcome)

    route = Route(entry.path, answer, methods=[entry.method], name=entry.handler.__name__)
    route.methods = {entry.method}  # the server's own routes answer none: it falls through to the web app
    return route


_NOBODY = User("", "", "", "", "")


def _admit(request: Request, users: list[User], access: Access) -> User:
    if access is Access.ANYBODY:
        return _NOBODY
    try:
        user, is_session = who_is(request, users)
    except DetailError as refused:
        if access is Access.SHARED and refused.detail == NOT_AUTHENTICATED:
            raise DetailError(401, SESSION_EXPIRED) from refused
        raise
    if access is Access.ADMIN and not user.is_admin:
        raise forbidden()
    if access is Access.SESSION and not is_session:
        raise DetailError(403, "A human session is required.")
    return user
