"""Nothing crosses an organization."""

from typing import Any

import pytest

from domain.records import GATEWAY, FolderRef
from domain.source import MessageWindow, SearchRequest
from storage.chats import ChatQuery
from tests.storage.conftest import World, an_organization, at
from tests.storage.tenancy import strangers

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("statement", "is_right"),
    [
        ("SELECT * FROM chat WHERE organization_id = 1", True),
        ("SELECT * FROM chat WHERE source_id = 1", False),
        ("SELECT * FROM chat JOIN message ON message.chat_id = chat.native_id WHERE chat.organization_id = 1", False),
        ("UPDATE message SET text = '' WHERE id = 1", False),
        ("INSERT INTO chat (source_id, organization_id) VALUES (1, 1)", True),
        ("DELETE FROM event", False),
        ("SELECT * FROM organization", True),
    ],
)
def test_the_check_that_ends_every_test_of_the_store(statement: str, is_right: bool) -> None:
    """See `tests.storage.tenancy`: what any of these tests makes the store run is held to it."""
    assert (strangers([statement]) == []) is is_right


async def test_another_organization_reads_nothing_by_any_id(world: World) -> None:
    """The same ids, asked for by somebody else."""
    await world.see(world.chat("c", title="needle"))
    await world.see_messages(world.message("m", text="needle"))
    folder = await world.write(lambda tx: world.store.folders.add(tx, world.organization.id, "F", at=at(1)))
    ids = (world.organization.id, world.source.id, "c")
    await world.write(lambda tx: world.store.chats.set_overlay(tx, *ids, pinned=True, folder=folder.ref))
    await world.write(lambda tx: world.store.read_markers.set_marker(tx, ids[0], "p", ids[1], "c", "m"))
    await world.write(lambda tx: world.store.messages.bind(tx, *ids, "public", "m"))
    other, _ = await an_organization(world.store, "other")

    async def everything(organization_id: int) -> list[Any]:
        store, source_id, key = world.store, world.source.id, (world.source.id, "c")
        query = ChatQuery(organization_id=organization_id, source_ids=(source_id,))
        request = SearchRequest(text="needle", limit=10)
        return [
            await store.chats.page(query),
            await store.chats.count(query),
            await store.chats.get_many(organization_id, [key]),
            await store.chats.overlays(organization_id, [key]),
            (await store.chats.list_state(organization_id, source_id)).baseline_at,
            await store.messages.tree(organization_id, source_id, "c"),
            (await store.messages.window(organization_id, source_id, "c", MessageWindow(first=1))).messages,
            await store.messages.get_many(organization_id, [(source_id, "c", "m")]),
            await store.messages.last_messages(organization_id, [key]),
            await store.messages.newest_id(organization_id, source_id, "c"),
            await store.messages.aliases(organization_id, source_id, "c"),
            await store.messages.has_baseline(organization_id, [key]),
            await store.folders.of(organization_id),
            await store.folders.get(organization_id, FolderRef(GATEWAY, folder.native_id)),
            await store.folders.subtree(organization_id, folder.ref),
            await store.read_markers.markers(organization_id, "p", [key]),
            (await store.read_markers.unread_counts(organization_id, "p", [key]))[key] is not None,
            await store.events.after(organization_id, 0, 10),
            await store.events.head(organization_id),
            await store.search.find(organization_id, [source_id], request),
        ]

    assert all(await everything(world.organization.id))
    assert not any(await everything(other.id))


async def test_another_organization_changes_nothing_by_any_id(world: World) -> None:
    await world.see(world.chat("c", title="T"))
    await world.see_messages(world.message("m", text="words"))
    other, _ = await an_organization(world.store, "other")
    store, source_id = world.store, world.source.id
    before = await world.store.database.fetch_all("SELECT * FROM message /* test */")
    assert await world.write(lambda tx: store.messages.remove(tx, other.id, source_id, "c", ["m"], at=at(50))) == ()
    await world.write(lambda tx: store.messages.save_text(tx, other.id, source_id, "c", "m", "taken over"))
    await world.write(lambda tx: store.chats.remove(tx, other.id, source_id, "c", at(50)))
    await world.write(lambda tx: store.chats.forget_unseen(tx, other.id, at(9999), keep=()))
    assert await world.store.database.fetch_all("SELECT * FROM message /* test */") == before
    assert await world.get() is not None
