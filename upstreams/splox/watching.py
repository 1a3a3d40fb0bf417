"""What the stream of a chat tells whoever watches it: that there is something to read.

Words come with no message's id (`text_delta` has none), so they are not told on; who wants them reads, or follows the run that it began.
A message begins with a state of its run or with the first words after a rest, and ends with a frame that says so; what comes in
between is one message that grows, and a reading for each piece of it would tell nothing new.
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.source import ChatTouched, Notice, StreamOpened
from upstreams.client import UpstreamClient
from upstreams.splox.mapping import ENDINGS
from upstreams.splox.requests import listen_to_chat_request
from upstreams.splox.streaming import frames_of

_ENDS = frozenset(["done", "stopped", "error"])
_EVENTS = frozenset(["user_message", "tool_approval_request", "tool_approval_response"])
"""They stand for a message, or for a run that waits for a person, and come once each."""
_REMEMBERED_RUNS = 100
_STATES = {"workflow_request": "run", "node_execution": "node"}


async def watch_chat(client: UpstreamClient, chat_id: str) -> AsyncGenerator[Notice, None]:
    """The stream of one chat as notices. Raises `NotFound` where there is no such chat."""
    attention = Attention()
    async with frames_of(client, listen_to_chat_request(chat_id)) as frames:
        yield StreamOpened()
        async for frame in frames:
            if attention.wakes(frame):
                yield ChatTouched(chat_id)
            client.garbled(attention.take_misunderstood())


@dataclass(slots=True)
class Attention:
    """Which frames say that a message began or ended. `_is_at_rest`: nothing was being written when last heard of."""

    _is_at_rest: bool = True
    _misunderstood: int = 0
    _states: "OrderedDict[tuple[str, str], str]" = field(default_factory=OrderedDict)

    def wakes(self, frame: Mapping[str, Any]) -> bool:
        """Whether there is something to read after this frame."""
        kind = frame.get("type")
        has_state = any(isinstance(frame.get(name), dict) for name in _STATES)
        has_moved = has_state and self._has_moved(frame)
        if isinstance(kind, str):
            return self._is_told_by(kind, frame) or has_moved
        if has_state:
            return has_moved
        if isinstance(frame.get("role"), str) and "content" in frame:
            return True  # a whole message, as an older page of the documents shows it
        self._misunderstood += 1
        return False

    def take_misunderstood(self) -> int:
        """How many frames were none of those that are known, since this was asked last."""
        counted, self._misunderstood = self._misunderstood, 0
        return counted

    def _is_told_by(self, kind: str, frame: Mapping[str, Any]) -> bool:
        has_stopped = kind == "workflow_status" and frame.get("is_active") is False
        if kind in _ENDS or has_stopped:
            self._is_at_rest = True
            return True
        # Words, thoughts and tools; and kinds that no document names, which may be the only sign of a message.
        was_at_rest, self._is_at_rest = self._is_at_rest, False
        return was_at_rest or kind in _EVENTS

    def _has_moved(self, frame: Mapping[str, Any]) -> bool:
        """Whether a run has another status than before, or one of its nodes has ended: a node may have written a message of its own."""
        has_moved = False
        for name, what in _STATES.items():
            state = frame.get(name)
            if not isinstance(state, dict):
                continue
            status, has_ended = str(state.get("status")), state.get("status") in ENDINGS
            if (what == "run" or has_ended) and self._is_news(what, str(state.get("id")), status):
                has_moved = True
                self._is_at_rest = has_ended
        return has_moved

    def _is_news(self, what: str, native_id: str, status: str) -> bool:
        key = (what, native_id)
        is_news = self._states.get(key) != status
        self._states[key] = status
        self._states.move_to_end(key)
        if len(self._states) > _REMEMBERED_RUNS:
            self._states.popitem(last=False)
        return is_news
