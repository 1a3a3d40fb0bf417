"""Sources: what there is, what it can do, and connecting, changing and disconnecting it.

Credentials are sealed before they reach the store and never come back out of here. They are sent only to the address that they were
given for: `updateSource` with another host wants them anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from domain.capabilities import Capabilities
from domain.errors import GatewayError, InvalidArgument
from domain.ids import IdType, format_id, parse_id_of
from domain.paging import Page, PageRequest
from domain.records import Account, Agent, Check, Health, HealthState, Scope, Source, Visibility
from domain.source import ChatSource, Connector
from resolvers.audit import note
from resolvers.context import Context
from resolvers.listing import listed_page
from resolvers.new_chat_form import form_of_new_chat
from resolvers.once import done_before, write_once
from resolvers.slugs import checked_name, checked_slug
from resolvers.source_forms import checked_credentials, checked_options, checked_url, host_of, secrets_of, shown
from resolvers.statuses import SourceStatus, status_of_error
from resolvers.targets import not_found, source_target
from resolvers.webhooks import webhook_path
from storage.database import Transaction

_NEW = 0
"""The id of a source that is only tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentList:
    """A page of what can answer, and how the source answered."""

    page: Page[Agent]
    status: SourceStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """What `connectSource` did. `source` is None when it was only tried."""

    source: Source | None
    checks: Sequence[Check]
    replayed: bool = False


class WebhookChange(StrEnum):
    """What `updateSource` does with the webhook of a source."""

    RENEW = "RENEW"
    REMOVE = "REMOVE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Updated:
    """What `updateSource` did. `webhook_path` is told this once, where a webhook was made."""

    source: Source
    webhook_path: str | None = None


class ChecksFailed(InvalidArgument):
    """The source was reached for and did not answer as it must. Nothing was stored; `checks` tells all that was checked."""

    def __init__(self, message: str, *, path: Sequence[str], checks: Sequence[Check]) -> None:
        super().__init__(message, path=path)
        self.checks = tuple(checks)


# Reading


async def vendors(context: Context) -> list[Connector]:
    """What can be connected here, by name."""
    context.require(Scope.READ)
    return sorted(context.gateway.connectors.values(), key=lambda connector: connector.vendor)


async def sources(context: Context) -> list[Source]:
    """The sources that the viewer may know of, by key."""
    context.require(Scope.READ)
    return list(await context.gateway.sources.visible(context.organization.id, context.principal))


async def get_source(context: Context, id_text: str) -> Source | None:
    """A source by its id, or None when there is no such source for the viewer."""
    context.require(Scope.READ)
    parsed = parse_id_of(id_text, IdType.SOURCE)
    return await context.batches.load(load_sources, parsed.short) if parsed is not None else None


async def load_sources(context: Context, short_ids: Sequence[int]) -> list[Source | None]:
    """Sources by short id; None for those that the viewer may not know of."""
    visible = await context.gateway.sources.visible(context.organization.id, context.principal)
    known = {source.id: source for source in visible}
    return [known.get(id_) for id_ in short_ids]


async def capabilities(context: Context, source: Source) -> Capabilities:
    """What a source can do; makes no call. One that cannot be opened shows its vendor's table, or nothing where the vendor is unknown."""
    try:
        return (await context.gateway.sources.connect(source)).capabilities
    except GatewayError:  # `health` says why; what it could do is still worth showing
        connector = context.gateway.sources.connector(source.vendor)
        return connector.capabilities if connector is not None else Capabilities(support={})


async def health(context: Context, source: Source) -> Health:
    """How a source has been answering; makes no call. One that cannot be opened is down."""
    try:
        health = (await context.gateway.sources.connect(source)).health()
    except GatewayError as error:
        return Health(state=HealthState.DOWN, message=error.message)
    return context.gateway.watching.health_of(source.id, health)


async def create_chat_schema(context: Context, source: Source) -> Mapping[str, Any]:
    """JSON Schema of what `createChat` takes for a source."""
    connector = context.gateway.sources.connector(source.vendor)
    return form_of_new_chat(connector, source, context.principal) if connector is not None else {"not": {}}


async def agents(context: Context, source: Source, page: PageRequest) -> AgentList | None:
    """What can answer in chats of a source. None where the vendor has no list; empty, with a status, where it did not answer."""
    context.require(Scope.READ)
    status = SourceStatus(source=source)
    try:
        live = await context.gateway.sources.connect(source)
        found = await live.list_agents()
    except GatewayError as error:
        found, status = (), status_of_error(source, error)
    if found is None:
        return None
    kind = f"agents {source.id}"
    return AgentList(
        page=await listed_page(context, kind, page, found, lambda agent: agent.native_id or ""), status=status
    )


