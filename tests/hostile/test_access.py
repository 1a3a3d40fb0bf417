"""Keys without a scope: each scope against reading, writing, administration and subscriptions."""

import itertools

import pytest

from tests.client import Client
from tests.gateway import Gateway

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SCOPES = ["READ", "WRITE", "ADMIN"]
SETS = [list(some) for size in (1, 2) for some in itertools.combinations(SCOPES, size)]
READING = [
    "chats(first: 1) { nodes { id } }",
    "folders(first: 1) { nodes { id } }",
    'search(query: "offsite", first: 1) { edges { cursor } }',
    "sources { id }",
    "organization { id }",
    "organizations(first: 1) { nodes { id } }",
    'chat(id: "%CHAT%") { id }',
    'node(id: "%CHAT%") { id }',
    'nodes(ids: ["%CHAT%"]) { id }',
    'message(id: "%MESSAGE%") { id }',
    'folder(id: "%FOLDER%") { id }',
    'source(id: "%SOURCE%") { id }',
]
WRITING = [
    'updateChat(input: {chatId: "%CHAT%", title: "Taken"})',
    'sendMessage(input: {chatId: "%CHAT%", text: "Taken"})',
    'createChat(input: {sourceId: "%SOURCE%"})',
    'createFolder(input: {name: "Taken"})',
    'deleteFolder(input: {folderId: "%FOLDER%", contents: KEEP_CHATS})',
    'moveChat(input: {chatId: "%CHAT%", folderId: null})',
    'setChatPinned(input: {chatId: "%CHAT%", pinned: true})',
    'markChatRead(input: {chatId: "%CHAT%"})',
    'deleteChat(input: {chatId: "%CHAT%"})',
    'copyChat(input: {chatId: "%CHAT%", targetSourceId: "%SOURCE%"})',
    'editMessage(input: {messageId: "%MESSAGE%", text: "Taken"})',
    'deleteMessage(input: {messageId: "%MESSAGE%"})',
]
ADMINISTERING = [
    'createApiKey(input: {name: "Taken", scopes: [ADMIN]})',
    'updateOrganization(input: {organizationId: "%ORGANIZATION%", name: "Taken"})',
    'addMember(input: {organizationId: "%ORGANIZATION%", subject: "eve", issuer: "x", role: ADMIN})',
    'disconnectSource(input: {sourceId: "%SOURCE%"})',
    'testSource(input: {sourceId: "%SOURCE%"})',
    'updateSource(input: {sourceId: "%SOURCE%", displayName: "Taken"})',
    'connectSource(input: {key: "taken", vendor: "kodey"})',
]
SUBSCRIBING = ["chatEvents { __typename }", "messageAdded { cursor }"]
MAKE = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret userErrors { code message } } }"
_MADE: dict[tuple[str, ...], str] = {}


async def with_scopes(client: Client, scopes: list[str]) -> Client:
    """The same client with a key of these scopes only."""
    if tuple(scopes) not in _MADE:
        _MADE[tuple(scopes)] = (await client.do(MAKE, input={"name": " ".join(scopes), "scopes": scopes}))["secret"]
    return Client(client.url, {"Authorization": f"Bearer {_MADE[tuple(scopes)]}"}, client.http)


async def filled(client: Client, text: str) -> str:
    """With ids that are good, so that it is the scope that decides."""
    for name, value in (await good_ids(client)).items():
        text = text.replace(f"%{name}%", value)
    return text


_IDS: dict[str, str] = {}


async def good_ids(client: Client) -> dict[str, str]:
    """By what they name in the documents above; read once."""
    if _IDS:
        return _IDS
    data = await client.ask(
        "{ organization { id } folders(first: 50) { nodes { id source { key } } } sources { id key } "
        "chats(first: 50) { nodes { id source { key } messages(last: 1) { nodes { id } } } } }"
    )
    chat = next(one for one in data["chats"]["nodes"] if one["source"]["key"] == "local" and one["messages"]["nodes"])
    _IDS.update(
        CHAT=chat["id"],
        MESSAGE=chat["messages"]["nodes"][0]["id"],
        FOLDER=next(one["id"] for one in data["folders"]["nodes"] if one["source"] is None),
        SOURCE=next(one["id"] for one in data["sources"] if one["key"] == "local"),
        ORGANIZATION=data["organization"]["id"],
    )
    return _IDS


