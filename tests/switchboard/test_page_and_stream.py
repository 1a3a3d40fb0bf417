"""Which operations wait until what they show is committed: executed as the application executes them, while the writer is held up."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.paging import PageRequest
from domain.records import EventKind
from engine.execution import Engine
from engine.requests import OperationRequest
from resolvers.chats import ChatFilter, chats
from resolvers.context import Context
from resolvers.live_events import Happened
from resolvers.messages import MessageQuery, load_messages
from switchboard.app import engine_of
from switchboard.settings import Settings
from tests.fakes import NEWEST_FIRST
from tests.resolvers.conftest import Room, a_room
from tests.resolvers.rooms import a_vendor, an_ear, chat_id
from tests.writer import held, until_something_waits

pytestmark = pytest.mark.anyio


@pytest.fixture
def engine() -> Engine:
    return engine_of(Settings())


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    """A source that was read before, and has a new title and a new message since then."""
    async with a_room(tmp_path, a_vendor("vendor", "One")) as room:
        await chats(room.context(), PageRequest(first=10), ChatFilter(), NEWEST_FIRST, 30_000)
        await load_messages(room.context(), [MessageQuery((1, "c1"), PageRequest(last=50))])
        room.source.chats = [replace(room.source.chats[0], title="New")]
        room.source.says_by_itself("c1", "Two")
        yield room


def asked(room: Room, query: str, **variables: Any) -> OperationRequest:
    if "$id" in query:
        variables["id"] = chat_id(room)
    return OperationRequest(query=query, variables=variables)


async def answer(engine: Engine, request: OperationRequest, context: Context) -> dict[str, Any]:
    body = (await engine.execute(request, context)).body
    assert "errors" not in body
    data: dict[str, Any] = body["data"]
    return data


WITH_POSITION = {
    "of the list": "{ chats(first: 5) { nodes { title } eventCursor } }",
    "of a chat": "query ($id: ID!) { chat(id: $id) { title eventCursor } }",
    "of messages": "query ($id: ID!) { chat(id: $id) { messages(last: 5) { nodes { text } eventCursor } } }",
    "of a row": "{ chats(first: 5) { nodes { title eventCursor } } }",
    "of a row's messages": "{ chats(first: 5) { nodes { messages(last: 5) { nodes { text } eventCursor } } } }",
    "under an alias": "{ chats(first: 5) { nodes { title } title: eventCursor } }",
    "in an inline fragment": "{ chats(first: 5) { nodes { title } ... { ... on ChatConnection { eventCursor } } } }",
    "in a fragment of a fragment": (
        "{ ...Q } fragment Q on Query { chats(first: 5) { nodes { title } ...C } } "
        "fragment C on ChatConnection { eventCursor }"
    ),
    "behind @include that holds": "query ($yes: Boolean = true) { chats(first: 5) { nodes { title } eventCursor @include(if: $yes) } }",
    "behind @include that does not": "query ($no: Boolean = false) { chats(first: 5) { nodes { title } eventCursor @include(if: $no) } }",
    "at another root": "query ($id: ID!) { chats(first: 5) { nodes { title } } chat(id: $id) { eventCursor } }",
    "of folders": "{ chats(first: 5) { nodes { title } } folders(first: 5) { eventCursor } }",
}
WITHOUT = {
    "a list": "{ chats(first: 5) { nodes { title } } }",
    "a chat": "query ($id: ID!) { chat(id: $id) { title messages(last: 5) { nodes { text } } } }",
    "by its node": "query ($id: ID!) { node(id: $id) { ... on Chat { title } } }",
    "another field called so": "{ chats(first: 5) { nodes { eventCursor: title } } }",
    "cursors of rows": "{ chats(first: 5) { edges { cursor node { title } } pageInfo { endCursor } } }",
}
MUTATIONS = {
    "with an overlay": "mutation ($id: ID!) { setChatPinned(input: {chatId: $id, pinned: true}) { chat { title } userErrors { code } } }",
    "that reads": "mutation ($id: ID!) { markChatRead(input: {chatId: $id}) { chat { title } userErrors { code } } }",
}


@pytest.mark.parametrize("query", WITH_POSITION.values(), ids=WITH_POSITION)
async def test_answer_that_may_hold_a_position_waits_for_the_commit(engine: Engine, room: Room, query: str) -> None:
    await assert_waits(engine, room, query)


@pytest.mark.parametrize("query", MUTATIONS.values(), ids=MUTATIONS)
async def test_mutation_waits_for_the_commit_whatever_it_asks_for(engine: Engine, room: Room, query: str) -> None:
    await assert_waits(engine, room, query)


async def assert_waits(engine: Engine, room: Room, query: str) -> None:
    database, context = room.gateway.store.database, room.context()
    async with held(database) as go_on:
        answering = asyncio.ensure_future(answer(engine, asked(room, query), context))
        await until_something_waits(database, unless=answering)
        assert not answering.done()
        assert not context.may_mirror_late
        go_on.set()
        await answering
    assert room.gateway.mirror_queue.rows == 0


@pytest.mark.parametrize("query", WITHOUT.values(), ids=WITHOUT)
async def test_answer_without_a_position_leaves_before_the_commit(engine: Engine, room: Room, query: str) -> None:
    store = room.gateway.store
    async with held(store.database):
        shown = await answer(engine, asked(room, query), room.context())
        assert "New" in str(shown)
        assert await store.chats.get(1, 1, "c1") is not None
        assert (await store.chats.get_many(1, [(1, "c1")]))[1, "c1"].title != "New"
    await room.gateway.mirror_queue.caught_up(1)
    assert (await store.chats.get_many(1, [(1, "c1")]))[1, "c1"].title == "New"


async def test_operations_of_one_document_are_told_apart(engine: Engine, room: Room) -> None:
    document = (
        "query A { chats(first: 5) { nodes { title } } } query B { chats(first: 5) { nodes { title } eventCursor } }"
    )
    for name, may_be_late in (("A", True), ("B", False)):
        context = room.context()
        await engine.execute(OperationRequest(query=document, operation_name=name), context)
        assert context.may_mirror_late is may_be_late


async def test_page_and_stream_together_miss_nothing(engine: Engine, room: Room) -> None:
    """What the page shows is in the log behind its position, and what comes after the page as well."""
    shown = await answer(engine, asked(room, WITH_POSITION["of the list"]), room.context())
    assert [row["title"] for row in shown["chats"]["nodes"]] == ["New"]
    async with an_ear(room, after=shown["chats"]["eventCursor"]) as ear:
        heard = [event.event.kind for event in ear.heard if isinstance(event, Happened)]
        assert heard[0] is EventKind.CHAT_UPDATED


async def test_stream_after_a_page_holds_what_another_answer_showed_and_is_still_being_written(
    engine: Engine, room: Room
) -> None:
    """It is committed behind the position, because the position was read before."""
    store = room.gateway.store
    async with held(store.database) as go_on:
        await answer(engine, asked(room, WITHOUT["a list"]), room.context())
        position = await room.context().event_cursor()
        go_on.set()
        await room.gateway.mirror_queue.caught_up(1)
    async with an_ear(room, after=position) as ear:
        kinds = [event.event.kind for event in ear.heard if isinstance(event, Happened)]
        assert EventKind.CHAT_UPDATED in kinds