# Connecting


async def connect_source(
    context: Context,
    *,
    key: str,
    vendor: str,
    display_name: str | None,
    base_url: str | None,
    credentials: Mapping[str, str],
    options: Mapping[str, Any] | None,
    dry_run: bool,
    visibility: Visibility,
    idempotency_key: str | None,
) -> Connected:
    """Check the settings, reach out, and store the source if all went well. With `dry_run` only the checks are answered.

    Raises `InvalidArgument` with the field as path before any call, and `ChecksFailed` when the source did not answer as it must.
    """
    context.require(Scope.ADMIN)
    connector = context.gateway.connectors.get(vendor)
    if connector is None:
        known = ", ".join(sorted(context.gateway.connectors))
        raise InvalidArgument(f"There is no vendor `{vendor}` here. Known ones: {known}.", path=("vendor",))
    source = Source(
        id=_NEW,
        organization_id=context.organization.id,
        key=checked_slug(key, "key"),
        vendor=vendor,
        display_name=checked_name(display_name, "displayName") if display_name is not None else connector.display_name,
        base_url=checked_url(connector, base_url),
        options=checked_options(connector, options or {}),
        visibility=visibility,
        owner=context.principal.key,
        created_at=context.now(),
    )
    secrets = checked_credentials(connector, credentials, context.gateway.take_variable)
    asked = [key, vendor, display_name, base_url, dict(credentials), dict(options or {}), visibility]
    if not dry_run and (earlier_id := await done_before(context, "connectSource", idempotency_key, asked)) is not None:
        return await _replayed(context, earlier_id)
    checks, account = await _try(connector.connect(source, secrets))
    if dry_run:
        return Connected(source=None, checks=checks)
    _raise_failed(checks)

    async def act(tx: Transaction) -> int:
        made = await context.store.sources.add(
            tx,
            organization_id=source.organization_id,
            key=source.key,
            vendor=source.vendor,
            display_name=source.display_name,
            base_url=source.base_url,
            options=source.options,
            visibility=source.visibility,
            owner=source.owner,
            account=account,
            created_at=source.created_at,
            sealed_credentials=context.gateway.seal_credentials(secrets) if secrets else b"",
        )
        input_ = shown(source) | {"credentials": sorted(credentials)}
        await note(context, tx, "connectSource", format_id(IdType.SOURCE, made.id), input_)
        return made.id

    done = await write_once(context, "connectSource", idempotency_key, asked, act)
    if done.replayed:
        return await _replayed(context, done.value)
    await _changed(context, done.value)
    return Connected(source=await context.store.sources.get(context.organization.id, done.value), checks=checks)


async def update_source(
    context: Context,
    *,
    source_id: str,
    display_name: str | None,
    base_url: str | None,
    credentials: Mapping[str, str] | None,
    options: Mapping[str, Any] | None,
    webhook: WebhookChange | None = None,
) -> Updated:
    """Change what is not None. Makes no call; `test_source` tells whether it works."""
    source, connector = await _changeable(context, source_id)
    if webhook is WebhookChange.RENEW and connector.capabilities.reads_from_store:
        raise InvalidArgument(
            f"The source {source.key} is the gateway's own store, which knows what happens in it. It needs no webhook.",
            path=("webhook",),
        )
    address = checked_url(connector, base_url) if base_url is not None else source.base_url
    kept = dict(await _kept_credentials(context, source, connector, credentials or {}))
    if host_of(address) != host_of(source.base_url) and (unsaid := sorted(set(kept) - set(credentials or {}))):
        raise InvalidArgument(
            f"The source {source.key} was to move to another host. Stored credentials are not sent there: "
            f"give {', '.join(f'`{name}`' for name in unsaid)} again.",
            path=("credentials",),
        )
    given = secrets_of(credentials or {}, context.gateway.take_variable)
    secrets = checked_credentials(connector, {**kept, **given}, None)
    wanted = replace(
        source,
        display_name=checked_name(display_name, "displayName") if display_name is not None else source.display_name,
        base_url=address,
        options=checked_options(connector, options) if options is not None else source.options,
    )
    sealed = context.gateway.seal_credentials(secrets) if credentials else None
    token, digest = context.gateway.webhook_tokens.new() if webhook is WebhookChange.RENEW else ("", None)

    async def unit(tx: Transaction) -> Source:
        changed = await context.store.sources.replace(tx, wanted, sealed)
        if webhook is not None:
            await context.store.sources.set_webhook(tx, source.organization_id, source.id, digest)
        input_ = shown(wanted) | {"credentials": sorted(credentials or {})}
        await note(context, tx, "updateSource", source_id, input_ | ({"webhook": webhook} if webhook else {}))
        return changed

    changed = await context.store.database.write(unit)
    await _changed(context, source.id)
    return Updated(source=changed, webhook_path=webhook_path(source.id, token) if token else None)


