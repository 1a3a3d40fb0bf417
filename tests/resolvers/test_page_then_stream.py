"""A page, then the stream behind its `eventCursor`: together they have every message, whoever writes and whenever, and the stream repeats none."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from domain.ids import chat_id
from domain.paging import PageRequest
from domain.records import EventKind, Message, MessageRole
from domain.source import NewChat, NewMessage
from resolvers.live_events import CaughtUp, Happened
from resolvers.messages import MessageList, MessageQuery, load_messages
from resolvers.sending import ReplyMode, SendMessage, send_message
from storage import local
from storage.store import open_store
from tests.builders import T0, a_chat
from tests.resolvers.conftest import Room, a_room
from tests.resolvers.rooms import a_vendor, an_ear
from tests.tier import count

pytestmark = pytest.mark.anyio
RUNS = count(long=500, least=10)
PER_CHAT = 20


@dataclass
class Site:
    """Chats at one source, and two who write there: through the gateway, or behind its back."""

    room: Room
    source_id: int
    new_chat: Callable[[], Awaitable[str]]
    elsewhere: Callable[[str, str], Awaitable[object]]

    async def through_us(self, chat: str, text: str) -> None:
        request = SendMessage(chat_id=chat_id(self.source_id, chat), text=text, reply=ReplyMode.NONE)
        await send_message(self.room.context(), request)

    async def page(self, chat: str) -> MessageList:
        query = MessageQuery((self.source_id, chat), PageRequest(last=100))
        (found,) = await load_messages(self.room.context(), [query])
        assert isinstance(found, MessageList)
        return found

    async def streamed(self, chat: str, after: str) -> list[Message]:
        """What the stream brings of new messages until it has caught up, each once."""
        named = chat_id(self.source_id, chat)
        async with an_ear(self.room, after=after, chats=[named], kinds=(EventKind.MESSAGE_CREATED.value,)) as ear:
            assert isinstance(ear.heard[-1], CaughtUp)
            happened = [event for event in ear.heard if isinstance(event, Happened)]
        assert len({event.event.native_id for event in happened}) == len(happened)
        return [event.message for event in happened if event.message is not None]


@asynccontextmanager
async def a_vendors_site(folder: Path, takes_message_ids: bool) -> AsyncIterator[Site]:
    async with a_room(folder, a_vendor(takes_message_ids=takes_message_ids)) as room:
        made = 0

        async def new_chat() -> str:
            nonlocal made
            made += 1
            chat = replace(a_chat(f"new{made}"), organization_id=room.organization.id, source_id=1)
            room.source.chats.append(chat)
            return chat.native_id

        async def elsewhere(chat: str, text: str) -> None:
            room.source.says_by_itself(chat, text)

        yield Site(room, 1, new_chat, elsewhere)


@asynccontextmanager
async def a_local_site(folder: Path) -> AsyncIterator[Site]:
    """Behind the gateway's back writes who has opened the store by itself, as another process does."""
    async with AsyncExitStack() as stack:
        room = await stack.enter_async_context(a_room(folder))
        store = room.gateway.store
        own = local.connector(store)
        room.gateway.connectors[own.vendor] = own  # type: ignore[index]  # a dictionary in tests
        source = await store.database.write(
            lambda tx: store.sources.add(
                tx,
                organization_id=room.organization.id,
                key="local",
                vendor="local",
                display_name="Local",
                created_at=T0,
            )
        )
        other = await stack.enter_async_context(open_store(f"sqlite:///{folder / 'test.db'}", readers=1))
        writer = local.connector(other).connect(source, {})
        ids = iter(range(1_000_000))

        async def new_chat() -> str:
            return (await own.connect(source, {}).create_chat(NewChat())).native_id

        async def elsewhere(chat: str, text: str) -> None:
            newest = await other.messages.newest_id(room.organization.id, source.id, chat)
            new = NewMessage(
                id=f"m{next(ids)}",
                reply_id="",
                chat_id=chat,
                role=MessageRole.USER,
                text=text,
                parent_id=newest,
                wants_reply=False,
            )
            async for _ in writer.send_message(new):
                pass

        yield Site(room, source.id, new_chat, elsewhere)


SITES: dict[str, Callable[[Path], AbstractAsyncContextManager[Site]]] = {
    "ids-of-ours": lambda folder: a_vendors_site(folder, True),
    "ids-of-its-own": lambda folder: a_vendors_site(folder, False),
    "local": a_local_site,
}


@pytest.mark.parametrize("who", ["through-us", "elsewhere"])
@pytest.mark.parametrize("when", ["between", "during"])
@pytest.mark.parametrize("kind", list(SITES))
async def test_page_and_stream_together_have_every_message(folder: Path, kind: str, when: str, who: str) -> None:
    chance = random.Random(11)
    async with SITES[kind](folder) as site:
        for number in range(RUNS):
            if number % PER_CHAT == 0:
                chat, written = await site.new_chat(), []
                await site.page(chat)  # what was there before anybody looked is history
            write = site.through_us if who == "through-us" else site.elsewhere
            written.append(f"Message {number}")
            if when == "between":
                page = await site.page(chat)
                await write(chat, written[-1])
            else:
                page = await page_while(site, chat, write(chat, written[-1]), chance)
            streamed = await site.streamed(chat, page.event_cursor)
            shown = [message.text for message in page.page.rows]
            assert shown == written[: len(shown)], "the page is a beginning, in order"
            told = [message.text for message in streamed]
            assert {*shown, *told} == set(written)
            assert told == written[len(written) - len(told) :]


async def page_while(site: Site, chat: str, writing: Awaitable[object], chance: random.Random) -> MessageList:
    """The page, read while somebody writes: who of the two begins, and how far the other is then, is left to chance."""

    async def write() -> None:
        for _ in range(chance.randrange(40)):
            await asyncio.sleep(0)
        await writing

    async def read() -> MessageList:
        for _ in range(chance.randrange(40)):
            await asyncio.sleep(0)
        return await site.page(chat)

    _, page = await asyncio.gather(write(), read())
    return page
