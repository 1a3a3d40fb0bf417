"""`/ws/chat` (page "websocket"): the one way to send a message, and where its reply streams."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from simulators.calls import Call
from simulators.connection import transport_of
from simulators.faults import Fault
from simulators.lexicon.errors import LexiconError, answer_error, bad_request, error_fields, no_chat, unauthorized
from simulators.lexicon.replies import Event, Replies
from simulators.lexicon.store import Chat, Store
from simulators.sockets import Inbox, frames_of


class ChatSocket:
    """The route: admits who may, then lets them talk."""

    def __init__(self, store: Store, replies: Replies) -> None:
        self._store, self._replies = store, replies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # the handshake
        try:
            chat, user = self._admit(scope)
        except LexiconError as refused:
            await self._refuse(refused, scope, receive, send)
            return
        self._store.socket_opened(chat.id)
        try:
            await send({"type": "websocket.accept"})
            await _Conversation(self._store, self._replies, scope, receive, send, chat, user).run()
        finally:
            self._store.socket_closed(chat.id)

    def _admit(self, scope: Scope) -> tuple[Chat, str]:
        """By headers, or by the query."""
        headers, query = Headers(scope=scope), dict(parse_qsl(scope["query_string"].decode("latin-1")))
        tenant = self._store.tenants.get(headers.get("x-api-key") or query.get("api_key", ""))
        if tenant is None:
            raise unauthorized()
        user = headers.get("x-user-id") or query.get("user_id")
        chat_id = headers.get("x-chat-id") or query.get("chat_id")
        if not user or not chat_id:
            raise bad_request("user_id and chat_id are required")
        chat = self._store.chat_of(tenant, chat_id)
        if chat is None or (user != chat.user and self._store.switches.foreign_user == "refused"):
            raise no_chat()
        return chat, user

    async def _refuse(self, refused: LexiconError, scope: Scope, receive: Receive, send: Send) -> None:
        switches = self._store.switches
        if switches.socket_refusal == "http":
            response = answer_error(switches, refused)
            start = {"status": response.status_code, "headers": response.raw_headers}
            await send({"type": "websocket.http.response.start"} | start)
            await send({"type": "websocket.http.response.body", "body": response.body})
            return
        if switches.socket_refusal != "forbidden":  # closed without being opened is a 403
            await send({"type": "websocket.accept"})
        if switches.socket_refusal == "event":
            event = self._replies.event("error", error_fields(switches, refused))
            await send({"type": "websocket.send", "text": json.dumps(event)})
        await send({"type": "websocket.close", "code": switches.refusal_close_code, "reason": refused.message})


class _Conversation:
    """One open socket. It is the `Listener` of its replies."""

    def __init__(
        self, store: Store, replies: Replies, scope: Scope, receive: Receive, send: Send, chat: Chat, user: str
    ) -> None:
        self._store, self._replies, self._scope, self._send = store, replies, scope, send
        self._chat, self._user = chat, user
        self._frames, self._inbox = frames_of(scope), Inbox(receive)
        self._is_over = False
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        reading = asyncio.create_task(self._inbox.read())
        self._replies.listen(self._chat.id, self)
        try:
            await self._greet()
            while (frame := await self._inbox.next()) is not None:
                await self._deal_with(frame)
        finally:
            self._is_over = True
            reading.cancel()
            self._replies.leave(self._chat.id, self)
            if not self._store.switches.reply_survives_socket:
                for task in self._running:
                    task.cancel()

    async def tell(self, event: Event) -> None:
        await self._say(json.dumps(event))

    async def cut(self) -> None:
        self._is_over = True
        transport_of(self._scope).close()

    async def _say(self, text: str) -> None:
        if self._is_over or self._inbox.left.is_set() or transport_of(self._scope).is_closing():
            return
        await self._send({"type": "websocket.send", "text": text})

    async def _close(self, code: int) -> None:
        if not self._is_over and not self._inbox.left.is_set():
            self._is_over = True
            await self._send({"type": "websocket.close", "code": code})

    async def _greet(self) -> None:
        known = {"user_id": self._user, "chat_id": self._chat.id, "tenant_id": self._chat.tenant}
        await self.tell(self._replies.event("connection_established", known))
        if (self._chat.tenant, self._user) not in self._store.users:
            self._store.users.add((self._chat.tenant, self._user))
            await self.tell(self._replies.event("user_created", {"user_id": self._user}))

    async def _deal_with(self, frame: str) -> None:
        call, fault = self._frames.begin("send_message", frame)
        if fault.delay_ms and await self._inbox.left_within(fault.delay_ms / 1000):
            call.dropped = "by the caller"
        elif fault.close_code is not None or fault.drop in ("before", "after"):
            if fault.drop == "after" or fault.execute:
                self._execute_quietly(frame)
            await self._end(call, fault)
        elif fault.answers:
            if fault.execute:
                self._execute_quietly(frame)
            call.status, _, body = fault.answer()
            await self._say(body.decode())
        else:
            await self._exchange(call, frame, cuts=fault.drop == "middle")

    async def _end(self, call: Call, fault: Fault) -> None:
        if fault.close_code is not None:
            call.dropped = f"closed with {fault.close_code}"
            await self._close(fault.close_code)
        else:
            call.dropped = fault.drop
            await self.cut()

    def _execute_quietly(self, frame: str) -> None:
        """Keep the message and write its reply, and tell this socket nothing."""
        try:
            content, metadata = _read_frame(frame)
        except LexiconError:
            return
        self._store.add_message(self._chat, "user", content, metadata)
        self._replies.start(self._chat, content, _Nobody())

    async def _exchange(self, call: Call, frame: str, *, cuts: bool) -> None:
        try:
            content, metadata = _read_frame(frame)
        except LexiconError as refused:
            call.status = refused.status
            await self.tell(self._replies.event("error", error_fields(self._store.switches, refused)))
            return
        message = self._store.add_message(self._chat, "user", content, metadata)
        await self._replies.tell_of(self._chat, "user", message.id, content, self)
        task = self._replies.start(self._chat, content, self, cuts=cuts)
        self._running.add(task)
        if cuts:
            call.dropped = "middle"
        else:
            call.status = 200
        if self._store.switches.closes_after_reply:
            await asyncio.wait({task})
            await self._close(1000)


class _Nobody:
    """Hears nothing."""

    async def tell(self, event: Event) -> None: ...
    async def cut(self) -> None: ...


def _read_frame(frame: str) -> tuple[str, dict[str, Any]]:
    """Content and metadata. Raises LexiconError."""
    try:
        said = json.loads(frame)
    except ValueError:
        raise bad_request("the frame is not valid JSON") from None
    content = said.get("content") if isinstance(said, Mapping) else None
    if not isinstance(content, str) or not content:
        raise bad_request("content is required")
    metadata = said.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise bad_request("metadata must be an object")
    return content, metadata or {}
