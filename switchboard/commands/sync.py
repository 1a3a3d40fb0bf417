"""`switchboard sync`."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from domain.errors import GatewayError
from resolvers.context import Context, system_context
from resolvers.syncing import sync_source
from resolvers.targets import SourceTarget
from switchboard.commands.running import Config, organization_of
from switchboard.settings import Settings, load_settings
from switchboard.settings_errors import SettingsError
from switchboard.wiring import open_gateway


def sync(
    organization: Annotated[str, typer.Option(metavar="SLUG", help="Whose sources.")],
    key: Annotated[str | None, typer.Argument(help="One source. Left out: all of the organization.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Also read the messages that were read before.")] = False,
    config: Config = None,
) -> None:
    """Read sources whole into the gateway's copy, for search and for when a vendor is down.

    It can be interrupted: the next run goes on with the chats that were not read. Exits with 1 when something could not be read.
    """
    failures = asyncio.run(_run(load_settings(config), organization, key, again=again))
    for failure in failures:
        typer.echo(f"switchboard: {failure}", err=True)
    if failures:
        raise typer.Exit(1)


async def _run(settings: Settings, slug: str, key: str | None, *, again: bool) -> list[str]:
    async with open_gateway(settings, serves=False) as (gateway, _):
        organization = await organization_of(gateway.store, slug)
        sources = [source for source in await gateway.sources.of(organization.id) if key in (None, source.key)]
        if not sources:
            raise SettingsError(f"{slug} has no source {key}. See them with `switchboard sources list`.")
        failures: list[str] = []
        columns = (TextColumn("{task.description:20}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            for source in sources:
                context = system_context(gateway, organization, source.owner or "system")
                target = SourceTarget(source, await gateway.sources.connect(source))
                failures += await _one(context, target, bar, again=again)
        return failures


async def _one(context: Context, target: SourceTarget, bar: Progress, *, again: bool) -> list[str]:
    task = bar.add_task(target.source.key, total=None)
    last_error: str | None = None
    try:
        async for progress in sync_source(context, target, again=again):
            bar.update(task, completed=progress.done + progress.failed, total=progress.total)
            last_error = progress.last_error
    except GatewayError as error:
        last_error = error.message
    bar.update(task, total=bar.tasks[task].completed)
    return [last_error] if last_error is not None else []
