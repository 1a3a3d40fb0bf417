"""graphql-transport-ws (PROTOCOL.md of enisdenjo/graphql-ws, read 2026-11) without sockets, tasks and clocks.

Texts and happenings go in, actions come out. The states of one socket:

    WAITING ──connection_init──▶ INITIALISING ──the session is open──▶ READY
       │                              │                                  │
       │ 4408 too late                │ 4403 refused                     │ 4403 credential revoked
       │ 4401 subscribe               │ 4401 subscribe                   │ 4409 id in use
       │                              │ 4429 second connection_init      │ 4429 second connection_init
       ╰──────────────┬───────────────┴───────────────┬──────────────────╯
                      │  4400 bad message · 4500 our fault · 4410 slow reader · 4419 expiring · 1001 going away
                      ▼
                    CLOSED

Nothing leaves CLOSED, and nothing that arrives there has an effect.

What the specification leaves to the server: 4403 also ends a socket whose credential was revoked; 4410, 4419 and 1001
ask the client to connect again, and the `graphql-ws` client does so by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

from engine.encoding import NotJSON, decode, encode
from engine.requests import OperationRequest
from switchboard.http.parameters import BadParameters, operation_request

SUBPROTOCOL = "graphql-transport-ws"


class CloseCode(IntEnum):
    """Why a socket is closed. Those from 4400 to 4429 and 4500 are the specification's, but for 4410 and 4419."""

    GOING_AWAY = 1001
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INITIALISATION_TIMEOUT = 4408
    SUBSCRIBER_ALREADY_EXISTS = 4409
    SLOW_READER = 4410
    CREDENTIAL_EXPIRING = 4419
    TOO_MANY_INITIALISATION_REQUESTS = 4429
    INTERNAL_SERVER_ERROR = 4500


