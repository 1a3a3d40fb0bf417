"""How a reading of a part of a chat joins what is known: what is news, what is history, what has to wait."""

import pytest

from domain.records import EventKind, Message, MessageState
from storage.messages import Link
from tests.storage.conftest import World, at

pytestmark = pytest.mark.anyio


def numbered(world: World, *numbers: int, second: float | None = None) -> list[Message]:
    """The messages `m<number>` of one line, a second apart, or all in one `second`."""
    return [world.message(f"m{n}", f"m{n - 1}", created_at=at(n if second is None else second)) for n in numbers]


async def see(world: World, *messages: Message, started: float = 30, link: Link = Link.JOINED, **rest: object) -> None:
    await world.see_messages(*messages, started=started, is_whole=False, link=link, **rest)


async def begun(world: World, *numbers: int, second: float | None = None) -> None:
    """A chat with a baseline of these."""
    await world.see(world.chat())
    await see(world, *numbered(world, *numbers, second=second), started=20, is_first=True)


async def created(world: World) -> list[str]:
    return [event.native_id for event in await world.events() if event.kind is EventKind.MESSAGE_CREATED]


async def test_what_stands_behind_a_known_message_is_news_and_what_stands_before_is_not(world: World) -> None:
    await begun(world, 5, 6)
    await see(world, *numbered(world, 3, 4, 5, 6, 7, 8))
    assert await created(world) == ["m7", "m8"]


async def test_messages_of_one_second_are_told_apart_by_their_place(world: World) -> None:
    """The baseline's oldest message, one before it and one behind it have the same time."""
    await begun(world, 5, 6, second=9)
    await see(world, *numbered(world, 4, 5, 6, 7, second=9))
    assert await created(world) == ["m7"]


async def test_message_of_a_clock_that_was_set_back_is_news(world: World) -> None:
    await begun(world, 5, 6)
    late = world.message("m7", "m6", created_at=at(-1000))
    await see(world, *numbered(world, 6), late)
    assert await created(world) == ["m7"]


async def test_page_before_a_known_message_is_history(world: World) -> None:
    await begun(world, 5, 6)
    await see(world, *numbered(world, 3, 4, second=9), includes_newest=False, precedes="m5")
    assert await created(world) == []
    await see(world, *numbered(world, 2, 3, second=9), includes_newest=False, precedes="m4", started=40)
    assert await created(world) == []


async def test_page_behind_a_known_message_is_news(world: World) -> None:
    await begun(world, 5, 6)
    await see(world, *numbered(world, 7, 8), includes_newest=False, follows="m6")
    assert await created(world) == ["m7", "m8"]


async def test_messages_apart_wait_until_it_is_known_what_stands_before_them(world: World) -> None:
    await begun(world, 5, 6)
    await see(world, *numbered(world, 9, 10), link=Link.APART)
    assert await created(world) == []
    await see(world, *numbered(world, 6, 7, 8, 9, 10, 11), started=40)
    assert await created(world) == ["m7", "m8", "m9", "m10", "m11"]


async def test_messages_apart_that_turn_out_to_be_history_are_no_news(world: World) -> None:
    await begun(world, 5, 6)
    await see(world, *numbered(world, 1, 2), link=Link.APART, includes_newest=False)
    await see(world, *numbered(world, 1, 2, 3, 4, 5, 6), started=40)
    assert await created(world) == []


async def test_change_of_a_message_apart_is_not_told_before_its_creation(world: World) -> None:
    await begun(world, 5, 6)
    await see(world, *numbered(world, 9), link=Link.APART)
    await see(world, world.message("m9", "m8", text="edited", created_at=at(9)), link=Link.APART, started=40)
    assert await world.news() == []
    await see(world, *numbered(world, 6, 7, 8), world.message("m9", "m8", text="edited"), started=50)
    assert await world.news() == [("MESSAGE_CREATED", f"m{n}") for n in (7, 8, 9)]


async def test_late_reading_tells_the_place_of_a_message_and_does_not_undo_what_it_holds(world: World) -> None:
    await begun(world, 5, 6)
    await see(world, world.message("m8", "m7", text="new"), link=Link.APART, started=60)
    await see(world, *numbered(world, 6, 7), world.message("m8", "m7", text="old"), started=50)
    assert await created(world) == ["m7", "m8"]
    row = await world.store.messages.get(world.organization.id, world.source.id, "c", "m8")
    assert row is not None
    assert row.text == "new"


async def test_own_message_is_no_footing_until_a_reading_has_shown_what_stands_before_it(world: World) -> None:
    await begun(world, 5, 6)
    own = world.message("own", "m6")
    await world.see_messages(own, is_whole=False, is_own_write=True)
    footing = await world.store.messages.footing(world.organization.id, world.source.id, "c", ["m6", "own", "m9"])
    assert footing == (True, True, frozenset({"m6"}))
    await see(world, *numbered(world, 6, 7), own, started=2000)
    footing = await world.store.messages.footing(world.organization.id, world.source.id, "c", ["own"])
    assert footing.certain == {"own"}
    assert await created(world) == ["own", "m7"]


