"""Which readings of a chat's messages changed nothing any more, so that the same reading costs no write and no read.

A memory of chat → hashes of whole readings that the rows agree with, and when the chat's `seen_at` was written. As with
`storage.seen`, any change of the chat or its messages forgets it, and a commit of another process forgets everything. That a chat is in
it also says that its baseline is committed.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from storage.database import Transaction

Key = tuple[int, str]
"""(source id, native id of the chat)."""

_MOST_READINGS = 8
"""Of one chat: windows of several sizes and branches, asked for in turn."""


@dataclass(slots=True)
class _Chat:
    seen_at: int
    readings: dict[int, None] = field(default_factory=dict)


class SeenMessages:
    """A bounded memory; what was used longest ago goes first."""

    def __init__(self, most: int = 50_000) -> None:
        self._most = most
        self._generation = 0
        self._chats: OrderedDict[Key, _Chat] = OrderedDict()

    def has_baseline(self, key: Key) -> bool:
        """Whether messages of the chat were read with their newest end, and nothing has forgotten it since."""
        return key in self._chats

    def is_remembered(self, key: Key, reading: bytes, *, written_after: int) -> bool:
        """Whether the rows hold just this, and the chat's `seen_at` was written after `written_after`. For use while no unit is under way."""
        chat = self._chats.get(key)
        return chat is not None and chat.seen_at > written_after and hash(reading) in chat.readings

    def remember(self, tx: Transaction, key: Key, reading: bytes | None, *, seen_at: int) -> None:
        """From the commit on the chat has a baseline, and its rows hold this reading; None: what they hold may depend on the time."""
        if tx.generation != self._generation:
            self._chats.clear()
            self._generation = tx.generation
        digest = hash(reading) if reading is not None else None
        tx.after_commit(lambda: self._remember(key, digest, seen_at))

    def forget(self, tx: Transaction, key: Key) -> None:
        """Something of the chat or its messages changes."""
        self._drop(key)
        # A unit before this one, in the same commit, may remember what was so before.
        tx.after_commit(lambda: self._drop(key))

    def __len__(self) -> int:
        return len(self._chats)

    def _drop(self, key: Key) -> None:
        self._chats.pop(key, None)

    def _remember(self, key: Key, reading: int | None, seen_at: int) -> None:
        chat = self._chats.setdefault(key, _Chat(seen_at))
        chat.seen_at = max(chat.seen_at, seen_at)
        self._chats.move_to_end(key)
        if reading is not None:
            chat.readings[reading] = None
            if len(chat.readings) > _MOST_READINGS:
                del chat.readings[next(iter(chat.readings))]
        while len(self._chats) > self._most:
            self._chats.popitem(last=False)
