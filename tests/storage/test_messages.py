"""What a reading of messages means for the mirror: one rule, one test."""

import dataclasses

import pytest

from domain.errors import BadCursor
from domain.records import Attachment, Message, MessageRole, MessageState, Part, PartKind, Person
from domain.source import MessageWindow
from storage.message_reads import windows_statement
from tests.storage.conftest import World, at

pytestmark = pytest.mark.anyio


async def get(world: World, native_id: str) -> Message | None:
    return await world.store.messages.get(world.organization.id, world.source.id, "c", native_id)


async def test_the_first_reading_is_history_and_the_next_is_news(world: World) -> None:
    await world.see(world.chat())
    m1, m2 = world.message("m1"), world.message("m2", "m1")
    await world.see_messages(m1)
    assert await world.news() == []
    observed = await world.see_messages(m1, m2, started=30)
    assert observed.changed == ("m2",)
    assert await world.news() == [("MESSAGE_CREATED", "m2")]


async def test_a_first_reading_without_the_newest_end_is_no_baseline(world: World) -> None:
    await world.see(world.chat())
    await world.see_messages(world.message("m1"), is_whole=False, includes_newest=False)
    await world.see_messages(world.message("m2", "m1"), is_whole=False, started=30)
    assert await world.news() == []


async def test_an_older_message_than_the_baseline_is_a_backfill(world: World) -> None:
    await world.see(world.chat())
    await world.see_messages(world.message("m2", created_at=at(5)), is_whole=False)
    await world.see_messages(world.message("m1", created_at=at(4)), is_whole=False, includes_newest=False, started=30)
    assert await world.news() == []
    await world.see_messages(world.message("m3", "m2", created_at=at(5)), is_whole=False, started=40)
    assert await world.news() == [("MESSAGE_CREATED", "m3")]


async def test_a_whole_reading_ends_the_time_of_backfills(world: World) -> None:
    await world.see(world.chat())
    m2 = world.message("m2", created_at=at(5))
    await world.see_messages(m2, is_whole=False)
    await world.see_messages(m2, started=25)
    await world.see_messages(world.message("m1", created_at=at(4)), is_whole=False, started=30)
    assert await world.news() == [("MESSAGE_CREATED", "m1")]


async def test_an_own_write_is_news_with_its_detail(world: World) -> None:
    await world.see(world.chat())
    detail = {"client_mutation_id": "x", "principal": "key:1"}
    await world.see_messages(
        world.message("m1"), is_whole=False, includes_newest=False, is_own_write=True, details={"m1": detail}
    )
    assert [(event.native_id, event.detail, event.chat_id) for event in await world.events()] == [("m1", detail, "c")]


async def test_whoever_writes_first_gets_the_announced_detail(world: World) -> None:
    await world.see(world.chat())
    with world.store.messages.announced(world.organization.id, world.source.id, "c", "m1", {"principal": "key:1"}):
        await world.see_messages(world.message("m1"), is_whole=False, is_own_write=True)
    await world.see_messages(world.message("m2", "m1"), is_whole=False, is_own_write=True)
    assert [dict(event.detail) for event in await world.events()] == [{"principal": "key:1"}, {}]


@pytest.mark.parametrize("end", [MessageState.FAILED, MessageState.COMPLETE])
async def test_a_reading_does_not_undo_the_end_of_an_own_message(world: World, end: MessageState) -> None:
    """It was completed with the row as it was in advance, and began after its end was weighed but before that was committed."""
    await world.see(world.chat())
    await world.see_messages(world.message("m", state=MessageState.PENDING), is_whole=False, is_own_write=True)
    await world.see_messages(world.message("m", state=end), is_whole=False, is_own_write=True)
    observed = await world.see_messages(world.message("m", state=MessageState.PENDING), started=1000)
    found = await get(world, "m")
    assert found is not None
    assert (found.state, observed.changed) == (end, ())


async def test_the_same_content_is_nothing(world: World) -> None:
    await world.see(world.chat())
    message = world.message("m", metadata={"b": 1, "a": [2]}, parts=(Part(kind=PartKind.TEXT, text="x"),))
    await world.see_messages(message)
    again = dataclasses.replace(message, metadata={"a": [2], "b": 1}, raw={"more": 1})
    assert (await world.see_messages(again, started=30)).changed == ()


