"""Read markers: per principal, only forwards."""

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
