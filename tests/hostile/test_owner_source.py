"""A source that only its owner sees: nothing of it appears to anybody else in the organization, in no list, search, node, event, count or status.

Ann's own Kodey stands beside the organization's, at the same address and with the same native ids. Each question is asked by her too, and
shows it: what the others are not told is there to be told.
"""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from domain.ids import chat_id, parse_id
from simulators.faults import Fault
from tests.hostile.interleaved import reading, writing
from tests.hostile.interleaved.course import put_on_shelves, run
from tests.hostile.interleaved.houses import WORDS
from tests.hostile.interleaved.judge import texts_in
from tests.hostile.interleaved.turn import Turn
from tests.hostile.interleaved.world import MINE, World, a_world
from tests.hostile.test_ids import CHATS, MESSAGES, NOT_FOR_YOU, OTHERS, Place

pytestmark = pytest.mark.slow

WORD = WORDS["ann@acme"]
OTHER_PEOPLE = ("bob@acme", "key@acme")
"""Both are admins."""
ROWS = "id nativeId title tags source { id key displayName } folder { id name } unreadCount lastMessage { id text }"
TAG = f"{WORD} tag"
PAGE = f"totalCount {{ value exact }} pageInfo {{ startCursor endCursor }} edges {{ cursor node {{ {ROWS} }} }} {reading.STATUS}"
FOUND = f"""totalCount {{ value exact }} coverage {{ source {{ id key }} }} {reading.STATUS}
  edges {{ cursor snippet node {{ ... on Chat {{ id title }} ... on Message {{ id text chat {{ id title }} }} }} }}"""
EVENT = """__typename cursor ... on MessageCreated { chatId message { id text } } ... on MessageUpdated { chatId message { id text } }
  ... on MessageDelta { chatId text } ... on ChatCreated { chatId chat { id title } } ... on ChatUpdated { chatId chat { id title } }
  ... on ChatDeleted { chatId } ... on ReadStateChanged { chatId unreadCount } ... on SourceHealthChanged { source { id key } }
  ... on FolderChanged { folderId folder { name } } ... on CaughtUp { incomplete { code message source { id key } } }"""

EVENT_OF_MESSAGES = "__typename chatId message { id text chat { title } }"
THE_END = f"{WORDS['acme']} the end"
Heard = dict[tuple[str, str], list[dict[str, Any]]]
"""By who listened and how."""


@dataclass
class Owned:
    """What Ann did to her source, and the folder that she shares. `before`: a position in the log ahead of it all."""

    world: World
    folder: str
    source: str
    chat: str
    message: str
    cursor: str
    before: str
    heard: Heard

    @property
    def ids(self) -> Mapping[str, str]:
        """For the variables of questions."""
        return {name: getattr(self, name) for name in ("folder", "source", "chat", "message", "cursor", "before")}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    sources = {"kodey-shared": "kodey", "open-webui-shared": "open_webui"}
    every_list_anew = "list_ttl_seconds = 0.001\n"
    with a_world(tmp_path_factory.mktemp("owner"), sources, settings=every_list_anew) as world:
        yield world


@pytest.fixture(scope="module")
def owned(world: World) -> Owned:
    return run(ann_works(world))


WAYS: Mapping[str, str] = {
    "everything": f"($after: EventCursor) {{ chatEvents(after: $after) {{ {EVENT} }} }}",
    "in a folder": f"($after: EventCursor, $folder: ID!) {{ chatEvents(after: $after, filter: {{folderIds: [$folder]}}) {{ {EVENT} }} }}",
    "of some kinds": f"($after: EventCursor) {{ chatEvents(after: $after, filter: {{kinds: [MESSAGE_CREATED, CHAT_UPDATED]}}) {{ {EVENT} }} }}",
    "messages": f"($after: EventCursor) {{ messageAdded(after: $after) {{ {EVENT_OF_MESSAGES} }} }}",
    "messages in a folder": f"($after: EventCursor, $folder: ID!) {{ messageAdded(after: $after, filter: {{folderIds: [$folder]}}) {{ {EVENT_OF_MESSAGES} }} }}",
    "messages of some roles": f"($after: EventCursor) {{ messageAdded(after: $after, filter: {{roles: [USER, ASSISTANT]}}) {{ {EVENT_OF_MESSAGES} }} }}",
}
"""How one can listen without naming what one must not know."""


async def everybody_listens(world: World, before: str, folder: str) -> Heard:
    """In each way; everything that comes is judged by the lines."""
    heard: Heard = {}
    for who in ("ann@acme", *OTHER_PEOPLE):
        for way, document in WAYS.items():
            events = heard[who, way] = []
            variables = {"after": before, "folder": folder} if "$folder" in document else {"after": before}
            await world.actor(who).line.listen(f"subscription {document}", variables, events.append)
    return heard


