"""graphql-transport-ws over ASGI: sockets, tasks and clocks around `protocol.Protocol`."""

import logging
from collections.abc import Mapping

from domain.errors import ErrorCode
from engine.broadcasts import Broadcasts
from engine.execution import Engine
from switchboard.http.body import Receive, Send
from switchboard.http.direct import writer_of
from switchboard.http.draining import Draining
from switchboard.http.graphql_http import Scope
from switchboard.http.headers import read_headers, request_id_of
from switchboard.http.origins import Origins
from switchboard.http.problem import error_body
from switchboard.http.protocol import SUBPROTOCOL, CloseCode
from switchboard.http.session import Sessions
from switchboard.http.settings import TransportSettings
from switchboard.http.socket import Socket

log = logging.getLogger("switchboard.http")
_RETRY_SECONDS = b"5"


class GraphQLOverWebSocket:
    """Accepts or refuses sockets, and counts them."""

    def __init__(
        self,
        engine: Engine,
        broadcasts: Broadcasts,
        sessions: Sessions,
        *,
        origins: Origins,
        settings: TransportSettings,
        draining: Draining,
    ) -> None:
        self._engine = engine
        self._broadcasts = broadcasts
        self._sessions = sessions
        self._origins = origins
        self._settings = settings
        self._draining = draining
        self._open = 0
        self._silent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One socket from its handshake to its end."""
        headers = read_headers(scope["headers"])
        request_id = request_id_of(headers)
        if (await receive())["type"] != "websocket.connect":
            return
        refusal = self._refusal(headers, scope.get("scheme", "ws"))
        if refusal is not None:
            await _refuse(scope, send, request_id, *refusal)
            return
        # Whatever the client's order: a legacy protocol that it may offer as well is not spoken here.
        is_spoken = SUBPROTOCOL in scope.get("subprotocols", ())
        accept_headers = [(b"x-request-id", request_id.encode())]
        await send(
            {"type": "websocket.accept", "subprotocol": SUBPROTOCOL if is_spoken else None, "headers": accept_headers}
        )
        if not is_spoken:
            reason = f"Subprotocol not acceptable, use {SUBPROTOCOL}"
            await send({"type": "websocket.close", "code": CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, "reason": reason})
            return
        socket = Socket(
            self._engine,
            self._broadcasts,
            self._sessions,
            self._settings,
            headers=headers,
            request_id=request_id,
            send=send,
            write_now=writer_of(scope),
            is_known=self._is_known,
        )
        self._open += 1
        self._silent += 1
        try:
            await socket.run(receive, self._draining)
        finally:
            self._open -= 1
            if socket.is_silent:
                self._silent -= 1

    def _is_known(self) -> None:
        """A socket has said who it is."""
        self._silent -= 1

    def _refusal(self, headers: Mapping[str, str], scheme: str) -> tuple[int, str, ErrorCode] | None:
        """Status, message and code, for a handshake that is not accepted."""
        if not self._origins.allows(headers, scheme):
            return (
                403,
                "Opening the socket: pages of this origin may not use the gateway. Add it to `allowed_origins`.",
                ErrorCode.FORBIDDEN,
            )
        is_full = self._silent >= self._settings.ws_silent_sockets or self._open >= self._settings.ws_sockets
        if is_full or self._draining.has_begun:
            return (
                503,
                "Opening the socket: the gateway takes no more of them now. Connect again later.",
                ErrorCode.RATE_LIMITED,
            )
        return None


async def _refuse(scope: Scope, send: Send, request_id: str, status: int, message: str, code: ErrorCode) -> None:
    """Answer the handshake by HTTP, where the server can (ASGI's Websocket Denial Response)."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": CloseCode.FORBIDDEN})
        return
    headers = [(b"content-type", b"application/json; charset=utf-8"), (b"x-request-id", request_id.encode())]
    if status == 503:
        headers.append((b"retry-after", _RETRY_SECONDS))
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": error_body(message, code, request_id)})
