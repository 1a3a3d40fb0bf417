"""Subscriptions: the log of the organization in order, from a position, filtered to what the subscriber may see and wants.

    replaying ──log read to its head──▶ reading watched sources once ──committed and delivered──▶ CaughtUp ──▶ level ──▶ live
        └─ position older than the log, or of a removed key ─▶ StreamGap, then from the newest line on      ▲          │
                                                                    behind ──log read to its head───────────╯          │
                                                                      ▲──── fell out, or sees something else now ──────╯

The log is the truth; the feed only wakes who reads it. Up to `level` each subscriber reads by itself. `live` is read once for all
who want and see the same (`told`), and a subscriber that cannot keep up with them reads by itself again, from where it stands.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from domain.errors import InvalidArgument, StreamGapFound
from domain.records import EventKind, Scope
from resolvers.context import Context
from resolvers.feed import Listener
from resolvers.live_events import Batch, CaughtUp, Gap, GapReason, Happened, LiveEvent, ReplyKey, Told
from resolvers.log_reader import LinesForgotten, LogReader, StretchMissing
from resolvers.statuses import SourceStatus
from resolvers.wanted import ChatEventFilter, MessageEventFilter, Wanted, wanted_of
from resolvers.words import Words

MAX_CHATS = 100

_WHY_MISSING = {
    GapReason.EXPIRED: "the position to continue from is older than what is kept, or not known (any more)",
    GapReason.SLOW_READER: "they were not read fast enough",
    GapReason.SOURCE_INTERRUPTED: "more were written at a source than could be read back from it",
}

Step = tuple[int, LiveEvent | None]
"""What one subscriber is told next, and the position in the log that it has reached with it; None: it has only reached it."""


class Stream:
    """What one subscription listens to. Iterate over it to hear it alone, or share it: `replay`, then what `told` tells to many."""

    def __init__(self, context: Context, wanted: Wanted, after: str | None) -> None:
        self._context = context
        self._wanted = wanted
        self._after = context.last_event_id or after

    def __aiter__(self) -> AsyncGenerator[LiveEvent, None]:
        return self._alone()

    async def replay(self, context: Context) -> AsyncGenerator[Step, None]:
        """From `after` to the head of the log, where the last step stands; what is there already when nothing is to be replayed."""
        async with _listening(context, self._wanted), aclosing(_stream(context, self._wanted, self._after)) as steps:
            async for step in steps:
                yield step

    async def catch_up(self, context: Context, position: int) -> AsyncGenerator[Step, None]:
        """From `position` to the head of the log, where the last step stands, for a subscriber that fell out."""
        async with aclosing(_for_one(LogReader(context, self._wanted, position))) as steps:
            async for step in steps:
                yield step

    async def told(self, context: Context, position: int) -> AsyncGenerator[Batch, None]:
        """What happens behind `position`, for as many as see what `context` does. Ends where each has to `catch_up` by itself."""
        async with (
            _listening(context, self._wanted) as listener,
            aclosing(_told(context, self._wanted, listener, position)) as batches,
        ):
            async for batch in batches:
                yield batch

    async def _alone(self) -> AsyncGenerator[LiveEvent, None]:
        context, wanted, position = self._context, self._wanted, 0
        heard: set[ReplyKey] = set()
        async with _listening(context, wanted) as listener:
            async with aclosing(_stream(context, wanted, self._after)) as steps:
                async for step in steps:
                    position = step[0]
                    if step[1] is not None:
                        yield step[1]
            while True:
                async with aclosing(_told(context, wanted, listener, position)) as batches:
                    async for batch in batches:
                        position = batch.position
                        for told in batch.told:
                            if (event := _for_ear(told, context.principal.key, heard)) is not None:
                                yield event
                async with aclosing(_for_one(LogReader(context, wanted, position))) as steps:
                    async for step in steps:
                        position = step[0]
                        if step[1] is not None:
                            yield step[1]


async def message_stream(
    context: Context, *, chat_id: str | None, filter_: MessageEventFilter, after: str | None
) -> Stream:
    """New messages only. It ends with `StreamGapFound` when something may be missing."""
    context.require(Scope.READ)
    wanted = await wanted_of(context, [chat_id] if chat_id is not None else None, filter_, ("chatId",))
    wanted = replace(
        wanted,
        roles=frozenset(filter_.roles) if filter_.roles is not None else None,
        kinds=frozenset({EventKind.MESSAGE_CREATED.value}),
        messages_only=True,
    )
    return Stream(context, wanted, after)


async def event_stream(
    context: Context, *, chat_ids: Sequence[str] | None, filter_: ChatEventFilter, after: str | None
) -> Stream:
    """Everything that happens."""
    context.require(Scope.READ)
    if chat_ids is not None and not 1 <= len(chat_ids) <= MAX_CHATS:
        raise InvalidArgument(f"{len(chat_ids)} chats were named; 1 to {MAX_CHATS} are allowed.", path=("chatIds",))
    wanted = await wanted_of(context, chat_ids, filter_, ("chatIds",))
    return Stream(
        context, replace(wanted, kinds=frozenset(filter_.kinds) if filter_.kinds is not None else None), after
    )


async def message_added(
    context: Context, *, chat_id: str | None, filter_: MessageEventFilter, after: str | None
) -> AsyncIterator[Happened]:
    """As `message_stream`, heard alone."""
    # Closed with its subscriber and not by the garbage collector: it holds a listener.
    async with aclosing(aiter(await message_stream(context, chat_id=chat_id, filter_=filter_, after=after))) as stream:
        async for event in stream:
            if isinstance(event, Happened):
                yield event


async def chat_events(
    context: Context, *, chat_ids: Sequence[str] | None, filter_: ChatEventFilter, after: str | None
) -> AsyncIterator[LiveEvent]:
    """As `event_stream`, heard alone."""
    async with aclosing(aiter(await event_stream(context, chat_ids=chat_ids, filter_=filter_, after=after))) as stream:
        async for event in stream:
            yield event


@asynccontextmanager
async def _listening(context: Context, wanted: Wanted) -> AsyncIterator[Listener]:
    """While this is entered, somebody listens to what is wanted; entered once for all who share, and by each who reads alone."""
    async with context.gateway.watching.interest(context, wanted.targets, is_everything=wanted.is_everything):
        with context.gateway.feed.listen(context.organization.id) as listener:
            yield listener


async def _stream(context: Context, wanted: Wanted, after: str | None) -> AsyncGenerator[Step, None]:
    """The replay of one subscriber: from `after` to the head, the watched sources read once, and `CaughtUp`. Without `after` nothing."""
    organization_id = context.organization.id
    head = await context.store.events.head(organization_id)
    if after is None:
        yield head, None
        return
    position = await _position(context, after, head)
    if position is None:
        position, gap = await _gap(context, wanted, after, GapReason.EXPIRED)
        yield position, gap
    reader = LogReader(context, wanted, position)
    async with aclosing(_for_one(reader)) as steps:
        async for step in steps:
            yield step
    incomplete = _by_source([*wanted.unopened, *await context.gateway.watching.read_once(context, wanted.targets)])
    async with aclosing(_for_one(reader)) as steps:
        async for step in steps:
            yield step
    if not wanted.messages_only:
        cursor = context.gateway.feed.cursor_at(organization_id, reader.position)
        yield reader.position, CaughtUp(cursor=cursor, occurred_at=context.now(), incomplete=incomplete)


async def _position(context: Context, after: str, head: int) -> int | None:
    """Where `after` stands; None when what follows it is not known (any more)."""
    known = context.gateway.feed.position(context.organization.id, after)
    oldest = await context.store.events.oldest(context.organization.id)
    if known is None or known > head:
        return None
    is_kept = known == head if oldest is None else known + 1 >= oldest
    return known if is_kept else None


async def _for_one(reader: LogReader) -> AsyncGenerator[Step, None]:
    """The lines up to the head, as the reader's principal is told of them, and a gap in place of what is not kept any more."""
    context = reader.context
    head = await context.store.events.head(context.organization.id)
    try:
        async for batch in reader.batches(head):
            for told in batch.told:
                if (event := told.for_one(context.principal.key)) is not None:
                    yield told.position, event
    except LinesForgotten:
        reader.position, gap = await _gap(context, reader.wanted, reader.position, GapReason.SLOW_READER)
        yield reader.position, gap
    except StretchMissing as missing:
        raise _messages_missing(GapReason.SOURCE_INTERRUPTED, missing.gap.gap_from, missing.gap.gap_to) from None
    yield reader.position, None


