"""The contract suite: written once, run for every connector of the registry. A new vendor adds recorded answers and no test code.

Reading is checked against recorded answers; faults are made at the transport. The same promises are checked over a running
server, a simulator's or a real one, by `live_contract`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest

from domain.capabilities import Capability, NativeStream, SupportLevel
from domain.errors import (
    CapabilityMissing,
    GatewayError,
    NotFound,
    UnexpectedAnswer,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnauthorized,
    UpstreamUnavailable,
)
from domain.records import MessageRole
from domain.source import ChatSource, MessageWindow, NewChat, NewMessage
from tests.upstreams.live_contract import Subject, assert_complete, assert_tree, what_it_cannot_do_is_refused
from tests.upstreams.recorded import Recorded, Replay, load, options_of
from tests.upstreams.wire import FakeClock, Scripted, a_source, an_answer
from upstreams.http import UpstreamClients
from upstreams.policy import UpstreamSettings
from upstreams.registry import CONNECTORS, connectors

pytestmark = pytest.mark.anyio

SECRET = "sk-contract-0123456789"
WHOLE = MessageWindow(last=100)
C = Capability


@pytest.fixture(params=sorted(CONNECTORS))
def vendor(request: pytest.FixtureRequest) -> str:
    """Every vendor of the registry."""
    return str(request.param)


def connected(vendor: str, transport: httpx.AsyncBaseTransport, **settings: Any) -> ChatSource:
    """A source of the vendor over a transport; it waits in no time. Each credential of the form's example is the secret, or the first alone."""
    clients = UpstreamClients(UpstreamSettings(**settings), clock=FakeClock().clock, transport=transport)
    connector = connectors(clients)[vendor]
    names = example_of(connector.credentials_schema) or [next(iter(connector.credentials_schema["properties"]))]
    options = {**example_of(connector.options_schema), **options_of(vendor)}
    return connector.connect(a_source(vendor, **options), dict.fromkeys(names, SECRET))


