"""Reading by GraphQL: each type from its record, and fields below a list for all parents at once."""

from dataclasses import replace
from typing import Any

import pytest

from domain import records
from domain.capabilities import Capabilities, Capability, native, overlay
from domain.errors import UpstreamTimeout
from domain.ids import IdType, chat_id, folder_id, format_id, message_id
from domain.paging import Page, PageRequest
from domain.records import GATEWAY, FolderRef, PartKind, Role, Scope
from resolvers.chats import load_chats, load_unread_counts
from resolvers.context import Context
from resolvers.folders import load_folders
from resolvers.messages import (
    MessageList,
    MessageQuery,
    load_children,
    load_last_messages,
    load_messages,
    load_siblings,
)
from resolvers.organizations import load_organizations
from resolvers.sources import load_sources
from resolvers.statuses import SourceStatus
from schema.errors import format_error
from tests.builders import T0, a_chat, a_message, a_source, an_organization, at
from tests.schema.contexts import a_context, data_of, fail, know, run

pytestmark = pytest.mark.anyio

CHAT = chat_id(1, "c1")
MESSAGE = message_id(1, "c1", "m1")


async def _chat(context: Context, fields: str) -> Any:
    return (await data_of(context, f'{{ chat(id: "{CHAT}") {{ {fields} }} }}'))["chat"]


async def test_a_chat_shows_what_its_record_says() -> None:
    chat = a_chat(
        owner=records.Person("u1", "Ada"),
        agent=records.Agent("a1", "Bot", records.AgentKind.MODEL),
        metadata={"b": [1, None]},
        tags=("x", "y"),
        pinned=False,
        archived=True,
        share_url="https://example.com/s/1",
        updated_at=at(1.5),
        last_message_at=None,
        message_count=3,
    )
    context = a_context(a_source(), chats=[chat])
    fields = """
      id nativeId title owner { __typename nativeId displayName } agent { __typename nativeId kind } metadata tags pinned
      archived shareUrl createdAt updatedAt lastMessageAt messageCount asOf source { id key } organization { slug }
    """
    assert await _chat(context, fields) == {
        "id": CHAT,
        "nativeId": "c1",
        "title": "A chat",
        "owner": {"__typename": "Person", "nativeId": "u1", "displayName": "Ada"},
        "agent": {"__typename": "Agent", "nativeId": "a1", "kind": "MODEL"},
        "metadata": {"b": [1, None]},
        "tags": ["x", "y"],
        "pinned": False,
        "archived": True,
        "shareUrl": "https://example.com/s/1",
        "createdAt": "2026-11-20T12:00:00Z",
        "updatedAt": "2026-11-20T12:00:01.500000Z",
        "lastMessageAt": None,
        "messageCount": 3,
        "asOf": None,
        "source": {"id": format_id(IdType.SOURCE, 1), "key": "here"},
        "organization": {"slug": "acme"},
    }


async def test_what_a_reading_did_not_tell_is_null_and_nothing_made_up() -> None:
    chat = records.Chat(organization_id=1, source_id=1, native_id="c1", told=frozenset())
    context = a_context(a_source(), chats=[chat])
    fields = "title tags pinned archived folder { id } version messageCount metadata shareUrl raw owner { nativeId }"
    shown = await _chat(context, fields)
    assert set(shown.values()) == {None}


@pytest.mark.parametrize(
    ("role", "scopes", "raw"),
    [
        (Role.ADMIN, frozenset(Scope), {"secret_field": 1}),
        (Role.MEMBER, frozenset(Scope), None),
        (Role.ADMIN, frozenset({Scope.READ}), None),
    ],
)
async def test_raw_is_for_admins(role: Role, scopes: frozenset[Scope], raw: Any) -> None:
    known = {"chats": [a_chat(raw={"secret_field": 1})], "messages": [a_message(raw={"secret_field": 1})]}
    context = a_context(a_source(), **known, role=role, scopes=scopes)  # type: ignore[arg-type]
    assert await _chat(context, "raw") == {"raw": raw}
    assert (await data_of(context, f'{{ message(id: "{MESSAGE}") {{ raw }} }}'))["message"] == {"raw": raw}


@pytest.mark.parametrize(("role", "expected"), [(Role.VIEWER, ["READ_CHAT"]), (Role.MEMBER, ["READ_CHAT", "PIN_CHAT"])])
async def test_viewer_can_what_both_role_and_source_allow(role: Role, expected: list[str]) -> None:
    table = Capabilities(support={Capability.READ_CHAT: native(), Capability.PIN_CHAT: overlay()})
    context = a_context(a_source(), chats=[a_chat()], capabilities=table, role=role)
    assert (await _chat(context, "viewerCan"))["viewerCan"] == expected


async def test_capabilities_of_a_source_list_every_one_once() -> None:
    table = Capabilities(support={Capability.PIN_CHAT: overlay("not seen by the vendor's app")})
    context = a_context(a_source(), capabilities=table)
    shown = (await data_of(context, "{ sources { capabilities { capability level note } } }"))["sources"][0][
        "capabilities"
    ]
    assert [one["capability"] for one in shown] == [capability.value for capability in Capability]
    assert {"capability": "PIN_CHAT", "level": "OVERLAY", "note": "not seen by the vendor's app"} in shown
    assert {one["level"] for one in shown} == {"OVERLAY", "UNSUPPORTED"}


