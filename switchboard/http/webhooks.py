"""`POST /webhooks/{source}/{token}`: a vendor says that something happened.

The answer is 204 whatever the body says, because nothing of it is read: see `resolvers.webhooks`. Another token and a source that is
not there are the same 404, after the same work. A body that is too long is not an honest knock, and makes none.

An ASGI application of its own: FastAPI, where tracing is configured, puts the path of each request into its spans, and here the
path is a secret.
"""

import logging

from domain.errors import ErrorCode, UserErrorCode
from resolvers.context import Gateway
from resolvers.webhooks import Knocks, source_of_webhook
from switchboard.http.body import ClientGone, Receive, Send, skip_body
from switchboard.http.exchange import Exchange
from switchboard.http.graphql_http import Scope
from switchboard.http.headers import read_headers, request_id_of
from switchboard.http.problem import Problem

PREFIX = "/webhooks/"
BODY_BYTES = 256 * 1024
BODY_SECONDS = 10.0

log = logging.getLogger("switchboard.http")


class Webhooks:
    """Takes the webhooks of one process. Mount it where paths begin with `PREFIX`."""

    def __init__(self, gateway: Gateway, *, body_seconds: float = BODY_SECONDS) -> None:
        self._gateway = gateway
        self._body_seconds = body_seconds
        self._knocks = Knocks(gateway.knock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One webhook."""
        headers = read_headers(scope["headers"])
        exchange = Exchange(request_id_of(headers), None, send)
        try:
            source_id = await self._admitted(scope["method"], scope["path"])
            await skip_body(receive, headers, limit_bytes=BODY_BYTES, timeout_seconds=self._body_seconds)
            self._knocks.at(source_id)
            await exchange.start(204, [])
        except ClientGone:
            return
        except Problem as problem:
            await exchange.problem(problem)
        except Exception:
            log.exception("a webhook failed", extra={"request_id": exchange.request_id})
            message = (
                f"Taking the webhook: something broke in the gateway. Report the request id {exchange.request_id}."
            )
            await exchange.problem(Problem(500, message, code=ErrorCode.INTERNAL))

    async def _admitted(self, method: str, path: str) -> int:
        """Whose webhook it is. The method is looked at first, so that it tells nothing of the token."""
        if method != "POST":
            message = f"Taking the webhook: {method} is not supported here. Use POST."
            raise Problem(405, message, headers={"Allow": "POST", "Connection": "close"})
        id_text, _, token = path.removeprefix(PREFIX).partition("/")
        source = await source_of_webhook(self._gateway.store, self._gateway.webhook_tokens, id_text, token)
        if source is None:
            message = (
                "Taking the webhook: there is none at this address. Ask an admin of the organization for a new one."
            )
            raise Problem(404, message, code=UserErrorCode.NOT_FOUND, headers={"Connection": "close"})
        return source.id
