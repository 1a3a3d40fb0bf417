"""`switchboard keys`."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from domain.ids import IdType, format_id
from domain.records import ApiKey, Organization, Scope
from resolvers.context import utc_now
from resolvers.organizations import add_api_key
from resolvers.slugs import checked_name
from storage.database import Transaction
from storage.store import Store
from switchboard.commands.running import ACTOR, Config, organization_of, show, with_store
from switchboard.keys import new_secret
from switchboard.settings import Settings
from switchboard.settings_errors import SettingsError

keys = typer.Typer(help="API keys of organizations, and the gateway's own secret.", no_args_is_help=True)
Slug = Annotated[str, typer.Option("--organization", metavar="SLUG", help="The organization that the key belongs to.")]


class KeyScope(StrEnum):
    """What a key is made for. Here each includes the ones before it; GraphQL's `createApiKey` takes them one by one."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


_SCOPES = {
    KeyScope.READ: frozenset([Scope.READ]),
    KeyScope.WRITE: frozenset([Scope.READ, Scope.WRITE]),
    KeyScope.ADMIN: frozenset(Scope),
}


@keys.command()
def create(
    organization: Slug,
    scope: Annotated[KeyScope, typer.Option(help="What it is good for; each includes the ones before it.")],
    name: Annotated[str, typer.Option(help="What it is for.")] = "Made on the command line",
    days: Annotated[
        float | None, typer.Option(min=0.001, max=36500, help="When it ends by itself. Left out: never.")
    ] = None,
    config: Config = None,
) -> None:
    """Make an API key and print it, this once. Nothing else is printed on stdout."""

    async def act(_: Settings, store: Store) -> str:
        owner = await organization_of(store, organization)
        at = utc_now()

        async def unit(tx: Transaction) -> str:
            key, secret = await add_api_key(
                store,
                tx,
                owner,
                name=checked_name(name),
                scopes=_SCOPES[scope],
                expires_at=at + timedelta(days=days) if days is not None else None,
                at=at,
            )
            await _note(store, tx, owner, "createApiKey", key)
            return secret

        return await store.database.write(unit)

    typer.echo(with_store(config, act))


@keys.command("list")
def list_keys(organization: Slug, config: Config = None) -> None:
    """Show the API keys of an organization, without their secrets."""

    async def act(_: Settings, store: Store) -> list[ApiKey]:
        return await store.organizations.api_keys((await organization_of(store, organization)).id)

    table = Table("Prefix", "Name", "Scopes", "Created", "Last used", "Ends", "State")
    for key in with_store(config, act):
        table.add_row(
            key.prefix,
            key.name,
            " ".join(sorted(scope.lower() for scope in key.scopes)),
            f"{key.created_at:%Y-%m-%d %H:%M}",
            f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never",
            f"{key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "never",
            _state(key),
        )
    show(table)


@keys.command()
def revoke(
    prefix: Annotated[str, typer.Argument(help="The first characters of the key, as `keys list` shows them.")],
    organization: Slug,
    config: Config = None,
) -> None:
    """Make an API key useless. Running gateways notice within 5 seconds."""

    async def act(_: Settings, store: Store) -> ApiKey:
        owner = await organization_of(store, organization)
        found = [key for key in await store.organizations.api_keys(owner.id) if key.prefix == prefix[: len(key.prefix)]]
        if len(found) != 1:
            raise SettingsError(
                f"{len(found)} keys of {organization} begin with {prefix[:11]}. "
                f"See them with `switchboard keys list --organization {organization}`."
            )

        async def unit(tx: Transaction) -> ApiKey:
            key = await store.organizations.revoke(tx, owner.id, found[0].id, utc_now())
            await _note(store, tx, owner, "revokeApiKey", key)
            return key

        return await store.database.write(unit)

    typer.echo(f"The key {with_store(config, act).prefix}… is revoked.", err=True)


@keys.command()
def secret() -> None:
    """Print a new secret for the setting `secret_keys`. Keep it in a variable, e.g. SWITCHBOARD_SECRET_KEY."""
    typer.echo(new_secret())


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= utc_now() else "good"


async def _note(store: Store, tx: Transaction, owner: Organization, action: str, key: ApiKey) -> None:
    await store.organizations.add_audit(
        tx,
        owner.id,
        at=utc_now(),
        actor=ACTOR,
        action=action,
        target=format_id(IdType.API_KEY, key.id),
        input={"name": key.name, "prefix": key.prefix, "scopes": sorted(key.scopes)},
    )
