"""`switchboard serve`."""

import os
from typing import Annotated

import typer
import uvicorn

from storage.store import Store
from switchboard.commands.running import Config, with_store
from switchboard.keys import key_ring
from switchboard.logging import configure_logging
from switchboard.serving import server_options
from switchboard.settings import CONFIG_VARIABLE, Settings, load_settings
from switchboard.settings_errors import PREFIX, SettingsError


def serve(
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="The address to listen at. Left out: the setting `host`.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="The port. Left out: the setting `port`.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many processes. Left out: the setting `workers`.")
    ] = None,
) -> None:
    """Serve the gateway until SIGTERM or Ctrl-C.

    Refuses to start without a secret, and when nobody could use it: with neither an API key nor `auth.jwt`.
    """
    # Workers are processes that read the settings for themselves, so options reach them through the environment.
    for name, value in (("HOST", host), ("PORT", port), ("WORKERS", workers)):
        if value is not None:
            os.environ[PREFIX + name] = str(value)
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config)
    settings = load_settings()
    configure_logging(settings.log_format, settings.log_level)
    key_ring(settings)
    with_store(config, _check_somebody_may_ask)
    uvicorn.run("switchboard.app:create_app", factory=True, **server_options(settings))


async def _check_somebody_may_ask(settings: Settings, store: Store) -> None:
    if settings.auth.jwt is None and not await store.organizations.has_api_keys():
        raise SettingsError(
            "Nobody could use the gateway: it has no API key, and `auth.jwt` is not set. Make a key with\n"
            '  switchboard organizations create SLUG --name "…"\n'
            "  switchboard keys create --organization SLUG --scope admin"
        )
