"""Streams: nothing missed, nothing twice, nothing for other people's eyes."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from domain.capabilities import Capability, overlay
from domain.errors import BadCursor, InvalidArgument, NotFound, SourceStatusCode, StreamGapFound, UpstreamUnavailable
from domain.ids import folder_id
from domain.records import GATEWAY, EventKind, MessageRole, MessageState, Visibility
from resolvers.chat_writes import mark_chat_read, move_chat, set_chat_pinned
from resolvers.context import Tuning, utc_now
from resolvers.folders import create_folder
from resolvers.live import chat_events, message_added
from resolvers.live_events import CaughtUp, DeltaCame, Gap, GapReason, Happened
from resolvers.sending import ReplyMode
from resolvers.wanted import ChatEventFilter, MessageEventFilter
from storage.messages import Link, MessagesSeen
from tests.builders import a_chat, a_principal, at
from tests.resolvers.conftest import Room, a_room
from tests.resolvers.rooms import Ear, a_chat_room, a_vendor, an_ear, chat_id, say, settled, shown, source_id
from tests.streams import leaving
from tests.tier import count

pytestmark = pytest.mark.anyio
OURS: dict[str, Any] = {"takes_message_ids": True}


def seqs(ear: Ear) -> list[int]:
    return [event.event.seq for event in ear.heard if isinstance(event, Happened)]


def words(ear: Ear) -> list[str]:
    return [event.message.text for event in ear.heard if isinstance(event, Happened) and event.message is not None]


async def test_stream_without_a_position_begins_now(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        await say(room, "Before")
        stream = chat_events(room.context(), chat_ids=None, filter_=ChatEventFilter(), after=None)
        async with leaving(stream):
            first = asyncio.ensure_future(anext(aiter(stream)))
            await say(room, "Perhaps before")
            await say(room, "After")
            event = await first
            assert isinstance(event, Happened)
            assert event.message is None or event.message.text != "Before"


async def test_replay_is_the_log_behind_the_position_in_order_and_then_caught_up(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        start = await room.context().event_cursor()
        for text in ["One", "Two", "Three"]:
            await say(room, text)
        async with an_ear(room, after=start) as ear:
            assert words(ear) == ["One", "Two", "Three"]
            last = ear.heard[-1]
            assert isinstance(last, CaughtUp)
            assert last.incomplete == []
            assert last.cursor == await room.context().event_cursor()


async def test_cursor_of_the_last_event_continues_behind_it(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        start = await room.context().event_cursor()
        await say(room, "One")
        await say(room, "Two")
        async with an_ear(room, after=start) as ear:
            first = ear.heard[0]
        async with an_ear(room, after=first.cursor) as ear:
            assert words(ear) == ["Two"]


async def test_last_event_id_wins_over_after(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        start = await room.context().event_cursor()
        await say(room, "One")
        now = await room.context().event_cursor()
        await say(room, "Two")
        async with an_ear(room, room.context(last_event_id=now), after=start) as ear:
            assert words(ear) == ["Two"]


@pytest.mark.parametrize("seed", range(count(long=50, least=2)))
async def test_replay_while_others_write_has_no_hole_and_nothing_twice(folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    tuning = Tuning(event_batch=chance.choice([1, 2, 3, 500]))
    async with a_chat_room(folder, tuning=tuning, **OURS) as room:
        start = await room.context().event_cursor()

        async def writer(name: str) -> None:
            for number in range(4):
                for _ in range(chance.randrange(30)):
                    await asyncio.sleep(0)
                await say(room, f"{name}{number}")

        writing = asyncio.gather(writer("a"), writer("b"))
        async with an_ear(room, after=start) as ear:
            await writing
            while len(words(ear)) < 8:
                await ear.next()
        assert sorted(words(ear)) == sorted(f"{name}{number}" for name in "ab" for number in range(4))
        assert seqs(ear) == sorted(set(seqs(ear)))


async def page_and_stream(room: Room, chance: random.Random, foreign: bool) -> None:
    """Somebody writes at any moment while a client reads a page and subscribes from its cursor."""

    async def write() -> None:
        for _ in range(chance.randrange(120)):
            await asyncio.sleep(0)
        if foreign:
            room.source.says_by_itself("c1", "Written")
        else:
            await say(room, "Written")

    before = len(room.source.messages["c1"])
    writing = asyncio.ensure_future(write())
    context = room.context()
    cursor = await context.event_cursor()
    page = [row.native_id for row in await shown(room)]
    if chance.random() < 0.5:
        await writing
    async with an_ear(room, after=cursor, chats=[chat_id(room)]) as ear:
        await writing
        last = room.source.messages["c1"][before].native_id
        seen = {event.event.native_id for event in ear.heard if isinstance(event, Happened)}
        while last not in {*page, *seen}:
            event = await ear.next()
            if isinstance(event, Happened):
                seen.add(event.event.native_id)


@pytest.mark.parametrize("foreign", [False, True], ids=["through-us", "elsewhere"])
@pytest.mark.parametrize("kind", [True, False], ids=["ids-of-ours", "ids-of-its-own"])
async def test_page_and_the_stream_behind_it_miss_nothing(folder: Path, foreign: bool, kind: bool) -> None:
    chance = random.Random(7)
    async with a_chat_room(folder, "Before", takes_message_ids=kind) as room:
        known = 0
        for _ in range(count(long=500) // 4 + 1):
            if foreign or kind:
                await asyncio.wait_for(page_and_stream(room, chance, foreign), 20)
            else:
                await _by_words(room, chance)
            known += 1
        assert len(room.source.messages["c1"]) == known + 1


async def _by_words(room: Room, chance: random.Random) -> None:
    """The same for a source whose own ids clients never see."""
    text = f"Written {len(room.source.messages['c1'])}"

    async def write() -> None:
        for _ in range(chance.randrange(120)):
            await asyncio.sleep(0)
        await say(room, text)

    writing = asyncio.ensure_future(write())
    cursor = await room.context().event_cursor()
    page = [row.native_id for row in await shown(room) if row.text == text]
    async with an_ear(room, after=cursor, chats=[chat_id(room)]) as ear:
        await writing
        while not page and text not in words(ear):
            await ear.next()
        rows = [row.native_id for row in await shown(room) if row.text == text]
        streamed = {e.message.native_id for e in ear.heard if isinstance(e, Happened) and e.message is not None}
        assert len(rows) == 1
        assert {*page, *(streamed if text in words(ear) else rows)} >= set(rows)


async def test_caught_up_has_read_the_source_and_delivered_what_it_showed(folder: Path) -> None:
    async with a_chat_room(folder, "Before", **OURS) as room:
        start = await room.context().event_cursor()
        room.source.says_by_itself("c1", "Meanwhile")
        async with an_ear(room, after=start, chats=[chat_id(room)]) as ear:
            assert words(ear) == ["Meanwhile"]


async def test_caught_up_reads_the_list_when_no_chat_is_named(folder: Path) -> None:
    async with a_room(folder, a_vendor()) as room:
        async with an_ear(room):
            pass
        start = await room.context().event_cursor()
        room.source.chats.append(
            a_chat("c2", organization_id=room.organization.id, source_id=1, created_at=at(9), updated_at=at(9))
        )
        async with an_ear(room, after=start) as ear:
            assert [(e.event.kind, e.event.native_id) for e in ear.heard if isinstance(e, Happened)] == [
                (EventKind.CHAT_CREATED, "c2")
            ]


async def test_source_that_fails_or_is_late_is_named_as_incomplete(folder: Path) -> None:
    tuning = Tuning(caught_up_seconds=0.02)
    async with a_room(folder, a_vendor("good"), a_vendor("down"), a_vendor("late"), tuning=tuning) as room:
        room.sources["down"].fails = UpstreamUnavailable("Down.", source_id=2, operation="list_chats")
        room.sources["late"].hold = asyncio.Event()
        async with an_ear(room) as ear:
            last = ear.heard[-1]
        assert isinstance(last, CaughtUp)
        incomplete = {status.source.key: status.code for status in last.incomplete}
        assert incomplete.pop("down") is SourceStatusCode.UPSTREAM_UNAVAILABLE
        assert incomplete.pop("late") is SourceStatusCode.TIMEOUT
        assert set(incomplete) <= {"good"}, "a slow machine may be late, too"


async def test_source_that_cannot_be_opened_is_incomplete_and_ends_nothing(folder: Path) -> None:
    async with a_room(folder, a_vendor("good", **OURS), a_vendor("gone")) as room:
        await shown(room)
        del room.gateway.connectors["gone"]  # type: ignore[attr-defined]
        async with an_ear(room) as ear:
            last = ear.heard[-1]
            assert isinstance(last, CaughtUp)
            assert [status.source.key for status in last.incomplete] == ["gone"]
            await say(room, "Hi")
            await ear.until(Happened)
            assert words(ear) == ["Hi"]


async def expire(room: Room) -> None:
    await room.gateway.store.database.write(
        lambda tx: room.gateway.store.events.forget_before(tx, room.organization.id, at(10**9))
    )


async def test_position_older_than_the_log_is_a_gap_and_the_stream_goes_on_behind_it(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        start = await room.context().event_cursor()
        await say(room, "Lost")
        await expire(room)
        async with an_ear(room, after=start) as ear:
            gap = ear.heard[0]
            assert isinstance(gap, Gap)
            assert (gap.gap_from, gap.reason) == (start, GapReason.EXPIRED)
            assert gap.gap_to == gap.cursor == await room.context().event_cursor()
            await say(room, "Next")
            await ear.until(Happened)
            assert words(ear) == ["Next"]


async def test_position_at_the_head_of_an_emptied_log_misses_nothing(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        await say(room, "Seen")
        start = await room.context().event_cursor()
        await expire(room)
        async with an_ear(room, after=start) as ear:
            assert not any(isinstance(event, Gap) for event in ear.heard)


async def test_position_of_the_future_is_a_gap(folder: Path) -> None:
    """The store was put back from a copy."""
    async with a_chat_room(folder, **OURS) as room:
        future = room.gateway.feed.cursor_at(room.organization.id, 99)
        async with an_ear(room, after=future) as ear:
            assert isinstance(ear.heard[0], Gap)


async def test_gap_ends_a_stream_of_messages_with_where_to_resume(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        start = await room.context().event_cursor()
        await say(room, "Lost")
        await expire(room)
        stream = message_added(room.context(), chat_id=None, filter_=MessageEventFilter(), after=start)
        with pytest.raises(StreamGapFound) as caught:
            await anext(aiter(stream))
        assert caught.value.gap_to == await room.context().event_cursor()
        assert room.gateway.feed.count() == 0


async def given_up(room: Room, chat: str = "c1") -> None:
    """More was written into a chat than a feed can read back."""
    message = room.source.says_by_itself(chat, "Far behind what is known")
    seen = MessagesSeen(
        organization_id=room.organization.id,
        source_id=1,
        chat_id=chat,
        messages=[message],
        started_at=utc_now(),
        is_whole=False,
        includes_newest=True,
        link=Link.JOINED,
        begins_anew=True,
    )
    await room.gateway.store.database.write(lambda tx: room.gateway.store.messages.observe(tx, seen))


async def test_what_a_source_did_not_show_is_a_gap_of_its_chat_between_two_positions(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        start = await room.context().event_cursor()
        await say(room, "Before")
        certain = await room.context().event_cursor()
        await given_up(room)
        again = await room.context().event_cursor()
        await say(room, "After")
        for wants in ({}, {"chats": [chat_id(room)]}, {"kinds": ("MESSAGE_CREATED",)}, {"source_ids": (source_id(1),)}):
            async with an_ear(room, after=start, **wants) as ear:
                (gap,) = [event for event in ear.heard if isinstance(event, Gap)]
                assert (gap.gap_from, gap.gap_to, gap.cursor) == (certain, again, again)
                assert (gap.reason, gap.only_chat) == (GapReason.SOURCE_INTERRUPTED, (1, "c1"))
                assert words(ear) == ["Before", "After"]


async def test_gap_of_another_chat_or_source_is_nobody_elses(folder: Path) -> None:
    one = a_vendor("one", chats=[a_chat("c1"), a_chat("c2")], **OURS)
    async with a_room(folder, one, a_vendor("two", **OURS)) as room:
        start = await room.context().event_cursor()
        await given_up(room)
        for wants in ({"chats": [chat_id(room, "c2")]}, {"source_ids": (source_id(2),)}):
            async with an_ear(room, after=start, **wants) as ear:
                assert not any(isinstance(event, Gap) for event in ear.heard)


async def test_gap_of_a_chat_ends_its_stream_of_messages_and_says_where_to_go_on(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        start = await room.context().event_cursor()
        await given_up(room)
        again = await room.context().event_cursor()
        await say(room, "After")
        wants: dict[str, Any] = {"chat_id": chat_id(room), "filter_": MessageEventFilter()}
        with pytest.raises(StreamGapFound) as caught:
            await anext(aiter(message_added(room.context(), after=start, **wants)))
        assert caught.value.gap_to == again
        assert "read back" in caught.value.message
        stream = message_added(room.context(), after=caught.value.gap_to, **wants)
        async with leaving(stream):
            event = await anext(aiter(stream))
            assert event.message is not None
            assert event.message.text == "After"


async def test_forged_foreign_and_other_cursors_give_no_position(folder: Path) -> None:
    """They cannot be told from one signed by a key that is gone, whose holder may have missed something: a gap, and how to go on."""
    async with a_chat_room(folder, **OURS) as room:
        own = room.gateway.feed.cursor_at(room.organization.id, 0)
        foreign = room.gateway.feed.cursor_at(room.neighbour.id, 0)
        other_list = room.gateway.cursors.seal("chats", room.organization.id, [0])
        no_position = room.gateway.cursors.seal("events", room.organization.id, {"seq": 0})
        for cursor in [own[:-2], own + "A", "", "ö", foreign, other_list, no_position]:
            stream = message_added(room.context(), chat_id=None, filter_=MessageEventFilter(), after=cursor)
            with pytest.raises((BadCursor, StreamGapFound)):
                await asyncio.wait_for(anext(aiter(stream)), 5)
        assert room.gateway.feed.count() == 0


async def test_private_source_is_never_heard_by_others(folder: Path) -> None:
    mine = a_vendor("mine", record={"visibility": Visibility.OWNER, "owner": "key:1"}, **OURS)
    async with a_room(folder, mine, a_vendor("ours", **OURS)) as room:
        start = await room.context().event_cursor()
        await say(room, "Secret", reply=ReplyMode.WAIT)
        await say(room, "Open", chat_id=chat_id(room, source="ours"))
        other = room.context(principal=a_principal(key="key:2"))
        async with an_ear(room, other, after=start) as ear:
            assert words(ear) == ["Open"]
            room.source.words = asyncio.Queue()
            await say(room, "Secret", reply=ReplyMode.STREAM)
            await room.source.grows_to("Secret words")
            await say(room, "Last", chat_id=chat_id(room, source="ours"))
            while "Last" not in words(ear):
                assert not isinstance(await ear.next(), DeltaCame)
            room.source.words.put_nowait(MessageState.COMPLETE)
            await settled(room)
        async with an_ear(room, after=start) as ear:
            assert "Secret" in words(ear)


async def test_subscription_to_a_private_chat_of_somebody_else_is_not_found(folder: Path) -> None:
    record = {"visibility": Visibility.OWNER, "owner": "key:1"}
    async with a_chat_room(folder, record=record) as room:
        other = room.context(principal=a_principal(key="key:2"))
        refused: list[dict[str, Any]] = [
            {"chat_ids": [chat_id(room)]},
            {"filter_": ChatEventFilter(source_ids=(source_id(1),))},
        ]
        for wants in refused:
            arguments: dict[str, Any] = {"chat_ids": None, "filter_": ChatEventFilter(), "after": None, **wants}
            with pytest.raises(NotFound):
                await anext(aiter(chat_events(other, **arguments)))


async def test_read_state_is_told_to_its_principal_only(folder: Path) -> None:
    async with a_chat_room(folder, "Before", **OURS) as room:
        start = await room.context().event_cursor()
        await mark_chat_read(room.context(), chat_id=chat_id(room), up_to_message_id=None)
        kinds = {}
        for key in ["key:1", "key:2"]:
            async with an_ear(room, room.context(principal=a_principal(key=key)), after=start) as ear:
                kinds[key] = [event.event.kind for event in ear.heard if isinstance(event, Happened)]
        assert kinds == {"key:1": [EventKind.READ_STATE_CHANGED], "key:2": []}


async def test_filter_by_kind_source_and_chat(folder: Path) -> None:
    one = a_vendor("one", chats=[a_chat("c1"), a_chat("c2")], **OURS)
    async with a_room(folder, one, a_vendor("two", **OURS)) as room:
        start = await room.context().event_cursor()
        await say(room, "One")
        await say(room, "Other chat", chat_id=chat_id(room, "c2"))
        await say(room, "Two", chat_id=chat_id(room, source="two"))
        await set_chat_pinned(room.context(), chat_id=chat_id(room), pinned=True)
        cases: list[tuple[dict[str, Any], list[str]]] = [
            ({"kinds": ("MESSAGE_CREATED",)}, ["One", "Other chat", "Two"]),
            ({"kinds": ("MESSAGE_CREATED",), "source_ids": (source_id(2),)}, ["Two"]),
            ({"kinds": ("CHAT_UPDATED",), "chats": [chat_id(room, "c2")]}, []),
            ({"chats": [chat_id(room, "c2")]}, ["Other chat"]),
        ]
        for wants, expected in cases:
            async with an_ear(room, after=start, **wants) as ear:
                assert words(ear) == expected, wants


async def test_filter_by_role(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        start = await room.context().event_cursor()
        await say(room, "Question", reply=ReplyMode.WAIT)
        filter_ = MessageEventFilter(roles=(MessageRole.ASSISTANT,))
        stream = message_added(room.context(), chat_id=None, filter_=filter_, after=start)
        async with leaving(stream):
            event = await anext(aiter(stream))
            assert event.message is not None
            assert event.message.role is MessageRole.ASSISTANT


async def test_filter_by_folder_holds_for_words_too(folder: Path) -> None:
    one = a_vendor("one", chats=[a_chat("c1"), a_chat("c2")], **OURS)
    async with a_room(folder, one) as room:
        made = await create_folder(room.context(), name="F", parent_id=None, source_id=None, idempotency_key=None)
        inside = folder_id(GATEWAY, made.value.native_id)
        await move_chat(room.context(), chat_id=chat_id(room, "c1"), folder_id=inside)
        async with an_ear(room, folder_ids=(inside,)) as ear:
            await say(room, "Outside", chat_id=chat_id(room, "c2"), reply=ReplyMode.WAIT)
            room.source.words = asyncio.Queue()
            await say(room, "Inside", reply=ReplyMode.STREAM)
            await room.source.grows_to("Inside too")
            await ear.until(DeltaCame)
            room.source.words.put_nowait(MessageState.COMPLETE)
            await settled(room)
        assert {event.event.chat_id for event in ear.heard if isinstance(event, Happened)} == {"c1"}
        assert [e.delta.chat_id for e in ear.heard if isinstance(e, DeltaCame)] == ["c1"]


async def test_words_come_only_behind_the_line_that_announces_their_reply(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        for _ in range(count(long=50, least=3)):
            room.source.words = asyncio.Queue()
            async with an_ear(room) as ear:
                sent = await say(room, reply=ReplyMode.STREAM)
                await room.source.grows_to("Some words")
                await ear.until(DeltaCame)
                room.source.words.put_nowait(MessageState.COMPLETE)
                await settled(room)
            assert sent.reply is not None
            about = [event for event in ear.heard if not isinstance(event, CaughtUp)]
            announced = [isinstance(e, Happened) and e.event.native_id == sent.reply.native_id for e in about]
            assert announced.index(True) < [isinstance(e, DeltaCame) for e in about].index(True)


async def test_words_of_a_finished_reply_do_not_come_behind_its_end(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        async with an_ear(room) as ear:
            await say(room, reply=ReplyMode.WAIT)
            await say(room, "Last")
            while "Last" not in words(ear):
                await ear.next()
        is_over = False
        for event in ear.heard:
            if isinstance(event, Happened) and event.event.kind is EventKind.MESSAGE_UPDATED:
                is_over = True
            assert not (is_over and isinstance(event, DeltaCame))
        assert is_over


async def test_listener_that_dropped_words_gets_them_whole(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        room.source.words = asyncio.Queue()
        async with an_ear(room) as ear:
            await say(room, reply=ReplyMode.STREAM)
            await room.source.grows_to("x")
            await ear.until(DeltaCame)
            text = "x"
            for _ in range(300):
                text += "y"
                await room.source.grows_to(text)
            first = await ear.until(DeltaCame)
            assert isinstance(first, DeltaCame)
            assert first.delta.offset == 0
            rebuilt = first.delta.text
            while rebuilt != text:
                event = await ear.until(DeltaCame)
                assert isinstance(event, DeltaCame)
                assert event.delta.offset == len(rebuilt)
                rebuilt += event.delta.text
            room.source.words.put_nowait(MessageState.COMPLETE)
            await settled(room)


async def test_leaving_leaves_no_listener(folder: Path) -> None:
    async with a_chat_room(folder, **OURS) as room:
        async with an_ear(room), an_ear(room):
            assert room.gateway.feed.count() == 2
        assert room.gateway.feed.count() == 0
        stream = message_added(room.context(), chat_id=None, filter_=MessageEventFilter(), after=None)
        waiting = asyncio.ensure_future(anext(aiter(stream)))
        await say(room, "Hi")
        await waiting
        await stream.aclose()  # type: ignore[attr-defined]
        assert room.gateway.feed.count() == 0


@pytest.mark.parametrize("number", [0, 101])
async def test_number_of_chats_is_bounded(folder: Path, number: int) -> None:
    async with a_chat_room(folder) as room:
        with pytest.raises(InvalidArgument) as caught:
            await anext(
                aiter(
                    chat_events(
                        room.context(), chat_ids=[chat_id(room)] * number, filter_=ChatEventFilter(), after=None
                    )
                )
            )
        assert caught.value.path == ("chatIds",)


async def test_chat_in_an_event_has_its_overlay(folder: Path) -> None:
    async with a_chat_room(folder, also={Capability.PIN_CHAT: overlay()}, **OURS) as room:
        start = await room.context().event_cursor()
        await set_chat_pinned(room.context(), chat_id=chat_id(room), pinned=True)
        async with an_ear(room, after=start) as ear:
            event = ear.heard[0]
            assert isinstance(event, Happened)
            assert event.chat is not None
            assert event.chat.pinned is True
