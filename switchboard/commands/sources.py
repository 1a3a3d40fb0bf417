"""`switchboard sources`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import typer
from rich.table import Table

from domain.ids import IdType, format_id
from domain.records import Check, Source
from resolvers.context import utc_now
from resolvers.routing import Sources
from resolvers.sources import WebhookChange
from resolvers.webhooks import WebhookTokens, webhook_path
from storage import local
from storage.database import Transaction
from storage.store import Store
from switchboard.commands.running import ACTOR, Config, organization_of, show, with_store
from switchboard.configured_sources import configure_sources
from switchboard.keys import key_ring
from switchboard.settings import Settings
from switchboard.settings_errors import SettingsError
from switchboard.wiring import upstream_settings
from upstreams.http import UpstreamClients
from upstreams.registry import connectors

sources = typer.Typer(help="The chat systems that are connected.", no_args_is_help=True)
Slug = Annotated[str, typer.Option("--organization", metavar="SLUG", help="The organization that it belongs to.")]
MARKS = {True: "[green]ok[/]", False: "[red]failed[/]", None: "[yellow]not checked[/]"}


@sources.command("list")
def list_sources(
    organization: Annotated[str | None, typer.Option(metavar="SLUG", help="Only this one's. Left out: all.")] = None,
    config: Config = None,
) -> None:
    """Show the sources that are stored; those of `[[sources]]` are stored at the start of `serve`."""

    async def act(_: Settings, store: Store) -> list[tuple[str, Source]]:
        owners = (
            await store.organizations.all() if organization is None else [await organization_of(store, organization)]
        )
        return [(owner.slug, source) for owner in owners for source in await store.sources.of(owner.id)]

    table = Table("Organization", "Key", "Vendor", "Name", "Address", "Visibility")
    for slug, source in with_store(config, act):
        table.add_row(
            slug, source.key, source.vendor, source.display_name, source.base_url or "", source.visibility.lower()
        )
    show(table)


@sources.command("test")
def check_sources(
    organization: Slug,
    key: Annotated[str | None, typer.Argument(help="Its key. Left out: all sources of the organization.")] = None,
    config: Config = None,
) -> None:
    """Reach out to sources: are they there, are the credentials good, is the version right? Exits with 1 when one is not."""

    async def act(settings: Settings, store: Store) -> list[tuple[Source, list[Check]]]:
        owner = await organization_of(store, organization)
        async with opened_sources(settings, store) as opened:
            found = [source for source in await opened.of(owner.id) if key is None or source.key == key]
            if not found:
                raise SettingsError(_no_source(organization, key or ""))
            return [(source, list(await (await opened.connect(source)).check())) for source in found]

    answers = with_store(config, act)
    table = Table("Source", "Check", "Result", "What it says")
    for source, checks in answers:
        for check in checks:
            table.add_row(source.key, check.name, MARKS[check.passed], check.message)
    show(table)
    if any(check.passed is False for _, checks in answers for check in checks):
        raise typer.Exit(1)


@sources.command()
def remove(
    organization: Slug,
    key: Annotated[str, typer.Argument(help="The key of the source.")],
    keep_mirror: Annotated[
        bool, typer.Option("--keep-mirror", help="Keep the copy of its chats until retention ends.")
    ] = False,
    config: Config = None,
) -> None:
    """Disconnect a source and forget its credentials. Nothing is deleted at the vendor."""

    async def act(settings: Settings, store: Store) -> None:
        owner = await organization_of(store, organization)
        source = await store.sources.by_key(owner.id, key)
        if source is None:
            raise SettingsError(_no_source(organization, key))
        if any((one.organization, one.key) == (organization, key) for one in settings.sources):
            raise SettingsError(
                f"The source {organization}/{key} is named in `[[sources]]` and would come back. Take it out of the settings first."
            )
        at = utc_now()

        async def unit(tx: Transaction) -> None:
            await store.sources.remove(tx, owner.id, source.id, at=at, keep_mirror=keep_mirror)
            await store.organizations.add_audit(
                tx,
                owner.id,
                at=at,
                actor=ACTOR,
                action="disconnectSource",
                target=format_id(IdType.SOURCE, source.id),
                input={"key": key, "keepMirror": keep_mirror},
            )

        await store.database.write(unit)

    with_store(config, act)
    typer.echo(f"The source {organization}/{key} is disconnected.", err=True)


@sources.command()
def webhook(
    organization: Slug,
    key: Annotated[str, typer.Argument(help="The key of the source.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take no more webhooks of it.")] = False,
    config: Config = None,
) -> None:
    """Make the address to which the vendor of a source can send its webhooks, and print its path, this once.

    The one before is good no longer. Running gateways know it at once.
    """

    async def act(settings: Settings, store: Store) -> str | None:
        owner = await organization_of(store, organization)
        source = await store.sources.by_key(owner.id, key)
        if source is None:
            raise SettingsError(_no_source(organization, key))
        if source.vendor == local.VENDOR:
            raise SettingsError(f"{organization}/{key} is the gateway's own store, which needs no webhook.")
        token, digest = (None, None) if remove else WebhookTokens(key_ring(settings).webhook_keys).new()

        async def unit(tx: Transaction) -> None:
            await store.sources.set_webhook(tx, owner.id, source.id, digest)
            await store.organizations.add_audit(
                tx,
                owner.id,
                at=utc_now(),
                actor=ACTOR,
                action="updateSource",
                target=format_id(IdType.SOURCE, source.id),
                input={"key": key, "webhook": WebhookChange.REMOVE if remove else WebhookChange.RENEW},
            )

        await store.database.write(unit)
        return webhook_path(source.id, token) if token is not None else None

    path = with_store(config, act)
    if path is None:
        typer.echo(f"{organization}/{key} takes no webhooks any more.", err=True)
    else:
        typer.echo(path)


@asynccontextmanager
async def opened_sources(settings: Settings, store: Store) -> AsyncIterator[Sources]:
    """The sources as the settings want them, without the rest of a gateway: nothing is recovered, nothing is served."""
    ring = key_ring(settings)
    clients = UpstreamClients(upstream_settings(settings))
    available = {"local": local.connector(store), **connectors(clients)}
    opened = Sources(store, available, ring.unseal, utc_now)
    try:
        await configure_sources(store, settings.sources, available, ring.seal, utc_now())
        yield opened
    finally:
        await opened.aclose()
        await clients.aclose()


def _no_source(organization: str, key: str) -> str:
    return (
        f"{organization} has no source {key}. See them with `switchboard sources list --organization {organization}`."
    )
