"""Who is asking, and for which organization.

    bearer token ─▶ `sb_…`: API key ─▶ its organization, its scopes and role
                 └▶ else: JWT ─▶ memberships of (issuer, subject) ─▶ claim, else `X-Organization`, else the only one

A key's organization and the one that a token claims are not changed by `X-Organization`. What the store told of a key or
membership is remembered for `auth.check_seconds`; `Authenticator.forget` ends that at once, in this process.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from domain.errors import Forbidden, OrganizationRequired, Unauthenticated
from domain.records import ApiKey, Member, Organization, Principal, Role, Scope
from resolvers.api_key_secrets import digest_of, is_api_key
from resolvers.principals import person_key
from storage.store import Store
from switchboard.recent import Recent
from switchboard.tokens import Claims, TokenVerifier

_log = logging.getLogger(__name__)
_SCOPES_OF_ROLE = {
    Role.VIEWER: frozenset([Scope.READ]),
    Role.MEMBER: frozenset([Scope.READ, Scope.WRITE]),
    Role.ADMIN: frozenset(Scope),
}

Memberships = Sequence[tuple[Organization, Member]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Somebody whose credential was accepted, acting in one organization. `proof` is what to look up again: a key's digest, or claims."""

    principal: Principal
    organization: Organization
    role: Role
    scopes: frozenset[Scope]
    expires_at: datetime | None
    proof: bytes | Claims


class Authenticator:
    """Turns credentials into identities."""

    def __init__(
        self,
        store: Store,
        *,
        verifier: TokenVerifier | None,
        check_seconds: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._verifier = verifier
        self._now = now
        self._keys: Recent[bytes, tuple[ApiKey, Organization] | None] = Recent(
            store.organizations.api_key_by_digest, seconds=check_seconds
        )
        self._memberships: Recent[tuple[str, str], Memberships] = Recent(
            lambda who: store.organizations.of_member(*who), seconds=check_seconds
        )
        self._touches: set[asyncio.Task[None]] = set()

    async def identify(self, token: str, organization: str | None) -> Identity:
        """Whose bearer token it is. `organization`: the slug that the request names, if any.

        Raises `Unauthenticated`, `OrganizationRequired`, `Forbidden`, and `KeysUnavailable` when the sign-in service is away.
        """
        if is_api_key(token):
            return await self._of_key(digest_of(token))
        if self._verifier is None:
            raise Unauthenticated(
                "The token was refused: it is not an API key of this gateway. Send one that begins with `sb_`."
            )
        claims = await self._verifier.verify(token)
        named = claims.organization or organization
        memberships = await self._memberships.get((claims.issuer, claims.subject))
        return _member_identity(claims, *_chosen(claims, memberships, named))

    async def look_again(self, identity: Identity) -> Identity | None:
        """The identity as it is now, perhaps with another role; None when its credential is good no more."""
        if identity.expires_at is not None and identity.expires_at <= self._now():
            return None
        if isinstance(identity.proof, bytes):
            try:
                return await self._of_key(identity.proof)
            except Unauthenticated:
                return None
        claims = identity.proof
        for organization, member in await self._memberships.get((claims.issuer, claims.subject)):
            if organization.id == identity.organization.id:
                return _member_identity(claims, organization, member)
        return None

    def forget(self) -> None:
        """Ask the store again from now on: a key or membership was changed here."""
        self._keys.forget()
        self._memberships.forget()

    async def aclose(self) -> None:
        """Wait for what is still being noted."""
        await asyncio.gather(*self._touches, return_exceptions=True)

    async def _of_key(self, digest: bytes) -> Identity:
        # The digest of a guess tells nothing of the digests that are stored, so a look-up by it leaks no time worth measuring.
        found = await self._keys.get(digest)
        if found is None:
            raise Unauthenticated("The API key was refused: it is not known here. Check that it was copied whole.")
        key, organization = found
        now = self._now()
        if key.revoked_at is not None:
            raise Unauthenticated("The API key was refused: it was revoked. Ask an admin for a new one.")
        if key.expires_at is not None and key.expires_at <= now:
            raise Unauthenticated("The API key was refused: it has expired. Ask an admin for a new one.")
        self._note_use(key, now)
        return Identity(
            principal=Principal(key=f"key:{key.id}", subject=None, display_name=key.name),
            organization=organization,
            role=key.role,
            scopes=key.scopes,
            expires_at=key.expires_at,
            proof=digest,
        )

    def _note_use(self, key: ApiKey, at: datetime) -> None:
        """In the background: nobody waits for a note."""

        async def touch() -> None:
            try:
                await self._store.organizations.touch(key.id, at)
            except (
                sqlite3.Error,
                RuntimeError,
            ):  # `lastUsedAt` is a convenience; a busy or closing store must not refuse a key
                _log.warning("The last use of an API key could not be noted.", exc_info=True)

        task = asyncio.create_task(touch())
        self._touches.add(task)
        task.add_done_callback(self._touches.discard)


def _chosen(claims: Claims, memberships: Memberships, named: str | None) -> tuple[Organization, Member]:
    if not memberships:
        raise Forbidden(
            f"You are signed in as {claims.subject} of {claims.issuer}, and belong to no organization here. "
            "Ask an admin of yours to add you with `addMember`."
        )
    slugs = [organization.slug for organization, _ in memberships]
    if named is None:
        if len(memberships) == 1:
            return memberships[0]
        raise OrganizationRequired(
            f"You belong to several organizations and named none. Send the header `X-Organization` with one of {', '.join(slugs)}.",
            organizations=slugs,
        )
    for organization, member in memberships:
        if organization.slug == named:
            return organization, member
    place = "The claim of your token" if claims.organization else "`X-Organization`"
    raise OrganizationRequired(
        f"{place} names an organization that you do not belong to. Yours: {', '.join(slugs)}.", organizations=slugs
    )


def _member_identity(claims: Claims, organization: Organization, member: Member) -> Identity:
    return Identity(
        principal=Principal(
            key=person_key(claims.issuer, claims.subject),
            subject=claims.subject,
            display_name=member.display_name or claims.display_name,
        ),
        organization=organization,
        role=member.role,
        scopes=_SCOPES_OF_ROLE[member.role],
        expires_at=claims.expires_at,
        proof=claims,
    )
