"""One list out of sources that page unlike each other: a k-way merge on (sort key, source id, native id), compared by the gateway.

For each page every source is asked, at the same time, for the rows after the last one that was shown:

- *native*: the order is one of the source's own and nothing is filtered: its pages are read as needed (`legs.native_rows`);
- *drained*: any other order or filter, and paging backwards: the source is read whole into the mirror and paged there, at most once per
  `list_ttl_seconds`; a source whose rows are the store's own needs no drain;
- *copy*: the source failed or was late, and the mirror knows it: its rows are stale, and stay so for the rest of the listing;
- *missed*: it failed, and the mirror does not know it. It may join a later page from there on and stays `INCOMPLETE`.

The cursor of a row holds its key, and for each source how it is served, where to look for its next row, and since when it is incomplete.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from domain.capabilities import Capability, ChatOrder
from domain.errors import BadCursor, BudgetExceeded, GatewayError, SourceStatusCode, UpstreamTimeout
from domain.paging import ChatKey, Page, PageRequest, chat_key, sorted_chats
from domain.records import Chat
from resolvers.context import Context
from resolvers.drains import Drained
from resolvers.legs import LegRows, drain, native_rows
from resolvers.mirroring import caught_up
from resolvers.overlays import complete_rows, kept_here
from resolvers.statuses import SourceStatus, status_of_error
from resolvers.targets import SourceTarget
from storage.chats import ChatQuery

_COPY = "c"
_MISSED = "x"
_JOINED = "j"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a listing stands: after (or before) `key`; per source how it is served, its page hint, and the key before which it is incomplete."""

    key: ChatKey
    served: Mapping[int, str] = field(default_factory=dict)
    hints: Mapping[int, str] = field(default_factory=dict)
    gaps: Mapping[int, ChatKey] = field(default_factory=dict)

    def payload(self, made_with: str) -> Any:
        """As the JSON of a cursor; `made_with` is the fingerprint of filter and order."""
        return [made_with, self.key, self.served, self.hints, self.gaps]


def position_of(payload: Any, made_with: str) -> Position:
    """Read a cursor's payload back; one made with another filter or order is a `BadCursor`."""
    if not (isinstance(payload, list) and len(payload) == 5 and payload[0] == made_with):
        raise BadCursor("The cursor was made with another filter or order. Start again from the first page.")
    _, key, served, hints, gaps = payload
    by_id = {int(source): tuple(gap) for source, gap in gaps.items()}
    return Position(tuple(key), _int_keys(served), _int_keys(hints), by_id)


