"""`switchboard migrate`."""

import typer

from storage import migrate as migration
from switchboard.commands.running import Config
from switchboard.settings import load_settings


def migrate(config: Config = None) -> None:
    """Bring the store's tables up to date. `serve` does it too; run it by itself to see it done before."""
    settings = load_settings(config)
    migration.upgrade(settings.database_url)
    typer.echo(f"The tables of {settings.database_url} are up to date ({migration.newest()}).", err=True)
