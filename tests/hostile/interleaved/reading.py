"""Operations that read what the actor may see. Beside what the judge looks at, each says what must be there."""

import asyncio
from dataclasses import replace

from domain.ids import chat_id, parse_id
from simulators.faults import Fault
from tests.hostile.interleaved.houses import WORDS
from tests.hostile.interleaved.turn import Turn

SEEDED = tuple(f"chat_seed{place:02d}" for place in range(12))
"""What every Kodey is seeded with."""
STATUS = "sources { code stale message source { id key displayName } }"
CHAT = "id nativeId title tags metadata raw organization { id } source { id key displayName } folder { id name } owner { nativeId }"
MESSAGE = "id role text state author { displayName } metadata"
OPEN = f"""query ($id: ID!) {{ chat(id: $id) {{ {CHAT} unreadCount version eventCursor lastMessage {{ id text }}
  messages(last: 5) {{ eventCursor edges {{ cursor node {{ {MESSAGE} }} }} status {{ code message source {{ key }} }} }} }} }}"""
LIST = f"""query ($first: Int, $after: String, $filter: ChatFilter, $order: ChatOrder) {{
  chats(first: $first, after: $after, filter: $filter, orderBy: $order, withinMs: 20000) {{
    totalCount {{ value }} eventCursor pageInfo {{ hasNextPage startCursor endCursor }}
    edges {{ cursor node {{ {CHAT} unreadCount }} }} {STATUS} }} }}"""
NODES = """query ($ids: [ID!]!, $one: ID!) { node(id: $one) { __typename id }
  nodes(ids: $ids) { __typename id ... on Chat { title source { key } } ... on Message { text chat { id } }
    ... on Folder { name } ... on Source { key displayName health { message } account { name nativeId } } } }"""
SEARCH = f"""query ($words: String!, $filter: SearchFilter) {{ search(query: $words, first: 20, filter: $filter, withinMs: 20000) {{
  totalCount {{ value }} pageInfo {{ endCursor }} coverage {{ source {{ id key }} }} {STATUS}
  edges {{ cursor snippet node {{ __typename ... on Chat {{ id title }} ... on Message {{ id text chat {{ id title }} }} }} }} }} }}"""
FOLDERS = f"""{{ folders(first: 50, withinMs: 20000) {{ totalCount {{ value }} eventCursor {STATUS}
  edges {{ cursor node {{ id name source {{ id key }} parent {{ id name }} }} }} }} }}"""
FOLDER = f"""query ($id: ID!) {{ folder(id: $id) {{ id name children(first: 9) {{ nodes {{ id name }} }}
  chats(first: 20, withinMs: 20000) {{ totalCount {{ value }} edges {{ cursor node {{ id title source {{ key }} }} }} {STATUS} }} }} }}"""
SOURCES = """{ viewer { displayName organization { id slug name } role }
  sources { id key displayName vendor visibility account { kind nativeId slug name } health { state message } }
  organization { id slug members(first: 50) { nodes { id displayName } } apiKeys(first: 50) { nodes { id name prefix } }
    auditLog(first: 50) { edges { cursor node { id action actor input target { id } } } } } }"""
AGENTS = "query ($id: ID!) { source(id: $id) { id key agents(first: 9) { status { code message } nodes { nativeId displayName } } } }"


async def opens_a_chat(turn: Turn) -> None:
    """What is one's own is there, from the source that it lives in, unless somebody deletes it."""
    _, chat_id, source = turn.a_chat()
    chat = (await turn.ask(OPEN, id=chat_id))["chat"]
    if chat is None:
        assert turn.is_leaving(chat_id), chat_id
        return
    assert (chat["id"], chat["source"]["key"]) == (chat_id, source.key)
    if chat["messages"] is not None:
        shelf = next(shelf for shelf in turn.world.own(turn.actor) if chat_id in shelf.chats)
        for edge in chat["messages"]["edges"]:
            shelf.messages[edge["node"]["id"]] = source
        shelf.event_cursor = chat["messages"]["eventCursor"]