def _int_keys(mapping: Mapping[str, str]) -> dict[int, str]:
    return {int(key): value for key, value in mapping.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What is wanted: which sources, which rows (`query`, without position and limit), which order, how long to wait."""

    targets: Sequence[SourceTarget]
    query: ChatQuery
    order: ChatOrder
    is_filtered: bool
    needs: frozenset[str]
    made_with: str
    within_ms: int


@dataclass(slots=True)
class _Outcome:
    """How one source did for this page."""

    status: SourceStatus
    rows: LegRows | None = None
    from_store: bool = False
    served: str | None = None


async def merged_page(context: Context, listing: Listing, page: PageRequest) -> tuple[Page[Chat], list[SourceStatus]]:
    """One page of the listing, and how each source contributed. A source that fails costs its own rows only."""
    text = page.before if page.is_backwards else page.after
    position = None
    if text is not None:
        payload = context.gateway.cursors.open("chats", context.organization.id, text)
        position = position_of(payload, listing.made_with)
    outcomes = await _ask_all(context, listing, position, page)
    rows, tokens, has_more = await _rows(context, listing, outcomes, position, page)
    cursors = _cursors(context, listing, outcomes, rows, tokens, position)
    statuses = [_with_gap(context, listing, outcomes[target.source.id], position, rows) for target in listing.targets]
    has_position = position is not None
    return (
        Page(
            rows=rows,
            cursors=cursors,
            has_next=has_position if page.is_backwards else has_more,
            has_previous=has_more if page.is_backwards else has_position,
        ),
        statuses,
    )


async def _ask_all(
    context: Context, listing: Listing, position: Position | None, page: PageRequest
) -> dict[int, _Outcome]:
    budget = context.gateway.tuning.call_budget
    asked = [target for target in listing.targets if not target.capabilities.reads_from_store]
    if len(asked) > budget:
        raise BudgetExceeded(
            f"The list would call {len(asked)} sources; one operation may make {budget} calls. Name fewer in `filter.sourceIds`.",
            budget=budget,
            planned=len(asked),
        )
    tasks = {
        asyncio.ensure_future(_ask(context, listing, target, position, page)): target for target in listing.targets
    }
    if not tasks:
        return {}
    done, late = await asyncio.wait(tasks, timeout=listing.within_ms / 1000)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late)
    outcomes: dict[int, _Outcome] = {}
    for task, target in tasks.items():
        error: BaseException | None
        if task in done:
            error = task.exception()
        else:
            error = UpstreamTimeout(
                f"{target.source.key}: listing its chats took longer than the {listing.within_ms} ms of `withinMs`. "
                "Ask again, or allow more time.",
                source_id=target.source.id,
                operation="list_chats",
            )
        if error is None:
            outcomes[target.source.id] = task.result()
        elif isinstance(error, GatewayError) and not isinstance(error, BudgetExceeded):
            outcomes[target.source.id] = await _fallback(context, target, error)
        else:
            raise error
    return outcomes


async def _ask(
    context: Context, listing: Listing, target: SourceTarget, position: Position | None, page: PageRequest
) -> _Outcome:
    source, capabilities = target.source, target.capabilities
    status = SourceStatus(source=source)
    served = position.served.get(source.id) if position is not None else None
    if capabilities.reads_from_store:
        return _Outcome(status, from_store=True)
    if served == _COPY:
        as_of = await context.store.chats.last_seen(context.organization.id, source.id)
        return _Outcome(
            replace(
                status,
                code=SourceStatusCode.PARTIAL,
                stale=True,
                as_of=as_of,
                message=f"{source.key} failed on an earlier page of this listing, which goes on with the gateway's copy.",
            ),
            from_store=True,
            served=_COPY,
        )
    if not capabilities.can(Capability.LIST_CHATS):
        return _Outcome(replace(status, code=SourceStatusCode.UNSUPPORTED), from_store=True)
    joined = _JOINED if served in (_MISSED, _JOINED) else None
    if not listing.is_filtered and not page.is_backwards and listing.order in capabilities.native_orders:
        hint = position.hints.get(source.id) if position is not None else None
        key = position.key if position is not None else None
        rows = await native_rows(context, target, listing.order, key, hint, page.size)
        return _Outcome(status.lacking(rows.skipped, is_cut=rows.is_cut), rows=rows, served=joined)
    drained = await _drained(context, listing, target)
    status = replace(status, as_of=drained.at).lacking(drained.skipped, is_cut=not drained.is_whole)
    return _Outcome(status, from_store=True, served=joined)


async def _drained(context: Context, listing: Listing, target: SourceTarget) -> Drained:
    needs = listing.needs - kept_here(target.capabilities)
    not_before = context.started_at - timedelta(seconds=context.gateway.tuning.list_ttl_seconds)
    drains = context.gateway.drains
    fresh = drains.fresh(target.source.id, needs, not_before)
    if fresh is not None:
        return fresh
    task = drains.join(target.source.id, needs, lambda: drain(context, target, needs))
    # Who waits may be cancelled by the deadline; the drain goes on, and the next page finds it done.
    return await asyncio.shield(task)


async def _fallback(context: Context, target: SourceTarget, error: GatewayError) -> _Outcome:
    status = status_of_error(target.source, error)
    as_of = await context.store.chats.last_seen(context.organization.id, target.source.id)
    if as_of is None:
        return _Outcome(status, served=_MISSED)
    return _Outcome(status.served_stale(as_of), from_store=True, served=_COPY)


async def _rows(
    context: Context,
    listing: Listing,
    outcomes: Mapping[int, _Outcome],
    position: Position | None,
    page: PageRequest,
) -> tuple[list[Chat], dict[tuple[int, str], str | None], bool]:
    from_store = tuple(source_id for source_id, outcome in outcomes.items() if outcome.from_store)
    found: list[Chat] = []
    tokens: dict[tuple[int, str], str | None] = {}
    has_more = False
    if from_store:
        key = position.key if position is not None else None
        query = replace(
            listing.query,
            source_ids=from_store,
            after=None if page.is_backwards else key,
            before=key if page.is_backwards else None,
            limit=page.size + 1,
            from_end=page.is_backwards,
        )
        by_source = {target.source.id: target for target in listing.targets}
        for source_id in from_store:
            await caught_up(context, source_id)
        for chat in await context.store.chats.page(query):
            target = by_source[chat.source_id]
            outcome = outcomes[chat.source_id]
            shown = complete_rows([chat], target.capabilities)[0]
            found.append(shown if outcome.status.stale else replace(shown, as_of=None))
    for outcome in outcomes.values():
        if outcome.rows is not None:
            found.extend(outcome.rows.rows)
            tokens.update(zip((chat.key for chat in outcome.rows.rows), outcome.rows.tokens, strict=True))
            has_more = has_more or outcome.rows.has_more
    ordered = sorted_chats(found, listing.order)
    if len(ordered) > page.size:
        has_more = True
        ordered = ordered[-page.size :] if page.is_backwards else ordered[: page.size]
    return ordered, tokens, has_more


def _cursors(
    context: Context,
    listing: Listing,
    outcomes: Mapping[int, _Outcome],
    rows: Sequence[Chat],
    tokens: Mapping[tuple[int, str], str | None],
    position: Position | None,
) -> list[str]:
    served = {source_id: outcome.served for source_id, outcome in outcomes.items() if outcome.served is not None}
    hints = dict(position.hints) if position is not None else {}
    gaps = dict(position.gaps) if position is not None else {}
    missed = [source_id for source_id, how in served.items() if how == _MISSED]
    cursors = []
    for chat in rows:
        key = chat_key(chat, listing.order.field)
        if (token := tokens.get(chat.key)) is not None:
            hints[chat.source_id] = token
        gaps.update(dict.fromkeys(missed, key))
        payload = Position(key, served, dict(hints), dict(gaps)).payload(listing.made_with)
        cursors.append(context.gateway.cursors.seal("chats", context.organization.id, payload))
    return cursors


def _with_gap(
    context: Context, listing: Listing, outcome: _Outcome, position: Position | None, rows: Sequence[Chat]
) -> SourceStatus:
    """A source that joined late is incomplete before the place where it joined."""
    if outcome.served != _JOINED or position is None:
        return outcome.status
    gap = position.gaps.get(outcome.status.source.id, position.key)
    before = Position(gap).payload(listing.made_with)
    return replace(
        outcome.status,
        code=SourceStatusCode.INCOMPLETE,
        missing_before=context.gateway.cursors.seal("chats", context.organization.id, before),
        message=f"{outcome.status.source.key} missed an earlier page of this listing. Start again for the whole.",
    )
