"""`switchboard doctor`."""

from typing import Annotated

import typer
from rich.table import Table

from domain.capabilities import SupportLevel
from domain.errors import GatewayError
from domain.records import Check, Source
from resolvers.routing import Sources
from storage.store import Store
from switchboard.commands.running import MARKS, Config, show, with_store
from switchboard.commands.sources import opened_sources
from switchboard.keys import key_ring
from switchboard.settings import Settings


def doctor(
    organization: Annotated[str | None, typer.Option(metavar="SLUG", help="Only this one's. Left out: all.")] = None,
    config: Config = None,
) -> None:
    """Look at everything that a gateway needs: settings, secret, store, and each source with its version and what it can do.

    Exits with 1 when something is wrong.
    """

    async def act(settings: Settings, store: Store) -> list[tuple[str, Check]]:
        key_ring(settings)
        found = [
            ("settings", Check("settings", True, "They can be read, and the secret keys are there.")),
            ("store", Check("store", True, f"{settings.database_url} is there, with current tables.")),
        ]
        async with opened_sources(settings, store) as opened:
            for owner in await store.organizations.all():
                if organization in (None, owner.slug):
                    for source in await opened.of(owner.id):
                        if source.disconnected_at is not None:
                            continue  # only a copy is left, and nothing has to answer for it
                        name = f"{owner.slug}/{source.key}"
                        found += [(name, check) for check in await _checks(opened, source)]
        return found

    table = Table("What", "Check", "Result", "What it says")
    answers = with_store(config, act)
    for name, check in answers:
        table.add_row(name, check.name, MARKS[check.passed], check.message)
    show(table)
    if any(check.passed is False for _, check in answers):
        raise typer.Exit(1)


async def _checks(opened: Sources, source: Source) -> list[Check]:
    try:
        live = await opened.connect(source)
        checks = list(await live.check())
    except GatewayError as error:
        return [Check("opened", False, error.message)]
    levels = [support.level for support in live.capabilities.support.values()]
    words = ", ".join(f"{levels.count(level)} {level.value.lower()}" for level in SupportLevel if level in levels)
    return [*checks, Check("capabilities", True, f"{words}.")]
