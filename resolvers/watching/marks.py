"""Which chats of a source have to be read, seen from the rows of its list. Pure: rows and times in, chats out.

The mark of a row is what it tells of messages. A mark that is equal does not yet mean that nothing happened: within one tick of the vendor's
clock two changes look like one. So a chat is settled only by a reading that began two ticks after its mark was first seen (or whose mark was
old already, clocks may differ by a minute); until then it is read again.

        unknown or other mark ──▶ to read ──read too early──▶ to read again, two ticks after the mark was first seen
                                      └─read late enough──▶ settled, until the mark changes
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.paging import micros, updated_at_of
from domain.records import CHAT_FIELDS, Chat
from storage.chats import WatchedChat

_CLOCKS_DIFFER = timedelta(minutes=1)
_LONG_AGO = float("-inf")


@dataclass(slots=True)
class _Mark:
    text: str
    first_seen: float
    updated_at: datetime | None
    has_baseline: bool
    is_settled: bool = False
    is_listed: bool = False


def mark_of(row: Chat, told: frozenset[str] = CHAT_FIELDS) -> str:
    """What a row tells of messages, as text. `told`: what every row of the list tells; a full pass knows more."""
    times = (
        str(micros(time)) if name in told and time is not None else ""
        for name, time in (("updated_at", row.updated_at), ("last_message_at", row.last_message_at))
    )
    number = str(row.message_count) if "message_count" in told and row.message_count is not None else ""
    return "/".join((*times, number))


class RowMarks:
    """The marks of one source's chats. Times are of the monotonic clock, in seconds; `tick` is the vendor's, `told` what rows tell."""

    def __init__(
        self, known: Iterable[WatchedChat], tick: timedelta, most: int, told: frozenset[str] = CHAT_FIELDS
    ) -> None:
        self._told = told
        self._two_ticks = 2 * tick.total_seconds()
        self._most = most
        self._walked_at: float | None = None
        self._marks = {
            chat.native_id: _Mark(chat.read_mark or "", _LONG_AGO, None, chat.has_baseline, chat.read_mark is not None)
            for chat in known
        }

    def __contains__(self, chat_id: str) -> bool:
        return chat_id in self._marks

    def tells_of(self, chat_id: str) -> bool:
        """Whether the list shows the chat: one that is archived, or somebody else's, may be known and not listed."""
        mark = self._marks.get(chat_id)
        return mark is not None and mark.is_listed

    def may_stop_at(self, row: Chat) -> bool:
        """Whether a list in the order of changes shows nothing new behind this row: the last walk saw it as it is, and not too freshly."""
        mark = self._marks.get(row.native_id)
        return (
            self._walked_at is not None
            and mark is not None
            and mark.text == mark_of(row, self._told)
            and mark.first_seen + self._two_ticks <= self._walked_at
        )

    def walked(self, rows: Sequence[Chat], began_at: float, *, is_news: Iterable[str]) -> list[str]:
        """Take over what a walk through the list showed, newest first; the chats that are to be read because of it.

        Called when a walk is at its end, so that one that broke off is made again in full. `is_news`: the chats that are new, with all their messages.
        """
        is_first, news = self._walked_at is None, frozenset(is_news)
        to_read = []
        for place, row in enumerate(rows):
            text, mark = mark_of(row, self._told), self._marks.get(row.native_id)
            if mark is None:
                # Of a source that has more chats than are read in turns, the old ones wait until something happens there.
                waits = is_first and place >= self._most
                mark = _Mark(text, began_at, updated_at_of(row), row.native_id in news, waits)
                self._marks[row.native_id] = mark
            elif mark.text != text:
                mark.text, mark.first_seen, mark.is_settled = text, began_at, False
            mark.updated_at, mark.is_listed = updated_at_of(row), True
            mark.has_baseline |= row.native_id in news
            if not mark.is_settled:
                to_read.append(row.native_id)
        self._walked_at = began_at
        return to_read

    def brings_news(self, chat_id: str) -> bool:
        """Whether what the next reading of a chat shows anew is news; its first reading is history."""
        mark = self._marks.get(chat_id)
        return mark is not None and mark.has_baseline

    def was_read(self, chat_id: str, began_at: float, started_at: datetime) -> tuple[str | None, float | None]:
        """All messages of a chat were read: the mark that is settled by it, if any; else when to read it again."""
        mark = self._marks.get(chat_id)
        if mark is None:
            return None, None
        mark.has_baseline = True
        if mark.is_settled:
            return None, None
        settles_at = mark.first_seen + self._two_ticks
        tick = timedelta(seconds=self._two_ticks)
        is_old = mark.updated_at is not None and mark.updated_at + tick + _CLOCKS_DIFFER <= started_at
        if mark.first_seen == _LONG_AGO or not (began_at >= settles_at or is_old):
            return None, settles_at if mark.first_seen != _LONG_AGO else None
        mark.is_settled = True
        return mark.text, None

    def forget(self, chat_id: str) -> None:
        """It is gone."""
        self._marks.pop(chat_id, None)
