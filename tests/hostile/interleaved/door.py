"""One address for several accounts of a vendor, as at every vendor's own host: what a request is signed with says whose house it enters."""

import json
from collections.abc import Sequence

import jwt
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from simulators.chatlogger.accounts import COOKIE, USERS
from tests.hostile.interleaved.houses import House

_LOGIN = "/auth/login"
_HEADERS = ("authorization", "x-api-key", "x-organization-api-key")


class Door:
    """An ASGI application. Nobody is let in by a credential that no house knows; who has none is let into the first, which tells nothing then."""

    def __init__(self, houses: Sequence[House]) -> None:
        self._houses = houses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].endswith(_LOGIN):
            body = await _whole(receive)
            house, receive = self._of_login(body), _told_again(body, receive)
        else:
            house = self._of_headers(Headers(scope=scope))
        if house is None:
            assert scope["type"] == "http", "a socket with a credential of nobody"
            await JSONResponse({"error": "the door knows nobody with this credential"}, 401)(scope, receive, send)
            return
        await house.control(scope, receive, send)

    def _of_headers(self, headers: Headers) -> House | None:
        signed = [headers[name] for name in _HEADERS if name in headers]
        if signed:
            return next((house for house in self._houses if signed[0] in house.signs), None)
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        return self._of_cookie(cookie) if cookie is not None else self._houses[0]

    def _of_cookie(self, token: str) -> House | None:
        user_id = jwt.decode(token, options={"verify_signature": False})["user_id"]
        return self._of_email(next(user.email for user in USERS if user.id == user_id))

    def _of_login(self, body: bytes) -> House | None:
        return self._of_email(json.loads(body).get("email"))

    def _of_email(self, email: str) -> House | None:
        return next((house for house in self._houses if house.credentials.get("email") == email), None)


async def _whole(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


def _told_again(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replaying() -> Message:
        return waiting.pop() if waiting else await receive()

    return replaying
