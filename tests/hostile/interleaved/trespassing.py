"""Operations with ids, cursors and words of others: they answer as if there were no such thing."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.hostile.interleaved.houses import WORDS
from tests.hostile.interleaved.reading import LIST, SEARCH
from tests.hostile.interleaved.shelf import Shelf
from tests.hostile.interleaved.turn import Turn
from tests.hostile.test_ids import CHATS, MESSAGES, NOT_FOR_YOU, OTHERS, Place

_KINDS = ("chat", "message", "source", "folder")
_LISTS = ("chats", "folders", "search")
_ENTITIES = "query ($id: ID!) { _entities(representations: [{__typename: %s, id: $id}]) { __typename } }"
_PAGES = (
    "query ($after: String) { folders(first: 1, after: $after) { pageInfo { endCursor } nodes { id name } } }",
    "query ($after: String) { chats(first: 1, after: $after) { pageInfo { endCursor } nodes { id title } } }",
    'query ($after: String) { search(query: "the", first: 1, after: $after) { pageInfo { endCursor } nodes { __typename } } }',
)
_EVENTS = "subscription ($after: EventCursor, $chatIds: [ID!]) { chatEvents(after: $after, chatIds: $chatIds) { __typename cursor } }"
_ADDED = "subscription ($id: ID) { messageAdded(chatId: $id) { chatId message { text } } }"


async def reads_anothers(turn: Turn) -> None:
    """By each field that takes an id."""
    shelf = _foreign(turn)
    kind = turn.chance.choice([kind for kind in _KINDS if shelf.ids_of(kind)])
    id_text = turn.chance.choice(shelf.ids_of(kind))
    one = await turn.ask(f"query ($id: ID!) {{ node(id: $id) {{ id }} {kind}(id: $id) {{ id }} }}", id=id_text)
    assert one == {"node": None, kind: None}
    name = f'"{kind.title()}"'
    assert await turn.ask(_ENTITIES % name, id=id_text) == {"_entities": [None]}


async def reads_many_of_anothers(turn: Turn) -> None:
    """Beside one of one's own, which is there."""
    shelf = _foreign(turn)
    ids = [
        id_text
        for kind in _KINDS
        for id_text in turn.chance.sample(shelf.ids_of(kind), min(3, len(shelf.ids_of(kind))))
    ]
    ids += [id_text for found in shelf.others.values() for id_text in found if _is_hidden(turn, id_text)]
    own = turn.chance.choice(list(turn.a_shelf().sources.values())).id
    nodes = (await turn.ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[*ids, own]))["nodes"]
    assert nodes == [None] * len(ids) + [{"id": own}]


async def filters_by_anothers(turn: Turn) -> None:
    """A source, a folder or a chat of somebody else is no condition."""
    shelf, list_ = _foreign(turn), turn.chance.choice(_LISTS)
    words = 'query: "title", ' if list_ == "search" else ""
    source_id = turn.chance.choice(shelf.ids_of("source"))
    query = (
        f"query ($ids: [ID!]) {{ {list_}({words}first: 5, filter: {{sourceIds: $ids}}) {{ nodes {{ __typename }} }} }}"
    )
    (error,) = await turn.errors(query, ids=[source_id])
    assert error["message"] == f"There is no source {NOT_FOR_YOU}"
    (error,) = await turn.errors(
        'query ($ids: [ID!]) { search(query: "title", first: 5, filter: {chatIds: $ids}) { nodes { __typename } } }',
        ids=[turn.chance.choice(shelf.ids_of("chat"))],
    )
    assert error["message"] == f"There is no chat {NOT_FOR_YOU}"


async def looks_into_anothers_folder(turn: Turn) -> None:
    """As a condition a folder of the gateway of another organization holds nothing."""
    folder_id = turn.chance.choice(turn.world.shelves[_other(turn)].folders)
    page = (await turn.ask(LIST, first=5, filter={"folderIds": [folder_id]}))["chats"]
    assert page["edges"] == []