async def the_end(world: World, folder: str, heard: Heard) -> None:
    """Something that everybody may hear of in each of the ways; what came before it came before."""
    admin = Turn(world, world.actor("bob@acme"), Random(1), 3)
    local = world.shelves["acme"].sources["local"].id
    fields = {"sourceId": local, "title": f"{WORDS['acme']} ends", "folderId": folder}
    made = (await admin.do(writing.CREATE, input=fields))["chat"]["id"]
    await admin.do(writing.SEND, input={"chatId": made, "text": THE_END})
    ends = time.monotonic() + 300
    while not all(any(THE_END in str(event) for event in events) for events in heard.values()):
        assert time.monotonic() < ends, {way for way, events in heard.items() if THE_END not in str(events)}
        await asyncio.sleep(0.05)  # the lines take what comes; there are many of them to wait on


async def ann_works(world: World) -> Owned:
    """All that she can do to it, while everybody listens in every way there is."""
    async with world.peopled():
        await put_on_shelves(world)
        turn = Turn(world, world.actor("ann@acme"), Random(1), 1)
        source, folder = world.shelves["ann@acme"].sources[MINE].id, world.shelves["acme"].folders[0]
        before = (await turn.ask("{ chats(first: 1) { eventCursor } }"))["chats"]["eventCursor"]
        chat = chat_id(parse_id(source).short, "chat_seed00")
        heard = await everybody_listens(world, before, folder)
        message = await uses_everything(turn, chat, source, folder)
        await the_end(world, folder, heard)
        page = (await turn.ask(reading.LIST, first=2))["chats"]
        return Owned(world, folder, source, chat, message, page["pageInfo"]["endCursor"], before, heard)


async def uses_everything(turn: Turn, chat: str, source: str, folder: str) -> str:
    """A new chat and an old one: opened, written to, renamed, tagged, filed, marked. The id of what was written."""
    fields = {"sourceId": source, "title": f"{WORD} new", **writing.DEMANDED["kodey"]}
    made = (await turn.do(writing.CREATE, input=fields))["chat"]["id"]
    for filed in (chat, made):
        await turn.do(writing.MOVE, input={"chatId": filed, "folderId": folder})
    sent = await turn.do(writing.SEND, input={"chatId": chat, "text": f"{WORD} says", "reply": "WAIT"})
    await turn.do(writing.RENAME, input={"chatId": chat, "title": f"{WORD} title"})
    await turn.do(writing.TAG, input={"chatId": chat, "tags": [TAG]})
    await turn.do(writing.PIN, input={"chatId": chat, "pinned": True})
    await turn.do(writing.ARCHIVE, input={"chatId": made, "archived": True})
    await turn.do(writing.READ, input={"chatId": chat})
    await turn.ask(reading.OPEN, id=chat)
    return str(sent["message"]["id"])


# Questions


QUESTIONS: Mapping[str, str] = {
    "sources": reading.SOURCES,
    "chats": f"{{ chats(first: 100, withinMs: 20000) {{ {PAGE} }} }}",
    "chats backwards": f"{{ chats(last: 100, withinMs: 20000) {{ {PAGE} }} }}",
    "chats by title": f"{{ chats(first: 100, withinMs: 20000, orderBy: {{field: TITLE}}) {{ {PAGE} }} }}",
    "archived chats": f"{{ chats(first: 100, withinMs: 20000, filter: {{archived: true}}) {{ {PAGE} }} }}",
    "pinned chats": f"{{ chats(first: 100, withinMs: 20000, filter: {{pinned: true}}) {{ {PAGE} }} }}",
    "tagged chats": f'{{ chats(first: 100, withinMs: 20000, filter: {{tags: ["{TAG}"]}}) {{ {PAGE} }} }}',
    "chats by words": f'{{ chats(first: 100, withinMs: 20000, filter: {{text: "title"}}) {{ {PAGE} }} }}',
    "chats of a folder": f"query ($folder: ID!) {{ chats(first: 100, withinMs: 20000, filter: {{folderIds: [$folder]}}) {{ {PAGE} }} }}",
    "chats of no folder": f"{{ chats(first: 100, withinMs: 20000, filter: {{unfiled: true}}) {{ {PAGE} }} }}",
    "chats since": f'{{ chats(first: 100, withinMs: 20000, filter: {{updatedSince: "2020-01-01T00:00:00Z"}}) {{ {PAGE} }} }}',
    "chats behind Ann's cursor": f"query ($cursor: String) {{ chats(first: 100, after: $cursor, withinMs: 20000) {{ {PAGE} }} }}",
    "organization": f"{{ organization {{ sources {{ id key displayName }} chats(first: 100, withinMs: 20000) {{ {PAGE} }} }} }}",
    "folder": f"query ($folder: ID!) {{ folder(id: $folder) {{ id name chats(first: 100, withinMs: 20000) {{ {PAGE} }} }} }}",
    "folders": f"{{ folders(first: 50) {{ totalCount {{ value }} {reading.STATUS} nodes {{ id chats(first: 50, withinMs: 20000) {{ {PAGE} }} }} }} }}",
    "search": f'{{ search(query: "says", first: 50, withinMs: 20000) {{ {FOUND} }} }}',
    "search for Ann's word": f'{{ search(query: "{WORD}", first: 50, withinMs: 20000) {{ {FOUND} }} }}',
    "search in a folder": f'query ($folder: ID!) {{ search(query: "says", first: 50, filter: {{folderIds: [$folder]}}) {{ {FOUND} }} }}',
    "search by tag": f'{{ search(query: "title", first: 50, filter: {{tags: ["{TAG}"]}}) {{ {FOUND} }} }}',
    "node": f"query ($chat: ID!) {{ node(id: $chat) {{ ... on Chat {{ {ROWS} }} }} }}",
    "nodes": "query ($chat: ID!, $message: ID!, $source: ID!) { nodes(ids: [$chat, $message, $source]) { id ... on Message { text chat { id title } } } }",
    "chat": f"query ($chat: ID!) {{ chat(id: $chat) {{ {ROWS} messages(last: 9) {{ nodes {{ id text }} }} }} }}",
    "message": "query ($message: ID!) { message(id: $message) { id text chat { id } siblings { id text } parent { id } } }",
    "source": "query ($source: ID!) { source(id: $source) { id key displayName health { state } agents(first: 9) { nodes { nativeId } } } }",
    "entity": 'query ($chat: ID!) { _entities(representations: [{__typename: "Chat", id: $chat}]) { ... on Chat { id title } } }',
}


