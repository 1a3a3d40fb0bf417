"""Tokens: what makes one good, and each way in which one is not."""

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Unauthenticated
from switchboard.jwks import Jwks, KeysUnavailable
from switchboard.settings import JwtSettings
from switchboard.settings_errors import SettingsError
from switchboard.tokens import TokenVerifier
from tests.switchboard.sign_in import AUDIENCE, ISSUER, SigningKey, SignInService, sign_in_service

pytestmark = pytest.mark.anyio

KEY = SigningKey("k1")
OTHER = SigningKey("k2")
SECRET = "s" * 32
NOW = datetime.now(UTC)


@pytest.fixture
async def service() -> AsyncIterator[SignInService]:
    """A sign-in service that publishes `KEY`."""
    async with sign_in_service(KEY) as running:
        yield running


def a_verifier(service: SignInService, **changes: Any) -> TokenVerifier:
    settings = JwtSettings(**{"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": service.url, **changes})
    return TokenVerifier(settings, now=lambda: NOW)


async def assert_refused(verifier: TokenVerifier, token: str, reason: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await verifier.verify(token)
    assert caught.value.message == f"The token was refused: {reason}. Sign in again."


async def test_a_good_token_tells_who_and_until_when(service: SignInService) -> None:
    ends = datetime.fromtimestamp(int(NOW.timestamp()) + 600, UTC)
    claims = await a_verifier(service).verify(KEY.sign(exp=ends, name="Ann"))
    assert (claims.issuer, claims.subject, claims.display_name) == (ISSUER, "ann", "Ann")
    assert claims.expires_at == ends + timedelta(seconds=60)
    assert claims.organization is None


async def test_the_organization_is_read_from_the_configured_claim(service: SignInService) -> None:
    claims = await a_verifier(service, organization_claim="org").verify(KEY.sign(org="acme"))
    assert claims.organization == "acme"


async def test_an_rsa_key_is_as_good(service: SignInService) -> None:
    key = SigningKey("r", algorithm="RS256")
    service.keys = [key]
    assert (await a_verifier(service).verify(key.sign())).subject == "ann"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": NOW - timedelta(seconds=61)}, "it has expired"),
        ({"exp": None}, "it has no claim `exp`"),
        ({"exp": "tomorrow"}, "its `exp` is not a time"),
        ({"exp": True}, "its `exp` is not a time"),
        ({"exp": 1e300}, "its `exp` is not a possible time"),
        ({"nbf": NOW + timedelta(seconds=90)}, "it is not good yet (`nbf`)"),
        ({"iat": NOW + timedelta(seconds=90)}, "it is not good yet (`iat`)"),
        ({"aud": "another"}, "it is for another audience"),
        ({"aud": None}, "it has no claim `aud`"),
        ({"iss": "https://evil.example"}, "it is of another issuer"),
        ({"sub": None}, "it has no claim `sub`"),
        ({"sub": ""}, "its `sub` is not a text of 1 to 255 characters"),
        ({"org": ["acme"]}, "its claim `org` is not a text"),
    ],
)
async def test_what_a_token_claims_is_checked(service: SignInService, changes: dict[str, Any], reason: str) -> None:
    await assert_refused(a_verifier(service, organization_claim="org"), KEY.sign(changes), reason)


async def test_clocks_may_differ_by_the_leeway(service: SignInService) -> None:
    token = KEY.sign(exp=NOW - timedelta(seconds=30), nbf=NOW + timedelta(seconds=30), iat=NOW + timedelta(seconds=30))
    assert (await a_verifier(service).verify(token)).subject == "ann"
    await assert_refused(a_verifier(service, leeway_seconds=0), token, "it has expired")


async def test_a_signature_of_another_key_is_refused(service: SignInService) -> None:
    forged = SigningKey("k1").sign()
    await assert_refused(a_verifier(service), forged, "its signature is wrong")


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("name", ["none", "nOnE", "NONE", None, 1])
async def test_a_token_without_a_signature_is_refused(service: SignInService, name: object) -> None:
    payload = KEY.sign().split(".")[1]
    token = f"{_part({'alg': name, 'kid': 'k1'})}.{payload}."
    with pytest.raises(Unauthenticated):
        await a_verifier(service).verify(token)


async def test_a_public_key_is_not_taken_for_an_hmac_secret(service: SignInService) -> None:
    """The classic confusion: HS256 over the published key."""
    payload = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": NOW.timestamp() + 3600}
    signed = f"{_part({'alg': 'HS256', 'kid': 'k1'})}.{_part(payload)}"
    mac = hmac.digest(json.dumps(KEY.jwk).encode(), signed.encode(), "sha256")
    token = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    await assert_refused(a_verifier(service), token, "its algorithm is not one of RS256, ES256")


