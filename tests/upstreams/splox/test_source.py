"""What is particular to Splox's chats; each test is named after its quirk."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import httpx
import pytest

from domain.errors import (
    GatewayError,
    InvalidArgument,
    NotFound,
    UnexpectedAnswer,
    UpstreamError,
    UpstreamRejected,
    UpstreamTooLarge,
    UpstreamUnauthorized,
    UpstreamUnavailable,
)
from domain.records import Account, AccountKind, Agent, AgentKind, Chat, MessageRole, Person
from domain.source import ChatSource, FirstMessage, MessageWindow, NewChat
from tests.upstreams.recorded import Replay, load, options_of
from tests.upstreams.splox.server import RESOURCES, TOKEN, USER, WORKFLOW, Splox, a_chat, a_message, an_account, paths
from tests.upstreams.wire import Exchange, a_source, an_answer, wire
from upstreams.http import UpstreamClients
from upstreams.policy import UpstreamSettings
from upstreams.splox.source import splox

pytestmark = pytest.mark.anyio


async def drained(source: ChatSource) -> list[Chat]:
    return [chat async for page in source.drain_chats(frozenset()) for chat in page.rows]


# Chats


async def test_documented_chat_is_read_and_its_share_token_is_not_shown() -> None:
    transport = Replay(load("splox"), ["list_chats"])
    source = splox(UpstreamClients(transport=transport)).connect(
        a_source("splox", **options_of("splox")), {"api_key": TOKEN}
    )
    refunds, deliveries = await drained(source)
    assert (refunds.title, refunds.metadata, deliveries.metadata) == ("Refunds", {"ticket": 1234}, None)
    assert deliveries.agent == Agent(refunds.agent.native_id if refunds.agent else None, kind=AgentKind.WORKFLOW)
    assert isinstance(refunds.owner, Person)
    assert deliveries.raw is not None
    assert deliveries.raw["is_public"] is True
    assert "share-me-not" not in repr(deliveries)
    assert [request.headers["authorization"] for request in transport.requests] == [f"Bearer {TOKEN}"]


async def test_example_request_of_the_documents_goes_out_field_by_field() -> None:
    """vendor page "Create Chat"."""
    source, transport = an_account(Splox())
    chat = await source.create_chat(NewChat(title="Support Chat", agent="0199e001-a23b-7c8d-1234-567890abcdef"))
    assert paths(transport.requests) == ["POST /chats"]
    assert json.loads(transport.requests[0].content) == {
        "name": "Support Chat",
        "resource_type": "api",
        "resource_id": "0199e001-a23b-7c8d-1234-567890abcdef",
    }
    assert (chat.title, chat.agent) == (
        "Support Chat",
        Agent("0199e001-a23b-7c8d-1234-567890abcdef", kind=AgentKind.WORKFLOW),
    )


@pytest.mark.parametrize(
    ("new", "sent"),
    [
        (NewChat(metadata={"k": [1, None]}), {"name": "New chat", "metadata": {"k": [1, None]}}),
        (NewChat(title="T", metadata={}), {"name": "T", "metadata": {}}),
        (NewChat(title="T", tags=("a",), folder_id=None), {"name": "T"}),
    ],
)
async def test_only_resource_is_taken_where_no_agent_is_named(new: NewChat, sent: dict[str, Any]) -> None:
    source, transport = an_account(Splox())
    await source.create_chat(new)
    assert json.loads(transport.requests[0].content) == {**sent, "resource_type": "api", "resource_id": WORKFLOW}


@pytest.mark.parametrize(
    ("new", "options", "path"),
    [
        (NewChat(), {"resources": []}, ("agent",)),
        (NewChat(), {"resources": [*RESOURCES, {"id": "w-2"}]}, ("agent",)),
        (NewChat(agent="a", options={"x": 1}), {}, ("options",)),
        (NewChat(agent="a", user_id="u"), {}, ("userId",)),
        (NewChat(agent="a", messages=(FirstMessage(id="m", role=MessageRole.USER, text="x"),)), {}, ("messages",)),
    ],
    ids=["no resource", "two resources", "options", "user", "messages"],
)
async def test_impossible_chat_is_refused_before_any_request(
    new: NewChat, options: dict[str, Any], path: tuple[str, ...]
) -> None:
    source, transport = an_account(Splox(), **options)
    with pytest.raises(InvalidArgument) as caught:
        await source.create_chat(new)
    assert caught.value.path == path
    assert transport.requests == []


async def test_chat_is_listed_once_though_two_types_show_it() -> None:
    chat = {"chats": [a_chat("c")]}
    server = Splox(
        answers={
            f"GET /chats/workflow/{WORKFLOW}": lambda: an_answer(chat),
            f"GET /chats/api/{WORKFLOW}": lambda: an_answer(chat),
        }
    )
    source, transport = an_account(server, resources=[{"type": "workflow", "id": WORKFLOW}])
    assert [chat.native_id for chat in await drained(source)] == ["c"]
    assert paths(transport.requests) == [f"GET /chats/workflow/{WORKFLOW}", f"GET /chats/api/{WORKFLOW}"]


async def test_chat_made_as_api_and_shown_as_workflow_is_listed() -> None:
    """The second example of the page "Create Chat" answers with another type than was sent."""
    source, _ = an_account(Splox(), resources=[{"id": WORKFLOW}])
    made = await source.create_chat(NewChat(title="T"))
    assert sorted(chat.native_id for chat in await drained(source)) == ["c", made.native_id]


async def test_without_configured_resources_the_workflows_of_the_account_are_listed() -> None:
    server = Splox(
        chats={
            "c": a_chat(),
            "d": a_chat("d", resource_id="w-2", resource_type="workflow"),
            "e": a_chat("e", resource_id="w-3"),
        },
        workflows=(WORKFLOW, "w-2"),
    )
    source, transport = an_account(server, resources=[])
    assert [chat.native_id for chat in await drained(source)] == ["c", "d"]
    assert paths(transport.requests)[0] == "GET /workflows"
    assert len(transport.requests) == 5


async def test_too_many_workflows_ask_for_the_option() -> None:
    source, transport = an_account(Splox(workflows=[f"w{number}" for number in range(51)]), resources=[])
    with pytest.raises(UpstreamRejected, match=r"51 workflows.*option `resources`"):
        await drained(source)
    assert len(transport.requests) == 1


async def test_workflows_are_the_agents_page_after_page() -> None:
    def page(cursor: str | None, *ids: str) -> httpx.Response:
        rows = [{"id": one, "latest_version": {"name": one.upper()}} for one in ids]
        return an_answer({"workflows": rows, "pagination": {"next_cursor": cursor, "has_more": cursor is not None}})

    pages = [page("2", "a", "b"), page("3", "b", "c"), page(None, "d")]
    source, transport = an_account(Splox(answers={"GET /workflows": lambda: pages.pop(0)}))
    agents = await source.list_agents()
    assert agents is not None
    assert list(agents) == [Agent(one, one.upper(), AgentKind.WORKFLOW) for one in "abcd"]
    assert transport.lines[1] == "GET /workflows?limit=100&cursor=2"


async def test_list_of_workflows_that_never_ends_is_left() -> None:
    body = {"workflows": [{"id": "a"}], "pagination": {"next_cursor": "x", "has_more": True}}
    source, transport = an_account(Splox(answers={"GET /workflows": lambda: an_answer(body)}))
    assert await source.list_agents() == [Agent("a", None, AgentKind.WORKFLOW)]
    assert len(transport.requests) == 2


async def test_resource_that_fails_costs_no_other_its_rows() -> None:
    server = Splox(answers={"GET /chats/api/w-2": lambda: an_answer({"error": "x"}, 500)})
    source, _ = an_account(server, resources=[{"type": "api", "id": "w-2"}, *RESOURCES])
    pages = source.drain_chats(frozenset())
    assert [chat.native_id for chat in (await anext(pages)).rows] == ["c"]
    with pytest.raises(UpstreamUnavailable):
        await anext(pages)


async def test_resource_that_is_unknown_has_no_chats() -> None:
    source, _ = an_account(Splox(), resources=[{"type": "api", "id": "gone"}, *RESOURCES])
    assert [chat.native_id for chat in await drained(source)] == ["c"]


async def test_all_resources_unknown_is_a_wrong_setting_and_no_empty_list() -> None:
    source, _ = an_account(Splox(), resources=[{"id": "gone"}])
    with pytest.raises(UnexpectedAnswer, match="option `resources`"):
        await drained(source)
    assert [(check.name, check.passed) for check in await source.check()] == [("reachable", True), ("resources", False)]


async def test_list_may_be_null() -> None:
    source, _ = an_account(Splox(answers={f"GET /chats/api/{WORKFLOW}": lambda: an_answer({"chats": None})}))
    assert await drained(source) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": None},
        {"id": 9007199254740993},
        {"id": "a\nb"},
        {"name": None},
        {"user_id": None},
        {"resource_id": 7},
        {"created_at": "soon"},
        {"updated_at": None},
        {"metadata": "k=1"},
    ],
    ids=str,
)
async def test_strange_row_is_skipped_and_counted_and_alone_it_is_named(wrong: dict[str, Any]) -> None:
    rows = [a_chat("good"), a_chat("bad") | wrong, None]
    server = Splox(
        answers={
            f"GET /chats/api/{WORKFLOW}": lambda: an_answer({"chats": rows}),
            "GET /chats/c": lambda: an_answer(rows[1]),
        }
    )
    source, _ = an_account(server)
    (page,) = [page async for page in source.drain_chats(frozenset())]
    assert ([chat.native_id for chat in page.rows], page.skipped.count) == (["good"], 2)
    with pytest.raises(UnexpectedAnswer, match="splox") as caught:
        await source.get_chat("c")
    assert (caught.value.json_path, caught.value.operation) == (f"$.{next(iter(wrong))}", "get_chat")


async def test_type_that_nobody_documented_is_of_no_kind() -> None:
    source, _ = an_account(Splox(chats={"c": a_chat(resource_type="hologram", surprise=1)}))
    chat = await source.get_chat("c")
    assert chat is not None
    assert chat.agent == Agent(WORKFLOW)


async def test_account_is_whose_chats_they_are_where_that_is_one() -> None:
    source, _ = an_account(Splox())
    assert await source.account() == Account(kind=AccountKind.ACCOUNT, native_id=USER)
    source, _ = an_account(Splox(chats={"c": a_chat(), "d": a_chat("d", user_id="u-2")}))
    assert await source.account() is None
    await source.create_chat(NewChat(title="T"))
    assert await source.account() == Account(kind=AccountKind.ACCOUNT, native_id=USER)


async def test_messages_are_deleted_before_their_chat() -> None:
    server = Splox(messages=[a_message("m")])
    source, transport = an_account(server)
    await source.delete_chat("c")
    assert paths(transport.requests) == ["DELETE /chat-history/c", "DELETE /chats/c"]
    assert (server.chats, server.messages) == ({}, [])
    with pytest.raises(NotFound):
        await source.delete_chat("c")


async def test_chat_without_a_history_is_deleted_too() -> None:
    source, transport = an_account(Splox(answers={"DELETE /chat-history/c": lambda: an_answer({"error": "x"}, 404)}))
    await source.delete_chat("c")
    assert len(transport.requests) == 2


async def test_deletion_that_stops_half_way_says_that_something_was_done() -> None:
    source, _ = an_account(Splox(answers={"DELETE /chats/c": lambda: an_answer({"error": "no"}, 403)}))
    with pytest.raises(UpstreamUnauthorized) as caught:
        await source.delete_chat("c")
    assert caught.value.perhaps_executed


# Refusals, with the origin of each in the recorded answers


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("unauthorized", UpstreamUnauthorized, "credential `api_key`"),
        ("forbidden", UpstreamUnauthorized, "balance"),
        ("server_error", UpstreamUnavailable, "internal server error"),
    ],
)
async def test_documented_refusal_is_told_in_its_meaning(name: str, kind: type[GatewayError], words: str) -> None:
    recorded = load("splox")[name]
    source, _ = an_account(lambda request: recorded.response())
    with pytest.raises(kind, match=words):
        await source.list_agents()


async def test_chat_that_is_gone_is_no_chat() -> None:
    source, _ = an_account(lambda request: load("splox")["gone"].response())
    assert await source.get_chat("c") is None


async def test_id_that_splox_finds_malformed_is_no_chat() -> None:
    source, _ = an_account(lambda request: an_answer({"error": "invalid UUID"}, 400))
    assert await source.get_chat("c") is None
    with pytest.raises(NotFound):
        await source.delete_chat("c")


async def test_body_that_nobody_documented_is_still_its_status() -> None:
    for body in ({"message": f"echo {TOKEN}"}, {"error": {"deep": TOKEN}}, [TOKEN], TOKEN, None):
        source, _ = an_account(lambda request, body=body: an_answer(body, 403))  # type: ignore[misc]
        with pytest.raises(UpstreamUnauthorized) as caught:
            await source.list_agents()
        assert TOKEN not in caught.value.message


# Answers that break or have no end


async def real(url: str, **settings: Any) -> tuple[ChatSource, UpstreamClients]:
    clients = UpstreamClients(UpstreamSettings(allow_private_addresses=True, attempts=1, **settings))
    source = splox(clients).connect(a_source("splox", url, resources=RESOURCES), {"api_key": TOKEN})
    return source, clients


async def two_hundred_megabytes(exchange: Exchange) -> None:
    await exchange.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 209715200\r\n\r\n[")
    with suppress(ConnectionError):
        for _ in range(200 * 16):
            await exchange.write(b" " * 65536)


async def slow_drip(exchange: Exchange) -> None:
    await exchange.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    with suppress(ConnectionError):
        while True:
            await exchange.write(b" ")
            await asyncio.sleep(0.01)


async def reset_in_the_body(exchange: Exchange) -> None:
    await exchange.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"chats": [')
    exchange.drop()


async def web_page(exchange: Exchange) -> None:
    page = b"<!doctype html>"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(page)}\r\n\r\n"
    await exchange.write(head.encode() + page)


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (two_hundred_megabytes, UpstreamTooLarge),
        (reset_in_the_body, UpstreamUnavailable),
        (web_page, UnexpectedAnswer),
    ],
    ids=["200 MB", "reset", "web page"],
)
async def test_broken_answer_is_an_error_of_ours(act: Any, kind: type[UpstreamError]) -> None:
    async with wire(act) as server:
        source, clients = await real(server.url, max_answer_bytes=1_000_000)
        for attempt in (drained(source), source.read_messages("c", MessageWindow(last=1)), source.get_chat("c")):
            with pytest.raises(kind):
                await attempt
        await clients.aclose()


async def test_slow_drip_ends_at_the_deadline() -> None:
    async with wire(slow_drip) as server:
        source, clients = await real(server.url, timeout_seconds=0.2, max_answer_bytes=10**9)
        with pytest.raises(UpstreamError):
            await source.get_chat("c")
        await clients.aclose()
