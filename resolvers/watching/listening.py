"""What a source's own streams tell, beside reading: that something happened in a chat, and words of answers."""

import asyncio
from collections.abc import Callable, Iterable

from domain.capabilities import NativeStream
from domain.source import ChatSource, ChatTouched, Notice, ReplyGrew, StreamOpened
from resolvers.context import Context
from resolvers.watching.clock import WatchClock
from resolvers.watching.streams import Streams
from resolvers.watching.subject import Subject, SubjectState
from resolvers.watching.tuning import WatchTuning
from resolvers.watching.words import ForeignWords


class Listening:
    """The streams of one source. `touched` is called with the chat (None: somewhere) that is to be read; `silenced` when a stream has ended.

    `is_watched`: whether anybody is interested in a chat; a stream of the source tells of all.
    """

    def __init__(
        self,
        context: Context,
        *,
        touched: Callable[[str | None], object],
        silenced: Callable[[str | None], None],
        is_watched: Callable[[str], bool],
        clock: WatchClock,
        tuning: WatchTuning,
    ) -> None:
        self._context = context
        self._touched = touched
        self._is_watched = is_watched
        self._clock = clock
        self._words = ForeignWords()
        self._streams = Streams(heard=self._heard, ended=silenced, clock=clock, tuning=tuning)

    def follow(self, live: ChatSource, subjects: Iterable[Subject]) -> None:
        """Have the one stream of the source, or one for each chat that somebody subscribes to, where there are such."""
        match live.capabilities.stream:
            case NativeStream.NONE:
                return
            case NativeStream.SOURCE:
                wanted: list[str | None] = [None]
            case NativeStream.CHAT:
                there = (one for one in subjects if one.chat_id is not None and one.state is not SubjectState.GONE)
                wanted = [one.chat_id for one in there if one.is_wanted]
        self._streams.follow(live, wanted)

    def tells_messages(self, live: ChatSource, chat_id: str | None) -> bool:
        """Whether a stream is open that tells every message of a chat, or (None) of all chats."""
        by_chat = live.capabilities.stream is NativeStream.CHAT
        return live.capabilities.stream_tells_messages and self._streams.is_open(chat_id if by_chat else None)

    def leave_all(self) -> "set[asyncio.Task[None]]":
        """Leave every stream; done when these are."""
        return self._streams.leave_all()

    async def _heard(self, chat_id: str | None, notice: Notice) -> None:
        match notice:
            case StreamOpened():
                self._touched(chat_id)
            case ChatTouched():
                self._touched(notice.chat_id or chat_id)
            case ReplyGrew() if self._is_watched(notice.reply.chat_id):
                if not await self._words.heard(self._context, notice.reply, self._clock.monotonic()):
                    self._touched(notice.reply.chat_id)
