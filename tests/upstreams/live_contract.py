"""What every source must do, written once: functions over a ready `ChatSource`, vendor, simulator and local store alike.

Each asks the source's table what to expect, so no function knows a vendor. They write into the source and clean up behind themselves where it
can delete. `CHECKS` names them all; run one with `await check(subject)`.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from domain.capabilities import Capability, NativeStream, SupportLevel
from domain.errors import CapabilityMissing, GatewayError, InvalidArgument, NotFound
from domain.paging import chat_key, sorted_chats
from domain.records import CHAT_FIELDS, Chat, FolderRef, Message, MessageRole, MessageState
from domain.source import (
    ChatSource,
    ChatTouched,
    FirstMessage,
    FolderContents,
    MessageWindow,
    NewChat,
    NewMessage,
    Progress,
    ReplyGrew,
    SearchRequest,
    StreamOpened,
)
from tests.streams import leaving

C = Capability
WHOLE = MessageWindow(last=100)


@dataclass
class Subject:
    """A source under test. `agent` answers in its chats; `slow_agent` takes seconds to; `missing_chat` exists nowhere.

    `secrets` must not be in any sentence. `page_rows` is how many chats must be made for a second native page. `user_id` is whose chats are made, where
    somebody must be named. `chat_metadata` are two different values that a chat can have, `message_metadata` one that a message can.
    """

    source: ChatSource
    agent: str | None = None
    slow_agent: str | None = None
    missing_chat: str = "00000000-0000-4000-8000-000000000000"
    secrets: Sequence[str] = ()
    page_rows: int = 61
    user_id: str | None = None
    chat_metadata: tuple[Mapping[str, Any], Mapping[str, Any]] = ({"a": 1}, {"b": [True, None]})
    message_metadata: Mapping[str, Any] = field(default_factory=lambda: {"n": 1})
    made: list[str] = field(default_factory=list)

    def can(self, capability: Capability) -> bool:
        """Whether the source itself is called for it."""
        return self.source.capabilities.asks_vendor(capability)

    def is_native(self, capability: Capability) -> bool:
        """Whether the vendor itself does it."""
        return self.source.capabilities.level(capability) is SupportLevel.NATIVE

    async def new_chat(self, title: str = "Contract", **more: Any) -> Chat:
        """A chat of its own for a check."""
        new = NewChat(title=title, agent=self.agent, user_id=self.user_id, idempotency_id=an_id(), **more)
        chat = await self.source.create_chat(new)
        self.made.append(chat.native_id)
        return chat

    async def clean_up(self) -> None:
        """Delete what the checks made."""
        for chat_id in self.made if self.can(C.DELETE_CHAT) else ():
            try:
                await self.source.delete_chat(chat_id)
            except NotFound:
                continue
        self.made.clear()


def an_id() -> str:
    """An id as the gateway makes them."""
    return str(uuid.uuid4())


async def read(subject: Subject, chat_id: str) -> Sequence[Message]:
    """All messages that the source shows."""
    found = await subject.source.read_messages(chat_id, WHOLE)
    assert found is not None
    return found.messages


async def said(subject: Subject, chat_id: str, text: str, **more: Any) -> list[Progress]:
    """Send a user's message and follow it to its end."""
    messages = await read(subject, chat_id)
    new = NewMessage(
        id=an_id(),
        reply_id=an_id(),
        chat_id=chat_id,
        role=MessageRole.USER,
        text=text,
        parent_id=messages[-1].native_id if messages else None,
        **more,
    )
    return [progress async for progress in subject.source.send_message(new)]


def assert_complete(subject: Subject, chat: Chat) -> None:
    """A record says where it belongs and claims nothing that it did not tell."""
    assert chat.organization_id == subject.source.source.organization_id
    assert chat.source_id == subject.source.source.id
    assert chat.native_id
    assert chat.told <= CHAT_FIELDS
    assert [name for name in CHAT_FIELDS - chat.told if getattr(chat, name) is not None] == []
    for moment in (chat.created_at, chat.updated_at, chat.last_message_at):
        assert moment is None or moment.tzinfo is not None


