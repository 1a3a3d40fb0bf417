"""Makes the sources that the settings name, and keeps them as the settings say: at every start, before the first request."""

from dataclasses import replace
from typing import Any

from domain.records import Source
from resolvers.context import Gateway
from resolvers.forms import check_form
from storage.database import Transaction
from switchboard.settings import Settings, SourceSettings, from_environment
from switchboard.settings_errors import SettingsError


async def apply_configured_sources(gateway: Gateway, settings: Settings) -> None:
    """Add or change each. Raises `SettingsError` for an unknown organization or vendor, and for options that do not fit."""
    for wanted in settings.sources:
        await _apply(gateway, wanted)


async def _apply(gateway: Gateway, wanted: SourceSettings) -> None:
    where = f"sources[{wanted.organization}/{wanted.key}]"
    organization = await gateway.store.organizations.by_slug(wanted.organization)
    if organization is None:
        raise SettingsError(
            f"`{where}` belongs to the organization {wanted.organization}, which there is none of. "
            f"Make it first: switchboard organizations create {wanted.organization} --name NAME"
        )
    connector = gateway.connectors.get(wanted.vendor)
    if connector is None:
        known = ", ".join(sorted(gateway.connectors))
        raise SettingsError(f"`{where}` is of the vendor {wanted.vendor}. Known ones: {known}.")
    credentials = {
        name: from_environment(value, setting=f"{where}.credentials.{name}")
        for name, value in wanted.credentials.items()
    }
    check_form(connector.credentials_schema, credentials, (where, "credentials"))
    check_form(connector.options_schema, wanted.options, (where, "options"))
    fields: dict[str, Any] = {
        "vendor": wanted.vendor,
        "display_name": wanted.display_name or connector.display_name,
        "base_url": wanted.base_url or connector.default_base_url,
        "options": wanted.options,
    }
    existing = {source.key: source for source in await gateway.store.sources.of(organization.id)}.get(wanted.key)
    sealed = gateway.seal_credentials(credentials)
    at = gateway.clock()

    async def unit(tx: Transaction) -> Source:
        if existing is None:
            return await gateway.store.sources.add(
                tx,
                organization_id=organization.id,
                key=wanted.key,
                created_at=at,
                sealed_credentials=sealed,
                **fields,
            )
        if existing.vendor != wanted.vendor:
            raise SettingsError(
                f"`{where}` was of the vendor {existing.vendor} before. A source keeps its vendor: choose another key."
            )
        changed = replace(existing, **fields)
        await gateway.store.sources.replace(tx, changed, sealed)
        return changed

    source = await gateway.store.database.write(unit)
    await gateway.sources.changed(organization.id, source.id)
