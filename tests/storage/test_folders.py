"""Folders of the gateway, and the mirror of a vendor's."""

import pytest

from domain.errors import InvalidArgument, NotFound
from domain.records import GATEWAY, Folder, FolderRef
from tests.storage.conftest import World, at

pytestmark = pytest.mark.anyio


async def add(world: World, name: str, parent: Folder | None = None) -> Folder:
    parent_id = parent.native_id if parent else None
    return await world.write(
        lambda tx: world.store.folders.add(tx, world.organization.id, name, parent_id=parent_id, at=at(1))
    )


def vendors(world: World, native_id: str, name: str, parent_id: str | None = None) -> Folder:
    return Folder(
        organization_id=world.organization.id,
        source_id=world.source.id,
        native_id=native_id,
        name=name,
        parent_id=parent_id,
    )


async def observe(world: World, *folders: Folder, started: float = 10) -> tuple[str, ...]:
    ids = (world.organization.id, world.source.id)
    return await world.write(lambda tx: world.store.folders.observe(tx, *ids, folders, at(started)))


async def names(world: World, *source_ids: int) -> list[str]:
    return [folder.name for folder in await world.store.folders.of(world.organization.id, source_ids or None)]


async def test_folders_are_listed_by_name_whatever_the_case(world: World) -> None:
    for name in ("b", "A", "ä", "C"):
        await add(world, name)
    await observe(world, vendors(world, "v", "B"))
    assert await names(world) == ["A", "b", "B", "C", "ä"]
    assert await names(world, GATEWAY) == ["A", "b", "C", "ä"]
    assert await names(world, world.source.id) == ["B"]


async def test_folders_nest(world: World) -> None:
    top = await add(world, "top")
    middle = await add(world, "middle", top)
    low = await add(world, "low", middle)
    folders = world.store.folders
    assert await folders.children(world.organization.id, top.ref) == [middle]
    assert await folders.subtree(world.organization.id, top.ref) == [top, middle, low]
    assert await folders.get_many(world.organization.id, [low.ref, FolderRef(GATEWAY, "x")]) == {low.ref: low}


async def test_each_change_is_one_event(world: World) -> None:
    folder, other = await add(world, "F"), await add(world, "G")
    folders, organization_id = world.store.folders, world.organization.id
    for _ in range(2):
        renamed = await world.write(lambda tx: folders.rename(tx, organization_id, folder.ref, "N", at(5)))
        moved = await world.write(lambda tx: folders.move(tx, organization_id, folder.ref, other.native_id, at(6)))
    assert (renamed.name, moved.parent_id, moved.updated_at) == ("N", other.native_id, at(6))
    assert [name for _, name in await world.news()] == [folder.native_id, other.native_id] + [folder.native_id] * 2


async def test_a_folder_is_never_inside_itself(world: World) -> None:
    top = await add(world, "top")
    low = await add(world, "low", await add(world, "middle", top))
    for parent in (top, low):
        with pytest.raises(InvalidArgument, match="Choose another parent") as caught:
            await world.write(
                lambda tx, parent=parent: world.store.folders.move(  # type: ignore[misc]
                    tx, world.organization.id, top.ref, parent.native_id, at(5)
                )
            )
        assert caught.value.path == ("parentId",)
    moved = await world.write(lambda tx: world.store.folders.move(tx, world.organization.id, low.ref, None, at(5)))
    assert moved.parent_id is None


async def test_a_parent_that_is_not_there_is_refused(world: World) -> None:
    await observe(world, vendors(world, "v", "vendor's"))
    folder = await add(world, "F")
    for parent_id in ("nowhere", "v"):
        with pytest.raises(InvalidArgument, match="folder of the same source"):
            await world.write(
                lambda tx, parent_id=parent_id: world.store.folders.move(  # type: ignore[misc]
                    tx, world.organization.id, folder.ref, parent_id, at(5)
                )
            )
        with pytest.raises(InvalidArgument):
            await world.write(
                lambda tx, parent_id=parent_id: world.store.folders.add(  # type: ignore[misc]
                    tx, world.organization.id, "G", parent_id=parent_id, at=at(5)
                )
            )


