"""Sources: what is shown of them, and connecting, changing, testing and disconnecting them."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from domain.capabilities import Capability
from domain.errors import (
    Conflict,
    Forbidden,
    IdempotencyConflict,
    InvalidArgument,
    NotFound,
    SourceStatusCode,
    UpstreamUnavailable,
)
from domain.ids import IdType, format_id
from domain.paging import PageRequest
from domain.records import Account, AccountKind, Agent, Check, HealthState, Organization, Role, Source, Visibility
from domain.source import Connector
from resolvers import sources as under_test
from resolvers.context import Context, Gateway
from resolvers.organizations import add_organization
from resolvers.routing import Sources
from resolvers.webhooks import source_of_webhook
from storage import local
from storage.store import open_store
from switchboard.keys import KeyRing
from tests.builders import T0
from tests.fakes import FakeSource, capabilities
from tests.resolvers.gateways import a_context, a_gateway

pytestmark = pytest.mark.anyio
TEAM = Account(kind=AccountKind.TEAM, native_id="t1")
GOOD = (Check("reachable", True, "It answers."), Check("credentials", True, "They are good."))


@dataclass
class Vendor:
    """A vendor whose sources answer as told, and which remembers what it was given."""

    checks: tuple[Check, ...] = GOOD
    found: tuple[Agent, ...] | None = ()
    fails: Exception | None = None
    account: Account | None = TEAM
    given: list[tuple[Source, Mapping[str, str]]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def connect(self, source: Source, credentials: Mapping[str, str]) -> Any:
        self.given.append((source, dict(credentials)))
        return VendorSource(source, vendor=self)

    def connector(self) -> Connector:
        text = {"type": "string", "minLength": 1}
        return Connector(
            vendor="acorn",
            display_name="Acorn",
            capabilities=capabilities(),
            credentials_schema={
                "type": "object",
                "properties": {"api_key": text, "user": text},
                "required": ["api_key"],
                "additionalProperties": False,
            },
            options_schema={
                "type": "object",
                "properties": {"depth": {"type": "integer", "minimum": 1}},
                "additionalProperties": False,
            },
            create_chat_schema={"type": "object", "title": "New chat"},
            connect=self.connect,
        )


@dataclass
class VendorSource(FakeSource):
    """A source of `Vendor`."""

    vendor: Vendor = field(default_factory=Vendor)

    async def check(self) -> tuple[Check, ...]:
        self.vendor.calls.append("check")
        return self.vendor.checks

    async def account(self) -> Account | None:
        self.vendor.calls.append("account")
        if self.vendor.fails is not None:
            raise self.vendor.fails
        return self.vendor.account

    async def list_agents(self) -> tuple[Agent, ...] | None:
        if self.vendor.fails is not None:
            raise self.vendor.fails
        return self.vendor.found

    async def aclose(self) -> None:
        self.vendor.calls.append("aclose")


@dataclass
class World:
    """A gateway with `acme` and `beta`, and the vendor `acorn`."""

    gateway: Gateway
    acme: Organization
    beta: Organization
    vendor: Vendor

    def ann(self, **changes: Any) -> Context:
        return a_context(self.gateway, self.acme, person="ann", **changes)

    async def connect(self, context: Context | None = None, **changes: Any) -> under_test.Connected:
        fields: dict[str, Any] = {
            "key": "oak",
            "vendor": "acorn",
            "display_name": None,
            "base_url": "https://oak.example/",
            "credentials": {"api_key": "hunter2"},
            "options": {"depth": 2},
            "dry_run": False,
            "visibility": Visibility.ORGANIZATION,
            "idempotency_key": None,
        }
        return await under_test.connect_source(context or self.ann(), **{**fields, **changes})

    async def connected(self, **changes: Any) -> Source:
        source = (await self.connect(**changes)).source
        assert source is not None
        return source

    async def update(self, source: Source, **changes: Any) -> Source:
        fields = {"display_name": None, "base_url": None, "credentials": None, "options": None}
        id_ = format_id(IdType.SOURCE, source.id)
        return (await under_test.update_source(self.ann(), source_id=id_, **{**fields, **changes})).source

    async def keys(self, context: Context | None = None) -> list[str]:
        return [source.key for source in await under_test.sources(context or self.ann())]

    async def credentials(self, source: Source) -> Mapping[str, str]:
        return await self.gateway.sources.credentials(source)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """The variable `ACORN_KEY` may be taken."""
    vendor = Vendor()
    async with open_store(f"sqlite:///{tmp_path / 'store.db'}") as store:

        async def unit(tx: Any) -> tuple[Organization, Organization]:
            return (
                await add_organization(store, tx, slug="acme", name="Acme", at=T0),
                await add_organization(store, tx, slug="beta", name="Beta", at=T0),
            )

        acme, beta = await store.database.write(unit)
        gateway = a_gateway(
            store,
            connectors={"acorn": vendor.connector()},
            clock=lambda: T0,
            take_variable={"ACORN_KEY": "from-variable"}.get,
        )
        yield World(gateway, acme, beta, vendor)
        await gateway.sources.aclose()


def id_of(source: Source) -> str:
    return format_id(IdType.SOURCE, source.id)


# Connecting


async def test_a_connected_source_is_listed_with_its_account(world: World) -> None:
    answer = await world.connect()
    assert answer.checks == list(GOOD)
    assert answer.source is not None
    assert (answer.source.key, answer.source.display_name) == ("oak", "Acorn")
    assert answer.source.base_url == "https://oak.example"
    assert answer.source.options == {"depth": 2}
    assert answer.source.account == Account(kind=AccountKind.TEAM, native_id="t1")
    assert await world.keys() == ["local", "oak"]


async def test_credentials_are_encrypted_and_nowhere_else(world: World) -> None:
    source = await world.connected(idempotency_key="k")
    assert await world.credentials(source) == {"api_key": "hunter2"}
    for table in ("source", "audit", "intent"):
        rows = await world.gateway.store.database.fetch_all(f"SELECT * FROM {table}")
        assert rows
        assert "hunter2" not in str(rows)


async def test_the_audit_log_names_the_credentials_and_not_their_values(world: World) -> None:
    source = await world.connected()
    (entry,) = await world.gateway.store.organizations.audit(world.acme.id)
    assert (entry.action, entry.target, entry.actor) == ("connectSource", id_of(source), "Ann")
    assert entry.input["credentials"] == ["api_key"]


async def test_a_dry_run_checks_and_stores_nothing(world: World) -> None:
    answer = await world.connect(dry_run=True, idempotency_key="k")
    assert (answer.source, answer.checks) == (None, list(GOOD))
    assert await world.keys() == ["local"]
    assert world.vendor.calls == ["check", "account", "aclose"]
    assert await world.gateway.store.organizations.audit(world.acme.id) == []


async def test_a_dry_run_tells_what_failed(world: World) -> None:
    world.vendor.checks = (Check("reachable", False, "Connection refused."),)
    answer = await world.connect(dry_run=True)
    assert [check.passed for check in answer.checks] == [False]


@pytest.mark.parametrize(
    ("name", "path"), [("reachable", ("baseUrl",)), ("credentials", ("credentials",)), ("version", ())]
)
async def test_a_failed_check_stores_nothing_and_names_the_field(
    world: World, name: str, path: tuple[str, ...]
) -> None:
    world.vendor.checks = (Check(name, False, "It said no."),)
    with pytest.raises(under_test.ChecksFailed) as caught:
        await world.connect()
    assert caught.value.path == path
    assert caught.value.checks == world.vendor.checks
    assert caught.value.message == (
        f"The source was not connected, because it did not pass the check `{name}`: It said no."
    )
    assert await world.keys() == ["local"]
    assert world.vendor.calls == ["check", "aclose"]


async def test_an_account_that_cannot_be_read_is_no_obstacle(world: World) -> None:
    world.vendor.fails = UpstreamUnavailable("No.", source_id=0, operation="account")
    assert (await world.connected()).account is None


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"key": "Oak"}, ("key",)),
        ({"vendor": "birch"}, ("vendor",)),
        ({"display_name": " "}, ("displayName",)),
        ({"base_url": None}, ("baseUrl",)),
        ({"base_url": "oak.example"}, ("baseUrl",)),
        ({"base_url": "ftp://oak.example"}, ("baseUrl",)),
        ({"base_url": "file:///etc/passwd"}, ("baseUrl",)),
        ({"base_url": "https://"}, ("baseUrl",)),
        ({"base_url": "https://[::1"}, ("baseUrl",)),
        ({"base_url": "https://oak.example:99999"}, ("baseUrl",)),
        ({"base_url": "https://ann:pw@oak.example"}, ("baseUrl",)),
        ({"base_url": "https://oak.example/?a=b"}, ("baseUrl",)),
        ({"base_url": "https://oak.example/#a"}, ("baseUrl",)),
        ({"options": {"depth": 0}}, ("options", "depth")),
        ({"options": {"dept": 1}}, ("options", "dept")),
        ({"options": [1]}, ("options",)),
        ({"credentials": {}}, ("credentials", "api_key")),
        ({"credentials": {"api_key": ""}}, ("credentials", "api_key")),
        ({"credentials": {"api_key": "a", "more": "b"}}, ("credentials", "more")),
        ({"credentials": {"api_key": "env:SWITCHBOARD_SECRET_KEY"}}, ("credentials", "api_key")),
    ],
    ids=lambda value: json.dumps(value),
)
async def test_what_is_wrong_is_said_before_any_call(world: World, changes: Any, path: tuple[str, ...]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await world.connect(**changes)
    assert caught.value.path == path
    assert "hunter2" not in caught.value.message
    assert world.vendor.calls == []


async def test_a_variable_is_taken_where_the_settings_allow_it(world: World) -> None:
    source = await world.connected(credentials={"api_key": "env:ACORN_KEY"})
    assert await world.credentials(source) == {"api_key": "from-variable"}


async def test_a_key_is_unique_in_an_organization_only(world: World) -> None:
    await world.connect()
    with pytest.raises(Conflict) as caught:
        await world.connect()
    assert caught.value.path == ("key",)
    other = a_context(world.gateway, world.beta)
    await world.connect(other)
    assert await world.keys(other) == ["local", "oak"]


async def test_the_same_request_connects_once(world: World) -> None:
    first = await world.connect(idempotency_key="k")
    again = await world.connect(idempotency_key="k")
    assert (again.source, again.replayed) == (first.source, True)
    assert world.vendor.calls.count("check") == 1
    with pytest.raises(IdempotencyConflict):
        await world.connect(idempotency_key="k", key="elm")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
async def test_only_admins_connect_change_test_and_disconnect(world: World, role: Role) -> None:
    source = await world.connected()
    context = world.ann(role=role)
    for call in (
        world.connect(context, key="elm"),
        under_test.update_source(
            context, source_id=id_of(source), display_name="x", base_url=None, credentials=None, options=None
        ),
        under_test.test_source(context, source_id=id_of(source)),
        under_test.disconnect_source(context, source_id=id_of(source), keep_mirror=False),
    ):
        with pytest.raises(Forbidden):
            await call


# Reading


async def test_a_source_of_its_owner_is_seen_by_nobody_else(world: World) -> None:
    source = await world.connected(visibility=Visibility.OWNER)
    bob = a_context(world.gateway, world.acme, person="bob")
    assert await world.keys() == ["local", "oak"]
    assert await world.keys(bob) == ["local"]
    assert await under_test.get_source(bob, id_of(source)) is None
    with pytest.raises(NotFound):
        await under_test.disconnect_source(bob, source_id=id_of(source), keep_mirror=False)


async def test_a_key_of_a_source_of_its_owner_tells_nobody_that_there_is_one(world: World) -> None:
    own = await world.connected(visibility=Visibility.OWNER)
    bob = a_context(world.gateway, world.acme, person="bob")
    shared = (await world.connect(bob)).source
    assert shared is not None
    assert shared.key == own.key
    assert await world.keys(bob) == ["local", "oak"]
    assert await world.keys() == ["local", "oak", "oak"]
    for context in (bob, world.ann()):
        with pytest.raises(Conflict):
            await world.connect(context, visibility=Visibility.OWNER)


async def test_a_source_of_another_organization_is_not_found(world: World) -> None:
    source = await world.connected()
    other = a_context(world.gateway, world.beta)
    assert await under_test.get_source(world.ann(), id_of(source)) == source
    assert await under_test.get_source(other, id_of(source)) is None
    assert await under_test.get_source(world.ann(), "junk") is None
    for call in (
        under_test.update_source(
            other, source_id=id_of(source), display_name="x", base_url=None, credentials=None, options=None
        ),
        under_test.test_source(other, source_id=id_of(source)),
        under_test.disconnect_source(other, source_id=id_of(source), keep_mirror=False),
    ):
        with pytest.raises(NotFound) as caught:
            await call
        assert caught.value.path == ("sourceId",)


async def test_vendors_are_listed_by_name(world: World) -> None:
    gateway = replace(
        world.gateway, connectors={"b": replace(world.vendor.connector(), vendor="b"), "a": world.vendor.connector()}
    )
    assert [one.vendor for one in await under_test.vendors(a_context(gateway, world.acme))] == ["acorn", "b"]


async def test_a_source_shows_capabilities_health_and_form_without_a_call(world: World) -> None:
    source = await world.connected()
    world.vendor.calls.clear()
    assert (await under_test.capabilities(world.ann(), source)).can(Capability.PIN_CHAT)
    assert (await under_test.health(world.ann(), source)).state is HealthState.UNKNOWN
    assert (await under_test.create_chat_schema(world.ann(), source))["title"] == "New chat"
    assert world.vendor.calls == []


async def test_a_source_of_an_unknown_vendor_is_down_and_can_nothing(world: World) -> None:
    gateway = replace(world.gateway, connectors={}, sources=Sources(world.gateway.store, {}, lambda _: {}, lambda: T0))
    context = a_context(gateway, world.acme)
    source = await world.connected()
    assert not (await under_test.capabilities(context, source)).can(Capability.LIST_CHATS)
    health = await under_test.health(context, source)
    assert (health.state, "no connector" in (health.message or "")) == (HealthState.DOWN, True)


async def test_a_source_whose_key_is_lost_is_down_and_can_be_given_new_credentials(world: World) -> None:
    source = await world.connected(credentials={"api_key": "a", "user": "b"})
    ring = KeyRing(["another secret of the gateway, quite new"])
    sources = Sources(world.gateway.store, world.gateway.connectors, ring.unseal, lambda: T0)
    gateway = replace(world.gateway, sources=sources, seal_credentials=ring.seal)
    context = a_context(gateway, world.acme, person="ann")
    health = await under_test.health(context, source)
    assert health.state is HealthState.DOWN
    assert "`secret_keys`" in (health.message or "")
    await under_test.update_source(
        context,
        source_id=id_of(source),
        display_name=None,
        base_url=None,
        credentials={"api_key": "c", "user": "d"},
        options=None,
    )
    assert (await under_test.health(context, source)).state is HealthState.UNKNOWN
    await sources.aclose()


async def test_agents_are_paged(world: World) -> None:
    world.vendor.found = tuple(Agent(native_id=str(number)) for number in range(5))
    source = await world.connected()
    first = await under_test.agents(world.ann(), source, PageRequest(first=2))
    assert first is not None
    assert [agent.native_id for agent in first.page.rows] == ["0", "1"]
    rest = await under_test.agents(world.ann(), source, PageRequest(first=9, after=first.page.cursors[1]))
    assert rest is not None
    assert [agent.native_id for agent in rest.page.rows] == ["2", "3", "4"]
    last = await under_test.agents(world.ann(), source, PageRequest(last=2, before=rest.page.cursors[2]))
    assert last is not None
    assert [agent.native_id for agent in last.page.rows] == ["2", "3"]
    assert (last.page.has_previous, last.page.has_next) == (True, True)


async def test_agents_are_null_where_there_is_no_list_and_empty_where_it_failed(world: World) -> None:
    world.vendor.found = None
    source = await world.connected()
    assert await under_test.agents(world.ann(), source, PageRequest(first=2)) is None
    world.vendor.fails = UpstreamUnavailable("No.", source_id=source.id, operation="agents")
    failed = await under_test.agents(world.ann(), source, PageRequest(first=2))
    assert failed is not None
    assert (list(failed.page.rows), failed.status.code) == ([], SourceStatusCode.UPSTREAM_UNAVAILABLE)


# Changing


async def test_what_is_left_out_stays(world: World) -> None:
    source = await world.connected()
    changed = await world.update(source, display_name="Oak tree")
    assert changed == replace(source, display_name="Oak tree")
    assert await world.credentials(changed) == {"api_key": "hunter2"}


async def test_a_changed_source_is_opened_anew_with_its_new_credentials(world: World) -> None:
    source = await world.connected()
    await world.gateway.sources.connect(source)
    changed = await world.update(source, credentials={"api_key": "new"}, options={})
    await world.gateway.sources.connect(changed)
    assert world.vendor.given[-1] == (changed, {"api_key": "new"})
    assert changed.options == {}


async def test_credentials_are_replaced_by_name(world: World) -> None:
    source = await world.connected(credentials={"api_key": "a", "user": "b"})
    await world.update(source, credentials={"user": "c"})
    assert await world.credentials(source) == {"api_key": "a", "user": "c"}


async def test_stored_credentials_do_not_follow_to_another_host(world: World) -> None:
    """Else an admin could have the secrets that somebody else put in sent to a server of their own."""
    source = await world.connected(credentials={"api_key": "a", "user": "b"})
    with pytest.raises(InvalidArgument) as caught:
        await world.update(source, base_url="https://evil.example", credentials={"user": "c"})
    assert caught.value.path == ("credentials",)
    assert "`api_key`" in caught.value.message
    moved = await world.update(source, base_url="https://elm.example", credentials={"api_key": "c", "user": "d"})
    assert moved.base_url == "https://elm.example"


async def test_another_path_of_the_same_host_keeps_credentials(world: World) -> None:
    source = await world.connected()
    changed = await world.update(source, base_url="https://oak.example/chat")
    assert await world.credentials(changed) == {"api_key": "hunter2"}


async def test_a_stored_secret_that_looks_like_a_variable_is_not_looked_up_again(world: World) -> None:
    source = await world.connected()
    sealed = world.gateway.seal_credentials({"api_key": "env:ACORN_KEY"})
    await world.gateway.store.database.write(lambda tx: world.gateway.store.sources.replace(tx, source, sealed))
    await world.update(source, credentials={"user": "x"})
    assert (await world.credentials(source))["api_key"] == "env:ACORN_KEY"


# Testing and disconnecting


async def test_testing_tells_every_check_and_notes_the_account(world: World) -> None:
    world.vendor.account = None
    source = await world.connected()
    world.vendor.account = Account(kind=AccountKind.TEAM, native_id="t2")
    found, checks = await under_test.test_source(world.ann(), source_id=id_of(source))
    assert checks == list(GOOD)
    assert found.account == Account(kind=AccountKind.TEAM, native_id="t2")


async def test_a_failed_test_is_an_answer(world: World) -> None:
    source = await world.connected()
    world.vendor.checks = (Check("reachable", False, "Connection refused."),)
    found, checks = await under_test.test_source(world.ann(), source_id=id_of(source))
    assert (found, checks) == (source, list(world.vendor.checks))


async def test_a_disconnected_source_is_gone_with_its_credentials(world: World) -> None:
    source = await world.connected()
    gone = await under_test.disconnect_source(world.ann(), source_id=id_of(source), keep_mirror=False)
    assert gone == id_of(source)
    assert await world.keys() == ["local"]
    rows = await world.gateway.store.database.fetch_all("SELECT credentials FROM source WHERE id = ?", (source.id,))
    assert rows == [(b"",)]
    with pytest.raises(NotFound):
        await under_test.disconnect_source(world.ann(), source_id=id_of(source), keep_mirror=False)


async def test_the_id_of_a_disconnected_source_is_not_used_again(world: World) -> None:
    first = await world.connected()
    await under_test.disconnect_source(world.ann(), source_id=id_of(first), keep_mirror=False)
    assert (await world.connected()).id != first.id


# Webhooks


async def with_webhook(world: World, source: Source, change: under_test.WebhookChange | None) -> str | None:
    context, none = world.ann(), {"display_name": None, "base_url": None, "credentials": None, "options": None}
    return (await under_test.update_source(context, source_id=id_of(source), webhook=change, **none)).webhook_path


async def is_good(world: World, path: str) -> bool:
    id_, token = path.removeprefix("/webhooks/").split("/")
    store, tokens = world.gateway.store, world.gateway.webhook_tokens
    return await source_of_webhook(store, tokens, id_, token) is not None


async def test_webhook_is_shown_once_renewed_and_removed(world: World) -> None:
    source = await world.connected()
    first = await with_webhook(world, source, under_test.WebhookChange.RENEW)
    assert first is not None
    assert await is_good(world, first)
    assert await with_webhook(world, source, None) is None
    assert await is_good(world, first)
    second = await with_webhook(world, source, under_test.WebhookChange.RENEW)
    assert second is not None
    assert (await is_good(world, first), await is_good(world, second)) == (False, True)
    assert await with_webhook(world, source, under_test.WebhookChange.REMOVE) is None
    assert not await is_good(world, second)


async def test_webhook_is_in_the_audit_log_and_its_token_is_nowhere(world: World) -> None:
    source = await world.connected()
    path = await with_webhook(world, source, under_test.WebhookChange.RENEW)
    assert path is not None
    newest = (await world.gateway.store.organizations.audit(world.acme.id))[0]
    assert (newest.action, newest.input["webhook"]) == ("updateSource", "RENEW")
    rows = [await world.gateway.store.database.fetch_all(f"SELECT * FROM {table}") for table in ("source", "audit")]
    assert path.rpartition("/")[2] not in str(rows)


async def test_webhook_of_a_disconnected_source_is_good_no_more(world: World) -> None:
    source = await world.connected()
    path = await with_webhook(world, source, under_test.WebhookChange.RENEW)
    assert path is not None
    await under_test.disconnect_source(world.ann(), source_id=id_of(source), keep_mirror=True)
    assert not await is_good(world, path)


async def test_the_local_store_needs_no_webhook(world: World) -> None:
    store = world.gateway.store
    own = Sources(store, {"local": local.connector(store)}, lambda _: {}, lambda: T0)
    world = replace(world, gateway=replace(world.gateway, sources=own))
    (source,) = await under_test.sources(world.ann())
    with pytest.raises(InvalidArgument, match="It needs no webhook") as caught:
        await with_webhook(world, source, under_test.WebhookChange.RENEW)
    assert caught.value.path == ("webhook",)
