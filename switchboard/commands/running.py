"""What the commands share: the option for the settings, and running something with the store open."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from domain.records import Organization
from storage.store import Store, open_store
from switchboard.settings import Settings, load_settings
from switchboard.settings_errors import SettingsError

T = TypeVar("T")

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="The settings. Left out: $SWITCHBOARD_CONFIG, else switchboard.toml."
    ),
]
_WIDE = 240

ACTOR = "command line"
"""Who the audit log names for what is done here."""


def with_store(config: Path | None, act: Callable[[Settings, Store], Awaitable[T]]) -> T:
    """Open the store of the settings, bring its tables up to date, and run `act`."""
    settings = load_settings(config)

    async def run() -> T:
        async with open_store(settings.database_url) as store:
            return await act(settings, store)

    return asyncio.run(run())


async def organization_of(store: Store, slug: str) -> Organization:
    """The organization of a slug. Raises `SettingsError` that says how to make it."""
    found = await store.organizations.by_slug(slug)
    if found is None:
        known = ", ".join(one.slug for one in await store.organizations.all()) or "none yet"
        raise SettingsError(
            f"There is no organization `{slug}`. Known ones: {known}. "
            f'Create it with `switchboard organizations create {slug} --name "…"`.'
        )
    return found


def show(table: Table) -> None:
    """Print a table: as wide as the terminal, and whole where it goes to a file or another program."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    console.print(table)
