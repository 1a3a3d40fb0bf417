"""Organizations, their members and their audit log. Their API keys stand in `storage.api_keys`."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from domain.errors import Conflict, NotFound
from domain.paging import micros
from domain.records import AuditEntry, Member, Organization, Role
from storage.api_keys import ApiKeys
from storage.columns import from_json, instant, to_json
from storage.database import Row, Transaction

_ORGANIZATION = "organization.id, organization.slug, organization.name, organization.created_at"
_MEMBER = "member.id, member.organization_id, member.issuer, member.subject, member.display_name, member.role, member.joined_at"
_AUDIT = "id, organization_id, at, actor, action, target, input"


class Organizations(ApiKeys):
    """Who belongs where. An organization is asked for by its own id, or by who belongs to it."""

    async def add(self, tx: Transaction, slug: str, name: str, at: datetime) -> Organization:
        """A new tenant with an empty log. `Conflict` when the slug is taken."""
        sql = f"INSERT INTO organization (slug, name, created_at) VALUES (:slug, :name, :at) RETURNING {_ORGANIZATION}"
        try:
            (row,) = await tx.execute(sql, {"slug": slug, "name": name, "at": micros(at)})
        except sqlite3.IntegrityError as error:
            raise _slug_taken(slug) from error
        await tx.execute("INSERT INTO organization_stream (organization_id, head) VALUES (:id, 0)", {"id": row[0]})
        return _organization(row)

    async def replace(
        self, tx: Transaction, organization_id: int, *, slug: str | None = None, name: str | None = None
    ) -> Organization:
        """Change what is given. `NotFound`, or `Conflict` when the slug is taken."""
        sql = (
            "UPDATE organization SET slug = coalesce(:slug, slug), name = coalesce(:name, name) "
            f"WHERE id = :id RETURNING {_ORGANIZATION}"
        )
        try:
            rows = await tx.execute(sql, {"id": organization_id, "slug": slug, "name": name})
        except sqlite3.IntegrityError as error:
            raise _slug_taken(slug) from error
        if not rows:
            raise NotFound("The organization was to be changed, but there is none with this id. Check the id.")
        return _organization(rows[0])

    async def get(self, organization_id: int) -> Organization | None:
        """One organization."""
        return await self._one(f"SELECT {_ORGANIZATION} FROM organization WHERE id = :id", {"id": organization_id})

    async def by_slug(self, slug: str) -> Organization | None:
        """The organization of a slug."""
        return await self._one(f"SELECT {_ORGANIZATION} FROM organization WHERE slug = :slug", {"slug": slug})

    async def all(self) -> list[Organization]:
        """Every organization of the gateway by id, for the command line and the start."""
        return [
            _organization(row)
            for row in await self._database.fetch_all(f"SELECT {_ORGANIZATION} FROM organization ORDER BY id")
        ]

    async def of_member(self, issuer: str, subject: str) -> list[tuple[Organization, Member]]:
        """Where somebody belongs, by slug."""
        sql = (
            f"SELECT {_ORGANIZATION}, {_MEMBER} FROM member JOIN organization ON organization.id = member.organization_id "
            "WHERE member.issuer = :issuer AND member.subject = :subject ORDER BY organization.slug"
        )
        rows = await self._database.fetch_all(sql, {"issuer": issuer, "subject": subject})
        return [(_organization(row[:4]), _member(row[4:])) for row in rows]

    async def page_for_member(
        self, issuer: str, subject: str, *, after: str | None = None, before: str | None = None, limit: int
    ) -> list[Organization]:
        """Where somebody belongs, by slug: the first `limit` behind the slug `after`, or the last `limit` ahead of `before`."""
        backwards = before is not None
        sql = (
            f"SELECT {_ORGANIZATION} FROM member JOIN organization ON organization.id = member.organization_id "
            "WHERE member.issuer = :issuer AND member.subject = :subject "
            "AND (:after IS NULL OR organization.slug > :after) AND (:before IS NULL OR organization.slug < :before) "
            f"ORDER BY organization.slug {'DESC' if backwards else 'ASC'} LIMIT :limit"
        )
        parameters = {"issuer": issuer, "subject": subject, "after": after, "before": before, "limit": limit}
        rows = [_organization(row) for row in await self._database.fetch_all(sql, parameters)]
        return rows[::-1] if backwards else rows

    # Members

    async def add_member(
        self,
        tx: Transaction,
        organization_id: int,
        *,
        issuer: str,
        subject: str,
        display_name: str | None,
        role: Role,
        at: datetime,
    ) -> Member:
        """Let somebody in. `Conflict` when they are a member already."""
        sql = (
            "INSERT INTO member (organization_id, issuer, subject, display_name, role, joined_at) "
            f"VALUES (:organization_id, :issuer, :subject, :display_name, :role, :at) RETURNING {_MEMBER}"
        )
        values = {
            "organization_id": organization_id,
            "issuer": issuer,
            "subject": subject,
            "display_name": display_name,
            "role": role,
            "at": micros(at),
        }
        try:
            (row,) = await tx.execute(sql, values)
        except sqlite3.IntegrityError as error:
            raise Conflict(
                f"{subject} of {issuer} was to be added, but is a member already. Change the role with `updateMember`.",
                path=("subject",),
            ) from error
        return _member(row)

    async def get_member(self, organization_id: int, member_id: int) -> Member | None:
        """One member by id."""
        sql = f"SELECT {_MEMBER} FROM member WHERE organization_id = :organization_id AND id = :id"
        row = await self._database.fetch_one(sql, {"organization_id": organization_id, "id": member_id})
        return _member(row) if row else None

    async def member(self, organization_id: int, issuer: str, subject: str) -> Member | None:
        """The membership of somebody."""
        sql = (
            f"SELECT {_MEMBER} FROM member "
            "WHERE organization_id = :organization_id AND issuer = :issuer AND subject = :subject"
        )
        row = await self._database.fetch_one(
            sql, {"organization_id": organization_id, "issuer": issuer, "subject": subject}
        )
        return _member(row) if row else None

    async def replace_member_role(self, tx: Transaction, organization_id: int, member_id: int, role: Role) -> Member:
        """Give a member another role. `Conflict` when nobody would be an admin any more."""
        sql = (
            f"UPDATE member SET role = :role WHERE organization_id = :organization_id AND id = :id RETURNING {_MEMBER}"
        )
        await self._keep_an_admin(tx, organization_id, member_id, unless=role is Role.ADMIN)
        rows = await tx.execute(sql, {"organization_id": organization_id, "id": member_id, "role": role})
        if not rows:
            raise _no_member()
        return _member(rows[0])

    async def remove_member(self, tx: Transaction, organization_id: int, member_id: int) -> Member:
        """Let somebody go; who it was. `Conflict` when nobody would be an admin any more."""
        await self._keep_an_admin(tx, organization_id, member_id, unless=False)
        sql = f"DELETE FROM member WHERE organization_id = :organization_id AND id = :id RETURNING {_MEMBER}"
        rows = await tx.execute(sql, {"organization_id": organization_id, "id": member_id})
        if not rows:
            raise _no_member()
        return _member(rows[0])

    async def members(
        self, organization_id: int, *, after_id: int = 0, before_id: int | None = None, limit: int | None = None
    ) -> list[Member]:
        """Members by id: the first `limit` behind `after_id`, or the last `limit` ahead of `before_id`; all without a limit."""
        backwards = before_id is not None
        sql = (
            f"SELECT {_MEMBER} FROM member WHERE organization_id = :organization_id AND id > :after_id "
            f"AND (:before_id IS NULL OR id < :before_id) ORDER BY id {'DESC' if backwards else 'ASC'} LIMIT :limit"
        )
        parameters = {
            "organization_id": organization_id,
            "after_id": after_id,
            "before_id": before_id,
            "limit": -1 if limit is None else limit,
        }
        rows = [_member(row) for row in await self._database.fetch_all(sql, parameters)]
        return rows[::-1] if backwards else rows

    # Audit

    async def add_audit(
        self,
        tx: Transaction,
        organization_id: int,
        *,
        at: datetime,
        actor: str,
        action: str,
        target: str | None,
        input: Mapping[str, Any],
    ) -> None:
        """Note an administrative act, in the transaction that does it. `input` holds no secrets."""
        sql = (
            "INSERT INTO audit (organization_id, at, actor, action, target, input) "
            "VALUES (:organization_id, :at, :actor, :action, :target, :input)"
        )
        values = {
            "organization_id": organization_id,
            "at": micros(at),
            "actor": actor,
            "action": action,
            "target": target,
            "input": to_json(input),
        }
        await tx.execute(sql, values)

    async def audit(self, organization_id: int, before_id: int | None = None, limit: int = 100) -> Sequence[AuditEntry]:
        """The newest `limit` entries, newest first, or those older than `before_id`."""
        sql = (
            f"SELECT {_AUDIT} FROM audit WHERE organization_id = :organization_id "
            "AND (:before_id IS NULL OR id < :before_id) ORDER BY id DESC LIMIT :limit"
        )
        parameters = {"organization_id": organization_id, "before_id": before_id, "limit": limit}
        return [_audit_entry(row) for row in await self._database.fetch_all(sql, parameters)]

    async def audit_after(self, organization_id: int, after_id: int, limit: int) -> Sequence[AuditEntry]:
        """The oldest `limit` entries that are newer than `after_id`, newest first: the page before it."""
        sql = f"SELECT {_AUDIT} FROM audit WHERE organization_id = :organization_id AND id > :after_id ORDER BY id LIMIT :limit"
        parameters = {"organization_id": organization_id, "after_id": after_id, "limit": limit}
        return [_audit_entry(row) for row in await self._database.fetch_all(sql, parameters)][::-1]

    async def audit_entry(self, organization_id: int, entry_id: int) -> AuditEntry | None:
        """One entry."""
        sql = f"SELECT {_AUDIT} FROM audit WHERE organization_id = :organization_id AND id = :id"
        row = await self._database.fetch_one(sql, {"organization_id": organization_id, "id": entry_id})
        return _audit_entry(row) if row else None

    async def _one(self, sql: str, parameters: Mapping[str, Any]) -> Organization | None:
        row = await self._database.fetch_one(sql, parameters)
        return _organization(row) if row else None

    async def _keep_an_admin(self, tx: Transaction, organization_id: int, member_id: int, *, unless: bool) -> None:
        if unless:
            return
        sql = "SELECT id FROM member WHERE organization_id = :organization_id AND role = 'ADMIN' LIMIT 2"
        admins = await tx.fetch_all(sql, {"organization_id": organization_id})
        if admins == [(member_id,)]:
            raise Conflict(
                "The only admin of the organization was to be removed or given a lesser role. Make another member an admin first."
            )


def _slug_taken(slug: str | None) -> Conflict:
    return Conflict(
        f"The slug {slug} was to be given to an organization, but another one has it. Choose another `slug`.",
        path=("slug",),
    )


def _no_member() -> NotFound:
    return NotFound("A member was to be changed, but the organization has none with this id. Check the id.")


def _organization(row: Row) -> Organization:
    return Organization(id=row[0], slug=row[1], name=row[2], created_at=instant(row[3]))


def _member(row: Row) -> Member:
    return Member(
        id=row[0],
        organization_id=row[1],
        issuer=row[2],
        subject=row[3],
        display_name=row[4],
        role=Role(row[5]),
        joined_at=instant(row[6]),
    )


def _audit_entry(row: Row) -> AuditEntry:
    return AuditEntry(
        id=row[0],
        organization_id=row[1],
        at=instant(row[2]),
        actor=row[3],
        action=row[4],
        target=row[5],
        input=from_json(row[6]),
    )
