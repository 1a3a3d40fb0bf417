"""A store with two organizations and people in them, and the sessions over it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from domain.records import ApiKey, Member, Organization, Role, Scope
from resolvers.api_key_secrets import new_api_key, role_of
from storage.database import Transaction
from storage.store import Store, open_store
from tests.builders import T0
from tests.switchboard.sign_in import ISSUER


@dataclass
class Clock:
    """The time of a test."""

    now: datetime = T0

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **duration: float) -> None:
        """Let time go by."""
        self.now += timedelta(**duration)


@dataclass
class Access:
    """The store, with `acme` and `beta` in it."""

    store: Store
    acme: Organization
    beta: Organization
    clock: Clock = field(default_factory=Clock)

    async def key(
        self, organization: Organization | None = None, *scopes: Scope, expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        """A new key of `acme`, or of the given one, with all scopes, or the given ones."""
        made = new_api_key()
        wanted = frozenset(scopes) or frozenset(Scope)

        async def unit(tx: Transaction) -> ApiKey:
            return await self.store.organizations.add_api_key(
                tx,
                (organization or self.acme).id,
                "Tests",
                made.prefix,
                made.digest,
                wanted,
                role_of(wanted),
                expires_at,
                self.clock(),
            )

        return await self.store.database.write(unit), made.secret

    async def member(self, organization: Organization, subject: str = "ann", role: Role = Role.MEMBER) -> Member:
        """Let a person in."""

        async def unit(tx: Transaction) -> Member:
            return await self.store.organizations.add_member(
                tx, organization.id, issuer=ISSUER, subject=subject, display_name=None, role=role, at=self.clock()
            )

        return await self.store.database.write(unit)

    async def revoke(self, key: ApiKey) -> None:
        """Revoke a key behind the back of the sessions, as another process does."""

        async def unit(tx: Transaction) -> None:
            await self.store.organizations.revoke(tx, key.organization_id, key.id, self.clock())

        await self.store.database.write(unit)


@asynccontextmanager
async def open_access(folder: Path) -> AsyncIterator[Access]:
    """A new store in `folder`."""
    async with open_store(f"sqlite:///{folder / 'access.db'}", readers=2) as store:

        async def unit(tx: Transaction) -> tuple[Organization, Organization]:
            return (
                await store.organizations.add(tx, "acme", "Acme", T0),
                await store.organizations.add(tx, "beta", "Beta", T0),
            )

        acme, beta = await store.database.write(unit)
        yield Access(store, acme, beta)
