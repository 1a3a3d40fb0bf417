"""What every simulator has beside its vendor's API: a book of calls, faults on demand, a look inside, `/__control/…`.

    POST   /__control/faults    {operation?, status?, body?, content_type?, headers?, delay_ms?, drop?, times?, execute?, close_code?}
    DELETE /__control/faults
    GET    /__control/calls     every call received, oldest first; ?operation=… for one kind
    DELETE /__control/calls
    GET    /__control/state     everything the simulator holds
    POST   /__control/emit      {chat_id?, text?, role?} a message appears by itself, as another client would cause it
    POST   /__control/reset     {seed?: true} back to the seed, or to nothing; calls and faults are forgotten too
    GET    /__control/switches  what this vendor's documents leave open, and speeds
    POST   /__control/switches  {name: value, …} change some

An operation is named after what it does (`list_chats`); each vendor's module lists its names. What no route answers is
the operation `unknown`. Sockets: see `simulators.sockets`.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route, WebSocketRoute
from starlette.types import Message, Receive, Scope, Send

from simulators.calls import Call, Calls
from simulators.connection import drop, left_within, transport_of
from simulators.faults import Fault, FaultError, Faults
from simulators.sockets import Frames, open_socket

Clock = Callable[[], float]
"""Epoch seconds, now."""


class EmitError(ValueError):
    """What `emit` was asked for is not possible; the text says why."""


class Simulator(Protocol):
    """One vendor. Its routes carry the names of the operations."""

    @property
    def vendor(self) -> str: ...
    @property
    def app(self) -> Starlette: ...
    @property
    def switches(self) -> Any:
        """A dataclass instance; the control API changes its fields."""
        ...

    @property
    def clock(self) -> Clock: ...
    def reset(self, *, seed: bool) -> None: ...
    def state(self) -> dict[str, Any]: ...
    def emit(self, chat_id: str | None, text: str | None, role: str | None) -> dict[str, str]:
        """Let a message appear; answers `chat_id` and `message_id`. Raises EmitError."""
        ...

    def rooms(self) -> dict[str, int]:
        """The chats that the account of the demo's credentials is shown, and may write into, each with how many messages it has."""
        ...

    def begin(self, title: str) -> str:
        """That account begins a chat; its id."""
        ...

    def end(self, chat_id: str) -> None:
        """That account deletes a chat. Raises EmitError where the vendor would refuse."""
        ...

    async def close(self) -> None:
        """End whatever runs in the background."""
        ...


