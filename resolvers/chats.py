"""Reading chats: one by its id, many for a page of something else, and the list over all sources."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from domain.capabilities import Capability, ChatOrder, ChatOrderField
from domain.errors import CapabilityMissing, GatewayError, InvalidArgument, UpstreamError
from domain.ids import IdType, parse_id_of
from domain.paging import Page, PageRequest
from domain.records import GATEWAY, Chat, FolderRef, Role, Scope
from resolvers.context import Context
from resolvers.cursors import fingerprint
from resolvers.merge import Listing, merged_page
from resolvers.overlays import complete_rows
from resolvers.overlays import version_of as version_with
from resolvers.reading import copy_of_chat, read_chat
from resolvers.statuses import SourceStatus, status_of_error
from resolvers.targets import ChatTarget, SourceTarget, folder_ref, open_source, source_target
from storage.chats import ChatQuery

ChatKey = tuple[int, str]
"""(source id, native id)."""

MAX_WITHIN_MS = 30_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatFilter:
    """Which chats to list; ids are the client's texts. None: does not matter. `archived` None leaves archived ones out."""

    source_ids: tuple[str, ...] | None = None
    folder_ids: tuple[str, ...] | None = None
    unfiled: bool | None = None
    tags: tuple[str, ...] | None = None
    pinned: bool | None = None
    archived: bool | None = None
    updated_since: datetime | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows a whole list has; the least number known when not `exact`."""

    value: int
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatList:
    """A page of chats over sources. `count` is asked for only when a client wants it; None when no source tells."""

    page: Page[Chat]
    statuses: Sequence[SourceStatus]
    event_cursor: str
    count: Callable[[], Awaitable[Count | None]]


async def chats(context: Context, page: PageRequest, filter_: ChatFilter, order: ChatOrder, within_ms: int) -> ChatList:
    """The chats of all visible sources in one order. A source that fails costs its own rows, and `statuses` says so."""
    context.require(Scope.READ)
    check_within(within_ms)
    event_cursor = await context.event_cursor()
    targets, unopened = await targets_of(context, filter_.source_ids)
    query = await _query(context, filter_, order)
    is_filtered = any(
        value is not None and value != ()
        for value in (query.folders, query.unfiled, query.tags, query.pinned, query.updated_since, query.text)
    )
    if query.folders is not None and all(ref.source_id != GATEWAY for ref in query.folders):
        # A vendor's folder holds its own chats only: the others need not be asked.
        owners = {ref.source_id for ref in query.folders}
        targets = [target for target in targets if target.source.id in owners]
    listing = Listing(
        targets=targets,
        query=query,
        order=order,
        is_filtered=is_filtered or filter_.archived is True,
        needs=_needs(query, order),
        made_with=fingerprint(filter_.__class__.__name__, _as_list(filter_), order.field, order.descending),
        within_ms=within_ms,
    )
    rows, statuses = await merged_page(context, listing, page)

    async def count() -> Count | None:
        known = [target.source.id for target in targets if target.capabilities.reads_from_store]
        if not known:
            return None
        value = await context.store.chats.count(replace(query, source_ids=tuple(known)))
        return Count(value, exact=len(known) == len(targets))

    return ChatList(page=rows, statuses=[*statuses, *unopened], event_cursor=event_cursor, count=count)


def check_within(within_ms: int) -> None:
    """Refuse a deadline that is no deadline."""
    if not 1 <= within_ms <= MAX_WITHIN_MS:
        raise InvalidArgument(
            f"A deadline of {within_ms} ms was asked for. `withinMs` takes 1 to {MAX_WITHIN_MS}.", path=("withinMs",)
        )


async def targets_of(
    context: Context, source_ids: Sequence[str] | None
) -> tuple[list[SourceTarget], list[SourceStatus]]:
    """The sources to ask: all visible ones, or those named; and the status of each that cannot even be opened."""
    if source_ids is not None:
        named = [await source_target(context, text, ("filter", "sourceIds")) for text in source_ids]
        return list({target.source.id: target for target in named}.values()), []
    targets, unopened = [], []
    for source in await context.gateway.sources.visible(context.organization.id, context.principal):
        try:
            targets.append(SourceTarget(source, await context.gateway.sources.connect(source)))
        except GatewayError as error:
            unopened.append(status_of_error(source, error))
    return targets, unopened


async def _query(context: Context, filter_: ChatFilter, order: ChatOrder) -> ChatQuery:
    folders: tuple[FolderRef, ...] | None = None
    if filter_.folder_ids is not None:
        folders = tuple([await folder_ref(context, text, ("filter", "folderIds")) for text in filter_.folder_ids])
    return ChatQuery(
        organization_id=context.organization.id,
        source_ids=(),
        order=order,
        limit=0,
        folders=folders,
        unfiled=filter_.unfiled or None,
        tags=filter_.tags or (),
        pinned=filter_.pinned,
        archived=filter_.archived or False,
        updated_since=filter_.updated_since,
        text=filter_.text or None,
    )


def _needs(query: ChatQuery, order: ChatOrder) -> frozenset[str]:
    """The fields that a drained row must tell."""
    field = {
        ChatOrderField.TITLE: "title",
        ChatOrderField.CREATED_AT: "created_at",
        ChatOrderField.UPDATED_AT: "updated_at",
    }[order.field]
    needs = {"archived", field}
    if query.folders is not None or query.unfiled is not None:
        needs.add("folder")
    if query.tags:
        needs.add("tags")
    if query.pinned is not None:
        needs.add("pinned")
    if query.updated_since is not None:
        needs.add("updated_at")
    if query.text is not None:
        needs.add("title")
    return frozenset(needs)


def _as_list(filter_: ChatFilter) -> list[object]:
    return [getattr(filter_, name) for name in ChatFilter.__slots__]


async def get_chat(context: Context, id_text: str) -> Chat | None:
    """A chat by its id, or None when there is no such chat for whoever asks."""
    context.require(Scope.READ)
    parsed = parse_id_of(id_text, IdType.CHAT)
    if parsed is None:
        return None
    return await context.batches.load(load_chats, (parsed.short, parsed.parts[0]))


async def load_chats(context: Context, keys: Sequence[ChatKey]) -> list[Chat | BaseException | None]:
    """Chats by (source id, native id), None for those that are not there or not visible; the gateway's copy where a source fails."""
    await context.event_cursor()
    targets = await open_all(context, keys)
    in_store = [key for key in keys if (target := targets.get(key[0])) and target.capabilities.reads_from_store]
    rows = await context.store.chats.get_many(context.organization.id, in_store) if in_store else {}

    async def one(key: ChatKey) -> Chat | BaseException | None:
        target = targets.get(key[0])
        if target is None:
            return None
        if target.capabilities.reads_from_store:
            chat = rows.get(key)
            return replace(complete_rows([chat], target.capabilities)[0], as_of=None) if chat is not None else None
        at = ChatTarget(target.source, target.live, key[1])
        try:
            return await read_chat(context, at)
        except (UpstreamError, CapabilityMissing) as error:  # the latter: its credentials may write and not read
            return await copy_of_chat(context, at) or error
        except GatewayError as error:
            return error

    return list(await asyncio.gather(*(one(key) for key in keys)))