class State(Enum):
    """Where a socket stands; the picture is in the module's docstring."""

    WAITING = "waiting"
    INITIALISING = "initialising"
    READY = "ready"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Send:
    """Write this text frame."""

    text: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket. The reason has at most 123 bytes, as RFC 6455 demands."""

    code: CloseCode
    reason: str


@dataclass(frozen=True, slots=True)
class OpenSession:
    """Ask who it is, then call `session_opened` or `session_refused`."""

    payload: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Renew:
    """Offer the payload of a `ping` to the session, then call `renewed`."""

    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Start:
    """Run an operation; report by `operation_next`, `operation_failed`, `operation_completed`."""

    id: str
    request: OperationRequest


@dataclass(frozen=True, slots=True)
class Stop:
    """End an operation that the client completed. Nothing is sent for it any more."""

    id: str


Action = Send | Close | OpenSession | Renew | Start | Stop
Actions = Sequence[Action]
_NONE: Actions = ()


class _BadMessage(ValueError):
    """The client sent what the specification does not know."""


class Protocol:
    """One socket. `operations` are the ids in use. Each method returns what is to be done, in order."""

    def __init__(self, *, max_operations: int, message_bytes: int) -> None:
        self.state = State.WAITING
        self.operations: set[str] = set()
        self._max_operations = max_operations
        self._message_bytes = message_bytes
        self._is_renewing = False

    # What the client does

    def receive_text(self, text: str) -> Actions:
        """A text frame."""
        if self.state is State.CLOSED:
            return _NONE
        try:
            return self._message(_read(text, self._message_bytes))
        except _BadMessage as error:
            return self.close(CloseCode.BAD_REQUEST, str(error))

    def receive_bytes(self) -> Actions:
        """A binary frame: the specification knows text only."""
        return self.close(CloseCode.BAD_REQUEST, "Messages have to be text frames holding JSON")

    def disconnected(self) -> None:
        """The client has gone. There is nothing to send any more."""
        self.state = State.CLOSED
        self.operations.clear()

    # What the gateway does

    def session_opened(self) -> Actions:
        """The credential is good."""
        if self.state is not State.INITIALISING:
            return _NONE
        self.state = State.READY
        return (Send('{"type":"connection_ack"}'),)

    def session_refused(self, reason: str) -> Actions:
        """The credential is not good."""
        return self.close(CloseCode.FORBIDDEN, f"Forbidden: {reason}")

    def initialisation_timed_out(self) -> Actions:
        """No `connection_init` in time. An init that is under way is in time."""
        if self.state is not State.WAITING:
            return _NONE
        return self.close(CloseCode.INITIALISATION_TIMEOUT, "Connection initialisation timeout")

    def renewed(self, was_renewed: bool) -> Actions:
        """Tell the client whether the credential of its `ping` was taken."""
        self._is_renewing = False
        if self.state is State.CLOSED:
            return _NONE
        return (Send('{"type":"pong","payload":{"renewed":%s}}' % ("true" if was_renewed else "false")),)

    def operation_next(self, operation_id: str, response: bytes) -> Actions:
        """One response of an operation, as JSON. Nothing is sent for an operation that is over."""
        if operation_id not in self.operations:
            return _NONE
        return (Send(f'{{"id":{_text(operation_id)},"type":"next","payload":{response.decode()}}}'),)

    def head_of_next(self, operation_id: str) -> bytes:
        """What stands before the payload of each `next` message of an operation; `}` stands behind it.

        Many clients are sent one payload: only this is made for each of them, and only once.
        """
        return f'{{"id":{_text(operation_id)},"type":"next","payload":'.encode()

    def operation_failed(self, operation_id: str, errors: Sequence[Mapping[str, Any]]) -> Actions:
        """The operation was not executed, or its stream broke. It is over; the socket and the others live on."""
        if operation_id not in self.operations:
            return _NONE
        self.operations.discard(operation_id)
        return (self._error(operation_id, errors),)

    def operation_completed(self, operation_id: str) -> Actions:
        """Nothing more comes."""
        if operation_id not in self.operations:
            return _NONE
        self.operations.discard(operation_id)
        return (Send(f'{{"id":{_text(operation_id)},"type":"complete"}}'),)

    def close(self, code: CloseCode, reason: str) -> Actions:
        """End the socket and all its operations."""
        if self.state is State.CLOSED:
            return _NONE
        self.disconnected()
        return (Close(code, _shortened(reason)),)

    # The messages

    def _message(self, message: Mapping[str, Any]) -> Actions:
        match message["type"]:
            case "connection_init":
                return self._initialise(_payload(message))
            case "ping":
                return self._ping(_payload(message))
            case "pong":
                _payload(message)
                return _NONE
            case "subscribe":
                return self._subscribe(message)
            case "complete":
                return self._complete(_id(message))
            case other:
                raise _BadMessage(f"Unexpected message of type {_shown(other)}")

    def _initialise(self, payload: Mapping[str, Any] | None) -> Actions:
        if self.state is not State.WAITING:
            return self.close(CloseCode.TOO_MANY_INITIALISATION_REQUESTS, "Too many initialisation requests")
        self.state = State.INITIALISING
        return (OpenSession(payload),)

    def _ping(self, payload: Mapping[str, Any] | None) -> Actions:
        # One at a time: a flood of pings shall not become a flood of look-ups.
        if payload and self.state is State.READY and not self._is_renewing:
            self._is_renewing = True
            return (Renew(payload),)
        return (Send('{"type":"pong"}'),)

    def _subscribe(self, message: Mapping[str, Any]) -> Actions:
        operation_id = _id(message)
        try:
            request = operation_request(message.get("payload"))
        except BadParameters as error:
            raise _BadMessage(f"Invalid payload of subscribe: {error}") from None
        if self.state is not State.READY:
            return self.close(CloseCode.UNAUTHORIZED, "Unauthorized")
        if operation_id in self.operations:
            return self.close(
                CloseCode.SUBSCRIBER_ALREADY_EXISTS,
                f"Subscriber for {_shown(operation_id, quoted=False)} already exists",
            )
        if len(self.operations) >= self._max_operations:
            return (self._error(operation_id, [self._too_many_operations()]),)
        self.operations.add(operation_id)
        return (Start(operation_id, request),)

    def _complete(self, operation_id: str) -> Actions:
        """Unknown ids are no mistake: the two sides may complete at the same moment."""
        if operation_id not in self.operations:
            return _NONE
        self.operations.discard(operation_id)
        return (Stop(operation_id),)

    def _too_many_operations(self) -> Mapping[str, Any]:
        limit = self._max_operations
        return {
            "message": f"Starting the operation: {limit} are running on this socket, and that is the limit. Complete one, or open another socket.",
            "extensions": {"code": "LIMIT_EXCEEDED", "limit": limit, "figure": limit + 1},
        }

    def _error(self, operation_id: str, errors: Sequence[Mapping[str, Any]]) -> Send:
        return Send(f'{{"id":{_text(operation_id)},"type":"error","payload":{encode(list(errors)).decode()}}}')


def _read(text: str, limit_bytes: int) -> Mapping[str, Any]:
    # A character is at least one byte, so this compares without encoding first.
    if len(text) > limit_bytes:
        raise _BadMessage(f"Message has more than {limit_bytes} bytes")
    try:
        message = decode(text)
    except (NotJSON, RecursionError):
        raise _BadMessage("Message is not JSON") from None
    if not isinstance(message, dict):
        raise _BadMessage("Message has to be an object")
    if not isinstance(message.get("type"), str):
        raise _BadMessage("Message has to have a type")
    return message


def _payload(message: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The optional payload: an object, or not there at all."""
    if "payload" not in message:
        return None
    payload = message["payload"]
    if not isinstance(payload, dict):
        raise _BadMessage(f"Payload of {message['type']} has to be an object or left out")
    return payload


def _id(message: Mapping[str, Any]) -> str:
    operation_id = message.get("id")
    if not isinstance(operation_id, str) or not operation_id:
        raise _BadMessage(f"Id of {message['type']} has to be a text that is not empty")
    return operation_id


def _text(value: str) -> str:
    return encode(value).decode()


def _shown(value: str, *, quoted: bool = True) -> str:
    cut = value if len(value) <= 40 else value[:40] + "…"
    return repr(cut) if quoted else cut


def _shortened(reason: str) -> str:
    return reason.encode("utf-8", "replace")[:123].decode("utf-8", "ignore")
