"""Both server-sent streams (vendor notes 1.9): `data:` lines alone, `data: keepalive` between them, no way to resume.

Frames are of two families: states (`workflow_request`, `node_execution`) and contents (`type`: `text_delta`, …). Whoever
listens sees what happens from then on; what happened before is read elsewhere.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from simulators.connection import transport_of
from simulators.splox.records import Message, NodeRun, Run
from simulators.splox.routing import Call, Entry
from simulators.splox.shapes import message_body, node_run_body, run_body
from simulators.splox.store import Store

_WAITING = 10_000
Frame = dict[str, Any]


class Listener:
    """One open stream. Who lets more than 10 000 frames wait is cut off."""

    def __init__(self, channel: str, chat_id: str | None) -> None:
        self.channel, self.chat_id = channel, chat_id
        self.saw_active = False
        self.is_cut_off = False
        self._frames: asyncio.Queue[Frame] = asyncio.Queue(_WAITING)

    def put(self, frame: Frame) -> None:
        try:
            self._frames.put_nowait(frame)
        except asyncio.QueueFull:
            self.is_cut_off = True

    @property
    def has_waiting(self) -> bool:
        """Whether frames wait to be sent."""
        return not self._frames.empty()

    async def next(self, seconds: float) -> Frame | None:
        """The next frame; None when none came in time."""
        if not self._frames.empty():
            return self._frames.get_nowait()
        try:
            return await asyncio.wait_for(self._frames.get(), max(seconds, 0))
        except TimeoutError:
            return None


class Streams:
    """Who listens to which chat and to which run."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listeners: dict[str, set[Listener]] = {}

    def entries(self) -> list[Entry]:
        return [
            ("GET", "/chat-internal-messages/{chat_id}/listen", self.listen_chat),
            ("GET", "/workflow-requests/{run_id}/listen", self.listen_run),
        ]

    def open_channels(self) -> list[str]:
        """`chat:<id>` and `run:<id>`, once for each open stream."""
        return sorted(channel for channel, listening in self._listeners.items() for _ in listening)

    async def listen_chat(self, call: Call) -> Any:
        chat = self._store.chat(call.account, call.path("chat_id"))
        listener = Listener(_of_chat(chat.id), chat.id)
        active = [run for run in self._store.runs.values() if run.chat_id == chat.id and not run.is_over]
        listener.saw_active = bool(active)
        shows_states = self._store.switches.chat_frames in ("both", "state")
        return self._open(listener, active[-1:] if shows_states else [])

    async def listen_run(self, call: Call) -> Any:
        run = self._store.run(call.account, call.path("run_id"))
        return self._open(Listener(_of_run(run.id), None), [run])

    def _open(self, listener: Listener, runs: list[Run]) -> "EventStream":
        if self._store.switches.state_on_connect:
            for run in runs:
                listener.put({"workflow_request": run_body(self._store, run)})
        self._listeners.setdefault(listener.channel, set()).add(listener)
        return EventStream(self, listener)

    def close(self, listener: Listener) -> None:
        listening = self._listeners.get(listener.channel, set())
        listening.discard(listener)
        if not listening:
            self._listeners.pop(listener.channel, None)

    # What happens

    def show_state(self, run: Run, node: NodeRun | None = None) -> None:
        frame = {"workflow_request": run_body(self._store, run)}
        if node is not None:
            frame["node_execution"] = node_run_body(self._store, run, node)
        self._put(_of_run(run.id), frame)
        for listener in self._listeners.get(_of_chat(run.chat_id), ()):
            listener.saw_active = True
        if self._store.switches.chat_frames in ("both", "state"):
            self._put(_of_chat(run.chat_id), frame)

    def show_content(self, chat_id: str, frame: Frame, run: Run | None = None) -> None:
        if self._store.switches.chat_frames in ("both", "content"):
            self._put(_of_chat(chat_id), frame)
        if run is not None and self._store.switches.run_stream_has_content:
            self._put(_of_run(run.id), frame)

    def show_message(self, message: Message) -> None:
        """An older page's frame: the message itself."""
        if self._store.switches.chat_frames == "messages":
            whole = message_body(self._store, message)
            shown = {name: whole[name] for name in ("id", "chat_id", "role", "content", "created_at")}
            self._put(_of_chat(message.chat_id), shown | {"workflow_request_id": message.run_id})

    def _put(self, channel: str, frame: Frame) -> None:
        for listener in self._listeners.get(channel, ()):
            listener.put(frame)

    # One stream

    async def lines(self, listener: Listener) -> AsyncIterator[str]:
        """What is sent, until the stream is closed: after 30 minutes, or where a switch says so."""
        switches, loop = self._store.switches, asyncio.get_running_loop()
        ends = self._store.clock() + switches.stream_seconds
        keepalive = loop.time() + switches.keepalive_ms / 1000
        check = loop.time() + switches.status_check_ms / 1000
        while not listener.is_cut_off and self._store.clock() < ends:
            frame = await listener.next(min(keepalive, check) - loop.time())
            if frame is not None:
                yield f"data: {json.dumps(frame, ensure_ascii=False)}\n\n"
                if switches.run_stream_ends and _is_last(listener, frame):
                    return
            if loop.time() >= check:
                check = loop.time() + switches.status_check_ms / 1000
                if self._has_stopped(listener):
                    yield 'data: {"type": "workflow_status", "is_active": false}\n\n'
            if loop.time() >= keepalive:
                keepalive = loop.time() + switches.keepalive_ms / 1000
                yield "data: keepalive\n\n"

    def _has_stopped(self, listener: Listener) -> bool:
        """Whether the chat's workflow has stopped since it was last looked at, and what it said before was sent."""
        is_looked_at = listener.chat_id is not None and listener.saw_active and not listener.has_waiting
        if not is_looked_at or self._store.is_active(listener.chat_id or ""):
            return False
        listener.saw_active = False
        return True

    def frames_until_cut(self) -> int:
        return self._store.switches.cut_streams_after


class EventStream(StreamingResponse):
    """A stream that is forgotten when its caller leaves, or when it has ended."""

    def __init__(self, streams: Streams, listener: Listener) -> None:
        self._streams, self._listener = streams, listener
        super().__init__(streams.lines(listener), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = 0

        async def sending(message: Any) -> None:
            nonlocal sent
            await send(message)
            sent += bool(message.get("body"))
            if 0 < self._streams.frames_until_cut() <= sent:
                transport_of(scope).close()

        try:
            await super().__call__(scope, receive, sending)
        finally:
            self._streams.close(self._listener)


def _of_chat(chat_id: str) -> str:
    return f"chat:{chat_id}"


def _of_run(run_id: str) -> str:
    return f"run:{run_id}"


def _is_last(listener: Listener, frame: Frame) -> bool:
    ended = frame.get("workflow_request", {}).get("status") in ("completed", "failed", "stopped")
    return listener.chat_id is None and ended
