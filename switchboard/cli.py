"""The command line: `switchboard --help`. Each command has a module in `switchboard.commands`."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from domain.errors import GatewayError
from switchboard.settings_errors import SettingsError

COMMANDS = ("serve", "demo", "migrate", "keys", "organizations", "sources", "sync", "doctor", "schema")
"""Each is a module of `switchboard.commands`, which holds a function or a `Typer` of that name."""


class _Commands(TyperGroup):
    """Loads a command when it is asked for: all of them together bring the whole gateway."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | TyperGroup | None:
        if cmd_name not in COMMANDS:
            return None
        found = getattr(import_module(f"switchboard.commands.{cmd_name}"), cmd_name)
        holder = typer.Typer(add_completion=False, rich_markup_mode="rich")
        holder.callback()(_group)
        if isinstance(found, typer.Typer):
            holder.add_typer(found, name=cmd_name)
        else:
            holder.command(cmd_name)(found)
        group = get_command(holder)
        assert isinstance(group, TyperGroup)  # `_group` makes it one
        command = group.commands[cmd_name]
        assert isinstance(command, TyperCommand | TyperGroup)  # what Typer makes
        return command


def _group() -> None:
    """Makes an application a group, whatever is registered in it."""


app = typer.Typer(
    name="switchboard",
    cls=_Commands,
    help="One typed GraphQL endpoint for chats, whichever system they live in.",
    epilog="Settings come from switchboard.toml and from SWITCHBOARD_… variables; the README lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


app.callback()(_group)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit. What was foreseen is one sentence on stderr and exit code 1; a wrong call is 2.

    `arguments` None: those of the process.
    """
    try:
        app(args=arguments)
    except (SettingsError, GatewayError) as error:
        typer.echo(f"switchboard: {error}", err=True)
        sys.exit(1)
