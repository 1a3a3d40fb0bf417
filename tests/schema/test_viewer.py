"""Which fields differ from viewer to viewer: an event is executed once for all who see the same, so an unmarked one would leak."""

from typing import Any

import pytest

from domain import records
from domain.ids import IdType, chat_id, format_id, message_id
from domain.paging import Page, PageRequest
from domain.records import GATEWAY, FolderRef
from resolvers.folders import load_folders
from resolvers.messages import (
    MessageList,
    MessageQuery,
    load_children,
    load_last_messages,
    load_messages,
    load_siblings,
)
from resolvers.statuses import SourceStatus
from schema.root import public_schema
from schema.viewer import TOLD_TO_ONE, VIEWER_DEPENDENT
from tests.builders import a_chat, a_message, a_principal, a_source
from tests.schema.conftest import Desk
from tests.schema.contexts import WatchedPrincipal, a_context, know, run

pytestmark = pytest.mark.anyio

CHAT = "id title tags pinned archived folder { id name source { key } parent { id } } version eventCursor raw shareUrl asOf"
MESSAGE = (
    "id role author { displayName } text parts { text } parent { id } siblings { id } children { id } raw chat { id }"
)
DOCUMENT = f"""query($chat: ID!, $message: ID!, $source: ID!) {{
  chat(id: $chat) {{
    {CHAT} source {{ key capabilities {{ level }} account {{ kind }} }} organization {{ slug name }}
    lastMessage {{ {MESSAGE} }} messages(last: 1) {{ nodes {{ {MESSAGE} }} status {{ code }} }}
  }}
  message(id: $message) {{ {MESSAGE} }}
  node(id: $source) {{ ... on Source {{ key visibility capabilities {{ capability level }} }} }}
}}"""
VARIABLES = {"chat": chat_id(1, "c1"), "message": message_id(1, "c1", "m1"), "source": format_id(IdType.SOURCE, 1)}


def _context(principal: WatchedPrincipal) -> Any:
    folder = records.Folder(organization_id=1, source_id=GATEWAY, native_id="f1", name="Work")
    context = a_context(
        a_source(), chats=[a_chat(folder=folder.ref, raw={})], messages=[a_message()], principal=principal
    )
    page = Page(rows=[a_message()], cursors=["k"], has_next=False, has_previous=False)
    found = MessageList(page=page, status=SourceStatus(source=a_source()), event_cursor="now")
    know(context, load_folders, FolderRef(GATEWAY, "f1"), folder)
    know(context, load_last_messages, (1, "c1"), a_message())
    know(context, load_messages, MessageQuery((1, "c1"), PageRequest(last=1), None), found)
    know(context, load_siblings, a_message().key, [a_message()])
    know(context, load_children, a_message().key, [])
    return context


async def test_an_unmarked_field_does_not_look_at_who_asks() -> None:
    """Sources seen by the whole organization are found without a look at the principal; its name and key are what must not be read."""
    principal = WatchedPrincipal(a_principal())
    result = await run(_context(principal), DOCUMENT, VARIABLES)
    assert result.errors is None
    assert principal.reads == []


async def test_the_watch_notices_a_field_that_does() -> None:
    principal = WatchedPrincipal(a_principal())
    await run(_context(principal), "{ viewer { displayName } }")
    assert principal.reads == ["display_name"]


def test_what_is_marked_exists() -> None:
    for type_name, field_name in VIEWER_DEPENDENT | TOLD_TO_ONE:
        assert field_name in public_schema.type_map[type_name].fields, (type_name, field_name)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["viewer", "viewerCan", "viewerRole", "unreadCount", "createChatSchema"])
def test_a_field_of_that_name_is_marked_on_every_type(name: str) -> None:
    found = {(type_.name, name) for type_ in public_schema.type_map.values() if name in getattr(type_, "fields", {})}
    assert found
    assert found <= VIEWER_DEPENDENT | TOLD_TO_ONE


EVERYTHING_UNMARKED = """query($id: ID!) {
  chats(first: 5) { nodes {
    title version tags eventCursor raw folder { name } source { key health { state } capabilities { level }  }
    organization { slug name } lastMessage { text chat { title } } messageCount
    messages(last: 3) { nodes { text parent { text } siblings { id } children { id } raw } status { code } }
  } sources { code } totalCount { value } }
  folders(first: 5) { nodes { name chats(first: 1) { nodes { title } } } }
  search(query: "hello", first: 2) { nodes { __typename } coverage { mode } }
  chat(id: $id) { title } sources { key } vendors { name } organization { slug members(first: 1) { nodes { role } } }
}"""


async def test_an_unmarked_field_does_not_look_at_who_asks_down_to_the_store(desk: Desk) -> None:
    made = await desk.do(
        "createChat", "chat { id }", sourceId=desk.source, title="hello", messages=[{"text": "hello world"}]
    )
    context = desk.context()
    principal = WatchedPrincipal(context.principal)
    context.principal = principal  # type: ignore[assignment]  # it stands in for one
    result = await desk.answer(EVERYTHING_UNMARKED, context, id=made["chat"]["id"])
    assert result.errors is None
    assert principal.reads == []


async def test_a_marked_field_does(desk: Desk) -> None:
    await desk.do("createChat", "chat { id }", sourceId=desk.source, title="hello")
    context = desk.context()
    principal = WatchedPrincipal(context.principal)
    context.principal = principal  # type: ignore[assignment]  # it stands in for one
    result = await desk.answer("{ chats(first: 1) { nodes { unreadCount } } }", context)
    assert result.errors is None
    assert principal.reads != []
