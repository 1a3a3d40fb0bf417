"""What a server tells over Socket.IO while somebody works with it over HTTP: the names of events, their order, and which fields they have.

Texts and numbers are not compared. Deltas that follow one another are told once, because how many there are is the model's affair.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.open_webui.asking import Asking
from tests.open_webui.builders import CHATS, COMPLETE, create, tree
from tests.open_webui.on_replies import done, turn
from tests.open_webui.sockets import Event, Line, a_line

SOCKET = "/ws/socket.io/"


@dataclass
class Hearing:
    """Step → what was told, in a form that can be compared."""

    asking: Asking
    line: Line
    steps: dict[str, Any] = field(default_factory=dict)

    def note(self, step: str, told: Any) -> None:
        """Keep one step."""
        assert step not in self.steps, f"two steps are called {step}"
        self.steps[step] = told

    def hear(self, step: str, kind: str, **said: Any) -> None:
        """Keep all events up to this one."""
        told: list[Any] = []
        for event in self.line.until(kind, **said):
            plain = self._plain(event)
            if not told or told[-1] != plain:
                told.append(plain)
        self.note(step, told)

    def _plain(self, event: Event) -> dict[str, Any]:
        known = self.asking.known
        inner = event["data"]
        return {
            "fields": sorted(event),
            "chat": known.get(event["chat_id"], "another"),
            "message": event.get("message_id"),
            "type": inner["type"],
            "data": shape_of(inner["data"]) if "data" in inner else "none",
        }


def shape_of(value: Any) -> Any:
    """The fields of a value and their kinds; of a list, those of its first entry."""
    if isinstance(value, dict):
        return {name: shape_of(one) for name, one in sorted(value.items())}
    if isinstance(value, list):
        return [shape_of(value[0])] if value else []
    return value if isinstance(value, bool) else type(value).__name__


def play(asking: Asking, token: str) -> dict[str, Any]:
    """The conversation. `token`: a session of the ordinary user, whose API key does the rest."""
    strangers = _strangers(asking)
    with a_line(asking.base_url, token) as line:
        hearing = Hearing(asking, line, strangers)
        hearing.note("opening", shape_of(line.opening))
        hearing.note("accepted", shape_of(line.accepted))
        hearing.note("joined", shape_of(line.join(token)))
        hearing.note("joined again", shape_of(line.join(token)))
        hearing.note("heartbeat", line.call("heartbeat", {}))
        hearing.note("a call that nobody knows", line.call("nosuch", 1))
        chat = create(asking, "heard", "chat to be heard of", {"title": "Heard", "history": tree("a3")})
        try:
            _replies(hearing, chat)
            _stops(hearing, chat)
            _changes(hearing, chat)
            _silence(hearing, chat)
        finally:
            asking.quietly("DELETE", f"{CHATS}/{chat}")
    return hearing.steps


def _strangers(asking: Asking) -> dict[str, Any]:
    """Connections that are nobody's, and transports that are refused."""
    told: dict[str, Any] = {}
    for name, query in (
        ("polling", "?EIO=4&transport=polling"),
        ("no transport", ""),
        ("no upgrade", "?EIO=4&transport=websocket"),
    ):
        asking.ask(f"socket: {name}", "GET", f"{SOCKET}{query}", who="nobody")
        step = asking.steps[-1]
        told[name] = {"status": step.status, **step.headers, "answer": step.answer}
    for name, token in (("API key", asking.user_key), ("nonsense", "nonsense"), ("no token", None)):
        with a_line(asking.base_url, token) as line:
            told[f"joined with {name}"] = line.join(token)
    return told


