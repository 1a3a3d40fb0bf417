"""What a subscription tells: a line of the log with its rows, words of a reply, a gap, the end of the replay; and for whom it is."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from domain.records import Chat, Delta, Event, EventKind, Folder, Message, Source
from resolvers.chats import ChatKey
from resolvers.statuses import SourceStatus


class GapReason(StrEnum):
    """Why something may be missing from a stream."""

    EXPIRED = "EXPIRED"
    SLOW_READER = "SLOW_READER"
    SOURCE_INTERRUPTED = "SOURCE_INTERRUPTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """A line of the log, with the rows that it names as they are now; a row that is gone is None."""

    cursor: str
    event: Event
    chat: Chat | None = None
    message: Message | None = None
    folder: Folder | None = None
    source: Source | None = None
    client_mutation_id: str | None = None

    @property
    def occurred_at(self) -> datetime:
        """When the gateway learned of it."""
        return self.event.occurred_at


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaCame:
    """The next words of a reply."""

    cursor: str
    delta: Delta

    @property
    def occurred_at(self) -> datetime:
        """When the gateway learned of it."""
        return self.delta.occurred_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Something between two positions may be missing."""

    cursor: str
    occurred_at: datetime
    gap_from: str
    gap_to: str
    reason: GapReason
    only_chat: ChatKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """All that is known has been delivered, and every watched source was read once more, except `incomplete`."""

    cursor: str
    occurred_at: datetime
    incomplete: Sequence[SourceStatus]


ReplyKey = tuple[int, str, str]
"""(source id, chat native id, message id) of a reply that is being written."""

LiveEvent = Happened | DeltaCame | Gap | CaughtUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One thing that many listeners are told at once, and how it differs between them.

    `event` is for everybody but `to`, the `Principal.key` of the only one who gets `own`; None: they get nothing. Words are
    `part_of` a reply: who has had no words of it yet gets `whole`, all its words so far, in place of `event`.
    """

    position: int
    event: LiveEvent | None = None
    to: str | None = None
    own: LiveEvent | None = None
    part_of: ReplyKey | None = None
    whole: LiveEvent | None = None

    def for_one(self, principal: str) -> LiveEvent | None:
        """What one principal is told of a line of the log."""
        return self.own if self.to == principal else self.event


@dataclass(slots=True)
class Batch:
    """What is told next, in order, and the position in the log that a listener has reached with it."""

    position: int
    told: list[Told] = field(default_factory=list)


def line_told(happened: Happened) -> Told | None:
    """A line as it is told: a read marker to its principal alone, the id of a sender's request to the sender alone.

    None for the health of a source that was disconnected while the line was on its way: there is nothing left to show.
    """
    event, position = happened.event, happened.event.seq
    if event.kind is EventKind.SOURCE_HEALTH_CHANGED and happened.source is None:
        return None
    principal = event.detail.get("principal")
    if event.kind is EventKind.READ_STATE_CHANGED:
        return Told(position=position, to=principal, own=happened)
    if happened.client_mutation_id is None:
        return Told(position=position, event=happened)
    return Told(position=position, event=replace(happened, client_mutation_id=None), to=principal, own=happened)
