"""`switchboard organizations`."""

from typing import Annotated

import typer
from rich.table import Table

from domain.ids import IdType, format_id
from domain.records import Organization, Role
from resolvers.context import utc_now
from resolvers.organizations import add_organization
from storage.database import Transaction
from storage.store import Store
from switchboard.commands.running import ACTOR, Config, show, with_store
from switchboard.settings import Settings
from switchboard.settings_errors import SettingsError

organizations = typer.Typer(help="The tenants of the gateway.", no_args_is_help=True)


@organizations.command()
def create(
    slug: Annotated[str, typer.Argument(help="Short name for addresses: lower-case letters, digits and hyphens.")],
    name: Annotated[str, typer.Option(help="The name to show to people.")],
    admin: Annotated[
        str | None,
        typer.Option(metavar="SUBJECT", help="The `sub` claim of its first admin, for signing in with tokens."),
    ] = None,
    issuer: Annotated[
        str | None, typer.Option(help="The `iss` claim of the admin. Left out: `auth.jwt.issuer`.")
    ] = None,
    config: Config = None,
) -> None:
    """Create an organization, with its local source. Prints its slug."""

    async def act(settings: Settings, store: Store) -> Organization:
        known_issuer = issuer or (settings.auth.jwt.issuer if settings.auth.jwt is not None else None)
        if admin is not None and known_issuer is None:
            raise SettingsError("The admin has no issuer. Give `--issuer`, or set `auth.jwt.issuer`.")
        at = utc_now()

        async def unit(tx: Transaction) -> Organization:
            made = await add_organization(store, tx, slug=slug, name=name, at=at)
            await store.organizations.add_audit(
                tx,
                made.id,
                at=at,
                actor=ACTOR,
                action="createOrganization",
                target=format_id(IdType.ORGANIZATION, made.id),
                input={"slug": slug, "name": name},
            )
            if admin is not None and known_issuer is not None:
                await store.organizations.add_member(
                    tx, made.id, issuer=known_issuer, subject=admin, display_name=None, role=Role.ADMIN, at=at
                )
            return made

        return await store.database.write(unit)

    typer.echo(with_store(config, act).slug)


@organizations.command("list")
def list_organizations(config: Config = None) -> None:
    """Show all organizations."""

    async def act(_: Settings, store: Store) -> list[Organization]:
        return await store.organizations.all()

    table = Table("Slug", "Name", "Created")
    for one in with_store(config, act):
        table.add_row(one.slug, one.name, f"{one.created_at:%Y-%m-%d %H:%M}")
    show(table)
