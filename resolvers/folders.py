"""Folders: the gateway's own, which hold chats of any source, and those that a vendor keeps for its own chats."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from domain.capabilities import Capability
from domain.errors import (
    BadCursor,
    CapabilityMissing,
    GatewayError,
    InvalidArgument,
    OutcomeUnknown,
    UpstreamError,
    UpstreamTimeout,
)
from domain.ids import IdType, parse_id_of
from domain.ids import folder_id as global_folder_id
from domain.paging import Page, PageRequest
from domain.records import GATEWAY, Folder, FolderRef, Scope
from domain.source import FolderContents
from resolvers.chats import Count, check_within, targets_of
from resolvers.context import Context
from resolvers.cursors import fingerprint
from resolvers.intents import abandon, begin, earlier, finish, new_intent
from resolvers.reading import see_folders
from resolvers.removal import chats_inside, forget_folder, remove_chats_in
from resolvers.statuses import SourceStatus, status_of_error
from resolvers.targets import SourceTarget, folder_ref, not_found, open_source, source_target
from resolvers.writes import UNSET, Done, Unset
from storage.database import Transaction
from storage.intents import Intent, IntentState

_MAX_NAME = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFilter:
    """Which folders to list; ids are the client's texts."""

    source_ids: tuple[str, ...] | None = None
    parent_id: str | None = None
    top_level: bool | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderList:
    """A page of folders over sources."""

    page: Page[Folder]
    statuses: Sequence[SourceStatus]
    event_cursor: str
    total: Count | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A folder that is gone, and what went wrong with single chats in it."""

    folder_id: str
    failures: Sequence[GatewayError] = ()


async def folders(context: Context, page: PageRequest, filter_: FolderFilter, within_ms: int) -> FolderList:
    """The folders of the gateway and of all sources that have some, by name. Folders are few: each source's are read whole."""
    context.require(Scope.READ)
    check_within(within_ms)
    event_cursor = await context.event_cursor()
    targets, unopened = await targets_of(context, filter_.source_ids)
    parent = await folder_ref(context, filter_.parent_id, ("filter", "parentId")) if filter_.parent_id else None
    if parent is not None:
        targets = [target for target in targets if target.source.id == parent.source_id]
    with_folders = [target for target in targets if target.capabilities.has_folders]
    statuses = await _read_all(context, with_folders, within_ms)
    source_ids = [target.source.id for target in with_folders]
    if filter_.source_ids is None and (parent is None or parent.source_id == GATEWAY):
        source_ids.append(GATEWAY)
    rows = await context.store.folders.of(context.organization.id, source_ids)
    rows = [row for row in rows if _matches(row, filter_, parent)]
    made_with = fingerprint(filter_.source_ids, filter_.parent_id, filter_.top_level, filter_.text)
    failed = any(status.message is not None for status in statuses)
    return FolderList(
        page=_page(context, rows, page, made_with),
        statuses=[*statuses, *unopened],
        event_cursor=event_cursor,
        total=Count(len(rows), exact=not failed),
    )


async def _read_all(context: Context, targets: Sequence[SourceTarget], within_ms: int) -> list[SourceStatus]:
    async def one(target: SourceTarget) -> SourceStatus:
        status = SourceStatus(source=target.source)
        try:
            async with asyncio.timeout(within_ms / 1000):
                await see_folders(context, target)
        except (GatewayError, TimeoutError) as error:
            if isinstance(error, TimeoutError):
                error = UpstreamTimeout(
                    f"{target.source.key}: listing its folders took longer than the {within_ms} ms of `withinMs`.",
                    source_id=target.source.id,
                    operation="list_folders",
                )
            as_of = await context.store.chats.last_seen(context.organization.id, target.source.id)
            return status_of_error(target.source, error).served_stale(as_of)
        return status

    return list(await asyncio.gather(*(one(target) for target in targets)))


def _matches(folder: Folder, filter_: FolderFilter, parent: FolderRef | None) -> bool:
    if parent is not None and (folder.source_id, folder.parent_id) != (parent.source_id, parent.native_id):
        return False
    if filter_.top_level is not None and (folder.parent_id is None) is not filter_.top_level:
        return False
    return filter_.text is None or filter_.text.casefold() in folder.name.casefold()


def _page(context: Context, rows: Sequence[Folder], page: PageRequest, made_with: str) -> Page[Folder]:
    ordered = sorted(rows, key=_sort_key)
    text = page.before if page.is_backwards else page.after
    if text is not None:
        payload = context.gateway.cursors.open("folders", context.organization.id, text)
        if payload[0] != made_with:
            raise BadCursor("The cursor was made with another filter. Start again from the first page.")
        at = (str(payload[1]), int(payload[2]), str(payload[3]))
        ordered = [row for row in ordered if (_sort_key(row) < at if page.is_backwards else _sort_key(row) > at)]
    shown = ordered[-page.size :] if page.is_backwards else ordered[: page.size]
    has_more = len(ordered) > len(shown)
    cursors = [
        context.gateway.cursors.seal("folders", context.organization.id, [made_with, *_sort_key(row)]) for row in shown
    ]
    return Page(
        rows=shown,
        cursors=cursors,
        has_next=text is not None if page.is_backwards else has_more,
        has_previous=has_more if page.is_backwards else text is not None,
    )


