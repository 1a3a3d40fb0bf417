"""Who is asking, and for which organization."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.errors import Forbidden, OrganizationRequired, Unauthenticated
from domain.records import Role, Scope
from resolvers.api_key_secrets import new_api_key
from switchboard.auth import Authenticator, Identity
from switchboard.settings import JwtSettings
from switchboard.tokens import TokenVerifier
from tests.switchboard.access import Access, open_access
from tests.switchboard.sign_in import AUDIENCE, ISSUER, SigningKey, sign_in_service

pytestmark = pytest.mark.anyio
KEY = SigningKey("k1")


@pytest.fixture
async def access(tmp_path: Path) -> AsyncIterator[Access]:
    """Two organizations. Tokens are of today, so the clock is the machine's."""
    async with open_access(tmp_path) as opened:
        opened.clock.now = datetime.now(UTC)
        yield opened


@pytest.fixture
async def auth(access: Access) -> AsyncIterator[Authenticator]:
    """With tokens, and a memory of no time."""
    async with sign_in_service(KEY) as service:
        settings = JwtSettings(issuer=ISSUER, audience=AUDIENCE, jwks_url=service.url, organization_claim="org")
        verifier = TokenVerifier(settings, now=access.clock)
        made = Authenticator(access.store, verifier=verifier, check_seconds=1e-9, now=access.clock)
        yield made
        await made.aclose()


async def identify(auth: Authenticator, token: str, organization: str | None = None) -> Identity:
    return await auth.identify(token, organization)


async def test_a_key_acts_for_its_organization_with_its_scopes(access: Access, auth: Authenticator) -> None:
    key, secret = await access.key(access.acme, Scope.READ, Scope.WRITE)
    identity = await identify(auth, secret)
    assert identity.organization == access.acme
    assert identity.principal.key == f"key:{key.id}"
    assert (identity.role, identity.scopes) == (Role.MEMBER, frozenset({Scope.READ, Scope.WRITE}))


@pytest.mark.parametrize(
    ("scope", "role"), [(Scope.READ, Role.VIEWER), (Scope.WRITE, Role.MEMBER), (Scope.ADMIN, Role.ADMIN)]
)
async def test_the_role_of_a_key_follows_its_scopes(
    access: Access, auth: Authenticator, scope: Scope, role: Role
) -> None:
    _, secret = await access.key(access.acme, scope)
    assert (await identify(auth, secret)).role is role


async def test_a_key_cannot_be_moved_to_another_organization(access: Access, auth: Authenticator) -> None:
    _, secret = await access.key(access.acme)
    assert (await identify(auth, secret, "beta")).organization == access.acme


async def test_an_unknown_key_is_refused(auth: Authenticator) -> None:
    with pytest.raises(Unauthenticated, match="not known here"):
        await identify(auth, new_api_key().secret)


async def test_one_changed_character_makes_a_key_unknown(access: Access, auth: Authenticator) -> None:
    _, secret = await access.key()
    with pytest.raises(Unauthenticated):
        await identify(auth, secret[:-1] + ("A" if secret[-1] != "A" else "Q"))


async def test_a_revoked_key_is_refused(access: Access, auth: Authenticator) -> None:
    key, secret = await access.key()
    await identify(auth, secret)
    await access.revoke(key)
    with pytest.raises(Unauthenticated, match="it was revoked"):
        await identify(auth, secret)


async def test_an_expired_key_is_refused(access: Access, auth: Authenticator) -> None:
    _, secret = await access.key(expires_at=access.clock() + timedelta(minutes=1))
    assert (await identify(auth, secret)).expires_at is not None
    access.clock.pass_(minutes=1)
    with pytest.raises(Unauthenticated, match="it has expired"):
        await identify(auth, secret)


async def test_the_last_use_of_a_key_is_noted(access: Access, auth: Authenticator) -> None:
    key, secret = await access.key()
    await identify(auth, secret)
    await auth.aclose()
    noted = await access.store.organizations.get_api_key(access.acme.id, key.id)
    assert noted is not None
    assert noted.last_used_at == access.clock()


@pytest.mark.parametrize(
    ("role", "scopes"),
    [
        (Role.VIEWER, frozenset({Scope.READ})),
        (Role.MEMBER, frozenset({Scope.READ, Scope.WRITE})),
        (Role.ADMIN, {Scope.READ, Scope.WRITE, Scope.ADMIN}),
    ],
)
async def test_a_token_may_what_the_role_allows(
    access: Access, auth: Authenticator, role: Role, scopes: set[Scope]
) -> None:
    await access.member(access.acme, role=role)
    identity = await identify(auth, KEY.sign(name="Ann"))
    assert (identity.role, identity.scopes) == (role, frozenset(scopes))
    assert identity.principal.key == f"jwt:{ISSUER} ann"
    assert (identity.principal.subject, identity.principal.display_name) == ("ann", "Ann")


