"""Telling many at once: executed once, in order, without a hole and nothing twice, whoever comes and goes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.engine.log import Receiver, Room

pytestmark = pytest.mark.anyio


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    """Afterwards nothing of it may go on."""
    room = Room()
    yield room
    await room.broadcasts.aclose()
    assert len(room.broadcasts) == 0
    assert room.log.readers == 0


async def joined(room: Room, *receivers: Receiver) -> None:
    for receiver in receivers:
        assert await room.join(receiver)
    await room.quiet()


async def test_event_is_executed_once_for_all(room: Room) -> None:
    ears = [Receiver() for _ in range(50)]
    await joined(room, *ears)
    room.log.add("a")
    room.log.add("b")
    await room.quiet()
    assert [event for event, _ in room.executed] == ["a", "b"]
    assert all(ear.events == ["a", "b"] for ear in ears)
    assert len({id(ear.heard[0]) for ear in ears}) == 1, "serialised once, too"


async def test_each_event_has_a_context_of_its_own_and_of_nobody(room: Room) -> None:
    await joined(room, Receiver(who="ann"))
    room.log.add("a")
    room.log.add("b")
    await room.quiet()
    first, second = (context for _, context in room.executed)
    assert first is not second
    assert first == {"who": ("all", None), "request_id": "broadcast-1"}


async def test_who_comes_later_hears_what_comes_later(room: Room) -> None:
    early = Receiver()
    await joined(room, early)
    room.log.add("a")
    await room.quiet()
    late = Receiver(position=room.log.head)
    await joined(room, late)
    room.log.add("b")
    await room.quiet()
    assert (early.events, late.events) == (["a", "b"], ["b"])


async def test_who_stands_a_little_behind_gets_what_is_kept(room: Room) -> None:
    await joined(room, Receiver())
    for event in "abc":
        room.log.add(event)
    await room.quiet()
    behind = Receiver(position=1)
    await joined(room, behind)
    assert behind.events == ["b", "c"]
    assert [event for event, _ in room.executed] == ["a", "b", "c"], "nothing is executed again"


async def test_who_stands_before_what_is_kept_has_to_catch_up(room: Room) -> None:
    for _ in range(3):
        room.log.add("old")
    first = Receiver(position=3)
    await joined(room, first)
    assert await room.join(Receiver(position=2)) is None
    for number in range(400):
        room.log.add(number)
    await room.quiet()
    assert await room.join(Receiver(position=3)) is None, "the ring has an end"
    near = Receiver(position=400)
    await joined(room, near)
    assert near.events == ["397", "398", "399"]


async def test_who_stands_ahead_hears_nothing_twice(room: Room) -> None:
    """It has read further than the broadcast has by now."""
    held = room.hold["a"] = asyncio.Event()
    slow = Receiver()
    await joined(room, slow)
    room.log.add("a")
    room.log.add("b")
    await room.quiet()
    ahead = Receiver(position=1)
    await joined(room, ahead)
    held.set()
    await room.quiet()
    assert (slow.events, ahead.events) == (["a", "b"], ["b"])


async def test_who_has_no_room_falls_out_where_it_stands_and_costs_nobody(room: Room) -> None:
    full, free = Receiver(room=1), Receiver()
    await joined(room, full, free)
    for event in "abc":
        room.log.add(event)
    await room.quiet()
    assert (full.events, full.position, full.fell) == (["a"], 1, 1)
    assert free.events == ["a", "b", "c"]
    full.room = 10
    await joined(room, full)
    assert full.events == ["a", "b", "c"]


async def test_who_has_no_room_for_what_is_kept_does_not_join(room: Room) -> None:
    await joined(room, Receiver())
    for event in "abc":
        room.log.add(event)
    await room.quiet()
    full = Receiver(room=2)
    assert await room.join(full) is None
    assert (full.events, full.position) == (["a", "b"], 2)


async def test_quiet_listener_stands_where_the_broadcast_does(room: Room) -> None:
    """Lines that nobody wants are passed by all: who falls out much later does not read them again."""
    ear = Receiver()
    await joined(room, ear)
    for _ in range(5):
        room.log.add(None)
    await room.quiet()
    broadcast = await room.join(Receiver(position=5))
    assert broadcast is not None
    broadcast.leave(ear)
    assert ear.position == 5


# What is for one alone


async def test_own_form_goes_to_its_one_alone_with_its_own_context(room: Room) -> None:
    ann, twice, bob = Receiver(who="ann"), Receiver(who="ann"), Receiver(who="bob")
    await joined(room, ann, bob, twice)
    room.log.add("common", to="ann", own="own")
    room.log.add(None, to="bob", own="secret")
    await room.quiet()
    assert (ann.events, twice.events, bob.events) == (["own"], ["own"], ["common", "secret"])
    assert [(event, context["who"]) for event, context in room.executed] == [
        ("common", ("all", None)),
        ("own", "ann"),
        ("secret", "bob"),
    ]


async def test_own_form_is_not_made_for_somebody_who_is_not_there(room: Room) -> None:
    await joined(room, Receiver(who="bob"))
    room.log.add("common", to="ann", own="own")
    await room.quiet()
    assert [event for event, _ in room.executed] == ["common"]


async def test_who_comes_for_an_own_form_that_was_not_made_has_to_catch_up(room: Room) -> None:
    bob = Receiver(who="bob")
    await joined(room, bob)
    room.log.add("common", to="ann", own="own")
    await room.quiet()
    assert await room.join(Receiver(who="ann")) is None

    held = room.hold["next"] = asyncio.Event()
    room.log.add("common", to="ann", own="own")
    room.log.add("next")
    await room.quiet()
    ann = Receiver(who="ann", position=1)
    await joined(room, ann)
    held.set()
    await room.quiet()
    assert (ann.events, ann.position, ann.fell) == ([], 1, 1)
    assert bob.events == ["common", "common", "next"]


async def test_operation_that_depends_on_the_viewer_is_shared_with_nobody_else(room: Room) -> None:
    ann, twice, bob = Receiver(who="ann"), Receiver(who="ann"), Receiver(who="bob")
    for ear in (ann, twice, bob):
        assert await room.join(ear, "subscription { mine }")
    assert len(room.broadcasts) == 2
    room.log.add("a")
    await room.quiet()
    assert sorted(context["who"] for _, context in room.executed) == [("all", "ann"), ("all", "bob")]


# What grows


async def test_pieces_are_told_as_such_and_whole_to_who_has_had_none(room: Room) -> None:
    early = Receiver()
    await joined(room, early)
    room.log.say("reply", "One", "One")
    room.log.say("reply", " two", "One two")
    await room.quiet()
    late = Receiver()
    await joined(room, late)
    room.log.say("reply", " three", "One two three")
    room.log.say("reply", " four", "One two three four")
    await room.quiet()
    assert early.events == ["One", " two", " three", " four"]
    assert late.events == ["One two three", " four"]


async def test_form_that_nobody_needs_is_not_made(room: Room) -> None:
    await joined(room, Receiver())
    room.log.say("reply", "One", "One!")
    await room.quiet()
    room.log.say("reply", " two", "One two!")
    await room.quiet()
    assert [event for event, _ in room.executed] == ["One!", " two"]


async def test_pieces_are_not_told_to_who_is_ahead(room: Room) -> None:
    """It may have heard of the end of what grows."""
    held = room.hold["One"] = asyncio.Event()
    await joined(room, Receiver())
    room.log.say("reply", "One", "One")
    await room.quiet()
    room.log.add("the end")
    ahead = Receiver(position=1)
    await joined(room, ahead)
    held.set()
    await room.quiet()
    assert ahead.events == []
    room.log.say("reply", "Again", "Again, whole")
    await room.quiet()
    assert ahead.events == ["Again, whole"]


async def test_who_falls_out_over_words_gets_them_whole_when_it_is_back(room: Room) -> None:
    full = Receiver(room=1)
    await joined(room, full, Receiver())
    for number in range(1, 4):
        room.log.say("reply", f"+{number}", f"whole {number}")
        await room.quiet()
    assert (full.events, full.fell) == (["whole 1"], 1)
    full.room = 10
    await joined(room, full)
    room.log.say("reply", "+4", "whole 4")
    await room.quiet()
    assert full.events == ["whole 1", "whole 4"]


# Who may hear it


async def test_who_moves_to_another_audience_hears_nothing_more_of_this_one(room: Room) -> None:
    ann, bob = Receiver(who="ann"), Receiver(who="bob")
    await joined(room, ann, bob)
    room.log.add("a")
    await room.quiet()
    room.audiences.of_name["ann"] = "admins"
    room.audiences.changed()
    room.log.add("b")
    await room.quiet()
    assert (ann.events, ann.position, ann.fell) == (["a"], 1, 1)
    assert bob.events == ["a", "b"]
    assert await room.join(ann)
    await room.quiet()
    assert ann.events == ["a", "b"]
    assert room.executed[-1][1]["who"] == ("admins", None)


async def test_nothing_is_told_while_rights_are_looked_at(room: Room) -> None:
    ann, bob = Receiver(who="ann"), Receiver(who="bob")
    await joined(room, ann, bob)
    room.audiences.looking.clear()
    room.log.add("a")
    await room.quiet()
    assert bob.events == []
    broadcast = next(iter(room.broadcasts._running.values()))
    broadcast.leave(ann)  # her key was revoked
    room.audiences.looking.set()
    await room.quiet()
    assert (ann.events, bob.events) == ([], ["a"])


async def test_who_changes_while_it_joins_joins_as_what_it_is_then(room: Room) -> None:
    ann = Receiver(who="ann")
    joining = asyncio.create_task(room.join(ann))
    await asyncio.sleep(0)
    room.audiences.of_name["ann"] = "admins"
    room.audiences.changed()
    broadcast = await joining
    assert broadcast is not None
    assert broadcast.audience == ("admins", None)


# Its end


async def test_broadcast_ends_with_its_last_receiver(room: Room) -> None:
    one, two = Receiver(), Receiver()
    await joined(room, one, two)
    broadcast = await room.join(Receiver(who="three"))
    assert broadcast is not None
    for receiver in list(broadcast._receivers):
        assert len(room.broadcasts) == 1
        broadcast.leave(receiver)
        broadcast.leave(receiver)
    assert len(room.broadcasts) == 0
    await room.quiet()
    assert broadcast.task.done()
    assert room.log.readers == 0


async def test_source_that_breaks_is_told_to_everybody(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    ears = [Receiver(), Receiver()]
    await joined(room, *ears)
    room.log.fault = RuntimeError("the database password is 1234")
    room.log.wake()
    await room.quiet()
    for ear in ears:
        assert ear.broken is not None
        assert ear.broken.body["errors"][0]["message"] == "masked"
        assert ear.fell == 0


async def test_source_that_has_lost_something_lets_everybody_fall_out(room: Room) -> None:
    ear = Receiver()
    await joined(room, ear)
    room.log.is_forgotten = True
    room.log.wake()
    await room.quiet()
    assert ear.fell == 1


async def test_event_that_fails_is_told_with_its_error_and_ends_nothing(room: Room) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    ear = Receiver()
    await joined(room, ear)
    room.log.add(Broken())
    room.log.add("b")
    await room.quiet()
    assert b'"errors"' in ear.heard[0]
    assert ear.events[1] == "b"


async def test_others_get_their_turn_while_thousands_are_told(room: Room) -> None:
    ears = [Receiver() for _ in range(5000)]
    for ear in ears:
        await room.join(ear)
    await room.quiet()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while not ears[-1].heard:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(other())
    room.log.add("a")
    leaver = ears[4000]
    broadcast = next(iter(room.broadcasts._running.values()))
    while not ears[0].heard:  # noqa: ASYNC110  turns of the loop are what is counted
        await asyncio.sleep(0)
    broadcast.leave(leaver)
    await waiting
    assert turns >= 5
    assert leaver.events == []
    assert leaver.position == 0, "it has not heard it, and knows that"
