"""The sources of organizations: their settings and sealed credentials."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domain.errors import Conflict, NotFound
from domain.paging import micros
from domain.records import Account, Source, Visibility
from storage.columns import account_of, account_value, from_json, instant, to_json, to_json_or_none
from storage.database import Database, Row, Transaction

_SOURCE = "id, organization_id, key, vendor, display_name, base_url, options, visibility, owner, account, created_at, removed_at"
_LIVE = "organization_id = :organization_id AND removed_at IS NULL"
_SHOWN = "organization_id = :organization_id AND (removed_at IS NULL OR keeps_mirror)"
"""Those that are connected, and those of which the copy was kept."""


class Sources:
    """Sources that are not removed. The id of a removed one is never used again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self,
        tx: Transaction,
        *,
        organization_id: int,
        key: str,
        vendor: str,
        display_name: str,
        base_url: str | None = None,
        options: Mapping[str, Any] | None = None,
        visibility: Visibility = Visibility.ORGANIZATION,
        owner: str | None = None,
        account: Account | None = None,
        created_at: datetime,
        sealed_credentials: bytes = b"",
    ) -> Source:
        """A new source. `Conflict` when the organization has one of this key, or `owner` has one that nobody else sees."""
        if await self._is_taken(tx, organization_id, key, owner):
            raise Conflict(
                f"A source was to be connected as {key}, but the organization has one of this key. "
                "Choose another `key`, or disconnect the other one.",
                path=("key",),
            )
        sql = (
            "INSERT INTO source (organization_id, key, vendor, display_name, base_url, options, visibility, owner, "
            "account, credentials, created_at, keeps_mirror) VALUES (:organization_id, :key, :vendor, :display_name, :base_url, "
            f":options, :visibility, :owner, :account, :credentials, :at, FALSE) RETURNING {_SOURCE}"
        )
        values = {
            "organization_id": organization_id,
            "key": key,
            "vendor": vendor,
            "display_name": display_name,
            "base_url": base_url,
            "options": to_json(options or {}),
            "visibility": visibility,
            "owner": owner,
            "account": to_json_or_none(account_value(account)),
            "credentials": sealed_credentials,
            "at": micros(created_at),
        }
        (row,) = await tx.execute(sql, values)
        return _source(row)

    async def replace(self, tx: Transaction, source: Source, sealed_credentials: bytes | None = None) -> Source:
        """Write the settings of a source anew; its key, vendor and owner stay. Credentials stay when None."""
        sql = (
            "UPDATE source SET display_name = :display_name, base_url = :base_url, options = :options, "
            "visibility = :visibility, account = :account, credentials = coalesce(:credentials, credentials) "
            f"WHERE {_LIVE} AND id = :id RETURNING {_SOURCE}"
        )
        values = {
            "organization_id": source.organization_id,
            "id": source.id,
            "display_name": source.display_name,
            "base_url": source.base_url,
            "options": to_json(source.options),
            "visibility": source.visibility,
            "account": to_json_or_none(account_value(source.account)),
            "credentials": sealed_credentials,
        }
        rows = await tx.execute(sql, values)
        if not rows:
            raise _no_source()
        return _source(rows[0])

    async def set_account(self, tx: Transaction, organization_id: int, source_id: int, account: Account | None) -> None:
        """Note what the vendor calls the owner of everything that the source sees."""
        sql = f"UPDATE source SET account = :account WHERE {_LIVE} AND id = :id"
        values = {
            "organization_id": organization_id,
            "id": source_id,
            "account": to_json_or_none(account_value(account)),
        }
        await tx.execute(sql, values)

    async def set_webhook(self, tx: Transaction, organization_id: int, source_id: int, digest: bytes | None) -> None:
        """Keep the digest of a webhook's token in place of the one before; None: there is no webhook any more."""
        sql = f"UPDATE source SET webhook = :digest WHERE {_LIVE} AND id = :id RETURNING id"
        if not await tx.execute(sql, {"organization_id": organization_id, "id": source_id, "digest": digest}):
            raise _no_source()

    async def by_webhook(self, source_id: int) -> tuple[Source, bytes | None] | None:
        """A connected source of any organization, and the digest that the token in an address has to have."""
        # The address is all that a vendor sends, so here the source tells the organization.
        sql = f"SELECT {_SOURCE}, webhook FROM source WHERE source.id = :id AND removed_at IS NULL /* by webhook */"
        row = await self._database.fetch_one(sql, {"id": source_id})
        return (_source(row[:-1]), row[-1]) if row else None

    async def remove(
        self, tx: Transaction, organization_id: int, source_id: int, *, at: datetime, keep_mirror: bool = False
    ) -> None:
        """Disconnect. Credentials and webhook go at once; chats, messages, overlays, markers and events of it too unless `keep_mirror`."""
        sql = (
            "UPDATE source SET removed_at = :at, keeps_mirror = :kept, credentials = x'', account = NULL, webhook = NULL "
            f"WHERE {_SHOWN} AND id = :id RETURNING id"
        )
        parameters = {"organization_id": organization_id, "id": source_id, "at": micros(at), "kept": keep_mirror}
        if not await tx.execute(sql, parameters):
            raise _no_source()
        if keep_mirror:
            return
        for table in (
            "message",
            "message_alias",
            "chat_overlay",
            "read_marker",
            "chat",
            "folder",
            "source_state",
            "event",
            "intent",
        ):
            await tx.execute(
                f"DELETE FROM {table} WHERE organization_id = :organization_id AND source_id = :id",
                {"organization_id": organization_id, "id": source_id},
            )

    async def of(self, organization_id: int) -> list[Source]:
        """The sources of an organization by key, also those of which only the copy is left."""
        sql = f"SELECT {_SOURCE} FROM source WHERE {_SHOWN} ORDER BY key, id"
        return [_source(row) for row in await self._database.fetch_all(sql, {"organization_id": organization_id})]

    async def get(self, organization_id: int, source_id: int) -> Source | None:
        """One source."""
        sql = f"SELECT {_SOURCE} FROM source WHERE {_SHOWN} AND id = :id"
        row = await self._database.fetch_one(sql, {"organization_id": organization_id, "id": source_id})
        return _source(row) if row else None

    async def by_key(self, organization_id: int, key: str) -> Source | None:
        """The source of a key that everybody in the organization sees."""
        sql = f"SELECT {_SOURCE} FROM source WHERE {_LIVE} AND key = :key AND visibility = 'ORGANIZATION'"
        row = await self._database.fetch_one(sql, {"organization_id": organization_id, "key": key})
        return _source(row) if row else None

    async def credentials(self, organization_id: int, source_id: int) -> bytes:
        """The sealed credentials; empty when it has none, or there is no such source."""
        sql = f"SELECT credentials FROM source WHERE {_LIVE} AND id = :id"
        row = await self._database.fetch_one(sql, {"organization_id": organization_id, "id": source_id})
        return bytes(row[0]) if row else b""

    async def _is_taken(self, tx: Transaction, organization_id: int, key: str, owner: str | None) -> bool:
        """Whether the key is that of a source which `owner` can see. What others keep to themselves is not looked at."""
        sql = f"SELECT 1 FROM source WHERE {_LIVE} AND key = :key AND (visibility = 'ORGANIZATION' OR owner = :owner)"
        parameters = {"organization_id": organization_id, "key": key, "owner": owner}
        return await tx.fetch_one(sql, parameters) is not None


def _no_source() -> NotFound:
    return NotFound("A source was to be changed, but the organization has none with this id. Check the id.")


def _source(row: Row) -> Source:
    return Source(
        id=row[0],
        organization_id=row[1],
        key=row[2],
        vendor=row[3],
        display_name=row[4],
        base_url=row[5],
        options=from_json(row[6]),
        visibility=Visibility(row[7]),
        owner=row[8],
        account=account_of(row[9]),
        created_at=instant(row[10]),
        disconnected_at=instant(row[11]) if row[11] is not None else None,
    )