@pytest.mark.parametrize("scopes", [one for one in SETS if "READ" not in one], ids=" ".join)
@pytest.mark.parametrize("field", READING)
async def test_key_without_read_reads_nothing(client: Client, field: str, scopes: list[str]) -> None:
    stranger = await with_scopes(client, scopes)
    body = await stranger.post("{ " + await filled(client, field) + " }")
    (error,) = body["errors"]
    assert (error["extensions"]["code"], error["extensions"]["requiredScope"]) == ("FORBIDDEN", "READ")
    assert "Use a key that has it." in error["message"]
    assert all(value in (None, [None]) for value in (body.get("data") or {}).values())


@pytest.mark.parametrize("scopes", [one for one in SETS if "WRITE" not in one], ids=" ".join)
@pytest.mark.parametrize("field", WRITING)
async def test_key_without_write_writes_nothing(client: Client, field: str, scopes: list[str]) -> None:
    stranger = await with_scopes(client, scopes)
    mutation = f"mutation {{ {await filled(client, field)} {{ userErrors {{ __typename code ... on PermissionError {{ requiredScope requiredRole }} }} }} }}"
    error = await stranger.refused(mutation)
    assert error == {
        "__typename": "PermissionError",
        "code": "FORBIDDEN",
        "requiredScope": "WRITE",
        "requiredRole": None,
    }


@pytest.mark.parametrize("scopes", [one for one in SETS if "ADMIN" not in one], ids=" ".join)
@pytest.mark.parametrize("field", ADMINISTERING)
async def test_key_without_admin_administers_nothing(client: Client, field: str, scopes: list[str]) -> None:
    stranger = await with_scopes(client, scopes)
    mutation = f"mutation {{ {await filled(client, field)} {{ userErrors {{ __typename code ... on PermissionError {{ requiredScope requiredRole }} }} }} }}"
    error = await stranger.refused(mutation)
    assert error == {
        "__typename": "PermissionError",
        "code": "FORBIDDEN",
        "requiredScope": "ADMIN",
        "requiredRole": None,
    }


@pytest.mark.parametrize(
    "field",
    ["members(first: 1) { nodes { id } }", "apiKeys(first: 1) { nodes { id } }", "auditLog(first: 1) { nodes { id } }"],
)
async def test_what_admins_see_is_hidden_from_others(client: Client, field: str) -> None:
    stranger = await with_scopes(client, ["READ", "WRITE"])
    body = await stranger.post(f"{{ organization {{ slug {field} }} }}")
    assert body["data"]["organization"]["slug"] == "demo"
    assert body["data"]["organization"][field.partition("(")[0]] is None


@pytest.mark.parametrize("scopes", [one for one in SETS if "READ" not in one], ids=" ".join)
@pytest.mark.parametrize("field", SUBSCRIBING)
async def test_key_without_read_hears_nothing(client: Client, field: str, scopes: list[str]) -> None:
    stranger = await with_scopes(client, scopes)
    async with stranger.events(f"subscription {{ {field} }}") as events:
        message = await events.message()
        assert message["type"] == "error", message
        (error,) = message["payload"]
        assert (error["extensions"]["code"], error["extensions"]["requiredScope"]) == ("FORBIDDEN", "READ")


async def test_nothing_was_taken(client: Client, demo: Gateway) -> None:
    """After all of the above."""
    data = await client.ask(
        "{ organization { name apiKeys(first: 100) { nodes { name } } } sources { displayName } "
        "folders(first: 100) { nodes { name } } chats(first: 100) { nodes { title messages(last: 50) { nodes { text } } } } }"
    )
    assert "Taken" not in str(data)
    assert len(data["sources"]) == 1 + len(demo.sources)  # the local one, and none that was taken away