@pytest.mark.parametrize("kind", ["chat", "message", "folder", "source", "node"])
@pytest.mark.parametrize("id_", ["", "abc", "AQIB" * 400, "ä", "\x00", format_id(IdType.SOURCE, 99), "../../x"])
async def test_junk_leads_to_null(kind: str, id_: str) -> None:
    document = f"query($id: ID!) {{ {kind}(id: $id) {{ __typename }} }}"
    context = a_context(a_source())
    know(context, load_sources, 99, None)
    assert await data_of(context, document, {"id": id_}) == {kind: None}


async def test_nodes_keep_their_order_and_a_failure_costs_one() -> None:
    context = a_context(a_source(), chats=[a_chat()], messages=[a_message()])
    late = UpstreamTimeout("It did not answer.", source_id=1, operation="get_chat")
    fail(context, load_chats, (1, "late"), late)
    ids = [MESSAGE, chat_id(1, "late"), "junk", CHAT]
    result = await run(context, "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }", {"ids": ids})
    assert result.data == {
        "nodes": [{"__typename": "Message", "id": MESSAGE}, None, None, {"__typename": "Chat", "id": CHAT}]
    }
    assert result.errors is not None
    (entry,) = [format_error(error, context) for error in result.errors]
    assert (entry["path"], entry["extensions"]["code"]) == (["nodes", 1], "UPSTREAM_TIMEOUT")


async def test_more_than_a_hundred_nodes_are_refused() -> None:
    context = a_context()
    result = await run(context, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["a"] * 101})
    assert result.errors is not None
    assert format_error(result.errors[0], context)["extensions"]["code"] == "INVALID_ARGUMENT"


async def test_the_folder_of_a_chat_is_read_by_its_name() -> None:
    ref = FolderRef(GATEWAY, "f1")
    folder = records.Folder(organization_id=1, source_id=GATEWAY, native_id="f1", name="Work", parent_id="f0")
    context = a_context(a_source(), chats=[a_chat(folder=ref)])
    know(context, load_folders, ref, folder)
    know(context, load_folders, FolderRef(GATEWAY, "f0"), None)
    fields = "folder { id name origin source { id } parent { id } }"
    assert (await _chat(context, fields))["folder"] == {
        "id": folder_id(GATEWAY, "f1"),
        "name": "Work",
        "origin": "OVERLAY",
        "source": None,
        "parent": None,
    }


async def test_messages_are_a_page_with_the_status_of_the_source() -> None:
    context = a_context(a_source(), chats=[a_chat()])
    query = MessageQuery((1, "c1"), PageRequest(last=2), None)
    rows = [a_message("m1"), a_message("m2", role=records.MessageRole.ASSISTANT)]
    page = Page(rows=rows, cursors=["k1", "k2"], has_next=False, has_previous=True, total=5)
    found = MessageList(page=page, status=SourceStatus(source=a_source(), stale=True, as_of=T0), event_cursor="now")
    know(context, load_messages, query, found)
    fields = """messages(last: 2) {
      edges { cursor node { nativeId: id } } nodes { role text } totalCount { value exact } eventCursor
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor } status { code stale asOf source { key } }
    }"""
    shown = (await _chat(context, fields))["messages"]
    assert [edge["cursor"] for edge in shown["edges"]] == ["k1", "k2"]
    assert shown["nodes"] == [{"role": "USER", "text": "Hello"}, {"role": "ASSISTANT", "text": "Hello"}]
    assert shown["totalCount"] == {"value": 5, "exact": True}
    assert shown["eventCursor"] == "now"
    assert shown["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": True,
        "startCursor": "k1",
        "endCursor": "k2",
    }
    assert shown["status"] == {"code": "OK", "stale": True, "asOf": "2026-11-20T12:00:00Z", "source": {"key": "here"}}


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [("", "first"), ("(first: 0)", "first"), ("(last: 101)", "last"), ("(first: 1, last: 1)", "last")],
)
async def test_a_page_without_a_size_that_can_be_is_refused(arguments: str, argument: str) -> None:
    context = a_context(a_source(), chats=[a_chat()])
    result = await run(context, f'{{ chat(id: "{CHAT}") {{ messages{arguments} {{ nodes {{ id }} }} }} }}')
    assert result.data == {"chat": {"messages": None}}
    assert result.errors is not None
    extensions = format_error(result.errors[0], context)["extensions"]
    assert (extensions["code"], extensions["argument"]) == ("INVALID_ARGUMENT", [argument])


async def test_a_source_that_fails_costs_its_messages_and_not_the_chat() -> None:
    context = a_context(a_source(), chats=[a_chat()])
    late = UpstreamTimeout("It did not answer.", source_id=1, operation="read_messages")
    query = MessageQuery((1, "c1"), PageRequest(first=1), None)
    fail(context, load_messages, query, late)
    result = await run(context, f'{{ chat(id: "{CHAT}") {{ title messages(first: 1) {{ nodes {{ id }} }} }} }}')
    assert result.data == {"chat": {"title": "A chat", "messages": None}}
    assert result.errors is not None
    assert format_error(result.errors[0], context)["path"] == ["chat", "messages"]


