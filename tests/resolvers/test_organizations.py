"""Organizations, members, keys and the audit log: who may, what is kept, and what is not found."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.errors import BadCursor, Conflict, Forbidden, IdempotencyConflict, InvalidArgument, NotFound
from domain.ids import IdType, format_id
from domain.paging import PageRequest
from domain.records import Organization, Role, Scope
from resolvers import organizations as under_test
from resolvers.api_key_secrets import digest_of
from resolvers.context import Context, Gateway
from storage.store import open_store
from tests.builders import T0
from tests.resolvers.gateways import ISSUER, a_context, a_gateway

pytestmark = pytest.mark.anyio
FIRST = PageRequest(first=100)


@dataclass
class World:
    """A gateway with `acme`, whose admin is Ann, and `beta`, which is none of her business."""

    gateway: Gateway
    acme: Organization
    beta: Organization
    told: list[None] = field(default_factory=list)

    def ann(self, organization: Organization | None = None) -> Context:
        return a_context(self.gateway, organization or self.acme, person="ann")

    def key(self, role: Role = Role.ADMIN, organization: Organization | None = None) -> Context:
        return a_context(self.gateway, organization or self.acme, role=role)

    @property
    def id(self) -> str:
        return format_id(IdType.ORGANIZATION, self.acme.id)

    async def audited(self) -> list[tuple[str, str, dict[str, Any]]]:
        entries = await self.gateway.store.organizations.audit(self.acme.id)
        return [(entry.actor, entry.action, dict(entry.input)) for entry in entries]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """It counts how often sessions were told of a change."""
    async with open_store(f"sqlite:///{tmp_path / 'store.db'}") as store:

        async def unit(tx: Any) -> tuple[Organization, Organization]:
            acme = await under_test.add_organization(store, tx, slug="acme", name="Acme", at=T0)
            beta = await under_test.add_organization(store, tx, slug="beta", name="Beta", at=T0)
            await store.organizations.add_member(
                tx, acme.id, issuer=ISSUER, subject="ann", display_name="Ann", role=Role.ADMIN, at=T0
            )
            return acme, beta

        acme, beta = await store.database.write(unit)
        told: list[None] = []
        gateway = a_gateway(store, clock=lambda: T0, access_changed=lambda: told.append(None), default_issuer=ISSUER)
        yield World(gateway, acme, beta, told)


# Reading


async def test_without_a_slug_it_is_the_organization_of_the_request(world: World) -> None:
    assert await under_test.organization(world.ann(), None) == world.acme


async def test_an_organization_of_others_is_not_found(world: World) -> None:
    assert await under_test.organization(world.ann(), "beta") is None
    assert await under_test.organization(world.key(), "beta") is None
    assert await under_test.load_organizations(world.ann(), [world.beta.id, world.acme.id]) == [None, world.acme]


async def test_a_person_sees_all_organizations_they_belong_to(world: World) -> None:
    await under_test.create_organization(world.ann(), slug="ann-too", name="Ann, too", idempotency_key=None)
    page = await under_test.organizations(world.ann(), FIRST)
    assert [one.slug for one in page.rows] == ["acme", "ann-too"]
    found = await under_test.organization(world.ann(), "ann-too")
    assert found is not None
    assert await under_test.load_organizations(world.ann(), [found.id]) == [found]
    assert await under_test.viewer_role(world.ann(), found) is Role.ADMIN


async def test_a_key_sees_its_own_organization_only(world: World) -> None:
    page = await under_test.organizations(world.key(Role.VIEWER), FIRST)
    assert list(page.rows) == [world.acme]
    assert await under_test.viewer_role(world.key(Role.VIEWER), world.acme) is Role.VIEWER


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
async def test_lists_of_admins_are_null_for_others(world: World, role: Role) -> None:
    context = world.key(role)
    assert await under_test.members(context, world.acme, FIRST) is None
    assert await under_test.api_keys(context, world.acme, FIRST) is None
    assert await under_test.audit_log(context, world.acme, FIRST) is None
    assert await under_test.get_member(context, 1) is None
    assert await under_test.get_api_key(context, 1) is None
    assert await under_test.get_audit_entry(context, 1) is None


async def test_an_admin_sees_no_lists_of_another_organization(world: World) -> None:
    assert await under_test.members(world.key(), world.beta, FIRST) is None
    other = world.key(organization=world.beta)
    assert await under_test.get_member(other, 1) is None


async def test_members_are_paged_both_ways(world: World) -> None:
    for name in ("b", "c", "d", "e"):
        await add(world, name)
    context = world.ann()
    first = await under_test.members(context, world.acme, PageRequest(first=2))
    assert first is not None
    assert [row.subject for row in first.rows] == ["ann", "b"]
    assert (first.has_next, first.has_previous) == (True, False)
    second = await under_test.members(context, world.acme, PageRequest(first=3, after=first.cursors[1]))
    assert second is not None
    assert [row.subject for row in second.rows] == ["c", "d", "e"]
    assert (second.has_next, second.has_previous) == (False, True)
    back = await under_test.members(context, world.acme, PageRequest(last=1, before=second.cursors[0]))
    assert back is not None
    assert [row.subject for row in back.rows] == ["b"]
    assert (back.has_next, back.has_previous) == (True, True)
    end = await under_test.members(context, world.acme, PageRequest(last=2))
    assert end is not None
    assert [row.subject for row in end.rows] == ["d", "e"]
    assert (end.has_next, end.has_previous) == (False, True)


async def test_the_audit_log_is_paged_from_the_newest(world: World) -> None:
    for name in ("b", "c", "d"):
        await add(world, name)
    context = world.ann()
    first = await under_test.audit_log(context, world.acme, PageRequest(first=2))
    assert first is not None
    assert [row.input["subject"] for row in first.rows] == ["d", "c"]
    rest = await under_test.audit_log(context, world.acme, PageRequest(first=2, after=first.cursors[1]))
    assert rest is not None
    assert [row.input["subject"] for row in rest.rows] == ["b"]
    oldest = await under_test.audit_log(context, world.acme, PageRequest(last=2))
    assert oldest is not None
    assert [row.input["subject"] for row in oldest.rows] == ["c", "b"]
    assert oldest.has_previous
    before = await under_test.audit_log(context, world.acme, PageRequest(last=5, before=oldest.cursors[0]))
    assert before is not None
    assert [row.input["subject"] for row in before.rows] == ["d"]


async def test_a_cursor_of_another_list_or_tenant_is_refused(world: World) -> None:
    page = await under_test.members(world.ann(), world.acme, FIRST)
    assert page is not None
    with pytest.raises(BadCursor):
        await under_test.api_keys(world.ann(), world.acme, PageRequest(first=1, after=page.cursors[0]))
    with pytest.raises(BadCursor):
        await under_test.members(
            world.key(organization=world.beta), world.beta, PageRequest(first=1, after=page.cursors[0])
        )


# Organizations


async def test_who_creates_an_organization_is_its_admin_and_it_has_a_local_source(world: World) -> None:
    made, replayed = await under_test.create_organization(world.ann(), slug="new", name="  New  ", idempotency_key=None)
    assert (made.slug, made.name, replayed) == ("new", "New", False)
    member = await world.gateway.store.organizations.member(made.id, ISSUER, "ann")
    assert member is not None
    assert member.role is Role.ADMIN
    (source,) = await world.gateway.store.sources.of(made.id)
    assert (source.key, source.vendor) == ("local", "local")


async def test_the_same_key_creates_once(world: World) -> None:
    made, _ = await under_test.create_organization(world.ann(), slug="new", name="New", idempotency_key="k")
    again, replayed = await under_test.create_organization(world.ann(), slug="new", name="New", idempotency_key="k")
    assert (again, replayed) == (made, True)
    with pytest.raises(IdempotencyConflict):
        await under_test.create_organization(world.ann(), slug="other", name="New", idempotency_key="k")


async def test_of_requests_at_once_with_one_key_one_creates(world: World) -> None:
    answers = await asyncio.gather(
        *(under_test.create_organization(world.ann(), slug="new", name="New", idempotency_key="k") for _ in range(5))
    )
    assert len({made.id for made, _ in answers}) == 1
    assert sorted(replayed for _, replayed in answers) == [False, True, True, True, True]


async def test_a_failed_creation_does_not_use_up_its_key(world: World) -> None:
    with pytest.raises(Conflict):
        await under_test.create_organization(world.ann(), slug="beta", name="New", idempotency_key="k")
    await under_test.create_organization(world.ann(), slug="gamma", name="New", idempotency_key="k")


async def test_a_taken_slug_leaves_nothing_behind(world: World) -> None:
    with pytest.raises(Conflict) as caught:
        await under_test.create_organization(world.ann(), slug="beta", name="New", idempotency_key=None)
    assert caught.value.path == ("slug",)
    assert len(await world.gateway.store.organizations.all()) == 2


@pytest.mark.parametrize("slug", ["", "A", "a_b", "-a", "a-", "ä", "a" * 64, "a\n", "a b"])
async def test_impossible_slugs_are_refused(world: World, slug: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await under_test.create_organization(world.ann(), slug=slug, name="New", idempotency_key=None)
    assert caught.value.path == ("slug",)


async def test_a_key_cannot_create_an_organization(world: World) -> None:
    with pytest.raises(Forbidden, match="`switchboard organizations create`"):
        await under_test.create_organization(world.key(), slug="new", name="New", idempotency_key=None)


async def test_a_member_cannot_create_an_organization(world: World) -> None:
    context = a_context(world.gateway, world.acme, person="bob", role=Role.MEMBER)
    with pytest.raises(Forbidden):
        await under_test.create_organization(context, slug="new", name="New", idempotency_key=None)


async def test_slug_and_name_are_changed_and_noted(world: World) -> None:
    changed = await under_test.update_organization(world.ann(), organization_id=world.id, slug="acme-2", name=None)
    assert (changed.slug, changed.name) == ("acme-2", "Acme")
    assert await world.audited() == [("Ann", "updateOrganization", {"slug": "acme-2"})]
    assert world.told


@pytest.mark.parametrize("id_", ["beta", "junk", "source"])
async def test_another_organization_is_not_found_when_written_to(world: World, id_: str) -> None:
    text = {
        "beta": format_id(IdType.ORGANIZATION, world.beta.id),
        "junk": "junk",
        "source": format_id(IdType.SOURCE, world.acme.id),
    }[id_]
    with pytest.raises(NotFound) as caught:
        await under_test.update_organization(world.ann(), organization_id=text, slug="x", name=None)
    assert (caught.value.missing_id, caught.value.path) == (text, ("organizationId",))
    with pytest.raises(NotFound):
        await add(world, "bob", organization_id=text)


# Members


async def add(world: World, subject: str, **changes: Any) -> str:
    fields = {
        "organization_id": world.id,
        "subject": subject,
        "issuer": None,
        "display_name": None,
        "role": Role.MEMBER,
        **changes,
    }
    member = await under_test.add_member(world.ann(), **fields)
    return format_id(IdType.MEMBER, member.id)


async def test_a_member_is_added_with_the_issuer_of_the_settings(world: World) -> None:
    await add(world, "bob", display_name="Bob", role=Role.VIEWER)
    member = await world.gateway.store.organizations.member(world.acme.id, ISSUER, "bob")
    assert member is not None
    assert (member.display_name, member.role) == ("Bob", Role.VIEWER)
    assert await world.audited() == [
        ("Ann", "addMember", {"subject": "bob", "issuer": ISSUER, "displayName": "Bob", "role": "VIEWER"})
    ]
    assert len(world.told) == 1


async def test_without_an_issuer_anywhere_it_is_asked_for(world: World) -> None:
    gateway = a_gateway(world.gateway.store)
    with pytest.raises(InvalidArgument) as caught:
        await under_test.add_member(
            a_context(gateway, world.acme),
            organization_id=world.id,
            subject="bob",
            issuer=None,
            display_name=None,
            role=Role.MEMBER,
        )
    assert caught.value.path == ("issuer",)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"subject": ""}, ("subject",)),
        ({"subject": "x" * 256}, ("subject",)),
        ({"issuer": "a b"}, ("issuer",)),
        ({"issuer": ""}, ("issuer",)),
        ({"display_name": "  "}, ("displayName",)),
    ],
    ids=str,
)
async def test_impossible_people_are_refused(world: World, changes: dict[str, Any], path: tuple[str, ...]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await add(world, **{"subject": "bob", **changes})
    assert caught.value.path == path


async def test_nobody_is_a_member_twice(world: World) -> None:
    with pytest.raises(Conflict) as caught:
        await add(world, "ann")
    assert caught.value.path == ("subject",)
    assert await world.audited() == []


async def test_the_last_admin_can_neither_go_nor_step_down(world: World) -> None:
    ann = await world.gateway.store.organizations.member(world.acme.id, ISSUER, "ann")
    assert ann is not None
    id_ = format_id(IdType.MEMBER, ann.id)
    with pytest.raises(Conflict, match="Make another member an admin first"):
        await under_test.remove_member(world.ann(), member_id=id_)
    with pytest.raises(Conflict):
        await under_test.update_member(world.ann(), member_id=id_, role=Role.MEMBER)
    bob = await add(world, "bob")
    await under_test.update_member(world.ann(), member_id=bob, role=Role.ADMIN)
    assert await under_test.remove_member(world.ann(), member_id=id_) == id_


async def test_changes_of_members_are_noted_and_told(world: World) -> None:
    bob = await add(world, "bob")
    await under_test.update_member(world.ann(), member_id=bob, role=Role.VIEWER)
    await under_test.remove_member(world.ann(), member_id=bob)
    assert [(action, input_) for _, action, input_ in await world.audited()][:2] == [
        ("removeMember", {"subject": "bob", "issuer": ISSUER}),
        ("updateMember", {"role": "VIEWER"}),
    ]
    assert len(world.told) == 3


async def test_a_member_of_another_organization_is_not_found(world: World) -> None:
    bob = await add(world, "bob")
    other = world.key(organization=world.beta)
    for call in (
        under_test.update_member(other, member_id=bob, role=Role.ADMIN),
        under_test.remove_member(other, member_id=bob),
        under_test.remove_member(world.ann(), member_id="junk"),
    ):
        with pytest.raises(NotFound) as caught:
            await call
        assert caught.value.path == ("memberId",)


# API keys


async def create_key(world: World, **changes: Any) -> Any:
    return await under_test.create_api_key(
        world.ann(), **{"name": "CI", "scopes": [Scope.READ], "expires_at": None, **changes}
    )


async def test_the_secret_of_a_key_is_shown_once_and_kept_nowhere(world: World) -> None:
    key, secret = await create_key(world)
    assert secret.startswith(key.prefix)
    assert (key.scopes, key.role) == ({Scope.READ}, Role.VIEWER)
    found = await world.gateway.store.organizations.api_key_by_digest(digest_of(secret))
    assert found == (key, world.acme)
    rows = await world.gateway.store.database.fetch_all("SELECT * FROM api_key")
    assert secret not in str(rows)
    assert secret not in str(await world.audited())


async def test_a_key_for_nothing_or_of_the_past_is_refused(world: World) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await create_key(world, scopes=[])
    assert caught.value.path == ("scopes",)
    with pytest.raises(InvalidArgument) as caught:
        await create_key(world, expires_at=T0)
    assert caught.value.path == ("expiresAt",)
    key, _ = await create_key(world, expires_at=T0 + timedelta(seconds=1))
    assert key.expires_at == T0 + timedelta(seconds=1)


async def test_a_revoked_key_stays_listed_with_its_time(world: World) -> None:
    key, _ = await create_key(world)
    id_ = format_id(IdType.API_KEY, key.id)
    revoked = await under_test.revoke_api_key(world.ann(), api_key_id=id_)
    assert revoked.revoked_at == T0
    page = await under_test.api_keys(world.ann(), world.acme, FIRST)
    assert page is not None
    assert list(page.rows) == [revoked]
    assert world.told
    assert [action for _, action, _ in await world.audited()] == ["revokeApiKey", "createApiKey"]


async def test_a_key_of_another_organization_cannot_be_revoked(world: World) -> None:
    key, _ = await create_key(world)
    id_ = format_id(IdType.API_KEY, key.id)
    with pytest.raises(NotFound):
        await under_test.revoke_api_key(world.key(organization=world.beta), api_key_id=id_)
    assert (await under_test.get_api_key(world.ann(), key.id)) == key


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
async def test_only_admins_administer(world: World, role: Role) -> None:
    context = world.key(role)
    for call in (
        under_test.update_organization(context, organization_id=world.id, slug=None, name="x"),
        under_test.add_member(
            context, organization_id=world.id, subject="x", issuer=None, display_name=None, role=Role.ADMIN
        ),
        under_test.update_member(context, member_id="x", role=Role.ADMIN),
        under_test.remove_member(context, member_id="x"),
        under_test.create_api_key(context, name="x", scopes=[Scope.READ], expires_at=None),
        under_test.revoke_api_key(context, api_key_id="x"),
    ):
        with pytest.raises(Forbidden):
            await call


async def test_an_admin_with_a_key_that_lacks_the_scope_does_not_administer(world: World) -> None:
    context = a_context(world.gateway, world.acme, person="ann", scopes=frozenset([Scope.READ, Scope.WRITE]))
    with pytest.raises(Forbidden) as caught:
        await under_test.create_api_key(context, name="x", scopes=[Scope.READ], expires_at=None)
    assert caught.value.required_scope == "ADMIN"
    assert await under_test.members(context, world.acme, FIRST) is None
