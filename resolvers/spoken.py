"""What the replies that are being written have said so far, as the listeners of this process were told.

A reply may be followed twice: here and by another process, or by its sender and by who watches its chat. Each of them knows its words as
a whole; what a listener gets is made here, from what it was told before, so that several followers cannot make a text that nobody wrote.

    (unknown) ──words──▶ told ──more, or other words──▶ told ──the end is committed──▶ ended: whatever still comes is absorbed
                          └─ fewer words of another follower: it lags behind, absorbed
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from domain.records import Delta

SpokenKey = tuple[int, int, str, str]
"""(organization id, source id, chat, message)."""

_MOST_REPLIES = 10_000
"""Replies that are remembered at a time; the oldest is forgotten first, and told whole when it goes on."""


@dataclass(frozen=True, slots=True)
class Growth:
    """New words of a reply, and all its words so far, for whoever comes in the middle. `speaker`: who follows the reply."""

    delta: Delta
    text_so_far: str
    speaker: str = ""

    @property
    def key(self) -> SpokenKey:
        """Which reply."""
        return (self.delta.organization_id, self.delta.source_id, self.delta.chat_id, self.delta.message_id)

    def whole(self) -> "Growth":
        """All words so far at once."""
        return replace(self, delta=replace(self.delta, offset=0, text=self.text_so_far))


@dataclass(slots=True)
class _Told:
    growth: Growth
    length: int
    """Of the text so far, in UTF-16 code units."""


class Spoken:
    """The replies under way, of all organizations."""

    def __init__(self) -> None:
        self._told: OrderedDict[SpokenKey, _Told] = OrderedDict()
        self._ended: OrderedDict[SpokenKey, None] = OrderedDict()

    def take(self, growth: Growth) -> Growth | None:
        """What is new in the words so far, for those who were told what came before; None when nothing is, or the reply has ended."""
        key = growth.key
        if self.has_ended(key):
            return None
        told = self._told.get(key)
        text = growth.text_so_far
        if told is None:
            return self._begin(growth) if text else None
        known = told.growth.text_so_far
        if text == known or (growth.speaker != told.growth.speaker and known.startswith(text)):
            return None
        start = common_prefix(known, text)
        offset = told.length if start == len(known) else utf16_length(text[:start])
        words = text[start:]
        told.length = offset + utf16_length(words)
        told.growth = replace(growth, delta=replace(growth.delta, offset=offset, text=words))
        return told.growth

    def _begin(self, growth: Growth) -> Growth:
        told = self._told[growth.key] = _Told(growth.whole(), utf16_length(growth.text_so_far))
        _bound(self._told)
        return told.growth

    def end(self, key: SpokenKey) -> None:
        """Its end is committed."""
        self._told.pop(key, None)
        self._ended[key] = None
        _bound(self._ended)

    def has_ended(self, key: SpokenKey) -> bool:
        """Whether nothing that is said of it counts any more."""
        return key in self._ended

    def begin_again(self, key: SpokenKey) -> None:
        """A reply that had ended is being written once more."""
        self._ended.pop(key, None)

    def forget(self, speaker: str) -> None:
        """Somebody follows nothing any more; what it followed and nobody ended is told whole when it goes on."""
        for key in [key for key, told in self._told.items() if told.growth.speaker == speaker]:
            del self._told[key]

    def under_way(self, organization_id: int) -> Iterator[Growth]:
        """All words so far of each reply of an organization."""
        for key, told in self._told.items():
            if key[0] == organization_id:
                yield told.growth.whole()

    def __len__(self) -> int:
        return len(self._told)


def _bound(kept: "OrderedDict[SpokenKey, _Told] | OrderedDict[SpokenKey, None]") -> None:
    if len(kept) > _MOST_REPLIES:
        kept.popitem(last=False)


def utf16_length(text: str) -> int:
    """The length of a text as JavaScript counts it."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def common_prefix(old: str, new: str) -> int:
    """How many characters (code points) both texts begin with: where a delta starts. Never inside a code point, so never inside a surrogate pair."""
    if new.startswith(old):
        return len(old)
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old[:middle] == new[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
