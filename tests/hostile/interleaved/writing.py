"""Operations that change what the actor may see. Everybody uses the same idempotency keys."""

from collections.abc import Mapping
from typing import Any

from simulators import kodey, lexicon, splox
from tests.hostile.interleaved.shelf import Shelf, Source
from tests.hostile.interleaved.turn import Turn

_ERRORS = "userErrors { __typename code message path ... on UpstreamError { source { id key } } }"
_CHAT = "chat { id title tags pinned archived folder { id name } source { id key } unreadCount }"


def _mutation(name: str, selected: str) -> str:
    input_ = name[0].upper() + name[1:]
    return f"mutation ($input: {input_}Input!) {{ {name}(input: $input) {{ {selected} {_ERRORS} }} }}"


CREATE = _mutation("createChat", f"replayed {_CHAT}")
SEND = _mutation("sendMessage", "replayed clientMutationId message { id text state } reply { id text state }")
FOLDER = _mutation("createFolder", "replayed folder { id name }")
REMOVE_FOLDER = _mutation("deleteFolder", "deletedFolderId")
RENAME = _mutation("updateChat", _CHAT)
TAG = _mutation("setChatTags", _CHAT)
PIN = _mutation("setChatPinned", _CHAT)
ARCHIVE = _mutation("setChatArchived", _CHAT)
MOVE = _mutation("moveChat", _CHAT)
READ = _mutation("markChatRead", _CHAT)
EDIT = _mutation("editMessage", "message { id text }")
DELETE = _mutation("deleteChat", "deletedChatId")

DEMANDED: Mapping[str, Mapping[str, Any]] = {
    "splox": {"agent": splox.ASSISTANT.workflow_id},
    "lexicon": {"userId": lexicon.SEEDED_USERS[0]},
    "kodey": {"agent": kodey.SEEDED_AGENTS[0]},
    "open_webui": {"agent": "fake-gpt"},
}
"""Vendor → what `createChat` must name there."""
PLAIN = ("local", "kodey", "splox", "lexicon", "chatlogger")
"""Vendors whose chats go into folders of the gateway."""


async def creates_a_chat(turn: Turn) -> None:
    """The same key as others used: for somebody else, or in another organization, it is a new one."""
    shelf = turn.a_shelf()
    source = turn.chance.choice(list(shelf.sources.values()))
    fields = {"sourceId": source.id, "title": turn.words(shelf, "made"), "idempotencyKey": a_key(turn, "create")}
    await _done_once(turn, shelf, source, CREATE, {**fields, **DEMANDED.get(source.vendor, {})})


async def _done_once(turn: Turn, shelf: Shelf, source: Source, document: str, fields: Mapping[str, Any]) -> None:
    payload = await turn.do(document, input=fields)
    chat = payload["chat"]
    assert payload["replayed"] is False, payload
    known = [one.audience for one in turn.world.shelves.values() if chat["id"] in one.chats]
    assert known in ([], [shelf.audience]), "another one's chat"  # a list may have shown it before its maker was told
    shelf.chats[chat["id"]] = source
    assert chat["title"] == fields["title"]
    again = await turn.do(document, input=fields)
    assert (again["replayed"], again["chat"]["id"]) == (True, chat["id"])
    shelf.made.add(chat["id"])  # from now on somebody may delete it


async def creates_a_folder(turn: Turn) -> None:
    """Ann asks for exactly the same in both organizations, with the same key: no input tells one request from the other."""
    shelf, number = turn.world.shelves[turn.actor.organization], next(turn.actor.numbers["folder"])
    fields = {"name": f"Folder {number} of {turn.actor.person}", "idempotencyKey": f"folder-{number}"}
    payload = await turn.do(FOLDER, input=fields)
    folder_id = payload["folder"]["id"]
    assert payload["replayed"] is False, payload
    assert not any(folder_id in one.folders for one in turn.world.shelves.values()), "another one's folder"
    shelf.folders.append(folder_id)
    again = await turn.do(FOLDER, input=fields)
    assert (again["replayed"], again["folder"]["id"]) == (True, folder_id)


