"""Asking a source, and what its silence or denial means."""

from dataclasses import replace
from pathlib import Path

import pytest

from domain.errors import BadCursor, BudgetExceeded, NotFound, SourceStatusCode, UpstreamUnavailable
from domain.ids import chat_id as global_chat_id
from domain.ids import message_id as global_message_id
from domain.paging import PageRequest
from domain.records import Message, MessageRole, MessageState, Role, Scope
from domain.source import MessagesRead, MessageWindow
from resolvers.chats import get_chat, load_unread_counts, version_of, viewer_can
from resolvers.context import Context, Tuning, utc_now
from resolvers.messages import (
    MessageList,
    MessageQuery,
    get_message,
    load_children,
    load_last_messages,
    load_messages,
    load_siblings,
)
from storage.messages import MessagesSeen
from tests.builders import a_message, at
from tests.resolvers.conftest import Room, a_room
from tests.resolvers.rooms import a_chat_room, a_vendor, chat_id, logged, message_id, shown, texts

pytestmark = pytest.mark.anyio
DOWN = UpstreamUnavailable("Down.", source_id=1, operation="get_chat")


async def page(room: Room, context: Context | None = None, branch: str | None = None, **part: object) -> MessageList:
    query = MessageQuery((1, "c1"), PageRequest(**part), branch)  # type: ignore[arg-type]
    (found,) = await load_messages(context or room.context(), [query])
    assert found is not None
    if isinstance(found, BaseException):
        raise found
    return found


def words(found: MessageList) -> list[str]:
    return [message.text for message in found.page.rows]


# Denial


