"""The command line: `switchboard --help`. Each command has a module in `switchboard.commands`."""

import sys
from collections.abc import Sequence

import typer

from domain.errors import GatewayError
from switchboard.commands.demo import demo
from switchboard.commands.doctor import doctor
from switchboard.commands.keys import keys
from switchboard.commands.migrate import migrate
from switchboard.commands.organizations import organizations
from switchboard.commands.schema import schema
from switchboard.commands.serve import serve
from switchboard.commands.sources import sources
from switchboard.commands.sync import sync
from switchboard.settings_errors import SettingsError

app = typer.Typer(
    name="switchboard",
    help="One typed GraphQL endpoint for chats, whichever system they live in.",
    epilog="Settings come from switchboard.toml and from SWITCHBOARD_… variables; the README lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(serve)
app.command()(demo)
app.command()(migrate)
app.add_typer(keys, name="keys")
app.add_typer(organizations, name="organizations")
app.add_typer(sources, name="sources")
app.command()(sync)
app.command()(doctor)
app.command()(schema)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit. What was foreseen is one sentence on stderr and exit code 1; a wrong call is 2.

    `arguments` None: those of the process.
    """
    try:
        app(args=arguments)
    except (SettingsError, GatewayError) as error:
        typer.echo(f"switchboard: {error}", err=True)
        sys.exit(1)
