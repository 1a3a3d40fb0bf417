"""Subscriptions: the log of the organization in order, from a position, filtered to what the subscriber may see and wants.

    replaying ──log read to its head──▶ reading watched sources once ──committed and delivered──▶ CaughtUp ──▶ live
        └─ position older than the log, or of a removed key ─▶ StreamGap, then from the oldest line on

A subscriber reads the log itself; the feed only wakes it. So it can be slow without losing anything that is still kept.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from domain.errors import GatewayError, InvalidArgument, StreamGapFound
from domain.records import Chat, Delta, Event, EventKind, Folder, FolderRef, Message, MessageRole, Scope, Source
from resolvers.chats import ChatKey, targets_of
from resolvers.context import Context
from resolvers.feed import Growth, Listener
from resolvers.overlays import complete_rows
from resolvers.statuses import SourceStatus
from resolvers.targets import SourceTarget, chat_target, folder_ref, open_source, source_target

MAX_CHATS = 100


class GapReason(StrEnum):
    """Why something may be missing from a stream."""

    EXPIRED = "EXPIRED"
    SLOW_READER = "SLOW_READER"
    SOURCE_INTERRUPTED = "SOURCE_INTERRUPTED"


_WHY_MISSING = {
    GapReason.EXPIRED: "the position to continue from is older than what is kept, or not known (any more)",
    GapReason.SLOW_READER: "they were not read fast enough",
    GapReason.SOURCE_INTERRUPTED: "more were written at a source than could be read back from it",
}


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


LiveEvent = Happened | DeltaCame | Gap | CaughtUp


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEventFilter:
    """Which new messages to hear of; ids are the client's texts."""

    source_ids: tuple[str, ...] | None = None
    folder_ids: tuple[str, ...] | None = None
    roles: tuple[MessageRole, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatEventFilter:
    """Which events to hear of; ids are the client's texts. `kinds` are names of `ChatEventKind`."""

    source_ids: tuple[str, ...] | None = None
    folder_ids: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a subscriber wants, resolved."""

    chats: frozenset[ChatKey] | None = None
    sources: frozenset[int] | None = None
    folders: frozenset[FolderRef] | None = None
    roles: frozenset[MessageRole] | None = None
    kinds: frozenset[str] | None = None
    targets: Sequence[SourceTarget] = field(default_factory=tuple)
    unopened: Sequence[SourceStatus] = field(default_factory=tuple)

    def wants_event(self, event: Event) -> bool:
        """What can be decided without reading a row. A gap always is: whoever filters must hear of it, too."""
        if event.kind is EventKind.STREAM_GAP:
            return self._is_in_view(event)
        if self.kinds is not None and event.kind.value not in self.kinds:
            return False
        return self._is_in_view(event)

    def _is_in_view(self, event: Event) -> bool:
        if self.sources is not None and event.source_id not in self.sources:
            return False
        return self.chats is None or (event.source_id, event.chat_id) in self.chats

    def wants_rows(self, happened: Happened) -> bool:
        """What depends on the rows."""
        if self.folders is not None and (happened.chat is None or happened.chat.folder not in self.folders):
            return False
        return self.roles is None or (happened.message is not None and happened.message.role in self.roles)


async def message_added(
    context: Context, *, chat_id: str | None, filter_: MessageEventFilter, after: str | None
) -> AsyncIterator[Happened]:
    """New messages only. Ends with `StreamGapFound` when something may be missing."""
    context.require(Scope.READ)
    wanted = await _wanted(context, [chat_id] if chat_id is not None else None, filter_, ("chatId",))
    wanted = replace(
        wanted,
        roles=frozenset(filter_.roles) if filter_.roles is not None else None,
        kinds=frozenset({EventKind.MESSAGE_CREATED.value}),
    )
    # Closed with its subscriber and not by the garbage collector: it holds a listener. Watched before the head of the log is read.
    async with (
        context.gateway.watching.interest(context, wanted.targets),
        aclosing(_stream(context, wanted, after, with_rows_of_messages_only=True)) as stream,
    ):
        async for event in stream:
            if isinstance(event, Gap):
                raise StreamGapFound(
                    f"Messages may be missing, because {_WHY_MISSING[event.reason]}. "
                    "Read the chats again, and subscribe with `after` set to `extensions.to`.",
                    gap_from=event.gap_from,
                    gap_to=event.gap_to,
                )
            if isinstance(event, Happened):
                yield event


async def chat_events(
    context: Context, *, chat_ids: Sequence[str] | None, filter_: ChatEventFilter, after: str | None
) -> AsyncIterator[LiveEvent]:
    """Everything that happens."""
    context.require(Scope.READ)
    if chat_ids is not None and not 1 <= len(chat_ids) <= MAX_CHATS:
        raise InvalidArgument(f"{len(chat_ids)} chats were named; 1 to {MAX_CHATS} are allowed.", path=("chatIds",))
    wanted = await _wanted(context, chat_ids, filter_, ("chatIds",))
    wanted = replace(wanted, kinds=frozenset(filter_.kinds) if filter_.kinds is not None else None)
    async with (
        context.gateway.watching.interest(context, wanted.targets),
        aclosing(_stream(context, wanted, after)) as stream,
    ):
        async for event in stream:
            yield event


async def _wanted(
    context: Context,
    chat_ids: Sequence[str] | None,
    filter_: MessageEventFilter | ChatEventFilter,
    path: Sequence[str],
) -> _Wanted:
    targets: list[SourceTarget] = []
    chats: frozenset[ChatKey] | None = None
    if chat_ids is not None:
        named = [await chat_target(context, text, path) for text in chat_ids]
        targets, chats = list(named), frozenset(target.key for target in named)
    sources: frozenset[int] | None = None
    if filter_.source_ids is not None:
        of = [await source_target(context, text, ("filter", "sourceIds")) for text in filter_.source_ids]
        sources = frozenset(target.source.id for target in of)
        targets = targets or of
    folders: frozenset[FolderRef] | None = None
    if filter_.folder_ids is not None:
        folders = frozenset([await folder_ref(context, text, ("filter", "folderIds")) for text in filter_.folder_ids])
    unopened: Sequence[SourceStatus] = ()
    if not targets:
        targets, unopened = await targets_of(context, None)
    return _Wanted(chats=chats, sources=sources, folders=folders, targets=tuple(targets), unopened=tuple(unopened))


async def _stream(
    context: Context, wanted: _Wanted, after: str | None, *, with_rows_of_messages_only: bool = False
) -> AsyncGenerator[LiveEvent, None]:
    feed, organization_id = context.gateway.feed, context.organization.id
    after = context.last_event_id or after
    with feed.listen(organization_id) as listener:
        head = await context.store.events.head(organization_id)
        position = head
        if after is not None:
            known = feed.position(organization_id, after)
            oldest = await context.store.events.oldest(organization_id)
            if (
                known is None
                or known > head
                or (oldest is not None and known + 1 < oldest)
                or (oldest is None and known < head)
            ):
                yield _gap(context, after, head)
            else:
                position = known
        reader = _LogReader(context, wanted, position)
        if after is not None:
            async for event in reader.new_events():
                yield event
            incomplete = _by_source(
                [*wanted.unopened, *await context.gateway.watching.read_once(context, wanted.targets)]
            )
            async for event in reader.new_events():
                yield event
            if not with_rows_of_messages_only:
                yield CaughtUp(
                    cursor=feed.cursor_at(organization_id, reader.position),
                    occurred_at=context.now(),
                    incomplete=incomplete,
                )
        words = _Words(context, wanted)
        while True:
            if not with_rows_of_messages_only:
                # Before the log is read: what it then says of the end of a reply makes them superfluous.
                await words.hear(listener)
            async for event in reader.new_events():
                if isinstance(event, Happened):
                    words.logged(event)
                yield event
            for delta in words.ready(reader.position):
                yield delta
            await listener.wait()


def _gap(context: Context, after: str, head: int) -> Gap:
    """From where the client says that it was, which is given back as it came, to the newest line."""
    to = context.gateway.feed.cursor_at(context.organization.id, head)
    return Gap(
        cursor=to,
        occurred_at=context.now(),
        gap_from=after,
        gap_to=to,
        reason=GapReason.EXPIRED,
    )


class _LogReader:
    """Reads the log from a position on, with the rows that its lines name."""

    def __init__(self, context: Context, wanted: _Wanted, position: int) -> None:
        self._context = context
        self._wanted = wanted
        self.position = position

    async def new_events(self) -> AsyncIterator[Happened | Gap]:
        """Every wanted line after the position that is committed by now; a gap where lines were forgotten before they could be read."""
        while True:
            lines = await self._context.store.events.lines_after(
                self._context.organization.id, self.position, self._context.gateway.tuning.event_batch
            )
            if lines.is_torn:
                lost = self._context.gateway.feed.cursor_at(self._context.organization.id, self.position)
                self.position = lines.head
                yield _gap(self._context, lost, lines.head)
                continue
            batch = lines.events
            if not batch:
                return
            visible = await self._visible(batch)
            for happened in await self._with_rows(visible):
                self.position = happened.event.seq
                if happened.event.kind is EventKind.STREAM_GAP:
                    yield self._gap(happened)
                elif self._wanted.wants_rows(happened):
                    yield happened
            self.position = batch[-1].seq

    def _gap(self, happened: Happened) -> Gap:
        """What is missing would stand between this line and the one before it."""
        event = happened.event
        return Gap(
            cursor=happened.cursor,
            occurred_at=happened.occurred_at,
            gap_from=self._context.gateway.feed.cursor_at(event.organization_id, event.seq - 1),
            gap_to=happened.cursor,
            reason=GapReason.SOURCE_INTERRUPTED,
            only_chat=(event.source_id, event.chat_id),
        )

    async def _visible(self, batch: Sequence[Event]) -> list[Event]:
        context = self._context
        sources = await context.gateway.sources.visible(context.organization.id, context.principal)
        seen = {0, *(source.id for source in sources)}
        return [
            event
            for event in batch
            if event.source_id in seen
            and self._wanted.wants_event(event)
            and (
                event.kind is not EventKind.READ_STATE_CHANGED or event.detail.get("principal") == context.principal.key
            )
        ]

    async def _with_rows(self, events: Sequence[Event]) -> list[Happened]:
        """The rows of all lines at once: one statement for chats, one for messages, one for folders."""
        context, store = self._context, self._context.store
        organization_id = context.organization.id
        message_kinds = (EventKind.MESSAGE_CREATED, EventKind.MESSAGE_UPDATED)
        message_keys = [(e.source_id, e.chat_id, e.native_id) for e in events if e.kind in message_kinds]
        chat_kinds = (EventKind.CHAT_CREATED, EventKind.CHAT_UPDATED)
        with_chat = [e for e in events if e.kind in chat_kinds or (self._wanted.folders is not None and e.chat_id)]
        folder_refs = [FolderRef(e.source_id, e.native_id) for e in events if e.kind is EventKind.FOLDER_CHANGED]
        chat_keys = list({(e.source_id, e.chat_id) for e in with_chat})
        messages = await store.messages.get_many(organization_id, message_keys) if message_keys else {}
        chats = await store.chats.get_many(organization_id, chat_keys) if chat_keys else {}
        folders = await store.folders.get_many(organization_id, folder_refs) if folder_refs else {}
        sources = {s.id: s for s in await context.gateway.sources.visible(organization_id, context.principal)}
        rows = []
        for event in events:
            chat = chats.get((event.source_id, event.chat_id))
            rows.append(
                Happened(
                    cursor=context.gateway.feed.cursor_at(organization_id, event.seq),
                    event=event,
                    chat=await self._completed(chat) if chat is not None else None,
                    message=messages.get((event.source_id, event.chat_id, event.native_id)),
                    folder=folders.get(FolderRef(event.source_id, event.native_id)),
                    source=sources.get(event.source_id),
                    client_mutation_id=self._client_mutation_id(event),
                )
            )
        return rows

    async def _completed(self, chat: Chat) -> Chat:
        try:
            target = await open_source(self._context, chat.source_id)
        except GatewayError:  # a source that cannot be opened must not end the streams of all others
            target = None
        shown = complete_rows([chat], target.capabilities)[0] if target is not None else chat
        return replace(shown, as_of=None)

    def _client_mutation_id(self, event: Event) -> str | None:
        if event.detail.get("principal") != self._context.principal.key:
            return None
        found = event.detail.get("client_mutation_id")
        return found if isinstance(found, str) else None


class _Words:
    """Hands on the words of replies, each only when the line that announced its reply was delivered, and whole for whoever comes late."""

    def __init__(self, context: Context, wanted: _Wanted) -> None:
        self._context = context
        self._wanted = wanted
        self._joined: set[tuple[int, str, str]] = set()
        self._waiting: list[Growth] = []

    def logged(self, event: Happened | Gap) -> None:
        """A reply that is finished has its text in the log: what words of it still wait are of no use."""
        if isinstance(event, Gap):
            return
        if event.event.kind is EventKind.MESSAGE_UPDATED and event.message is not None and event.message.state.is_final:
            key = event.message.key
            # Whoever committed the end, here or elsewhere: a follower that lags behind has nothing more to say.
            self._context.gateway.feed.settled((self._context.organization.id, *key), True)
            self._joined.discard(key)
            self._waiting = [growth for growth in self._waiting if _key(growth.delta) != key]

    async def hear(self, listener: Listener) -> None:
        """Take over what was said since the last time, as far as it is wanted."""
        came = listener.take_words()
        if listener.dropped:
            listener.dropped = False
            self._joined.clear()
            self._waiting.clear()
        self._waiting += await self._wanted_of(came)

    def ready(self, position: int) -> list[DeltaCame]:
        """The words whose reply is announced by the log up to `position`."""
        ready = [growth for growth in self._waiting if growth.delta.after_seq <= position]
        self._waiting = [growth for growth in self._waiting if growth.delta.after_seq > position]
        return [self._delta(growth, position) for growth in ready]

    async def _wanted_of(self, came: Sequence[Growth]) -> list[Growth]:
        wanted, context = self._wanted, self._context
        if not came or (wanted.kinds is not None and "MESSAGE_DELTA" not in wanted.kinds):
            return []
        visible = {
            source.id for source in await context.gateway.sources.visible(context.organization.id, context.principal)
        }
        keys = {(growth.delta.source_id, growth.delta.chat_id) for growth in came}
        keys = {
            key
            for key in keys
            if key[0] in visible
            and (wanted.sources is None or key[0] in wanted.sources)
            and (wanted.chats is None or key in wanted.chats)
        }
        if wanted.folders is not None and keys:
            rows = await context.store.chats.get_many(context.organization.id, list(keys))
            keys = {key for key, chat in rows.items() if chat.folder in wanted.folders}
        return [growth for growth in came if (growth.delta.source_id, growth.delta.chat_id) in keys]

    def _delta(self, growth: Growth, position: int) -> DeltaCame:
        """Its cursor is that of the stream: whoever continues behind it has had everything up to there, not only up to the reply's own line."""
        delta = growth.delta
        if _key(delta) not in self._joined:
            self._joined.add(_key(delta))
            if delta.offset > 0:
                delta = replace(delta, offset=0, text=growth.text_so_far)
        cursor = self._context.gateway.feed.cursor_at(delta.organization_id, position, delta.offset)
        return DeltaCame(cursor=cursor, delta=delta)


def _key(delta: Delta) -> tuple[int, str, str]:
    return (delta.source_id, delta.chat_id, delta.message_id)


def _by_source(statuses: Sequence[SourceStatus]) -> list[SourceStatus]:
    return list({status.source.id: status for status in statuses}.values())
