"""How one source contributes to a merged list of chats: page by page in an order of its own, or drained into the mirror."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain.capabilities import ChatOrder
from domain.errors import UpstreamError
from domain.paging import ChatKey, chat_key, comes_before, sorted_chats
from domain.records import Chat
from domain.source import NOTHING_SKIPPED, Skipped, SourcePage
from resolvers.context import Context
from resolvers.drains import MAX_DOUBTS, Drained
from resolvers.reading import read_chat, see_chats
from resolvers.targets import ChatTarget, SourceTarget

_MAX_PAGES = 25
"""Most native pages that one page of ours reads from one source; a source that never ends stops here and is `PARTIAL`."""
_MAX_BARREN = 3
"""Pages without anything new, one after the other, behind which a source is taken to repeat itself."""


@dataclass(frozen=True, slots=True)
class LegRows:
    """What one source has for a page. `tokens[i]` is the native page that row `i` stands on: a hint where to continue."""

    rows: Sequence[Chat]
    tokens: Sequence[str | None]
    has_more: bool
    skipped: Skipped = NOTHING_SKIPPED
    is_cut: bool = False


async def native_rows(
    context: Context, target: SourceTarget, order: ChatOrder, after: ChatKey | None, hint: str | None, limit: int
) -> LegRows:
    """At least `limit` rows after the key, if there are so many, in the gateway's order; native pages are read as needed.

    Continues by key, never by row: from the hinted page it steps back until a row before the key's value is seen, then forward.
    Ties are read to their end before one is handed out, because the source may order them otherwise.
    """
    token = hint if after is not None else None
    page = await _page(context, target, order, token)
    pages = 1
    while after is not None and page.previous is not None and not _reaches(page, after, order) and pages < _MAX_PAGES:
        token = page.previous
        page = await _page(context, target, order, token)
        pages += 1
    found: dict[str, tuple[Chat, str | None]] = {}
    seen: set[str] = set()
    skipped = NOTHING_SKIPPED
    barren = 0
    while True:
        skipped += page.skipped
        barren = 0 if page.skipped or not seen.issuperset(chat.native_id for chat in page.rows) else barren + 1
        seen.update(chat.native_id for chat in page.rows)
        for chat in page.rows:
            is_after = after is None or comes_before(after, chat_key(chat, order.field), order)
            if is_after and chat.archived is not True:
                found.setdefault(chat.native_id, (chat, token))
        if page.next is None or _has_enough(list(found.values()), order, limit):
            break
        if pages >= _MAX_PAGES or barren >= _MAX_BARREN:
            # Without a row there is no place to go on from.
            has_more = bool(found) and barren < _MAX_BARREN
            return _leg_rows(found, order, has_more=has_more, skipped=skipped, is_cut=True)
        token = page.next
        page = await _page(context, target, order, token)
        pages += 1
    return _leg_rows(found, order, has_more=page.next is not None, skipped=skipped, is_cut=False)


async def _page(context: Context, target: SourceTarget, order: ChatOrder, token: str | None) -> SourcePage[Chat]:
    page = await target.live.list_chats(order, token)
    is_first = page.previous is None
    rows = await see_chats(context, target, page, from_newest=is_first, is_whole=is_first and page.next is None)
    return SourcePage(rows, page.started_at, page.next, page.previous, page.skipped)


def _reaches(page: SourcePage[Chat], after: ChatKey, order: ChatOrder) -> bool:
    """Whether the page goes back behind all rows that are equal to the key in what is sorted by: the source may order those otherwise."""
    keys = (chat_key(chat, order.field) for chat in page.rows)
    return any(key[:2] != after[:2] and comes_before(key, after, order) for key in keys)


def _has_enough(found: Sequence[tuple[Chat, str | None]], order: ChatOrder, limit: int) -> bool:
    if len(found) <= limit:
        return False
    values = [chat_key(chat, order.field)[:2] for chat, _ in found]
    # The last value read may go on, on the next page: only what stands before it is certain.
    return sum(value != values[-1] for value in values) >= limit


def _leg_rows(
    found: dict[str, tuple[Chat, str | None]], order: ChatOrder, *, has_more: bool, skipped: Skipped, is_cut: bool
) -> LegRows:
    rows = sorted_chats([chat for chat, _ in found.values()], order)
    return LegRows(rows, [found[chat.native_id][1] for chat in rows], has_more, skipped, is_cut)


async def drain(context: Context, target: SourceTarget, needs: frozenset[str]) -> Drained:
    """Read a source whole into the mirror. Raises `UpstreamError`; what was read before it failed stays."""
    started_at = context.now()
    seen: set[str] = set()
    skipped = NOTHING_SKIPPED
    pages = 0
    is_whole = True
    async for page in target.live.drain_chats(needs):
        pages += 1
        skipped += page.skipped
        seen.update(chat.native_id for chat in page.rows)
        await see_chats(context, target, page, must_commit=True)  # it is paged from the mirror, by whoever joined
        is_whole = is_whole and not page.breaks_off
        if pages >= context.gateway.tuning.call_budget:
            is_whole = False
            break
    if is_whole:
        await see_chats(context, target, SourcePage([], started_at), is_whole=True, must_commit=True)
        await settle_missing(context, target, seen)
    return Drained(started_at, needs, is_whole, skipped)


async def settle_missing(
    context: Context, target: SourceTarget, seen: set[str], asked: Callable[[], None] = lambda: None
) -> None:
    """Ask for some of the chats that are known and that a whole list did not show: only the source's own "no" removes them.

    `asked` is called for each.
    """
    known = await context.store.chats.native_ids(context.organization.id, target.source.id)
    for native_id in sorted(set(known) - seen)[:MAX_DOUBTS]:
        asked()
        try:
            await read_chat(context, ChatTarget(target.source, target.live, native_id), must_commit=True)
        except UpstreamError:  # the list was read all the same; the next drain asks again
            return
