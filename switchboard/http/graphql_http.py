"""GraphQL over HTTP (draft of the GraphQL Foundation, read 2026-11): one operation in, one response out, or a stream of events.

Order of the checks: origin, method, form of the answer, content type, credential, body, document. Whoever has no
credential learns nothing of the schema and has no body read.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from graphql import OperationType

from domain.errors import ErrorCode
from engine.execution import Engine
from engine.plans import PlanRefused
from engine.requests import OperationRequest
from switchboard.http.body import ClientGone, Receive, Send, read_body
from switchboard.http.disconnect import to_its_end, until_gone
from switchboard.http.exchange import Exchange
from switchboard.http.headers import read_headers, request_id_of
from switchboard.http.negotiation import Accepted, Form, read_accept
from switchboard.http.origins import Origins, preflight_headers
from switchboard.http.parameters import from_body, from_query_string
from switchboard.http.problem import Problem
from switchboard.http.session import Refused, Session, Sessions
from switchboard.http.settings import TransportSettings
from switchboard.http.sse import EventStreams

Scope = MutableMapping[str, Any]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]

_METHODS = "GET, POST, OPTIONS"
log = logging.getLogger("switchboard.http")


class GraphQLOverHTTP:
    """Answers the requests of one path. `page` gets what a browser opens in a tab (GraphiQL), if there is one."""

    def __init__(
        self,
        engine: Engine,
        sessions: Sessions,
        *,
        origins: Origins,
        settings: TransportSettings,
        streams: EventStreams,
        page: ASGIApplication | None,
    ) -> None:
        self._engine = engine
        self._sessions = sessions
        self._origins = origins
        self._settings = settings
        self._streams = streams
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Everything that goes wrong becomes an answer in JSON; a client that left gets none."""
        headers = read_headers(scope["headers"])
        exchange = Exchange(request_id_of(headers), headers.get("origin"), send)
        try:
            await self._answer(scope, receive, headers, exchange)
        except ClientGone:
            return
        except Problem as problem:
            await exchange.problem(problem)
        except Refused as refused:
            await exchange.refused(refused)
        except Exception:
            log.exception("a request failed", extra={"request_id": exchange.request_id})
            if not exchange.started:
                message = f"Answering the request: something broke in the gateway. Report the request id {exchange.request_id}."
                await exchange.problem(Problem(500, message, code=ErrorCode.INTERNAL))

    async def _answer(self, scope: Scope, receive: Receive, headers: Mapping[str, str], exchange: Exchange) -> None:
        method = scope["method"]
        if not self._origins.allows(headers, scope.get("scheme", "http")):
            exchange.origin = None
            message = "Checking the origin: pages of this origin may not use the gateway. Add it to `allowed_origins`."
            raise Problem(403, message, code=ErrorCode.FORBIDDEN)
        if method == "OPTIONS":
            await exchange.start(204, [*preflight_headers(), (b"allow", _METHODS.encode())])
            return
        if method not in ("GET", "POST"):
            message = f"Reading the request: {method} is not supported here. Use POST, or GET for queries."
            raise Problem(405, message, headers={"Allow": _METHODS})
        accepted = read_accept(headers.get("accept"))
        if method == "GET" and accepted.prefers_page and self._page is not None:
            await self._page(scope, receive, exchange.sender)
            return
        exchange.form = accepted.single or Form.JSON
        if accepted.single is None and not accepted.takes_stream:
            message = "Reading `Accept`: none of its media types can be answered. Use application/graphql-response+json, application/json, or text/event-stream."
            raise Problem(406, message)
        if method == "POST":
            _check_content_type(headers.get("content-type"))
        await self._operate(scope, receive, headers, accepted, exchange)

    async def _operate(
        self, scope: Scope, receive: Receive, headers: Mapping[str, str], accepted: Accepted, exchange: Exchange
    ) -> None:
        session = await self._sessions.open(
            headers,
            None,
            request_id=exchange.request_id,
            transport="sse" if accepted.prefers_stream else "http",
            last_event_id=headers.get("last-event-id") or None,
        )
        try:
            if scope["method"] == "POST":
                body = await read_body(
                    receive,
                    headers,
                    limit_bytes=self._settings.body_bytes,
                    timeout_seconds=self._settings.body_timeout_seconds,
                )
                request = from_body(body)
            else:
                request = from_query_string(scope["query_string"])
            await self._run(scope["method"], request, session, accepted, receive, exchange)
        finally:
            await session.close()

    async def _run(
        self,
        method: str,
        request: OperationRequest,
        session: Session,
        accepted: Accepted,
        receive: Receive,
        exchange: Exchange,
    ) -> None:
        client_left = asyncio.Event()
        context = session.context(request_id=exchange.request_id, client_left=client_left)
        try:
            plan = self._engine.plan(request)
        except PlanRefused as refused:
            response = self._engine.refusal(refused.errors, context)
            if accepted.prefers_stream:
                await self._streams.single(response, exchange)
            else:
                await exchange.respond(response)
            return
        if method == "GET" and plan.kind is OperationType.MUTATION:
            raise Problem(
                405, "Reading the operation: a mutation cannot be sent by GET. Use POST.", headers={"Allow": "POST"}
            )
        if plan.kind is OperationType.SUBSCRIPTION:
            if not accepted.takes_stream:
                message = (
                    "Executing the operation: a subscription has no single response. Ask for `Accept: text/event-stream`, "
                    "or use the WebSocket subprotocol graphql-transport-ws."
                )
                raise Problem(406, message)
            starting = self._engine.subscribe(
                request, context, plan, event_context=lambda: session.context(request_id=exchange.request_id)
            )
            await self._streams.subscription(starting, session, receive, exchange)
            return
        running = self._engine.execute(request, context, plan)
        after_seconds = self._settings.watch_after_seconds
        if plan.kind is OperationType.QUERY:
            response = await until_gone(running, receive, after_seconds=after_seconds)
        else:  # a mutation runs to its end even if its client leaves: half of a write helps nobody
            response = await to_its_end(running, receive, client_left, after_seconds=after_seconds)
        await (self._streams.single(response, exchange) if accepted.prefers_stream else exchange.respond(response))


def _check_content_type(content_type: str | None) -> None:
    """Only JSON: it is also what makes a browser ask first (preflight), so a foreign page's form cannot execute anything."""
    media_type, _, parameters = (content_type or "").partition(";")
    if media_type.strip().lower() != "application/json":
        stated = f"`Content-Type` is {content_type[:80]!r}" if content_type else "`Content-Type` is missing"
        raise Problem(
            415, f"Reading the body: {stated}. Send application/json.", headers={"Accept": "application/json"}
        )
    for parameter in parameters.lower().split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "charset" and value.strip("\"' ") not in ("utf-8", "utf8"):
            raise Problem(
                415,
                "Reading the body: its charset is not UTF-8. Send application/json in UTF-8.",
                headers={"Accept": "application/json"},
            )
