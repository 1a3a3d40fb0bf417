"""What the commands share: the option for the settings, and running something with the store open."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from domain.records import Organization
from storage.store import Store, open_store
from switchboard.settings import Settings, load_settings
from switchboard.settings_errors import SettingsError

if TYPE_CHECKING:
    from resolvers.context import Gateway

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
MARKS = {True: Text("ok", "green"), False: Text("failed", "red"), None: Text("not checked", "yellow")}
"""How a check ended, in a table."""


def with_store(config: Path | None, act: Callable[[Settings, Store], Awaitable[T]]) -> T:
    """Open the store of the settings, bring its tables up to date, and run `act`."""
    settings = load_settings(config)

    async def run() -> T:
        async with open_store(settings.database_url) as store:
            return await act(settings, store)

    return asyncio.run(run())


@asynccontextmanager
async def opened_gateway(settings: Settings) -> AsyncIterator["Gateway"]:
    """All parts of a gateway, for one command."""
    from switchboard.wiring import open_gateway  # a second of imports, which most commands need not wait for

    async with open_gateway(settings, serves=False) as (gateway, _):
        yield gateway


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


def show(table: Table, *, on_stderr: bool = False) -> None:
    """Print a table: as wide as the terminal, and whole where it goes to a file or another program. Brackets in it are only brackets."""
    console = Console(stderr=on_stderr, markup=False)
    if not console.is_terminal:
        console = Console(stderr=on_stderr, markup=False, width=_WIDE)
    console.print(table)