async def told_to(owned: Owned, who: str, document: str, **more: Any) -> dict[str, Any]:
    """The whole response, judged."""
    person, _, organization = who.partition("@")
    audiences = (organization, who) if person == "ann" else (organization,)
    variables = {**owned.ids, **more}
    async with owned.world.client(owned.world.credential(person, organization), organization) as client:
        body = {"query": document, "variables": variables}
        answer = await client.http.post(client.url, json=body, headers=client.headers)
    owned.world.judge.answer(who, audiences, answer.text, asked=texts_in(variables))
    told: dict[str, Any] = answer.json()
    return told


async def data_for(owned: Owned, who: str, document: str, **more: Any) -> dict[str, Any]:
    """The data. No vendor fails here, so an error is a fault."""
    told = await told_to(owned, who, document, **more)
    assert "errors" not in told, told["errors"]
    data: dict[str, Any] = told["data"]
    return data


@pytest.mark.parametrize("question", QUESTIONS)
def test_question_shows_the_source_to_its_owner(owned: Owned, question: str) -> None:
    """Without this the next one would prove little."""
    assert WORD in json.dumps(asyncio.run(data_for(owned, "ann@acme", QUESTIONS[question])))


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("who", OTHER_PEOPLE)
def test_question_tells_others_nothing(owned: Owned, who: str, question: str) -> None:
    """The judge raises for a word of Ann's, and for an id of her source or of anything in it."""
    asyncio.run(data_for(owned, who, QUESTIONS[question]))


# Events


@pytest.mark.parametrize("way", WAYS)
def test_events_of_the_source_come_to_its_owner(owned: Owned, way: str) -> None:
    assert WORD in json.dumps(owned.heard["ann@acme", way])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("who", OTHER_PEOPLE)
def test_events_of_the_source_come_to_nobody_else(owned: Owned, who: str, way: str) -> None:
    """They heard of all that is everybody's."""
    events = json.dumps(owned.heard[who, way])
    assert THE_END in events
    assert WORD not in events
    assert owned.source not in events


# Counts


def test_counts_are_of_what_one_sees(owned: Owned) -> None:
    """Two of Ann's chats are in the folder, one of them archived; the chat that ended it all is everybody's."""
    shown = {}
    for who in ("ann@acme", *OTHER_PEOPLE):
        page = asyncio.run(data_for(owned, who, QUESTIONS["folder"]))["folder"]["chats"]
        assert page["totalCount"] is None or page["totalCount"]["value"] <= len(page["edges"])
        shown[who] = len(page["edges"])
    assert shown == {"ann@acme": 2, "bob@acme": 1, "key@acme": 1}


def test_search_counts_nothing_of_it(owned: Owned) -> None:
    found = asyncio.run(data_for(owned, "bob@acme", QUESTIONS["search for Ann's word"]))["search"]
    assert (found["edges"], found["totalCount"]) == ([], {"value": 0, "exact": False})
    assert MINE not in {coverage["source"]["key"] for coverage in found["coverage"]}


