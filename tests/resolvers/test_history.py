"""What is news and what is history."""

from pathlib import Path

import pytest

from domain.capabilities import ChatOrder, ChatOrderField
from domain.paging import PageRequest
from domain.records import EventKind
from resolvers.chats import ChatFilter, chats
from tests.builders import a_chat, a_message, at
from tests.fakes import FakeSource
from tests.resolvers.conftest import Room, a_room
from tests.resolvers.rooms import a_vendor, logged, shown

pytestmark = pytest.mark.anyio
BY_TITLE = ChatOrder(ChatOrderField.TITLE, descending=False)
ORDERS = pytest.mark.parametrize("order", [ChatOrder(), BY_TITLE], ids=["page-by-page", "drained"])


def some_chats(*numbers: int) -> FakeSource:
    return a_vendor(chats=[a_chat(f"c{n}", title=f"c{n}", updated_at=at(n)) for n in numbers])


async def listed(room: Room, order: ChatOrder, first: int = 2) -> None:
    await chats(room.context(), PageRequest(first=first), ChatFilter(), order, 20_000)
    room.gateway.drains.last.clear()  # time passes


def appears(room: Room, native_id: str, seconds: float) -> None:
    """Somebody starts a chat at the source."""
    ids = {"organization_id": room.organization.id, "source_id": 1}
    room.source.chats.append(a_chat(native_id, title=native_id, updated_at=at(seconds), **ids))


def hears(room: Room, native_id: str, seconds: float, chat: str = "c1") -> None:
    """Somebody writes at the source."""
    ids = {"organization_id": room.organization.id, "source_id": 1, "chat_id": chat}
    rows = room.source.messages.setdefault(chat, [])
    parent = rows[-1].native_id if rows else None
    rows.append(a_message(native_id, created_at=at(seconds), parent_id=parent, **ids))


@ORDERS
async def test_first_reading_of_a_list_is_history(folder: Path, order: ChatOrder) -> None:
    async with a_room(folder, some_chats(1, 2, 3)) as room:
        await listed(room, order)
        assert await logged(room) == []


@ORDERS
async def test_chat_that_appears_later_is_news_once(folder: Path, order: ChatOrder) -> None:
    async with a_room(folder, some_chats(1, 2, 3)) as room:
        await listed(room, order)
        appears(room, "late", 9)
        await listed(room, order)
        await listed(room, order)
        assert await logged(room) == [("CHAT_CREATED", "late")]


async def test_older_page_of_a_list_is_history(folder: Path) -> None:
    async with a_room(folder, some_chats(*range(20))) as room:
        await listed(room, ChatOrder())
        await listed(room, ChatOrder(), first=20)
        assert await logged(room) == []


async def test_first_reading_of_a_chat_is_history(folder: Path) -> None:
    async with a_room(folder, a_vendor("vendor", "One", "Two")) as room:
        await shown(room)
        assert await logged(room) == []


async def test_every_message_that_appears_later_is_news(folder: Path) -> None:
    async with a_room(folder, a_vendor("vendor", "One", "Two")) as room:
        await shown(room)
        hears(room, "new1", 5)
        hears(room, "new2", 6)
        await shown(room)
        await shown(room)
        assert await logged(room) == [("MESSAGE_CREATED", "new1"), ("MESSAGE_CREATED", "new2")]


async def test_message_into_an_empty_chat_that_was_read_is_news(folder: Path) -> None:
    async with a_room(folder, a_vendor("vendor")) as room:
        await shown(room)
        hears(room, "first", 5)
        await shown(room)
        assert await logged(room) == [("MESSAGE_CREATED", "first")]


async def test_chat_that_appears_later_is_news_with_all_its_messages(folder: Path) -> None:
    async with a_room(folder, some_chats(1)) as room:
        await listed(room, ChatOrder())
        appears(room, "late", 9)
        hears(room, "old", -50, "late")
        hears(room, "new", 9, "late")
        await listed(room, ChatOrder())
        await shown(room, "late")
        assert await logged(room) == [("CHAT_CREATED", "late"), ("MESSAGE_CREATED", "old"), ("MESSAGE_CREATED", "new")]


async def test_chat_that_was_in_the_first_reading_has_a_history_of_its_own(folder: Path) -> None:
    async with a_room(folder, some_chats(1)) as room:
        await listed(room, ChatOrder())
        hears(room, "before-it-was-read", 5)
        await shown(room)
        assert await logged(room) == []


async def test_what_changes_and_goes_is_news(folder: Path) -> None:
    async with a_room(folder, a_vendor("vendor", "One", "Two")) as room:
        await shown(room)
        del room.source.messages["c1"][1]
        await room.source.edit_message("c1", "m0", "Uno")
        await shown(room)
        assert sorted(await logged(room)) == [("MESSAGE_DELETED", "m1"), ("MESSAGE_UPDATED", "m0")]


async def test_renamed_chat_is_news_and_an_unchanged_one_is_not(folder: Path) -> None:
    async with a_room(folder, some_chats(1, 2)) as room:
        await listed(room, ChatOrder())
        await room.source.rename_chat("c1", "Another name")
        await listed(room, ChatOrder())
        assert await logged(room, EventKind.CHAT_UPDATED) == [("CHAT_UPDATED", "c1")]