def assert_tree(messages: Sequence[Message]) -> None:
    """Parents stand before their children, and no id twice."""
    seen: set[str] = set()
    for message in messages:
        assert message.native_id not in seen
        assert message.parent_id is None or message.parent_id in seen
        seen.add(message.native_id)


# Reading


async def created_chat_reads_back(subject: Subject) -> None:
    made = await subject.new_chat("Read back")
    assert_complete(subject, made)
    found = await subject.source.get_chat(made.native_id)
    assert found is not None
    assert_complete(subject, found)
    assert found.native_id == made.native_id
    for name in made.told & found.told - {"raw", "updated_at"}:
        assert getattr(found, name) == getattr(made, name), name
    if "title" in found.told:
        assert found.title == "Read back"


async def missing_chat_is_none(subject: Subject) -> None:
    for chat_id in (subject.missing_chat, "a/../b", "%2e%2e", "?x=1#y", "né à ☃"):
        assert await subject.source.get_chat(chat_id) is None
        assert await subject.source.read_messages(chat_id, WHOLE) is None
        assert await subject.source.get_message(chat_id, "m") is None


async def missing_chat_cannot_be_written(subject: Subject) -> None:
    source, missing = subject.source, subject.missing_chat
    writes: dict[Capability, Callable[[], Awaitable[Any]]] = {
        C.RENAME_CHAT: lambda: source.rename_chat(missing, "x"),
        C.TAG_CHAT: lambda: source.set_tags(missing, ["x"]),
        C.PIN_CHAT: lambda: source.set_pinned(missing, True),
        C.ARCHIVE_CHAT: lambda: source.set_archived(missing, True),
        C.MOVE_CHAT: lambda: source.move_chat(missing, None),
        C.SHARE_CHAT: lambda: source.share_chat(missing),
        C.EDIT_METADATA: lambda: source.set_metadata(missing, {}),
        C.DELETE_CHAT: lambda: source.delete_chat(missing),
        C.EDIT_MESSAGE: lambda: source.edit_message(missing, "m", "x"),
        C.DELETE_MESSAGE: lambda: source.delete_message(missing, "m"),
    }
    for capability, write in writes.items():
        if subject.can(capability):
            await raises(NotFound, write)


async def empty_chat_has_no_messages(subject: Subject) -> None:
    made = await subject.new_chat("Empty")
    found = await subject.source.read_messages(made.native_id, WHOLE)
    assert found is not None
    assert list(found.messages) == []
    assert not found.has_before
    assert not found.has_after


async def list_shows_each_chat_once_in_its_order(subject: Subject) -> None:
    orders = subject.source.capabilities.native_orders
    if not orders:
        return
    made = [(await subject.new_chat(f"Listed {number}")).native_id for number in range(subject.page_rows)]
    for order in orders:
        seen: list[Chat] = []
        token: str | None = None
        pages = 0
        while True:
            page = await subject.source.list_chats(order, token)
            seen += page.rows
            pages += 1
            assert pages < 100, "the list has no end"
            if page.next is None:
                break
            token = page.next
        for chat in seen:
            assert_complete(subject, chat)
            assert subject.source.capabilities.row_fields <= chat.told
        ids = [chat.native_id for chat in seen]
        assert len(ids) == len(set(ids))
        assert set(made) <= set(ids)
        values = [chat_key(chat, order.field)[:2] for chat in seen]
        assert values == [chat_key(chat, order.field)[:2] for chat in sorted_chats(seen, order)]
        if pages > 1:
            last = await subject.source.list_chats(order, token)
            assert last.previous is not None
            before = await subject.source.list_chats(order, last.previous)
            assert {chat.native_id for chat in before.rows} <= set(ids)


