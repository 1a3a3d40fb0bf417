"""What processes of one store tell each other: how far a log is committed, and what the replies that one of them follows say.

    ["hello", process]                                    first
    ["head", organization, position]                      its log is committed so far
    ["grew", organization, source, chat, message, after, start, words, at, speaker]
                                                          the text up to the character `start`, and then these words
    ["settled", organization, source, chat, message, is_final]
    ["silent", speaker]                                   it follows its reply no more

A line of JSON each. Whoever hears keeps the texts of each voice apart, so lines of several need no order among each other.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import orjson

from domain.paging import micros
from domain.records import Delta
from resolvers.feed import Feed
from resolvers.spoken import Growth, SpokenKey, common_prefix
from storage.columns import instant

LONGEST_LINE = 32 * 1024 * 1024
_LONGEST_TEXT = 4 * 1024 * 1024
"""Characters; a longer reply is heard of when it ends."""
_MOST_WAITING_BYTES = 1024 * 1024

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Text:
    """What was said of a reply so far, and who said it."""

    text: str
    speaker: str


_NOTHING = _Text("", "")


class Neighbour:
    """Another process that is told things. One that does not read is told nothing more until it does, and then whole texts first."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._known: dict[SpokenKey, _Text] = {}
        """What it was told of each reply so far."""

    def hello(self, process: str) -> None:
        """Who speaks."""
        self._tell(["hello", process])

    def committed(self, organization_id: int, head: int) -> None:
        """A log is committed so far."""
        self._tell(["head", organization_id, head])

    def grew(self, growth: Growth) -> None:
        """New words; all of them when it does not know those before."""
        text, delta = growth.text_so_far, growth.delta
        if len(text) > _LONGEST_TEXT:
            return
        start = common_prefix(self._known.get(growth.key, _NOTHING).text, text)
        at = micros(delta.occurred_at)
        if self._tell(["grew", *growth.key, delta.after_seq, start, text[start:], at, growth.speaker]):
            self._known[growth.key] = _Text(text, growth.speaker)

    def settled(self, key: SpokenKey, is_final: bool) -> None:
        """A message has its end, or lost it."""
        self._known.pop(key, None)
        self._tell(["settled", *key, is_final])

    def fell_silent(self, speaker: str) -> None:
        """Somebody follows a reply no more."""
        self._known = _without(self._known, speaker)
        self._tell(["silent", speaker])

    def close(self) -> None:
        """Tell it nothing more."""
        self._writer.close()

    def _tell(self, line: list[Any]) -> bool:
        transport = self._writer.transport
        if transport.is_closing() or transport.get_write_buffer_size() > _MOST_WAITING_BYTES:
            self._known.clear()
            return False
        self._writer.write(orjson.dumps(line) + b"\n")
        return True


class Voice:
    """A process that is heard. `name` is known once it has said hello."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._texts: dict[SpokenKey, _Text] = {}
        self.name: str | None = None

    def hear(self, line: bytes) -> bool:
        """Do what a line says; whether it was a hello. One that is not understood, as of another release, is passed over."""
        match orjson.loads(line):
            case ["hello", str(name)]:
                self.name = name
                return True
            case ["head", int(organization_id), int(head)]:
                self._feed.committed(organization_id, head)
            case ["grew", int(), int(), str(), str(), int(), int(), str(), int(), str()] as said:
                self._hear_growth(*said[1:])
            case ["settled", int(organization_id), int(source_id), str(chat_id), str(message_id), bool(is_final)]:
                key = (organization_id, source_id, chat_id, message_id)
                self._texts.pop(key, None)
                self._feed.settled(key, is_final)
            case ["silent", str(speaker)]:
                self._texts = _without(self._texts, speaker)
                self._feed.forget(speaker)
            case _:
                _log.debug("a line of a neighbour was not understood")
        return False

    def end(self) -> None:
        """It is gone: nobody goes on with what it followed."""
        for speaker in {heard.speaker for heard in self._texts.values()}:
            self._feed.forget(speaker)

    def _hear_growth(
        self,
        organization_id: int,
        source_id: int,
        chat_id: str,
        message_id: str,
        after_seq: int,
        start: int,
        words: str,
        at: int,
        speaker: str,
    ) -> None:
        key = (organization_id, source_id, chat_id, message_id)
        before = self._texts.get(key, _NOTHING).text
        if start > len(before):
            return  # something is missing; the next whole text, or the end, brings it
        text = before[:start] + words
        self._texts[key] = _Text(text, speaker)
        delta = Delta(
            organization_id=organization_id,
            source_id=source_id,
            chat_id=chat_id,
            message_id=message_id,
            after_seq=after_seq,
            offset=0,
            text=text,
            occurred_at=instant(at),
        )
        self._feed.heard(Growth(delta, text, speaker))


def _without(texts: dict[SpokenKey, _Text], speaker: str) -> dict[SpokenKey, _Text]:
    return {key: text for key, text in texts.items() if text.speaker != speaker}
