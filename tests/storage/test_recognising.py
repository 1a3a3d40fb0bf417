"""Readings that show nothing new: they cost no statement, and to leave them out changes nothing."""

import sqlite3
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.records import Chat, Message, MessageState
from storage.chats import SEEN_EVERY
from storage.observations import Observed
from storage.store import open_store
from tests.storage.conftest import Clock, World, an_organization, at
from tests.storage.test_observing import _STEP, perform
from tests.tier import count
from tests.writer import held

pytestmark = pytest.mark.anyio
MINUTE = SEEN_EVERY / 1_000_000


async def test_list_that_shows_nothing_new_is_recognised_without_a_statement(world: World) -> None:
    chats = [world.chat(f"c{n}", title="Title", tags=("a",), metadata={"n": n}) for n in range(60)]
    await world.see(*chats, started=10)
    before = world.store.database.statements
    assert world.store.chats.recognise(world.reading_of(*chats, started=20))
    assert world.store.chats.recognise(world.reading_of(chats[7], started=30, from_newest=False, is_whole=False))
    assert world.store.database.statements == before


async def test_list_that_is_recognised_was_seen(world: World) -> None:
    await world.see(world.chat(title="A"), started=10)
    world.store.chats.recognise(world.reading_of(world.chat(title="A"), started=20))
    assert await world.store.chats.last_seen(world.organization.id, world.source.id) == at(20)


@pytest.mark.parametrize(
    "told", [{"title": "B"}, {"title": "A", "pinned": True}, {"title": None}, {}], ids=["other", "more", "none", "less"]
)
async def test_chat_that_is_told_otherwise_is_not_recognised(world: World, told: dict[str, Any]) -> None:
    await world.see(world.chat(title="A"))
    assert not world.store.chats.recognise(world.reading_of(world.chat(**told)))


async def test_nothing_is_recognised_while_something_is_being_written(world: World) -> None:
    """A unit that waits may be about to change the very row."""
    await world.see(world.chat(title="A"))
    await world.see_messages(world.message("m"))
    async with held(world.store.database):
        assert not world.store.chats.recognise(world.reading_of(world.chat(title="A")))
        assert not world.store.messages.recognise(world.reading_of_messages(world.message("m")))
    assert world.store.chats.recognise(world.reading_of(world.chat(title="A")))
    assert world.store.messages.recognise(world.reading_of_messages(world.message("m")))


async def test_nothing_is_recognised_for_longer_than_a_minute(world: World) -> None:
    """The rows say when they were last seen, and retention goes by that."""
    await world.see(world.chat(title="A"), started=10)
    await world.see_messages(world.message("m"), started=10)
    for seconds, is_recognised in ((9 + MINUTE, True), (10 + MINUTE, False)):
        assert world.store.chats.recognise(world.reading_of(world.chat(title="A"), started=seconds)) is is_recognised
        reading = world.reading_of_messages(world.message("m"), started=seconds)
        assert world.store.messages.recognise(reading) is is_recognised


async def test_commit_of_another_process_is_forgotten_with_the_next_unit(world: World, url: str) -> None:
    await world.see(world.chat(title="A"))
    await world.see_messages(world.message("m"))
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("UPDATE chat SET title = 'Theirs'")
    other.close()
    assert not await world.store.database.is_current()
    await world.see(world.chat("c2", title="B"), is_whole=False)
    await world.see_messages(world.message("x", chat_id="c2"), chat_id="c2")
    assert not world.store.chats.recognise(world.reading_of(world.chat(title="A"), is_whole=False))
    assert not world.store.messages.recognise(world.reading_of_messages(world.message("m")))


async def test_own_write_is_never_only_recognised(world: World) -> None:
    await world.see(world.chat(title="A"))
    await world.see_messages(world.message("m"))
    assert not world.store.chats.recognise(world.reading_of(world.chat(title="A"), is_own_write=True))
    assert not world.store.messages.recognise(world.reading_of_messages(world.message("m"), is_own_write=True))


async def test_messages_that_show_nothing_new_are_recognised_without_a_statement(world: World) -> None:
    messages = [world.message(str(n), str(n - 1) if n else None) for n in range(50)]
    await world.see_messages(*messages, started=20, active_leaf="49")
    before = world.store.database.statements
    reading = world.reading_of_messages(*messages, started=30, active_leaf="49")
    assert world.store.messages.recognise(reading)
    assert world.store.database.statements == before


async def test_windows_of_one_chat_are_recognised_in_turn(world: World) -> None:
    one, two = world.message("1", created_at=at(1)), world.message("2", "1", created_at=at(2))
    windows = [
        world.reading_of_messages(two, is_whole=False),
        world.reading_of_messages(one, is_whole=False, includes_newest=False),
    ]
    for _ in range(2):  # the first round writes the second message, which changes what the first window stands in
        for window in windows:
            await world.write(lambda tx, window=window: world.store.messages.observe(tx, window))  # type: ignore[misc]
    assert [world.store.messages.recognise(window) for window in windows] == [True, True]


@pytest.mark.parametrize("change", ["text", "state", "parent", "leaf", "less", "order"])
async def test_reading_of_messages_that_differs_is_not_recognised(world: World, change: str) -> None:
    tree = [world.message("1"), world.message("2", "1"), world.message("3", "1")]
    await world.see_messages(*tree, active_leaf="2")
    leaf = "3" if change == "leaf" else "2"
    match change:
        case "text":
            tree[2] = world.message("3", "1", text="other words")
        case "state":
            tree[2] = world.message("3", "1", state=MessageState.CANCELLED)
        case "parent":
            tree[2] = world.message("3", "2")
        case "less":
            del tree[2]
        case "order":
            tree[1:] = [tree[2], tree[1]]
    assert not world.store.messages.recognise(world.reading_of_messages(*tree, active_leaf=leaf))