async def test_chat_that_is_denied_twice_is_deleted(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        await get_chat(room.context(), chat_id(room))
        room.source.chats = []
        room.source.calls.clear()
        assert await get_chat(room.context(), chat_id(room)) is None
        assert room.source.calls == ["get_chat", "get_chat"]
        assert await logged(room) == [("CHAT_DELETED", "c1")]
        assert await room.gateway.store.chats.native_ids(1, 1) == []


async def test_chat_whose_messages_are_denied_is_asked_for_once_more(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        room.source.chats = []
        with pytest.raises(AssertionError):
            await shown(room)
        assert room.source.calls == ["read_messages", "get_chat"]
        assert await logged(room) == [("CHAT_DELETED", "c1")]


async def test_chat_that_is_denied_once_stays(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        hidden, room.source.chats = room.source.chats, []
        real = room.source.get_chat

        async def denies_once(native_id: str) -> object:
            answer = await real(native_id)
            room.source.chats = hidden
            return answer

        room.source.get_chat = denies_once  # type: ignore[assignment, method-assign]
        assert await get_chat(room.context(), chat_id(room)) is None
        assert await logged(room) == []


async def test_denial_and_then_no_answer_deletes_nothing(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        room.source.chats = []
        room.source.fails_at["get_chat"] = DOWN
        with pytest.raises(AssertionError):
            await shown(room)
        assert await logged(room) == []


async def test_chat_that_was_never_known_is_asked_for_once(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        assert await get_chat(room.context(), chat_id(room, "nowhere")) is None
        assert room.source.calls == ["get_chat"]


# No answer


async def test_chat_of_a_source_that_fails_is_our_copy(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        live = await get_chat(room.context(), chat_id(room))
        room.source.fails = DOWN
        copy = await get_chat(room.context(), chat_id(room))
        assert live is not None
        assert copy is not None
        assert (live.as_of, copy.title) == (None, live.title)
        assert copy.as_of is not None


async def test_chat_that_was_never_seen_is_the_error(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        room.source.fails = DOWN
        with pytest.raises(UpstreamUnavailable):
            await get_chat(room.context(), chat_id(room, "c9"))


async def test_messages_of_a_source_that_fails_are_our_copy_and_say_so(folder: Path) -> None:
    async with a_chat_room(folder, "One", "Two") as room:
        room.source.fails = DOWN
        found = await page(room, last=1)
        assert words(found) == ["Two"]
        assert (found.status.code, found.status.stale) == (SourceStatusCode.UPSTREAM_UNAVAILABLE, True)
        assert found.status.as_of is not None
        assert found.page.has_previous


async def test_messages_that_were_never_seen_are_the_error(folder: Path) -> None:
    async with a_room(folder, a_vendor("vendor", "One")) as room:
        room.source.fails = DOWN
        with pytest.raises(UpstreamUnavailable):
            await page(room, last=1)


async def test_single_message_of_a_source_that_fails_is_our_copy(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        room.source.fails = DOWN
        found = await get_message(room.context(), message_id(room, "m0"))
        assert found is not None
        assert found.text == "One"
        with pytest.raises(UpstreamUnavailable):
            await get_message(room.context(), message_id(room, "m9"))


# Windows


async def test_pages_of_a_path_both_ways(folder: Path) -> None:
    async with a_chat_room(folder, *"abcdef") as room:
        newest = await page(room, last=2)
        assert words(newest) == ["e", "f"]
        before = await page(room, last=3, before=newest.page.cursors[0])
        assert (words(before), before.page.has_previous, before.page.has_next) == (["b", "c", "d"], True, True)
        after = await page(room, first=2, after=before.page.cursors[-1])
        assert (words(after), after.page.has_next, after.page.total) == (["e", "f"], False, 6)


async def test_cursor_of_another_chat_is_refused(folder: Path) -> None:
    async with a_chat_room(folder, "a") as room:
        foreign = room.gateway.cursors.seal("messages", room.organization.id, [1, "c2", "m0"])
        with pytest.raises(BadCursor):
            await page(room, first=1, after=foreign)


async def test_branch_is_another_path(folder: Path) -> None:
    async with a_chat_room(folder, "Question", "First answer") as room:
        other = replace(room.source.messages["c1"][1], native_id="m2", text="Second answer", created_at=at(9))
        room.source.messages["c1"].append(other)
        assert await texts(room) == ["Question", "Second answer"]
        branch = await page(room, last=9, branch=message_id(room, "m1"))
        assert words(branch) == ["Question", "First answer"]
        with pytest.raises(BadCursor):
            await page(room, last=9, branch=message_id(room, "m9"))
        with pytest.raises(NotFound):
            await page(room, last=9, branch=chat_id(room))
        room.source.fails = DOWN
        assert words(await page(room, last=9, branch=message_id(room, "m1"))) == ["Question", "First answer"]


async def test_answer_that_was_stopped_stays_so_where_the_source_does_not_show_it(folder: Path) -> None:
    """The row is ours: it was followed until it was stopped. Afterwards the source shows an answer like any other."""
    async with a_chat_room(folder, "Question", "Half an", tells_endings=False) as room:
        stopped = replace(room.source.messages["c1"][1], state=MessageState.CANCELLED)
        await room.gateway.store.database.write(
            lambda tx: room.gateway.store.messages.observe(
                tx,
                MessagesSeen(
                    organization_id=1,
                    source_id=1,
                    chat_id="c1",
                    messages=[stopped],
                    started_at=utc_now(),
                    is_whole=False,
                    includes_newest=False,
                    is_own_write=True,
                ),
            )
        )
        assert [row.state for row in (await page(room, last=9)).page.rows] == [
            MessageState.COMPLETE,
            MessageState.CANCELLED,
        ]
        assert [kind for kind, _ in await logged(room)] == ["MESSAGE_UPDATED"]


async def test_relatives_of_a_message(folder: Path) -> None:
    async with a_chat_room(folder, "Question", "First answer") as room:
        other = replace(room.source.messages["c1"][1], native_id="m2", text="Second answer", created_at=at(9))
        room.source.messages["c1"].append(other)
        context = room.context()
        keys = [(1, "c1", "m1"), (1, "c1", "m9"), (1, "c9", "m1")]
        siblings = await load_siblings(context, keys)
        children = await load_children(context, [(1, "c1", "m0")])
        assert [[m.native_id for m in group] if isinstance(group, list) else group for group in siblings] == [
            ["m1", "m2"],
            None,
            None,
        ]
        assert [[m.native_id for m in group] for group in children if isinstance(group, list)] == [["m1", "m2"]]


async def test_relatives_of_a_source_that_fails_are_not_known(folder: Path) -> None:
    async with a_chat_room(folder, "Question") as room:
        room.source.fails = DOWN
        assert await load_siblings(room.context(), [(1, "c1", "m0")]) == [None]


async def test_newest_message_of_each_chat(folder: Path) -> None:
    async with a_chat_room(folder, "One", "Two") as room:
        found = await load_last_messages(room.context(), [(1, "c1"), (1, "c9")])
        assert [one.text if isinstance(one, Message) else one for one in found] == ["Two", None]


async def test_more_chats_than_the_budget_are_refused_before_any_call(folder: Path) -> None:
    async with a_chat_room(folder, tuning=Tuning(call_budget=2)) as room:
        queries = [MessageQuery((1, f"c{n}"), PageRequest(last=1)) for n in range(3)]
        with pytest.raises(BudgetExceeded) as caught:
            await load_messages(room.context(), queries)
        assert (caught.value.budget, caught.value.planned) == (2, 3)
        assert room.source.calls == []


async def test_source_that_reads_parts_still_finds_older_messages(folder: Path) -> None:
    async with a_chat_room(folder, "One", "Two") as room:
        rows = room.source.messages["c1"]

        async def newest_only(native_id: str, window: MessageWindow) -> MessagesRead:
            return MessagesRead(messages=rows[-1:], started_at=utc_now(), is_complete=False, has_before=True)

        room.source.read_messages = newest_only  # type: ignore[assignment, method-assign]
        found = await get_message(room.context(), message_id(room, "m0"))
        assert found is not None
        assert found.text == "One"


async def test_deleted_message_is_found_without_its_words(folder: Path) -> None:
    async with a_chat_room(folder, "One", "Two") as room:
        del room.source.messages["c1"][1]
        await shown(room)
        found = await get_message(room.context(), message_id(room, "m1"))
        assert found is not None
        assert (found.text, found.deleted_at is None) == ("", False)


async def test_ids_of_messages_that_are_none(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        for text in ["", "x", chat_id(room), message_id(room, "m9"), global_message_id(9, "c1", "m0")]:
            assert await get_message(room.context(), text) is None
        assert await get_chat(room.context(), global_chat_id(9, "c1")) is None


# What belongs to a chat


async def test_version_changes_with_the_title_and_not_with_messages(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        seen = []
        for step in range(3):
            if step == 1:
                room.source.says_by_itself("c1", "More", MessageRole.USER)
            if step == 2:
                await room.source.rename_chat("c1", "Another")
            chat = await get_chat(room.context(), chat_id(room))
            assert chat is not None
            seen.append(await version_of(room.context(), chat))
        assert seen[0] == seen[1] != seen[2]
        assert seen[0] is not None


async def test_viewer_can_read_only(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        chat = await get_chat(room.context(), chat_id(room))
        assert chat is not None
        reader = room.context(role=Role.VIEWER, scopes=frozenset({Scope.READ}))
        names = {capability.value for capability in await viewer_can(reader, chat)}
        assert "READ_CHAT" in names
        assert "SEND_MESSAGE" not in names
        assert "SEND_MESSAGE" in {capability.value for capability in await viewer_can(room.context(), chat)}


async def test_unread_count_is_unknown_without_a_marker(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        assert await load_unread_counts(room.context(), [(1, "c1")]) == [None]


async def test_message_kept_at_the_source_only_is_read_through(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        room.source.messages["c1"] = [a_message("m5", organization_id=1, source_id=1)]
        found = await get_message(room.context(), message_id(room, "m5"))
        assert found is not None
        assert await room.gateway.store.messages.get(1, 1, "c1", "m5") is not None