async def test_the_only_membership_needs_no_name(access: Access, auth: Authenticator) -> None:
    await access.member(access.beta)
    assert (await identify(auth, KEY.sign())).organization == access.beta


async def test_of_two_memberships_one_must_be_named(access: Access, auth: Authenticator) -> None:
    await access.member(access.acme)
    await access.member(access.beta)
    with pytest.raises(OrganizationRequired) as caught:
        await identify(auth, KEY.sign())
    assert caught.value.organizations == ("acme", "beta")
    assert (await identify(auth, KEY.sign(), "beta")).organization == access.beta


async def test_the_claim_wins_over_the_header(access: Access, auth: Authenticator) -> None:
    await access.member(access.acme)
    await access.member(access.beta)
    assert (await identify(auth, KEY.sign(org="beta"), "acme")).organization == access.beta


@pytest.mark.parametrize("slug", ["beta", "nowhere"])
async def test_foreign_and_unknown_organizations_are_refused_alike(
    access: Access, auth: Authenticator, slug: str
) -> None:
    """Whether an organization exists is nobody else's business."""
    await access.member(access.acme)
    with pytest.raises(OrganizationRequired) as caught:
        await identify(auth, KEY.sign(), slug)
    assert caught.value.message == ("`X-Organization` names an organization that you do not belong to. Yours: acme.")
    with pytest.raises(OrganizationRequired, match="The claim of your token"):
        await identify(auth, KEY.sign(org=slug))


async def test_somebody_without_membership_is_told_what_to_do(auth: Authenticator) -> None:
    with pytest.raises(Forbidden) as caught:
        await identify(auth, KEY.sign())
    assert caught.value.message == (
        f"You are signed in as ann of {ISSUER}, and belong to no organization here. "
        "Ask an admin of yours to add you with `addMember`."
    )


async def test_a_subject_of_another_issuer_is_somebody_else(access: Access, auth: Authenticator) -> None:
    await access.member(access.acme, subject="bob")
    with pytest.raises(Forbidden):
        await identify(auth, KEY.sign(sub="ann"))


async def test_without_tokens_only_keys_are_good(access: Access) -> None:
    auth = Authenticator(access.store, verifier=None, check_seconds=2)
    with pytest.raises(Unauthenticated, match="begins with `sb_`"):
        await identify(auth, KEY.sign())


async def test_looking_again_sees_another_role(access: Access, auth: Authenticator) -> None:
    member = await access.member(access.acme, role=Role.ADMIN)
    await access.member(access.acme, "other", Role.ADMIN)
    identity = await identify(auth, KEY.sign())
    await access.store.database.write(
        lambda tx: access.store.organizations.replace_member_role(tx, access.acme.id, member.id, Role.VIEWER)
    )
    now = await auth.look_again(identity)
    assert now is not None
    assert (now.role, now.scopes) == (Role.VIEWER, frozenset({Scope.READ}))


async def test_looking_again_after_the_membership_ended_sees_nobody(access: Access, auth: Authenticator) -> None:
    member = await access.member(access.acme)
    identity = await identify(auth, KEY.sign())
    await access.store.database.write(
        lambda tx: access.store.organizations.remove_member(tx, access.acme.id, member.id)
    )
    assert await auth.look_again(identity) is None


async def test_looking_again_after_the_token_ended_sees_nobody(access: Access, auth: Authenticator) -> None:
    await access.member(access.acme)
    identity = await identify(auth, KEY.sign())
    access.clock.pass_(hours=2)
    assert await auth.look_again(identity) is None


async def test_requests_in_a_row_cost_one_statement(access: Access) -> None:
    _, secret = await access.key()
    auth = Authenticator(access.store, verifier=None, check_seconds=60, now=access.clock)
    await identify(auth, secret)
    await auth.aclose()
    before = access.store.database.statements
    for _ in range(20):
        await identify(auth, secret)
    await auth.aclose()
    assert access.store.database.statements == before


async def test_forgetting_ends_what_is_remembered(access: Access) -> None:
    key, secret = await access.key()
    auth = Authenticator(access.store, verifier=None, check_seconds=60, now=access.clock)
    await identify(auth, secret)
    await access.revoke(key)
    assert (await identify(auth, secret)).organization == access.acme
    auth.forget()
    with pytest.raises(Unauthenticated):
        await identify(auth, secret)
    await auth.aclose()