async def test_a_key_is_used_only_with_its_own_algorithm(service: SignInService) -> None:
    rsa = SigningKey("r", algorithm="RS256")
    service.keys = [rsa]
    token = SigningKey("r", algorithm="RS512", private=rsa.private).sign()
    with pytest.raises(Unauthenticated):
        await a_verifier(service, algorithms=("RS256", "RS512")).verify(token)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "....", "eyJ.eyJ.", "ü.ü.ü", "a" * 20_000])
async def test_what_is_no_token_is_refused(service: SignInService, token: str) -> None:
    with pytest.raises(Unauthenticated):
        await a_verifier(service).verify(token)


@given(st.text(max_size=200))
async def test_no_text_breaks_the_verifier(text: str) -> None:
    verifier = TokenVerifier(JwtSettings(issuer=ISSUER, audience=AUDIENCE, secret=SECRET))
    with pytest.raises(Unauthenticated):
        await verifier.verify(text)


async def test_a_shared_secret_verifies_hmac_tokens() -> None:
    verifier = TokenVerifier(JwtSettings(issuer=ISSUER, audience=AUDIENCE, secret=SECRET))
    payload = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": NOW + timedelta(hours=1)}
    assert (await verifier.verify(jwt.encode(payload, SECRET, algorithm="HS256"))).subject == "ann"
    await assert_refused(verifier, jwt.encode(payload, "t" * 32, algorithm="HS256"), "its signature is wrong")


def test_a_short_shared_secret_is_refused() -> None:
    with pytest.raises(SettingsError, match="fewer than 32 bytes"):
        TokenVerifier(JwtSettings(issuer=ISSUER, audience=AUDIENCE, secret="short"))


async def test_keys_are_fetched_once(service: SignInService) -> None:
    verifier = a_verifier(service)
    for _ in range(3):
        await verifier.verify(KEY.sign())
    assert service.calls == 1


class ManualClock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def a_jwks(service: SignInService, clock: ManualClock) -> Jwks:
    return Jwks(service.url, ttl_seconds=600, clock=clock)


async def test_an_unknown_key_is_fetched_after_rotation(service: SignInService) -> None:
    clock = ManualClock()
    verifier = TokenVerifier(
        JwtSettings(issuer=ISSUER, audience=AUDIENCE, jwks_url=service.url), keys=a_jwks(service, clock)
    )
    await verifier.verify(KEY.sign())
    service.keys = [OTHER]
    clock.now += 5
    assert (await verifier.verify(OTHER.sign())).subject == "ann"
    await assert_refused(verifier, KEY.sign(), "the sign-in service does not publish the key that signed it")


async def test_unknown_keys_cost_at_most_one_fetch_in_five_seconds(service: SignInService) -> None:
    """Anybody can send tokens with made-up key ids."""
    clock = ManualClock()
    jwks = a_jwks(service, clock)
    for kid in ("a", "b", "c"):
        assert await jwks.key(kid) is None
    assert service.calls == 1
    clock.now += 5
    await jwks.key("d")
    assert service.calls == 2


async def test_known_keys_stay_good_while_the_service_is_away(service: SignInService) -> None:
    clock = ManualClock()
    jwks = a_jwks(service, clock)
    await jwks.key("k1")
    service.status = 500
    clock.now += 601
    assert await jwks.key("k1") is not None
    assert service.calls == 2


async def test_keys_that_were_never_fetched_are_no_fault_of_the_token(service: SignInService) -> None:
    service.status = 503
    with pytest.raises(KeysUnavailable):
        await a_verifier(service).verify(KEY.sign())


async def test_a_token_without_key_id_needs_a_single_key(service: SignInService) -> None:
    jwks = a_jwks(service, ManualClock())
    assert await jwks.key(None) is not None
    service.keys = [KEY, OTHER]
    assert await a_jwks(service, ManualClock()).key(None) is None


async def test_unusable_published_keys_are_passed_over() -> None:
    async def fetch(_: str) -> dict[str, Any]:
        return {
            "keys": [7, {"kty": "new"}, {"kty": "oct", "k": "AA", "kid": "s"}, {**KEY.jwk, "use": "enc"}, OTHER.jwk]
        }

    jwks = Jwks("http://id", ttl_seconds=1, fetch=fetch)
    assert await jwks.key("k2") is not None
    assert await jwks.key("s") is None
    assert await jwks.key("k1") is None


async def test_nobody_waits_for_fresh_keys_while_there_are_old_ones() -> None:
    """A sign-in service that hangs must not stop everybody who has a good token."""
    clock, hang, asked = ManualClock(), asyncio.Event(), asyncio.Event()

    async def fetch(_: str) -> dict[str, Any]:
        if clock.now > 0:
            asked.set()
            await hang.wait()
        return {"keys": [KEY.jwk]}

    jwks = Jwks("http://id", ttl_seconds=1, fetch=fetch, clock=clock)
    await jwks.key("k1")
    clock.now = 10
    first = asyncio.create_task(jwks.key("k1"))
    await asked.wait()
    assert await jwks.key("k1") is not None
    hang.set()
    assert await first is not None