async def test_a_folder_that_is_not_there_is_not_found(world: World) -> None:
    folders, ref = world.store.folders, FolderRef(GATEWAY, "nowhere")
    with pytest.raises(NotFound):
        await world.write(lambda tx: folders.rename(tx, world.organization.id, ref, "N", at(5)))
    with pytest.raises(NotFound):
        await world.write(lambda tx: folders.remove(tx, world.organization.id, ref, at(5)))
    assert await folders.get(world.organization.id, ref) is None


async def test_removing_takes_what_is_inside_and_leaves_the_chats(world: World) -> None:
    await world.see(world.chat("c"))
    top = await add(world, "top")
    low = await add(world, "low", top)
    ids = (world.organization.id, world.source.id, "c")
    await world.write(lambda tx: world.store.chats.set_overlay(tx, *ids, folder=low.ref))
    gone = await world.write(lambda tx: world.store.folders.remove(tx, world.organization.id, top.ref, at(9)))
    assert gone == (top.ref, low.ref)
    chat = await world.get()
    assert chat is not None
    assert chat.folder is None
    assert await names(world) == []
    kinds = [kind for kind, _ in await world.news()]
    assert kinds == ["FOLDER_CHANGED"] * 2 + ["CHAT_UPDATED"] * 2 + ["FOLDER_CHANGED"] * 2


async def test_removing_a_vendors_folder_unfiles_its_chats(world: World) -> None:
    await observe(world, vendors(world, "v", "V"))
    ref = FolderRef(world.source.id, "v")
    await world.see(world.chat("c", folder=ref))
    await world.write(lambda tx: world.store.folders.remove(tx, world.organization.id, ref, at(50)))
    chat = await world.get()
    assert chat is not None
    assert chat.folder is None


async def test_the_first_list_of_a_vendor_is_history(world: World) -> None:
    await observe(world, vendors(world, "a", "A"))
    assert await world.events() == []
    await observe(world, vendors(world, "a", "A"), vendors(world, "b", "B"), started=20)
    assert await world.news() == [("FOLDER_CHANGED", "b")]


async def test_a_vendors_list_is_mirrored(world: World) -> None:
    await observe(world, vendors(world, "a", "A"), vendors(world, "b", "B"))
    changed = await observe(world, vendors(world, "a", "new"), started=20)
    assert changed == ("a", "b")
    assert await names(world) == ["new"]
    assert await observe(world, vendors(world, "a", "new"), started=30) == ()
    assert await observe(world, vendors(world, "a", "new"), vendors(world, "b", "B"), started=40) == ("b",)


async def test_a_list_never_overwrites_what_changed_after_it_was_started(world: World) -> None:
    await observe(world, vendors(world, "a", "A"))
    await world.write(lambda tx: world.store.folders.put(tx, vendors(world, "a", "ours"), at(30)))
    await world.write(lambda tx: world.store.folders.put(tx, vendors(world, "b", "new"), at(30)))
    assert await observe(world, vendors(world, "a", "A"), started=20) == ()
    assert await names(world) == ["new", "ours"]


async def test_times_of_a_vendors_folder_are_written_without_an_event(world: World) -> None:
    await observe(world, vendors(world, "a", "A"))
    dated = Folder(
        organization_id=world.organization.id, source_id=world.source.id, native_id="a", name="A", updated_at=at(3)
    )
    assert await observe(world, dated, started=20) == ()
    assert await world.store.folders.of(world.organization.id) == [dated]


async def test_a_vendors_circle_ends(world: World) -> None:
    await observe(world, vendors(world, "a", "A", "b"), vendors(world, "b", "B", "a"))
    inside = await world.store.folders.subtree(world.organization.id, FolderRef(world.source.id, "a"))
    assert [folder.name for folder in inside] == ["A", "B"]


async def test_a_folder_that_a_list_shows_twice_is_one(world: World) -> None:
    await observe(world)
    assert await observe(world, vendors(world, "a", "A"), vendors(world, "a", "A"), started=20) == ("a",)