def _replies(hearing: Hearing, chat: str) -> None:
    asking = hearing.asking
    asking.quietly("POST", COMPLETE, json=turn(chat, "10", "a3", "ten"))
    hearing.hear("streamed", "chat:active", active=False)
    asking.quietly("POST", COMPLETE, json=turn(chat, "11", "r10", "eleven", stream=False))
    hearing.hear("in one piece", "chat:active", active=False)
    asking.quietly("POST", COMPLETE, json=turn(chat, "12", "r11", "twelve", session_id=None))
    hearing.hear("streamed while the caller waits", "chat:completion", done=True)
    asking.quietly("POST", COMPLETE, json=turn(chat, "13", "r12", "thirteen", session_id=None, stream=False))
    told = hearing.line.until("chat:list")  # the one before the answer
    hearing.note("in one piece while the caller waits: begins", [event["data"]["type"] for event in told])
    hearing.hear("in one piece while the caller waits", "chat:list")
    asking.quietly("POST", COMPLETE, json=turn(chat, "14", "r13", "fourteen", model="fake-error"))
    hearing.hear("failed", "chat:active", active=False)
    asking.quietly("POST", COMPLETE, json=turn(chat, "15", "r13", "fifteen", model="fake-error", session_id=None))
    hearing.hear("failed while the caller waits", "chat:message:error")
    orphan = {key: value for key, value in turn(chat, "16", "a3", "sixteen").items() if key != "user_message"}
    asking.quietly("POST", COMPLETE, json=orphan)
    hearing.hear("without a question", "chat:active", active=False)
    again = {**turn(chat, "10", "a3", "ten"), "id": "r17"}
    asking.quietly("POST", COMPLETE, json=again)
    hearing.hear("once more", "chat:active", active=False)


def _stops(hearing: Hearing, chat: str) -> None:
    asking, slow = hearing.asking, {"model": "fake-slow"}
    asking.quietly("POST", COMPLETE, json=turn(chat, "20", "a3", "long please") | slow)
    begins = hearing.line.until("response:completion", type="response.output_text.delta")
    hearing.note("stopped: begins", [event["data"]["type"] for event in begins])
    asking.quietly("POST", f"/api/tasks/chat/{chat}/stop")
    told = [
        event
        for event in hearing.line.until("chat:active", active=False)
        if event["data"]["type"] != "response:completion"
    ]
    hearing.note(
        "stopped", [{"type": event["data"]["type"], "data": shape_of(event["data"].get("data"))} for event in told]
    )
    asking.quietly("POST", COMPLETE, json=turn(chat, "21", "a3", "long please") | slow)
    hearing.line.until("chat:active", active=True)
    asking.quietly("POST", f"/api/tasks/chat/{chat}/stop")
    told = [
        event
        for event in hearing.line.until("chat:active", active=False)
        if event["data"]["type"] != "response:completion"
    ]
    hearing.note(
        "stopped before a word",
        [{"type": event["data"]["type"], "data": shape_of(event["data"].get("data"))} for event in told],
    )


def _changes(hearing: Hearing, chat: str) -> None:
    asking, path = hearing.asking, f"{CHATS}/{chat}/messages"
    asking.quietly("POST", f"{path}/a1", json={"content": "Edited."})
    hearing.hear("edited", "chat:message")
    asking.quietly("POST", f"{path}/a1", who="admin", json={"content": "Edited by somebody else."})
    hearing.hear("edited by an administrator", "chat:message")
    asking.quietly("POST", f"{path}/brand-new", json={"content": "Created."})
    hearing.hear("created by editing", "chat:message")
    asking.quietly("POST", f"{path}/a1/event", json={"type": "status", "data": {"description": "x", "done": True}})
    hearing.hear("an event of somebody's own", "status")


def _silence(hearing: Hearing, chat: str) -> None:
    """Of all this nothing is told; the edit at the end is the first that is."""
    asking, path = hearing.asking, f"{CHATS}/{chat}"
    other = asking.quietly("POST", f"{CHATS}/new", json={"chat": {"title": "Unheard", "history": tree("a3")}})["id"]
    asking.quietly("POST", path, json={"chat": {"title": "Renamed"}})
    message = {"id": "added", "parentId": "a3", "childrenIds": [], "role": "user", "content": "added", "timestamp": 1}
    asking.quietly("POST", path, json={"chat": {"history": {"messages": {"added": message}, "currentId": "added"}}})
    for what in ("pin", "pin", "archive", "archive"):
        asking.quietly("POST", f"{path}/{what}")
    asking.quietly("POST", f"{path}/tags", json={"name": "quiet"})
    asking.quietly("POST", f"{path}/folder", json={"folder_id": None})
    asking.quietly("DELETE", f"{path}/messages/brand-new")
    asking.quietly("POST", f"{path}/share")
    asking.quietly("DELETE", f"{CHATS}/{other}")
    asking.quietly("POST", f"{path}/messages/a1", json={"content": "Heard again."})
    hearing.hear("after everything that is not told", "chat:message")
    assert done("r10")(asking.quietly("GET", path))