async def searches_for_anothers_words(turn: Turn) -> None:
    """They stand in every title and text there, and in none here."""
    shelf = _foreign(turn)
    some = [source.id for source in turn.chance.sample(list(turn.a_shelf().sources.values()), 1)]
    found = (await turn.ask(SEARCH, words=WORDS[shelf.audience], filter={"sourceIds": some}))["search"]
    assert (found["edges"], found["totalCount"]) in [([], None), ([], {"value": 0})]


async def continues_anothers_list(turn: Turn) -> None:
    """A cursor is good in its own organization alone, though both ask the very same."""
    document = turn.chance.choice(_PAGES)
    owner = turn.chance.choice([one for one in turn.world.actors if one.organization != turn.actor.organization])
    theirs = replace(turn, actor=owner, said=turn.said)
    (first,) = (await theirs.ask(document)).values()
    cursor = first["pageInfo"]["endCursor"]
    assert cursor is not None
    (error,) = await turn.errors(document, after=cursor)
    assert error["extensions"]["code"] == "BAD_CURSOR"
    (second,) = (await theirs.ask(document, after=cursor)).values()
    assert second["pageInfo"]["endCursor"] != cursor


async def listens_to_anothers(turn: Turn) -> None:
    """Their chats cannot be listened to, and their place in the log is none here."""
    shelf, line = _foreign(turn), turn.actor.line
    chat_id = turn.chance.choice(shelf.ids_of("chat"))
    ways: list[tuple[str, dict[str, Any]]] = [(_EVENTS, {"chatIds": [chat_id]}), (_ADDED, {"id": chat_id})]
    query, variables = turn.chance.choice(ways)
    told = await line.ask(query, variables)
    turn.said[:] = [query, str(variables), str(told)]
    assert told["errors"][0]["message"] == f"There is no chat {NOT_FOR_YOU}"
    cursor = turn.world.shelves[_other(turn)].event_cursor
    if cursor is not None:
        told = await line.ask(_EVENTS, {"after": cursor})
        assert told["data"]["chatEvents"]["__typename"] == "StreamGap"


async def writes_to_anothers(turn: Turn) -> None:
    """Every argument of every mutation that takes an id."""
    shelf = _foreign(turn)
    places = [place for place in (*CHATS, *MESSAGES, *OTHERS) if _ids(turn, shelf, place)]
    place = turn.chance.choice(places)
    id_text = turn.chance.choice(_ids(turn, shelf, place))
    error = await turn.do_refused(place.document, {**_others(turn, place), place.argument: id_text})
    assert error == {
        "__typename": "NotFoundError",
        "code": "NOT_FOUND",
        "message": f"There is no {place.noun} {NOT_FOR_YOU}",
        "path": ["input", place.argument],
        "missingId": id_text,
    }


def _ids(turn: Turn, shelf: Shelf, place: Place) -> Sequence[str]:
    try:
        found = shelf.ids_of(place.noun)
    except KeyError:
        return []
    return [id_text for id_text in found if _is_hidden(turn, id_text)]


def _is_hidden(turn: Turn, id_text: str) -> bool:
    """Ann belongs to both organizations, and may know of the other one."""
    return turn.actor.person != "ann" or not any(
        id_text in shelf.others.get("organization", ()) for shelf in turn.world.shelves.values()
    )


def _others(turn: Turn, place: Place) -> dict[str, Any]:
    """What else the input needs, of one's own, and every text with one's own word."""
    own = turn.world.shelves[turn.actor.organization]
    _, chat_id, _ = turn.a_chat("local")
    known = {"local": own.sources["local"].id, "demo": chat_id, "work": own.folders[0]}
    texts = ("title", "text", "name", "displayName", "subject")
    return {
        name: turn.words(own, "trespasses")
        if name in texts
        else known.get(value, value)
        if isinstance(value, str)
        else value
        for name, value in place.others.items()
    }


def _foreign(turn: Turn) -> Shelf:
    return turn.chance.choice([shelf for shelf in turn.world.foreign(turn.actor) if shelf.chats])


def _other(turn: Turn) -> str:
    return next(name for name in ("acme", "beta") if name != turn.actor.organization)
