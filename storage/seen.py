"""What was seen of chats lately, so that seeing the same again costs no write and no read.

A memory of (chat, which fields were told) → a hash of the record. It is right only while nothing else writes the rows: any
change of a chat forgets all of it, and a commit of another process forgets everything.
"""

from collections import OrderedDict
from collections.abc import Mapping

from domain.records import Chat
from storage.chat_rows import mask_of
from storage.database import Transaction
from storage.spelling import spelled

Key = tuple[int, str]
"""(source id, native id)."""

_NOTHING: Mapping[int, tuple[int, int]] = {}


class SeenChats:
    """A bounded memory; what was used longest ago goes first."""

    def __init__(self, most: int = 50_000) -> None:
        self._most = most
        self._generation = 0
        self._seen: OrderedDict[Key, dict[int, tuple[int, int]]] = OrderedDict()

    def is_unchanged(self, tx: Transaction, chat: Chat, *, written_since: int) -> bool:
        """Whether the row is known to hold exactly this, and its `seen_at` was written at or after `written_since`."""
        if tx.generation != self._generation:
            self._seen.clear()
            self._generation = tx.generation
        return self.is_remembered(chat, written_since=written_since)

    def is_remembered(self, chat: Chat, *, written_since: int) -> bool:
        """The same outside a unit: right while none is under way, as far as this process has heard of the others."""
        seen = self._seen.get(chat.key, _NOTHING).get(mask_of(chat.told))
        return seen is not None and seen[1] >= written_since and seen[0] == _hash(chat)

    def remember(self, tx: Transaction, chat: Chat, *, seen_at: int) -> None:
        """The row holds this from the commit on."""
        if (digest := _hash(chat)) is not None:
            tx.after_commit(lambda: self._remember(chat.key, mask_of(chat.told), (digest, seen_at)))

    def forget(self, tx: Transaction, key: Key) -> None:
        """The row changes."""
        self._drop(key)
        # A unit before this one, in the same commit, may remember the row as it was: drop that too.
        tx.after_commit(lambda: self._drop(key))

    def __len__(self) -> int:
        return len(self._seen)

    def _drop(self, key: Key) -> None:
        self._seen.pop(key, None)

    def _remember(self, key: Key, told: int, entry: tuple[int, int]) -> None:
        self._seen.setdefault(key, {})[told] = entry
        self._seen.move_to_end(key)
        while len(self._seen) > self._most:
            self._seen.popitem(last=False)


def _hash(chat: Chat) -> int | None:
    """Of all that the record says. To hash the values as they are written would cost many times that."""
    return hash(text) if (text := spelled(chat)) is not None else None
