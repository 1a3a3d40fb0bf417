"""What a capability that a source has, natively or emulated, must bring about: asked through GraphQL, read back at the vendor."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from domain.capabilities import Capability, SupportLevel
from tests.cells.held import markers_of
from tests.cells.world import Subject, talk

C = Capability
SENT = "message { id text state } reply { id text state }"
EVENTS = """subscription ($after: EventCursor, $chatIds: [ID!]) { chatEvents(after: $after, chatIds: $chatIds) {
  __typename
  ... on MessageCreated { chatId message { id text } }
  ... on MessageUpdated { chatId message { id text state } }
  ... on MessageDelta { messageId offset text }
  ... on ChatUpdated { chatId chat { title } }
  ... on ChatDeleted { chatId }
} }"""


def _is_native(subject: Subject, capability: Capability) -> bool:
    return subject.table.level(capability) is SupportLevel.NATIVE


# Chats


async def creates_a_chat(subject: Subject) -> None:
    before = {chat.id for chat in subject.all_held()}
    made = await subject.new_chat("A new one", metadata=subject.how.metadata[0])
    held = subject.must_hold(made)
    assert {chat.id for chat in subject.all_held()} - before == {made}
    assert held.metadata == subject.how.metadata[0]
    if subject.keeps_titles:
        assert held.title == "A new one"


async def lists_chats(subject: Subject) -> None:
    await subject.new_chat("Listed")
    listed: list[str] = []
    for archived in (False, True):
        after: str | None = None
        while True:
            page = await subject.us.ask(
                """query ($ids: [ID!], $archived: Boolean, $after: String) {
                  chats(first: 5, after: $after, withinMs: 20000, filter: {sourceIds: $ids, archived: $archived}) {
                    nodes { nativeId } pageInfo { hasNextPage endCursor } sources { code stale } } }""",
                ids=[subject.source_id],
                archived=archived,
                after=after,
            )
            assert page["chats"]["sources"] == [{"code": "OK", "stale": False}]
            listed += [chat["nativeId"] for chat in page["chats"]["nodes"]]
            if not page["chats"]["pageInfo"]["hasNextPage"]:
                break
            after = page["chats"]["pageInfo"]["endCursor"]
    assert sorted(listed) == sorted(chat.id for chat in subject.all_held())


async def reads_a_chat(subject: Subject) -> None:
    native_id = await subject.a_talk()
    subject.forget_calls()
    shown = await subject.chat(native_id, "nativeId title createdAt asOf")
    assert subject.vendor == "local" or subject.calls()
    assert (shown["nativeId"], shown["asOf"]) == (native_id, None)
    assert shown["createdAt"]
    if subject.keeps_titles:
        assert shown["title"] == subject.must_hold(native_id).title


async def renames_a_chat(subject: Subject) -> None:
    native_id = await subject.new_chat("Old")
    payload = await subject.do("updateChat", "chat { title }", chatId=subject.id_of(native_id), title="Neu ☃ \"'<b>")
    assert payload["chat"]["title"] == "Neu ☃ \"'<b>"
    assert subject.must_hold(native_id).title == "Neu ☃ \"'<b>"


async def tags_a_chat(subject: Subject) -> None:
    native_id = await subject.new_chat()
    for wanted in (["blue", "green"], ["green", "red"], []):
        payload = await subject.do("setChatTags", "chat { tags }", chatId=subject.id_of(native_id), tags=wanted)
        assert payload["chat"]["tags"] == wanted
        assert list(subject.must_hold(native_id).tags or ()) == wanted


async def edits_metadata(subject: Subject) -> None:
    native_id = await subject.new_chat(metadata=subject.how.metadata[0])
    payload = await subject.do(
        "updateChat", "chat { metadata }", chatId=subject.id_of(native_id), metadata=subject.how.metadata[1]
    )
    assert payload["chat"]["metadata"] == subject.how.metadata[1]
    assert subject.must_hold(native_id).metadata == subject.how.metadata[1]


async def deletes_a_chat(subject: Subject) -> None:
    native_id = await subject.new_chat("Deleted")
    assert subject.held(native_id) is not None
    payload = await subject.do("deleteChat", "deletedChatId", chatId=subject.id_of(native_id))
    assert payload["deletedChatId"] == subject.id_of(native_id)
    assert subject.held(native_id) is None
    assert await subject.chat(native_id, "id") is None


async def pins_a_chat(subject: Subject) -> None:
    await _sets_a_state(subject, "setChatPinned", "pinned")


async def archives_a_chat(subject: Subject) -> None:
    await _sets_a_state(subject, "setChatArchived", "archived")


async def _sets_a_state(subject: Subject, name: str, field: str) -> None:
    """Said twice it is the same as once, also where the vendor only toggles."""
    native_id = await subject.new_chat()
    for wanted in (True, True, False, False):
        fields = {"chatId": subject.id_of(native_id), field: wanted}
        payload = await subject.do(name, f"chat {{ {field} }}", **fields)
        assert payload["chat"][field] is wanted
        assert getattr(subject.must_hold(native_id), field) is wanted


async def moves_a_chat(subject: Subject) -> None:
    native_id = await subject.new_chat()
    holder = {"sourceId": subject.source_id} if subject.table.has_folders else {}
    name = f"Cell {uuid.uuid4()}"
    folder = (await subject.do("createFolder", "folder { id }", name=name, **holder))["folder"]["id"]
    await subject.do("moveChat", "chat { id }", chatId=subject.id_of(native_id), folderId=folder)
    assert subject.must_hold(native_id).folder == name
    await subject.do("moveChat", "chat { id }", chatId=subject.id_of(native_id), folderId=None)
    assert subject.must_hold(native_id).folder is None


async def marks_a_chat_read(subject: Subject) -> None:
    """Only the local store keeps markers as its own."""
    native_id = await subject.new_chat(messages=talk("one", "two"))
    payload = await subject.do("markChatRead", "chat { unreadCount }", chatId=subject.id_of(native_id))
    assert payload["chat"]["unreadCount"] == 0
    newest = subject.must_hold(native_id).path[-1].id
    assert markers_of(subject.database, subject.short_id, native_id) == [newest]


async def shares_a_chat(subject: Subject) -> None:
    native_id = await subject.new_chat()
    payload = await subject.do("shareChat", "chat { shareUrl }", chatId=subject.id_of(native_id))
    share = subject.must_hold(native_id).share
    assert share is not None
    assert payload["chat"]["shareUrl"].endswith(f"/s/{share}")
    payload = await subject.do("unshareChat", "chat { shareUrl }", chatId=subject.id_of(native_id))
    assert payload["chat"]["shareUrl"] is None
    assert subject.must_hold(native_id).share is None


# Messages


async def lists_messages(subject: Subject) -> None:
    native_id = await subject.a_talk()
    shown = [(message["role"].lower(), message["text"]) for message in await subject.messages(native_id)]
    assert shown == [(message.role, message.text) for message in subject.must_hold(native_id).path]


async def reads_a_message(subject: Subject) -> None:
    native_id = await subject.a_talk()
    listed = await subject.messages(native_id)
    for message, held in zip(listed, subject.must_hold(native_id).path, strict=True):
        one = await subject.us.ask("query ($id: ID!) { message(id: $id) { id text } }", id=message["id"])
        assert one["message"] == {"id": message["id"], "text": held.text}


async def sends_a_message(subject: Subject) -> None:
    native_id = await subject.new_chat()
    text = f"Sent {uuid.uuid4()}"
    how = "WAIT" if subject.table.always_replies else "NONE"
    payload = await subject.do("sendMessage", SENT, chatId=subject.id_of(native_id), text=text, reply=how)
    assert payload["message"]["text"] == text
    assert payload["message"]["state"] == "COMPLETE"
    assert subject.must_hold(native_id).texts("user") == [text]


async def generates_a_reply(subject: Subject) -> None:
    native_id = await subject.new_chat()
    payload = await subject.do(
        "sendMessage", SENT, chatId=subject.id_of(native_id), text="Will you answer?", reply="WAIT"
    )
    assert payload["reply"]["state"] == "COMPLETE"
    assert payload["reply"]["text"]
    assert subject.must_hold(native_id).texts("assistant") == [payload["reply"]["text"]]


async def streams_a_reply(subject: Subject) -> None:
    """Word by word where the vendor can; where it is emulated, in as few pieces as the vendor gives."""
    native_id = await subject.new_chat()
    deltas: list[dict[str, Any]] = []
    async with subject.us.events(EVENTS, chatIds=[subject.id_of(native_id)]) as events:
        payload = await subject.do("sendMessage", SENT, chatId=subject.id_of(native_id), text="Say something long")
        reply_id = payload["reply"]["id"]
        while True:
            event = await events.next(30)
            if event["__typename"] == "MessageDelta" and event["messageId"] == reply_id:
                deltas.append(event)
            message = event.get("message") or {}
            if message.get("id") == reply_id and message.get("state") == "COMPLETE":
                break
    text = ""
    for delta in deltas:
        text = text[: delta["offset"]] + delta["text"]  # the words are ASCII: one UTF-16 unit each
    (held,) = subject.must_hold(native_id).texts("assistant")
    assert event["message"]["text"] == held
    assert held.startswith(text)
    if _is_native(subject, C.STREAM_REPLY):
        assert len(deltas) > 2
        assert text == held


async def stops_a_reply(subject: Subject) -> None:
    native_id = await subject.new_chat(**subject.how.slow)
    async with subject.us.events(EVENTS, chatIds=[subject.id_of(native_id)]) as events:
        payload = await subject.do("sendMessage", SENT, chatId=subject.id_of(native_id), text="A long story")
        reply_id = payload["reply"]["id"]
        await events.until(__typename="MessageDelta", messageId=reply_id)
        assert subject.must_hold(native_id).is_answering
        stopped = await subject.do("stopGeneration", "message { id text state }", messageId=reply_id)
    assert stopped["message"]["state"] == "CANCELLED"
    held = subject.must_hold(native_id)
    assert not held.is_answering
    assert held.texts("assistant") == [stopped["message"]["text"]]


async def answers_once_more(subject: Subject) -> None:
    native_id = await subject.new_chat()
    first = await subject.do("sendMessage", SENT, chatId=subject.id_of(native_id), text="Once more", reply="WAIT")
    await subject.do("regenerateMessage", "message { id text state }", messageId=first["reply"]["id"], reply="WAIT")
    answers = [message for message in subject.must_hold(native_id).messages if message.role == "assistant"]
    assert len(answers) == 2
    assert len({answer.parent for answer in answers}) == 1
    assert answers[0].parent is not None


async def edits_a_message(subject: Subject) -> None:
    native_id = await subject.new_chat(messages=talk("one", "two", "three", "four"))
    ids = [message["id"] for message in await subject.messages(native_id)]
    payload = await subject.do("editMessage", "message { text }", messageId=ids[1], text="changed")
    assert payload["message"]["text"] == "changed"
    assert [message.text for message in subject.must_hold(native_id).path] == ["one", "changed", "three", "four"]


async def deletes_a_message(subject: Subject) -> None:
    native_id = await subject.new_chat(messages=talk("one", "two", "three", "four"))
    ids = [message["id"] for message in await subject.messages(native_id)]
    payload = await subject.do("deleteMessage", "deletedMessageIds", messageId=ids[1])
    gone = payload["deletedMessageIds"]
    assert gone[0] == ids[1]
    left = [
        text for message_id, text in zip(ids, ("one", "two", "three", "four"), strict=True) if message_id not in gone
    ]
    assert [message.text for message in subject.must_hold(native_id).path] == left
    assert [message["text"] for message in await subject.messages(native_id)] == left


async def keeps_branches(subject: Subject) -> None:
    native_id = await subject.new_chat(messages=talk("one", "two", "three", "four"))
    ids = [message["id"] for message in await subject.messages(native_id)]
    await subject.do(
        "sendMessage", SENT, chatId=subject.id_of(native_id), text="instead", parentId=ids[1], reply="NONE"
    )
    held = subject.must_hold(native_id)
    by_text = {message.text: message for message in held.messages}
    assert by_text["instead"].parent == by_text["three"].parent == by_text["two"].id
    assert [message.text for message in held.path] == ["one", "two", "instead"]
    other = await subject.us.ask(
        "query ($id: ID!, $branch: ID!) { chat(id: $id) { messages(last: 9, branch: $branch) { nodes { text } } } }",
        id=subject.id_of(native_id),
        branch=ids[2],
    )
    assert [one["text"] for one in other["chat"]["messages"]["nodes"]] == ["one", "two", "three", "four"]


# Finding and hearing


async def finds_by_words(subject: Subject) -> None:
    word = f"needle{uuid.uuid4().hex}"
    native_id = await subject.new_chat()
    how = "WAIT" if subject.table.always_replies else "NONE"
    await subject.do("sendMessage", SENT, chatId=subject.id_of(native_id), text=f"Where is the {word}?", reply=how)
    subject.forget_calls()
    found = await subject.us.ask(
        """query ($text: String!, $ids: [ID!]) { search(query: $text, first: 5, filter: {sourceIds: $ids}) {
          nodes { ... on Chat { nativeId } ... on Message { chat { nativeId } text } } coverage { mode } sources { code } } }""",
        text=word,
        ids=[subject.source_id],
    )
    nodes = found["search"]["nodes"]
    assert nodes
    assert {node.get("nativeId") or node["chat"]["nativeId"] for node in nodes} == {native_id}
    assert found["search"]["coverage"] == [{"mode": subject.table.level(C.SEARCH)}]
    asked = [call["operation"] for call in subject.calls() if "search" in call["operation"]]
    assert bool(asked) == (_is_native(subject, C.SEARCH) and subject.vendor != "local")


async def hears_of_messages(subject: Subject) -> None:
    native_id = await subject.new_chat()
    start = await subject.chat(native_id, "eventCursor messages(last: 9) { nodes { id } }")
    text = f"From elsewhere {uuid.uuid4()}"
    async with subject.us.events(EVENTS, chatIds=[subject.id_of(native_id)], after=start["eventCursor"]) as events:
        await events.until(__typename="CaughtUp")
        await subject.somebody_writes(native_id, text)
        await subject.messages(native_id)
        event = await events.until(__typename="MessageCreated")
    assert event["message"]["text"] == text
    assert subject.must_hold(native_id).path[-1].text == text


async def hears_of_changes(subject: Subject) -> None:
    """Another organization with the same account at the vendor is whoever else works there; in the local store, another client of ours."""
    native_id = await subject.new_chat("Before")
    start = await subject.chat(native_id, "eventCursor messages(last: 9) { nodes { id } }")
    is_local = subject.vendor == "local"
    other, their_id = (
        (subject.us, subject.id_of(native_id)) if is_local else (subject.them, subject.their_id_of(native_id))
    )
    async with subject.us.events(EVENTS, chatIds=[subject.id_of(native_id)], after=start["eventCursor"]) as events:
        await events.until(__typename="CaughtUp")
        if _is_native(subject, C.RENAME_CHAT):
            await other.do(_UPDATE, id=their_id, title="After")
            await subject.chat(native_id, "title")
            event = await events.until(__typename="ChatUpdated")
            assert event["chat"] == {"title": "After"}
            assert subject.must_hold(native_id).title == "After"
        await other.do(_DELETE, id=their_id)
        assert subject.held(native_id) is None
        assert await subject.chat(native_id, "id") is None
        event = await events.until(__typename="ChatDeleted")
        assert event["chatId"] == subject.id_of(native_id)


_UPDATE = (
    "mutation ($id: ID!, $title: String) { updateChat(input: {chatId: $id, title: $title}) { userErrors { message } } }"
)
_DELETE = "mutation ($id: ID!) { deleteChat(input: {chatId: $id}) { userErrors { message } } }"

WORKS: Mapping[Capability, Callable[[Subject], Awaitable[None]]] = {
    C.CREATE_CHAT: creates_a_chat,
    C.LIST_CHATS: lists_chats,
    C.READ_CHAT: reads_a_chat,
    C.RENAME_CHAT: renames_a_chat,
    C.TAG_CHAT: tags_a_chat,
    C.EDIT_METADATA: edits_metadata,
    C.DELETE_CHAT: deletes_a_chat,
    C.LIST_MESSAGES: lists_messages,
    C.READ_MESSAGE: reads_a_message,
    C.SEND_MESSAGE: sends_a_message,
    C.GENERATE_REPLY: generates_a_reply,
    C.STREAM_REPLY: streams_a_reply,
    C.STOP_REPLY: stops_a_reply,
    C.REGENERATE_REPLY: answers_once_more,
    C.EDIT_MESSAGE: edits_a_message,
    C.DELETE_MESSAGE: deletes_a_message,
    C.BRANCHES: keeps_branches,
    C.PIN_CHAT: pins_a_chat,
    C.ARCHIVE_CHAT: archives_a_chat,
    C.MOVE_CHAT: moves_a_chat,
    C.MARK_CHAT_READ: marks_a_chat_read,
    C.SHARE_CHAT: shares_a_chat,
    C.SEARCH: finds_by_words,
    C.LIVE_MESSAGES: hears_of_messages,
    C.LIVE_CHANGES: hears_of_changes,
}
"""Capability → the check for a cell that is native or emulated."""
