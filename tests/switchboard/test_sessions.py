"""Sessions: where the credential is looked for, what is answered when it is not good, and how its end is noticed."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.ids import IdType, format_id
from domain.paging import PageRequest
from domain.records import Organization, Role, Scope
from resolvers.organizations import add_organization, members, remove_member
from storage.database import Transaction
from switchboard.auth import Authenticator, Identity
from switchboard.http.session import Refused
from switchboard.sessions import GatewaySession, GatewaySessions
from switchboard.settings import AuthSettings, JwtSettings, Settings
from switchboard.tokens import TokenVerifier
from switchboard.watches import Watches
from switchboard.wiring import open_gateway
from tests.resolvers.gateways import a_gateway
from tests.switchboard.access import Access, open_access
from tests.switchboard.sign_in import AUDIENCE, ISSUER, SigningKey, SignInService, sign_in_service

pytestmark = pytest.mark.anyio
KEY = SigningKey("k1")


@pytest.fixture
async def access(tmp_path: Path) -> AsyncIterator[Access]:
    """Two organizations, at the time of the machine, because tokens are of today."""
    async with open_access(tmp_path) as opened:
        opened.clock.now = datetime.now(UTC)
        yield opened


@pytest.fixture
async def service() -> AsyncIterator[SignInService]:
    """A sign-in service."""
    async with sign_in_service(KEY) as running:
        yield running


@pytest.fixture
async def sessions(access: Access, service: SignInService) -> AsyncIterator[GatewaySessions]:
    """Sessions that look again every few milliseconds."""
    made = sessions_of(access, service, check_seconds=0.005)
    yield made
    await made.authenticator.aclose()


def sessions_of(access: Access, service: SignInService, *, check_seconds: float) -> GatewaySessions:
    gateway = a_gateway(access.store, clock=access.clock)
    verifier = TokenVerifier(JwtSettings(issuer=ISSUER, audience=AUDIENCE, jwks_url=service.url), now=access.clock)
    authenticator = Authenticator(access.store, verifier=verifier, check_seconds=check_seconds, now=access.clock)
    made = GatewaySessions(gateway, authenticator, check_seconds=check_seconds)
    made.watches = Watched(authenticator, check_seconds=check_seconds, clock=access.clock)
    made.watches.looks = asyncio.Queue()
    return made


class Watched(Watches):
    """Says whom each look found."""

    looks: asyncio.Queue[Identity]

    async def next_look(self) -> None:
        for session in self._watched:
            self.looks.put_nowait(session.identity)
        await super().next_look()


async def opened(
    sessions: GatewaySessions, headers: dict[str, str] | None = None, payload: dict[str, Any] | None = None
) -> GatewaySession:
    return await sessions.open(headers or {}, payload, request_id="r1", transport="http", last_event_id="cursor")


async def refused(
    sessions: GatewaySessions, headers: dict[str, str] | None = None, payload: dict[str, Any] | None = None
) -> Refused:
    with pytest.raises(Refused) as caught:
        await opened(sessions, headers, payload)
    return caught.value


def ending_of(session: GatewaySession) -> "asyncio.Future[None]":
    """Done when the session has ended."""
    ending: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    session.watch(lambda error: ending.set_exception(error) if error else ending.set_result(None))
    return ending


async def ends(session: GatewaySession) -> None:
    await asyncio.wait_for(ending_of(session), 5)


def looks_of(sessions: GatewaySessions) -> "asyncio.Queue[Identity]":
    assert isinstance(sessions.watches, Watched)
    return sessions.watches.looks


async def test_an_operation_gets_who_where_and_what(access: Access, sessions: GatewaySessions) -> None:
    key, secret = await access.key(access.acme, Scope.READ)
    session = await opened(sessions, {"authorization": f"Bearer {secret}"})
    context = session.context(request_id="r2")
    assert (context.organization, context.principal.key) == (access.acme, f"key:{key.id}")
    assert (context.role, context.scopes) == (Role.VIEWER, frozenset({Scope.READ}))
    assert (context.request_id, context.last_event_id) == ("r2", "cursor")
    assert session.context(request_id="r3") is not context


@pytest.mark.parametrize(
    "payload",
    [
        {"Authorization": "Bearer {}"},
        {"authorization": "bearer {}"},
        {"headers": {"Authorization": "Bearer {}"}},
        {"headers": {"authorization": "BEARER   {} "}},
    ],
    ids=["upper", "lower", "headers", "spaces"],
)
async def test_a_socket_sends_its_credential_in_the_payload(
    access: Access, sessions: GatewaySessions, payload: dict[str, Any]
) -> None:
    _, secret = await access.key()
    filled = {
        name: {inner: text.format(secret) for inner, text in value.items()}
        if isinstance(value, dict)
        else value.format(secret)
        for name, value in payload.items()
    }
    assert (await opened(sessions, payload=filled)).identity.organization == access.acme


async def test_the_payload_wins_over_the_headers_of_the_upgrade(access: Access, sessions: GatewaySessions) -> None:
    _, first = await access.key(access.acme)
    _, second = await access.key(access.beta)
    session = await opened(sessions, {"authorization": f"Bearer {first}"}, {"Authorization": f"Bearer {second}"})
    assert session.identity.organization == access.beta


@pytest.mark.parametrize("payload", [None, {}, {"headers": None}, {"Authorization": 7}, {"headers": {"a": 1}}], ids=str)
async def test_without_a_credential_the_answer_says_how_to_send_one(
    sessions: GatewaySessions, payload: dict[str, Any] | None
) -> None:
    answer = await refused(sessions, payload=payload)
    assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")
    assert answer.headers == {"WWW-Authenticate": "Bearer"}
    assert "`Authorization: Bearer …`" in answer.message


@pytest.mark.parametrize("value", ["Basic YTpi", "sb_x", "Bearer", "Bearer  ", "Bearer ü", ""])
async def test_what_is_no_bearer_token_is_refused(sessions: GatewaySessions, value: str) -> None:
    answer = await refused(sessions, {"authorization": value})
    assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")


async def test_a_bad_credential_is_401_and_never_shown(sessions: GatewaySessions) -> None:
    answer = await refused(sessions, {"authorization": "Bearer hunter2"})
    assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")
    assert answer.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    assert "hunter2" not in answer.message


async def test_of_two_organizations_the_header_names_one(access: Access, sessions: GatewaySessions) -> None:
    await access.member(access.acme)
    await access.member(access.beta)
    headers = {"authorization": f"Bearer {KEY.sign()}"}
    answer = await refused(sessions, headers)
    assert (answer.status, answer.code) == (403, "ORGANIZATION_REQUIRED")
    assert answer.extensions == {"organizations": ["acme", "beta"]}
    session = await opened(sessions, {**headers, "x-organization": "beta"})
    assert session.identity.organization == access.beta


async def test_a_socket_names_its_organization_in_the_payload(access: Access, sessions: GatewaySessions) -> None:
    await access.member(access.acme)
    await access.member(access.beta)
    payload = {"Authorization": f"Bearer {KEY.sign()}", "organization": "beta"}
    assert (await opened(sessions, payload=payload)).identity.organization == access.beta


async def test_somebody_without_membership_is_forbidden(sessions: GatewaySessions) -> None:
    answer = await refused(sessions, {"authorization": f"Bearer {KEY.sign()}"})
    assert (answer.status, answer.code) == (403, "FORBIDDEN")


async def test_a_sign_in_service_that_is_away_is_not_the_clients_fault(
    sessions: GatewaySessions, service: SignInService
) -> None:
    service.status = 500
    answer = await refused(sessions, {"authorization": f"Bearer {KEY.sign()}"})
    assert (answer.status, answer.code, answer.headers) == (503, "INTERNAL", {"Retry-After": "5"})


async def test_a_key_revoked_elsewhere_ends_the_session(access: Access, sessions: GatewaySessions) -> None:
    key, secret = await access.key()
    session = await opened(sessions, {"authorization": f"Bearer {secret}"})
    ending = ending_of(session)
    await access.revoke(key)
    await asyncio.wait_for(ending, 5)


async def test_a_session_told_of_a_change_does_not_wait_for_its_turn(access: Access, service: SignInService) -> None:
    sessions = sessions_of(access, service, check_seconds=3600)
    key, secret = await access.key()
    session = await opened(sessions, {"authorization": f"Bearer {secret}"})
    ending = ending_of(session)
    await access.revoke(key)
    sessions.access_changed()
    await asyncio.wait_for(ending, 5)
    await sessions.authenticator.aclose()


async def test_an_expired_token_ends_the_session(access: Access, sessions: GatewaySessions) -> None:
    await access.member(access.acme)
    session = await opened(sessions, {"authorization": f"Bearer {KEY.sign()}"})
    assert session.expires_at is not None
    ending = ending_of(session)
    access.clock.now = session.expires_at
    await asyncio.wait_for(ending, 5)


async def test_a_member_let_go_ends_the_session(access: Access, sessions: GatewaySessions) -> None:
    member = await access.member(access.acme)
    session = await opened(sessions, {"authorization": f"Bearer {KEY.sign()}"})
    await access.store.database.write(
        lambda tx: access.store.organizations.remove_member(tx, access.acme.id, member.id)
    )
    await ends(session)


async def test_a_session_that_is_good_does_not_end(access: Access, sessions: GatewaySessions) -> None:
    _, secret = await access.key()
    session = await opened(sessions, {"authorization": f"Bearer {secret}"})
    ending = ending_of(session)
    for _ in range(3):
        await asyncio.wait_for(looks_of(sessions).get(), 5)
    assert not ending.done()
    await session.close()


async def test_another_role_counts_from_the_next_look_on(access: Access, service: SignInService) -> None:
    sessions = sessions_of(access, service, check_seconds=3600)
    member = await access.member(access.acme, role=Role.MEMBER)
    session = await opened(sessions, {"authorization": f"Bearer {KEY.sign()}"})
    ending = ending_of(session)
    await access.store.database.write(
        lambda tx: access.store.organizations.replace_member_role(tx, access.acme.id, member.id, Role.VIEWER)
    )
    sessions.access_changed()
    while (await asyncio.wait_for(looks_of(sessions).get(), 5)).role is not Role.VIEWER:
        continue
    assert session.context(request_id="r").scopes == {Scope.READ}
    assert not ending.done()
    await session.close()


async def test_a_newer_token_of_the_same_person_moves_the_end(access: Access, sessions: GatewaySessions) -> None:
    await access.member(access.acme)
    session = await opened(sessions, {"authorization": f"Bearer {KEY.sign()}"})
    before = session.expires_at
    later = KEY.sign(exp=datetime.now(UTC) + timedelta(hours=5))
    assert await session.renew({"Authorization": f"Bearer {later}"})
    assert session.expires_at is not None
    assert before is not None
    assert session.expires_at > before


async def test_a_ping_without_a_credential_renews_nothing(access: Access, sessions: GatewaySessions) -> None:
    await access.member(access.acme)
    session = await opened(sessions, {"authorization": f"Bearer {KEY.sign()}"})
    before = session.expires_at
    assert not await session.renew({"time": 1})
    assert session.expires_at == before


@pytest.mark.parametrize("kind", ["somebody else", "expired", "another organization"])
async def test_a_session_cannot_be_taken_over(access: Access, sessions: GatewaySessions, kind: str) -> None:
    await access.member(access.acme)
    session = await opened(sessions, {"authorization": f"Bearer {KEY.sign()}"})
    before = session.identity
    payload: dict[str, Any] = {"Authorization": f"Bearer {KEY.sign()}"}
    if kind == "somebody else":
        await access.member(access.acme, "bob")
        payload["Authorization"] = f"Bearer {KEY.sign(sub='bob')}"
    elif kind == "expired":
        payload["Authorization"] = f"Bearer {KEY.sign(exp=datetime.now(UTC) - timedelta(hours=1))}"
    else:
        await access.member(access.beta)
        sessions.access_changed()
        payload["organization"] = "beta"
    with pytest.raises(Refused):
        await session.renew(payload)
    assert session.identity == before


async def test_the_wired_gateway_accepts_tokens_and_hears_of_members_that_go(
    tmp_path: Path, service: SignInService
) -> None:
    """All parts as `serve` puts them together."""
    jwt = JwtSettings(issuer=ISSUER, audience=AUDIENCE, jwks_url=service.url)
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'wired.db'}",
        secret_keys=("t" * 32,),
        auth=AuthSettings(jwt=jwt, check_seconds=2.5),
    )
    async with open_gateway(settings) as (gateway, sessions):
        store = gateway.store

        async def unit(tx: Transaction) -> Organization:
            made = await add_organization(store, tx, slug="acme", name="Acme", at=gateway.clock())
            for subject in ("ann", "bob"):
                await store.organizations.add_member(
                    tx,
                    made.id,
                    issuer=ISSUER,
                    subject=subject,
                    display_name=None,
                    role=Role.ADMIN,
                    at=gateway.clock(),
                )
            return made

        await store.database.write(unit)

        async def open_for(subject: str) -> GatewaySession:
            headers = {"authorization": f"Bearer {KEY.sign(sub=subject)}"}
            return await sessions.open(headers, None, request_id="r", transport="http", last_event_id=None)

        ann, bob = await open_for("ann"), await open_for("bob")
        ending = ending_of(bob)
        context = ann.context(request_id="r")
        page = await members(context, context.organization, PageRequest(first=9))
        assert page is not None
        id_ = format_id(IdType.MEMBER, page.rows[1].id)
        await remove_member(context, member_id=id_)
        await asyncio.wait_for(ending, 2)  # told, not found out: by itself it looks every 2.5 seconds
        with pytest.raises(Refused):
            await open_for("bob")