async def test_reading_that_came_too_late_is_not_recognised_when_it_is_made_again(world: World) -> None:
    """The first time something newer was known; the second time it is the newer one, and has to be written."""
    await world.see_messages(world.message("m", text="new"), started=40)
    await world.see_messages(world.message("m", text="old"), started=30)
    assert not world.store.messages.recognise(world.reading_of_messages(world.message("m", text="old"), started=50))


async def test_reading_of_the_very_moment_of_a_deletion_is_not_recognised_when_it_is_made_again(world: World) -> None:
    key = (world.organization.id, world.source.id, "c", ["m"])
    await world.see_messages(world.message("m"), started=20)
    await world.write(lambda tx: world.store.messages.remove(tx, *key, at(30)))
    await world.see_messages(world.message("m"), started=30)
    assert not world.store.messages.recognise(world.reading_of_messages(world.message("m"), started=40))


async def test_words_that_come_back_are_not_recognised(world: World) -> None:
    old, new = world.message("m", text="old"), world.message("m", text="new")
    await world.see_messages(old, started=20)
    await world.see_messages(new, started=30)
    assert not world.store.messages.recognise(world.reading_of_messages(old, started=40))
    assert world.store.messages.recognise(world.reading_of_messages(new, started=40))


async def test_path_that_comes_back_is_not_recognised(world: World) -> None:
    """No message changes, and still the active path is laid anew."""
    tree = [world.message("1"), world.message("2", "1"), world.message("3", "1")]
    await world.see_messages(*tree, started=20, active_leaf="2")
    await world.see_messages(*tree, started=30, active_leaf="3")
    assert not world.store.messages.recognise(world.reading_of_messages(*tree, started=40, active_leaf="2"))


async def test_message_that_was_too_young_to_be_missed_is_missed_by_the_next_reading(world: World) -> None:
    await world.see_messages(world.message("1"), started=20)
    await world.see_messages(world.message("1"), world.message("2", "1"), started=40)
    await world.see_messages(world.message("1"), started=30)
    assert not world.store.messages.recognise(world.reading_of_messages(world.message("1"), started=50))
    assert (await world.see_messages(world.message("1"), started=50)).changed == ("2",)


async def test_chat_that_was_removed_is_not_recognised(world: World) -> None:
    await world.see(world.chat(title="A"))
    await world.see_messages(world.message("m"))
    await world.write(lambda tx: world.store.chats.remove(tx, world.organization.id, world.source.id, "c", at(30)))
    assert not world.store.chats.recognise(world.reading_of(world.chat(title="A"), started=40))
    assert not world.store.messages.recognise(world.reading_of_messages(world.message("m"), started=40))
    assert not world.store.messages.has_known_baseline(world.source.id, "c")


async def test_chat_that_was_forgotten_has_no_known_baseline(world: World) -> None:
    await world.see_messages(world.message("m"))
    assert world.store.messages.has_known_baseline(world.source.id, "c")
    await world.write(lambda tx: world.store.chats.forget_unseen(tx, world.organization.id, at(1000), []))
    assert not world.store.messages.has_known_baseline(world.source.id, "c")


async def test_baseline_is_known_once_a_reading_with_the_newest_end_is_committed(world: World) -> None:
    chats, messages, source_id = world.store.chats, world.store.messages, world.source.id
    await world.see(world.chat(title="A"), from_newest=False, is_whole=False)
    await world.see_messages(world.message("m"), is_whole=False, includes_newest=False)
    assert not chats.has_known_baseline(source_id)
    assert not messages.has_known_baseline(source_id, "c")
    await world.see(world.chat(title="A"), is_whole=False)
    await world.see_messages(world.message("m"), is_whole=False)
    assert chats.has_known_baseline(source_id)
    assert messages.has_known_baseline(source_id, "c")


class Comparing(World):
    """Before each reading is observed, it is asked whether it is recognised; then it must write nothing."""

    async def see(self, *chats: Chat, **reading: Any) -> Observed:
        is_known = self.store.chats.recognise(self.reading_of(*chats, **reading))
        return await self._compared(is_known, super().see(*chats, **reading))

    async def see_messages(self, *messages: Message, **reading: Any) -> Observed:
        is_known = self.store.messages.recognise(self.reading_of_messages(*messages, **reading))
        return await self._compared(is_known, super().see_messages(*messages, **reading))

    async def _compared(self, is_known: bool, observing: Any) -> Observed:
        before = await self._everything()
        observed: Observed = await observing
        if is_known:
            assert observed == Observed()
            assert await self._everything() == before
        return observed

    async def _everything(self) -> list[list[tuple[Any, ...]]]:
        tables = ("chat", "message", "chat_overlay", "source_state", "event")
        return [await self.store.database.fetch_all(f"SELECT * FROM {table} ORDER BY 1, 2, 3") for table in tables]


@settings(max_examples=count(long=2000, least=60), deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(st.tuples(_STEP, st.lists(st.integers(0, 150), max_size=2)), max_size=8))
async def test_to_leave_out_what_is_recognised_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    path = tmp_path_factory.mktemp("recognising") / "store.db"
    async with open_store(f"sqlite:///{path}", readers=1, clock=(clock := Clock())) as store:
        world = Comparing(store, clock, *await an_organization(store))
        await world.see(started=-1)
        for step, again in steps:
            for started in (step[1], *again):  # the same reading made again, earlier or later
                clock.now = at(started)
                await perform(world, step[0], started, *step[2:])