class Control:
    """A simulator as an ASGI application: the vendor's API, and `/__control/` beside it."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.calls = Calls()
        self.faults = Faults()
        self._panel = Starlette(routes=_panel_routes(self))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            frames = Frames(self.calls, self.faults, scope, self.simulator.clock)
            await open_socket(self.simulator.app, self.operation_of(scope), frames, receive, send)
        elif scope["path"].startswith("/__control/"):
            await self._panel(scope, receive, send)
        else:
            await self._exchange(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.simulator.close()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _exchange(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read_whole(receive)
        if body is None:
            return
        operation = self.operation_of(scope)
        call = self.calls.begin(operation, scope, body, self.simulator.clock())
        fault = self.faults.take(operation) or Fault()
        if fault.delay_ms and await left_within(receive, fault.delay_ms / 1000):
            call.dropped = "by the caller"
            return
        if fault.drop == "before":
            call.dropped = "before"
            await drop(scope, receive)
            return
        answer = _Recorder(self.simulator.app, scope, _replay(body, receive), call)
        if fault.drop is None and not fault.answers:
            await answer.pass_on(send)
        else:
            await _spoil(fault, answer, scope, receive, send)

    def operation_of(self, scope: Scope) -> str:
        """The name of the route that answers this request."""
        for route in self.simulator.app.routes:
            if isinstance(route, Route | WebSocketRoute) and route.matches(scope)[0] is Match.FULL:
                return route.name
        return "unknown"


async def _spoil(fault: Fault, answer: "_Recorder", scope: Scope, receive: Receive, send: Send) -> None:
    if fault.answers and not fault.execute:
        messages = answer.replace_by(fault)
    else:
        messages = await answer.collect()
        if fault.answers:
            messages = answer.replace_by(fault)
    if fault.drop is not None:
        answer.call.status, answer.call.dropped = None, fault.drop
    if fault.drop == "middle":
        await send(messages[0])
        whole = b"".join(message.get("body", b"") for message in messages[1:])
        await send({"type": "http.response.body", "body": whole[: len(whole) // 2], "more_body": True})
    if fault.drop is not None:
        await drop(scope, receive)
        return
    for message in messages:
        await send(message)


class _Recorder:
    """Runs the vendor's application and writes the status into the book."""

    def __init__(self, app: Starlette, scope: Scope, receive: Receive, call: Call) -> None:
        self._app, self._scope, self._receive, self.call = app, scope, receive, call

    async def pass_on(self, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.call.status = message["status"]
            await send(message)

        await self._app(self._scope, self._receive, sending)
        if self._scope.get("simulators.closes"):
            self.call.dropped = "after the answer"
            transport_of(self._scope).close()

    async def collect(self) -> list[Message]:
        """The whole answer; of an event stream, which may never end, what is sent up to its first frame."""
        messages: list[Message] = []
        enough = asyncio.Event()

        async def sending(message: Message) -> None:
            messages.append(message)
            if message.get("body") and _is_event_stream(messages[0]):
                enough.set()

        answering = asyncio.ensure_future(self._app(self._scope, self._receive, sending))
        begun = asyncio.ensure_future(enough.wait())
        try:
            await asyncio.wait({answering, begun}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            begun.cancel()
            if not answering.done():
                answering.cancel()
        await asyncio.wait({answering})
        if not answering.cancelled():
            answering.result()
        self.call.status = messages[0]["status"]
        return messages

    def replace_by(self, fault: Fault) -> list[Message]:
        status, headers, body = fault.answer()
        self.call.status = status
        return [
            {"type": "http.response.start", "status": status, "headers": headers},
            {"type": "http.response.body", "body": body},
        ]


def _is_event_stream(start: Message) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in start["headers"])


def close_afterwards(request: Request) -> None:
    """Drop this request's connection once its answer is sent, without having said `Connection: close`."""
    request.scope["simulators.closes"] = True


async def _read_whole(receive: Receive) -> bytes | None:
    """The request's body; None when the caller left before its end."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that tells the body again, then what comes after it."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replaying() -> Message:
        return first.pop() if first else await receive()

    return replaying


Endpoint = Callable[[Request], Awaitable[Response]]


def _panel_routes(control: Control) -> list[Route]:
    simulator = control.simulator

    async def add_fault(request: Request) -> Response:
        control.faults.add(Fault.parse(await _json(request)))
        return JSONResponse({"added": True})

    async def clear_faults(_: Request) -> Response:
        return JSONResponse({"cleared": control.faults.clear()})

    async def read_calls(request: Request) -> Response:
        return JSONResponse(control.calls.named(request.query_params.get("operation")))

    async def clear_calls(_: Request) -> Response:
        control.calls.clear()
        return JSONResponse({"cleared": True})

    async def read_state(_: Request) -> Response:
        return JSONResponse(simulator.state())

    async def emit(request: Request) -> Response:
        said = await _json(request)
        return JSONResponse(simulator.emit(said.get("chat_id"), said.get("text"), said.get("role")))

    async def reset(request: Request) -> Response:
        said = await _json(request)
        control.faults.clear()
        simulator.reset(seed=said.get("seed", True))
        control.calls.clear()
        return JSONResponse({"reset": True})

    async def read_switches(_: Request) -> Response:
        return JSONResponse(asdict(simulator.switches))

    async def set_switches(request: Request) -> Response:
        _set_switches(simulator.switches, await _json(request))
        return JSONResponse(asdict(simulator.switches))

    table: list[tuple[str, str, Endpoint]] = [
        ("POST", "faults", add_fault),
        ("DELETE", "faults", clear_faults),
        ("GET", "calls", read_calls),
        ("DELETE", "calls", clear_calls),
        ("GET", "state", read_state),
        ("POST", "emit", emit),
        ("POST", "reset", reset),
        ("GET", "switches", read_switches),
        ("POST", "switches", set_switches),
    ]
    return [Route(f"/__control/{path}", _refusing(endpoint), methods=[method]) for method, path, endpoint in table]


def _refusing(endpoint: Endpoint) -> Endpoint:
    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (FaultError, EmitError, SwitchError) as refused:
            return JSONResponse({"error": str(refused)}, status_code=400)

    return guarded


class SwitchError(ValueError):
    """There is no such switch."""


def _set_switches(switches: Any, said: Any) -> None:
    names = {one.name for one in fields(switches)}
    if unknown := set(said) - names:
        raise SwitchError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(names))}")
    for name, value in said.items():
        setattr(switches, name, value)


async def _json(request: Request) -> Any:
    raw = await request.body()
    try:
        return json.loads(raw) if raw else {}
    except ValueError as error:
        raise FaultError(f"the body is not JSON: {error}") from error
