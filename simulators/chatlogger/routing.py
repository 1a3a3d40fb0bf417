"""From handlers to routes: the prefix of the version, and who may call."""

from collections.abc import Awaitable, Callable, MutableMapping
from enum import Enum
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simulators.chatlogger.accounts import User, organization_of, who_is
from simulators.chatlogger.errors import ChatLoggerError
from simulators.chatlogger.store import Store
from simulators.chatlogger.switches import Switches


class Access(Enum):
    ANYBODY = 0
    COOKIE = 1
    ADMIN = 2
    """A cookie of a user whose role is admin."""
    KEY = 3


class Call:
    """One request that was let in. `organization` is that of the cookie or of the key; `user` is the cookie's."""

    def __init__(self, request: Request, organization: int, user: User | None) -> None:
        self.request, self.organization, self._user = request, organization, user

    @property
    def user(self) -> User:
        assert self._user is not None
        return self._user

    def path(self, name: str) -> str:
        value: str = self.request.path_params[name]
        return value


Handler = Callable[[Call], Awaitable[tuple[int, Any]]]
"""Gives status and body."""


class PrefixedRoute(Route):
    """Matches only under the prefix that the version of the moment has."""

    def __init__(self, switches: Switches, path: str, endpoint: Any, **more: Any) -> None:
        super().__init__("/{prefix:path}" + path, endpoint, **more)
        self._switches = switches

    def matches(self, scope: MutableMapping[str, Any]) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        if match is not Match.NONE and child["path_params"]["prefix"] != prefix_of(self._switches.version):
            return Match.NONE, {}
        return match, child


def prefix_of(version: str) -> str:
    """`v1` from 0.5.0 on."""
    numbers = tuple(int(part) for part in version.removeprefix("v").split(".")[:2])
    return "v1" if numbers >= (0, 5) else "api/v1"


def route(store: Store, method: str, path: str, handler: Handler, access: Access, *, prefixed: bool = True) -> Route:
    async def answer(request: Request) -> Response:
        try:
            status, body = await handler(_admit(store, request, access))
        except ChatLoggerError as refused:
            return JSONResponse({"error": refused.message}, status_code=refused.status)
        return body if isinstance(body, Response) else JSONResponse(body, status_code=status)

    kind = handler.__name__
    if prefixed:
        return PrefixedRoute(store.switches, path, answer, methods=[method], name=kind)
    return Route(path, answer, methods=[method], name=kind)


def _admit(store: Store, request: Request, access: Access) -> Call:
    if access is Access.ANYBODY:
        return Call(request, 0, None)
    if access is Access.KEY:
        return Call(request, organization_of(request, store.keys), None)
    user = who_is(request, store.clock())
    if access is Access.ADMIN and user.role != "admin":
        raise ChatLoggerError(403, "Insufficient permissions")
    return Call(request, user.organization, user)


class VersionHeader:
    """`X-API-Version` on every answer."""

    def __init__(self, app: ASGIApp, switches: Switches) -> None:
        self._app, self._switches = app, switches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                version = (b"x-api-version", self._switches.version.encode())
                message = {**message, "headers": [*message["headers"], version]}
            await send(message)

        await self._app(scope, receive, sending)
