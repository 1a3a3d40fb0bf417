"""What the log says of chats and folders, whoever changes them: once for each change, and to whom it may be told."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.errors import UpstreamUnavailable
from domain.ids import folder_id
from domain.paging import PageRequest
from domain.records import GATEWAY, EventKind, Folder, FolderRef, Visibility
from domain.source import FolderContents
from resolvers.chat_writes import move_chat, set_chat_archived, set_chat_pinned, set_chat_tags, update_chat
from resolvers.chats import get_chat
from resolvers.folders import FolderFilter, create_folder, delete_folder, folders, update_folder
from resolvers.live_events import Happened
from tests.builders import a_chat, a_principal
from tests.fakes import FakeSource
from tests.resolvers.conftest import Room, a_room
from tests.resolvers.rooms import ALL_NATIVE, a_vendor, an_ear, chat_id, logged

pytestmark = pytest.mark.anyio
NATIVE: dict[str, Any] = {"also": ALL_NATIVE, "has_folders": True}


def a_filing_vendor(**traits: Any) -> FakeSource:
    """With the folders `f1` and, inside it, `f2`."""
    fake = a_vendor("vendor", chats=[a_chat("c1"), a_chat("c2")], **{**NATIVE, **traits})
    fake.folders = [
        Folder(organization_id=1, source_id=1, native_id="f1", name="Work"),
        Folder(organization_id=1, source_id=1, native_id="f2", name="Inner", parent_id="f1"),
    ]
    return fake


async def seen(room: Room) -> None:
    """Everything is read: from now on a difference is news."""
    for chat in ("c1", "c2"):
        await get_chat(room.context(), chat_id(room, chat))
    await folders(room.context(), PageRequest(first=50), FolderFilter(), 2000)


# Chats

Change = Callable[[Room], Awaitable[Any]]
WRITES: Mapping[str, Change] = {
    "title": lambda room: update_chat(room.context(), chat_id=chat_id(room), title="New"),
    "metadata": lambda room: update_chat(room.context(), chat_id=chat_id(room), metadata={"a": 1}),
    "tags": lambda room: set_chat_tags(room.context(), chat_id=chat_id(room), tags=["new"]),
    "pin": lambda room: set_chat_pinned(room.context(), chat_id=chat_id(room), pinned=True),
    "archive": lambda room: set_chat_archived(room.context(), chat_id=chat_id(room), archived=True),
}
TRAITS: Mapping[str, Mapping[str, Any]] = {"at the source": NATIVE, "in the overlay": {"also": {}}}
KEPT = {"tags", "pin", "archive"}
"""What the fake without abilities of its own leaves to the overlay."""


@pytest.mark.parametrize("where", TRAITS)
@pytest.mark.parametrize("what", WRITES)
async def test_change_through_the_gateway_is_one_line(folder: Path, where: str, what: str) -> None:
    if where == "in the overlay" and what not in KEPT:
        return
    async with a_room(folder, a_vendor("vendor", **TRAITS[where])) as room:
        await get_chat(room.context(), chat_id(room))
        for _ in range(2):  # said twice it is the same as once
            await WRITES[what](room)
        assert await logged(room) == [("CHAT_UPDATED", "c1")]


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Theirs"},
        {"metadata": {"theirs": 1}},
        {"tags": ("theirs",)},
        {"pinned": True},
        {"archived": True, "folder": None},
        {"folder": FolderRef(1, "f1")},
        {"share_url": "https://chat.example.com/s/1"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_change_in_the_vendors_own_app_is_one_line_once_it_is_read(folder: Path, change: dict[str, Any]) -> None:
    async with a_room(folder, a_filing_vendor()) as room:
        room.source.chats[0] = replace(room.source.chats[0], folder=FolderRef(1, "f2"))
        await seen(room)
        room.source.chats[0] = replace(room.source.chats[0], **change)
        for _ in range(2):
            await get_chat(room.context(), chat_id(room))
        assert await logged(room) == [("CHAT_UPDATED", "c1")]


async def test_move_between_folders_is_one_line_whosever_they_are(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor()) as room:
        await seen(room)
        own = await create_folder(room.context(), name="Own", parent_id=None, source_id=None, idempotency_key=None)
        places = [folder_id(1, "f1"), folder_id(1, "f2"), folder_id(GATEWAY, own.value.native_id), None]
        for place in places:
            before = len(await logged(room))
            await move_chat(room.context(), chat_id=chat_id(room), folder_id=place)
            lines = (await logged(room))[before:]
            assert set(lines) == {("CHAT_UPDATED", "c1")}
            shown = await get_chat(room.context(), chat_id(room))
            assert shown is not None
            assert (folder_id(shown.folder.source_id, shown.folder.native_id) if shown.folder else None) == place


# Folders


async def test_folder_of_the_gateway_is_told_at_each_change(folder: Path) -> None:
    async with a_room(folder, a_vendor()) as room:
        async with an_ear(room) as ear:
            made = await create_folder(room.context(), name="One", parent_id=None, source_id=None, idempotency_key=None)
            id_ = folder_id(GATEWAY, made.value.native_id)
            top = await create_folder(room.context(), name="Top", parent_id=None, source_id=None, idempotency_key=None)
            await update_folder(room.context(), folder_id=id_, name="Two")
            await update_folder(room.context(), folder_id=id_, name="Two")
            await update_folder(room.context(), folder_id=id_, parent_id=folder_id(GATEWAY, top.value.native_id))
            await delete_folder(room.context(), folder_id=id_, contents=FolderContents.KEEP_CHATS)
            told = [await ear.next() for _ in range(5)]
        assert [event.event.native_id for event in told if isinstance(event, Happened)] == [
            made.value.native_id,
            top.value.native_id,
            *[made.value.native_id] * 3,
        ]
        assert len(await logged(room)) == 5


async def test_folder_of_a_vendor_is_told_at_each_change_made_here(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor()) as room:
        await seen(room)
        made = await create_folder(
            room.context(), name="New", parent_id=folder_id(1, "f1"), source_id=None, idempotency_key=None
        )
        id_ = folder_id(1, made.value.native_id)
        for name in ("Newer", "Newer"):
            await update_folder(room.context(), folder_id=id_, name=name)
        await update_folder(room.context(), folder_id=id_, parent_id=None)
        await delete_folder(room.context(), folder_id=id_, contents=FolderContents.KEEP_CHATS)
        await folders(room.context(), PageRequest(first=50), FolderFilter(), 2000)
        assert await logged(room) == [("FOLDER_CHANGED", made.value.native_id)] * 4


async def test_folder_changed_in_the_vendors_own_app_is_told_once_it_is_read(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor()) as room:
        await seen(room)
        first, second = room.source.folders
        steps = [
            [replace(first, name="Renamed"), second],
            [replace(first, name="Renamed"), replace(second, parent_id=None)],
            [replace(first, name="Renamed")],
            [replace(first, name="Renamed"), Folder(organization_id=1, source_id=1, native_id="f3", name="New")],
        ]
        for step in steps:
            room.source.folders = step
            for _ in range(2):
                await folders(room.context(), PageRequest(first=50), FolderFilter(), 2000)
        assert [native_id for _, native_id in await logged(room, EventKind.FOLDER_CHANGED)] == ["f1", "f2", "f2", "f3"]


async def a_filled_room(room: Room) -> None:
    """A chat in each of the vendor's folders."""
    room.source.chats = [
        replace(chat, folder=FolderRef(1, place)) for chat, place in zip(room.source.chats, ("f1", "f2"), strict=True)
    ]
    await seen(room)


