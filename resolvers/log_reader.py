"""Reads the log of an organization from a position on, with the rows that its lines name."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from domain.errors import GatewayError
from domain.records import Chat, Event, EventKind, FolderRef
from resolvers.context import Context
from resolvers.live_events import Batch, Gap, GapReason, Happened, Told, line_told
from resolvers.overlays import complete_rows
from resolvers.targets import open_source
from resolvers.wanted import Wanted


class LinesForgotten(Exception):
    """Lines behind the position are not kept any more: something is missing."""


class StretchMissing(Exception):
    """The next line says that messages of a chat are missing, to a subscriber that is told of messages alone."""

    def __init__(self, gap: Gap) -> None:
        super().__init__(gap.reason)
        self.gap = gap


class LogReader:
    """Stands at `position`: all that is wanted up to there was given out. Reads what `context` may see, for as many as see the same."""

    def __init__(self, context: Context, wanted: Wanted, position: int) -> None:
        self.context = context
        self.wanted = wanted
        self.position = position

    async def batches(self, known_head: int = 0) -> AsyncIterator[Batch]:
        """Every wanted line behind the position that is committed by now. `known_head`: how far the log is known to go.

        Positions have no holes, so one that is skipped was forgotten: raises `LinesForgotten`.
        """
        while (batch := await self._next(known_head)) is not None:
            yield batch

    async def batches_to(self, head: int) -> AsyncIterator[Batch]:
        """Every wanted line behind the position up to `head` at least, which is committed. Reads nothing when it stands there."""
        while self.position < head:
            batch = await self._next(head)
            assert batch is not None
            yield batch

    async def _next(self, known_head: int) -> Batch | None:
        context = self.context
        lines = await context.gateway.tail.after(
            context.store, context.organization.id, self.position, context.gateway.tuning.event_batch
        )
        if not lines and self.position >= known_head:
            return None
        if not lines or lines[0].seq != self.position + 1:
            raise LinesForgotten
        visible = await self._visible(lines)
        end = lines[-1].seq
        if self.wanted.messages_only:
            visible, end = self._before_a_gap(visible, end)
        told = [self._told(row) for row in await self._with_rows(visible)]
        self.position = end
        return Batch(end, [one for one in told if one is not None])

    def _before_a_gap(self, lines: list[Event], end: int) -> tuple[list[Event], int]:
        """The lines before one that tells of missing messages, and where they end. Raises `StretchMissing` when it is the next one."""
        place = next((index for index, line in enumerate(lines) if line.kind is EventKind.STREAM_GAP), None)
        if place is None:
            return lines, end
        if lines[place].seq == self.position + 1:
            raise StretchMissing(self._gap(lines[place]))
        return lines[:place], lines[place].seq - 1

    def _told(self, row: Happened) -> Told | None:
        if row.event.kind is EventKind.STREAM_GAP:
            return Told(position=row.event.seq, event=self._gap(row.event))
        return line_told(row) if self.wanted.wants_rows(row) else None

    def _gap(self, line: Event) -> Gap:
        """What is missing would stand between this line and the one before it."""
        cursor_at = self.context.gateway.feed.cursor_at
        return Gap(
            cursor=cursor_at(line.organization_id, line.seq),
            occurred_at=line.occurred_at,
            gap_from=cursor_at(line.organization_id, line.seq - 1),
            gap_to=cursor_at(line.organization_id, line.seq),
            reason=GapReason.SOURCE_INTERRUPTED,
            only_chat=(line.source_id, line.chat_id),
        )

    async def _visible(self, lines: Sequence[Event]) -> list[Event]:
        context = self.context
        sources = await context.gateway.sources.visible(context.organization.id, context.principal)
        seen = {0, *(source.id for source in sources)}
        return [line for line in lines if line.source_id in seen and self.wanted.wants_event(line)]

    async def _with_rows(self, events: Sequence[Event]) -> list[Happened]:
        """The rows of all lines at once: one statement for chats, one for messages, one for folders."""
        if not events:
            return []
        context, store = self.context, self.context.store
        organization_id = context.organization.id
        message_kinds = (EventKind.MESSAGE_CREATED, EventKind.MESSAGE_UPDATED)
        message_keys = [(e.source_id, e.chat_id, e.native_id) for e in events if e.kind in message_kinds]
        chat_kinds = (EventKind.CHAT_CREATED, EventKind.CHAT_UPDATED)
        with_chat = [e for e in events if e.kind in chat_kinds or (self.wanted.folders is not None and e.chat_id)]
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
                    client_mutation_id=_client_mutation_id(event),
                )
            )
        return rows

    async def _completed(self, chat: Chat) -> Chat:
        try:
            target = await open_source(self.context, chat.source_id)
        except GatewayError:  # a source that cannot be opened must not end the streams of all others
            target = None
        shown = complete_rows([chat], target.capabilities)[0] if target is not None else chat
        return replace(shown, as_of=None)


def _client_mutation_id(event: Event) -> str | None:
    found = event.detail.get("client_mutation_id")
    return found if isinstance(found, str) else None
