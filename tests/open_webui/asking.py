"""Asking one server and keeping what it said, in a form that can be compared with what another one says."""

import json
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MADE = [
    (re.compile(r"chatcmpl-[0-9a-f]+"), "<completion>"),
    (re.compile(r"msg_[0-9a-f]+"), "<item>"),
    (re.compile(r"sk-[0-9a-f]{32}"), "<key>"),
    (re.compile(r"eyJ[\w.-]+"), "<token>"),
    (_UUID, "<uuid>"),
]
_TEN_DAYS = 864_000
_LONG = " ".join(f"word{place}" for place in range(200))


@dataclass(slots=True)
class Step:
    """One call and its answer. `answer`: JSON, the lines of NDJSON and SSE, or text. `headers`: those that matter."""

    name: str
    method: str
    path: str
    sent: Any
    status: int | None
    headers: dict[str, str]
    answer: Any


@dataclass
class Asking:
    """One server, two accounts. Ids that the script learns are known by a name from then on."""

    base_url: str
    admin_key: str
    user_key: str
    steps: list[Step] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(base_url=self.base_url, limits=limits, timeout=30)

    def close(self) -> None:
        self._client.close()

    def know(self, name: str, value: str) -> str:
        """From now on `value` is told as `<name>`."""
        self.known[value] = name
        return value

    def id_of(self, name: str) -> str:
        return next(value for value, known in self.known.items() if known == name)

    def quietly(self, method: str, path: str, *, who: str = "user", **more: Any) -> Any:
        """A call that is no step: waiting, cleaning."""
        return _read(self._client.request(method, path, headers=self._headers(who), **more))

    def ask(
        self,
        name: str,
        method: str,
        path: str,
        *,
        who: str = "user",
        headers: dict[str, str] | None = None,
        only_known: bool = False,
        only_in_order: tuple[str, ...] = (),
        **more: Any,
    ) -> Any:
        """One step; gives the answer.

        `only_known` leaves out rows of a list that the script did not make, and sorts the others by their names, because
        chats of the same second stand in the order of their random ids. `only_in_order` leaves the named ones as they stand.
        """
        assert name not in {step.name for step in self.steps}, f"two steps are called {name}"
        response = self._client.request(method, path, headers=self._headers(who) | (headers or {}), **more)
        answer = _read(response)
        if only_known and isinstance(answer, list):
            answer = [row for row in answer if row.get("id") in self.known]
            answer = sorted(answer, key=lambda row: self.known[row["id"]])
        if only_in_order:
            answer = [row for row in answer if self.known.get(row["id"]) in only_in_order]
        told = {key: response.headers[key] for key in ("content-type", "allow") if key in response.headers}
        path = str(response.request.url.raw_path, "ascii")
        self.steps.append(Step(name, method, path, more.get("json"), response.status_code, told, answer))
        return answer

    def ask_twice_on_one_connection(self, name: str, path: str) -> None:
        """Does the server close the connection after its answer, and does it say so?"""
        target = urlsplit(self.base_url)
        with socket.create_connection((target.hostname or "", target.port or 80), timeout=10) as connection:
            head = f"GET {path} HTTP/1.1\r\nHost: {target.netloc}\r\nAuthorization: Bearer {self.user_key}\r\n\r\n"
            connection.sendall(head.encode())
            said = _read_until_closed(connection)
        text = said.decode()
        status = int(text.split(" ", 2)[1])
        kind = re.search(r"content-type: ([^\r\n]+)", text, re.IGNORECASE)
        answer = {
            "closed": True,
            "announced": "connection: close" in text.lower(),
            "body": text.partition("\r\n\r\n")[2],
        }
        self.steps.append(Step(name, "GET", path, None, status, {"content-type": kind[1] if kind else ""}, answer))

    def wait_until(self, path: str, holds: Callable[[Any], bool], *, seconds: float = 20) -> Any:
        """Read again and again until the answer is as wanted."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            answer = self.quietly("GET", path)
            if holds(answer):
                return answer
            time.sleep(0.02)
        raise AssertionError(f"{path} did not become as it should within {seconds} s")

    def _headers(self, who: str) -> dict[str, str]:
        keys = {"user": self.user_key, "admin": self.admin_key}
        return {"authorization": f"Bearer {keys[who]}"} if who in keys else {}

    def normalised(self) -> dict[str, Any]:
        """Step → what was said, with ids, times and secrets replaced by what they are."""
        told = {}
        for step in self.steps:
            path = self._named(step.path)
            told[step.name] = {
                "asked": f"{step.method} {path}",
                "status": step.status,
                **step.headers,
                "answer": self._plain(step.answer),
            }
        return told

    def _named(self, text: str) -> str:
        for value, name in self.known.items():
            text = text.replace(value, f"<{name}>")
        for pattern, replacement in _MADE:
            text = pattern.sub(replacement, text)
        return text

    def _plain(self, value: Any) -> Any:
        if isinstance(value, str) and value and value != _LONG and _LONG.startswith(value):
            return "<the beginning of a long reply>"
        if isinstance(value, str):
            return "<html>" if value.lstrip().lower().startswith("<!doctype html") else self._named(value)
        if isinstance(value, bool) or value is None or isinstance(value, float):
            return value
        if isinstance(value, int):
            return _moment(value)
        if isinstance(value, list):
            return [self._plain(one) for one in value]
        told = {self._named(key): self._plain(one) for key, one in value.items()}
        if isinstance(told.get("tags"), list) and all(isinstance(tag, str) for tag in told["tags"]):
            told["tags"].sort()  # a set in the server, so the order is another one in each process
        return told


def _moment(value: int) -> Any:
    now = time.time()
    for unit, name in ((1, "<now, seconds>"), (1000, "<now, milliseconds>"), (10**9, "<now, nanoseconds>")):
        if abs(value / unit - now) < _TEN_DAYS:
            return name
        if abs(value / unit - now - 28 * 86400) < 3600:
            return f"<in 28 days, {name.split(', ')[1]}"
    return value


def _read(response: httpx.Response) -> Any:
    kind = response.headers.get("content-type", "")
    if kind.startswith("application/json"):
        return response.json()
    if kind.startswith("application/x-ndjson"):
        return [json.loads(line) for line in response.text.splitlines()]
    if kind.startswith("text/event-stream"):
        frames = [line[len("data: ") :] for line in response.text.splitlines() if line.startswith("data: ")]
        return [json.loads(frame) if frame != "[DONE]" else frame for frame in frames]
    return response.text


def _read_until_closed(connection: socket.socket) -> bytes:
    parts = []
    while part := _receive(connection):
        parts.append(part)
    return b"".join(parts)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:  # some systems tell a closed connection this way
        return b""
