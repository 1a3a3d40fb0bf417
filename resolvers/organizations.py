"""Organizations, who belongs to them, their keys and their audit log.

A request acts in one organization: lists for admins and every mutation are about that one, and what belongs to another is not
found. `organizations` and `organization(slug)` also show the others that the same person belongs to. An API key belongs to one
organization and shows no other; it cannot create any, because nobody could enter what it made.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NoReturn

from domain.errors import Forbidden, InvalidArgument
from domain.ids import IdType, format_id, parse_id_of
from domain.paging import Page, PageRequest
from domain.records import ApiKey, AuditEntry, Member, Organization, Role, Scope
from resolvers.api_key_secrets import new_api_key, role_of
from resolvers.audit import note
from resolvers.context import Context
from resolvers.listing import keyed_page, listed_page
from resolvers.once import done_before, write_once
from resolvers.principals import issuer_of
from resolvers.slugs import checked_name, checked_slug
from resolvers.targets import not_found
from storage.database import Transaction
from storage.store import Store

LOCAL = "local"
"""Key and vendor of the source that every organization begins with: the gateway's own store."""
_MAX_TEXT = 255
_END = 2**63 - 1

# Reading


async def organization(context: Context, slug: str | None) -> Organization | None:
    """An organization that the viewer belongs to, or the one that the request acts in."""
    context.require(Scope.READ)
    if slug is None or slug == context.organization.slug:
        return context.organization
    return next((one for one in await _own(context) if one.slug == slug), None)


async def organizations(context: Context, page: PageRequest) -> Page[Organization]:
    """The organizations that the viewer belongs to, by slug."""
    context.require(Scope.READ)
    return await listed_page(context, "organizations", page, await _own(context), lambda one: one.slug)


async def load_organizations(context: Context, ids: Sequence[int]) -> list[Organization | None]:
    """Organizations by id; None for those that the viewer does not belong to."""
    known = {context.organization.id: context.organization}
    if any(id_ not in known for id_ in ids):
        known |= {one.id: one for one in await _own(context)}
    return [known.get(id_) for id_ in ids]


async def viewer_role(context: Context, organization: Organization) -> Role:
    """What the viewer may do in an organization that they belong to."""
    if organization.id == context.organization.id:
        return context.role
    member = await _membership(context, organization)
    return member.role if member is not None else Role.VIEWER


async def members(context: Context, organization: Organization, page: PageRequest) -> Page[Member] | None:
    """Members by id, oldest first. None unless the viewer is an admin of the organization and acts in it."""
    if not _may_see(context, organization):
        return None
    store, own = context.store.organizations, organization.id
    return await keyed_page(
        context,
        "members",
        page,
        lambda member: member.id,
        int,
        after=lambda key, limit: store.members(own, after_id=key or 0, limit=limit),
        before=lambda key, limit: store.members(own, before_id=_END if key is None else key, limit=limit),
    )


async def api_keys(context: Context, organization: Organization, page: PageRequest) -> Page[ApiKey] | None:
    """API keys by id, oldest first, revoked ones too. None as for `members`."""
    if not _may_see(context, organization):
        return None
    store, own = context.store.organizations, organization.id
    return await keyed_page(
        context,
        "apiKeys",
        page,
        lambda key: key.id,
        int,
        after=lambda key, limit: store.api_keys(own, after_id=key or 0, limit=limit),
        before=lambda key, limit: store.api_keys(own, before_id=_END if key is None else key, limit=limit),
    )


async def audit_log(context: Context, organization: Organization, page: PageRequest) -> Page[AuditEntry] | None:
    """What admins did, newest first. None as for `members`."""
    if not _may_see(context, organization):
        return None
    store, own = context.store.organizations, organization.id
    return await keyed_page(
        context,
        "auditLog",
        page,
        lambda entry: entry.id,
        int,
        after=lambda key, limit: store.audit(own, before_id=key, limit=limit),
        before=lambda key, limit: store.audit_after(own, key or 0, limit),
    )


async def get_member(context: Context, member_id: int) -> Member | None:
    """A member by the store's id; None unless the viewer is an admin."""
    return (
        await context.store.organizations.get_member(context.organization.id, member_id) if context.is_admin else None
    )


async def get_api_key(context: Context, api_key_id: int) -> ApiKey | None:
    """An API key by the store's id; None unless the viewer is an admin."""
    return (
        await context.store.organizations.get_api_key(context.organization.id, api_key_id) if context.is_admin else None
    )


async def get_audit_entry(context: Context, entry_id: int) -> AuditEntry | None:
    """An entry of the audit log by the store's id; None unless the viewer is an admin."""
    return (
        await context.store.organizations.audit_entry(context.organization.id, entry_id) if context.is_admin else None
    )


# Organizations


