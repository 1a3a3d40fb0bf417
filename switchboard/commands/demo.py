"""`switchboard demo`."""

from typing import Annotated

import typer

from switchboard.settings_errors import SettingsError


def demo(
    port: Annotated[
        int, typer.Option(min=1, max=65000, help="The port; simulated vendors take the ones after it.")
    ] = 4000,
    life: Annotated[
        float,
        typer.Option(
            envvar="DEMO_LIFE",
            min=0.1,
            max=3600,
            metavar="SECONDS",
            help="About how often somebody else writes a message at each source.",
        ),
    ] = 4.0,
    quiet: Annotated[
        bool, typer.Option("--quiet", envvar="DEMO_QUIET", help="Nobody else writes: what changes is your doing.")
    ] = False,
) -> None:
    """Try it out: the gateway with simulated vendors and some chats, on this machine only, until Ctrl-C."""
    from switchboard.demo import DemoError, run  # it loads the simulators and all of the gateway

    try:
        run(port, life_seconds=None if quiet else life)
    except DemoError as error:
        raise SettingsError(str(error)) from error
