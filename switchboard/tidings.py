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

from domain.records import Delta
from resolvers.feed import Feed
from resolvers.spoken import Growth, SpokenKey
from storage.columns import instant, micros_or_none

LONGEST_LINE = 32 * 1024 * 1024
_LONGEST_TEXT = 4 * 1024 * 1024
"""Characters; a longer reply is heard of when it ends."""
_MOST_WAITING_BYTES = 1024 * 1024

_log = logging.getLogger(__name__)


class Neighbour:
    """Another process that is told things. One that does not read is told nothing more until it does, and then whole texts first."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._known: set[SpokenKey] = set()
        """Replies whose words so far it was told."""

    def hello(self, process: str) -> None:
        """Who speaks."""
        self._tell(["hello", process])

    def committed(self, organization_id: int, head: int) -> None:
        """A log is committed so far."""
        self._tell(["head", organization_id, head])

    def grew(self, growth: Growth) -> None:
        """New words; all of them when it does not know those before."""
        if len(growth.text_so_far) > _LONGEST_TEXT:
            return
        shown = growth if growth.key in self._known else growth.whole()
        if self._tell(_line_of(shown)):
            self._known.add(growth.key)

    def settled(self, key: SpokenKey, is_final: bool) -> None:
        """A message has its end, or lost it."""
        self._known.discard(key)
        self._tell(["settled", *key, is_final])

    def fell_silent(self, speaker: str) -> None:
        """Somebody follows a reply no more."""
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


@dataclass(frozen=True, slots=True)
class _Heard:
    text: str
    speaker: str


class Voice:
    """A process that is heard. `name` is known once it has said hello."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._texts: dict[SpokenKey, _Heard] = {}
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
                self._texts = {key: heard for key, heard in self._texts.items() if heard.speaker != speaker}
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
        before = self._texts[key].text if key in self._texts else ""
        if start > len(before):
            return  # something is missing; the next whole text, or the end, brings it
        text = before[:start] + words
        self._texts[key] = _Heard(text, speaker)
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


def _line_of(growth: Growth) -> list[Any]:
    delta = growth.delta
    at = micros_or_none(delta.occurred_at)
    return ["grew", *growth.key, delta.after_seq, growth.start, delta.text, at, growth.speaker]
