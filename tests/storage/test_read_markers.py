"""Read markers: per principal, only forwards."""

from typing import Any

import pytest

from tests.storage.conftest import World, at

pytestmark = pytest.mark.anyio


async def mark(world: World, message_id: str, principal: str = "key:1", **rest: object) -> bool:
    ids = (world.organization.id, principal, world.source.id, "c", message_id)
    return await world.write(lambda tx: world.store.read_markers.set_marker(tx, *ids, **rest))  # type: ignore[arg-type]


async def unread(world: World, principal: str = "key:1") -> int | None:
    key = (world.source.id, "c")
    counts = await world.store.read_markers.unread_counts(world.organization.id, principal, [key])
    return counts[key]


async def fill(world: World, number: int = 4) -> None:
    await world.see(world.chat())
    await world.see_messages(
        *(world.message(str(n), str(n - 1) if n else None, created_at=at(n)) for n in range(number))
    )


async def test_a_marker_moves_forwards_only(world: World) -> None:
    await fill(world)
    assert await unread(world) is None
    assert await mark(world, "1")
    assert await unread(world) == 2
    assert not await mark(world, "0")
    assert not await mark(world, "1")
    assert await mark(world, "3")
    assert await unread(world) == 0
    markers = await world.store.read_markers.markers(world.organization.id, "key:1", [(world.source.id, "c")])
    assert markers[world.source.id, "c"].message_id == "3"


async def test_each_move_is_one_event_that_names_the_principal(world: World) -> None:
    await fill(world)
    for principal in ("key:1", "jwt:i s"):
        await mark(world, "1", principal)
    await mark(world, "1")
    await mark(world, "2")
    events = await world.events()
    assert [dict(event.detail) for event in events] == [
        {"principal": "key:1", "message_id": "1"},
        {"principal": "jwt:i s", "message_id": "1"},
        {"principal": "key:1", "message_id": "2"},
    ]
    assert {(event.kind.value, event.chat_id) for event in events} == {("READ_STATE_CHANGED", "c")}


async def test_principals_do_not_share_markers(world: World) -> None:
    await fill(world)
    await mark(world, "3")
    assert await unread(world, "key:2") is None


async def test_new_messages_are_unread(world: World) -> None:
    await fill(world)
    await mark(world, "3")
    await world.see_messages(world.message("4", "3"), is_whole=False, started=30)
    assert await unread(world) == 1


async def test_marker_moves_back_when_that_is_asked_for(world: World) -> None:
    await fill(world)
    await mark(world, "3")
    assert not await mark(world, "1")
    assert await mark(world, "1", backwards=True)
    assert await unread(world) == 2
    assert not await mark(world, "1", backwards=True)
    assert [event.detail["message_id"] for event in await world.events()] == ["3", "1"]


async def test_what_somebody_sent_is_unread_for_the_others_only(world: World) -> None:
    await fill(world)
    for principal in ("key:1", "key:2"):
        await mark(world, "1", principal)
    sent: dict[str, Any] = {"is_whole": False, "is_own_write": True, "started": 30}
    await world.see_messages(world.message("4", "3"), details={"4": {"principal": "key:1"}}, **sent)
    assert (await unread(world, "key:1"), await unread(world, "key:2")) == (2, 3)
    await mark(world, "4", "key:2")
    assert (await unread(world, "key:1"), await unread(world, "key:2")) == (2, 0)


async def test_who_sent_a_message_is_not_forgotten_when_it_is_read_again(world: World) -> None:
    await fill(world)
    await mark(world, "3")
    sent: dict[str, Any] = {"is_whole": False, "is_own_write": True, "details": {"4": {"principal": "key:1"}}}
    await world.see_messages(world.message("4", "3", text="as sent"), started=30, **sent)
    await world.see_messages(world.message("4", "3", text="as the vendor shows it"), is_whole=False, started=40)
    assert await unread(world) == 0