def _sort_key(folder: Folder) -> tuple[str, int, str]:
    return (folder.name.casefold(), folder.source_id, folder.native_id)


async def get_folder(context: Context, id_text: str) -> Folder | None:
    """A folder by its id, or None when there is no such folder for whoever asks."""
    context.require(Scope.READ)
    parsed = parse_id_of(id_text, IdType.FOLDER)
    if parsed is None:
        return None
    return await context.batches.load(load_folders, FolderRef(parsed.short, parsed.parts[0]))


async def load_folders(context: Context, refs: Sequence[FolderRef]) -> list[Folder | BaseException | None]:
    """Folders by reference. A vendor's folder that the mirror does not know is looked for at the source, once for all."""
    visible = {
        source.id for source in await context.gateway.sources.visible(context.organization.id, context.principal)
    }
    allowed = [ref for ref in refs if ref.source_id == GATEWAY or ref.source_id in visible]
    rows = await context.store.folders.get_many(context.organization.id, allowed)
    unknown = {ref.source_id for ref in allowed if ref not in rows and ref.source_id != GATEWAY}
    failures: dict[int, GatewayError] = {}
    for source_id in unknown:
        try:
            target = await open_source(context, source_id)
            if target is not None and target.capabilities.has_folders:
                await see_folders(context, target)
        except UpstreamError as error:
            failures[source_id] = error
    if unknown:
        rows = await context.store.folders.get_many(context.organization.id, allowed)
    return [rows.get(ref) or (failures.get(ref.source_id) if ref in allowed else None) for ref in refs]


async def children(context: Context, folder: Folder, page: PageRequest) -> FolderList:
    """The folders directly inside one."""
    filter_ = FolderFilter(parent_id=global_folder_id(folder.source_id, folder.native_id))
    event_cursor = await context.event_cursor()
    rows = await context.store.folders.of(context.organization.id, [folder.source_id])
    inside = [row for row in rows if row.parent_id == folder.native_id]
    made_with = fingerprint(filter_.parent_id)
    return FolderList(
        page=_page(context, inside, page, made_with),
        statuses=[],
        event_cursor=event_cursor,
        total=Count(len(inside), exact=True),
    )


async def create_folder(
    context: Context, *, name: str, parent_id: str | None, source_id: str | None, idempotency_key: str | None
) -> Done[Folder]:
    """Create a folder of the gateway, or of a source that has folders (that of the parent, or the one named)."""
    context.require(Scope.WRITE)
    name = _checked_name(name)
    parent = await folder_ref(context, parent_id, ("parentId",)) if parent_id is not None else None
    target = await _keeper(context, parent, source_id)
    intent = new_intent(context, "createFolder", idempotency_key, [name, parent_id, source_id])
    if parent is not None and parent.source_id == GATEWAY and await earlier(context, intent) is None:
        await known_folder(context, parent, ("parentId",))
    opened = await begin(context, intent)
    if not opened.is_new:
        return Done(await _created_before(context, opened), replayed=True)
    try:
        return Done(await _create(context, target, name, parent, opened))
    finally:
        abandon(context, opened)


async def _created_before(context: Context, known: Intent) -> Folder:
    if known.state is not IntentState.DONE:
        raise OutcomeUnknown(
            "Whether the earlier request with this `idempotencyKey` made its folder is not known. Read the list of folders.",
            source_id=known.source_id,
        )
    ref = FolderRef(int(known.result["source_id"]), str(known.result["folder_id"]))
    return await known_folder(context, ref, ())


async def _create(
    context: Context, target: SourceTarget | None, name: str, parent: FolderRef | None, opened: Intent
) -> Folder:
    try:
        if target is None:
            folder = await _create_own(context, name, parent)
        else:
            folder = await target.live.create_folder(name, parent.native_id if parent is not None else None)
    except GatewayError as error:
        perhaps = isinstance(error, UpstreamError) and error.perhaps_executed
        await finish(context, opened, IntentState.UNKNOWN if perhaps else IntentState.FAILED)
        if target is not None and perhaps:
            raise OutcomeUnknown(
                f"{target.source.key}: creating a folder was cut off before the source answered. It may exist: "
                "read the list of folders before you create it again.",
                source_id=target.source.id,
            ) from error
        raise
    started_at = context.now()

    async def seen(tx: Transaction) -> None:
        if target is not None:
            await context.store.folders.put(tx, folder, started_at)

    result = {"folder_id": folder.native_id, "source_id": folder.source_id}
    await finish(context, opened, IntentState.DONE, result, seen)
    return folder


