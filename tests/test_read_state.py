"""Read markers and unread counts, for every source there is: of a principal alone, and true as soon as something new was read."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from domain.capabilities import Capability
from tests.cells.world import TABLES, Place, Subject, installed, serving
from tests.client import Client, Events

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LIVE = """
subscription ($ids: [ID!], $after: EventCursor) { chatEvents(chatIds: $ids, after: $after) {
  __typename ... on ReadStateChanged { readUpToMessageId unreadCount } ... on MessageCreated { message { text } } } }
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with installed(tmp_path_factory.mktemp("read-state")) as made, serving(made) as place:
        yield place


async def another_principal(subject: Subject) -> Subject:
    """The same source, asked by another key of the same organization."""
    made = await subject.do("createApiKey", "secret", name="Bob", scopes=["READ", "WRITE"])
    headers = {"Authorization": f"Bearer {made['secret']}"}
    return replace(subject, us=Client(subject.us.url, headers, subject.us.http))


async def shown(subject: Subject, chat: str) -> list[dict[str, Any]]:
    """The messages, in an answer that leaves only once what it shows is committed: it has an `eventCursor`."""
    told = await subject.chat(chat, "eventCursor messages(last: 100) { nodes { id text } }")
    return list(told["messages"]["nodes"])


async def unread(subject: Subject, chat: str) -> int | None:
    """As it is known without reading the messages."""
    return (await subject.chat(chat, "unreadCount"))["unreadCount"]


async def heard(events: Events) -> list[dict[str, Any]]:
    """What was told of markers until all that is known is told."""
    await events.until(__typename="CaughtUp")
    return [event for event in events.seen if event["__typename"] == "ReadStateChanged"]


@pytest.mark.parametrize("vendor", sorted(TABLES))
async def test_marker_is_of_one_principal_and_counts_what_others_write(place: Place, vendor: str) -> None:
    async with place.subject(vendor) as ann:
        bob = await another_principal(ann)
        chat = await ann.a_talk()
        start = (await ann.chat(chat, "eventCursor"))["eventCursor"]
        before = await shown(ann, chat)
        assert await unread(ann, chat) is None

        await ann.do("markChatRead", "chat { unreadCount }", chatId=ann.id_of(chat))
        assert (await unread(ann, chat), await unread(bob, chat)) == (0, None)

        await (bob if vendor == "local" else ann).somebody_writes(chat, "Something new")
        await shown(ann, chat)
        assert await unread(ann, chat) == 1

        always_replies = ann.table.always_replies
        await ann.do(
            "sendMessage",
            "message { id }",
            chatId=ann.id_of(chat),
            text="Mine",
            reply="WAIT" if always_replies else "NONE",
        )
        assert await unread(ann, chat) == (2 if always_replies else 1)

        await ann.do("markChatRead", "chat { id }", chatId=ann.id_of(chat), upToMessageId=before[0]["id"])
        assert await unread(ann, chat) == (2 if always_replies else 1), "it went backwards, and nobody asked for that"
        back = {"upToMessageId": before[-1]["id"], "backwards": True}
        await ann.do("markChatRead", "chat { id }", chatId=ann.id_of(chat), **back)
        await ann.do("markChatRead", "chat { id }", chatId=ann.id_of(chat))
        assert (await unread(ann, chat), await unread(bob, chat)) == (0, None)

        await bob.do("markChatRead", "chat { id }", chatId=ann.id_of(chat), upToMessageId=before[0]["id"])
        everything = {"ids": [ann.id_of(chat)], "after": start}
        told = {}
        for name, who in (("ann", ann), ("bob", bob)):
            async with who.us.events(LIVE, **everything) as events:
                told[name] = [event["readUpToMessageId"] for event in await heard(events)]
        newest = (await shown(ann, chat))[-1]["id"]
        assert told == {"ann": [before[-1]["id"], newest], "bob": [before[0]["id"]]}


@pytest.mark.parametrize(
    "vendor", [vendor for vendor in sorted(TABLES) if TABLES[vendor].can(Capability.DELETE_MESSAGE)]
)
async def test_message_that_is_deleted_is_not_unread(place: Place, vendor: str) -> None:
    async with place.subject(vendor) as ann:
        bob = await another_principal(ann)
        chat = await ann.a_talk()
        await ann.do("markChatRead", "chat { id }", chatId=ann.id_of(chat))
        await (bob if vendor == "local" else ann).somebody_writes(chat, "Never mind")
        news = (await shown(ann, chat))[-1]
        assert (news["text"], await unread(ann, chat)) == ("Never mind", 1)
        await ann.do("deleteMessage", "deletedMessageIds", messageId=news["id"])
        assert await unread(ann, chat) == 0


@pytest.mark.parametrize("vendor", sorted(TABLES))
async def test_own_devices_hear_of_each_other_and_nobody_else_does(place: Place, vendor: str) -> None:
    async with place.subject(vendor) as ann:
        bob = await another_principal(ann)
        chat = await ann.a_talk()
        await (bob if vendor == "local" else ann).somebody_writes(chat, "For both of us")
        start = (await ann.chat(chat, "eventCursor"))["eventCursor"]
        await shown(ann, chat)
        wanted = {"ids": [ann.id_of(chat)], "after": start}
        async with ann.us.events(LIVE, **wanted) as phone, bob.us.events(LIVE, **wanted) as stranger:
            for events in (phone, stranger):
                await events.until(__typename="CaughtUp")
            await ann.do("markChatRead", "chat { id }", chatId=ann.id_of(chat))
            assert (await phone.until(__typename="ReadStateChanged"))["unreadCount"] == 0
            await bob.do("sendMessage", "message { id }", chatId=ann.id_of(chat), text="The next thing")
            await stranger.until(__typename="MessageCreated")
            assert {event["__typename"] for event in stranger.seen} & {"ReadStateChanged"} == set()