async def add_organization(store: Store, tx: Transaction, *, slug: str, name: str, at: datetime) -> Organization:
    """A new organization with its local source, for the mutation, the command line and the demo."""
    made = await store.organizations.add(tx, checked_slug(slug, "slug"), checked_name(name), at)
    await store.sources.add(
        tx, organization_id=made.id, key=LOCAL, vendor=LOCAL, display_name="Switchboard", created_at=at
    )
    return made


async def create_organization(
    context: Context, *, slug: str, name: str, idempotency_key: str | None
) -> tuple[Organization, bool]:
    """Create an organization whose admin is the viewer, an admin already somewhere; and whether an earlier request did it."""
    context.require(Scope.ADMIN)
    issuer, subject = issuer_of(context.principal), context.principal.subject
    if issuer is None or subject is None:
        raise Forbidden(
            "An API key cannot create organizations: it belongs to one, and nobody could enter the new one. "
            "Sign in as a person, or run `switchboard organizations create`."
        )
    at = context.now()

    async def act(tx: Transaction) -> int:
        made = await add_organization(context.store, tx, slug=slug, name=name, at=at)
        await context.store.organizations.add_member(
            tx,
            made.id,
            issuer=issuer,
            subject=subject,
            display_name=context.principal.display_name,
            role=Role.ADMIN,
            at=at,
        )
        target = format_id(IdType.ORGANIZATION, made.id)
        await note(context, tx, "createOrganization", target, {"slug": slug, "name": name}, organization_id=made.id)
        return made.id

    if (known := await done_before(context, "createOrganization", idempotency_key, [slug, name])) is None:
        done = await write_once(context, "createOrganization", idempotency_key, [slug, name], act)
        known, replayed = done.value, done.replayed
    else:
        replayed = True
    _access_changed(context)
    found = await context.store.organizations.get(known)
    if found is None:
        raise not_found("organization", "")
    return found, replayed


async def update_organization(
    context: Context, *, organization_id: str, slug: str | None, name: str | None
) -> Organization:
    """Change slug or name; what is None stays."""
    _admin_of(context, organization_id)
    new_slug = checked_slug(slug, "slug") if slug is not None else None
    new_name = checked_name(name) if name is not None else None

    async def unit(tx: Transaction) -> Organization:
        changed = await context.store.organizations.replace(tx, context.organization.id, slug=new_slug, name=new_name)
        await note(context, tx, "updateOrganization", organization_id, {"slug": new_slug, "name": new_name})
        return changed

    changed = await context.store.database.write(unit)
    context.organization = changed
    _access_changed(context)
    return changed


# Members


async def add_member(
    context: Context,
    *,
    organization_id: str,
    subject: str,
    issuer: str | None,
    display_name: str | None,
    role: Role,
) -> Member:
    """Let a person in. `issuer` None: the one of the settings."""
    _admin_of(context, organization_id)
    known_issuer = issuer if issuer is not None else context.gateway.default_issuer
    if known_issuer is None:
        raise InvalidArgument(
            "The person has no `issuer`, and this gateway has no `auth.jwt.issuer` to take instead. Give the `iss` claim of their tokens.",
            path=("issuer",),
        )
    _checked_text(known_issuer, "issuer")
    _checked_text(subject, "subject")
    shown = checked_name(display_name, "displayName") if display_name is not None else None

    async def unit(tx: Transaction) -> Member:
        member = await context.store.organizations.add_member(
            tx,
            context.organization.id,
            issuer=known_issuer,
            subject=subject,
            display_name=shown,
            role=role,
            at=context.now(),
        )
        input_ = {"subject": subject, "issuer": known_issuer, "displayName": shown, "role": role.value}
        await note(context, tx, "addMember", format_id(IdType.MEMBER, member.id), input_)
        return member

    member = await context.store.database.write(unit)
    _access_changed(context)
    return member


async def update_member(context: Context, *, member_id: str, role: Role) -> Member:
    """Give a member another role. `Conflict` when nobody would be an admin any more."""
    id_ = _own_id(context, member_id, IdType.MEMBER, "member", "memberId")
    if await get_member(context, id_) is None:
        raise not_found("member", member_id, ("memberId",))

    async def unit(tx: Transaction) -> Member:
        member = await context.store.organizations.replace_member_role(tx, context.organization.id, id_, role)
        await note(context, tx, "updateMember", member_id, {"role": role.value})
        return member

    member = await context.store.database.write(unit)
    _access_changed(context)
    return member


async def remove_member(context: Context, *, member_id: str) -> str:
    """Let a member go; the id that was theirs. `Conflict` when nobody would be an admin any more."""
    id_ = _own_id(context, member_id, IdType.MEMBER, "member", "memberId")
    if await get_member(context, id_) is None:
        raise not_found("member", member_id, ("memberId",))

    async def unit(tx: Transaction) -> None:
        gone = await context.store.organizations.remove_member(tx, context.organization.id, id_)
        await note(context, tx, "removeMember", member_id, {"subject": gone.subject, "issuer": gone.issuer})

    await context.store.database.write(unit)
    _access_changed(context)
    return member_id