async def test_relatives_of_a_message() -> None:
    message = a_message("m2", parent_id="m1")
    context = a_context(a_source(), chats=[a_chat()], messages=[a_message(), message])
    know(context, load_siblings, message.key, [message, replace(message, native_id="m3")])
    know(context, load_children, message.key, [])
    id_ = message_id(1, "c1", "m2")
    fields = "parent { id parent { id } } siblings { id } children { id } chat { title }"
    assert (await data_of(context, f'{{ message(id: "{id_}") {{ {fields} }} }}'))["message"] == {
        "parent": {"id": MESSAGE, "parent": None},
        "siblings": [{"id": id_}, {"id": message_id(1, "c1", "m3")}],
        "children": [],
        "chat": {"title": "A chat"},
    }


async def test_a_text_alone_is_one_part() -> None:
    context = a_context(messages=[a_message()])
    shown = (await data_of(context, f'{{ message(id: "{MESSAGE}") {{ parts {{ __typename text }} }} }}'))["message"]
    assert shown == {"parts": [{"__typename": "TextPart", "text": "Hello"}]}


async def test_every_kind_of_part_has_its_type() -> None:
    part = records.Part
    parts = (
        part(kind=PartKind.TEXT, text="Hi"),
        part(kind=PartKind.REASONING, text="Hm"),
        part(kind=PartKind.TOOL_CALL, name="search", call_id="1", arguments={"q": "x"}, result=["a"]),
        part(kind=PartKind.CITATION, name="Page", url="https://example.com"),
        part(kind=PartKind.ATTACHMENT, attachment=records.Attachment(name="a.png", size_bytes=5_000_000_000)),
        part(kind=PartKind.OTHER, name="widget", raw="?"),
    )
    assert {one.kind for one in parts} == set(PartKind)
    context = a_context(messages=[a_message(parts=parts)])
    fields = """parts {
      __typename text
      ... on ToolCallPart { toolName callId arguments result }
      ... on CitationPart { title url }
      ... on AttachmentPart { attachment { name sizeBytes } }
      ... on OtherPart { kind raw }
    }"""
    shown = (await data_of(context, f'{{ message(id: "{MESSAGE}") {{ {fields} }} }}'))["message"]["parts"]
    tool = {"toolName": "search", "callId": "1", "arguments": {"q": "x"}, "result": {"value": ["a"]}}
    assert shown == [
        {"__typename": "TextPart", "text": "Hi"},
        {"__typename": "ReasoningPart", "text": "Hm"},
        {"__typename": "ToolCallPart", "text": None, **tool},
        {"__typename": "CitationPart", "text": None, "title": "Page", "url": "https://example.com"},
        {
            "__typename": "AttachmentPart",
            "text": "a.png",
            "attachment": {"name": "a.png", "sizeBytes": 5_000_000_000.0},
        },
        {"__typename": "OtherPart", "text": None, "kind": "widget", "raw": {"value": "?"}},
    ]


async def test_the_viewer_is_whoever_asks() -> None:
    context = a_context(role=Role.MEMBER, scopes=frozenset({Scope.WRITE, Scope.READ}))
    assert (await data_of(context, "{ viewer { displayName role scopes organization { slug viewerRole } } }"))[
        "viewer"
    ] == {
        "displayName": "Tests",
        "role": "MEMBER",
        "scopes": ["READ", "WRITE"],
        "organization": {"slug": "acme", "viewerRole": "MEMBER"},
    }


@pytest.mark.parametrize(
    "field", ["sources { key }", "chats(first: 1) { nodes { id } }", "folders(first: 1) { nodes { id } }"]
)
async def test_another_organization_is_read_by_a_request_of_its_own(field: str) -> None:
    context = a_context()
    know(context, load_organizations, 2, an_organization(id=2, slug="umbrella"))
    id_ = format_id(IdType.ORGANIZATION, 2)
    result = await run(context, f'{{ node(id: "{id_}") {{ ... on Organization {{ slug {field} }} }} }}')
    assert result.data == {"node": {"slug": "umbrella", field.split("(")[0].split()[0]: None}}
    assert result.errors is not None
    assert "Send the header `X-Organization: umbrella`" in result.errors[0].message


async def test_nothing_limits_by_cost_and_all_codes_are_listed() -> None:
    data = await data_of(a_context(), "{ rateLimit { limit } errorCodes }")
    assert data["rateLimit"] is None
    assert len(data["errorCodes"]) == len(set(data["errorCodes"])) == 18


async def test_the_last_message_and_the_unread_count_come_from_batches() -> None:
    context = a_context(a_source(), chats=[a_chat()])
    know(context, load_last_messages, (1, "c1"), a_message())
    know(context, load_unread_counts, (1, "c1"), 4)
    assert await _chat(context, "lastMessage { text } unreadCount") == {
        "lastMessage": {"text": "Hello"},
        "unreadCount": 4,
    }