async def opens_equal_chats_at_once(turn: Turn) -> None:
    """One native id at one address, by everybody whose it is, while the vendor takes its time: equal but for the credential."""
    native = turn.chance.choice(SEEDED)
    turns, ids = [], []
    for actor in turn.world.actors:
        for shelf in turn.world.own(actor):
            for source in (shelf.sources[key] for key in ("kodey-shared", "mine") if key in shelf.sources):
                turn.world.houses[shelf.audience, source.key].control.faults.add(
                    Fault(operation="list_messages", delay_ms=20, times=1)
                )
                turns.append(replace(turn, actor=actor, said=[]))
                ids.append(chat_id(parse_id(source.id).short, native))
    turn.said[:] = [OPEN, native]
    asking = (one.ask(OPEN, id=id_text) for one, id_text in zip(turns, ids, strict=True))
    shown = []
    for told in await asyncio.gather(*asking, return_exceptions=True):
        if isinstance(told, BaseException):
            raise told
        shown.append(told["chat"]["id"])
    assert shown == ids


async def looks_at_nodes(turn: Turn) -> None:
    """Several things at once, by their ids alone."""
    shelf = turn.a_shelf()
    ids = turn.chance.sample(list(shelf.messages), min(3, len(shelf.messages)))
    ids += [source.id for source in turn.chance.sample(list(shelf.sources.values()), 1)]
    ids += [turn.a_chat("local", "open_webui", "kodey")[1], *shelf.folders[:1]]
    nodes = (await turn.ask(NODES, ids=ids, one=ids[-1]))["nodes"]
    assert len(nodes) == len(ids)
    assert any(node is not None for node in nodes)
    assert all(node is None or node["id"] == id_text for node, id_text in zip(nodes, ids, strict=True))


async def lists_chats(turn: Turn) -> None:
    """Of a source or two, rarely of all; some conditions; and the next page with the cursor."""
    chance, shelf = turn.chance, turn.a_shelf()
    filter_: dict[str, object] = {}
    if chance.random() < 0.9:
        some = chance.sample(list(shelf.sources.values()), min(chance.choice([1, 1, 2]), len(shelf.sources)))
        filter_["sourceIds"] = [source.id for source in some]
    filter_ |= chance.choice([{}, {}, {"archived": True}, {"pinned": True}, {"text": WORDS[shelf.audience]}])
    field = chance.choice(["UPDATED_AT", "UPDATED_AT", "CREATED_AT", "TITLE"])
    variables = {"first": chance.randint(1, 20), "filter": filter_, "order": {"field": field}}
    page = (await turn.ask(LIST, **variables))["chats"]
    shown = {edge["node"]["id"] for edge in page["edges"]}
    if page["pageInfo"]["hasNextPage"]:
        after = page["pageInfo"]["endCursor"]
        more = (await turn.ask(LIST, after=after, **variables))["chats"]
        if field == "CREATED_AT":  # which does not change
            assert not shown & {edge["node"]["id"] for edge in more["edges"]}


async def searches(turn: Turn) -> None:
    """One's own word is found, and in what is one's own alone."""
    shelf = turn.a_shelf()
    source = turn.chance.choice([one for one in shelf.sources.values() if one.vendor != "local"])
    found = await turn.ask(SEARCH, words=WORDS[shelf.audience], filter={"sourceIds": [source.id]})
    edges = found["search"]["edges"]
    # A Kodey shows neither titles nor, before a chat was opened, messages.
    assert edges or source.vendor == "kodey" or found["search"]["sources"][0]["code"] != "OK", found


async def lists_folders(turn: Turn) -> None:
    """The gateway's own and those of the vendors."""
    edges = (await turn.ask(FOLDERS))["folders"]["edges"]
    shown = {edge["node"]["id"] for edge in edges}
    shelf = turn.world.shelves[turn.actor.organization]
    if len(edges) < 50:
        assert shown >= {folder for folder in list(shelf.folders)[:3] if folder not in shelf.leaving}


async def looks_into_a_folder(turn: Turn) -> None:
    """A folder of the organization, which may hold chats that only Ann sees."""
    shelf = turn.world.shelves[turn.actor.organization]
    if not shelf.folders:
        return
    folder_id = turn.chance.choice(shelf.folders)
    folder = (await turn.ask(FOLDER, id=folder_id))["folder"]
    assert folder is not None or folder_id in shelf.leaving


async def lists_sources(turn: Turn) -> None:
    """Every one of one's own, and who else there is in the organization."""
    sources = (await turn.ask(SOURCES))["sources"]
    own = {source.id for shelf in turn.world.own(turn.actor) for source in shelf.sources.values()}
    assert {source["id"] for source in sources} == own


async def asks_for_agents(turn: Turn) -> None:
    """What can answer, as the vendor tells it."""
    source = turn.chance.choice(list(turn.a_shelf().sources.values()))
    assert (await turn.ask(AGENTS, id=source.id))["source"]["id"] == source.id