async def test_chats_of_a_vendors_folder_that_is_deleted_are_told_to_be_in_none(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor()) as room:
        await a_filled_room(room)
        await delete_folder(room.context(), folder_id=folder_id(1, "f1"), contents=FolderContents.KEEP_CHATS)
        told = await logged(room)
        assert sorted(told) == [
            ("CHAT_UPDATED", "c1"),
            ("CHAT_UPDATED", "c2"),
            ("FOLDER_CHANGED", "f1"),
            ("FOLDER_CHANGED", "f2"),
        ]
        await seen(room)
        assert await logged(room) == told


async def test_chats_that_are_deleted_with_a_vendors_folder_are_told_to_be_gone(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor()) as room:
        await a_filled_room(room)
        await delete_folder(room.context(), folder_id=folder_id(1, "f1"), contents=FolderContents.DELETE_CHATS)
        assert sorted(await logged(room)) == [
            ("CHAT_DELETED", "c1"),
            ("CHAT_DELETED", "c2"),
            ("FOLDER_CHANGED", "f1"),
            ("FOLDER_CHANGED", "f2"),
        ]


async def test_chat_that_was_moved_out_of_a_folder_before_it_was_deleted_lives(folder: Path) -> None:
    """The copy still has it in the folder; the source is asked."""
    async with a_room(folder, a_filing_vendor()) as room:
        await a_filled_room(room)
        room.source.chats[0] = replace(room.source.chats[0], folder=None)
        await delete_folder(room.context(), folder_id=folder_id(1, "f1"), contents=FolderContents.DELETE_CHATS)
        assert ("CHAT_DELETED", "c1") not in await logged(room)
        assert ("CHAT_DELETED", "c2") in await logged(room)


async def test_folder_that_a_source_deleted_is_gone_though_the_source_falls_silent(folder: Path) -> None:
    async with a_room(folder, a_filing_vendor()) as room:
        await a_filled_room(room)
        room.source.fails_at = {
            operation: UpstreamUnavailable("Down.", source_id=1, operation=operation)
            for operation in ("get_chat", "list_folders")
        }
        await delete_folder(room.context(), folder_id=folder_id(1, "f1"), contents=FolderContents.DELETE_CHATS)
        assert set(await logged(room, EventKind.FOLDER_CHANGED)) == {("FOLDER_CHANGED", "f1"), ("FOLDER_CHANGED", "f2")}
        assert await logged(room, EventKind.CHAT_DELETED) == []


async def test_folder_of_a_private_source_is_told_to_nobody_else(folder: Path) -> None:
    record = {"visibility": Visibility.OWNER, "owner": "key:1"}
    async with a_room(folder, a_filing_vendor(record=record)) as room:
        await seen(room)
        start = await room.context().event_cursor()
        await update_folder(room.context(), folder_id=folder_id(1, "f1"), name="Secret")
        await create_folder(room.context(), name="Open", parent_id=None, source_id=None, idempotency_key=None)
        told = {}
        for key in ("key:1", "key:2"):
            async with an_ear(room, room.context(principal=a_principal(key=key)), after=start) as ear:
                told[key] = [
                    event.folder.name for event in ear.heard if isinstance(event, Happened) and event.folder is not None
                ]
        assert told == {"key:1": ["Secret", "Open"], "key:2": ["Open"]}
