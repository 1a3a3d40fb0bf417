"""How a reading of a part of a chat joins what is known of it: which of its messages are news, and which only were not read before. Pure.

At sources that page messages, the messages that are known and not `apart` are one stretch without holes. A reading that shows one of them
continues the stretch: what it shows behind them is new, what it shows before the first of them is older than all that was read. Their order is
the source's, so neither equal times nor a clock that jumps matter.
"""

from collections.abc import Mapping, Sequence
from enum import Enum

from domain.paging import micros
from domain.records import Message
from storage.message_rows import KnownMessage


class Link(Enum):
    """What a reading tells of the place of its messages."""

    UNTOLD = "nothing: times decide what is older than the baseline"
    JOINED = "they continue the stretch that is known, or are all that there are, or the first that are read"
    APART = "messages that are not known may stand between them and the stretch: whether they are news is decided when it has come to them"


def older_ones(
    messages: Sequence[Message],
    known: Mapping[str, KnownMessage],
    link: Link,
    oldest: int | None,
    neighbours: tuple[str | None, str | None],
) -> frozenset[str]:
    """The native ids that stand before the oldest message of the baseline, whose time is `oldest` (None: nothing stands before it).

    `neighbours`: the messages directly before and behind those of the reading, where it knows them.
    """
    if oldest is None:
        return frozenset()
    if link is Link.JOINED:
        before, behind = (known.get(one) if one is not None else None for one in neighbours)
        if before is not None and before.is_certain:
            return frozenset()
        ids = [message.native_id for message in messages]
        for place, native_id in enumerate(ids):
            row = known.get(native_id)
            if row is not None and row.is_certain:
                return frozenset(ids[:place])
        if behind is not None and behind.is_certain:
            return frozenset(ids)
    return frozenset(
        message.native_id
        for message in messages
        if message.created_at is not None and micros(message.created_at) < oldest
    )
