"""From a table of handlers to routes below `/api/v1`: who asks, what was sent, how a refusal is answered."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulators.splox.errors import SploxError, bad_request
from simulators.splox.records import Account
from simulators.splox.store import Store

PREFIX = "/api/v1"


@dataclass(slots=True)
class Call:
    """One request of an account."""

    store: Store
    account: Account
    request: Request

    def path(self, name: str) -> str:
        value: str = self.request.path_params[name]
        return value

    async def body(self) -> dict[str, Any]:
        try:
            said = json.loads(await self.request.body())
        except ValueError:
            raise bad_request("invalid JSON body") from None
        if not isinstance(said, dict):
            raise bad_request("the body must be an object")
        return said

    def limit(self, default: int, high: int) -> int:
        text = self.request.query_params.get("limit", str(default))
        if not text.isascii() or not text.lstrip("-").isdigit():
            raise bad_request("limit must be a number")
        limit = int(text)
        if not 1 <= limit <= high and self.store.switches.limit_out_of_range == "refused":
            raise bad_request(f"limit must be between 1 and {high}")
        return min(max(limit, 1), high)


Handler = Callable[[Call], Awaitable[Any]]
Entry = tuple[str, str, Handler]
"""Method, path below the prefix, handler; the handler's name is the operation's."""


def build(store: Store, entries: list[Entry]) -> list[Route]:
    return [_route(store, *entry) for entry in entries]


def _route(store: Store, method: str, path: str, handler: Handler) -> Route:
    async def answer(request: Request) -> Response:
        try:
            outcome = await handler(Call(store, _admit(store, request), request))
        except SploxError as refused:
            return JSONResponse(refused.body, status_code=refused.status, headers=refused.headers)
        return outcome if isinstance(outcome, Response) else JSONResponse(outcome)

    return Route(PREFIX + path, answer, methods=[method], name=handler.__name__)


def _admit(store: Store, request: Request) -> Account:
    """`Authorization: Bearer <token>` and nothing else (vendor notes 1.3)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    account = store.tokens.get(token) if scheme.lower() == "bearer" else None
    if account is None:
        raise SploxError(401, "unauthorized")
    return account


async def no_route(_: Request, refused: Exception) -> Response:
    """What an unknown path answers is not documented; its error body is that of v1."""
    assert isinstance(refused, HTTPException)
    return JSONResponse({"error": refused.detail}, status_code=refused.status_code, headers=refused.headers)


def required_text(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not value:
        raise bad_request(f"{name} is required")
    return value


def optional_object(said: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = said.get(name)
    if value is not None and not isinstance(value, dict):
        raise bad_request(f"{name} must be an object")
    return value
