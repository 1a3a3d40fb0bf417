"""One Socket.IO connection, frame by frame, so that what a server says is seen as it is."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

Event = dict[str, Any]
"""`{chat_id, message_id, data: {type, data}}`, as the server sends it."""


class Line:
    """An open connection. `opening` and `accepted` are the two frames that it began with, read as JSON."""

    def __init__(self, socket: ClientConnection, opening: Any, accepted: Any) -> None:
        self._socket = socket
        self._asked = 0
        self._waiting: list[Event] = []
        self.opening, self.accepted = opening, accepted

    def call(self, name: str, *said: Any) -> Any:
        """What the server acknowledges with; events that come meanwhile are kept."""
        self._asked += 1
        self._socket.send(f"42{self._asked}{json.dumps([name, *said])}")
        while True:
            frame = self._read()
            if frame.startswith(f"43{self._asked}"):
                return json.loads(frame.removeprefix(f"43{self._asked}"))
            self._keep(frame)

    def join(self, token: str | None) -> Any:
        """As the web client does it."""
        return self.call("user-join", {"auth": {"token": token}})

    def next(self) -> Event:
        """The next event."""
        while not self._waiting:
            self._keep(self._read())
        return self._waiting.pop(0)

    def until(self, kind: str, **said: Any) -> list[Event]:
        """All events up to the first of this type, with these fields in its data."""
        events: list[Event] = []
        while True:
            events.append(self.next())
            inner = events[-1]["data"]
            if inner["type"] == kind and all(
                (inner.get("data") or {}).get(name) == value for name, value in said.items()
            ):
                return events

    def _keep(self, frame: str) -> None:
        if frame == "2":
            self._socket.send("3")
            return
        assert frame.startswith("42"), frame
        name, told = json.loads(frame[2:])
        if name == "events":
            self._waiting.append(told)

    def _read(self) -> str:
        frame = self._socket.recv(timeout=20)
        assert isinstance(frame, str)
        return frame


@contextmanager
def a_line(base_url: str, token: str | None) -> Iterator[Line]:
    """Connect, showing a token or none."""
    url = f"ws{base_url.removeprefix('http')}/ws/socket.io/?EIO=4&transport=websocket"
    with connect(url, compression=None) as socket:
        opening = json.loads(str(socket.recv(timeout=20)).removeprefix("0"))
        socket.send("40" + (json.dumps({"token": token}) if token is not None else ""))
        accepted = json.loads(str(socket.recv(timeout=20)).removeprefix("40"))
        yield Line(socket, opening, accepted)
