"""What is committed before its answer, and what behind it. Where the writer is held up, an answer that comes has not waited for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.capabilities import Capability, ChatOrder, ChatOrderField, native
from domain.errors import OutcomeUnknown, UpstreamUnavailable
from domain.ids import chat_id as global_chat_id
from domain.paging import PageRequest
from domain.records import Chat, Folder
from domain.source import MessagesRead
from resolvers.chat_writes import delete_chat, update_chat
from resolvers.chats import ChatFilter, chats, get_chat
from resolvers.context import Context, utc_now
from resolvers.folders import FolderFilter, folders
from resolvers.messages import MessageQuery, get_message, load_children, load_messages
from resolvers.mirror_queue import MirrorQueue
from resolvers.mirroring import mirror_chats, mirror_messages
from resolvers.search import SearchFilter, search
from resolvers.targets import SourceTarget, source_target
from storage.chats import ChatsSeen
from storage.messages import MessagesSeen
from storage.store import open_store
from tests.builders import a_chat
from tests.fakes import NEWEST_FIRST, Fault
from tests.resolvers.conftest import Room, a_room, gateway_over
from tests.resolvers.rooms import a_chat_room, a_vendor, chat_id, logged, message_id, say, source_id
from tests.writer import held, until_something_waits

pytestmark = pytest.mark.anyio
DOWN = UpstreamUnavailable("Down.", source_id=1, operation="get_chat")
BY_TITLE = ChatOrder(ChatOrderField.TITLE, descending=False)


def late(room: Room) -> Context:
    """A query without an `eventCursor`."""
    context = room.context()
    context.may_mirror_late = True
    return context


async def listed(context: Context, order: ChatOrder = NEWEST_FIRST, **filter_: Any) -> list[str | None]:
    found = await chats(context, PageRequest(first=10), ChatFilter(**filter_), order, 30_000)
    return [chat.title for chat in found.page.rows]


async def messages_of(context: Context, chat: str = "c1") -> list[str]:
    (found,) = await load_messages(context, [MessageQuery((1, chat), PageRequest(last=50))])
    if found is None or isinstance(found, BaseException):
        raise found or LookupError(chat)
    return [message.text for message in found.page.rows]


async def title_of(context: Context) -> str | None:
    chat = await get_chat(context, global_chat_id(1, "c1"))
    return chat.title if chat is not None else None


def renamed(room: Room, title: str) -> None:
    room.source.chats = [replace(room.source.chats[0], title=title), *room.source.chats[1:]]


async def kept_title(room: Room) -> str | None:
    chat = await room.gateway.store.chats.get(1, 1, "c1")
    return chat.title if chat is not None else None


@asynccontextmanager
async def another_process(room: Room) -> AsyncIterator[Room]:
    """The same sources over the same file, with nothing remembered."""
    (_, _, path), *_ = await room.gateway.store.database.fetch_all("PRAGMA database_list")
    async with open_store(f"sqlite:///{path}") as store:
        yield Room(gateway_over(store, room.sources), room.organization, room.sources, room.neighbour)


async def warm(room: Room) -> None:
    """List and messages have their baselines."""
    await listed(room.context())
    await messages_of(room.context())
    room.source.calls.clear()
    room.source._arrived.clear()


Ask = Callable[[Context], Awaitable[object]]


async def assert_behind(room: Room, ask: Ask) -> None:
    """The answer comes while nothing can be committed, and what it shows is committed afterwards."""
    async with held(room.gateway.store.database):
        await ask(late(room))
        assert room.gateway.mirror_queue.rows > 0
    await room.gateway.mirror_queue.caught_up(1)
    assert room.gateway.mirror_queue.rows == 0


async def assert_before(room: Room, ask: Ask, context: Context | None = None) -> None:
    """The answer waits for the writer, and nothing of it goes to the queue."""
    database = room.gateway.store.database
    async with held(database) as go_on:
        with full(room.gateway.mirror_queue) as dropped:
            answering = asyncio.ensure_future(ask(context or late(room)))
            await until_something_waits(database, unless=answering)
            assert not answering.done()
            go_on.set()
            await answering
            assert dropped == []


@contextmanager
def full(queue: MirrorQueue) -> Iterator[list[int]]:
    """Whatever comes to the queue is dropped, and counted here."""
    dropped: list[int] = []
    told, queue.on_dropped = queue.on_dropped, dropped.append
    queue.rows += queue.most_rows
    try:
        yield dropped
    finally:
        queue.rows -= queue.most_rows
        queue.on_dropped = told


# Behind the answer


@pytest.mark.parametrize("ask", [listed, title_of], ids=["list", "chat"])
async def test_what_a_query_shows_of_chats_is_committed_behind_its_answer(folder: Path, ask: Ask) -> None:
    async with a_chat_room(folder, "One") as room:
        await warm(room)
        renamed(room, "New")
        await assert_behind(room, ask)
        assert await kept_title(room) == "New"
        assert await logged(room) == [("CHAT_UPDATED", "c1")]


async def test_messages_that_a_query_shows_are_committed_behind_its_answer(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        await warm(room)
        room.source.says_by_itself("c1", "Two")
        await assert_behind(room, messages_of)
        assert [kind for kind, _ in await logged(room)] == ["MESSAGE_CREATED"]


async def test_answer_shows_what_the_source_said_while_nothing_is_committed(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        await warm(room)
        renamed(room, "New")
        room.source.says_by_itself("c1", "Two")
        async with held(room.gateway.store.database):
            assert await listed(late(room)) == ["New"]
            assert await title_of(late(room)) == "New"
            assert await messages_of(late(room)) == ["One", "Two"]


async def test_overlay_is_laid_over_what_is_not_committed_yet(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        await warm(room)
        store = room.gateway.store
        await store.database.write(lambda tx: store.chats.set_overlay(tx, 1, 1, "c1", pinned=True))
        renamed(room, "New")
        async with held(store.database):
            chat = await get_chat(late(room), chat_id(room))
            assert chat is not None
            assert (chat.title, chat.pinned) == ("New", True)


# Before the answer


@pytest.mark.parametrize("ask", [listed, title_of, messages_of], ids=["list", "chat", "messages"])
async def test_operation_that_is_not_marked_waits_for_the_commit(folder: Path, ask: Ask) -> None:
    """Mutations, feeds, `sync`, and whatever has an `eventCursor` in it: no mark is the rule."""
    async with a_chat_room(folder, "One") as room:
        await warm(room)
        renamed(room, "New")
        room.source.says_by_itself("c1", "Two")
        await assert_before(room, ask, room.context())


async def test_first_reading_of_a_list_waits_for_the_commit(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        await assert_before(room, listed)
        renamed(room, "New")
        await assert_behind(room, listed)


async def test_first_reading_of_the_messages_of_a_chat_waits_for_the_commit(folder: Path) -> None:
    async with a_room(folder, a_vendor("vendor", "One")) as room:
        await assert_before(room, messages_of)
        room.source.says_by_itself("c1", "Two")
        await assert_behind(room, messages_of)
        assert [kind for kind, _ in await logged(room)] == ["MESSAGE_CREATED"]


async def test_first_reading_of_a_process_waits_too_for_it_cannot_know(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        await warm(room)
        async with another_process(room) as again:
            await assert_before(again, listed)
            await assert_before(again, messages_of)


async def test_drain_is_committed_before_it_is_paged(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        await warm(room)
        renamed(room, "New")
        assert await listed(late(room), BY_TITLE) == ["New"]
        assert room.source.calls == ["drain_chats"]
        room.gateway.drains.forget(1)
        renamed(room, "Newer")
        await assert_before(room, lambda context: listed(context, BY_TITLE))


async def test_chat_that_a_drain_misses_is_committed_before_it_is_paged(folder: Path) -> None:
    async with a_room(folder, a_vendor(chats=[a_chat("c1"), a_chat("c2", title="Hidden")])) as room:
        await warm(room)
        real = room.source.drain_chats

        async def without_the_second(needs: frozenset[str]) -> Any:
            async for page in real(needs):
                yield replace(page, rows=[row for row in page.rows if row.native_id != "c2"])

        room.source.drain_chats = without_the_second  # type: ignore[method-assign]
        room.source.chats[1] = replace(room.source.chats[1], title="Found")
        with full(room.gateway.mirror_queue) as dropped:
            assert await listed(late(room), BY_TITLE) == ["A chat", "Found"]
        assert dropped == []


async def test_folders_are_committed_before_they_are_shown(folder: Path) -> None:
    vendor = a_vendor(also={Capability.MOVE_CHAT: native()}, has_folders=True)
    vendor.folders = [Folder(organization_id=1, source_id=1, native_id="f", name="Work")]
    async with a_room(folder, vendor) as room:
        await warm(room)

        async def names(context: Context) -> list[str]:
            found = await folders(context, PageRequest(first=10), FolderFilter(), 30_000)
            return [row.name for row in found.page.rows]

        assert await names(late(room)) == ["Work"]
        room.source.folders[0] = replace(room.source.folders[0], name="Play")
        await assert_before(room, names)
        assert await names(late(room)) == ["Play"]


@pytest.mark.parametrize("takes_message_ids", [True, False], ids=["ids-of-ours", "own-ids"])
async def test_reading_that_settles_our_own_message_waits_for_the_commit(folder: Path, takes_message_ids: bool) -> None:
    """The row is of the mutation that sent it: whoever repeats that is told what the reading has shown."""
    async with a_chat_room(folder, "One", takes_message_ids=takes_message_ids) as room:
        await warm(room)
        room.source.faults.append(Fault.AFTER)
        room.source.fails_after_send["read_messages"] = DOWN
        with pytest.raises(OutcomeUnknown):
            await say(room, "Ours", idempotency_key="k")
        room.source.fails_at.clear()
        await assert_before(room, messages_of)
        assert (await say(room, "Ours", idempotency_key="k")).replayed


async def test_chat_that_is_denied_twice_is_removed_before_the_answer(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        await warm(room)
        room.source.chats = []
        await assert_before(room, title_of)
        assert await logged(room) == [("CHAT_DELETED", "c1")]


async def test_more_rows_than_the_queue_ever_holds_are_committed_before_the_answer(folder: Path) -> None:
    async with a_chat_room(folder, *"abc") as room:
        await warm(room)
        room.gateway.mirror_queue.most_rows = 3
        room.source.says_by_itself("c1", "d")
        await assert_before(room, messages_of)


# Order


async def test_deletion_behind_a_reading_that_still_waits_wins(folder: Path) -> None:
    async with a_chat_room(folder, "One", also={Capability.DELETE_CHAT: native()}) as room:
        await warm(room)
        renamed(room, "New")
        room.source.says_by_itself("c1", "Two")
        async with held(room.gateway.store.database):
            await listed(late(room))
            await messages_of(late(room))
            deleting = asyncio.ensure_future(delete_chat(room.context(), chat_id=chat_id(room)))
            await room.source.until_asked("delete_chat")
        await deleting
        assert await kept_title(room) is None
        assert (await logged(room))[-1] == ("CHAT_DELETED", "c1")


async def test_own_write_behind_a_reading_that_still_waits_wins(folder: Path) -> None:
    async with a_chat_room(folder, "One", also={Capability.RENAME_CHAT: native()}) as room:
        await warm(room)
        renamed(room, "Old")
        async with held(room.gateway.store.database):
            assert await title_of(late(room)) == "Old"
            writing = asyncio.ensure_future(update_chat(room.context(), chat_id=chat_id(room), title="Ours"))
            await room.source.until_asked("rename_chat")
        assert (await writing).title == "Ours"
        assert await kept_title(room) == "Ours"


async def test_old_reading_that_is_written_late_changes_no_newer_row(folder: Path) -> None:
    """It was under way when the newer one began and ended, and comes behind it."""
    async with a_chat_room(folder, "One") as room:
        await warm(room)
        hold = room.source.hold_at["get_chat"] = asyncio.Event()
        real, old = room.source.get_chat, room.source.chats[0]

        async def answers_late(chat_id: str) -> Chat | None:
            await real(chat_id)
            return old

        room.source.get_chat = answers_late  # type: ignore[method-assign]
        asking = asyncio.ensure_future(title_of(late(room)))
        await room.source.until_asked("get_chat")
        renamed(room, "New")
        await listed(room.context())
        hold.set()
        assert await asking == "A chat"
        await room.gateway.mirror_queue.caught_up(1)
        assert await kept_title(room) == "New"
        assert await logged(room) == [("CHAT_UPDATED", "c1")]


async def test_old_reading_that_is_written_late_raises_no_chat_from_the_dead(folder: Path) -> None:
    async with a_chat_room(folder, "One", also={Capability.DELETE_CHAT: native()}) as room:
        await warm(room)
        hold = room.source.hold_at["read_messages"] = asyncio.Event()
        real, rows = room.source.read_messages, list(room.source.messages["c1"])
        before = room.source.chats

        async def answers_late(chat_id: str, window: Any) -> Any:
            room.source.chats, kept = before, room.source.chats
            try:
                return await real(chat_id, window)
            finally:
                room.source.chats = kept

        room.source.read_messages = answers_late  # type: ignore[method-assign]
        asking = asyncio.ensure_future(messages_of(late(room)))
        await room.source.until_asked("read_messages")
        store = room.gateway.store
        await store.database.write(lambda tx: store.chats.remove(tx, 1, 1, "c1", room.gateway.clock()))
        hold.set()
        assert await asking == [row.text for row in rows]
        await room.gateway.mirror_queue.caught_up(1)
        assert await kept_title(room) is None
        assert await logged(room) == [("CHAT_DELETED", "c1")]


# What answers from the mirror has seen what was shown before


async def test_copy_is_as_new_as_the_answer_before_it(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        await warm(room)
        renamed(room, "New")
        second = message_id(room, room.source.says_by_itself("c1", "Two").native_id)
        async with held(room.gateway.store.database) as go_on:
            await listed(late(room))
            await messages_of(late(room))
            room.source.fails = DOWN
            asks = [title_of, listed, messages_of, lambda context: get_message(context, second)]
            asking = [asyncio.ensure_future(ask(late(room))) for ask in asks]  # type: ignore[operator]
            await asyncio.sleep(0)
            assert not any(one.done() for one in asking)
            go_on.set()
            title, titles, words, message = await asyncio.gather(*asking)
        assert (title, titles, words, message.text) == ("New", ["New"], ["One", "Two"], "Two")


async def test_rest_of_a_reading_in_parts_is_as_an_answer_has_shown_it(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        await warm(room)
        for words in ("Two", "Three"):
            room.source.says_by_itself("c1", words)
        rows = list(room.source.messages["c1"])

        async def newest_only(chat_id: str, window: Any) -> MessagesRead:
            return MessagesRead(messages=rows[-1:], started_at=utc_now(), is_complete=False, has_before=True)

        async with held(room.gateway.store.database) as go_on:
            await messages_of(late(room))
            room.source.read_messages = newest_only  # type: ignore[method-assign]
            asking = asyncio.ensure_future(load_children(late(room), [(1, "c1", "m0")]))
            await asyncio.sleep(0)
            go_on.set()
            (children,) = await asking
        assert isinstance(children, list)
        assert [child.text for child in children] == ["Two"]


async def test_search_finds_what_an_answer_has_shown(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        await warm(room)
        room.source.says_by_itself("c1", "A needle")
        async with held(room.gateway.store.database) as go_on:
            await messages_of(late(room))
            asking = asyncio.ensure_future(search(late(room), "needle", PageRequest(first=5), SearchFilter(), 30_000))
            await asyncio.sleep(0)
            go_on.set()
            assert len((await asking).page.rows) == 1


async def test_chat_that_was_just_shown_is_asked_for_twice_before_it_is_taken_for_deleted(folder: Path) -> None:
    async with a_room(folder, a_vendor("vendor", "One", chats=[a_chat("c0")])) as room:
        await listed(room.context())
        room.source.chats.append(replace(room.source.chats[0], native_id="c1"))
        async with held(room.gateway.store.database) as go_on:
            await title_of(late(room))
            room.source.chats = []
            room.source.calls.clear()
            asking = asyncio.ensure_future(title_of(late(room)))
            await room.source.until_asked("get_chat")
            go_on.set()
            assert await asking is None
        assert room.source.calls == ["get_chat", "get_chat"]
        assert await kept_title(room) is None


# Full


async def test_query_is_answered_though_its_rows_find_no_room(folder: Path) -> None:
    dropped: list[int] = []
    async with a_room(folder, a_vendor("vendor", "One", chats=[a_chat("c1"), a_chat("c2")])) as room:
        await warm(room)
        queue = room.gateway.mirror_queue
        queue.most_rows, queue.on_dropped = 2, dropped.append
        async with held(room.gateway.store.database):
            renamed(room, "New")
            assert "New" in await listed(late(room))
            renamed(room, "Newer")
            assert "Newer" in await listed(late(room))
        await queue.caught_up(1)
        assert dropped == [2]
        assert await kept_title(room) == "New"
        assert "Newer" in await listed(late(room))
        await queue.caught_up(1)
        assert await kept_title(room) == "Newer"


async def test_nothing_but_what_queries_read_is_ever_dropped(folder: Path) -> None:
    """A baseline, an operation that is not marked, our own write, what is paged next: none asks the queue."""
    async with a_chat_room(folder, "One", also={Capability.RENAME_CHAT: native()}) as room:
        with full(room.gateway.mirror_queue) as dropped:
            await listed(late(room))
            renamed(room, "New")
            await listed(room.context())
            assert await kept_title(room) == "New"
            await update_chat(late(room), chat_id=chat_id(room), title="Ours")
            assert await kept_title(room) == "Ours"
            renamed(room, "Newest")
            await listed(late(room), BY_TITLE)
            assert await kept_title(room) == "Newest"
        assert dropped == []


# Nothing new


async def seen_by(room: Room) -> tuple[ChatsSeen, MessagesSeen]:
    target: SourceTarget = await source_target(room.context(), source_id(1), ())
    page = await target.live.list_chats(NEWEST_FIRST, None)
    read = await target.live.read_messages("c1", None)  # type: ignore[arg-type]
    assert read is not None
    ids: dict[str, Any] = {"organization_id": 1, "source_id": 1}
    return (
        ChatsSeen(**ids, rows=page.rows, started_at=page.started_at, from_newest=True, is_whole=page.next is None),
        MessagesSeen(
            **ids,
            chat_id="c1",
            messages=read.messages,
            started_at=read.started_at,
            is_whole=True,
            includes_newest=True,
            active_leaf=read.active_leaf,
        ),
    )


@pytest.mark.parametrize(("is_late", "statements"), [(True, 0), (False, 1)], ids=["behind", "before"])
async def test_rows_that_did_not_change_cost_no_statement(folder: Path, is_late: bool, statements: int) -> None:
    """Before an answer that promises a commit, one look whether another process wrote something in the meantime."""
    async with a_chat_room(folder, *"abcdef") as room:
        await warm(room)
        database = room.gateway.store.database
        list_, messages = await seen_by(room)
        context = late(room) if is_late else room.context()
        before = database.statements
        await mirror_chats(context, list_)
        assert database.statements - before == statements
        await mirror_messages(context, messages, replace(list_, from_newest=False, is_whole=False))
        assert database.statements - before == 2 * statements
        assert room.gateway.mirror_queue.rows == 0


async def test_answer_that_promises_a_commit_looks_for_other_processes(folder: Path) -> None:
    """What this process remembers says nothing of what another one has written since."""
    async with a_chat_room(folder, "One") as room:
        await warm(room)
        async with another_process(room) as other:
            renamed(other, "Theirs")
            await listed(other.context())
        renamed(room, "A chat")
        assert await listed(room.context()) == ["A chat"]
        assert await kept_title(room) == "A chat"
        assert await logged(room) == [("CHAT_UPDATED", "c1"), ("CHAT_UPDATED", "c1")]