async def drain_shows_every_chat_with_what_is_needed(subject: Subject) -> None:
    if not subject.can(C.LIST_CHATS):
        return
    made = await subject.new_chat("Drained")
    if subject.can(C.ARCHIVE_CHAT):
        hidden = await subject.new_chat("Drained and archived")
        await subject.source.set_archived(hidden.native_id, True)
    for needs in (frozenset[str](), frozenset(["title", "archived"]), frozenset(["tags", "pinned"])):
        found = [chat async for page in subject.source.drain_chats(needs) for chat in page.rows]
        assert {made.native_id, *subject.made} <= {chat.native_id for chat in found}
        assert len({chat.native_id for chat in found}) == len(found)
        full = await subject.source.get_chat(made.native_id)
        assert full is not None
        row = next(chat for chat in found if chat.native_id == made.native_id)
        assert_complete(subject, row)
        assert needs & full.told <= row.told
        if subject.can(C.ARCHIVE_CHAT) and "archived" in needs:
            assert [chat.archived for chat in found if chat.native_id == hidden.native_id] == [True]


async def first_messages_are_kept_in_order(subject: Subject) -> None:
    messages = tuple(
        FirstMessage(id=an_id(), role=role, text=text)
        for role, text in ((MessageRole.USER, "one"), (MessageRole.ASSISTANT, "two"), (MessageRole.USER, "three"))
    )
    if subject.source.capabilities.always_replies:
        error = await raises(InvalidArgument, lambda: subject.new_chat("Begun", messages=messages))
        assert error.path[:1] == ("messages",)
        return
    made = await subject.new_chat("Begun", messages=messages)
    found = await read(subject, made.native_id)
    assert [message.text for message in found] == ["one", "two", "three"]
    assert [message.role for message in found] == [message.role for message in messages]
    assert_tree(found)
    one = await subject.source.get_message(made.native_id, found[1].native_id)
    assert one == found[1]
    assert await subject.source.get_message(made.native_id, "not-there") is None


# Writing


async def message_is_sent_and_answered(subject: Subject) -> None:
    if not subject.can(C.SEND_MESSAGE):
        return
    made = await subject.new_chat("Answered")
    capabilities = subject.source.capabilities
    progress = await said(subject, made.native_id, "hello there", wants_reply=subject.can(C.GENERATE_REPLY))
    last = progress[-1]
    assert last.message is not None
    assert last.message.text == "hello there"
    assert last.message.role is MessageRole.USER
    found = await read(subject, made.native_id)
    assert_tree(found)
    assert last.message.native_id in [message.native_id for message in found]
    if subject.can(C.GENERATE_REPLY):
        assert last.reply is not None
        assert last.reply.state is MessageState.COMPLETE
        assert last.reply.text
        assert last.reply.parent_id == last.message.native_id
        assert found[-1] == last.reply
    if capabilities.replies_late:
        assert len(progress) == 1


async def message_without_an_answer_is_only_stored(subject: Subject) -> None:
    if not subject.can(C.SEND_MESSAGE) or subject.source.capabilities.always_replies:
        return
    made = await subject.new_chat("Stored")
    progress = await said(
        subject, made.native_id, "nobody answers", wants_reply=False, metadata=subject.message_metadata
    )
    assert [step.reply for step in progress] == [None]
    found = await read(subject, made.native_id)
    assert [message.text for message in found] == ["nobody answers"]
    assert found[0].metadata == subject.message_metadata
    if subject.source.capabilities.takes_message_ids:
        assert progress[-1].message is not None
        assert found[0].native_id == progress[-1].message.native_id


async def reply_is_stopped(subject: Subject) -> None:
    if not subject.can(C.STOP_REPLY) or subject.slow_agent is None:
        return
    made = await subject.new_chat("Stopped")
    new = NewMessage(
        id=an_id(),
        reply_id=an_id(),
        chat_id=made.native_id,
        role=MessageRole.USER,
        text="a long story",
        parent_id=None,
        model=subject.slow_agent,
    )
    stopped: Message | None = None
    states = []
    async for progress in subject.source.send_message(new):
        assert progress.reply is not None
        states.append(progress.reply.state)
        if progress.reply.text and stopped is None and not progress.reply.state.is_final:
            stopped = await subject.source.stop_reply(made.native_id, progress.reply.native_id)
    assert stopped is not None
    assert stopped.state is MessageState.CANCELLED
    assert stopped.text
    assert states[0] is MessageState.STREAMING
    assert states[-1] is MessageState.CANCELLED
    again = await subject.source.stop_reply(made.native_id, stopped.native_id)
    assert again is not None
    # What a vendor keeps of a stopped reply need not tell that it was stopped.
    assert again.state.is_final
    assert (again.native_id, again.text) == (stopped.native_id, stopped.text)