async def test_source(context: Context, *, source_id: str) -> tuple[Source, list[Check]]:
    """Reach out to a source now. What fails is an entry of the list."""
    context.require(Scope.ADMIN)
    target = await source_target(context, source_id)
    checks = list(await target.live.check())
    account = await _account(target.live) if all(check.passed for check in checks) else None
    if account is not None and account != target.source.account:

        async def unit(tx: Transaction) -> None:
            await context.store.sources.set_account(tx, context.organization.id, target.source.id, account)

        await context.store.database.write(unit)
        await _changed(context, target.source.id, reopen=False)
    found = await context.gateway.sources.get(context.organization.id, context.principal, target.source.id)
    return found or target.source, checks


async def disconnect_source(context: Context, *, source_id: str, keep_mirror: bool) -> str:
    """Forget a source and its credentials; its copy here goes too unless `keep_mirror`. Nothing is deleted at the source."""
    context.require(Scope.ADMIN)
    source = await _visible(context, source_id)

    async def unit(tx: Transaction) -> None:
        await context.store.sources.remove(
            tx, context.organization.id, source.id, at=context.now(), keep_mirror=keep_mirror
        )
        await note(context, tx, "disconnectSource", source_id, shown(source) | {"keepMirror": keep_mirror})

    await context.store.database.write(unit)
    await _changed(context, source.id)
    return source_id


# What they share


async def _try(live: ChatSource) -> tuple[list[Check], Account | None]:
    """Reach out with a source that is not stored."""
    try:
        checks = list(await live.check())
        account = await _account(live) if all(check.passed is not False for check in checks) else None
    finally:
        await live.aclose()
    return checks, account


async def _account(live: ChatSource) -> Account | None:
    try:
        return await live.account()
    except GatewayError:  # only a name to show; the checks told what works
        return None


def _raise_failed(checks: Sequence[Check]) -> None:
    for check in checks:
        if check.passed is False:
            path = {"credentials": ("credentials",), "reachable": ("baseUrl",)}.get(check.name, ())
            raise ChecksFailed(
                f"The source was not connected, because it did not pass the check `{check.name}`: {check.message}",
                path=path,
                checks=checks,
            )


async def _replayed(context: Context, source_id: int) -> Connected:
    source = await context.store.sources.get(context.organization.id, source_id)
    if source is None or not source.is_visible_to(context.principal):
        raise not_found("source", format_id(IdType.SOURCE, source_id))
    return Connected(source=source, checks=(), replayed=True)


async def _visible(context: Context, id_text: str) -> Source:
    parsed = parse_id_of(id_text, IdType.SOURCE)
    source = (await load_sources(context, [parsed.short]))[0] if parsed is not None else None
    if source is None:
        raise not_found("source", id_text, ("sourceId",))
    return source


async def _changeable(context: Context, id_text: str) -> tuple[Source, Connector]:
    context.require(Scope.ADMIN)
    source = await _visible(context, id_text)
    connector = context.gateway.sources.connector(source.vendor)
    if connector is None:
        raise InvalidArgument(
            f"The source {source.key} is of the vendor {source.vendor}, which this gateway has no connector for. Disconnect it instead.",
            path=("sourceId",),
        )
    return source, connector


async def _kept_credentials(
    context: Context, source: Source, connector: Connector, given: Mapping[str, str]
) -> Mapping[str, str]:
    """The stored ones; none when every one that the vendor knows is given, so that lost keys can be mended."""
    if set(connector.credentials_schema.get("properties", {})) <= set(given):
        return {}
    return await context.gateway.sources.credentials(source)


async def _changed(context: Context, source_id: int, *, reopen: bool = True) -> None:
    context.batches.forget()
    await context.gateway.sources.changed(context.organization.id, source_id if reopen else None)
