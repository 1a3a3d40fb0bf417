"""Following a reply with an ear: the words of the stream, the readings beside it, and who is ahead of whom."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from domain.records import CHAT_FIELDS, Chat, Message, MessageRole, MessageState
from domain.source import NOTHING_SKIPPED, ChatTouched, Notice, ReplyGrew
from tests.upstreams.wire import FakeClock, a_source
from upstreams.open_webui.messages import Tree
from upstreams.open_webui.reading import FullChat
from upstreams.open_webui.replies import Follower

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 28, tzinfo=UTC)
WRITTEN, WHOLE = MessageState.STREAMING, MessageState.COMPLETE
TOUCHED = ChatTouched("c")


def a_reply(text: str, state: MessageState = WRITTEN, reply_id: str = "r") -> Message:
    return Message(
        organization_id=1,
        source_id=7,
        chat_id="c",
        native_id=reply_id,
        role=MessageRole.ASSISTANT,
        text=text,
        state=state,
    )


def grown(text: str, reply_id: str = "r") -> ReplyGrew:
    return ReplyGrew(a_reply(text, reply_id=reply_id))


@dataclass
class Script:
    """Readings in their order, the last one for all that follow, and what the ear hears after each of them; then time passes."""

    readings: Sequence[Message]
    heard: Sequence[Sequence[Notice]] = ()
    time: FakeClock = field(default_factory=FakeClock)
    deaf_from: int = 1000
    """The reading after which the ear hears nothing any more."""
    read: int = 0
    waits: list[float] = field(default_factory=list)
    _waiting: list[Notice] = field(default_factory=list)

    async def reading(self) -> FullChat:
        reply = self.readings[min(self.read, len(self.readings) - 1)]
        self._waiting = list(self.heard[self.read]) if self.read < len(self.heard) else []
        self.read += 1
        chat = Chat(organization_id=1, source_id=7, native_id="c", told=CHAT_FIELDS)
        return FullChat(chat, Tree([reply], "r", NOTHING_SKIPPED), NOW)

    @property
    def is_open(self) -> bool:
        return self.read < self.deaf_from

    async def ready(self) -> None:
        """It is open from the beginning."""

    async def next(self, *, within_seconds: float) -> Notice | None:
        if self._waiting:
            return self._waiting.pop(0)
        self.waits.append(within_seconds)
        self.time.seconds += within_seconds
        return None

    async def texts(self) -> list[str]:
        async def is_running() -> bool:
            return True

        follower = Follower(
            a_source("open_webui"),
            self.time.clock,
            read=self.reading,
            is_running=is_running,
            ear=self,
            longest_pause_seconds=1.0,
            timeout_seconds=600.0,
        )
        return [known["r"].text async for known in follower.follow("r")]


async def test_words_that_are_heard_are_told_without_reading() -> None:
    script = Script([a_reply(""), a_reply("abc", WHOLE)], [[grown("a"), grown("ab"), grown("abc"), TOUCHED]])
    assert await script.texts() == ["", "a", "ab", "abc", "abc"]
    assert script.read == 2


async def test_words_of_another_reply_are_not_this_ones() -> None:
    script = Script([a_reply(""), a_reply("a", WHOLE)], [[grown("x", "other"), grown("a"), TOUCHED]])
    assert await script.texts() == ["", "a", "a"]


async def test_reading_that_is_older_than_the_stream_takes_no_words_back() -> None:
    script = Script(
        [a_reply(""), a_reply("a"), a_reply("abcd", WHOLE)], [[grown("abc"), TOUCHED], [grown("abcd"), TOUCHED]]
    )
    assert await script.texts() == ["", "abc", "abcd", "abcd"]


async def test_stream_that_is_older_than_a_reading_takes_no_words_back() -> None:
    script = Script([a_reply("abc"), a_reply("abcd", WHOLE)], [[grown("a"), grown("ab"), grown("abcd"), TOUCHED]])
    assert await script.texts() == ["abc", "abcd", "abcd"]


async def test_words_that_the_server_took_back_are_taken_back() -> None:
    script = Script([a_reply(""), a_reply("xyz", WHOLE)], [[grown("abc"), grown("xy"), TOUCHED]])
    assert await script.texts() == ["", "abc", "xy", "xyz"]


async def test_what_is_told_is_read_seldom_and_what_is_not_told_often() -> None:
    told = Script([a_reply(""), a_reply("abc", WHOLE)], [[grown("a")]])
    await told.texts()
    assert told.waits == [5.0]
    untold = Script([a_reply("some words"), a_reply("some words more"), a_reply("some words more.", WHOLE)])
    await untold.texts()
    assert untold.waits == [0.15, 0.15]


async def test_ear_that_goes_deaf_is_trusted_no_longer() -> None:
    script = Script([a_reply(""), a_reply("a"), a_reply("ab"), a_reply("abc", WHOLE)], [[grown("a")]], deaf_from=2)
    assert await script.texts() == ["", "a", "ab", "abc"]
    assert script.waits[0] == 5.0
    assert max(script.waits[1:]) < 0.5


async def test_server_that_touches_again_and_again_is_not_read_faster_for_it() -> None:
    script = Script([a_reply("")] * 9 + [a_reply("a", WHOLE)], [[TOUCHED]] * 9)
    await script.texts()
    assert script.waits == [pytest.approx(0.15)] * 9


async def test_words_are_heard_while_a_touch_is_waited_out() -> None:
    script = Script([a_reply(""), a_reply("ab", WHOLE)], [[TOUCHED, grown("a"), grown("ab")]])
    assert await script.texts() == ["", "a", "ab", "ab"]
    assert script.waits == [pytest.approx(0.15)]
