"""What a reading of chats means for the mirror: one rule, one test."""

from typing import Any

import pytest

from domain.records import GATEWAY, Agent, FolderRef, Overlay, Person
from storage.chats import ChatsSeen
from storage.database import Transaction
from tests.storage.conftest import World, at

pytestmark = pytest.mark.anyio


async def test_the_first_reading_is_history(world: World) -> None:
    observed = await world.see(world.chat("a", title="A"), world.chat("b", title="B"))
    assert observed.changed == ()
    assert await world.events() == []
    chat = await world.get("a")
    assert chat is not None
    assert (chat.title, chat.as_of, chat.told) == ("A", at(10), frozenset({"title"}))


async def test_an_unknown_chat_after_the_baseline_is_news(world: World) -> None:
    await world.see(world.chat("a", updated_at=at(1)))
    observed = await world.see(world.chat("b", updated_at=at(12)), started=20, is_whole=False)
    assert observed.changed == ("b",)
    assert await world.news() == [("CHAT_CREATED", "b")]


async def test_an_older_row_than_the_baseline_is_a_backfill(world: World) -> None:
    await world.see(world.chat("a", updated_at=at(5)), is_whole=False)
    await world.see(world.chat("old", updated_at=at(4)), started=20, from_newest=False, is_whole=False)
    assert await world.news() == []
    await world.see(world.chat("moved", updated_at=at(5)), started=21, from_newest=False, is_whole=False)
    assert await world.news() == [("CHAT_CREATED", "moved")]


async def test_a_reading_without_the_newest_end_is_no_baseline(world: World) -> None:
    await world.see(world.chat("a"), from_newest=False, is_whole=False)
    await world.see(world.chat("b"), from_newest=False, is_whole=False)
    assert await world.news() == []


async def test_a_whole_reading_ends_the_time_of_backfills(world: World) -> None:
    await world.see(world.chat("a", updated_at=at(5)), is_whole=False)
    await world.see(world.chat("a", updated_at=at(5)), world.chat("b", updated_at=at(1)), started=20)
    await world.see(world.chat("c", updated_at=at(0)), started=30, from_newest=False, is_whole=False)
    assert await world.news() == [("CHAT_CREATED", "c")]


async def test_an_own_write_is_news_without_a_baseline(world: World) -> None:
    await world.see(world.chat("a"), from_newest=False, is_whole=False, is_own_write=True)
    assert await world.news() == [("CHAT_CREATED", "a")]


async def test_all_messages_of_a_new_chat_are_news(world: World) -> None:
    await world.see(world.chat("other"))
    await world.see(world.chat("c"), started=15)
    await world.see_messages(world.message("m1"), world.message("m2", "m1"))
    assert await world.news() == [("CHAT_CREATED", "c"), ("MESSAGE_CREATED", "m1"), ("MESSAGE_CREATED", "m2")]


@pytest.mark.parametrize(
    ("field", "old", "new"),
    [
        ("title", "A", "B"),
        ("title", "A", None),
        ("tags", ("x",), ("x", "y")),
        ("pinned", False, True),
        ("archived", True, False),
        ("folder", None, FolderRef(1, "f")),
        ("metadata", {"a": 1}, {"a": 2}),
        ("agent", Agent("m1"), Agent("m2", "Two")),
        ("owner", Person("p"), Person("p", "Name")),
        ("share_url", None, "https://example.com/s"),
    ],
)
async def test_a_change_that_a_client_sees_is_one_event(world: World, field: str, old: Any, new: Any) -> None:
    await world.see(world.chat(**{field: old}))
    await world.see(world.chat(**{field: new}), started=20)
    await world.see(world.chat(**{field: new}), started=30)
    assert await world.news() == [("CHAT_UPDATED", "c")]
    assert getattr(await world.get(), field) == new


async def test_times_counts_and_raw_are_written_without_an_event(world: World) -> None:
    await world.see(world.chat(updated_at=at(1), message_count=1, raw={"a": 1}))
    await world.see(world.chat(updated_at=at(2), last_message_at=at(2), message_count=2, raw={"a": 2}), started=20)
    assert await world.news() == []
    chat = await world.get()
    assert chat is not None
    assert (chat.updated_at, chat.last_message_at, chat.message_count, chat.raw) == (at(2), at(2), 2, {"a": 2})


async def test_a_reading_replaces_only_what_it_tells(world: World) -> None:
    await world.see(world.chat(title="A", tags=("x",)))
    await world.see(world.chat(title="B"), started=20)
    chat = await world.get()
    assert chat is not None
    assert (chat.title, chat.tags) == ("B", ("x",))
    assert chat.told == {"title", "tags"}


async def test_a_field_that_becomes_known_is_no_change(world: World) -> None:
    await world.see(world.chat(title="A"))
    await world.see(world.chat(title="A", tags=("x",), pinned=True), started=20)
    assert await world.news() == []
    chat = await world.get()
    assert chat is not None
    assert chat.told == {"title", "tags", "pinned"}