async def reply_is_made_again_beside_the_first(subject: Subject) -> None:
    if not subject.can(C.REGENERATE_REPLY):
        return
    made = await subject.new_chat("Again")
    first = (await said(subject, made.native_id, "once more"))[-1].reply
    assert first is not None
    reply_id = an_id()
    steps = [
        step async for step in subject.source.regenerate(made.native_id, first.native_id, reply_id=reply_id, model=None)
    ]
    second = steps[-1].reply
    assert second is not None
    assert second.state is MessageState.COMPLETE
    assert second.parent_id == first.parent_id
    found = await read(subject, made.native_id)
    assert_tree(found)
    assert len(found) == 3
    followed = [message async for message in subject.source.follow_reply(made.native_id, second.native_id)]
    assert followed == [second]


async def message_is_edited_and_deleted(subject: Subject) -> None:
    if not subject.can(C.EDIT_MESSAGE) or not subject.can(C.DELETE_MESSAGE):
        return
    messages = tuple(
        FirstMessage(id=an_id(), role=role, text=text)
        for role, text in (
            (MessageRole.USER, "one"),
            (MessageRole.ASSISTANT, "two"),
            (MessageRole.USER, "three"),
            (MessageRole.ASSISTANT, "four"),
        )
    )
    made = await subject.new_chat("Edited", messages=messages)
    ids = [message.native_id for message in await read(subject, made.native_id)]
    edited = await subject.source.edit_message(made.native_id, ids[1], "changed")
    assert (edited.native_id, edited.text) == (ids[1], "changed")
    await raises(NotFound, lambda: subject.source.edit_message(made.native_id, "not-there", "x"))
    await raises(NotFound, lambda: subject.source.delete_message(made.native_id, "not-there"))
    assert [message.native_id for message in await read(subject, made.native_id)] == ids
    gone = await subject.source.delete_message(made.native_id, ids[1])
    assert gone[0] == ids[1]
    left = await read(subject, made.native_id)
    assert [message.native_id for message in left] == [native_id for native_id in ids if native_id not in gone]
    assert_tree(left)


async def chat_is_renamed(subject: Subject) -> None:
    if not subject.can(C.RENAME_CHAT):
        return
    made = await subject.new_chat("Old")
    renamed = await subject.source.rename_chat(made.native_id, "Neu ☃ \"'<b>")
    assert renamed.title == "Neu ☃ \"'<b>"
    found = await subject.source.get_chat(made.native_id)
    assert found is not None
    assert found.title == renamed.title


async def saying_a_state_twice_changes_nothing(subject: Subject) -> None:
    """Where the vendor only toggles, the second time must not undo the first."""
    source = subject.source
    made = await subject.new_chat("Set")
    for capability, name, write in (
        (C.PIN_CHAT, "pinned", source.set_pinned),
        (C.ARCHIVE_CHAT, "archived", source.set_archived),
    ):
        if subject.can(capability):
            for wanted in (True, True, False, False):
                assert getattr(await write(made.native_id, wanted), name) is wanted
                found = await source.get_chat(made.native_id)
                assert found is not None
                assert getattr(found, name) is wanted


async def tags_are_set_exactly(subject: Subject) -> None:
    if not subject.can(C.TAG_CHAT):
        return
    made = await subject.new_chat("Tagged", tags=("first",))
    assert made.tags == ("first",)
    for wanted in (("blue", "green"), ("green", "red"), ()):
        chat = await subject.source.set_tags(made.native_id, wanted)
        assert chat.tags == wanted
        found = await subject.source.get_chat(made.native_id)
        assert found is not None
        assert found.tags == wanted