def test_reading_hers_leaves_the_equal_chat_of_all_unread(owned: Owned) -> None:
    """Both have the same native id; a marker, a title, a tag, a pin or a folder belongs to one of them."""
    shared = owned.world.shelves["acme"].sources["kodey-shared"].id
    twin = chat_id(parse_id(shared).short, parse_id(owned.chat).parts[0])
    ask = "query ($id: ID!) { chat(id: $id) { nativeId title tags pinned folder { id } unreadCount messages(last: 1) { nodes { id } } } }"
    chat = asyncio.run(data_for(owned, "ann@acme", ask, id=twin))["chat"]
    hers = asyncio.run(data_for(owned, "ann@acme", ask, id=owned.chat))["chat"]
    assert chat["nativeId"] == hers["nativeId"]
    assert (hers["title"], hers["tags"], hers["pinned"], hers["folder"]) == (
        f"{WORD} title",
        [TAG],
        True,
        {"id": owned.folder},
    )
    assert (chat["title"], chat["tags"], chat["pinned"], chat["folder"]) == (None, [], False, None)
    assert (hers["unreadCount"], chat["unreadCount"]) == (0, None)


# What names it

PLACES = [place for place in (*CHATS, *MESSAGES, *OTHERS) if place.noun.split()[0] in ("chat", "message", "source")]


@pytest.mark.parametrize(
    "query",
    [
        "query ($source: ID!) { chats(first: 1, filter: {sourceIds: [$source]}) { totalCount { value } } }",
        "query ($source: ID!) { folders(first: 1, filter: {sourceIds: [$source]}) { totalCount { value } } }",
        'query ($source: ID!) { search(query: "says", first: 1, filter: {sourceIds: [$source]}) { totalCount { value } } }',
        'query ($chat: ID!) { search(query: "says", first: 1, filter: {chatIds: [$chat]}) { totalCount { value } } }',
        "subscription ($source: ID!) { chatEvents(filter: {sourceIds: [$source]}) { __typename } }",
        "subscription ($source: ID!) { messageAdded(filter: {sourceIds: [$source]}) { chatId } }",
        "subscription ($chat: ID!) { chatEvents(chatIds: [$chat]) { __typename } }",
        "subscription ($chat: ID!) { messageAdded(chatId: $chat) { chatId } }",
    ],
)
def test_condition_that_names_it_is_refused_to_others(owned: Owned, query: str) -> None:
    noun = "source" if "$source" in query else "chat"

    async def refusals() -> list[dict[str, Any]]:
        async with owned.world.client(owned.world.credential("bob", "acme"), "acme") as client:
            if query.startswith("query"):
                return (await client.post(query, **owned.ids))["errors"]
            async with client.events(query, **owned.ids) as events:
                return (await events.message())["payload"]

    (error,) = asyncio.run(refusals())
    assert error["message"] == f"There is no {noun} {NOT_FOR_YOU}"


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_mutation_that_names_it_is_refused_to_others(owned: Owned, place: Place) -> None:
    """And nothing is written at the vendor."""
    shelf = owned.world.shelves["acme"]
    named = owned.ids[place.noun.split()[0]]
    local = next(chat for chat, source in shelf.chats.items() if source.vendor == "local")
    own = {"local": shelf.sources["local"].id, "demo": local, "work": owned.folder}
    others = {name: own.get(value, value) if isinstance(value, str) else value for name, value in place.others.items()}
    calls = owned.world.houses["ann@acme", MINE].control.calls
    before = [call for call in calls.named() if call["method"] != "GET"]
    input_ = {**others, place.argument: named}
    data = asyncio.run(data_for(owned, "bob@acme", place.document, input=input_))
    ((error,),) = [payload["userErrors"] for payload in data.values()]
    assert (error["code"], error["message"]) == ("NOT_FOUND", f"There is no {place.noun} {NOT_FOR_YOU}")
    assert [call for call in calls.named() if call["method"] != "GET"] == before


# Statuses


def test_its_failing_is_in_nobody_elses_statuses(owned: Owned) -> None:
    fault = Fault(status=503, body={"error": "down", "message": f"{WORD} is down"})
    faults = owned.world.houses["ann@acme", MINE].control.faults
    faults.add(fault)
    try:
        for question in ("chats", "folders", "search", "organization", "sources"):
            told = {who: asyncio.run(told_to(owned, who, QUESTIONS[question])) for who in ("ann@acme", "bob@acme")}
            assert MINE in json.dumps(told["ann@acme"]), question
            assert "UPSTREAM_UNAVAILABLE" not in json.dumps(told["bob@acme"]), question
        shown = asyncio.run(told_to(owned, "ann@acme", QUESTIONS["chats"]))["data"]["chats"]["sources"]
        assert {status["source"]["key"]: status["code"] for status in shown}[MINE] in (
            "UPSTREAM_UNAVAILABLE",
            "CIRCUIT_OPEN",
        )
    finally:
        faults.clear()