async def test_a_reading_never_overwrites_what_changed_after_it_was_started(world: World) -> None:
    await world.see(world.chat(title="old"), started=10)
    await world.see(world.chat(title="new"), started=30)
    observed = await world.see(world.chat(title="older"), started=20)
    assert observed.outdated == ("c",)
    chat = await world.get()
    assert chat is not None
    assert chat.title == "new"


async def test_an_own_write_counts_from_when_it_was_written(world: World) -> None:
    """A reading that was under way while the write was done may show the time before it."""
    await world.see(world.chat(title="old"), started=10)
    world.clock.now = at(40)
    await world.see(world.chat(title="ours"), started=20, is_own_write=True)
    observed = await world.see(world.chat(title="old"), started=30)
    assert observed.outdated == ("c",)


async def test_a_reading_that_shows_nothing_new_is_never_outdated(world: World) -> None:
    await world.see(world.chat(title="same"), started=30)
    assert (await world.see(world.chat(title="same"), started=20)).outdated == ()


async def test_only_a_later_reading_undoes_a_deletion(world: World) -> None:
    await world.see(world.chat(title="A"))
    await world.write(lambda tx: world.store.chats.remove(tx, world.organization.id, world.source.id, "c", at(20)))
    assert (await world.see(world.chat(title="A"), started=20)).outdated == ("c",)
    assert await world.get() is None
    await world.see(world.chat(title="A"), started=21)
    assert await world.get() is not None
    assert await world.news() == [("CHAT_DELETED", "c"), ("CHAT_CREATED", "c")]


async def test_deleting_twice_is_one_event(world: World) -> None:
    await world.see(world.chat(title="A"))
    ids = (world.organization.id, world.source.id, "c")
    assert await world.write(lambda tx: world.store.chats.remove(tx, *ids, at(20)))
    assert not await world.write(lambda tx: world.store.chats.remove(tx, *ids, at(21)))
    assert await world.news() == [("CHAT_DELETED", "c")]


async def test_a_deleted_chat_is_purged_to_its_tombstone(world: World) -> None:
    await world.see(world.chat(title="secret title"))
    await world.see_messages(world.message("m", text="secret words"))
    ids = (world.organization.id, world.source.id, "c")
    await world.write(lambda tx: world.store.chats.set_overlay(tx, *ids, pinned=True))
    await world.write(lambda tx: world.store.chats.remove(tx, *ids, at(30)))
    rows = await world.store.database.fetch_all("SELECT * FROM chat, message, chat_overlay /* test */")
    assert rows == []
    kept = await world.store.database.fetch_all(
        "SELECT title, native_id FROM chat UNION SELECT text, native_id FROM message /* test */"
    )
    assert sorted(kept, key=str) == sorted([(None, "c"), ("", "m")], key=str)


async def test_unchanged_rows_cost_no_statement_of_their_own(world: World) -> None:
    chats = [world.chat(str(n), title=str(n)) for n in range(20)]
    await world.see(*chats)
    before = world.store.database.statements
    await world.see(*chats, started=11)
    # Begin, look at other processes, savepoint, state of the list, release, commit.
    assert world.store.database.statements - before == 6


async def test_what_was_remembered_is_forgotten_when_the_row_changes(world: World) -> None:
    await world.see(world.chat(title="A"), started=10)
    await world.see(world.chat(title="B"), started=20)
    await world.see(world.chat(title="A"), started=30)
    chat = await world.get()
    assert chat is not None
    assert chat.title == "A"


async def test_a_failed_unit_leaves_nothing_remembered(world: World) -> None:
    chat = world.chat(title="A")
    seen = ChatsSeen(
        organization_id=world.organization.id,
        source_id=world.source.id,
        rows=[chat],
        started_at=at(10),
        from_newest=True,
        is_whole=True,
    )

    async def failing(tx: Transaction) -> None:
        await world.store.chats.observe(tx, seen)
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        await world.write(failing)
    await world.see(chat)
    assert await world.get() is not None


async def test_a_row_that_stays_the_same_is_seen_again_at_most_once_a_minute(world: World) -> None:
    for started in (10, 69, 71):
        await world.see(world.chat(title="A"), started=started)
    chat = await world.get()
    assert chat is not None
    assert chat.as_of == at(71)


async def test_an_overlay_is_laid_over_what_the_vendor_tells(world: World) -> None:
    ids = (world.organization.id, world.source.id, "c")
    await world.see(world.chat(title="vendor's"))
    assert await world.write(
        lambda tx: world.store.chats.set_overlay(tx, *ids, title="ours", tags=("b", "a"), metadata={"k": 1})
    )
    await world.see(world.chat(title="vendor's new"), started=30)
    chat = await world.get()
    assert chat is not None
    assert (chat.title, chat.tags, chat.metadata) == ("ours", ("a", "b"), {"k": 1})
    assert await world.news() == [("CHAT_UPDATED", "c")]