async def removes_a_folder(turn: Turn) -> None:
    """Its chats stay, those too that only Ann sees."""
    shelf = turn.world.shelves[turn.actor.organization]
    while not (left := [one for one in shelf.folders if one not in shelf.leaving | shelf.staying]):
        await creates_a_folder(turn)
    folder_id = turn.chance.choice(left)
    shelf.leaving.add(folder_id)
    await turn.do(REMOVE_FOLDER, input={"folderId": folder_id, "contents": "KEEP_CHATS"})


async def sends(turn: Turn) -> None:
    """And is answered where somebody answers."""
    shelf, chat_id, source = turn.a_chat()
    text = turn.words(shelf, "says")
    fields = {
        "chatId": chat_id,
        "text": text,
        "idempotencyKey": a_key(turn, "send"),
        "clientMutationId": turn.words(shelf, "bubble"),
    }
    payload = await turn.do(SEND, input=fields)
    message = payload["message"]
    assert (payload["replayed"], message["text"], payload["clientMutationId"]) == (
        False,
        text,
        fields["clientMutationId"],
    )
    shelf.messages[message["id"]] = source
    shelf.sent[text] = chat_id
    if turn.chance.random() < 0.3:
        again = await turn.do(SEND, input=fields)
        assert (again["replayed"], again["message"]["id"]) == (True, message["id"])


async def renames(turn: Turn) -> None:
    shelf, chat_id, _ = turn.a_chat()
    title = turn.words(shelf, "title")
    chat = (await turn.do(RENAME, input={"chatId": chat_id, "title": title}))["chat"]
    assert chat["id"] == chat_id


async def tags(turn: Turn) -> None:
    shelf, chat_id, _ = turn.a_chat()
    payload = await turn.do(TAG, input={"chatId": chat_id, "tags": [turn.words(shelf, "tag"), "common"]})
    assert payload["chat"]["id"] == chat_id


async def pins(turn: Turn) -> None:
    _, chat_id, _ = turn.a_chat()
    payload = await turn.do(PIN, input={"chatId": chat_id, "pinned": turn.chance.random() < 0.5})
    assert payload["chat"]["id"] == chat_id


async def archives(turn: Turn) -> None:
    _, chat_id, _ = turn.a_chat()
    payload = await turn.do(ARCHIVE, input={"chatId": chat_id, "archived": turn.chance.random() < 0.3})
    assert payload["chat"]["id"] == chat_id


async def moves(turn: Turn) -> None:
    """Into a folder that all of the organization share, Ann's own chats too."""
    _, chat_id, _ = turn.a_chat(*PLAIN)
    shelf = turn.world.shelves[turn.actor.organization]
    folder_id = turn.chance.choice([None, *(folder for folder in shelf.folders if folder not in shelf.leaving)])
    payload = await turn.do(MOVE, input={"chatId": chat_id, "folderId": folder_id})
    assert payload["chat"]["id"] == chat_id


async def marks_read(turn: Turn) -> None:
    _, chat_id, _ = turn.a_chat()
    payload = await turn.do(READ, input={"chatId": chat_id})
    assert payload["chat"]["id"] == chat_id


async def edits(turn: Turn) -> None:
    shelf, chat_id, source = turn.a_chat("local")
    text = turn.words(shelf, "first")
    sent = await turn.do(SEND, input={"chatId": chat_id, "text": text, "idempotencyKey": a_key(turn, "send")})
    edited = turn.words(shelf, "edited")
    message = (await turn.do(EDIT, input={"messageId": sent["message"]["id"], "text": edited}))["message"]
    assert message == {"id": sent["message"]["id"], "text": edited}
    shelf.messages[message["id"]] = source


async def deletes(turn: Turn) -> None:
    """One that the test made, for the seeded ones have equal ids."""
    while not (
        left := [
            (one, chat) for one in turn.world.own(turn.actor) for chat in sorted(one.made - one.leaving - one.staying)
        ]
    ):
        await creates_a_chat(turn)
    shelf, chat_id = turn.chance.choice(left)
    shelf.leaving.add(chat_id)
    assert (await turn.do(DELETE, input={"chatId": chat_id}))["deletedChatId"] == chat_id


def a_key(turn: Turn, what: str) -> str:
    """The actor's next one. Others, and Ann in the other organization, use the very same."""
    return f"{what}-{next(turn.actor.numbers[what])}"
