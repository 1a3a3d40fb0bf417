"""Sources that exist because `[[sources]]` names them: made or changed at the start, in one transaction, so that all or none are.

A source that is no longer named stays as it is; `switchboard sources remove` disconnects it. Nothing is called here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from domain.errors import GatewayError
from domain.records import Source
from domain.source import Connector
from resolvers.source_forms import checked_credentials, checked_options, checked_url
from storage.database import Transaction
from storage.store import Store
from switchboard.settings import SourceSettings, from_environment
from switchboard.settings_errors import SettingsError

Seal = Callable[[Mapping[str, str]], bytes]


async def configure_sources(
    store: Store,
    wanted: Sequence[SourceSettings],
    connectors: Mapping[str, Connector],
    seal: Seal,
    at: datetime,
) -> list[Source]:
    """Bring the store to what the settings say. Raises `SettingsError` that names the source and what to change."""

    async def unit(tx: Transaction) -> list[Source]:
        return [await _settle(store, tx, one, connectors, seal, at) for one in wanted]

    return await store.database.write(unit) if wanted else []


async def _settle(
    store: Store, tx: Transaction, wanted: SourceSettings, connectors: Mapping[str, Connector], seal: Seal, at: datetime
) -> Source:
    name = f"The source {wanted.organization}/{wanted.key} of `[[sources]]`"
    connector = connectors.get(wanted.vendor)
    if connector is None:
        raise SettingsError(f"{name} is of the vendor `{wanted.vendor}`. Known ones: {', '.join(sorted(connectors))}.")
    organization = await store.organizations.by_slug(wanted.organization)
    if organization is None:
        raise SettingsError(
            f"{name} belongs to an organization that does not exist. Create it: "
            f'`switchboard organizations create {wanted.organization} --name "…"`.'
        )
    try:
        base_url = checked_url(connector, wanted.base_url)
        options = checked_options(connector, wanted.options)
        values = {
            part: from_environment(text, setting=f"credentials.{part}") for part, text in wanted.credentials.items()
        }
        secrets = checked_credentials(connector, values, None)
    except (GatewayError, SettingsError) as error:
        raise SettingsError(f"{name} cannot be used. {error}") from error
    sealed = seal(secrets) if secrets else b""
    shown = wanted.display_name or connector.display_name
    known = await store.sources.by_key(organization.id, wanted.key)
    if known is None:
        return await store.sources.add(
            tx,
            organization_id=organization.id,
            key=wanted.key,
            vendor=wanted.vendor,
            display_name=shown,
            base_url=base_url,
            options=options,
            created_at=at,
            sealed_credentials=sealed,
        )
    if known.vendor != wanted.vendor:
        raise SettingsError(
            f"{name} is of the vendor `{wanted.vendor}`, but the stored one is of `{known.vendor}`. "
            f"Give it another key, or run `switchboard sources remove --organization {wanted.organization} {wanted.key}`."
        )
    return await store.sources.replace(
        tx, replace(known, display_name=shown, base_url=base_url, options=options), sealed
    )
