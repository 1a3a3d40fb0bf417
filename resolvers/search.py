"""Search over all sources: by the source itself where it can, in the store's full-text index elsewhere; `coverage` says which.

Scores of different sources cannot be compared, so each source's hits keep their order and are interleaved by rank. A page is a
slice of that list, which is made anew for each page: search pages are for reading on, not for listing everything.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from domain.capabilities import Capability, SupportLevel
from domain.errors import BadCursor, GatewayError, InvalidArgument, UpstreamTimeout
from domain.paging import Page, PageRequest
from domain.records import Chat, FolderRef, MessageRole, Scope, SearchHit
from domain.source import SearchRequest
from resolvers.chats import Count, check_within, targets_of
from resolvers.context import Context
from resolvers.cursors import fingerprint
from resolvers.mirroring import caught_up
from resolvers.overlays import lay_over
from resolvers.statuses import SourceStatus, status_of_error
from resolvers.targets import SourceTarget, chat_target, folder_ref

_MAX_DEPTH = 500
_MAX_QUERY = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFilter:
    """Where to search; ids are the client's texts."""

    source_ids: tuple[str, ...] | None = None
    chat_ids: tuple[str, ...] | None = None
    folder_ids: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    roles: tuple[MessageRole, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How well one source was searched. `indexed_until` is None when the source searched itself."""

    target: SourceTarget
    mode: SupportLevel
    complete: bool
    indexed_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchList:
    """A page of what was found, best first."""

    page: Page[SearchHit]
    statuses: Sequence[SourceStatus]
    coverage: Sequence[Coverage]
    total: Count | None


async def search(context: Context, query: str, page: PageRequest, filter_: SearchFilter, within_ms: int) -> SearchList:
    """Chats and messages that contain the words, over all visible sources."""
    context.require(Scope.READ)
    check_within(within_ms)
    if not 1 <= len(query.strip()) <= _MAX_QUERY:
        raise InvalidArgument(
            f"The query has {len(query.strip())} characters; 1 to {_MAX_QUERY} are allowed.", path=("query",)
        )
    await context.event_cursor()
    targets, unopened = await targets_of(context, filter_.source_ids)
    made_with = fingerprint(query, *(getattr(filter_, name) for name in SearchFilter.__slots__))
    offset, limit = _slice(context, page, made_with)
    folders = [await folder_ref(context, text, ("filter", "folderIds")) for text in filter_.folder_ids or ()]
    # No source searches by folder: what is outside is left out afterwards, so more than a page is asked for.
    request = _request(query, filter_, offset + limit + 1 if not folders else _MAX_DEPTH)
    chats = await _chats_by_source(context, filter_)
    if chats is not None:
        targets = [target for target in targets if target.source.id in chats]
    results = await asyncio.gather(
        *(
            _search_one(
                context,
                target,
                replace(request, chat_ids=chats[target.source.id] if chats is not None else None),
                within_ms,
            )
            for target in targets
        )
    )
    hits = await _shown(context, _interleaved([hits for hits, _, _ in results]), targets, folders)
    rows = hits[offset : offset + limit]
    seal = context.gateway.cursors.seal
    return SearchList(
        page=Page(
            rows=rows,
            cursors=[seal("search", context.organization.id, [made_with, offset + i + 1]) for i in range(len(rows))],
            has_next=len(hits) > offset + limit,
            has_previous=offset > 0,
        ),
        statuses=[*(status for _, status, _ in results), *unopened],
        coverage=[coverage for _, _, coverage in results],
        total=Count(len(hits), exact=False),
    )


def _slice(context: Context, page: PageRequest, made_with: str) -> tuple[int, int]:
    """(offset, limit) of a page; cursors are positions behind a row, counted from the best."""
    text = page.before if page.is_backwards else page.after
    if page.is_backwards and text is None:
        raise InvalidArgument(
            "A search has no end to count from. Give `first`, or `last` with `before`.", path=("last",)
        )
    if text is None:
        return 0, page.size
    payload = context.gateway.cursors.open("search", context.organization.id, text)
    if payload[0] != made_with:
        raise BadCursor("The cursor was made with another query or filter. Start again from the first page.")
    at = int(payload[1])
    if page.is_backwards:
        start = max(0, at - 1 - page.size)
        return start, at - 1 - start
    if at + page.size > _MAX_DEPTH:
        raise InvalidArgument(f"A search shows its best {_MAX_DEPTH} hits. Use more words.", path=("after",))
    return at, page.size


def _request(query: str, filter_: SearchFilter, limit: int) -> SearchRequest:
    return SearchRequest(
        text=query.strip(),
        limit=limit,
        tags=filter_.tags or (),
        roles=frozenset(filter_.roles) if filter_.roles is not None else None,
        since=filter_.since,
        until=filter_.until,
    )


async def _chats_by_source(context: Context, filter_: SearchFilter) -> dict[int, frozenset[str]] | None:
    """Source id to the native ids of its chats that are wanted: two sources may have a chat of one native id. None: all chats."""
    if filter_.chat_ids is None:
        return None
    chats: dict[int, set[str]] = {}
    for text in filter_.chat_ids:
        target = await chat_target(context, text, ("filter", "chatIds"))
        chats.setdefault(target.source.id, set()).add(target.chat_id)
    return {source_id: frozenset(natives) for source_id, natives in chats.items()}


async def _search_one(
    context: Context, target: SourceTarget, request: SearchRequest, within_ms: int
) -> tuple[list[SearchHit], SourceStatus, Coverage]:
    status = SourceStatus(source=target.source)
    level = target.capabilities.level(Capability.SEARCH)
    organization_id = context.organization.id
    if level is SupportLevel.NATIVE:
        coverage = Coverage(target, SupportLevel.NATIVE, complete=True, indexed_until=None)
        try:
            async with asyncio.timeout(within_ms / 1000):
                page = await target.live.search(request)
            return list(page.rows), status.lacking(page.skipped), coverage
        except TimeoutError:
            late = UpstreamTimeout(
                f"{target.source.key}: the search took longer than the {within_ms} ms of `withinMs`.",
                source_id=target.source.id,
                operation="search",
            )
            status = status_of_error(target.source, late)
        except GatewayError as error:
            status = status_of_error(target.source, error)
    await caught_up(context, target.source.id)
    as_of = await context.store.chats.last_seen(organization_id, target.source.id)
    hits = await context.store.search.find(organization_id, [target.source.id], request)
    if level is SupportLevel.NATIVE:
        status = status.served_stale(as_of)
    return hits, status, Coverage(target, SupportLevel.EMULATED, complete=False, indexed_until=as_of)


def _interleaved(lists: Sequence[Sequence[SearchHit]]) -> list[SearchHit]:
    """All first hits, then all second ones, and so on; the score is made from the rank, so that it falls along the list."""
    ranked = [
        (rank, index, replace(hit, score=1 / (1 + rank)))
        for index, hits in enumerate(lists)
        for rank, hit in enumerate(hits)
    ]
    ranked.sort(key=lambda entry: entry[:2])
    return [hit for _, _, hit in ranked]


async def _shown(
    context: Context, hits: Sequence[SearchHit], targets: Sequence[SourceTarget], folders: Sequence[FolderRef]
) -> list[SearchHit]:
    """Overlays laid over the chats found, and what is outside the wanted folders left out."""
    by_source = {target.source.id: target.capabilities for target in targets}
    keys = list({(hit.found.source_id, _chat_native_id(hit)) for hit in hits})
    overlays = await context.store.chats.overlays(context.organization.id, keys)
    chats = await context.store.chats.get_many(context.organization.id, keys) if folders else {}
    shown = []
    for hit in hits:
        key = (hit.found.source_id, _chat_native_id(hit))
        if folders and (key not in chats or chats[key].folder not in folders):
            continue
        if isinstance(hit.found, Chat):
            hit = replace(hit, found=lay_over(hit.found, overlays.get(key), by_source[hit.found.source_id]))
        shown.append(hit)
    return shown


def _chat_native_id(hit: SearchHit) -> str:
    return hit.found.native_id if isinstance(hit.found, Chat) else hit.found.chat_id
