"""What a person does at Open WebUI, through GraphQL: the same story with the simulator, and with a real server where one is named.

The real one: `make test-open-webui` with OPEN_WEBUI_URL and OPEN_WEBUI_API_KEY. It needs models called `fake-gpt` (answers at once), `fake-slow` (word by
word) and `fake-error` (fails), as the simulator has them.
"""

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from simulators import open_webui
from simulators.serving import running
from tests.client import Client, a_client
from tests.gateway import served_gateway

pytestmark = pytest.mark.anyio

SOURCE = """
[[sources]]
organization = "acme"
key = "webui"
vendor = "open_webui"
base_url = "{url}"
credentials = {{ api_key = "env:TESTED_KEY" }}
"""
CHAT = """id title pinned archived tags shareUrl version folder { id name origin }
  messages(last: 50) { nodes { id role text state model parent { id } siblings { id } children { id } } status { code } }"""


@dataclass
class Story:
    """One gateway with one Open WebUI."""

    client: Client
    source_id: str
    made: list[tuple[str, str]] = field(default_factory=list)
    """(mutation, id) of what was made, so that a real server is left as it was found."""

    async def clean_up(self) -> None:
        """Delete what was made; what a test deleted itself is not found, and that is well."""
        for kind, id_ in reversed(self.made):
            if kind == "folder":
                fields = {"folderId": id_, "contents": "KEEP_CHATS"}
                await self.client.ask(_mutation("deleteFolder", ""), input=fields)
            else:
                await self.client.ask(_mutation("deleteChat", ""), input={"chatId": id_})

    async def new_folder(self, answer: str = "id", **fields: Any) -> dict[str, Any]:
        """A folder for this test alone."""
        payload = await self.write("createFolder", f"folder {{ {answer} }}", **fields)
        self.made.append(("folder", payload["folder"]["id"]))
        folder: dict[str, Any] = payload["folder"]
        return folder

    async def chat(self, chat_id: str) -> dict[str, Any] | None:
        data = await self.client.ask(f"query ($id: ID!) {{ chat(id: $id) {{ {CHAT} }} }}", id=chat_id)
        return data["chat"]

    async def write(self, mutation: str, answer: str, **fields: Any) -> dict[str, Any]:
        """The payload of a mutation that must go well."""
        return await self.client.do(_mutation(mutation, answer), input=fields)

    async def refused(self, mutation: str, **fields: Any) -> dict[str, Any]:
        """The user error of a mutation that must be refused."""
        return await self.client.refused(_mutation(mutation, ""), input=fields)

    async def new_chat(self, title: str = "A story", **fields: Any) -> str:
        payload = await self.write(
            "createChat", "chat { id }", sourceId=self.source_id, title=title, agent="fake-gpt", **fields
        )
        self.made.append(("chat", payload["chat"]["id"]))
        chat_id: str = payload["chat"]["id"]
        return chat_id


def a_name(start: str) -> str:
    """A name that nobody at a real server has taken: folders of one name in one place are refused there."""
    return f"{start} {uuid.uuid4().hex[:8]}"