async def open_all(context: Context, keys: Sequence[ChatKey]) -> dict[int, SourceTarget]:
    """The visible sources of these chats, open, by short id."""
    targets: dict[int, SourceTarget] = {}
    for source_id in {key[0] for key in keys}:
        if (target := await open_source(context, source_id)) is not None:
            targets[source_id] = target
    return targets


async def version_of(context: Context, chat: Chat) -> str | None:
    """What `expectedVersion` is compared with; None when this reading did not tell enough."""
    target = await open_source(context, chat.source_id)
    return version_with(chat, target.capabilities) if target is not None else None


_NEEDS_READ = frozenset({Capability.LIST_CHATS, Capability.READ_CHAT, Capability.LIST_MESSAGES, Capability.READ_MESSAGE,
                         Capability.SEARCH, Capability.LIVE_MESSAGES, Capability.LIVE_CHANGES})  # fmt: skip


async def viewer_can(context: Context, chat: Chat) -> list[Capability]:
    """What the principal can do with a chat: the source supports it, and role and scopes allow it."""
    target = await open_source(context, chat.source_id)
    if target is None:
        return []
    may_write = Scope.WRITE in context.scopes and context.role.includes(Role.MEMBER)
    may_read = Scope.READ in context.scopes
    return [
        capability
        for capability in Capability
        if target.capabilities.can(capability) and (may_read if capability in _NEEDS_READ else may_write)
    ]


async def load_unread_counts(context: Context, keys: Sequence[ChatKey]) -> list[int | None]:
    """How many messages came after the principal's read marker, None where that is not known."""
    counts = await context.store.read_markers.unread_counts(context.organization.id, context.principal.key, keys)
    return [counts.get(key) for key in keys]