async def metadata_is_replaced(subject: Subject) -> None:
    if not subject.can(C.EDIT_METADATA):
        return
    made = await subject.new_chat("Metadata", metadata=subject.chat_metadata[0])
    assert made.metadata == subject.chat_metadata[0]
    values: tuple[Mapping[str, Any] | None, ...] = (subject.chat_metadata[1], None)
    for wanted in values:
        assert (await subject.source.set_metadata(made.native_id, wanted)).metadata == wanted


async def chat_moves_through_folders(subject: Subject) -> None:
    source = subject.source
    if not source.capabilities.has_folders:
        return
    top = await source.create_folder(f"Top {an_id()}", None)
    below = await source.create_folder("Below", top.native_id)
    try:
        assert below.parent_id == top.native_id
        assert {top.native_id, below.native_id} <= {folder.native_id for folder in await source.list_folders()}
        made = await subject.new_chat("Moved", folder_id=top.native_id)
        assert made.folder == FolderRef(source.source.id, top.native_id)
        assert (await source.move_chat(made.native_id, below.native_id)).folder == below.ref
        assert (await source.move_chat(made.native_id, None)).folder is None
        await raises(NotFound, lambda: source.move_chat(made.native_id, "not-there"))
        await raises(NotFound, lambda: source.create_folder("Lost", "not-there"))
        await raises(
            InvalidArgument,
            lambda: source.update_folder(top.native_id, name=None, parent_id=below.native_id, moves=True),
        )
        renamed = await source.update_folder(below.native_id, name="Beside", parent_id=None, moves=True)
        assert (renamed.name, renamed.parent_id) == ("Beside", None)
        await source.move_chat(made.native_id, below.native_id)
        await source.delete_folder(below.native_id, FolderContents.KEEP_CHATS)
        kept = await source.get_chat(made.native_id)
        assert kept is not None
        assert kept.folder is None
        await source.move_chat(made.native_id, top.native_id)
    finally:
        await source.delete_folder(top.native_id, FolderContents.DELETE_CHATS)
    assert await source.get_chat(made.native_id) is None
    await raises(NotFound, lambda: source.delete_folder(top.native_id, FolderContents.KEEP_CHATS))


async def shared_chat_has_a_link(subject: Subject) -> None:
    if not subject.can(C.SHARE_CHAT):
        return
    made = await subject.new_chat("Shared")
    assert made.share_url is None
    shared = await subject.source.share_chat(made.native_id)
    assert shared.share_url is not None
    assert (await subject.source.share_chat(made.native_id)).share_url == shared.share_url
    assert shared.share_url.rsplit("/", 1)[-1] not in str(shared.raw)
    assert (await subject.source.unshare_chat(made.native_id)).share_url is None


async def search_finds_what_was_said(subject: Subject) -> None:
    if not subject.is_native(C.SEARCH):
        return
    word = f"w{uuid.uuid4().hex}"
    messages = (FirstMessage(id=an_id(), role=MessageRole.USER, text=f"the word is {word} indeed"),)
    made = await subject.new_chat("Found", messages=messages)
    hits = (await subject.source.search(SearchRequest(text=word, limit=10))).rows
    assert made.native_id in [getattr(hit.found, "chat_id", hit.found.native_id) for hit in hits]
    nothing = await subject.source.search(SearchRequest(text=f"x{word}", limit=10))
    assert list(nothing.rows) == []
    await raises(InvalidArgument, lambda: subject.source.search(SearchRequest(text="  ", limit=10)))


async def deleted_chat_is_gone(subject: Subject) -> None:
    if not subject.can(C.DELETE_CHAT):
        return
    made = await subject.new_chat("Deleted")
    await subject.source.delete_chat(made.native_id)
    assert await subject.source.get_chat(made.native_id) is None
    await raises(NotFound, lambda: subject.source.delete_chat(made.native_id))


