"""Readings in any order and overlap: the log stays a true story of what the mirror holds."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.records import EventKind, MessageState
from domain.tree import branch_path, by_id
from storage.messages import Link
from storage.store import open_store
from tests.storage.conftest import Clock, World, an_organization, at
from tests.tier import count

pytestmark = pytest.mark.anyio

_MESSAGE = st.tuples(
    st.sampled_from("abcde"),
    st.one_of(st.none(), st.sampled_from("abcde")),
    st.sampled_from(["", "x", "y"]),
    st.sampled_from([MessageState.COMPLETE, MessageState.STREAMING]),
    st.one_of(st.none(), st.integers(0, 5)),
)
_STEP = st.one_of(
    st.tuples(
        st.just("messages"),
        st.integers(0, 30),
        st.lists(_MESSAGE, max_size=5),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.one_of(st.none(), st.sampled_from("abcde")),
        st.sampled_from(Link),
    ),
    st.tuples(st.just("chat"), st.integers(0, 30), st.sampled_from("TU"), st.booleans()),
    st.tuples(st.just("overlay"), st.integers(0, 30), st.one_of(st.none(), st.sampled_from("OP"))),
    st.tuples(st.just("remove"), st.integers(0, 30)),
)


@settings(max_examples=count(long=2000, least=30), deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(_STEP, max_size=12))
async def test_the_log_tells_what_the_mirror_holds(tmp_path_factory: pytest.TempPathFactory, steps: list[Any]) -> None:
    path = tmp_path_factory.mktemp("observing") / "store.db"
    async with open_store(f"sqlite:///{path}", readers=1, clock=(clock := Clock())) as store:
        organization, source = await an_organization(store)
        world = World(store, clock, organization, source)
        await world.see(started=-1)
        for step in steps:
            clock.now = at(step[1])
            await perform(world, *step)
        await check_log(world, any_apart=any(step[0] == "messages" and step[-1] is Link.APART for step in steps))
        await check_path(world)


async def perform(world: World, kind: str, started: int, *rest: Any) -> None:
    key = (world.organization.id, world.source.id, "c")
    match kind, rest:
        case "messages", (rows, is_whole, newest, own, leaf, link):
            messages = [
                world.message(
                    name, parent, text=text, state=state, created_at=at(created) if created is not None else None
                )
                for name, parent, text, state, created in rows
            ]
            await world.see_messages(
                *messages,
                started=started,
                is_whole=is_whole,
                includes_newest=newest,
                is_own_write=own,
                active_leaf=leaf,
                link=Link.UNTOLD if own or (is_whole and link is Link.APART) else link,
            )
        case "chat", (title, own):
            await world.see(world.chat("c", title=title), started=started, is_own_write=own)
        case "overlay", (title,):
            await world.write(lambda tx: world.store.chats.set_overlay(tx, *key, title=title))
        case _:
            await world.write(lambda tx: world.store.chats.remove(tx, *key, at(started)))


async def check_log(world: World, *, any_apart: bool) -> None:
    """Every row was created before it changed, is gone after it was deleted, and its revisions only grow.

    What is shown apart is held and not told yet, also where it was told to be gone before; that it goes again is told, because pages show it.
    """
    events = await world.events()
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    of_row: dict[tuple[str, str], list[tuple[EventKind, int]]] = defaultdict(list)
    for event in events:
        of_row[event.kind.value.split("_")[0], event.native_id].append((event.kind, event.revision))
        if event.kind is EventKind.CHAT_DELETED:  # which says it of all its messages too
            for (what, _), history in of_row.items():
                if what == "MESSAGE" and history[-1][0] is not EventKind.MESSAGE_DELETED:
                    history.append((EventKind.MESSAGE_DELETED, history[-1][1] + 1))
    for history in of_row.values():
        revisions = [revision for _, revision in history]
        assert revisions == sorted(set(revisions))
        for (before, _), (after, _) in pairwise(history):
            is_gone = before in (EventKind.CHAT_DELETED, EventKind.MESSAGE_DELETED)
            went_untold = any_apart and before is after is EventKind.MESSAGE_DELETED
            assert went_untold or is_gone == (after in (EventKind.CHAT_CREATED, EventKind.MESSAGE_CREATED))
    chat = await world.get()
    story = of_row["CHAT", "c"]
    assert (chat is not None) == bool(story and story[-1][0] is not EventKind.CHAT_DELETED)
    held = {message.native_id for message in await world.store.messages.tree(*_key(world))}
    apart = "SELECT native_id FROM message WHERE organization_id = :organization_id AND chat_id = 'c' AND is_apart"
    parameters = {"organization_id": world.organization.id}
    untold = {row[0] for row in await world.store.database.fetch_all(apart, parameters)}
    for name in held - untold:
        kinds = [kind for kind, _ in of_row["MESSAGE", name]]
        assert not kinds or kinds[-1] is not EventKind.MESSAGE_DELETED


async def check_path(world: World) -> None:
    """The positions are a path of the tree, from its beginning to the leaf that the chat names."""
    messages = by_id(await world.store.messages.tree(*_key(world)))
    leaf = await world.store.messages.active_leaf(*_key(world))
    expected = [message.native_id for message in branch_path(messages, None, leaf)] if leaf else []
    assert await world.path() == expected


def _key(world: World) -> tuple[int, int, str]:
    return (world.organization.id, world.source.id, "c")


async def test_message_that_was_shown_apart_may_go_again(world: World) -> None:
    """Told to be gone with its chat, shown again apart from what is known, and gone again before it was news."""
    await world.see(started=-1)
    for step in (
        ("messages", 0, [], False, False, False, None, Link.UNTOLD),
        ("messages", 0, [("a", None, "", MessageState.COMPLETE, None)], False, False, False, None, Link.UNTOLD),
        ("remove", 0),
        ("messages", 1, [("a", None, "", MessageState.COMPLETE, None)], False, False, False, None, Link.APART),
    ):
        world.clock.now = at(step[1])
        await perform(world, *step)
        await check_log(world, any_apart=True)
    assert [message.native_id for message in await world.store.messages.tree(*_key(world))] == ["a"]
    world.clock.now = at(2)
    await perform(world, "messages", 2, [], True, False, False, None, Link.UNTOLD)
    await check_log(world, any_apart=True)
    told = [event.kind for event in await world.events()]
    assert told[-3:] == [EventKind.CHAT_DELETED, EventKind.CHAT_CREATED, EventKind.MESSAGE_DELETED]