def example_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The example that a form shows, empty where it shows none."""
    return dict(next(iter(schema.get("examples", ())), {}))


def preludes(answers: Mapping[str, Recorded]) -> list[Recorded]:
    """What comes before the call that is meant: asking for the release, signing in."""
    return [answers[name] for name in ("version", "login") if name in answers]


def replayed(vendor: str, *names: str) -> tuple[ChatSource, dict[str, Recorded], Replay]:
    """A source that is answered with recordings, `names` before all others."""
    answers = load(vendor)
    first = [name for name in names if name in answers]
    known = [
        name for name in ("version", "login", "account", "list_chats", "get_chat", "list_messages") if name in answers
    ]
    transport = Replay(answers, [*first, *(name for name in known if name not in first)])
    return connected(vendor, transport), answers, transport


def faulty(vendor: str, fault: Callable[[httpx.Request], Any], **settings: Any) -> tuple[ChatSource, Scripted]:
    """A source whose vendor does `fault`, after the probe for its release and the signing in where there are such."""
    before = preludes(load(vendor))

    async def handler(request: httpx.Request) -> httpx.Response:
        for recorded in before:
            if recorded.answers(request):
                return recorded.response()
        answer = fault(request)
        return answer if isinstance(answer, httpx.Response) else await answer

    transport = Scripted(handler)
    return connected(vendor, transport, **settings), transport


async def drained(source: ChatSource, needs: frozenset[str] = frozenset()) -> list[Any]:
    """All chats that the source shows."""
    return [chat async for page in source.drain_chats(needs) for chat in page.rows]


async def first_of(steps: AsyncIterator[Any]) -> Any:
    """The first thing that comes."""
    async for step in steps:
        return step
    return None


def a_new_chat(source: ChatSource) -> NewChat:
    """With an agent where the form has one."""
    form = connectors(UpstreamClients())[source.source.vendor].create_chat_schema
    return NewChat(agent="a" if "agent" in form["properties"] else None)


READINGS: dict[str, Callable[[ChatSource], Awaitable[Any]]] = {
    "list": drained,
    "get_chat": lambda source: source.get_chat("c1"),
    "read_messages": lambda source: source.read_messages("c1", WHOLE),
    "get_message": lambda source: source.get_message("c1", "m1"),
}
WRITINGS: dict[str, Callable[[ChatSource], Awaitable[Any]]] = {
    "create_chat": lambda source: source.create_chat(a_new_chat(source)),
    "delete_chat": lambda source: source.delete_chat("c1"),
    "send_message": lambda source: first_of(
        source.send_message(
            NewMessage(id="m", reply_id="r", chat_id="c1", role=MessageRole.USER, text="hi", parent_id=None)
        )
    ),
}
OPERATIONS = READINGS | WRITINGS


async def failure_of(vendor: str, operation: str, fault: Callable[[httpx.Request], Any], **settings: Any) -> Any:
    """The error that an operation ends with. It never holds the secret, and is a sentence."""
    source, _ = faulty(vendor, fault, **settings)
    with pytest.raises(GatewayError) as caught:
        await OPERATIONS[operation](source)
    error = caught.value
    assert SECRET not in repr(error) + repr(error.__cause__)
    assert SECRET not in (source.health().message or "")
    assert error.message.endswith(".")
    if isinstance(error, UpstreamError):
        assert error.source_id == source.source.id
    return error


# What is recorded


async def test_recorded_chat_is_complete_and_its_id_round_trips(vendor: str) -> None:
    source, answers, transport = replayed(vendor)
    listed = {chat.native_id: chat for chat in await listed_chats(source)}
    chat_id = answers["get_chat"].path.rsplit("/", 1)[1]
    for chat in listed.values():
        assert_complete(Subject(source), chat)
    found = await source.get_chat(chat_id)
    assert found is not None
    assert_complete(Subject(source), found)
    assert found.native_id == chat_id
    assert chat_id in listed
    assert source.capabilities.row_fields <= listed[chat_id].told
    assert all(request.headers["accept"] == "application/json" for request in transport.requests)


async def listed_chats(source: ChatSource) -> list[Any]:
    """The first page of the list, or all of it where it has no pages."""
    orders = source.capabilities.native_orders
    return list((await source.list_chats(orders[0], None)).rows) if orders else await drained(source)


async def test_every_request_carries_the_credentials(vendor: str) -> None:
    source, answers, transport = replayed(vendor)
    await listed_chats(source)
    before = preludes(answers)
    signed = [request for request in transport.requests if not any(one.answers(request) for one in before)]
    assert signed
    cookie = answers["login"].headers["set-cookie"].split(";")[0] if "login" in answers else SECRET
    assert all(cookie in str(request.headers.multi_items()) for request in signed)
    assert not any(SECRET in str(request.url) for request in transport.requests)


async def test_recorded_messages_are_a_tree(vendor: str) -> None:
    source, answers, _ = replayed(vendor)
    chat_id = answers["get_chat"].path.rsplit("/", 1)[1]
    found = await source.read_messages(chat_id, WHOLE)
    assert found is not None
    assert found.messages
    assert found.is_complete
    assert found.skipped.count == 0
    assert_tree(found.messages)
    assert found.active_leaf in [message.native_id for message in found.messages]


async def test_recorded_missing_chat_is_none(vendor: str) -> None:
    source, answers, _ = replayed(vendor, "get_chat_missing")
    assert await source.get_chat(answers["get_chat_missing"].path.rsplit("/", 1)[1]) is None


async def test_recorded_refusal_of_credentials_is_told_apart(vendor: str) -> None:
    recorded = load(vendor)["unauthorized"]
    for operation in OPERATIONS:
        error = await failure_of(vendor, operation, lambda request: recorded.response())
        assert isinstance(error, UpstreamUnauthorized)
        assert "Check the credential `" in error.message
        assert not error.retryable


async def test_account_is_found_or_unknown(vendor: str) -> None:
    source, _, _ = replayed(vendor)
    account = await source.account()
    assert account is None or account.kind


# Faults


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
async def test_forbidden(vendor: str, operation: str) -> None:
    error = await failure_of(vendor, operation, lambda request: an_answer({"error": SECRET, "detail": SECRET}, 403))
    assert isinstance(error, UpstreamUnauthorized)


@pytest.mark.parametrize("operation", ["get_chat", "read_messages", "get_message"])
async def test_missing_is_none_where_it_is_read(vendor: str, operation: str) -> None:
    source, _ = faulty(vendor, lambda request: an_answer({}, 404))
    assert await READINGS[operation](source) is None


@pytest.mark.parametrize("operation", ["delete_chat", "send_message"])
async def test_missing_is_not_found_where_it_is_written(vendor: str, operation: str) -> None:
    assert isinstance(await failure_of(vendor, operation, lambda request: an_answer({}, 404)), NotFound)


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
@pytest.mark.parametrize(("headers", "seconds"), [({"Retry-After": "77"}, 77), ({}, None)], ids=["wait", "no wait"])
async def test_rate_limit(vendor: str, operation: str, headers: dict[str, str], seconds: float | None) -> None:
    error = await failure_of(vendor, operation, lambda request: an_answer({}, 429, headers=headers))
    assert isinstance(error, UpstreamRateLimited)
    assert error.retry_after_seconds == seconds
    assert error.retryable
    assert not error.perhaps_executed


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
@pytest.mark.parametrize("status", [500, 502, 503])
async def test_failing_server(vendor: str, operation: str, status: int) -> None:
    error = await failure_of(vendor, operation, lambda request: an_answer({"error": {"message": SECRET}}, status))
    assert isinstance(error, UpstreamUnavailable)
    assert error.retryable


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
async def test_silence(vendor: str, operation: str) -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    def fault(request: httpx.Request) -> Any:
        # Where a vendor may think for minutes, the deadline is the operation's own; there the connection breaks instead.
        return broken(request) if request.method == "POST" else never(request)

    error = await failure_of(vendor, operation, fault, timeout_seconds=0.2)
    assert isinstance(error, UpstreamTimeout | UpstreamUnavailable)


async def broken(request: httpx.Request) -> httpx.Response:
    """A connection that breaks after the request was sent."""
    raise httpx.RemoteProtocolError(f"broke with {SECRET}", request=request)


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
async def test_broken_connection(vendor: str, operation: str) -> None:
    error = await failure_of(vendor, operation, broken)
    assert isinstance(error, UpstreamUnavailable)
    assert error.retryable


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<!doctype html><title>Welcome</title>", "text/html; charset=utf-8"),
        (b'{"id": "c1", "chats": [', "application/json"),
        (b"", "application/json"),
        (b"null", "application/json"),
        (b'{"unrelated": true}', "application/json"),
        (json.dumps({"id": SECRET}).encode(), "application/json"),
    ],
    ids=["html", "half", "empty", "null", "other object", "too little"],
)
async def test_answer_of_another_shape(vendor: str, operation: str, content: bytes, kind: str) -> None:
    if operation == "delete_chat" and kind == "application/json":
        return  # what a deletion answers is not read
    error = await failure_of(
        vendor, operation, lambda request: an_answer(content=content, headers={"Content-Type": kind})
    )
    assert isinstance(error, UnexpectedAnswer)
    assert error.json_path.startswith("$")


async def test_writing_that_broke_counts_as_perhaps_executed_and_is_made_once(vendor: str) -> None:
    source, transport = faulty(vendor, broken)
    with pytest.raises(UpstreamError) as caught:
        await source.create_chat(a_new_chat(source))
    assert caught.value.perhaps_executed
    assert [request.method for request in transport.requests].count("POST") == 1


# Tables and forms


async def test_what_is_not_possible_makes_no_request(vendor: str) -> None:
    source, transport = faulty(vendor, lambda request: an_answer({}, 500))
    await what_it_cannot_do_is_refused(Subject(source))
    assert transport.requests == []


async def test_what_has_no_stream_is_watched_by_no_request(vendor: str) -> None:
    source, transport = faulty(vendor, lambda request: an_answer({}, 500))
    assert source.capabilities.stream is not NativeStream.SOURCE
    with pytest.raises(CapabilityMissing) as caught:
        await first_of(source.watch(None))
    assert caught.value.capability is Capability.LIVE_MESSAGES
    assert transport.requests == []


def test_watching_asks_no_more_often_than_the_option_says(vendor: str) -> None:
    connector = connectors(UpstreamClients())[vendor]
    assert connector.options_schema["properties"]["polls_per_minute"]["type"] == "integer"
    options = {**example_of(connector.options_schema), "polls_per_minute": 7}
    names = example_of(connector.credentials_schema) or [next(iter(connector.credentials_schema["properties"]))]
    source = connector.connect(a_source(vendor, **options), dict.fromkeys(names, SECRET))
    assert source.capabilities.polls_per_minute == 7


async def test_making_a_source_makes_no_request_and_shows_no_secret(vendor: str) -> None:
    source, transport = faulty(vendor, lambda request: an_answer({}, 500))
    assert source.health().checked_at is None
    assert SECRET not in repr(source)
    await source.aclose()
    assert transport.requests == []


async def test_hostile_id_makes_no_request_to_another_place(vendor: str) -> None:
    source, transport = faulty(vendor, lambda request: an_answer({}, 404))
    for hostile in ("..", ".", "a/../../x", "%2e%2e/%2f", "a\r\nHost: evil", "\x00", "?a=b", "#x", "x" * 4096):
        assert await source.get_chat(hostile) is None
        assert await source.read_messages(hostile, WHOLE) is None
    for request in transport.requests:
        path = request.url.raw_path.decode()
        assert "/../" not in path
        assert "a=b" not in request.url.query.decode()
        assert request.url.host == "vendor.test"


async def test_checks_tell_instead_of_raising(vendor: str) -> None:
    source, _ = faulty(vendor, lambda request: an_answer({"detail": SECRET, "message": SECRET}, 401))
    checks = await source.check()
    assert "credentials" in [check.name for check in checks]
    assert any(check.passed is False for check in checks)
    assert not any(SECRET in check.message for check in checks)
    source, _ = faulty(vendor, broken)
    assert any(check.passed is False for check in await source.check())


def test_table_has_a_cell_for_every_capability_and_says_why_not(vendor: str) -> None:
    table = connectors(UpstreamClients())[vendor].capabilities
    assert set(table.support) == set(Capability)
    unsupported = [cell for cell in table.support.values() if cell.level is SupportLevel.UNSUPPORTED]
    assert all(cell.note for cell in unsupported)


def test_forms_are_schemas_whose_fields_are_explained(vendor: str) -> None:
    connector = connectors(UpstreamClients())[vendor]
    assert connector.vendor == vendor
    for schema in (connector.credentials_schema, connector.options_schema, connector.create_chat_schema):
        assert schema["type"] == "object"
        for name, field in schema["properties"].items():
            assert "type" in field, name
            assert field.get("description") or "maxProperties" in field or "maxItems" in field or "title" in field, name
