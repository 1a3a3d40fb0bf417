"""A source whose credentials may write and not read shows what was written from here, and says that it cannot be asked."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from domain.capabilities import Capability, unsupported
from domain.errors import CapabilityMissing, OutcomeUnknown, SourceStatusCode
from domain.paging import PageRequest
from domain.records import MessageState
from resolvers.chat_creation import CreateChat, create_chat
from resolvers.chat_writes import update_chat
from resolvers.chats import ChatFilter, chats, get_chat
from resolvers.messages import MessageQuery, load_messages
from tests.builders import a_source
from tests.fakes import NEWEST_FIRST, FakeSource, Fault, capabilities
from tests.resolvers.conftest import Room, a_room
from tests.resolvers.rooms import chat_id, say, shown, source_id

pytestmark = pytest.mark.anyio
C = Capability
READING = {"get_chat": C.READ_CHAT, "read_messages": C.LIST_MESSAGES, "drain_chats": C.LIST_CHATS}
CHAT = "new1"


@pytest.fixture
async def room(folder: Path) -> AsyncIterator[Room]:
    """With one chat, made here."""
    table = capabilities(also={capability: unsupported("Write only.") for capability in READING.values()})
    fake = FakeSource(a_source(key="vendor", vendor="vendor"), capabilities=table)
    for operation, capability in READING.items():
        fake.fails_at[operation] = CapabilityMissing("Write only.", capability=capability, source_id=1)
    async with a_room(folder, fake) as made:
        done = await create_chat(made.context(), CreateChat(source_id=source_id(1), title="Made here"))
        assert done.value.native_id == CHAT
        fake.messages[CHAT] = []
        fake.calls.clear()
        yield made


async def test_chat_that_was_made_here_is_shown_and_listed(room: Room) -> None:
    chat = await get_chat(room.context(), chat_id(room, CHAT))
    assert chat is not None
    assert chat.title == "Made here"
    assert chat.as_of is not None
    listed = await chats(room.context(), PageRequest(first=5), ChatFilter(), NEWEST_FIRST, 2000)
    assert [row.native_id for row in listed.page.rows] == [CHAT]
    assert [status.code for status in listed.statuses] == [SourceStatusCode.UNSUPPORTED]


async def test_messages_follow_each_other_without_being_read(room: Room) -> None:
    for text in ("one", "two", "three"):
        sent = await say(room, text, chat_id=chat_id(room, CHAT))
        assert sent.message is not None
        assert sent.message.state is MessageState.COMPLETE
    rows = await shown(room, CHAT)
    assert [row.text for row in rows] == ["one", "two", "three"]
    assert [row.parent_id for row in rows] == [None, rows[0].native_id, rows[1].native_id]
    assert room.source.calls.count("send_message") == 3


async def test_empty_chat_is_empty_and_says_why(room: Room) -> None:
    (found,) = await load_messages(room.context(), [MessageQuery((1, CHAT), PageRequest(last=5))])
    assert found is not None
    assert not isinstance(found, BaseException)
    assert (list(found.page.rows), found.status.code) == ([], SourceStatusCode.UNSUPPORTED)
    assert found.status.stale


async def test_chat_that_nobody_made_here_is_unknown(room: Room) -> None:
    with pytest.raises(CapabilityMissing):
        await get_chat(room.context(), chat_id(room, "other"))
    with pytest.raises(CapabilityMissing):
        await shown(room, "other")


async def test_message_whose_answer_was_lost_stays_unknown_and_is_not_sent_again(room: Room) -> None:
    room.source.faults.append(Fault.AFTER)
    with pytest.raises(OutcomeUnknown):
        await say(room, "lost", chat_id=chat_id(room, CHAT))
    assert [row.state for row in await shown(room, CHAT)] == [MessageState.PENDING]
    assert room.source.calls.count("send_message") == 1


async def test_what_it_cannot_is_refused_without_a_call(room: Room) -> None:
    with pytest.raises(CapabilityMissing):
        await update_chat(room.context(), chat_id=chat_id(room, CHAT), title="New")
    assert room.source.calls == []
