"""Socket.IO, as observed on 0.12.4: at `/ws/socket.io`, the transport `websocket` alone, by the library that the server itself uses.

Anybody may connect. Who shows a session's token when connecting, or with `user-join`, is told what happens in that user's chats, in all of its connections; `user-join`
answers null to everybody else, an API key included, and nothing is ever told. Only what a model writes, and messages that are edited, are told: nothing
of what REST calls create, rename, pin, archive, tag, file or delete.
"""

from collections.abc import Mapping
from typing import Any

import socketio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Message, Receive, Scope, Send

from simulators.calls import fingerprint
from simulators.connection import transport_of
from simulators.open_webui.accounts import User, user_of_session
from simulators.open_webui.store import Switches
from simulators.sockets import frames_of

_PATH = "/ws/socket.io"
_LARGEST_BYTES = 16 * 1024 * 1024
_NOTHING: Any = object()


class Live:
    """Who is connected, and telling them."""

    def __init__(self, users: list[User], switches: Switches) -> None:
        self._users, self._switches = users, switches
        self._server = socketio.AsyncServer(
            async_mode="asgi",
            transports=["websocket"],
            monitor_clients=False,  # a task that never ends
            max_http_buffer_size=_LARGEST_BYTES,
        )
        for name, handler in (
            ("connect", self._connect),
            ("user-join", self._join),
            ("heartbeat", self._beat),
            ("*", self._anything),
        ):
            self._server.on(name, handler)

    def routes(self) -> list[BaseRoute]:
        return [
            WebSocketRoute(f"{_PATH}/", _Endpoint(self._server, self._switches), name="open_socket"),
            *(
                Route(path, self._no_transport, methods=["GET", "POST"], name="open_socket")
                for path in (_PATH, f"{_PATH}/")
            ),
        ]

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._server.eio.sockets)

    async def tell(self, user_id: str, chat_id: str, message_id: str | None, kind: str, data: Any = _NOTHING) -> None:
        """An event for all connections of a user. Some have no `data` at all."""
        inner = {"type": kind} | ({} if data is _NOTHING else {"data": data})
        told = {"chat_id": chat_id, "message_id": message_id, "data": inner}
        await self._server.emit("events", told, room=_room_of(user_id))

    # Connections

    async def _no_transport(self, request: Request) -> Response:
        if request.query_params.get("transport") == "websocket":
            return JSONResponse({"detail": "Invalid WebSocket upgrade request"}, status_code=400)
        return Response('"Invalid transport"', status_code=400, headers={"content-type": "text/plain"})

    async def _connect(self, sid: str, environ: Any, auth: Any = None) -> None:
        if (user := self._known(auth)) is not None:
            await self._server.enter_room(sid, _room_of(user.id))

    async def _join(self, sid: str, said: Mapping[str, Any]) -> dict[str, str] | None:
        """A call without an object is answered by nothing: the server's own handler fails at it."""
        auth = said.get("auth")
        token = auth.get("token") if isinstance(auth, dict) else None
        self._note(sid, "user_join", token)
        user = self._known(auth)
        if user is None:
            return None
        await self._server.enter_room(sid, _room_of(user.id))
        return {"id": user.id, "name": user.name}

    async def _beat(self, sid: str, said: Any = None) -> None:
        self._note(sid, "heartbeat", None)

    async def _anything(self, event: str, sid: str, *said: Any) -> None:
        """What nobody handles is acknowledged all the same."""

    def _known(self, auth: Any) -> User | None:
        token = auth.get("token") if isinstance(auth, dict) else None
        return user_of_session(token, self._users) if isinstance(token, str) else None

    def _note(self, sid: str, operation: str, token: Any) -> None:
        """Into the book of calls, without the secret."""
        scope = self._server.get_environ(sid)["asgi.scope"]
        told = f'{{"token": "{fingerprint(token)}"}}' if isinstance(token, str) else "{}"
        call, _ = frames_of(scope).begin(operation, told)
        call.status = 200


class _Endpoint:
    """One connection, cut after so many frames where a switch says so."""

    def __init__(self, server: socketio.AsyncServer, switches: Switches) -> None:
        self._server, self._switches = server, switches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        engine = self._server.eio
        engine.ping_interval = self._switches.socket_ping_ms / 1000
        engine.ping_timeout = self._switches.socket_ping_timeout_ms / 1000
        sent = 0

        async def sending(message: Message) -> None:
            nonlocal sent
            if self._switches.socket_is_mute and str(message.get("text")).startswith("42"):
                return
            await send(message)
            sent += message["type"] == "websocket.send"
            if 0 < self._switches.cut_socket_after <= sent:
                transport_of(scope).close()

        await self._server.handle_request(scope, receive, sending)


def _room_of(user_id: str) -> str:
    return f"user:{user_id}"
