"""`switchboard sources`; connecting one stands in `switchboard.commands.connecting`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

import typer
from rich.table import Table

from domain.errors import GatewayError
from domain.ids import IdType, format_id
from domain.records import Check, Source, Visibility
from resolvers.context import utc_now
from resolvers.routing import Sources
from resolvers.source_forms import shown
from resolvers.sources import WebhookChange
from resolvers.webhooks import WebhookTokens, webhook_path
from storage import local
from storage.database import Transaction
from storage.store import Store
from switchboard.commands.connecting import add
from switchboard.commands.running import ACTOR, MARKS, Config, organization_of, show, with_store
from switchboard.configured_sources import configure_sources
from switchboard.keys import key_ring
from switchboard.settings import Settings
from switchboard.settings_errors import SettingsError
from switchboard.wiring import upstream_settings
from upstreams.http import UpstreamClients
from upstreams.registry import connectors

sources = typer.Typer(help="The chat systems that are connected.", no_args_is_help=True)
sources.command("add")(add)
Slug = Annotated[str, typer.Option("--organization", metavar="SLUG", help="The organization that it belongs to.")]


@sources.command("list")
def list_sources(
    organization: Annotated[str | None, typer.Option(metavar="SLUG", help="Only this one's. Left out: all.")] = None,
    config: Config = None,
) -> None:
    """Show the sources that are stored; those that the settings name are stored at the start of `serve`."""

    async def act(_: Settings, store: Store) -> list[tuple[str, Source]]:
        owners = (
            await store.organizations.all() if organization is None else [await organization_of(store, organization)]
        )
        return [(owner.slug, source) for owner in owners for source in await store.sources.of(owner.id)]

    table = Table("Organization", "Key", "Vendor", "Name", "Address", "Visibility", "State", "Id")
    for slug, source in with_store(config, act):
        table.add_row(
            slug,
            source.key,
            source.vendor,
            source.display_name,
            source.base_url or "",
            source.visibility.lower(),
            "connected" if source.disconnected_at is None else "disconnected, copy kept",
            _id_of(source),
        )
    show(table)


@sources.command("test")
def check_sources(
    organization: Slug,
    key: Annotated[str | None, typer.Argument(help="Its key or id. Left out: all that are connected.")] = None,
    config: Config = None,
) -> None:
    """Reach out to sources: are they there, are the credentials good, is the version right? Exits with 1 when one is not."""

    async def act(settings: Settings, store: Store) -> list[tuple[Source, list[Check]]]:
        owner = await organization_of(store, organization)
        async with opened_sources(settings, store) as opened:
            found = _named(await opened.of(owner.id), key)
            if not found:
                raise SettingsError(_no_source(organization, key))
            return [(source, await checks_of(opened, source)) for source in found]

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
    key: Annotated[str, typer.Argument(help="The key of the source, or its id.")],
    keep_mirror: Annotated[
        bool, typer.Option("--keep-mirror", help="Keep the copy of its chats until retention ends.")
    ] = False,
    config: Config = None,
) -> None:
    """Disconnect a source and forget its credentials. Nothing is deleted at the vendor."""

    async def act(settings: Settings, store: Store) -> Source:
        owner = await organization_of(store, organization)
        source = _only(_named(await store.sources.of(owner.id), key), organization, key)
        is_shared = source.visibility is Visibility.ORGANIZATION
        if is_shared and any((one.organization, one.key) == (organization, source.key) for one in settings.sources):
            raise SettingsError(
                f"The source {organization}/{source.key} is named in `[[sources]]` and would come back. Take it out of the settings first."
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
                target=_id_of(source),
                input=shown(source) | {"keepMirror": keep_mirror},
            )

        await store.database.write(unit)
        return source

    typer.echo(f"The source {organization}/{with_store(config, act).key} is disconnected.", err=True)


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


async def checks_of(opened: Sources, source: Source) -> list[Check]:
    """What reaching out to a source shows. One that cannot even be opened, such as for a lost key, fails a check and no other source."""
    try:
        return list(await (await opened.connect(source)).check())
    except GatewayError as error:
        return [Check("opened", False, error.message)]


def _named(known: Sequence[Source], name: str | None) -> list[Source]:
    """Those that a key or an id means, connected ones before those of which only the copy is left; None: all that are connected."""
    found = [source for source in known if name in (None, source.key, _id_of(source))]
    return [source for source in found if source.disconnected_at is None] or (found if name is not None else [])


def _only(found: Sequence[Source], organization: str, name: str) -> Source:
    if not found:
        raise SettingsError(_no_source(organization, name))
    if len(found) > 1:
        ids = ", ".join(_id_of(source) for source in found)
        raise SettingsError(f"{organization} has {len(found)} sources of the key {name}. Give the id of one: {ids}.")
    return found[0]


def _id_of(source: Source) -> str:
    return format_id(IdType.SOURCE, source.id)


def _no_source(organization: str, name: str | None) -> str:
    if name is None:
        return f"{organization} has no sources. Connect one with `switchboard sources add`."
    return (
        f"{organization} has no source {name}. See them with `switchboard sources list --organization {organization}`."
    )
