"""API keys: kept as digests, found by them, never removed but revoked."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from domain.errors import NotFound
from domain.paging import micros
from domain.records import ApiKey, Organization, Role, Scope
from storage.columns import from_json, instant, instant_or_none, micros_or_none, to_json
from storage.database import Database, Row, Transaction

_KEY = (
    "api_key.id, api_key.organization_id, api_key.name, api_key.prefix, api_key.scopes, api_key.role, "
    "api_key.created_at, api_key.last_used_at, api_key.expires_at, api_key.revoked_at"
)
_TOUCH_EVERY = timedelta(minutes=1)


class ApiKeys:
    """The keys of all organizations; a part of `storage.organizations.Organizations`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._touched: dict[int, datetime] = {}

    async def add_api_key(
        self,
        tx: Transaction,
        organization_id: int,
        name: str,
        prefix: str,
        digest: bytes,
        scopes: Iterable[Scope],
        role: Role,
        expires_at: datetime | None,
        at: datetime,
    ) -> ApiKey:
        """A new key; `digest` is the SHA-256 of its text."""
        sql = (
            "INSERT INTO api_key (organization_id, name, prefix, digest, scopes, role, created_at, expires_at) "
            f"VALUES (:organization_id, :name, :prefix, :digest, :scopes, :role, :at, :expires_at) RETURNING {_KEY}"
        )
        values = {
            "organization_id": organization_id,
            "name": name,
            "prefix": prefix,
            "digest": digest,
            "scopes": to_json(sorted(scopes)),
            "role": role,
            "at": micros(at),
            "expires_at": micros_or_none(expires_at),
        }
        (row,) = await tx.execute(sql, values)
        return _api_key(row)

    async def api_key_by_digest(self, digest: bytes) -> tuple[ApiKey, Organization] | None:
        """The key of a digest and its organization, also when it is revoked or expired."""
        sql = (
            f"SELECT {_KEY}, organization.id, organization.slug, organization.name, organization.created_at "
            "FROM api_key JOIN organization ON organization.id = api_key.organization_id WHERE api_key.digest = :digest"
        )
        row = await self._database.fetch_one(sql, {"digest": digest})
        if row is None:
            return None
        organization = Organization(id=row[10], slug=row[11], name=row[12], created_at=instant(row[13]))
        return _api_key(row[:10]), organization

    async def get_api_key(self, organization_id: int, api_key_id: int) -> ApiKey | None:
        """One key."""
        sql = f"SELECT {_KEY} FROM api_key WHERE organization_id = :organization_id AND id = :id"
        row = await self._database.fetch_one(sql, {"organization_id": organization_id, "id": api_key_id})
        return _api_key(row) if row else None

    async def api_keys(
        self, organization_id: int, *, after_id: int = 0, before_id: int | None = None, limit: int | None = None
    ) -> list[ApiKey]:
        """Keys by id: the first `limit` behind `after_id`, or the last `limit` ahead of `before_id`; all without a limit."""
        backwards = before_id is not None
        sql = (
            f"SELECT {_KEY} FROM api_key WHERE organization_id = :organization_id AND id > :after_id "
            f"AND (:before_id IS NULL OR id < :before_id) ORDER BY id {'DESC' if backwards else 'ASC'} LIMIT :limit"
        )
        parameters = {
            "organization_id": organization_id,
            "after_id": after_id,
            "before_id": before_id,
            "limit": -1 if limit is None else limit,
        }
        rows = [_api_key(row) for row in await self._database.fetch_all(sql, parameters)]
        return rows[::-1] if backwards else rows

    async def has_api_keys(self) -> bool:
        """Whether the gateway has any key that is not revoked, of whatever organization."""
        row = await self._database.fetch_one("SELECT 1 FROM api_key WHERE revoked_at IS NULL LIMIT 1")
        return row is not None

    async def revoke(self, tx: Transaction, organization_id: int, api_key_id: int, at: datetime) -> ApiKey:
        """Make a key useless from now on; one that is revoked already keeps its time."""
        sql = (
            "UPDATE api_key SET revoked_at = coalesce(revoked_at, :at) "
            f"WHERE organization_id = :organization_id AND id = :id RETURNING {_KEY}"
        )
        rows = await tx.execute(sql, {"organization_id": organization_id, "id": api_key_id, "at": micros(at)})
        if not rows:
            raise NotFound("An API key was to be revoked, but the organization has none with this id. Check the id.")
        return _api_key(rows[0])

    async def touch(self, api_key_id: int, at: datetime) -> None:
        """Note that a key was used, at most once a minute."""
        last = self._touched.get(api_key_id)
        if last is not None and at - last < _TOUCH_EVERY:
            return
        self._touched[api_key_id] = at
        sql = "UPDATE api_key SET last_used_at = :at WHERE id = :id"
        parameters = {"id": api_key_id, "at": micros(at)}

        async def unit(tx: Transaction) -> None:
            await tx.execute(sql, parameters)

        await self._database.write(unit)


def _api_key(row: Row) -> ApiKey:
    return ApiKey(
        id=row[0],
        organization_id=row[1],
        name=row[2],
        prefix=row[3],
        scopes=frozenset(Scope(scope) for scope in from_json(row[4])),
        role=Role(row[5]),
        created_at=instant(row[6]),
        last_used_at=instant_or_none(row[7]),
        expires_at=instant_or_none(row[8]),
        revoked_at=instant_or_none(row[9]),
    )
