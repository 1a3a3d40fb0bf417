"""Organizations, members, API keys, audit."""

import pytest

from domain.errors import Conflict, NotFound
from domain.records import Member, Role, Scope
from tests.storage.conftest import START, World, an_organization, at

pytestmark = pytest.mark.anyio


async def add_member(
    world: World, subject: str, role: Role = Role.MEMBER, organization_id: int | None = None
) -> Member:
    return await world.write(
        lambda tx: world.store.organizations.add_member(
            tx,
            organization_id or world.organization.id,
            issuer="https://id",
            subject=subject,
            display_name=None,
            role=role,
            at=at(1),
        )
    )


async def test_a_slug_is_taken_once(world: World) -> None:
    with pytest.raises(Conflict, match="Choose another `slug`") as caught:
        await an_organization(world.store, "acme")
    assert caught.value.path == ("slug",)
    other, _ = await an_organization(world.store, "other")
    with pytest.raises(Conflict):
        await world.write(lambda tx: world.store.organizations.replace(tx, other.id, slug="acme"))
    assert await world.store.organizations.by_slug("other") == other


async def test_only_what_is_given_is_replaced(world: World) -> None:
    organizations = world.store.organizations
    changed = await world.write(lambda tx: organizations.replace(tx, world.organization.id, name="New"))
    assert (changed.slug, changed.name, changed.created_at) == ("acme", "New", START)
    assert await organizations.get(world.organization.id) == changed
    assert await organizations.all() == [changed]
    with pytest.raises(NotFound):
        await world.write(lambda tx: organizations.replace(tx, 99, name="New"))


async def test_somebody_belongs_to_several_organizations(world: World) -> None:
    organizations = world.store.organizations
    for slug in ("zeta", "beta"):
        other, _ = await an_organization(world.store, slug)
        await add_member(world, "me", organization_id=other.id)
    mine = await add_member(world, "me", Role.ADMIN)
    await add_member(world, "somebody else")
    found = await organizations.of_member("https://id", "me")
    assert [organization.slug for organization, _ in found] == ["acme", "beta", "zeta"]
    assert found[0] == (world.organization, mine)
    assert await organizations.of_member("https://other", "me") == []

    async def page(**place: str) -> list[str]:
        rows = await organizations.page_for_member("https://id", "me", limit=2, **place)
        return [row.slug for row in rows]

    assert await page() == ["acme", "beta"]
    assert await page(after="beta") == ["zeta"]
    assert await page(before="zeta") == ["acme", "beta"]
    assert await page(before="~") == ["beta", "zeta"]


async def test_members(world: World) -> None:
    organizations, organization_id = world.store.organizations, world.organization.id
    one, two, three = [await add_member(world, name) for name in ("one", "two", "three")]
    with pytest.raises(Conflict, match="updateMember"):
        await add_member(world, "one")
    assert await organizations.members(organization_id) == [one, two, three]
    assert await organizations.members(organization_id, after_id=one.id, limit=1) == [two]
    assert await organizations.members(organization_id, before_id=three.id, limit=1) == [two]
    assert await organizations.member(organization_id, "https://id", "two") == two
    assert await organizations.get_member(organization_id, two.id) == two
    assert await organizations.get_member(organization_id + 1, two.id) is None
    assert await organizations.member(organization_id, "https://id", "nobody") is None


async def test_the_last_admin_stays(world: World) -> None:
    organizations, organization_id = world.store.organizations, world.organization.id
    admin, other = await add_member(world, "admin", Role.ADMIN), await add_member(world, "other")
    with pytest.raises(Conflict, match="another member an admin first"):
        await world.write(lambda tx: organizations.remove_member(tx, organization_id, admin.id))
    with pytest.raises(Conflict):
        await world.write(lambda tx: organizations.replace_member_role(tx, organization_id, admin.id, Role.VIEWER))
    await world.write(lambda tx: organizations.replace_member_role(tx, organization_id, other.id, Role.ADMIN))
    gone = await world.write(lambda tx: organizations.remove_member(tx, organization_id, admin.id))
    assert gone == admin
    with pytest.raises(NotFound):
        await world.write(lambda tx: organizations.remove_member(tx, organization_id, admin.id))
    with pytest.raises(NotFound):
        await world.write(lambda tx: organizations.replace_member_role(tx, organization_id, admin.id, Role.ADMIN))


async def test_api_keys(world: World) -> None:
    organizations, organization_id = world.store.organizations, world.organization.id
    assert not await organizations.has_api_keys()
    keys = [
        await world.write(
            lambda tx, n=n: organizations.add_api_key(  # type: ignore[misc]
                tx, organization_id, f"key {n}", "sb_abc", bytes([n]) * 32, {Scope.READ}, Role.VIEWER, at(99), at(1)
            )
        )
        for n in range(3)
    ]
    assert await organizations.has_api_keys()
    assert await organizations.api_key_by_digest(bytes([1]) * 32) == (keys[1], world.organization)
    assert await organizations.api_key_by_digest(b"other") is None
    assert await organizations.api_keys(organization_id) == keys
    assert await organizations.api_keys(organization_id, after_id=keys[0].id, limit=1) == [keys[1]]
    assert await organizations.api_keys(organization_id, before_id=keys[2].id, limit=1) == [keys[1]]
    assert await organizations.get_api_key(organization_id, keys[0].id) == keys[0]
    assert await organizations.get_api_key(organization_id + 1, keys[0].id) is None


async def test_a_key_is_revoked_once(world: World) -> None:
    organizations, organization_id = world.store.organizations, world.organization.id
    key = await world.write(
        lambda tx: organizations.add_api_key(
            tx, organization_id, "key", "sb_", b"d", {Scope.WRITE}, Role.MEMBER, None, at(1)
        )
    )
    for moment in (at(5), at(6)):
        revoked = await world.write(
            lambda tx, moment=moment: organizations.revoke(tx, organization_id, key.id, moment)  # type: ignore[misc]
        )
    assert revoked.revoked_at == at(5)
    assert not await organizations.has_api_keys()
    with pytest.raises(NotFound):
        await world.write(lambda tx: organizations.revoke(tx, organization_id + 1, key.id, at(7)))


async def test_use_of_a_key_is_noted_at_most_once_a_minute(world: World) -> None:
    organizations, organization_id = world.store.organizations, world.organization.id
    key = await world.write(
        lambda tx: organizations.add_api_key(
            tx, organization_id, "key", "sb_", b"d", {Scope.READ}, Role.VIEWER, None, at(1)
        )
    )
    seen = []
    for second in (10, 69, 70):
        await organizations.touch(key.id, at(second))
        found = await organizations.get_api_key(organization_id, key.id)
        assert found is not None
        seen.append(found.last_used_at)
    assert seen == [at(10), at(10), at(70)]


async def test_the_audit_log_is_newest_first(world: World) -> None:
    organizations, organization_id = world.store.organizations, world.organization.id
    for number in range(4):
        await world.write(
            lambda tx, n=number: organizations.add_audit(  # type: ignore[misc]
                tx, organization_id, at=at(n), actor="key:1", action="addMember", target=None, input={"n": n}
            )
        )
    entries = await organizations.audit(organization_id)
    assert [entry.input["n"] for entry in entries] == [3, 2, 1, 0]
    assert await organizations.audit(organization_id, before_id=entries[1].id, limit=1) == [entries[2]]
    assert await organizations.audit_after(organization_id, entries[3].id, 2) == entries[1:3]
    assert await organizations.audit_entry(organization_id, entries[0].id) == entries[0]
    assert await organizations.audit_entry(organization_id + 1, entries[0].id) is None
