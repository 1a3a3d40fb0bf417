"""Copying a chat: what arrives, and what is said to be lost."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.capabilities import Capability, overlay, unsupported
from domain.errors import CapabilityMissing, InvalidArgument, NotFound
from domain.ids import IdType, format_id
from domain.records import Attachment, EventKind, MessageRole
from domain.source import MessagesRead, MessageWindow
from resolvers.context import utc_now
from resolvers.copying import Copied, CopyChat, copy_chat
from tests.builders import a_chat
from tests.fakes import FakeSource
from tests.resolvers.conftest import Room, a_room
from tests.resolvers.rooms import a_vendor, chat_id, logged, source_id

pytestmark = pytest.mark.anyio
WHOLE = {
    "type": "object",
    "properties": {"title": {}, "messages": {"type": "array"}, "metadata": {}, "agent": {}, "tags": {}},
}
BARE = {"type": "object", "properties": {"title": {}, "messages": {"type": "array", "maxItems": 0}}}


def an_original(**chat: Any) -> FakeSource:
    fake = a_vendor("one", "Question", "Answer", chats=[a_chat("c1", title="T", **chat)])
    fake.messages["c1"][1] = replace(fake.messages["c1"][1], attachments=(Attachment(name="a.txt"),))
    return fake


def a_target(form: dict[str, Any], **traits: Any) -> FakeSource:
    return a_vendor("two", chats=[], form=form, **traits)


async def copy(room: Room, **fields: Any) -> Copied:
    return await copy_chat(room.context(), CopyChat(chat_id=chat_id(room), target_source_id=source_id(2), **fields))


async def test_copy_has_title_metadata_tags_and_the_active_path(folder: Path) -> None:
    original = an_original(metadata={"m": 1}, tags=("x",))
    async with a_room(folder, original, a_target(WHOLE)) as room:
        copied = await copy(room)
        made = room.sources["two"].created[0]
        assert [(one.role, one.text) for one in made.messages] == [
            (MessageRole.USER, "Question"),
            (MessageRole.ASSISTANT, "Answer"),
        ]
        assert (made.title, made.metadata) == ("T", {"m": 1})
        assert copied.chat is not None
        assert ("CHAT_CREATED", copied.chat.native_id) in await logged(room, EventKind.CHAT_CREATED)


async def test_what_the_target_cannot_hold_is_named(folder: Path) -> None:
    async with a_room(folder, an_original(metadata={"m": 1, "n": 2}), a_target(BARE)) as room:
        copied = await copy(room)
        assert {(loss.capability, loss.count) for loss in copied.losses} == {
            (Capability.SEND_MESSAGE, 2),
            (Capability.READ_MESSAGE, 1),
            (Capability.EDIT_METADATA, 2),
        }
        made = room.sources["two"].created[0]
        assert (made.messages, made.metadata) == ((), None)


async def test_messages_beside_the_active_path_are_a_loss(folder: Path) -> None:
    original = an_original()
    original.messages["c1"].append(replace(original.messages["c1"][1], native_id="m2", text="Other", attachments=()))
    async with a_room(folder, original, a_target(WHOLE)) as room:
        copied = await copy(room)
        assert [(loss.capability, loss.count) for loss in copied.losses] == [(Capability.BRANCHES, 1)]
        assert [one.text for one in room.sources["two"].created[0].messages] == ["Question", "Other"]


async def test_trying_creates_nothing_and_names_the_losses(folder: Path) -> None:
    async with a_room(folder, an_original(), a_target(BARE)) as room:
        tried = await copy(room, dry_run=True)
        assert tried.chat is None
        assert {loss.capability for loss in tried.losses} == {Capability.SEND_MESSAGE, Capability.READ_MESSAGE}
        assert room.sources["two"].calls == []


async def test_title_is_kept_here_where_the_target_cannot(folder: Path) -> None:
    target = a_target({"type": "object", "properties": {}}, also={Capability.RENAME_CHAT: overlay()})
    async with a_room(folder, an_original(), target) as room:
        copied = await copy(room)
        assert copied.chat is not None
        assert copied.chat.title == "T"


async def test_key_is_of_the_copy_and_not_of_what_the_original_holds(folder: Path) -> None:
    async with a_room(folder, an_original(), a_target(WHOLE)) as room:
        first = await copy(room, idempotency_key="k")
        room.source.says_by_itself("c1", "More")
        second = await copy(room, idempotency_key="k")
        assert second.replayed
        assert first.chat is not None
        assert second.chat is not None
        assert second.chat.native_id == first.chat.native_id
        assert len(room.sources["two"].created) == 1


async def test_role_that_has_no_name_is_copied_as_the_assistants(folder: Path) -> None:
    original = an_original()
    original.messages["c1"][1] = replace(original.messages["c1"][1], text="x", role=MessageRole.OTHER)
    async with a_room(folder, original, a_target(WHOLE)) as room:
        await copy(room)
        assert room.sources["two"].created[0].messages[1].role is MessageRole.ASSISTANT


async def test_message_without_words_is_left_out_and_named(folder: Path) -> None:
    """For example an answer that was stopped at once, or one of files alone."""
    original = an_original()
    original.messages["c1"][1] = replace(original.messages["c1"][1], text="", attachments=())
    async with a_room(folder, original, a_target(WHOLE)) as room:
        copied = await copy(room)
        assert [one.text for one in room.sources["two"].created[0].messages] == ["Question"]
        assert [(loss.capability, loss.count) for loss in copied.losses] == [(Capability.READ_MESSAGE, 1)]


async def test_chat_that_is_longer_than_one_copy_is_refused(folder: Path) -> None:
    async with a_room(folder, an_original(), a_target(WHOLE)) as room:
        rows = room.source.messages["c1"]

        async def newest(native_id: str, window: MessageWindow) -> MessagesRead:
            return MessagesRead(messages=rows, started_at=utc_now(), is_complete=False, has_before=True)

        room.source.read_messages = newest  # type: ignore[assignment, method-assign]
        with pytest.raises(InvalidArgument) as caught:
            await copy(room)
        assert caught.value.path == ("chatId",)


async def test_what_is_not_there_or_not_possible(folder: Path) -> None:
    cannot = a_target(WHOLE, also={Capability.CREATE_CHAT: unsupported()})
    async with a_room(folder, an_original(), cannot) as room:
        with pytest.raises(CapabilityMissing):
            await copy(room)
        with pytest.raises(NotFound) as caught:
            await copy_chat(
                room.context(), CopyChat(chat_id=chat_id(room), target_source_id=format_id(IdType.SOURCE, 9))
            )
        assert caught.value.path == ("targetSourceId",)
        request = CopyChat(chat_id=chat_id(room, "nowhere"), target_source_id=source_id(1))
        with pytest.raises(NotFound):
            await copy_chat(room.context(), request)