async def test_first_reading_that_was_overtaken_writes_nothing(world: World) -> None:
    await begun(world, 5, 6)
    seen = await world.see_messages(*numbered(world, 8, 9), is_whole=False, link=Link.JOINED, is_first=True, started=30)
    assert seen.is_overtaken
    assert await world.news() == []
    assert await world.store.messages.get(world.organization.id, world.source.id, "c", "m8") is None


async def test_what_is_given_up_is_told_as_a_gap_and_is_history_when_it_is_read_after_all(world: World) -> None:
    await begun(world, 1, 2)
    await see(world, *numbered(world, 8, 9), begins_anew=True)
    assert await world.news() == [("STREAM_GAP", "c")]
    footing = await world.store.messages.footing(world.organization.id, world.source.id, "c", ["m2", "m8", "m9"])
    assert footing == (True, True, frozenset({"m8", "m9"}))
    await see(world, *numbered(world, 9, 10), started=40)
    await see(world, *numbered(world, 6, 7), includes_newest=False, precedes="m8", started=50)
    await see(world, *numbered(world, 1, 2, 3, 4, 5), includes_newest=False, precedes="m6", started=60)
    assert await world.news() == [("STREAM_GAP", "c"), ("MESSAGE_CREATED", "m10")]


async def test_second_gap_of_a_chat_is_a_line_of_its_own(world: World) -> None:
    await begun(world, 1)
    await see(world, *numbered(world, 5), begins_anew=True)
    await see(world, *numbered(world, 9), begins_anew=True, started=40)
    assert [(event.kind.value, event.revision) for event in await world.events()] == [
        ("STREAM_GAP", 1),
        ("STREAM_GAP", 2),
    ]


async def test_baseline_without_times_leaves_older_messages_history(world: World) -> None:
    await world.see(world.chat())
    await see(world, world.message("m5", "m4"), started=20, is_first=True)
    await see(world, world.message("m3", "m2"), world.message("m4", "m3"), includes_newest=False, precedes="m5")
    assert await created(world) == []


async def test_deleted_message_is_no_footing(world: World) -> None:
    await begun(world, 5, 6)
    place = (world.organization.id, world.source.id, "c")
    await world.write(lambda tx: world.store.messages.remove(tx, *place, ["m6"], at=at(25)))
    footing = await world.store.messages.footing(*place, ["m5", "m6"])
    assert footing.certain == {"m5"}


async def test_message_edited_before_its_creation_was_seen_is_created_once(world: World) -> None:
    await begun(world, 5)
    edited = world.message("m6", "m5", text="second thoughts", created_at=at(6), edited_at=at(7))
    await see(world, *numbered(world, 5), edited)
    await see(world, *numbered(world, 5), edited, started=40)
    assert await world.news() == [("MESSAGE_CREATED", "m6")]


async def test_same_reading_twice_and_an_older_one_late_change_nothing(world: World) -> None:
    await begun(world, 5)
    new = world.message("m6", "m5", text="new", created_at=at(6))
    old = world.message("m6", "m5", text="old", created_at=at(6))
    for started, message in ((40, new), (40, new), (35, old)):
        await see(world, *numbered(world, 5), message, started=started)
    assert await world.news() == [("MESSAGE_CREATED", "m6")]


async def test_growing_answer_of_somebody_else_is_one_creation_and_one_end(world: World) -> None:
    await begun(world, 5)
    for step, text in enumerate(["", "He", "Hello", "Hello there"]):
        reply = world.message("r", "m5", text=text, state=MessageState.STREAMING)
        await see(world, *numbered(world, 5), reply, started=30 + step)
        row = await world.store.messages.get(world.organization.id, world.source.id, "c", "r")
        assert row is not None
        assert row.text == text
    assert await world.news() == [("MESSAGE_CREATED", "r")]
    await see(world, *numbered(world, 5), world.message("r", "m5", text="Hello there"), started=50)
    assert [(e.kind.value, e.native_id, e.revision) for e in await world.events()] == [
        ("MESSAGE_CREATED", "r", 1),
        ("MESSAGE_UPDATED", "r", 2),
    ]


async def test_chats_that_were_made_in_one_second_are_history_on_the_second_page_too(world: World) -> None:
    """An import made them all at once, and a page holds only some of them."""
    moment = at(-7200)
    await world.see(world.chat("a", created_at=moment, updated_at=moment), is_whole=False)
    await world.see(
        world.chat("b", created_at=moment, updated_at=moment), from_newest=False, is_whole=False, started=30
    )
    assert await world.news() == []
    fresh = world.chat("c", created_at=at(25), updated_at=at(25))
    await world.see(fresh, is_whole=False, started=40)
    assert await world.news() == [("CHAT_CREATED", "c")]
