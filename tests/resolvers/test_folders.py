"""Folders of the gateway and of sources."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from domain.capabilities import Capability, unsupported
from domain.errors import (
    BadCursor,
    CapabilityMissing,
    IdempotencyConflict,
    InvalidArgument,
    NotFound,
    OutcomeUnknown,
    SourceStatusCode,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from domain.ids import folder_id
from domain.paging import PageRequest
from domain.records import GATEWAY, Folder
from domain.source import FolderContents
from resolvers.chat_writes import move_chat
from resolvers.chats import get_chat
from resolvers.folders import (
    FolderFilter,
    FolderList,
    children,
    create_folder,
    delete_folder,
    folders,
    get_folder,
    update_folder,
)
from tests.builders import a_chat
from tests.fakes import FakeSource
from tests.resolvers.conftest import Room, a_room
from tests.resolvers.rooms import ALL_NATIVE, a_vendor, chat_id, logged, source_id

pytestmark = pytest.mark.anyio


def a_filing_vendor(key: str = "vendor", *names: str) -> FakeSource:
    """A source with folders of its own, `f1`, `f2`, …"""
    fake = a_vendor(key, also=ALL_NATIVE, has_folders=True)
    fake.folders = [
        Folder(organization_id=1, source_id=1, native_id=f"f{n}", name=name) for n, name in enumerate(names, 1)
    ]
    return fake


async def own(room: Room, name: str, parent: str | None = None, **fields: Any) -> str:
    """A new folder of the gateway."""
    wanted = {"parent_id": parent, "source_id": None, "idempotency_key": None, **fields}
    made = await create_folder(room.context(), name=name, **wanted)
    return folder_id(made.value.source_id, made.value.native_id)


async def listed(room: Room, first: int = 50, after: str | None = None, **filter_: Any) -> FolderList:
    return await folders(room.context(), PageRequest(first=first, after=after), FolderFilter(**filter_), 2000)


def names(found: FolderList) -> list[str]:
    return [folder.name for folder in found.page.rows]


# Listing


async def test_folders_of_all_stand_in_one_list_by_name(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor("one", "beta", "Delta"), a_vendor("two")) as room:
        await own(room, "Alpha")
        await own(room, "gamma")
        found = await listed(room)
        assert names(found) == ["Alpha", "beta", "Delta", "gamma"]
        assert [status.source.key for status in found.statuses] == ["one"]
        assert found.total is not None
        assert (found.total.value, found.total.exact) == (4, True)


async def test_pages_of_folders_both_ways(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor("one", *"abcde")) as room:
        first = await listed(room, 2)
        second = await listed(room, 2, first.page.cursors[-1])
        assert (names(first), names(second)) == (["a", "b"], ["c", "d"])
        assert (first.page.has_next, first.page.has_previous, second.page.has_previous) == (True, False, True)
        page = PageRequest(last=2, before=second.page.cursors[-1])
        before = await folders(room.context(), page, FolderFilter(), 2000)
        assert names(before) == ["b", "c"]
        with pytest.raises(BadCursor):
            await listed(room, 2, first.page.cursors[-1], text="a")


async def test_filters_of_folders(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor("one", "Theirs")) as room:
        outer = await own(room, "Outer")
        await own(room, "Inner", outer)
        assert names(await listed(room, parent_id=outer)) == ["Inner"]
        assert names(await listed(room, top_level=True)) == ["Outer", "Theirs"]
        assert names(await listed(room, top_level=False)) == ["Inner"]
        assert names(await listed(room, text="OUT")) == ["Outer"]
        assert names(await listed(room, source_ids=(source_id(1),))) == ["Theirs"]
        assert names(await listed(room, parent_id=folder_id(1, "f1"))) == []
        with pytest.raises(NotFound):
            await listed(room, parent_id="x")


async def test_source_that_fails_or_is_late_is_served_from_the_copy(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor("one", "Theirs")) as room:
        await listed(room)
        room.source.fails = UpstreamUnavailable("Down.", source_id=1, operation="list_folders")
        found = await listed(room)
        assert names(found) == ["Theirs"]
        assert [(s.code, s.stale) for s in found.statuses] == [(SourceStatusCode.UPSTREAM_UNAVAILABLE, True)]
        assert found.total is not None
        assert found.total.exact is False
        room.source.fails, room.source.hold = None, asyncio.Event()
        late = await folders(room.context(), PageRequest(first=5), FolderFilter(), 10)
        assert [status.code for status in late.statuses] == [SourceStatusCode.TIMEOUT]


async def test_children_of_a_folder(folder: Path) -> None:
    async with a_room(folder, a_vendor()) as room:
        outer = await own(room, "Outer")
        for name in ("b", "a"):
            await own(room, name, outer)
        found = await get_folder(room.context(), outer)
        assert found is not None
        assert names(await children(room.context(), found, PageRequest(first=5))) == ["a", "b"]


async def test_folder_that_was_never_listed_is_looked_for_at_its_source(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor("one", "Theirs")) as room:
        found = await get_folder(room.context(), folder_id(1, "f1"))
        assert found is not None
        assert found.name == "Theirs"
        assert await get_folder(room.context(), folder_id(1, "f9")) is None
        assert await get_folder(room.context(), folder_id(7, "f1")) is None
        assert await get_folder(room.context(), "x") is None


async def test_folder_that_cannot_be_looked_for_is_the_error(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor("one", "Theirs")) as room:
        room.source.fails = UpstreamUnavailable("Down.", source_id=1, operation="list_folders")
        with pytest.raises(UpstreamUnavailable):
            await get_folder(room.context(), folder_id(1, "f1"))
        with pytest.raises(UpstreamUnavailable):
            await update_folder(room.context(), folder_id=folder_id(1, "f1"), name="New")


# Creating


async def test_folder_is_created_at_a_source_or_under_one_of_it(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor("one", "Theirs")) as room:
        made = await own(room, " At the source ", source_id=source_id(1))
        assert made == folder_id(1, "f2")
        await own(room, "Below", folder_id(1, "f1"))
        assert [(one.name, one.parent_id) for one in room.source.folders[1:]] == [
            ("At the source", None),
            ("Below", "f1"),
        ]


async def test_impossible_folders_are_refused_before_any_call(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor("one", "F"), a_vendor("two")) as room:
        mine = await own(room, "Mine")
        cases: list[tuple[Any, tuple[str, ...], dict[str, Any]]] = [
            (InvalidArgument, ("name",), {"name": " "}),
            (InvalidArgument, ("name",), {"name": "x" * 201}),
            (InvalidArgument, ("parentId",), {"name": "F", "parent": mine, "source_id": source_id(1)}),
            (NotFound, ("parentId",), {"name": "F", "parent": folder_id(GATEWAY, "99")}),
            (NotFound, ("parentId",), {"name": "F", "parent": "x"}),
            (NotFound, ("sourceId",), {"name": "F", "source_id": source_id(9)}),
        ]
        for error, path, arguments in cases:
            with pytest.raises(error) as caught:
                await own(room, **arguments)
            assert caught.value.path == path
        with pytest.raises(CapabilityMissing):
            await own(room, "F", source_id=source_id(2))
        assert room.source.calls == room.sources["two"].calls == []


@pytest.mark.parametrize("at_source", [True, False], ids=["at-the-source", "here"])
async def test_key_creates_one_folder(folder: Path, at_source: bool) -> None:
    async with a_room(folder, a_filing_vendor("one")) as room:
        fields: dict[str, Any] = {"source_id": source_id(1) if at_source else None, "idempotency_key": "k"}
        made = await asyncio.gather(*(own(room, "F", **fields) for _ in range(4)))
        assert len(set(made)) == 1
        assert names(await listed(room)) == ["F"]
        again = await create_folder(room.context(), name="F", parent_id=None, **fields)
        assert again.replayed
        with pytest.raises(IdempotencyConflict):
            await own(room, "G", **fields)


async def test_key_of_a_folder_with_a_parent_is_replayed(folder: Path) -> None:
    async with a_room(folder, a_vendor()) as room:
        outer = await own(room, "Outer")
        assert await own(room, "Inner", outer, idempotency_key="k") == await own(
            room, "Inner", outer, idempotency_key="k"
        )


async def test_folder_that_was_perhaps_created_is_unknown(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor("one")) as room:
        room.source.fails_at["create_folder"] = UpstreamTimeout(
            "Late.", source_id=1, operation="create_folder", perhaps_executed=True
        )
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                await own(room, "F", source_id=source_id(1), idempotency_key="k")
        assert room.source.calls.count("create_folder") == 1


async def test_refused_folder_frees_its_key(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor("one")) as room:
        room.source.fails_at["create_folder"] = UpstreamRejected("No.", source_id=1, operation="create_folder")
        with pytest.raises(UpstreamRejected):
            await own(room, "F", source_id=source_id(1), idempotency_key="k")
        room.source.fails_at.clear()
        assert await own(room, "F", source_id=source_id(1), idempotency_key="k") == folder_id(1, "f1")


# Changing


async def test_folder_is_renamed_and_moved(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor("one", "a", "b")) as room:
        outer, inner = await own(room, "Outer"), await own(room, "Inner")
        moved = await update_folder(room.context(), folder_id=inner, name="New", parent_id=outer)
        assert (moved.name, folder_id(GATEWAY, moved.parent_id or "")) == ("New", outer)
        out = await update_folder(room.context(), folder_id=inner, parent_id=None)
        assert (out.name, out.parent_id) == ("New", None)
        native = await update_folder(
            room.context(), folder_id=folder_id(1, "f2"), name="B", parent_id=folder_id(1, "f1")
        )
        assert (native.name, native.parent_id) == ("B", "f1")
        assert room.source.folders[1] == native


async def test_folder_cannot_go_under_itself_or_to_another_keeper(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor("one", "F")) as room:
        outer = await own(room, "Outer")
        inner = await own(room, "Inner", outer)
        for moved, parent in [(outer, outer), (outer, inner), (outer, folder_id(1, "f1")), (folder_id(1, "f1"), outer)]:
            with pytest.raises(InvalidArgument) as caught:
                await update_folder(room.context(), folder_id=moved, parent_id=parent)
            assert caught.value.path == ("parentId",)
        assert "update_folder" not in room.source.calls
        with pytest.raises(NotFound):
            await update_folder(room.context(), folder_id=folder_id(GATEWAY, "99"), name="x")


# Deleting


async def a_filled_folder(room: Room) -> str:
    """With a folder inside, and a chat of each source in the inner one."""
    outer = await own(room, "Outer")
    inner = await own(room, "Inner", outer)
    for key in room.sources:
        await move_chat(room.context(), chat_id=chat_id(room, source=key), folder_id=inner)
    return outer


async def test_deleted_folder_lets_its_chats_go(folder: Path) -> None:
    async with a_room(folder, a_vendor("one"), a_vendor("two")) as room:
        outer = await a_filled_folder(room)
        removed = await delete_folder(room.context(), folder_id=outer, contents=FolderContents.KEEP_CHATS)
        assert list(removed.failures) == []
        assert names(await listed(room)) == []
        chat = await get_chat(room.context(), chat_id(room))
        assert chat is not None
        assert chat.folder is None


async def test_deleted_folder_takes_its_chats_along(folder: Path) -> None:
    async with a_room(folder, a_vendor("one", chats=[a_chat("c1"), a_chat("c2")]), a_vendor("two")) as room:
        outer = await a_filled_folder(room)
        await delete_folder(room.context(), folder_id=outer, contents=FolderContents.DELETE_CHATS)
        assert names(await listed(room)) == []
        assert [chat.native_id for chat in room.source.chats] == ["c2"]
        assert room.sources["two"].chats == []


async def test_chats_that_could_not_be_deleted_are_reported_and_their_folder_stays(folder: Path) -> None:
    cannot = a_vendor("cannot", also={Capability.DELETE_CHAT: unsupported()})
    async with a_room(folder, a_vendor("can"), cannot, a_vendor("down")) as room:
        outer = await a_filled_folder(room)
        room.sources["down"].fails_at["delete_chat"] = UpstreamUnavailable("Down.", source_id=3, operation="delete")
        removed = await delete_folder(room.context(), folder_id=outer, contents=FolderContents.DELETE_CHATS)
        assert {type(failure) for failure in removed.failures} == {CapabilityMissing, UpstreamUnavailable}
        assert names(await listed(room)) == ["Inner", "Outer"]
        assert room.sources["can"].chats == []


async def test_source_that_cannot_be_opened_is_one_of_the_failures(folder: Path) -> None:
    async with a_room(folder, a_vendor("can"), a_vendor("gone")) as room:
        outer = await a_filled_folder(room)
        await room.gateway.sources.changed(room.organization.id, 2)
        del room.gateway.connectors["gone"]  # type: ignore[attr-defined]
        removed = await delete_folder(room.context(), folder_id=outer, contents=FolderContents.DELETE_CHATS)
        assert [type(failure) for failure in removed.failures] == [UpstreamUnavailable]
        assert room.source.chats == []


async def test_chat_that_its_source_denies_is_gone_too(folder: Path) -> None:
    async with a_room(folder, a_vendor("one")) as room:
        outer = await a_filled_folder(room)
        room.source.chats = []
        removed = await delete_folder(room.context(), folder_id=outer, contents=FolderContents.DELETE_CHATS)
        assert list(removed.failures) == []
        assert ("CHAT_DELETED", "c1") in await logged(room)


async def test_folder_of_a_source_is_deleted_there(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor("one", "F")) as room:
        await delete_folder(room.context(), folder_id=folder_id(1, "f1"), contents=FolderContents.KEEP_CHATS)
        assert room.source.folders == []
        assert names(await listed(room)) == []