async def test_an_overlay_taken_off_shows_what_the_vendor_tells_now(world: World) -> None:
    ids = (world.organization.id, world.source.id, "c")
    await world.see(world.chat(title="first", folder=FolderRef(world.source.id, "f")))
    await world.write(lambda tx: world.store.chats.set_overlay(tx, *ids, title="ours", folder=FolderRef(GATEWAY, "g")))
    await world.see(world.chat(title="second"), started=30)
    await world.write(lambda tx: world.store.chats.set_overlay(tx, *ids, title=None, folder=None))
    chat = await world.get()
    assert chat is not None
    assert (chat.title, chat.folder) == ("second", FolderRef(world.source.id, "f"))


async def test_an_overlay_of_something_the_vendor_lacks_is_unknown_once_taken_off(world: World) -> None:
    ids = (world.organization.id, world.source.id, "c")
    await world.see(world.chat(title="A"))
    await world.write(lambda tx: world.store.chats.set_overlay(tx, *ids, pinned=True))
    await world.write(lambda tx: world.store.chats.set_overlay(tx, *ids, pinned=None))
    chat = await world.get()
    assert chat is not None
    assert (chat.pinned, chat.told) == (None, frozenset({"title"}))


async def test_the_same_overlay_twice_is_one_event(world: World) -> None:
    ids = (world.organization.id, world.source.id, "c")
    await world.see(world.chat(title="A"))
    assert await world.write(lambda tx: world.store.chats.set_overlay(tx, *ids, pinned=True))
    assert not await world.write(lambda tx: world.store.chats.set_overlay(tx, *ids, pinned=True))
    assert await world.news() == [("CHAT_UPDATED", "c")]


async def test_an_overlay_waits_for_its_chat(world: World) -> None:
    ids = (world.organization.id, world.source.id, "c")
    assert not await world.write(lambda tx: world.store.chats.set_overlay(tx, *ids, title="ours"))
    await world.see(world.chat(title="vendor's"))
    chat = await world.get()
    assert chat is not None
    assert chat.title == "ours"


async def test_overlays_are_read_for_many_chats_in_one_statement(world: World) -> None:
    keys = [(world.source.id, str(n)) for n in range(10)]
    for source_id, chat_id in keys[:3]:
        await world.write(
            lambda tx, s=source_id, c=chat_id: world.store.chats.set_overlay(  # type: ignore[misc]
                tx, world.organization.id, s, c, archived=False, folder=FolderRef(GATEWAY, "g")
            )
        )
    before = world.store.database.statements
    overlays = await world.store.chats.overlays(world.organization.id, keys)
    assert world.store.database.statements - before == 1
    assert overlays == {key: Overlay(archived=False, folder=FolderRef(GATEWAY, "g")) for key in keys[:3]}


async def test_the_list_knows_when_it_was_drained_and_seen(world: World) -> None:
    chats = world.store.chats
    assert await chats.last_seen(world.organization.id, world.source.id) is None
    await world.see(world.chat("a"), started=10)
    await world.see(world.chat("a"), started=11)
    await world.write(
        lambda tx: chats.set_list_state(tx, world.organization.id, world.source.id, drained_at=at(10), is_complete=True)
    )
    state = await chats.list_state(world.organization.id, world.source.id)
    assert (state.drained_at, state.is_complete, state.baseline_at) == (at(10), True, at(10))
    assert await chats.last_seen(world.organization.id, world.source.id) == at(11)


async def test_what_nobody_has_seen_for_long_is_dropped(world: World) -> None:
    await world.see(world.chat("old"), started=10)
    await world.see(world.chat("new"), started=100, is_whole=False)
    organization_id = world.organization.id
    number = await world.write(lambda tx: world.store.chats.forget_unseen(tx, organization_id, at(50), keep=()))
    assert (number, await world.get("old")) == (1, None)
    assert await world.get("new") is not None
    kept = await world.write(
        lambda tx: world.store.chats.forget_unseen(tx, organization_id, at(500), keep=(world.source.id,))
    )
    assert kept == 0


async def test_a_chat_that_the_log_speaks_of_is_not_dropped(world: World) -> None:
    """Its revisions would begin again, and the log would refuse them as lines that it has."""
    organization_id, key = world.organization.id, (world.organization.id, world.source.id, "c")
    await world.see(world.chat("c", title="A"))
    await world.write(lambda tx: world.store.chats.set_overlay(tx, *key, pinned=True))
    forget = world.store.chats.forget_unseen
    assert await world.write(lambda tx: forget(tx, organization_id, at(9999), keep=())) == 0
    await world.see(world.chat("c", title="B"), started=30)
    await world.write(lambda tx: world.store.events.forget_before(tx, organization_id, at(9999)))
    assert await world.write(lambda tx: forget(tx, organization_id, at(9999), keep=())) == 1


async def test_whoever_reads_its_messages_sees_a_chat(world: World) -> None:
    await world.see(world.chat("c"), started=10)
    await world.see_messages(world.message("m"), started=200)
    assert await world.write(lambda tx: world.store.chats.forget_unseen(tx, world.organization.id, at(100), ())) == 0
    chat = await world.get()
    assert chat is not None
    assert chat.as_of == at(200)