async def what_it_cannot_do_is_refused(subject: Subject) -> None:
    source = subject.source
    tries: dict[Capability, Callable[[], Awaitable[Any]]] = {
        C.RENAME_CHAT: lambda: source.rename_chat("c", "x"),
        C.TAG_CHAT: lambda: source.set_tags("c", ["x"]),
        C.EDIT_METADATA: lambda: source.set_metadata("c", {}),
        C.PIN_CHAT: lambda: source.set_pinned("c", True),
        C.ARCHIVE_CHAT: lambda: source.set_archived("c", True),
        C.MOVE_CHAT: lambda: source.move_chat("c", None),
        C.SHARE_CHAT: lambda: source.share_chat("c"),
        C.STOP_REPLY: lambda: source.stop_reply("c", "m"),
        C.EDIT_MESSAGE: lambda: source.edit_message("c", "m", "x"),
        C.DELETE_MESSAGE: lambda: source.delete_message("c", "m"),
    }
    for capability, attempt in tries.items():
        if not subject.can(capability):
            error = await raises(CapabilityMissing, attempt)
            assert error.capability is capability
            assert error.source_id == source.source.id


async def checks_pass(subject: Subject) -> None:
    checks = await subject.source.check()
    assert checks
    assert [check.name for check in checks if check.passed is not True] == []
    assert not any(secret in check.message for check in checks for secret in subject.secrets)


async def agents_have_ids(subject: Subject) -> None:
    agents = await subject.source.list_agents()
    assert agents is None or all(agent.native_id for agent in agents)


async def stream_tells_when_there_is_something_to_read(subject: Subject) -> None:
    source, stream = subject.source, subject.source.capabilities.stream
    if stream is not NativeStream.SOURCE:
        await raises(CapabilityMissing, lambda: anext(aiter(source.watch(None))))
    if stream is NativeStream.NONE:
        return
    chat = await subject.new_chat("Watched")
    watched = chat.native_id if stream is NativeStream.CHAT else None
    async with asyncio.timeout(30), leaving(source.watch(watched)) as notices:
        assert await anext(notices) == StreamOpened()
        (last, *_) = reversed(await said(subject, chat.native_id, "Is anybody listening?"))
        assert last.reply is not None
        async for notice in notices:
            if isinstance(notice, ReplyGrew):
                assert notice.reply.chat_id == chat.native_id
                assert last.reply.text.startswith(notice.reply.text)
            elif notice == ChatTouched(chat.native_id):
                break


async def row_changes_with_a_message_where_the_table_says_so(subject: Subject) -> None:
    capabilities = subject.source.capabilities
    if not capabilities.rows_tell_messages:
        return
    chat = await subject.new_chat("Told by its row")
    before = await _row_of(subject, chat.native_id)
    await asyncio.sleep(capabilities.clock_tick.total_seconds() * 1.1)  # within one tick two changes look like one
    await said(subject, chat.native_id, "A new message")
    assert await _row_of(subject, chat.native_id) != before


async def _row_of(subject: Subject, chat_id: str) -> Chat:
    pages = [page async for page in subject.source.drain_chats(frozenset())]
    return next(row for page in pages for row in page.rows if row.native_id == chat_id)


CHECKS: Sequence[Callable[[Subject], Awaitable[None]]] = (
    created_chat_reads_back,
    missing_chat_is_none,
    missing_chat_cannot_be_written,
    empty_chat_has_no_messages,
    list_shows_each_chat_once_in_its_order,
    drain_shows_every_chat_with_what_is_needed,
    first_messages_are_kept_in_order,
    message_is_sent_and_answered,
    message_without_an_answer_is_only_stored,
    reply_is_stopped,
    reply_is_made_again_beside_the_first,
    message_is_edited_and_deleted,
    chat_is_renamed,
    saying_a_state_twice_changes_nothing,
    tags_are_set_exactly,
    metadata_is_replaced,
    chat_moves_through_folders,
    shared_chat_has_a_link,
    search_finds_what_was_said,
    deleted_chat_is_gone,
    what_it_cannot_do_is_refused,
    checks_pass,
    agents_have_ids,
    stream_tells_when_there_is_something_to_read,
    row_changes_with_a_message_where_the_table_says_so,
)


async def raises(kind: type[GatewayError], attempt: Callable[[], Awaitable[Any]]) -> Any:
    """The error that an attempt must end with."""
    with pytest.raises(kind) as caught:
        await attempt()
    assert caught.value.message.endswith(".")
    return caught.value
