"""Ids that are none, that are forged, or that lead nowhere: "not found" through every argument that takes one."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from domain.ids import IdType
from tests.client import Client
from tests.gateway import Gateway
from tests.hostile.forging import forged_id, short_of
from tests.tier import count

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

NOT_FOR_YOU = "with this id for you. It may have been deleted, or belong to somebody else: read the list again."
NATIVE = [
    "..",
    ".",
    "",
    "../../api/v1/users",
    "a/../b",
    "..\\b",
    "%2e%2e",
    "%2e%2e%2fadmin",
    "%00",
    "a?b=c#d",
    "//evil.example/x",
    "\x00",
    "a\nb",
    "a\r\nX-Injected: 1",
    "\x7f",
    "\u202e",
    "💬",
    "x" * 300,
    "x" * 4096,
    "' OR 1=1 --",
]
NO_IDS = ["", "not-an-id", "====", "é", "\x00", "x" * 4096, "AQ", "AQM", "AAAA", "//8"]
BEYOND = [forged_id(type_, 2**63) for type_ in IdType] + [forged_id(type_, 2**64 - 1) for type_ in IdType]


@dataclass(frozen=True)
class Place:
    """One argument of one mutation. `others`: what else its input needs."""

    mutation: str
    argument: str
    noun: str
    others: dict[str, Any] = field(default_factory=dict)

    @property
    def document(self) -> str:
        name = self.mutation[0].upper() + self.mutation[1:]
        return (
            f"mutation ($input: {name}Input!) {{ {self.mutation}(input: $input) {{ userErrors {{ __typename code message path "
            "... on NotFoundError { missingId } } } }"
        )

    def __str__(self) -> str:
        return f"{self.mutation}.{self.argument}"


CHATS = [
    Place("updateChat", "chatId", "chat", {"title": "Mine"}),
    Place("deleteChat", "chatId", "chat"),
    Place("setChatPinned", "chatId", "chat", {"pinned": True}),
    Place("setChatArchived", "chatId", "chat", {"archived": True}),
    Place("setChatTags", "chatId", "chat", {"tags": ["mine"]}),
    Place("moveChat", "chatId", "chat", {"folderId": None}),
    Place("markChatRead", "chatId", "chat"),
    Place("copyChat", "chatId", "chat", {"targetSourceId": "local"}),
    Place("sendMessage", "chatId", "chat", {"text": "Hello"}),
]
MESSAGES = [
    Place("editMessage", "messageId", "message", {"text": "Mine"}),
    Place("deleteMessage", "messageId", "message"),
    Place("regenerateMessage", "messageId", "message"),
    Place("stopGeneration", "messageId", "message"),
]
OTHERS = [
    Place("shareChat", "chatId", "chat"),
    Place("unshareChat", "chatId", "chat"),
    Place("createChat", "sourceId", "source"),
    Place("createChat", "folderId", "folder", {"sourceId": "local"}),
    Place("moveChat", "folderId", "folder", {"chatId": "demo"}),
    Place("copyChat", "targetSourceId", "source", {"chatId": "demo"}),
    Place("copyChat", "targetFolderId", "folder", {"chatId": "demo", "targetSourceId": "local"}),
    Place("sendMessage", "parentId", "message of this chat", {"chatId": "demo", "text": "Hello"}),
    Place("markChatRead", "upToMessageId", "message of this chat", {"chatId": "demo"}),
    Place("createFolder", "sourceId", "source", {"name": "Mine"}),
    Place("createFolder", "parentId", "folder", {"name": "Mine"}),
    Place("updateFolder", "folderId", "folder", {"name": "Mine"}),
    Place("updateFolder", "parentId", "folder", {"folderId": "work"}),
    Place("deleteFolder", "folderId", "folder", {"contents": "KEEP_CHATS"}),
    Place("updateOrganization", "organizationId", "organization", {"name": "Mine"}),
    Place("addMember", "organizationId", "organization", {"subject": "eve", "issuer": "x", "role": "ADMIN"}),
    Place("updateMember", "memberId", "member", {"role": "ADMIN"}),
    Place("removeMember", "memberId", "member"),
    Place("revokeApiKey", "apiKeyId", "API key"),
    Place("updateSource", "sourceId", "source", {"displayName": "Mine"}),
    Place("testSource", "sourceId", "source"),
    Place("disconnectSource", "sourceId", "source"),
]


@dataclass(frozen=True)
class Known:
    """Ids of the demo that are good; `sources`: key → short id."""

    ids: dict[str, str]
    sources: dict[str, int]


@pytest.fixture
async def known(client: Client) -> Known:
    data = await client.ask("{ sources { id key } folders(first: 50) { nodes { id name source { key } } } }")
    sources = {source["key"]: source["id"] for source in data["sources"]}
    folders = {folder["name"]: folder["id"] for folder in data["folders"]["nodes"] if folder["source"] is None}
    ids = {
        "local": sources["local"],
        "demo": forged_id(IdType.CHAT, short_of(sources["local"]), "demo-1"),
        "work": folders["Work"],
    }
    return Known(ids, {key: short_of(id_) for key, id_ in sources.items()})


async def refusal(client: Client, place: Place, known: Known, id_text: str) -> dict[str, Any]:
    others = {
        name: known.ids.get(value, value) if isinstance(value, str) else value for name, value in place.others.items()
    }
    return await client.refused(place.document, input={**others, place.argument: id_text})


def some(place: object, values: Sequence[str]) -> list[str]:
    """All of them in the long tier; fewer in the others, and other ones for each place."""
    return random.Random(str(place)).sample(list(values), min(len(values), count(long=len(values), least=5)))


@pytest.mark.parametrize("place", [*CHATS, *MESSAGES, *OTHERS], ids=str)
async def test_what_is_no_id_is_not_found(client: Client, known: Known, place: Place) -> None:
    for id_text in some(place, [*NO_IDS, *BEYOND]):
        assert await refusal(client, place, known, id_text) == {
            "__typename": "NotFoundError",
            "code": "NOT_FOUND",
            "message": f"There is no {place.noun} {NOT_FOR_YOU}",
            "path": ["input", place.argument],
            "missingId": id_text,
        }


@pytest.mark.parametrize("source", ["local", "kodey", "open-webui"])
@pytest.mark.parametrize("place", [*CHATS, *MESSAGES], ids=str)
async def test_hostile_native_id_is_not_found_at_its_source(
    client: Client, known: Known, place: Place, source: str
) -> None:
    """What a source denies reads like what is not there at all; what it cannot do at all is said before anybody is asked."""
    short = known.sources[source]
    for native in some((place, source), NATIVE):
        parts = (native,) if place.argument == "chatId" else (native, "m")
        id_text = forged_id(IdType.CHAT if place.argument == "chatId" else IdType.MESSAGE, short, *parts)
        error = await refusal(client, place, known, id_text)
        if error["code"] == "UNSUPPORTED":
            assert place.argument == "messageId"
            continue
        assert error == {
            "__typename": "NotFoundError",
            "code": "NOT_FOUND",
            "message": f"There is no {place.noun} {NOT_FOR_YOU}",
            "path": ["input", place.argument],
            "missingId": id_text,
        }


async def test_hostile_id_leaves_the_vendors_chats_path_never(client: Client, known: Known, demo: Gateway) -> None:
    """Each call that a forged id caused stays below the path of chats. One that reached the list would get no chat from it."""
    others = ("version", "session_info", "list_models", "list_chats")
    async with httpx.AsyncClient() as http:
        for source, prefix in (("kodey", "/chat/"), ("open-webui", "/api/v1/chats/")):
            await http.delete(f"{demo.sources[source]}/__control/calls")
            for native in NATIVE:
                id_text = forged_id(IdType.CHAT, known.sources[source], native)
                data = await client.ask("query ($id: ID!) { chat(id: $id) { title } }", id=id_text)
                assert data == {"chat": None}
            calls = (await http.get(f"{demo.sources[source]}/__control/calls")).json()
            paths = [call["path"] for call in calls if call["operation"] not in others]
            assert all(path.startswith(prefix) and "/../" not in path for path in paths), paths
            assert not any("x-injected" in call["headers"] for call in calls)


@pytest.mark.parametrize(
    "field",
    [
        "node(id: $id) { id }",
        "nodes(ids: [$id]) { id }",
        "chat(id: $id) { id }",
        "message(id: $id) { id }",
        "folder(id: $id) { id }",
        "source(id: $id) { id }",
        '_entities(representations: [{__typename: "Chat", id: $id}]) { __typename }',
    ],
)
async def test_reading_what_is_no_id_gives_null(client: Client, known: Known, field: str) -> None:
    forged = [
        forged_id(type_, 999, *["x"] * parts)
        for type_, parts in ((1, 0), (2, 0), (3, 1), (4, 2), (5, 1), (6, 0), (7, 0))
    ]
    for id_text in [*NO_IDS, *BEYOND, *forged]:
        ((answer,),) = [(await client.ask(f"query ($id: ID!) {{ {field} }}", id=id_text)).values()]
        assert answer in (None, [None])


@pytest.mark.parametrize("field", ["chats", "folders", "search"])
async def test_filter_with_what_is_no_source_is_refused(client: Client, field: str) -> None:
    words = 'query: "offsite", ' if field == "search" else ""
    query = f"query ($id: ID!) {{ {field}({words}first: 1, filter: {{sourceIds: [$id]}}) {{ pageInfo {{ hasNextPage }} }} }}"
    for id_text in [*NO_IDS, *BEYOND, forged_id(IdType.SOURCE, 999)]:
        (error,) = (await client.post(query, id=id_text))["errors"]
        assert error["message"] == f"There is no source {NOT_FOR_YOU}"
        assert (error["extensions"]["code"], error["extensions"]["missingId"]) == ("INVALID_ARGUMENT", id_text)