async def _told(context: Context, wanted: Wanted, listener: Listener, position: int) -> AsyncGenerator[Batch, None]:
    """Lines and words as they come. Ends before what each has to be told by itself: lines that were forgotten, messages that are missing."""
    reader, words = LogReader(context, wanted, position), Words(context, wanted)
    batches = reader.batches()
    while True:
        # Before the log is read: what it then says of the end of a reply makes them superfluous.
        await words.hear(listener)
        try:
            async for batch in batches:
                for told in batch.told:
                    words.logged(told)
                yield batch
        except (LinesForgotten, StretchMissing):
            return
        if ready := words.ready(reader.position):
            yield Batch(reader.position, ready)
        await listener.wait()
        batches = reader.batches_to(listener.head)


def _for_ear(told: Told, principal: str, heard: set[ReplyKey]) -> LiveEvent | None:
    """What one listener is told, who has heard words of the replies in `heard`."""
    if told.part_of is None:
        return told.for_one(principal)
    if told.part_of in heard:
        return told.event
    heard.add(told.part_of)
    return told.whole


async def _gap(context: Context, wanted: Wanted, since: int | str, reason: GapReason) -> tuple[int, Gap]:
    """From a position, or from where the client says that it was (given back as it came), to the newest line.

    Raises `StreamGapFound` where only messages are told.
    """
    feed, organization_id = context.gateway.feed, context.organization.id
    head = await context.store.events.head(organization_id)
    to = feed.cursor_at(organization_id, head)
    from_ = since if isinstance(since, str) else feed.cursor_at(organization_id, since)
    if wanted.messages_only:
        raise _messages_missing(reason, from_, to)
    return head, Gap(cursor=to, occurred_at=context.now(), gap_from=from_, gap_to=to, reason=reason)


def _messages_missing(reason: GapReason, gap_from: str, gap_to: str) -> StreamGapFound:
    return StreamGapFound(
        f"Messages may be missing, because {_WHY_MISSING[reason]}. "
        "Read the chats again, and subscribe with `after` set to `extensions.to`.",
        gap_from=gap_from,
        gap_to=gap_to,
    )


def _by_source(statuses: Sequence[SourceStatus]) -> list[SourceStatus]:
    """One for each source."""
    return list({status.source.id: status for status in statuses}.values())
