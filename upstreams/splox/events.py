"""Splox's event streams: lines to frames, and frames to what they tell of one run.

Only `data:` lines carry something. Frames come in families that may be mixed: the state of a run or node (`workflow_request`, `node_execution`),
`{"type": "workflow_status", "is_active": false}`, content (`type` = `text_delta`, `done`, `stopped`, `error`, …), and, on an older page of the
documents, whole messages. What is not known is passed over.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.records import MessageState
from upstreams.json_reading import Json, WrongShape, loads
from upstreams.splox.mapping import ENDINGS
from upstreams.splox.messages import content_of, text_of

_KEEPALIVE = b"keepalive"
_MOST_PENDING_BYTES = 4 * 1024 * 1024
_HINTS: Mapping[str, MessageState | None] = {
    "done": None,
    "stopped": MessageState.CANCELLED,
    "error": MessageState.FAILED,
}
"""Frames after which a run may be over. `done` ends one of several rounds of an agent."""


@dataclass(slots=True)
class FrameReader:
    """Lines of a stream to frames. A frame is complete when its data is JSON: one line usually, several where they were folded as the standard allows."""

    garbled: int = 0
    """How often data came that never became a frame."""
    _pending: list[bytes] = field(default_factory=list)

    def feed(self, line: bytes) -> Mapping[str, Any] | None:
        """The frame that a line completes, None when it completes none."""
        line = line.rstrip(b"\r")
        if not line.startswith(b"data:"):
            if not line and self._pending:
                self._give_up()
            return None
        data = line[5:].strip()
        for tried in (data, b"\n".join([*self._pending, data])):
            frame = _frame(tried)
            if frame is not None:
                self._pending.clear()
                return frame
        if data == _KEEPALIVE:
            return None
        self._pending.append(data)
        if sum(map(len, self._pending)) > _MOST_PENDING_BYTES:
            self._give_up()
        return None

    def _give_up(self) -> None:
        self._pending.clear()
        self.garbled += 1


def _frame(data: bytes) -> Mapping[str, Any] | None:
    try:
        value = loads(data)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


@dataclass(slots=True)
class Telling:
    """What the streams have told of one run. `ending` is certain. `is_due`: somebody should ask how the run stands; `hint` is believed when nobody can tell."""

    run_id: str | None = None
    ending: MessageState | None = None
    is_due: bool = False
    hint: MessageState | None = None
    is_torn: bool = False
    """The chat's stream was not open from the beginning, or broke: its words have holes and are not shown."""
    _words: str = ""
    _words_of_run: str = ""

    @property
    def text(self) -> str:
        """The words so far: the chat's stream is where they are; the run's is taken when the other has none."""
        return ("" if self.is_torn else self._words) or self._words_of_run

    def begin(self, run_id: str) -> None:
        """The run is known: what was heard before was about others."""
        self.run_id = run_id
        self.is_due = False
        self.hint = None

    def hear(self, frame: Mapping[str, Any], *, is_from_run: bool) -> None:
        """Take a frame of the chat's or the run's stream."""
        request = frame.get("workflow_request")
        if isinstance(request, dict) and request.get("id") == self.run_id is not None:
            self.ending = ENDINGS.get(_text(request.get("status")), self.ending)
        kind = _text(frame.get("type"))
        if kind == "text_delta":
            self._say(_text(frame.get("delta")), is_from_run=is_from_run)
        elif kind in _HINTS:
            self.is_due = True
            self.hint = _HINTS[kind] or self.hint
        elif kind == "workflow_status" and frame.get("is_active") is False:
            self.is_due = True
            self.hint = self.hint or MessageState.COMPLETE
        elif not kind and frame.get("role") == "assistant":
            self._say_all(frame)

    def _say(self, words: str, *, is_from_run: bool) -> None:
        if is_from_run:
            self._words_of_run += words
        else:
            self._words += words

    def _say_all(self, frame: Mapping[str, Any]) -> None:
        """A whole message of the assistant, as the older page shows it: it says all so far, unless it is of another run."""
        if frame.get("workflow_request_id") not in (None, self.run_id):
            return
        try:
            self._words = text_of(content_of(Json(frame))) or self._words
        except WrongShape:
            return


def active_run_of(frame: Mapping[str, Any]) -> str | None:
    """The run that a frame says is under way."""
    request = frame.get("workflow_request")
    if not isinstance(request, dict) or _text(request.get("status")) in ENDINGS:
        return None
    return _text(request.get("id")) or None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