async def _keeper(context: Context, parent: FolderRef | None, source_id: str | None) -> SourceTarget | None:
    """Which source shall keep a new folder; None: the gateway."""
    if source_id is None:
        return None if parent is None or parent.source_id == GATEWAY else await open_source(context, parent.source_id)
    target = await source_target(context, source_id)
    if not target.capabilities.has_folders:
        raise CapabilityMissing(
            f"{target.source.key} keeps no folders of its own. Leave `sourceId` out: a folder of the gateway holds its chats too.",
            capability=Capability.MOVE_CHAT,
            source_id=target.source.id,
        )
    if parent is not None and parent.source_id != target.source.id:
        raise InvalidArgument("The parent is not a folder of this source. Choose one of its own.", path=("parentId",))
    return target


async def _create_own(context: Context, name: str, parent: FolderRef | None) -> Folder:
    at = context.now()

    async def unit(tx: Transaction) -> Folder:
        return await context.store.folders.add(
            tx, context.organization.id, name, parent_id=parent.native_id if parent is not None else None, at=at
        )

    return await context.store.database.write(unit)


async def update_folder(
    context: Context, *, folder_id: str, name: str | Unset = UNSET, parent_id: str | Unset | None = UNSET
) -> Folder:
    """Rename or move a folder; under itself it cannot go."""
    context.require(Scope.WRITE)
    ref = await folder_ref(context, folder_id)
    folder = await known_folder(context, ref, ("folderId",))
    new_name = _checked_name(name) if not isinstance(name, Unset) else None
    moves = not isinstance(parent_id, Unset)
    parent: FolderRef | None = None
    if not isinstance(parent_id, Unset) and parent_id is not None:
        parent = await folder_ref(context, parent_id, ("parentId",))
        await known_folder(context, parent, ("parentId",))
        await _check_place(context, ref, parent)
    parent_native = parent.native_id if parent is not None else None
    if ref.source_id != GATEWAY:
        target = await open_source(context, ref.source_id)
        assert target is not None  # `folder_ref` saw it
        changed = await target.live.update_folder(ref.native_id, name=new_name, parent_id=parent_native, moves=moves)
        at = context.now()

        async def seen(tx: Transaction) -> None:
            await context.store.folders.put(tx, changed, at)

        await context.store.database.write(seen)
        context.batches.forget()
        return changed
    at = context.now()

    async def unit(tx: Transaction) -> None:
        if new_name is not None and new_name != folder.name:
            await context.store.folders.rename(tx, context.organization.id, ref, new_name, at)
        if moves and parent_native != folder.parent_id:
            await context.store.folders.move(tx, context.organization.id, ref, parent_native, at)

    await context.store.database.write(unit)
    context.batches.forget()
    return await known_folder(context, ref, ("folderId",))


async def _check_place(context: Context, ref: FolderRef, parent: FolderRef) -> None:
    if parent.source_id != ref.source_id:
        raise InvalidArgument(
            "A folder can only move inside the source that keeps it. Choose a parent of the same source.",
            path=("parentId",),
        )
    inside = {one.ref for one in await context.store.folders.subtree(context.organization.id, ref)} | {ref}
    if parent in inside:
        raise InvalidArgument("A folder cannot move into itself or a folder inside it.", path=("parentId",))


async def known_folder(context: Context, ref: FolderRef, path: Sequence[str]) -> Folder:
    """The folder of a reference, or `NotFound` with `path`."""
    found = (await load_folders(context, [ref]))[0]
    if isinstance(found, BaseException):
        raise found
    if found is None:
        raise not_found("folder", global_folder_id(ref.source_id, ref.native_id), path)
    return found


def _checked_name(name: str) -> str:
    stripped = name.strip()
    if not 1 <= len(stripped) <= _MAX_NAME:
        raise InvalidArgument(f"The name has {len(stripped)} characters; 1 to {_MAX_NAME} are allowed.", path=("name",))
    return stripped


async def delete_folder(context: Context, *, folder_id: str, contents: FolderContents) -> Removed:
    """Delete a folder and those inside it. With DELETE_CHATS a chat that could not be deleted is reported and its folder stays."""
    context.require(Scope.WRITE)
    ref = await folder_ref(context, folder_id)
    await known_folder(context, ref, ("folderId",))
    if ref.source_id != GATEWAY:
        target = await open_source(context, ref.source_id)
        assert target is not None  # `folder_ref` saw it
        known = await chats_inside(context, ref)
        await target.live.delete_folder(ref.native_id, contents)
        await forget_folder(context, target, ref, known if contents is FolderContents.DELETE_CHATS else ())
        context.gateway.drains.forget(ref.source_id)
        context.batches.forget()
        return Removed(folder_id=folder_id)
    failures: list[GatewayError] = []
    if contents is FolderContents.DELETE_CHATS:
        inside = await context.store.folders.subtree(context.organization.id, ref)
        failures = await remove_chats_in(context, [ref, *(folder.ref for folder in inside)])
    if not failures:
        at = context.now()

        async def unit(tx: Transaction) -> None:
            await context.store.folders.remove(tx, context.organization.id, ref, at)

        await context.store.database.write(unit)
    context.batches.forget()
    return Removed(folder_id=folder_id, failures=failures)