async def test_deleted_messages_are_not_unread(world: World) -> None:
    await fill(world)
    await mark(world, "1")
    await world.write(
        lambda tx: world.store.messages.remove(tx, world.organization.id, world.source.id, "c", ["3"], at=at(40))
    )
    assert await unread(world) == 1


@pytest.mark.parametrize(("gone", "left"), [("1", 2), ("0", 3)], ids=["one before it stays", "it was the first"])
async def test_marker_outlives_its_message(world: World, gone: str, left: int) -> None:
    await fill(world)
    await mark(world, gone)
    rest = [number for number in "0123" if number != gone]
    parents = [None, *rest]
    await world.see_messages(
        *(world.message(n, parent, created_at=at(int(n))) for n, parent in zip(rest, parents, strict=False)), started=40
    )
    assert await unread(world) == left


async def test_chat_that_is_gone_has_no_marker_when_it_comes_back(world: World) -> None:
    await fill(world)
    await mark(world, "3")
    await world.write(lambda tx: world.store.chats.remove(tx, world.organization.id, world.source.id, "c", at(40)))
    await world.see(world.chat(), started=50)
    await world.see_messages(world.message("9"), started=50)
    assert await unread(world) is None


async def test_unknown_while_the_messages_were_never_read(world: World) -> None:
    await world.see(world.chat())
    await mark(world, "x", message_at=at(5))
    assert await unread(world) is None
    await world.see_messages(world.message("6", created_at=at(6)), is_whole=False, includes_newest=False, started=30)
    assert await unread(world) is None


async def test_unknown_when_what_stands_before_the_oldest_known_message_may_be_unread(world: World) -> None:
    """Only the newest end was read, and the marker is older than it."""
    await world.see(world.chat())
    await mark(world, "x", message_at=at(5))
    newest = [world.message(str(n), str(n - 1) if n > 6 else None, created_at=at(n)) for n in (6, 7)]
    await world.see_messages(*newest, is_whole=False, started=30)
    assert await unread(world) is None
    whole = [world.message("x", created_at=at(5)), world.message("6", "x", created_at=at(6)), newest[1]]
    await world.see_messages(*whole, started=40)
    assert await unread(world) == 2


async def test_unknown_when_a_reading_of_the_newest_end_left_a_gap(world: World) -> None:
    await fill(world)
    await mark(world, "3")
    far = [world.message(str(n), str(n - 1) if n > 90 else None, created_at=at(n)) for n in (90, 91)]
    await world.see_messages(*far, is_whole=False, started=100, active_leaf="91")
    assert await unread(world) is None


async def test_after_a_change_of_branch_the_time_counts(world: World) -> None:
    await world.see(world.chat())
    tree = [
        world.message("1", created_at=at(1)),
        world.message("2a", "1", created_at=at(2)),
        world.message("2b", "1", created_at=at(3)),
        world.message("3b", "2b", created_at=at(4)),
    ]
    await world.see_messages(*tree, active_leaf="2a")
    await mark(world, "2a")
    await world.see_messages(*tree, active_leaf="3b", started=30)
    assert await unread(world) == 2
    assert not await mark(world, "1")
    assert await mark(world, "2b")


async def test_a_message_that_the_store_does_not_know_is_compared_by_time(world: World) -> None:
    await world.see(world.chat())
    assert await mark(world, "x", message_at=at(5))
    assert not await mark(world, "w", message_at=at(4))
    assert await mark(world, "y", message_at=at(6))
    assert await mark(world, "z")
    assert await unread(world) is None


async def test_counts_of_many_chats_cost_one_statement(world: World) -> None:
    await fill(world)
    await mark(world, "1")
    costs = []
    for number in (20, 40):
        keys = [(world.source.id, "c"), *((world.source.id, f"c{n}") for n in range(number - 1))]
        before = world.store.database.statements
        counts = await world.store.read_markers.unread_counts(world.organization.id, "key:1", keys)
        costs.append(world.store.database.statements - before)
        assert counts == {**dict.fromkeys(keys), keys[0]: 2}
    assert costs == [1, 1]
