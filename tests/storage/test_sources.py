"""Sources: their keys, settings, credentials, and what stays of one that is removed."""

from dataclasses import replace

import pytest

from domain.errors import Conflict, NotFound
from domain.records import Account, AccountKind, FolderRef, Source, Visibility
from tests.storage.conftest import START, World, an_organization, at

pytestmark = pytest.mark.anyio


async def add(
    world: World,
    key: str = "new",
    sealed: bytes = b"sealed",
    *,
    visibility: Visibility = Visibility.OWNER,
    owner: str = "key:1",
) -> Source:
    return await world.write(
        lambda tx: world.store.sources.add(
            tx,
            organization_id=world.organization.id,
            key=key,
            vendor="open_webui",
            display_name="Name",
            base_url="https://chat",
            options={"path_prefix": "/api"},
            visibility=visibility,
            owner=owner,
            account=Account(kind=AccountKind.TEAM, native_id="t"),
            created_at=START,
            sealed_credentials=sealed,
        )
    )


async def test_a_source_comes_back_as_it_was(world: World) -> None:
    source = await add(world)
    sources, organization_id = world.store.sources, world.organization.id
    assert await sources.get(organization_id, source.id) == source
    assert await sources.of(organization_id) == [world.source, source]
    assert (source.account, source.visibility) == (Account(kind=AccountKind.TEAM, native_id="t"), Visibility.OWNER)
    assert await sources.credentials(organization_id, source.id) == b"sealed"


async def test_a_key_is_taken_once_in_an_organization(world: World) -> None:
    await add(world)
    with pytest.raises(Conflict, match="Choose another `key`") as caught:
        await add(world)
    assert caught.value.path == ("key",)
    world.organization, _ = await an_organization(world.store, "other")
    await add(world)


async def test_a_key_of_a_source_that_others_do_not_see_is_free_for_them(world: World) -> None:
    """Else a refusal would tell them that there is such a source."""
    own = await add(world, owner="ann")
    theirs = await add(world, owner="bob")
    shared = await add(world, owner="bob", key="shared", visibility=Visibility.ORGANIZATION)
    everybodys = await add(world, owner="eve", visibility=Visibility.ORGANIZATION)
    assert len({own.id, theirs.id, shared.id, everybodys.id}) == 4
    assert await world.store.sources.by_key(world.organization.id, "new") == everybodys


@pytest.mark.parametrize("first", [Visibility.OWNER, Visibility.ORGANIZATION])
@pytest.mark.parametrize("second", [Visibility.OWNER, Visibility.ORGANIZATION])
async def test_a_key_that_its_owner_sees_is_taken(world: World, first: Visibility, second: Visibility) -> None:
    await add(world, visibility=first)
    with pytest.raises(Conflict):
        await add(world, visibility=second)


async def test_a_key_of_the_organization_is_taken_for_everybody(world: World) -> None:
    await add(world, visibility=Visibility.ORGANIZATION)
    with pytest.raises(Conflict):
        await add(world, owner="bob")


async def test_the_source_of_a_key_is_never_one_that_only_its_owner_sees(world: World) -> None:
    await add(world)
    assert await world.store.sources.by_key(world.organization.id, "new") is None


async def test_another_constraint_is_not_taken_for_a_taken_key(world: World) -> None:
    world.organization = replace(world.organization, id=99)
    with pytest.raises(Exception, match="FOREIGN KEY"):
        await add(world)


async def test_settings_are_replaced_and_credentials_when_given(world: World) -> None:
    source = await add(world)
    sources, organization_id = world.store.sources, world.organization.id
    wanted = replace(source, display_name="New", options={}, base_url=None, account=None)
    assert await world.write(lambda tx: sources.replace(tx, wanted)) == wanted
    assert await sources.credentials(organization_id, source.id) == b"sealed"
    await world.write(lambda tx: sources.replace(tx, wanted, b"other"))
    assert await sources.credentials(organization_id, source.id) == b"other"
    account = Account(kind=AccountKind.INSTANCE, name="N")
    await world.write(lambda tx: sources.set_account(tx, organization_id, source.id, account))
    assert await sources.get(organization_id, source.id) == replace(wanted, account=account)


async def test_another_organization_knows_nothing_of_it(world: World) -> None:
    source = await add(world)
    other, _ = await an_organization(world.store, "other")
    assert await world.store.sources.get(other.id, source.id) is None
    assert await world.store.sources.credentials(other.id, source.id) == b""
    with pytest.raises(NotFound):
        await world.write(lambda tx: world.store.sources.remove(tx, other.id, source.id, at=at(1)))
    with pytest.raises(NotFound):
        await world.write(lambda tx: world.store.sources.replace(tx, replace(source, organization_id=other.id)))


@pytest.mark.parametrize("keep_mirror", [False, True])
async def test_removing(world: World, keep_mirror: bool) -> None:
    await world.see(world.chat("c", title="T"))
    await world.see_messages(world.message("m"))
    ids = (world.organization.id, world.source.id)
    await world.write(lambda tx: world.store.chats.set_overlay(tx, *ids, "c", folder=FolderRef(0, "f")))
    await world.write(lambda tx: world.store.sources.remove(tx, *ids, at=at(50), keep_mirror=keep_mirror))
    shown = await world.store.sources.of(world.organization.id)
    assert [source.disconnected_at for source in shown] == ([at(50)] if keep_mirror else [])
    assert await world.store.sources.credentials(*ids) == b""
    assert (await world.get() is not None) is keep_mirror
    assert (len(await world.events()) > 0) is keep_mirror
    if keep_mirror:
        await world.write(lambda tx: world.store.sources.remove(tx, *ids, at=at(51)))
        assert await world.get() is None
    with pytest.raises(NotFound):
        await world.write(lambda tx: world.store.sources.remove(tx, *ids, at=at(52)))


async def test_an_id_is_never_used_again(world: World) -> None:
    first = await add(world)
    await world.write(lambda tx: world.store.sources.remove(tx, world.organization.id, first.id, at=at(1)))
    assert (await add(world)).id > first.id
