"""`switchboard demo`."""

from typing import Annotated

import typer

from switchboard.settings_errors import SettingsError


def demo(
    port: Annotated[
        int, typer.Option(min=1, max=65000, help="The port; simulated vendors take the ones after it.")
    ] = 4000,
) -> None:
    """Try it out: the gateway with simulated vendors and some chats, on this machine only, until Ctrl-C."""
    from switchboard.demo import DemoError, run  # it loads the simulators and all of the gateway

    try:
        run(port)
    except DemoError as error:
        raise SettingsError(str(error)) from error
