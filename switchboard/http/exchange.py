"""One answer on its way out, whatever it says."""

from collections.abc import MutableMapping
from typing import Any

from engine.requests import Response
from switchboard.http.body import Send
from switchboard.http.negotiation import Form
from switchboard.http.origins import ASGIHeaders, cors_headers
from switchboard.http.problem import Problem, error_body
from switchboard.http.session import Refused


class Exchange:
    """One request's answer on its way out: the headers that all answers share, and whether it has begun."""

    def __init__(self, request_id: str, origin: str | None, send: Send) -> None:
        self.request_id = request_id
        self.origin = origin
        self.form = Form.JSON
        self.started = False
        self._send = send

    async def start(self, status: int, headers: ASGIHeaders, body: bytes = b"", *, more: bool = False) -> None:
        """The head and the first (by default, the whole) body."""
        self.started = True
        head = [*headers, *self._shared_headers()]
        if not more and status != 204:
            head.append((b"content-length", str(len(body)).encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": head})
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def write(self, body: bytes, *, more: bool = True) -> None:
        """More of a body that was started with `more`."""
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def respond(self, response: Response) -> None:
        """One response; 400 for a request error only under the media type that has a meaning for it (section "Status Codes")."""
        status = 400 if response.is_request_error and self.form is Form.GRAPHQL_JSON else 200
        await self.start(status, [(b"content-type", self.form.content_type)], response.json)

    async def problem(self, problem: Problem) -> None:
        """An error before GraphQL."""
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in problem.headers.items()]
        headers.append((b"content-type", self.form.content_type))
        body = error_body(problem.message, problem.code, self.request_id, problem.extensions)
        await self.start(problem.status, headers, body)

    async def refused(self, refused: Refused) -> None:
        """A credential that is missing or not good: 401 always says how to authenticate (RFC 9110 section 11.6.1)."""
        headers = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else {}
        problem = Problem(
            refused.status,
            refused.message,
            code=refused.code,
            headers={**headers, **refused.headers},
            extensions=refused.extensions,
        )
        await self.problem(problem)

    async def sender(self, message: MutableMapping[str, Any]) -> None:
        """ASGI's `send` for the page's application, which answers by itself but carries the request id too."""
        if message["type"] == "http.response.start":
            self.started = True
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.request_id.encode())]
        await self._send(message)

    def _shared_headers(self) -> ASGIHeaders:
        return [
            (b"x-request-id", self.request_id.encode()),
            (b"cache-control", b"no-store"),
            (b"vary", b"Origin, Accept"),
            *cors_headers(self.origin),
        ]
