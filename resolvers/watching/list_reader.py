"""Reads the list of a source's chats again and again: which chats are new or changed, and which of them are to be read.

rows in the order of changes ──▶ from the newest row down to one that is as it was
rows in the order of creation ──▶ down to one that is known: what is new
rows in no order, or a full pass ──▶ all of them; a chat that is missing is asked for by its id
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.capabilities import Capability, ChatOrder, ChatOrderField, SupportLevel
from domain.records import Chat
from domain.source import NOTHING_SKIPPED, SourcePage
from resolvers.context import Context
from resolvers.drains import Drained
from resolvers.legs import settle_missing
from resolvers.reading import see_chats, see_folders
from resolvers.targets import SourceTarget
from resolvers.watching.clock import WatchClock
from resolvers.watching.fingerprints import fingerprint_of_chats
from resolvers.watching.marks import RowMarks
from resolvers.watching.tuning import WatchTuning

_NEWEST_CHANGED = ChatOrder(ChatOrderField.UPDATED_AT, descending=True)
_NEWEST_CREATED = ChatOrder(ChatOrderField.CREATED_AT, descending=True)
_KEPT_BY_VENDOR = {
    Capability.RENAME_CHAT: "title",
    Capability.TAG_CHAT: "tags",
    Capability.PIN_CHAT: "pinned",
    Capability.ARCHIVE_CHAT: "archived",
    Capability.MOVE_CHAT: "folder",
}


@dataclass(frozen=True, slots=True)
class ListNews:
    """What one reading of a list brought: the chats that are to be read, and whether any row was new."""

    to_read: Sequence[str]
    is_news: bool


class ListReader:
    """The list of one source. `took` is called for each further page, beside the first call."""

    def __init__(self, marks: RowMarks, tuning: WatchTuning, clock: WatchClock, took: Callable[[], None]) -> None:
        self.marks = marks
        self._tuning = tuning
        self._clock = clock
        self._took = took
        self._last_page: tuple[int, int] | None = None
        self._last_whole: tuple[int, int] | None = None
        self._folders_due = clock.monotonic()

    async def read(self, context: Context, target: SourceTarget, *, is_full: bool) -> ListNews:
        """Read as much of the list as is needed to see what is new."""
        began_at = self._clock.monotonic()
        changed: list[str] = []
        order = _order_of(target)
        if order is not None and not is_full:
            rows = await self._walk(context, target, order, changed)
        else:
            rows = await self._drain(context, target, changed, is_full=is_full)
        await self._read_folders(context, target)
        unknown = [row.key for row in rows if row.native_id not in self.marks]
        news = await context.store.messages.has_baseline(context.organization.id, unknown) if unknown else set()
        to_read = self.marks.walked(rows, began_at, is_news=[key[1] for key in news])
        if not target.capabilities.rows_tell_messages:
            to_read = [key[1] for key in unknown]
        return ListNews(to_read, bool(changed))

    async def _walk(self, context: Context, target: SourceTarget, order: ChatOrder, changed: list[str]) -> list[Chat]:
        rows: list[Chat] = []
        token: str | None = None
        for _ in range(context.gateway.tuning.call_budget):
            page = await target.live.list_chats(order, token)
            is_first = token is None
            await self._see(context, target, page, changed, is_first=is_first, is_whole=is_first and page.next is None)
            rows += page.rows
            token = page.next
            if token is None or any(self.marks.may_stop_at(row) for row in page.rows):
                break
            self._took()
        return rows

    async def _see(
        self,
        context: Context,
        target: SourceTarget,
        page: SourcePage[Chat],
        changed: list[str],
        *,
        is_first: bool,
        is_whole: bool,
    ) -> None:
        """Commit a page, unless it is the first one, just as it was the last time, and the log has no new line since."""
        head = await context.store.events.head(context.organization.id)
        now = (fingerprint_of_chats(page.rows), head)
        if is_first and now == self._last_page:
            return
        outdated: list[str] = []
        await see_chats(
            context, target, page, from_newest=is_first, is_whole=is_whole, changed=changed, outdated=outdated
        )
        if is_first:
            self._last_page = None if outdated else now

    async def _drain(self, context: Context, target: SourceTarget, changed: list[str], *, is_full: bool) -> list[Chat]:
        needs = _told_by_vendor(target) if is_full else frozenset()
        started_at, is_whole = context.now(), True
        pages: list[SourcePage[Chat]] = []
        async for page in target.live.drain_chats(needs):
            if pages:
                self._took()
            pages.append(page)
            if len(pages) >= context.gateway.tuning.call_budget:
                is_whole = False
                break
        rows = [row for page in pages for row in page.rows]
        head = await context.store.events.head(context.organization.id)
        now = (fingerprint_of_chats(rows), head)
        if is_full or now != self._last_whole:
            outdated = await self._see_all(context, target, pages, started_at, changed, is_whole=is_whole)
            self._last_whole = None if outdated else now
        skipped = sum((page.skipped for page in pages), NOTHING_SKIPPED)
        drains, source_id = context.gateway.drains, target.source.id
        if (last := drains.last.get(source_id)) is None or needs >= last.needs:
            # Whoever lists chats in an order of the gateway's finds them read a moment ago.
            drains.last[source_id] = Drained(started_at, needs, is_whole, skipped)
        return sorted(rows, key=lambda row: row.updated_at.timestamp() if row.updated_at else 0.0, reverse=True)

    async def _see_all(
        self,
        context: Context,
        target: SourceTarget,
        pages: Sequence[SourcePage[Chat]],
        started_at: datetime,
        changed: list[str],
        *,
        is_whole: bool,
    ) -> list[str]:
        outdated: list[str] = []
        for page in pages:
            await see_chats(context, target, page, changed=changed, outdated=outdated)
        if is_whole:
            await see_chats(context, target, SourcePage([], started_at), is_whole=True)
            shown = {row.native_id for page in pages for row in page.rows}
            await settle_missing(context, target, shown, self._took)
        return outdated

    async def _read_folders(self, context: Context, target: SourceTarget) -> None:
        now = self._clock.monotonic()
        if target.capabilities.has_folders and now >= self._folders_due:
            self._folders_due = now + self._tuning.poll_seconds_max
            self._took()
            await see_folders(context, target)


def _order_of(target: SourceTarget) -> ChatOrder | None:
    """The order in which what is new comes first; None where the whole list has to be read for it."""
    orders = target.capabilities.native_orders
    if _NEWEST_CHANGED in orders:
        return _NEWEST_CHANGED
    if _NEWEST_CREATED in orders and not target.capabilities.rows_tell_messages:
        return _NEWEST_CREATED
    return None


def _told_by_vendor(target: SourceTarget) -> frozenset[str]:
    """The fields that others may change at the vendor."""
    level = target.capabilities.level
    return frozenset(field for capability, field in _KEPT_BY_VENDOR.items() if level(capability) is SupportLevel.NATIVE)
