"""What shall go wrong, as `POST /__control/faults` says it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Drop = Literal["before", "after", "middle"]
_KNOWN = {
    "operation",
    "status",
    "body",
    "content_type",
    "headers",
    "delay_ms",
    "drop",
    "times",
    "execute",
    "close_code",
}


class FaultError(ValueError):
    """The description of a fault does not say what it has to; the text says what is wrong."""


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong, for the next `times` calls of `operation`.

    `operation`: None means every operation. `times`: None means until it is deleted.
    `status`, `body`, `headers` replace the answer; the operation is not executed then, unless `execute` is set (a server
    that did the work and answered 500). `body` is sent as JSON, or as it stands when `content_type` is given.
    `drop`: the connection is closed "before" the operation is executed, "after" it without an answer, or in the "middle"
    of the body. `close_code`: a socket is closed with it (`status` and `drop` say nothing then). `delay_ms` passes before anything else happens; a caller that leaves meanwhile ends it, unexecuted.
    """

    operation: str | None = None
    status: int | None = None
    body: Any = None
    content_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_ms: float = 0
    drop: Drop | None = None
    times: int | None = None
    execute: bool = False
    close_code: int | None = None

    @classmethod
    def parse(cls, said: Any) -> "Fault":
        if not isinstance(said, Mapping):
            raise FaultError("a fault is a JSON object")
        if unknown := set(said) - _KNOWN:
            raise FaultError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(_KNOWN))}")
        fault = cls(**{name: value for name, value in said.items() if value is not None})
        if fault.drop is not None and fault.drop not in get_args(Drop):
            raise FaultError(f"drop is one of {', '.join(get_args(Drop))}, not {fault.drop!r}")
        if fault.times is not None and (not isinstance(fault.times, int) or fault.times < 1):
            raise FaultError("times is a whole number of 1 or more; without it the fault stays until it is deleted")
        if fault.status is not None and (not isinstance(fault.status, int) or not 200 <= fault.status <= 599):
            raise FaultError("status is a number from 200 to 599")
        if fault.close_code is not None and fault.close_code not in range(1000, 5000):
            raise FaultError("close_code is a number from 1000 to 4999")
        return fault

    @property
    def answers(self) -> bool:
        """Whether it replaces the vendor's answer."""
        return self.status is not None or self.body is not None or bool(self.headers)

    def answer(self) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body of the replaced answer."""
        if self.content_type is not None:
            body = self.body if isinstance(self.body, str) else json.dumps(self.body)
            raw, content_type = body.encode(), self.content_type
        elif self.body is None:
            raw, content_type = b"", None
        else:
            raw, content_type = json.dumps(self.body).encode(), "application/json"
        headers = {"content-length": str(len(raw))} | ({"content-type": content_type} if content_type else {})
        headers |= {name.lower(): value for name, value in self.headers.items()}
        return self.status or 200, [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers.items()], raw


class Faults:
    """The faults in the order they were asked for; the first that fits a call is used up by it."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._waiting.append(fault)

    def clear(self) -> int:
        count = len(self._waiting)
        self._waiting.clear()
        return count

    def take(self, operation: str) -> Fault | None:
        for fault in self._waiting:
            if fault.operation in (None, operation):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        self._waiting.remove(fault)
                return fault
        return None
