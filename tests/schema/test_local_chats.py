"""GraphQL all the way down to the local store: every mutation of chats, messages and folders, lists, search and subscriptions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import Any

import anyio
import graphql
import pytest
from graphql import ExecutionResult

from schema.root import public_schema
from tests.schema.conftest import Desk
from tests.streams import leaving
from tests.tier import count

pytestmark = pytest.mark.anyio


async def a_chat(desk: Desk, title: str = "Hello", **fields: Any) -> str:
    payload = await desk.do("createChat", "chat { id }", sourceId=desk.source, title=title, **fields)
    id_: str = payload["chat"]["id"]
    return id_


async def test_the_life_of_a_chat(desk: Desk) -> None:
    chat = await a_chat(desk, tags=["b", "a"], metadata={"k": 1}, messages=[{"text": "one"}, {"text": "two"}])
    shown = await desk.do("updateChat", "chat { title metadata tags }", chatId=chat, title="New")
    assert shown["chat"] == {"title": "New", "metadata": {"k": 1}, "tags": ["a", "b"]}
    shown = await desk.do("updateChat", "chat { title metadata }", chatId=chat, title=None)
    assert shown["chat"] == {"title": None, "metadata": {"k": 1}}
    shown = await desk.do("updateChat", "chat { title metadata }", chatId=chat, metadata=None)
    assert shown["chat"] == {"title": None, "metadata": None}
    assert (await desk.do("setChatPinned", "chat { pinned }", chatId=chat, pinned=True))["chat"] == {"pinned": True}
    shown = await desk.do("setChatArchived", "chat { archived }", chatId=chat, archived=True)
    assert shown["chat"] == {"archived": True}
    shown = await desk.do("setChatTags", "chat { tags }", chatId=chat, tags=["z"])
    assert shown["chat"] == {"tags": ["z"]}
    shown = await desk.do("markChatRead", "chat { unreadCount }", chatId=chat)
    assert shown["chat"] == {"unreadCount": 0}
    copied = await desk.do(
        "copyChat", "chat { id messageCount } losses { message }", chatId=chat, targetSourceId=desk.source
    )
    assert copied["chat"]["id"] != chat
    assert await desk.do("deleteChat", "deletedChatId", chatId=chat) == {"deletedChatId": chat}
    assert await desk.ask("query($id: ID!) { chat(id: $id) { id } }", id=chat) == {"chat": None}


async def test_a_copy_that_is_only_tried_copies_nothing(desk: Desk) -> None:
    chat = await a_chat(desk)
    tried = await desk.do("copyChat", "chat { id }", chatId=chat, targetSourceId=desk.source, dryRun=True)
    assert tried == {"chat": None}
    assert len((await desk.ask("{ chats(first: 9) { nodes { id } } }"))["chats"]["nodes"]) == 1


async def test_creating_again_with_the_same_key_creates_nothing(desk: Desk) -> None:
    fields = {"sourceId": desk.source, "title": "Once", "idempotencyKey": "k"}
    one = await desk.do("createChat", "chat { id } replayed", **fields)
    two = await desk.do("createChat", "chat { id } replayed", **fields)
    assert (one["replayed"], two["replayed"]) == (False, True)
    assert one["chat"] == two["chat"]
    (refusal,) = await desk.refusals("createChat", **{**fields, "title": "Other"})
    assert (refusal["__typename"], refusal["code"]) == ("IdempotencyConflictError", "IDEMPOTENCY_CONFLICT")


async def test_a_version_that_is_no_longer_current_changes_nothing(desk: Desk) -> None:
    chat = await a_chat(desk)
    version = (await desk.ask("query($id: ID!) { chat(id: $id) { version } }", id=chat))["chat"]["version"]
    after = await desk.do("updateChat", "chat { version }", chatId=chat, title="One", expectedVersion=version)
    document = """mutation($input: UpdateChatInput!) {
      updateChat(input: $input) { chat { id } userErrors { path ... on ConflictError { currentVersion } } }
    }"""
    answer = await desk.ask(document, input={"chatId": chat, "title": "Two", "expectedVersion": version})
    assert answer["updateChat"]["chat"] is None
    assert answer["updateChat"]["userErrors"] == [
        {"path": ["input", "expectedVersion"], "currentVersion": after["chat"]["version"]}
    ]


async def test_what_the_source_cannot_do_is_said_with_the_source(desk: Desk) -> None:
    chat = await a_chat(desk)
    fragment = "... on CapabilityError { capability source { key } }"
    for name in ("shareChat", "unshareChat"):
        type_ = name[0].upper() + name[1:] + "Input"
        document = f"mutation($input: {type_}!) {{ {name}(input: $input) {{ userErrors {{ code {fragment} }} }} }}"
        answer = await desk.ask(document, input={"chatId": chat})
        assert answer[name]["userErrors"] == [
            {"code": "UNSUPPORTED", "capability": "SHARE_CHAT", "source": {"key": "local"}}
        ]


async def test_the_life_of_a_message(desk: Desk) -> None:
    chat = await a_chat(desk)
    fields = "message { id text role state parent { id } chat { id } } reply { id } replayed clientMutationId"
    sent = await desk.do("sendMessage", fields, chatId=chat, text="Hi", clientMutationId="bubble")
    message = sent["message"]["id"]
    assert sent == {
        "message": {
            "id": message,
            "text": "Hi",
            "role": "USER",
            "state": "COMPLETE",
            "parent": None,
            "chat": {"id": chat},
        },
        "reply": None,
        "replayed": False,
        "clientMutationId": "bubble",
    }
    edited = await desk.do("editMessage", "message { text editedAt }", messageId=message, text="Hello")
    assert edited["message"]["text"] == "Hello"
    assert edited["message"]["editedAt"] is not None
    fields = "deletedMessageId deletedMessageIds message { text parts { text } deletedAt }"
    deleted = await desk.do("deleteMessage", fields, messageId=message)
    assert deleted["deletedMessageIds"] == [message] == [deleted["deletedMessageId"]]
    assert deleted["message"]["text"] == ""
    assert deleted["message"]["parts"] == []
    assert deleted["message"]["deletedAt"] is not None


async def test_branches_are_siblings(desk: Desk) -> None:
    chat = await a_chat(desk, messages=[{"text": "root"}])
    messages = "query($id: ID!) { chat(id: $id) { messages(first: 9) { nodes { id text } } } }"
    (root,) = (await desk.ask(messages, id=chat))["chat"]["messages"]["nodes"]
    for text in ("left", "right"):
        await desk.do("sendMessage", "message { id }", chatId=chat, text=text, parentId=root["id"])
    document = """query($id: ID!) { message(id: $id) { children { text siblings { text } } } }"""
    children = (await desk.ask(document, id=root["id"]))["message"]["children"]
    both = [{"text": "left"}, {"text": "right"}]
    assert children == [{"text": text, "siblings": both} for text in ("left", "right")]


@pytest.mark.parametrize("name", ["regenerateMessage", "stopGeneration"])
async def test_the_local_store_writes_no_answers(desk: Desk, name: str) -> None:
    chat = await a_chat(desk)
    sent = await desk.do("sendMessage", "message { id }", chatId=chat, text="Hi")
    (refusal,) = await desk.refusals(name, messageId=sent["message"]["id"])
    assert refusal["__typename"] == "CapabilityError"


async def test_the_life_of_a_folder(desk: Desk) -> None:
    chat = await a_chat(desk)
    outer = (await desk.do("createFolder", "folder { id }", name="Outer"))["folder"]["id"]
    inner = (await desk.do("createFolder", "folder { id }", name="Inner", parentId=outer))["folder"]["id"]
    fields = "chat { folder { name parent { name } source { id } origin } }"
    assert (await desk.do("moveChat", fields, chatId=chat, folderId=inner))["chat"]["folder"] == {
        "name": "Inner",
        "parent": {"name": "Outer"},
        "source": None,
        "origin": "OVERLAY",
    }
    document = """query($id: ID!) {
      folder(id: $id) { name children(first: 5) { nodes { name chats(first: 5) { nodes { id } } } sources { code } } }
      folders(first: 5, filter: {topLevel: true}) { nodes { name } totalCount { value exact } eventCursor }
    }"""
    shown = await desk.ask(document, id=outer)
    assert shown["folder"]["children"]["nodes"] == [{"name": "Inner", "chats": {"nodes": [{"id": chat}]}}]
    assert shown["folders"]["nodes"] == [{"name": "Outer"}]
    renamed = await desk.do("updateFolder", "folder { name parent { id } }", folderId=inner, name="Top", parentId=None)
    assert renamed["folder"] == {"name": "Top", "parent": None}
    kept = await desk.do("updateFolder", "folder { name parent { id } }", folderId=inner, parentId=outer)
    assert kept["folder"] == {"name": "Top", "parent": {"id": outer}}
    gone = await desk.do("deleteFolder", "deletedFolderId", folderId=outer, contents="KEEP_CHATS")
    assert gone == {"deletedFolderId": outer}
    assert (await desk.ask("query($id: ID!) { chat(id: $id) { folder { id } } }", id=chat))["chat"] == {"folder": None}


async def test_a_folders_chats_are_not_filtered_by_another_folder(desk: Desk) -> None:
    folder = (await desk.do("createFolder", "folder { id }", name="Work"))["folder"]["id"]
    document = "query($id: ID!) { folder(id: $id) { chats(first: 1, filter: {folderIds: []}) { nodes { id } } } }"
    result = await desk.answer(document, id=folder)
    assert result.data == {"folder": {"chats": None}}
    assert result.errors is not None
    assert "Leave it out" in result.errors[0].message


async def test_chats_are_listed_in_the_order_that_is_asked_for(desk: Desk) -> None:
    for title in ("b", "C", "a"):
        await a_chat(desk, title=title)
    titles = (
        "query($order: ChatOrder) { chats(first: 9, orderBy: $order) { nodes { title } totalCount { value exact } } }"
    )
    by_title = await desk.ask(titles, order={"field": "TITLE", "direction": "ASC"})
    assert [node["title"] for node in by_title["chats"]["nodes"]] == ["a", "b", "C"]
    assert by_title["chats"]["totalCount"] == {"value": 3, "exact": True}
    for nothing in ({}, {"order": None}):
        newest = await desk.ask(titles, **nothing)
        assert [node["title"] for node in newest["chats"]["nodes"]] == ["a", "C", "b"]


async def test_paging_shows_each_chat_once_in_both_directions(desk: Desk) -> None:
    ids = [await a_chat(desk, title=str(number)) for number in range(5)][::-1]
    forwards, cursor = [], None
    while True:
        document = "query($after: String) { chats(first: 2, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }"
        page = (await desk.ask(document, after=cursor))["chats"]
        forwards += [node["id"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        cursor = page["pageInfo"]["endCursor"]
    assert forwards == ids
    document = "{ chats(last: 2) { nodes { id } pageInfo { hasPreviousPage hasNextPage } } }"
    backwards = (await desk.ask(document))["chats"]
    assert [node["id"] for node in backwards["nodes"]] == ids[-2:]
    assert backwards["pageInfo"] == {"hasPreviousPage": True, "hasNextPage": False}


async def test_search_finds_chats_and_messages(desk: Desk) -> None:
    await a_chat(desk, title="The zebra", messages=[{"text": "A zebra crosses the road"}])
    document = """{ search(query: "zebra", first: 5) {
      edges { cursor score snippet highlights { start end } node { __typename ... on Chat { title } ... on Message { text } } }
      nodes { __typename } coverage { mode complete source { key } } sources { code }
    } }"""
    found = (await desk.ask(document))["search"]
    assert {node["__typename"] for node in found["nodes"]} == {"Chat", "Message"}
    for edge in found["edges"]:
        (mark, *_) = edge["highlights"]
        assert edge["snippet"][mark["start"] : mark["end"]].lower() == "zebra"
    assert found["coverage"] == [{"mode": "NATIVE", "complete": True, "source": {"key": "local"}}]


LIST = """query($first: Int) { chats(first: $first) { nodes {
  title version unreadCount viewerCan folder { name parent { name } } source { key } organization { slug }
  lastMessage { text chat { title } } messages(last: 3) { nodes { text parent { text } siblings { id } } status { code } }
} } }"""


async def test_twice_the_chats_take_no_more_statements(desk: Desk) -> None:
    """Fields below a list are read for all parents at once."""
    folder = (await desk.do("createFolder", "folder { id }", name="Work"))["folder"]["id"]
    for number in range(40):
        messages = [{"text": f"{number}.{index}"} for index in range(4)]
        await a_chat(desk, title=str(number), folderId=folder, messages=messages)
    await desk.ask(LIST, first=1)
    taken: dict[int, int] = {}
    for first in (20, 40, 20, 40):
        before = desk.gateway.store.database.statements
        shown = await desk.ask(LIST, first=first)
        # What is remembered for seconds only, such as the sources, may be asked for anew in one of them.
        statements = desk.gateway.store.database.statements - before
        taken[first] = min(statements, taken.get(first, statements))
        assert len(shown["chats"]["nodes"]) == first
        assert all(len(chat["messages"]["nodes"]) == 3 for chat in shown["chats"]["nodes"])
    assert taken[20] == taken[40]
    assert taken[40] > 0


@asynccontextmanager
async def subscribed(desk: Desk, document: str, **variables: Any) -> AsyncIterator[Any]:
    """A running subscription; `await anext(…)` is the next data."""
    started = graphql.subscribe(
        public_schema, graphql.parse(document), context_value=desk.context(), variable_values=variables
    )
    stream = await started if isawaitable(started) else started
    assert not isinstance(stream, ExecutionResult), stream.errors

    async def data() -> AsyncIterator[dict[str, Any]]:
        async for result in stream:
            assert result.errors is None, result.errors
            assert result.data is not None
            yield result.data

    async with leaving(stream):
        with anyio.fail_after(10):
            yield data()


async def _here(desk: Desk) -> str:
    cursor: str = (await desk.ask("{ chats(first: 1) { eventCursor } }"))["chats"]["eventCursor"]
    return cursor


async def test_a_subscriber_hears_in_order_what_happened_since_the_page(desk: Desk) -> None:
    chat = await a_chat(desk)
    after = await _here(desk)
    sent = [await desk.do("sendMessage", "message { id }", chatId=chat, text=text) for text in ("one", "two")]
    await desk.do("updateChat", "chat { id }", chatId=chat, title="New")
    document = """subscription($after: EventCursor) { chatEvents(after: $after) {
      __typename cursor ... on MessageCreated { message { id } } ... on ChatUpdated { chat { title } }
    } }"""
    async with subscribed(desk, document, after=after) as events:
        heard = [(await anext(events))["chatEvents"] for _ in range(4)]
    assert [event["__typename"] for event in heard] == ["MessageCreated", "MessageCreated", "ChatUpdated", "CaughtUp"]
    assert [event["message"]["id"] for event in heard[:2]] == [one["message"]["id"] for one in sent]
    assert heard[2]["chat"] == {"title": "New"}


async def test_message_added_brings_messages_alone_and_the_senders_own_id(desk: Desk) -> None:
    chat = await a_chat(desk)
    after = await _here(desk)
    await desk.do("updateChat", "chat { id }", chatId=chat, title="New")
    await desk.do("sendMessage", "message { id }", chatId=chat, text="Hi", clientMutationId="bubble")
    document = """subscription($chat: ID, $after: EventCursor) {
      messageAdded(chatId: $chat, after: $after, filter: {roles: [USER]}) { chatId message { text } clientMutationId }
    }"""
    async with subscribed(desk, document, chat=chat, after=after) as events:
        heard = await anext(events)
    assert heard["messageAdded"] == {"chatId": chat, "message": {"text": "Hi"}, "clientMutationId": "bubble"}


async def test_a_stream_hears_only_the_kinds_and_chats_that_were_chosen(desk: Desk) -> None:
    chat, other = await a_chat(desk), await a_chat(desk)
    after = await _here(desk)
    for one in (other, chat):
        await desk.do("setChatPinned", "chat { id }", chatId=one, pinned=True)
        await desk.do("sendMessage", "message { id }", chatId=one, text="Hi")
    document = """subscription($chats: [ID!], $after: EventCursor) {
      chatEvents(chatIds: $chats, after: $after, filter: {kinds: [CHAT_UPDATED]}) { __typename ... on ChatUpdated { chatId } }
    }"""
    async with subscribed(desk, document, chats=[chat], after=after) as events:
        heard = [(await anext(events))["chatEvents"] for _ in range(2)]
    assert heard == [{"__typename": "ChatUpdated", "chatId": chat}, {"__typename": "CaughtUp"}]


async def test_a_subscription_that_is_left_leaves_no_listener(desk: Desk) -> None:
    after = await _here(desk)
    for _ in range(count(long=50, least=2)):
        document = "subscription($after: EventCursor) { chatEvents(after: $after) { cursor } }"
        async with subscribed(desk, document, after=after) as events:
            await anext(events)
            assert desk.gateway.feed.count() == 1
        assert desk.gateway.feed.count() == 0
