"""Who follows which reply."""

import pytest

from domain.records import MessageRole, MessageState
from storage.followers import Unfinished
from tests.storage.conftest import World

pytestmark = pytest.mark.anyio


async def begin(world: World, *names: str, state: MessageState = MessageState.STREAMING, own: bool = True) -> None:
    await world.see(world.chat())
    await world.see_messages(
        *(world.message(name, role=MessageRole.ASSISTANT, state=state) for name in names),
        is_whole=False,
        is_own_write=own,
    )


async def unfinished(world: World, limit: int = 100) -> list[Unfinished]:
    return await world.store.followers.unfinished(limit)


def key(world: World, name: str) -> tuple[int, str, str]:
    return (world.source.id, "c", name)


async def test_unfinished_ones_are_the_newest_with_who_follows_them(world: World) -> None:
    await begin(world, "a", "b")
    await begin(world, "done", state=MessageState.COMPLETE)
    await world.write(lambda tx: world.store.followers.take(tx, world.organization.id, key(world, "b"), "p1"))
    rows = await unfinished(world)
    assert [(row.message.native_id, row.is_own, row.follower) for row in rows] == [
        ("b", True, "p1"),
        ("a", True, None),
    ]
    assert [row.message.native_id for row in await unfinished(world, limit=1)] == ["b"]


async def test_finding_them_reads_no_other_rows(world: World) -> None:
    """The index holds only what is unfinished, so that asking every few seconds costs nothing where a store is large."""
    sql = (
        "EXPLAIN QUERY PLAN SELECT id FROM message INDEXED BY message_unfinished "
        "WHERE state IN ('PENDING', 'STREAMING') AND deleted_at IS NULL ORDER BY id DESC LIMIT 10 /* test */"
    )
    plan = [row[-1] for row in await world.store.database.fetch_all(sql)]
    assert any("message_unfinished" in step for step in plan)


async def test_only_one_of_several_gets_a_reply(world: World) -> None:
    await begin(world, "a")
    followers, organization_id = world.store.followers, world.organization.id
    assert await world.write(lambda tx: followers.claim(tx, organization_id, key(world, "a"), "p1", None))
    assert not await world.write(lambda tx: followers.claim(tx, organization_id, key(world, "a"), "p2", None))
    assert await world.write(lambda tx: followers.claim(tx, organization_id, key(world, "a"), "p2", "p1"))


async def test_reply_that_has_ended_is_nobodys(world: World) -> None:
    await begin(world, "a", state=MessageState.COMPLETE)
    followers, organization_id = world.store.followers, world.organization.id
    assert not await world.write(lambda tx: followers.claim(tx, organization_id, key(world, "a"), "p1", None))


async def test_store_tells_when_a_message_ends_and_when_it_goes_on(world: World) -> None:
    told: list[tuple[str, bool]] = []
    world.store.on_settled(lambda message, is_final: told.append((message[3], is_final)))
    await begin(world, "a", own=False)
    await world.see_messages(
        world.message("a", role=MessageRole.ASSISTANT, state=MessageState.STREAMING, text="more"),
        started=30,
        is_whole=False,
    )
    assert told == []
    done = world.message("a", role=MessageRole.ASSISTANT, text="all")
    await world.see_messages(done, started=40, is_whole=False)
    await world.see_messages(done, started=50, is_whole=False)
    assert told == [("a", True)]
    again = world.message("a", role=MessageRole.ASSISTANT, state=MessageState.STREAMING, text="all and more")
    await world.see_messages(again, started=60, is_whole=False)
    assert told == [("a", True), ("a", False)]
    await world.see_messages(started=70, is_whole=True)
    assert told[2:] == [("a", True)]
