"""A disconnected source whose copy was kept stays readable, stale, and is never asked."""

from pathlib import Path

import pytest

from domain.errors import CapabilityMissing, SourceStatusCode
from domain.ids import IdType, chat_id, format_id
from domain.paging import PageRequest
from resolvers.chat_writes import set_chat_pinned
from resolvers.chats import ChatFilter, chats, get_chat
from resolvers.messages import MessageQuery, load_messages
from resolvers.sources import disconnect_source
from tests.builders import a_chat, a_message, a_source
from tests.fakes import NEWEST_FIRST, FakeSource, capabilities
from tests.resolvers.conftest import Room, a_room

pytestmark = pytest.mark.anyio


def a_fake() -> FakeSource:
    return FakeSource(
        a_source(key="gone", vendor="gone"),
        [a_chat("c1", title="Kept")],
        {"c1": [a_message("m1", text="Still here")]},
        capabilities=capabilities(NEWEST_FIRST),
    )


async def read_all(room: Room) -> None:
    """What was never seen cannot be kept."""
    await chats(room.context(), PageRequest(first=5), ChatFilter(), NEWEST_FIRST, 2000)
    await load_messages(room.context(), [MessageQuery((1, "c1"), PageRequest(last=5))])


async def test_kept_copy_is_served_stale_without_a_call(folder: Path) -> None:
    fake = a_fake()
    async with a_room(folder, fake) as room:
        await read_all(room)
        await disconnect_source(room.context(), source_id=format_id(IdType.SOURCE, 1), keep_mirror=True)
        asked = len(fake.calls)
        answer = await chats(room.context(), PageRequest(first=5), ChatFilter(), NEWEST_FIRST, 2000)
        assert [chat.title for chat in answer.page.rows] == ["Kept"]
        (status,) = answer.statuses
        assert (status.code, status.stale) == (SourceStatusCode.UPSTREAM_UNAVAILABLE, True)
        chat = await get_chat(room.context(), chat_id(1, "c1"))
        assert chat is not None
        assert chat.as_of is not None
        (read,) = await load_messages(room.context(), [MessageQuery((1, "c1"), PageRequest(last=5))])
        assert not isinstance(read, BaseException)
        assert read is not None
        assert [message.text for message in read.page.rows] == ["Still here"]
        with pytest.raises(CapabilityMissing):
            await set_chat_pinned(room.context(), chat_id=chat_id(1, "c1"), pinned=True)
        assert len(fake.calls) == asked


async def test_copy_that_is_not_kept_is_gone(folder: Path) -> None:
    async with a_room(folder, a_fake()) as room:
        await read_all(room)
        await disconnect_source(room.context(), source_id=format_id(IdType.SOURCE, 1), keep_mirror=False)
        answer = await chats(room.context(), PageRequest(first=5), ChatFilter(), NEWEST_FIRST, 2000)
        assert (answer.page.rows, answer.statuses) == ([], [])
        assert await get_chat(room.context(), chat_id(1, "c1")) is None
        row = await room.gateway.store.database.fetch_one("SELECT count(*) FROM message", {})
        assert row is not None
        assert row[0] == 0


async def test_kept_copy_can_be_deleted_later(folder: Path) -> None:
    async with a_room(folder, a_fake()) as room:
        await read_all(room)
        source = format_id(IdType.SOURCE, 1)
        await disconnect_source(room.context(), source_id=source, keep_mirror=True)
        await disconnect_source(room.context(), source_id=source, keep_mirror=False)
        assert await get_chat(room.context(), chat_id(1, "c1")) is None
