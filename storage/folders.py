"""Folders: the gateway's own (`source_id` GATEWAY), and the mirror of those that vendors keep."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.errors import InvalidArgument, NotFound
from domain.paging import micros
from domain.records import GATEWAY, Chat, EventKind, Folder, FolderRef
from storage import sqlite
from storage.chats import Chats, ChatsSeen
from storage.columns import instant_or_none, micros_or_none
from storage.database import Database, Row, Transaction
from storage.events import Events

_FOLDER = "organization_id, source_id, native_id, name, parent_id, created_at, updated_at"
_STATE = "revision, changed_at, deleted_at"
_ONE = "organization_id = :organization_id AND source_id = :source_id AND native_id = :native_id"


@dataclass(slots=True)
class _Known:
    """A row, tombstones included."""

    folder: Folder
    revision: int
    changed_at: int
    deleted_at: int | None


class Folders:
    """The folders of all organizations. Names compare case-folded; equal names go by source and id."""

    def __init__(self, database: Database, events: Events, chats: Chats, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._events = events
        self._chats = chats
        self._clock = clock

    # Reading

    async def of(self, organization_id: int, source_ids: Iterable[int] | None = None) -> list[Folder]:
        """All folders, or those of some sources (GATEWAY for the gateway's own), by name."""
        sql = f"SELECT {_FOLDER} FROM folder WHERE organization_id = :organization_id AND deleted_at IS NULL"
        parameters: dict[str, object] = {"organization_id": organization_id}
        if source_ids is not None:
            sql += f" AND source_id IN {sqlite.values_of('sources')}"
            parameters["sources"] = sqlite.packed(source_ids)
        sql += " ORDER BY sort_name, source_id, native_id"
        return [_folder(row) for row in await self._database.fetch_all(sql, parameters)]

    async def get_many(self, organization_id: int, refs: Sequence[FolderRef]) -> dict[FolderRef, Folder]:
        """Those of `refs` that there are."""
        columns = ", ".join(f"folder.{name}" for name in _FOLDER.split(", "))
        sql = (
            f"SELECT {columns} FROM {sqlite.rows_of('refs', 'source', 'native')} AS wanted CROSS JOIN folder "
            "ON folder.organization_id = :organization_id AND folder.source_id = wanted.source "
            "AND folder.native_id = wanted.native AND folder.deleted_at IS NULL"
        )
        packed = sqlite.packed((ref.source_id, ref.native_id) for ref in refs)
        rows = await self._database.fetch_all(sql, {"organization_id": organization_id, "refs": packed})
        return {folder.ref: folder for folder in map(_folder, rows)}

    async def get(self, organization_id: int, ref: FolderRef) -> Folder | None:
        """One folder."""
        return (await self.get_many(organization_id, [ref])).get(ref)

    async def exists(self, tx: Transaction, organization_id: int, ref: FolderRef) -> bool:
        """Whether there is such a folder, as the transaction at hand sees it."""
        known = await self._known(tx, organization_id, ref.source_id, [ref.native_id])
        return ref.native_id in known and known[ref.native_id].deleted_at is None

    async def children(self, organization_id: int, ref: FolderRef) -> list[Folder]:
        """The folders directly inside one, by name."""
        sql = (
            f"SELECT {_FOLDER} FROM folder WHERE organization_id = :organization_id AND source_id = :source_id "
            "AND parent_id = :native_id AND deleted_at IS NULL ORDER BY sort_name, native_id"
        )
        return [_folder(row) for row in await self._database.fetch_all(sql, _key(organization_id, ref))]

    async def subtree(self, organization_id: int, ref: FolderRef) -> list[Folder]:
        """The folder and everything inside it, each after its parent. Empty when there is no such folder."""
        async with self._database.reader() as reader:
            rows = await reader.fetch_all(_SUBTREE, _key(organization_id, ref))
        return [_folder(row) for row in rows]

    # The gateway's own, and a vendor's after the vendor has done it

    async def add(
        self,
        tx: Transaction,
        organization_id: int,
        name: str,
        *,
        parent_id: str | None = None,
        native_id: str | None = None,
        at: datetime,
    ) -> Folder:
        """A new folder of the gateway. `InvalidArgument` when the parent is not one of the gateway's folders."""
        if parent_id is not None:
            await self._require_parent(tx, organization_id, GATEWAY, parent_id)
        folder = Folder(
            organization_id=organization_id,
            source_id=GATEWAY,
            native_id=native_id or uuid.uuid4().hex,
            name=name,
            parent_id=parent_id,
            created_at=at,
            updated_at=at,
        )
        await self._write(tx, folder, 1, at)
        return folder

    async def rename(self, tx: Transaction, organization_id: int, ref: FolderRef, name: str, at: datetime) -> Folder:
        """Give a folder another name."""
        known = await self._require(tx, organization_id, ref)
        return await self._change(tx, known, name=name, parent_id=known.folder.parent_id, at=at)

    async def move(
        self, tx: Transaction, organization_id: int, ref: FolderRef, parent_id: str | None, at: datetime
    ) -> Folder:
        """Put a folder under another of the same source, or to the top. `InvalidArgument` when it would be inside itself."""
        known = await self._require(tx, organization_id, ref)
        if parent_id is not None:
            await self._require_parent(tx, organization_id, ref.source_id, parent_id)
            inside = {row[2] for row in await tx.fetch_all(_SUBTREE, _key(organization_id, ref))}
            if parent_id in inside:
                raise InvalidArgument(
                    f"The folder {known.folder.name} was to be moved into itself or into a folder inside it. Choose another parent.",
                    path=("parentId",),
                )
        return await self._change(tx, known, name=known.folder.name, parent_id=parent_id, at=at)

    async def put(self, tx: Transaction, folder: Folder, at: datetime) -> None:
        """A vendor's folder as it is after we changed or made it there."""
        known = (await self._known(tx, folder.organization_id, folder.source_id, [folder.native_id])).get(
            folder.native_id
        )
        is_news = known is None or known.deleted_at is not None or _shown(folder) != _shown(known.folder)
        revision = known.revision if known is not None else 0
        await self._write(tx, folder, revision + 1 if is_news else revision, at, is_news=is_news)

    async def remove(
        self, tx: Transaction, organization_id: int, ref: FolderRef, at: datetime
    ) -> tuple[FolderRef, ...]:
        """Delete a folder and everything inside it; which folders went. Their chats are in no folder afterwards."""
        gone = [_folder(row) for row in await tx.fetch_all(_SUBTREE, _key(organization_id, ref))]
        if not gone:
            raise _no_folder()
        refs = tuple(folder.ref for folder in gone)
        await self._unfile(tx, organization_id, refs, at)
        await self._bury(tx, organization_id, ref.source_id, [folder.native_id for folder in gone], at)
        return refs

    # The mirror of a vendor's

    async def observe(
        self, tx: Transaction, organization_id: int, source_id: int, folders: Sequence[Folder], started_at: datetime
    ) -> tuple[str, ...]:
        """Bring a vendor's complete list into the mirror; the native ids that changed. The first list is history, not news."""
        known = await self._known(tx, organization_id, source_id, None)
        has_baseline = await self._take_baseline(tx, organization_id, source_id, started_at)
        started = micros(started_at)
        changed: list[str] = []
        for folder in {folder.native_id: folder for folder in folders}.values():
            row = known.get(folder.native_id)
            if row is None:
                await self._write(tx, folder, 1, started_at, is_news=has_baseline)
            elif row.changed_at > started or (row.deleted_at is None and folder == row.folder):
                continue
            else:
                is_news = row.deleted_at is not None or _shown(folder) != _shown(row.folder)
                revision = row.revision + 1 if is_news else row.revision
                await self._write(tx, folder, revision, started_at, is_news=is_news)
                if not is_news:
                    continue
            changed.append(folder.native_id)
        shown = {folder.native_id for folder in folders}
        vanished = [
            native_id
            for native_id, row in known.items()
            if row.deleted_at is None and native_id not in shown and row.changed_at <= started
        ]
        await self._bury(tx, organization_id, source_id, vanished, started_at)
        return (*changed, *vanished)

    async def _change(
        self, tx: Transaction, known: _Known, *, name: str, parent_id: str | None, at: datetime
    ) -> Folder:
        old = known.folder
        if (name, parent_id) == (old.name, old.parent_id):
            return old
        folder = Folder(
            organization_id=old.organization_id,
            source_id=old.source_id,
            native_id=old.native_id,
            name=name,
            parent_id=parent_id,
            created_at=old.created_at,
            updated_at=at,
        )
        await self._write(tx, folder, known.revision + 1, at)
        return folder

    async def _write(
        self, tx: Transaction, folder: Folder, revision: int, changed_at: datetime, *, is_news: bool = True
    ) -> None:
        sql = (
            f"INSERT INTO folder ({_FOLDER}, sort_name, {_STATE}) VALUES (:organization_id, :source_id, :native_id, :name, "
            ":parent_id, :created_at, :updated_at, :sort_name, :revision, :changed_at, NULL) "
            "ON CONFLICT (organization_id, source_id, native_id) DO UPDATE SET name = excluded.name, "
            "parent_id = excluded.parent_id, created_at = excluded.created_at, updated_at = excluded.updated_at, "
            "sort_name = excluded.sort_name, revision = excluded.revision, changed_at = excluded.changed_at, deleted_at = NULL "
            "WHERE folder.organization_id = excluded.organization_id"
        )
        values = {
            **_key(folder.organization_id, folder.ref),
            "name": folder.name,
            "parent_id": folder.parent_id,
            "created_at": micros_or_none(folder.created_at),
            "updated_at": micros_or_none(folder.updated_at),
            "sort_name": folder.name.casefold(),
            "revision": revision,
            "changed_at": micros(changed_at),
        }
        await tx.execute(sql, values)
        if is_news:
            await self._log(tx, folder.organization_id, folder.ref, revision)

    async def _bury(
        self, tx: Transaction, organization_id: int, source_id: int, native_ids: Sequence[str], at: datetime
    ) -> None:
        sql = (
            "UPDATE folder SET deleted_at = :at, changed_at = :at, revision = revision + 1, parent_id = NULL "
            f"WHERE {_ONE} RETURNING revision"
        )
        for native_id in native_ids:
            ref = FolderRef(source_id, native_id)
            ((revision,),) = await tx.execute(sql, {**_key(organization_id, ref), "at": micros(at)})
            await self._log(tx, organization_id, ref, revision)

    async def _unfile(self, tx: Transaction, organization_id: int, refs: Sequence[FolderRef], at: datetime) -> None:
        for source_id, chat_id in await self._chats.in_folders(tx, organization_id, refs):
            if refs[0].source_id == GATEWAY:
                await self._chats.set_overlay(tx, organization_id, source_id, chat_id, folder=None, at=at)
                continue
            chat = Chat(
                organization_id=organization_id,
                source_id=source_id,
                native_id=chat_id,
                told=frozenset({"folder"}),
            )
            seen = ChatsSeen(
                organization_id=organization_id,
                source_id=source_id,
                rows=(chat,),
                started_at=at,
                from_newest=False,
                is_whole=False,
                is_own_write=True,
            )
            await self._chats.observe(tx, seen)

    async def _log(self, tx: Transaction, organization_id: int, ref: FolderRef, revision: int) -> None:
        kind = EventKind.FOLDER_CHANGED
        await self._events.append(
            tx, organization_id, kind, ref.source_id, "", ref.native_id, revision, at=self._clock()
        )

    async def _known(
        self, tx: Transaction, organization_id: int, source_id: int, native_ids: Sequence[str] | None
    ) -> dict[str, _Known]:
        sql = f"SELECT {_FOLDER}, {_STATE} FROM folder WHERE organization_id = :organization_id AND source_id = :source_id"
        parameters: dict[str, object] = {"organization_id": organization_id, "source_id": source_id}
        if native_ids is not None:
            sql += f" AND native_id IN {sqlite.values_of('ids')}"
            parameters["ids"] = sqlite.packed(native_ids)
        rows = await tx.fetch_all(sql, parameters)
        return {row[2]: _Known(_folder(row), *row[7:]) for row in rows}

    async def _take_baseline(self, tx: Transaction, organization_id: int, source_id: int, started_at: datetime) -> bool:
        """Whether the source's folders were listed before; from now on they were."""
        parameters = {"organization_id": organization_id, "source_id": source_id, "at": micros(started_at)}
        row = await tx.fetch_one(
            "SELECT folders_at FROM source_state WHERE organization_id = :organization_id AND source_id = :source_id",
            parameters,
        )
        if row is not None and row[0] is not None:
            return True
        await tx.execute(
            "INSERT INTO source_state (source_id, organization_id, folders_at, is_complete) "
            "VALUES (:source_id, :organization_id, :at, 0) ON CONFLICT (source_id) DO UPDATE SET folders_at = excluded.folders_at "
            "WHERE source_state.organization_id = excluded.organization_id",
            parameters,
        )
        return False

    async def _require(self, tx: Transaction, organization_id: int, ref: FolderRef) -> _Known:
        known = (await self._known(tx, organization_id, ref.source_id, [ref.native_id])).get(ref.native_id)
        if known is None or known.deleted_at is not None:
            raise _no_folder()
        return known

    async def _require_parent(self, tx: Transaction, organization_id: int, source_id: int, parent_id: str) -> None:
        known = (await self._known(tx, organization_id, source_id, [parent_id])).get(parent_id)
        if known is None or known.deleted_at is not None:
            raise InvalidArgument(
                "A folder was to be put under a parent that is not there. Choose a folder of the same source.",
                path=("parentId",),
            )


_SUBTREE = (
    "WITH RECURSIVE inside (native_id, depth) AS ("
    f"SELECT native_id, 0 FROM folder WHERE {_ONE} AND deleted_at IS NULL UNION "
    "SELECT folder.native_id, inside.depth + 1 FROM inside JOIN folder ON folder.organization_id = :organization_id "
    # The bound ends the walk should a vendor's folders ever form a circle.
    "AND folder.source_id = :source_id AND folder.parent_id = inside.native_id AND folder.deleted_at IS NULL "
    "AND inside.depth < 100) "
    + "SELECT "
    + ", ".join(f"folder.{name}" for name in _FOLDER.split(", "))
    + " FROM (SELECT native_id, min(depth) AS depth FROM inside GROUP BY native_id) AS found "
    "JOIN folder ON folder.organization_id = :organization_id AND folder.source_id = :source_id "
    "AND folder.native_id = found.native_id ORDER BY found.depth, folder.sort_name, folder.native_id"
)


def _key(organization_id: int, ref: FolderRef) -> dict[str, object]:
    return {"organization_id": organization_id, "source_id": ref.source_id, "native_id": ref.native_id}


def _shown(folder: Folder) -> tuple[str, str | None]:
    """What makes a difference to whoever looks at it."""
    return folder.name, folder.parent_id


def _no_folder() -> NotFound:
    return NotFound("A folder was to be changed, but there is none with this id. Check the id.")


def _folder(row: Row) -> Folder:
    return Folder(
        organization_id=row[0],
        source_id=row[1],
        native_id=row[2],
        name=row[3],
        parent_id=row[4],
        created_at=instant_or_none(row[5]),
        updated_at=instant_or_none(row[6]),
    )