def _mutation(name: str, answer: str) -> str:
    kind = name[0].upper() + name[1:]
    return (
        f"mutation ($input: {kind}Input!) {{ {name}(input: $input) {{ {answer} "
        "userErrors { __typename code message path } } }"
    )


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("simulator", marks=pytest.mark.slow),
        pytest.param("real", marks=pytest.mark.open_webui),
    ],
)
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Address and key of an Open WebUI."""
    if request.param == "simulator":
        with running(open_webui.create_app(seed=False)) as url:
            yield url, open_webui.ADMIN_KEY
        return
    address, key = os.environ.get("OPEN_WEBUI_URL"), os.environ.get("OPEN_WEBUI_API_KEY")
    if not address or not key:
        pytest.skip("OPEN_WEBUI_URL and OPEN_WEBUI_API_KEY name no server, so nothing was asked of a real Open WebUI")
    yield address, key


@pytest.fixture(scope="module")
def gateway(place: tuple[str, str]) -> Iterator[Any]:
    url, key = place
    with served_gateway(SOURCE.format(url=url), env={"TESTED_KEY": key}) as gateway:
        yield gateway


@pytest.fixture
async def story(gateway: Any) -> AsyncIterator[Story]:
    async with a_client(gateway) as client:
        sources = await client.ask("{ sources { id key } }")
        story = Story(client, next(source["id"] for source in sources["sources"] if source["key"] == "webui"))
        yield story
        await story.clean_up()


async def test_source_says_that_it_is_well(story: Story) -> None:
    payload = await story.write(
        "testSource",
        "source { health { state } account { kind } } checks { name passed message }",
        sourceId=story.source_id,
    )
    assert payload["source"] == {"health": {"state": "HEALTHY"}, "account": {"kind": "INSTANCE"}}
    assert {check["name"]: check["passed"] for check in payload["checks"]} == {
        "reachable": True,
        "version": True,
        "credentials": True,
    }


async def test_models_are_the_agents(story: Story) -> None:
    data = await story.client.ask(
        "query ($id: ID!) { source(id: $id) { agents(first: 50) { nodes { nativeId kind } status { code } } } }",
        id=story.source_id,
    )
    assert {"fake-gpt", "fake-slow"} <= {agent["nativeId"] for agent in data["source"]["agents"]["nodes"]}


async def test_chat_is_created_with_messages_listed_and_opened(story: Story) -> None:
    chat_id = await story.new_chat(
        "Begun", messages=[{"role": "USER", "text": "First"}, {"role": "ASSISTANT", "text": "Second"}]
    )
    listed = await story.client.ask("{ chats(first: 5) { nodes { id title pinned tags } sources { code } } }")
    row = next(node for node in listed["chats"]["nodes"] if node["id"] == chat_id)
    assert row == {"id": chat_id, "title": "Begun", "pinned": None, "tags": None}  # its rows do not tell
    chat = await story.chat(chat_id)
    assert chat is not None
    assert [(message["role"], message["text"]) for message in chat["messages"]["nodes"]] == [
        ("USER", "First"),
        ("ASSISTANT", "Second"),
    ]
    assert chat["messages"]["nodes"][1]["parent"] == {"id": chat["messages"]["nodes"][0]["id"]}


async def test_chat_is_renamed_with_the_version_that_was_seen(story: Story) -> None:
    chat_id = await story.new_chat("Before")
    seen = await story.chat(chat_id)
    assert seen is not None
    changed = await story.write(
        "updateChat", "chat { title version }", chatId=chat_id, title="After", expectedVersion=seen["version"]
    )
    assert changed["chat"]["title"] == "After"
    conflict = await story.refused("updateChat", chatId=chat_id, title="Again", expectedVersion=seen["version"])
    assert (conflict["__typename"], conflict["code"]) == ("ConflictError", "CONFLICT")


async def test_saying_the_same_twice_changes_nothing(story: Story) -> None:
    chat_id = await story.new_chat()
    for _ in range(2):
        payload = await story.write("setChatPinned", "chat { pinned }", chatId=chat_id, pinned=True)
        assert payload["chat"]["pinned"] is True
    for _ in range(2):
        payload = await story.write("setChatPinned", "chat { pinned }", chatId=chat_id, pinned=False)
        assert payload["chat"]["pinned"] is False
    for _ in range(2):
        payload = await story.write("setChatArchived", "chat { archived }", chatId=chat_id, archived=True)
        assert payload["chat"]["archived"] is True
    payload = await story.write("setChatArchived", "chat { archived }", chatId=chat_id, archived=False)
    assert payload["chat"]["archived"] is False


async def test_folders_nest_hold_chats_and_go(story: Story) -> None:
    made = await story.new_folder("id origin source { key }", name=a_name("Outer"), sourceId=story.source_id)
    outer = made["id"]
    assert (made["origin"], made["source"]) == ("NATIVE", {"key": "webui"})
    inner = await story.new_folder("id parent { id }", name="Inner", parentId=outer)
    assert inner["parent"] == {"id": outer}
    chat_id = await story.new_chat("Filed")
    await story.write("setChatPinned", "chat { pinned }", chatId=chat_id, pinned=True)
    moved = await story.write("moveChat", "chat { pinned folder { id } }", chatId=chat_id, folderId=inner["id"])
    assert moved["chat"] == {"pinned": False, "folder": {"id": inner["id"]}}  # moving unpins there
    inside = await story.client.ask(
        "query ($ids: [ID!]) { chats(first: 5, filter: {folderIds: $ids}) { nodes { id } } }", ids=[inner["id"]]
    )
    assert inside["chats"]["nodes"] == [{"id": chat_id}]
    circle = await story.refused("updateFolder", folderId=outer, parentId=inner["id"])
    assert (circle["code"], circle["path"]) == ("INVALID_ARGUMENT", ["input", "parentId"])
    name = a_name("Renamed")
    renamed = await story.write("updateFolder", "folder { name }", folderId=outer, name=name)
    assert renamed["folder"]["name"] == name
    await story.write("deleteFolder", "deletedFolderId", folderId=outer, contents="KEEP_CHATS")
    chat = await story.chat(chat_id)
    assert chat is not None
    assert chat["folder"] is None
    other = await story.new_folder(name=a_name("Doomed"), sourceId=story.source_id)
    await story.write("moveChat", "chat { id }", chatId=chat_id, folderId=other["id"])
    await story.write("deleteFolder", "deletedFolderId", folderId=other["id"], contents="DELETE_CHATS")
    assert await story.chat(chat_id) is None


async def test_folder_of_the_gateway_takes_the_chat_out_of_the_vendors(story: Story) -> None:
    native = await story.new_folder(name=a_name("Theirs"), sourceId=story.source_id)
    own = await story.new_folder("id origin", name="Ours")
    assert own["origin"] == "OVERLAY"
    chat_id = await story.new_chat()
    await story.write("moveChat", "chat { id }", chatId=chat_id, folderId=native["id"])
    moved = await story.write("moveChat", "chat { folder { id } }", chatId=chat_id, folderId=own["id"])
    assert moved["chat"]["folder"] == {"id": own["id"]}
    inside = await story.client.ask(
        "query ($ids: [ID!]) { chats(first: 5, filter: {folderIds: $ids}) { nodes { id } } }", ids=[native["id"]]
    )
    assert inside["chats"]["nodes"] == []
    await story.write("moveChat", "chat { id }", chatId=chat_id, folderId=native["id"])
    chat = await story.chat(chat_id)
    assert chat is not None
    assert chat["folder"]["id"] == native["id"]


async def test_tags_are_set_whole_and_found(story: Story) -> None:
    chat_id = await story.new_chat()
    tagged = await story.write("setChatTags", "chat { tags }", chatId=chat_id, tags=["Story Tag", "beta"])
    assert tagged["chat"]["tags"] == ["beta", "story_tag"]
    tagged = await story.write("setChatTags", "chat { tags }", chatId=chat_id, tags=["Story Tag"])
    assert tagged["chat"]["tags"] == ["story_tag"]
    found = await story.client.ask('{ chats(first: 50, filter: {tags: ["story_tag"]}) { nodes { id } } }')
    assert {"id": chat_id} in found["chats"]["nodes"]


async def test_words_are_found_by_the_source_itself(story: Story) -> None:
    chat_id = await story.new_chat("Zanzibar notes", messages=[{"role": "USER", "text": "A quokka in Zanzibar"}])
    data = await story.client.ask(
        'query ($ids: [ID!]) { search(query: "zanzibar", first: 5, filter: {sourceIds: $ids}) {'
        " edges { score snippet node { ... on Chat { id } ... on Message { chat { id } } } } coverage { mode complete } } }",
        ids=[story.source_id],
    )
    nodes = [edge["node"] for edge in data["search"]["edges"]]
    assert {"id": chat_id} in nodes
    assert data["search"]["coverage"] == [{"mode": "NATIVE", "complete": True}]


async def test_chat_is_shared_and_unshared(story: Story) -> None:
    chat_id = await story.new_chat(messages=[{"role": "USER", "text": "Public"}])
    shared = await story.write("shareChat", "chat { shareUrl }", chatId=chat_id)
    assert shared["chat"]["shareUrl"].startswith("http")
    assert (await story.write("unshareChat", "chat { shareUrl }", chatId=chat_id))["chat"]["shareUrl"] is None


EVENTS = """subscription ($ids: [ID!]) { chatEvents(chatIds: $ids) { __typename cursor
  ... on MessageCreated { message { id role text state } }
  ... on MessageUpdated { message { id text state } }
  ... on MessageDelta { messageId offset text }
  ... on MessageDeleted { messageId } } }"""


async def test_reply_arrives_word_by_word(story: Story) -> None:
    chat_id = await story.new_chat()
    async with story.client.events(EVENTS, ids=[chat_id]) as events:
        sent = await story.write(
            "sendMessage",
            "message { id } reply { id state }",
            chatId=chat_id,
            text="Tell me a story of some words",
            model="fake-slow",
        )
        text = ""
        final: dict[str, Any] = {}
        while not final:
            event = await events.next(30)
            if event["__typename"] == "MessageDelta" and event["messageId"] == sent["reply"]["id"]:
                text = text.encode("utf-16-le")[: event["offset"] * 2].decode("utf-16-le") + event["text"]
            if event["__typename"] == "MessageUpdated" and event["message"]["state"] == "COMPLETE":
                final = event["message"]
        deltas = [event for event in events.seen if event["__typename"] == "MessageDelta"]
        assert len(deltas) >= 2
        assert final["text"].startswith(text)
    chat = await story.chat(chat_id)
    assert chat is not None
    assert [message["id"] for message in chat["messages"]["nodes"]] == [sent["message"]["id"], sent["reply"]["id"]]


async def test_reply_is_stopped_and_keeps_its_words(story: Story) -> None:
    chat_id = await story.new_chat()
    async with story.client.events(EVENTS, ids=[chat_id]) as events:
        sent = await story.write(
            "sendMessage", "reply { id state }", chatId=chat_id, text="something long please", model="fake-slow"
        )
        await events.until(__typename="MessageDelta", seconds=30)
        stopped = await story.write("stopGeneration", "message { id text state }", messageId=sent["reply"]["id"])
        assert stopped["message"]["state"] in ("CANCELLED", "COMPLETE")
        ended = await events.until(__typename="MessageUpdated", seconds=30)
        while ended["message"]["state"] == "STREAMING":
            ended = await events.until(__typename="MessageUpdated", seconds=30)
        assert 0 < len(ended["message"]["text"]) < 1000


async def test_branches_by_asking_again_and_from_an_older_message(story: Story) -> None:
    chat_id = await story.new_chat()
    first = await story.write(
        "sendMessage", "message { id } reply { id }", chatId=chat_id, text="One", model="fake-gpt", reply="WAIT"
    )
    again = await story.write("regenerateMessage", "message { id state }", messageId=first["reply"]["id"], reply="WAIT")
    chat = await story.chat(chat_id)
    assert chat is not None
    newest = chat["messages"]["nodes"][-1]
    assert newest["id"] == again["message"]["id"]
    assert {one["id"] for one in newest["siblings"]} == {first["reply"]["id"], again["message"]["id"]}
    other = await story.client.ask(
        "query ($id: ID!, $branch: ID!) { chat(id: $id) { messages(last: 9, branch: $branch) { nodes { id } } } }",
        id=chat_id,
        branch=first["reply"]["id"],
    )
    assert other["chat"]["messages"]["nodes"][-1]["id"] == first["reply"]["id"]


async def test_message_is_edited_and_deleted(story: Story) -> None:
    chat_id = await story.new_chat(
        messages=[{"role": "USER", "text": "First draft"}, {"role": "ASSISTANT", "text": "What?"}]
    )
    chat = await story.chat(chat_id)
    assert chat is not None
    first, second = chat["messages"]["nodes"]
    edited = await story.write("editMessage", "message { id text }", messageId=first["id"], text="Second draft")
    assert edited["message"] == {"id": first["id"], "text": "Second draft"}
    gone = await story.write(
        "deleteMessage", "deletedMessageId deletedMessageIds message { deletedAt text }", messageId=first["id"]
    )
    assert set(gone["deletedMessageIds"]) == {first["id"], second["id"]}  # its direct children go too
    chat = await story.chat(chat_id)
    assert chat is not None
    assert chat["messages"]["nodes"] == []


async def test_model_that_fails_leaves_a_failed_reply(story: Story) -> None:
    chat_id = await story.new_chat()
    sent = await story.write(
        "sendMessage", "reply { id state }", chatId=chat_id, text="Fail please", model="fake-error", reply="WAIT"
    )
    assert sent["reply"]["state"] == "FAILED"


async def test_errors_have_codes_and_say_what_to_do(story: Story) -> None:
    chat_id = await story.new_chat()
    unknown = await story.refused("sendMessage", chatId=chat_id, text="Hello", model="no-such-model")
    assert unknown["code"] in ("INVALID_ARGUMENT", "UPSTREAM_REJECTED")
    empty = await story.refused("sendMessage", chatId=chat_id, text="  ")
    assert (empty["code"], empty["path"]) == ("INVALID_ARGUMENT", ["input", "text"])
    await story.write("deleteChat", "deletedChatId", chatId=chat_id)
    missing = await story.refused("setChatPinned", chatId=chat_id, pinned=True)
    assert (missing["__typename"], missing["code"]) == ("NotFoundError", "NOT_FOUND")
    assert await story.chat(chat_id) is None
    twice = await story.refused("deleteChat", chatId=chat_id)
    assert twice["code"] == "NOT_FOUND"