@pytest.mark.parametrize(
    "change",
    [
        {"text": "other"},
        {"role": MessageRole.SYSTEM},
        {"state": MessageState.FAILED},
        {"model": "m"},
        {"parts": (Part(kind=PartKind.REASONING, text="hm"),)},
        {"attachments": (Attachment(name="a.txt", size_bytes=1),)},
        {"author": Person("p")},
        {"metadata": {"a": 1}},
        {"parent_id": "other"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_other_content_is_one_event(world: World, change: dict[str, object]) -> None:
    await world.see(world.chat())
    message = world.message("m")
    await world.see_messages(message)
    changed = dataclasses.replace(message, **change)  # type: ignore[arg-type]
    await world.see_messages(changed, started=30)
    await world.see_messages(changed, started=40)
    assert [(event.kind, event.revision) for event in await world.events()] == [("MESSAGE_UPDATED", 2)]
    assert await get(world, "m") == changed


async def test_a_reading_never_overwrites_what_changed_after_it_was_started(world: World) -> None:
    await world.see(world.chat())
    await world.see_messages(world.message("m", text="old"), started=20)
    await world.see_messages(world.message("m", text="new"), started=40)
    observed = await world.see_messages(world.message("m", text="older"), started=30)
    assert observed.outdated == ("m",)
    message = await get(world, "m")
    assert message is not None
    assert message.text == "new"


async def test_what_a_whole_reading_does_not_show_is_deleted(world: World) -> None:
    await world.see(world.chat())
    m1, m2 = world.message("m1"), world.message("m2", "m1", text="secret")
    await world.see_messages(m1, m2)
    await world.see_messages(m1, started=30)
    assert await world.news() == [("MESSAGE_DELETED", "m2")]
    assert await world.path() == ["m1"]
    tombstone = await get(world, "m2")
    assert tombstone is not None
    assert (tombstone.text, tombstone.deleted_at) == ("", at(30))


async def test_what_a_window_does_not_show_is_not_deleted(world: World) -> None:
    await world.see(world.chat())
    m1, m2 = world.message("m1"), world.message("m2", "m1")
    await world.see_messages(m1, m2)
    await world.see_messages(m2, is_whole=False, started=30)
    assert await world.news() == []


async def test_a_whole_reading_deletes_nothing_that_is_younger_than_it(world: World) -> None:
    await world.see(world.chat())
    await world.see_messages(world.message("m1"))
    world.clock.now = at(50)
    await world.see_messages(world.message("m2", "m1"), is_whole=False, is_own_write=True, started=35)
    await world.see_messages(world.message("m1"), started=40)
    assert await world.news() == [("MESSAGE_CREATED", "m2")]


@pytest.mark.parametrize("state", [MessageState.PENDING, MessageState.STREAMING])
async def test_a_whole_reading_does_not_delete_our_own_unsettled_message(world: World, state: MessageState) -> None:
    await world.see(world.chat())
    world.clock.now = at(21)
    await world.see_messages(world.message("m1"))
    await world.see_messages(world.message("ours", "m1", state=state), is_whole=False, is_own_write=True)
    await world.see_messages(world.message("m1"), started=100, active_leaf="m1")
    assert await world.news() == [("MESSAGE_CREATED", "ours")]
    assert await world.path() == ["m1", "ours"]


async def test_a_reading_that_says_complete_settles_our_own_message(world: World) -> None:
    await world.see(world.chat())
    await world.see_messages(
        world.message("m", state=MessageState.STREAMING, text=""), is_whole=False, is_own_write=True
    )
    await world.see_messages(world.message("m", state=MessageState.STREAMING, text="half"), started=2000)
    await world.see_messages(world.message("m", text="whole"), started=900)
    assert await world.news() == [("MESSAGE_CREATED", "m"), ("MESSAGE_UPDATED", "m")]
    message = await get(world, "m")
    assert message is not None
    assert (message.text, message.state) == ("whole", MessageState.COMPLETE)


async def test_only_a_later_reading_undoes_a_deletion(world: World) -> None:
    await world.see(world.chat())
    message = world.message("m")
    await world.see_messages(message)
    ids = (world.organization.id, world.source.id, "c", ["m"])
    assert await world.write(lambda tx: world.store.messages.remove(tx, *ids, at=at(30))) == ("m",)
    assert await world.write(lambda tx: world.store.messages.remove(tx, *ids, at=at(31))) == ()
    assert (await world.see_messages(message, started=30)).outdated == ("m",)
    assert (await world.see_messages(message, started=31)).changed == ("m",)
    kinds = [(event.kind, event.revision) for event in await world.events()]
    assert kinds == [("MESSAGE_DELETED", 2), ("MESSAGE_CREATED", 3)]


async def test_messages_of_a_chat_that_was_deleted_later_are_outdated(world: World) -> None:
    await world.see(world.chat())
    ids = (world.organization.id, world.source.id, "c")
    await world.write(lambda tx: world.store.chats.remove(tx, *ids, at(30)))
    assert (await world.see_messages(world.message("m"), started=25)).outdated == ("m",)
    assert await world.news() == [("CHAT_DELETED", "c")]
    await world.see_messages(world.message("m"), started=35)
    assert await world.news() == [("CHAT_DELETED", "c"), ("CHAT_CREATED", "c"), ("MESSAGE_CREATED", "m")]


async def test_removing_from_a_chat_that_is_not_known_does_nothing(world: World) -> None:
    ids = (world.organization.id, world.source.id, "nowhere", ["m"])
    assert await world.write(lambda tx: world.store.messages.remove(tx, *ids, at=at(30))) == ()


async def test_a_chat_that_is_not_known_is_made_first(world: World) -> None:
    await world.see_messages(world.message("m"))
    chat = await world.get()
    assert chat is not None
    assert chat.told == frozenset()


async def test_times_that_become_known_are_no_event(world: World) -> None:
    await world.see(world.chat())
    await world.see_messages(world.message("m"))
    await world.see_messages(world.message("m", created_at=at(3)), started=30)
    assert await world.news() == []
    message = await get(world, "m")
    assert message is not None
    assert message.created_at == at(3)


async def test_the_path_grows_at_its_end(world: World) -> None:
    await world.see(world.chat())
    await world.see_messages(world.message("1"), world.message("2", "1"), is_whole=False)
    await world.see_messages(world.message("3", "2"), world.message("4", "3"), is_whole=False, started=30)
    assert await world.path() == ["1", "2", "3", "4"]


async def test_the_path_leads_to_the_active_leaf(world: World) -> None:
    await world.see(world.chat())
    tree = [world.message("1"), world.message("2a", "1"), world.message("2b", "1"), world.message("3a", "2a")]
    await world.see_messages(*tree, active_leaf="3a")
    assert await world.path() == ["1", "2a", "3a"]
    await world.see_messages(*tree, active_leaf="2b", started=30)
    assert await world.path() == ["1", "2b"]
    await world.see_messages(*tree, started=40)
    assert await world.path() == ["1", "2b"]
    assert await world.store.messages.newest_id(world.organization.id, world.source.id, "c") == "2b"


async def test_a_branch_is_the_path_through_it(world: World) -> None:
    await world.see(world.chat())
    tree = [world.message("1"), world.message("2a", "1"), world.message("2b", "1"), world.message("3a", "2a")]
    await world.see_messages(*tree, active_leaf="2b")
    window = MessageWindow(last=2, branch="2a")
    part = await world.store.messages.window(world.organization.id, world.source.id, "c", window)
    assert [message.native_id for message in part.messages] == ["2a", "3a"]
    assert (part.has_before, part.has_after, part.total) == (True, False, 3)


@pytest.mark.parametrize(
    ("window", "expected", "has_before", "has_after"),
    [
        (MessageWindow(first=2), "01", False, True),
        (MessageWindow(first=9), "01234", False, False),
        (MessageWindow(last=2), "34", True, False),
        (MessageWindow(last=9), "01234", False, False),
        (MessageWindow(first=2, after="1"), "23", True, True),
        (MessageWindow(first=2, after="4"), "", True, False),
        (MessageWindow(last=2, before="3"), "12", True, True),
        (MessageWindow(last=2, before="0"), "", False, True),
    ],
)
async def test_windows(world: World, window: MessageWindow, expected: str, has_before: bool, has_after: bool) -> None:
    await world.see(world.chat())
    await world.see_messages(*(world.message(str(n), str(n - 1) if n else None) for n in range(5)))
    part = await world.store.messages.window(world.organization.id, world.source.id, "c", window)
    assert "".join(message.native_id for message in part.messages) == expected
    assert (part.has_before, part.has_after, part.total) == (has_before, has_after, 5)


@pytest.mark.parametrize("window", [MessageWindow(first=1, after="gone"), MessageWindow(last=1, before="gone")])
async def test_a_place_that_is_not_on_the_path_is_a_bad_cursor(world: World, window: MessageWindow) -> None:
    await world.see(world.chat())
    await world.see_messages(world.message("m"))
    with pytest.raises(BadCursor, match="Start again without a cursor"):
        await world.store.messages.window(world.organization.id, world.source.id, "c", window)


async def test_a_chat_that_is_not_known_has_an_empty_window(world: World) -> None:
    part = await world.store.messages.window(world.organization.id, world.source.id, "x", MessageWindow(first=1))
    assert part == ([], False, False, 0)


async def test_windows_of_many_chats_cost_one_statement(world: World) -> None:
    keys = [(world.source.id, f"c{n}") for n in range(40)]
    for _, chat_id in keys[:-1]:
        await world.see_messages(
            world.message("1", chat_id=chat_id), world.message("2", "1", chat_id=chat_id), chat_id=chat_id
        )
    costs = []
    for number in (20, 40):
        before = world.store.database.statements
        last = await world.store.messages.last_messages(world.organization.id, keys[:number])
        costs.append(world.store.database.statements - before)
        assert {key: message.native_id for key, message in last.items()} == dict.fromkeys(keys[: min(number, 39)], "2")
    assert costs == [1, 1]


async def test_windows_are_read_along_the_path(world: World) -> None:
    """Otherwise a page would cost as much as its chat is long."""
    parameters = {
        "organization_id": 1,
        "keys": "[]",
        "after": None,
        "before": None,
        "first": None,
        "last": 2,
    }
    sql = windows_statement(MessageWindow(last=2))
    plan = [row[3] for row in await world.store.database.fetch_all(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    assert any("message_path" in step and "position>" in step for step in plan), plan


async def test_a_saved_text_is_no_event_and_a_final_one_stays(world: World) -> None:
    await world.see(world.chat())
    await world.see_messages(
        world.message("m", text="", state=MessageState.STREAMING), is_whole=False, is_own_write=True
    )
    ids = (world.organization.id, world.source.id, "c", "m")
    await world.write(lambda tx: world.store.messages.save_text(tx, *ids, "so far"))
    (unfinished,) = await world.store.messages.unfinished(world.organization.id)
    assert unfinished.text == "so far"
    await world.see_messages(world.message("m", text="final"), is_whole=False, is_own_write=True)
    await world.write(lambda tx: world.store.messages.save_text(tx, *ids, "late"))
    message = await get(world, "m")
    assert message is not None
    assert message.text == "final"
    assert await world.news() == [("MESSAGE_CREATED", "m"), ("MESSAGE_UPDATED", "m")]
    assert await world.store.messages.unfinished(world.organization.id) == []


async def test_the_first_alias_stays(world: World) -> None:
    messages = world.store.messages
    ids = (world.organization.id, world.source.id, "c")
    assert await messages.aliases(*ids) == {}
    await world.write(lambda tx: messages.bind(tx, *ids, "public", "native"))
    await world.write(lambda tx: messages.bind(tx, *ids, "other", "native"))
    assert await messages.aliases(*ids) == {"native": "public"}


async def test_all_fields_come_back_as_they_were(world: World) -> None:
    await world.see(world.chat())
    message = world.message(
        "m",
        role=MessageRole.TOOL,
        text="🙂\x00 text",
        model="gpt",
        author=Person("p", "P"),
        parts=(
            Part(kind=PartKind.TOOL_CALL, name="f", call_id="1", arguments={"a": [1]}, result=None),
            Part(kind=PartKind.ATTACHMENT, attachment=Attachment(name="a", media_type="b/c", size_bytes=1, url="u")),
        ),
        attachments=(Attachment(url="u"),),
        created_at=at(1.000001),
        edited_at=at(2),
        metadata={"k": None},
        raw={"r": 1},
    )
    await world.see_messages(message)
    assert await get(world, "m") == message
    assert await world.store.messages.tree(world.organization.id, world.source.id, "c") == [message]


async def test_the_store_answers_only_for_chats_with_a_baseline(world: World) -> None:
    await world.see(world.chat("c"), world.chat("d"))
    await world.see_messages(world.message("m"))
    keys = [(world.source.id, "c"), (world.source.id, "d"), (world.source.id, "e")]
    assert await world.store.messages.has_baseline(world.organization.id, keys) == {keys[0]}


async def test_what_is_unfinished_in_a_chat_comes_in_the_order_it_was_begun(world: World) -> None:
    await world.see(world.chat())
    await world.see_messages(
        world.message("z", state=MessageState.PENDING),
        world.message("a", "z", state=MessageState.STREAMING),
        world.message("b", "a"),
        is_whole=False,
        is_own_write=True,
    )
    await world.see_messages(
        world.message("x", chat_id="d", state=MessageState.PENDING), is_whole=False, is_own_write=True, chat_id="d"
    )
    found = await world.store.messages.unfinished_in(world.organization.id, world.source.id, "c")
    assert [message.native_id for message in found] == ["z", "a"]
    everywhere = await world.store.messages.unfinished(world.organization.id)
    assert [message.native_id for message in everywhere] == ["z", "a", "x"]


async def test_a_message_that_a_reading_shows_twice_is_one(world: World) -> None:
    await world.see(world.chat("other"))
    await world.see(world.chat("c"), started=15)
    await world.see_messages(world.message("m", text="first"), world.message("m", text="second"))
    assert (await world.news())[1:] == [("MESSAGE_CREATED", "m")]
    message = await get(world, "m")
    assert message is not None
    assert message.text == "second"


async def test_a_circle_of_parents_ends(world: World) -> None:
    await world.see(world.chat())
    one = world.message("1", "2", state=MessageState.STREAMING)
    two = world.message("2", "1", state=MessageState.STREAMING)
    await world.see_messages(one, two, is_whole=False, is_own_write=True, active_leaf="1")
    assert sorted(await world.path()) == ["1", "2"]
