"""What the events of Open WebUI's Socket.IO tell: which chats to read again, and the words of a reply while it is written.

One streamed turn (observed, 0.12.4): `chat:list`, `chat:active` true, `response:completion` (a raw chunk, then `response.output_text.delta` again and
again), `chat:completion` (the last chunk), `chat:list`, `chat:completion` with `done` and `output`, `chat:active` false. Stopped: `chat:tasks:cancel`, first with
`output`; failed: `chat:message:error`. After tools, and where a reply is continued, `chat:completion` has an `output` of all so far (code).

    chat:active true ──▶ words known, none yet ──▶ deltas are added ──▶ done | cancel | error | chat:active false: forgotten
    delta of a reply that was not seen to begin ──▶ not known, nothing is told ──▶ an `output` or `content` of all so far: known
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.records import Message, MessageRole, MessageState, Source
from domain.source import ChatTouched, Notice, ReplyGrew
from upstreams.json_reading import can_be_an_id

_COMPLETIONS = frozenset(["chat:completion", "response:completion"])
_OF_ONE_SESSION = frozenset(["chat:presence", "chat:access"])
"""Who else looks at a chat, and who may: nothing that reading shows."""
_CHANGES = frozenset(["message", "replace", "files"])
"""What a function of the server, or a REST call, writes into a message."""
_UNSAVED = ("local:", "channel:")
"""Beginnings of ids that are not those of stored chats (code)."""
_MOST_REPLIES = 200
_LONGEST_REPLY = 4 * 1024 * 1024

Words = dict[tuple[int, int], str]
"""The texts of a reply by their place: output item, then content part."""


@dataclass(frozen=True, slots=True)
class _Told:
    """One event. `data` is whatever its type means by it."""

    chat_id: str
    message_id: str | None
    kind: str
    data: Any
    is_internal: bool

    @property
    def key(self) -> tuple[str, str]:
        return self.chat_id, self.message_id or ""


class EventReader:
    """Reads the events of one connection, in their order."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._growing: OrderedDict[tuple[str, str], Words] = OrderedDict()
        self._garbled = 0

    def take_garbled(self) -> int:
        """How many events could not be understood, since this was asked last."""
        counted, self._garbled = self._garbled, 0
        return counted

    def notices(self, arguments: Sequence[Any]) -> Sequence[Notice]:
        """What an event `events` with these arguments tells."""
        told = self._told(arguments)
        if told is None:
            return ()
        if told.kind in _COMPLETIONS:
            return () if told.is_internal else self._completion(told)
        if told.kind == "chat:tasks:cancel":
            return [*self._all_so_far(told, _output_of(told.data)), *self._ended(told)]
        if told.kind == "chat:message:error":
            return self._ended(told)
        if told.kind == "chat:active":
            self._begin_or_end(told)
        elif told.kind in _CHANGES:
            self._growing.pop(told.key, None)
        elif not told.kind.startswith("chat:") or told.kind in _OF_ONE_SESSION:
            return ()
        return [ChatTouched(told.chat_id)]

    def _told(self, arguments: Sequence[Any]) -> _Told | None:
        envelope = arguments[0] if arguments else None
        inner = envelope.get("data") if isinstance(envelope, dict) else None
        if not isinstance(envelope, dict) or not isinstance(inner, dict) or not isinstance(inner.get("type"), str):
            self._garbled += 1
            return None
        chat_id, message_id = envelope.get("chat_id"), envelope.get("message_id")
        if chat_id is None or (isinstance(chat_id, str) and chat_id.startswith(_UNSAVED)):
            return None  # about no chat that is kept
        if not _is_id(chat_id) or not (message_id is None or _is_id(message_id)):
            self._garbled += 1
            return None
        return _Told(chat_id, message_id, inner["type"], inner.get("data"), envelope.get("internal") is True)

    def _begin_or_end(self, told: _Told) -> None:
        is_active = told.data.get("active") if isinstance(told.data, dict) else None
        if is_active is True and told.message_id is not None:
            self._remember(told.key, {})
        elif is_active is False:
            for key in [key for key in self._growing if key[0] == told.chat_id]:
                del self._growing[key]

    def _ended(self, told: _Told) -> list[Notice]:
        self._growing.pop(told.key, None)
        return [ChatTouched(told.chat_id)]

    def _completion(self, told: _Told) -> Sequence[Notice]:
        data = told.data
        if not isinstance(data, dict) or told.message_id is None:
            self._garbled += 1
            return ()
        kind = data.get("type")
        notices: list[Notice] = []
        if (words := _output_of(data)) is not None:
            notices += self._all_so_far(told, words)
        elif isinstance(data.get("content"), str):
            notices += self._all_so_far(told, {(0, 0): data["content"]})
        elif kind == "response.output_text.delta":
            notices += self._more(told, data)
        elif kind == "response.output_item.done":
            notices += self._whole_item(told, data)
        if data.get("done") is True or "error" in data:
            notices += self._ended(told)
        return notices

    def _more(self, told: _Told, data: Mapping[str, Any]) -> list[Notice]:
        item, part, delta = data.get("output_index"), data.get("content_index"), data.get("delta")
        if not isinstance(item, int) or not isinstance(part, int) or not isinstance(delta, str):
            self._garbled += 1
            self._growing.pop(told.key, None)  # there is a hole now
            return []
        words = self._growing.get(told.key)
        if words is None or not delta:
            return []
        if sum(map(len, words.values())) > _LONGEST_REPLY:
            self._growing.pop(told.key)
            return []
        words[item, part] = words.get((item, part), "") + delta
        return [self._grew(told, words)]

    def _whole_item(self, told: _Told, data: Mapping[str, Any]) -> list[Notice]:
        words, index = self._growing.get(told.key), data.get("output_index")
        if words is None or not isinstance(index, int):
            return []
        before = _text(words)
        for place in [place for place in words if place[0] == index]:
            del words[place]
        words.update(_words_of(index, data.get("item")))
        return [self._grew(told, words)] if _text(words) != before else []

    def _all_so_far(self, told: _Told, words: Words | None) -> list[Notice]:
        """All words at once. Those of a room that is told less often may be older than the deltas."""
        if words is None or told.message_id is None:
            return []
        known = self._growing.get(told.key)
        if known is not None and _text(known).startswith(_text(words)):
            return []
        self._remember(told.key, words)
        return [self._grew(told, words)] if _text(words) else []

    def _remember(self, key: tuple[str, str], words: Words) -> None:
        self._growing[key] = words
        self._growing.move_to_end(key)
        if len(self._growing) > _MOST_REPLIES:
            self._growing.popitem(last=False)

    def _grew(self, told: _Told, words: Words) -> ReplyGrew:
        return ReplyGrew(
            Message(
                organization_id=self._source.organization_id,
                source_id=self._source.id,
                chat_id=told.chat_id,
                native_id=told.message_id or "",
                role=MessageRole.ASSISTANT,
                text=_text(words),
                state=MessageState.STREAMING,
            )
        )


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and can_be_an_id(value)


def _text(words: Words) -> str:
    return "".join(words[place] for place in sorted(words))


def _output_of(data: Any) -> Words | None:
    """The words of an `output`, None where there is none. An empty one stands for no words yet."""
    output = data.get("output") if isinstance(data, dict) else None
    if not isinstance(output, list):
        return None
    return {place: text for index, item in enumerate(output) for place, text in _words_of(index, item).items()}


def _words_of(index: int, item: Any) -> Words:
    """The texts of one output item; thoughts and calls of tools have none."""
    if not isinstance(item, dict) or item.get("type") != "message" or not isinstance(item.get("content"), list):
        return {}
    texts = [part.get("text") if isinstance(part, dict) else None for part in item["content"]]
    return {(index, part): text for part, text in enumerate(texts) if isinstance(text, str)}