# API keys


async def create_api_key(
    context: Context, *, name: str, scopes: Sequence[Scope], expires_at: datetime | None
) -> tuple[ApiKey, str]:
    """A new key, and its secret, which is kept nowhere."""
    context.require(Scope.ADMIN)
    shown = checked_name(name)
    if not scopes:
        raise InvalidArgument("The key would be good for nothing. Give at least one of `scopes`.", path=("scopes",))
    if expires_at is not None and expires_at <= context.now():
        raise InvalidArgument(
            "The key would have ended already. Give a later `expiresAt`, or none.", path=("expiresAt",)
        )

    async def unit(tx: Transaction) -> tuple[ApiKey, str]:
        key, secret = await add_api_key(
            context.store,
            tx,
            context.organization,
            name=shown,
            scopes=frozenset(scopes),
            expires_at=expires_at,
            at=context.now(),
        )
        input_ = {"name": shown, "scopes": sorted(scopes), "expiresAt": expires_at.isoformat() if expires_at else None}
        await note(context, tx, "createApiKey", format_id(IdType.API_KEY, key.id), input_)
        return key, secret

    return await context.store.database.write(unit)


async def add_api_key(
    store: Store,
    tx: Transaction,
    organization: Organization,
    *,
    name: str,
    scopes: frozenset[Scope],
    expires_at: datetime | None,
    at: datetime,
) -> tuple[ApiKey, str]:
    """A new key and its secret, for the mutation, the command line and the demo."""
    made = new_api_key()
    key = await store.organizations.add_api_key(
        tx, organization.id, name, made.prefix, made.digest, scopes, role_of(scopes), expires_at, at
    )
    return key, made.secret


async def revoke_api_key(context: Context, *, api_key_id: str) -> ApiKey:
    """Make a key useless from now on; one that is revoked stays as it is."""
    id_ = _own_id(context, api_key_id, IdType.API_KEY, "API key", "apiKeyId")
    if await get_api_key(context, id_) is None:
        raise not_found("API key", api_key_id, ("apiKeyId",))

    async def unit(tx: Transaction) -> ApiKey:
        key = await context.store.organizations.revoke(tx, context.organization.id, id_, context.now())
        await note(context, tx, "revokeApiKey", api_key_id, {"name": key.name, "prefix": key.prefix})
        return key

    key = await context.store.database.write(unit)
    _access_changed(context)
    return key


# What they share


async def _own(context: Context) -> list[Organization]:
    """Where the viewer belongs, by slug; read once per operation."""
    issuer, subject = issuer_of(context.principal), context.principal.subject
    if issuer is None or subject is None:
        return [context.organization]
    return [organization for organization, _ in await context.batches.load(_memberships, (issuer, subject))]


async def _membership(context: Context, organization: Organization) -> Member | None:
    issuer, subject = issuer_of(context.principal), context.principal.subject
    if issuer is None or subject is None:
        return None
    found = await context.batches.load(_memberships, (issuer, subject))
    return next((member for own, member in found if own.id == organization.id), None)


async def _memberships(
    context: Context, people: Sequence[tuple[str, str]]
) -> list[Sequence[tuple[Organization, Member]]]:
    """One principal per operation, so one person."""
    return [await context.store.organizations.of_member(*person) for person in people]


def _may_see(context: Context, organization: Organization) -> bool:
    return context.is_admin and organization.id == context.organization.id


def _admin_of(context: Context, organization_id: str) -> None:
    """The id must name the organization of the request, where the viewer must be an admin."""
    context.require(Scope.ADMIN)
    if (
        _own_id(context, organization_id, IdType.ORGANIZATION, "organization", "organizationId")
        != context.organization.id
    ):
        raise not_found("organization", organization_id, ("organizationId",))


def _own_id(context: Context, text: str, type_: IdType, noun: str, field: str) -> int:
    context.require(Scope.ADMIN)
    parsed = parse_id_of(text, type_)
    return parsed.short if parsed is not None else _missing(noun, text, field)


def _missing(noun: str, text: str, field: str) -> NoReturn:
    raise not_found(noun, text, (field,))


def _checked_text(text: str, field: str) -> None:
    if not 1 <= len(text) <= _MAX_TEXT:
        raise InvalidArgument(f"`{field}` has {len(text)} characters; 1 to {_MAX_TEXT} are allowed.", path=(field,))
    if field == "issuer" and " " in text:
        raise InvalidArgument(
            "`issuer` has a space. Give the `iss` claim exactly as the tokens have it.", path=(field,)
        )


def _access_changed(context: Context) -> None:
    context.batches.forget()
    context.gateway.access_changed()
