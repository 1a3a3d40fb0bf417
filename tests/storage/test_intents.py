"""Intents and idempotency keys."""

from datetime import timedelta
from typing import Any

import pytest

from storage.intents import Intent, IntentState
from tests.storage.conftest import World, at

pytestmark = pytest.mark.anyio


async def opened(world: World, key: str | None = "k", **values: Any) -> Intent:
    defaults: dict[str, Any] = {
        "organization_id": world.organization.id,
        "principal": "key:1",
        "mutation": "sendMessage",
        "idempotency_key": key,
        "input_hash": b"hash",
        "source_id": world.source.id,
        "chat_id": "c",
        "newest_known": "m0",
        "message_id": "m1",
        "reply_id": "m2",
        "created_at": at(0),
    }
    intent = Intent(**(defaults | values))
    return await world.write(lambda tx: world.store.intents.open_intent(tx, intent))


async def test_an_intent_is_kept_as_it_was_opened(world: World) -> None:
    intent = await opened(world)
    assert intent.is_new
    assert intent.state is IntentState.OPEN
    found = await world.store.intents.by_key(world.organization.id, "key:1", "sendMessage", "k")
    assert found is not None
    assert not found.is_new
    assert (found.id, found.newest_known, found.message_id, found.reply_id) == (intent.id, "m0", "m1", "m2")


async def test_the_same_key_gives_the_first_result(world: World) -> None:
    first = await opened(world)
    await world.write(lambda tx: world.store.intents.finish(tx, first.id, IntentState.DONE, {"chat": "c"}))
    again = await opened(world, input_hash=b"other")
    assert (again.id, again.is_new, again.state, again.result) == (first.id, False, IntentState.DONE, {"chat": "c"})
    assert again.input_hash == b"hash"


@pytest.mark.parametrize("other", [{"principal": "key:2"}, {"mutation": "createChat"}, {"key": None}])
async def test_a_key_belongs_to_principal_and_mutation(world: World, other: dict[str, Any]) -> None:
    await opened(world, **({"key": None} if "key" in other else {}))
    assert (await opened(world, **other)).is_new


async def test_a_key_is_free_again_after_a_day(world: World) -> None:
    first = await opened(world)
    assert not (await opened(world, created_at=at(0) + timedelta(hours=24))).is_new
    assert (await opened(world, created_at=at(0) + timedelta(hours=24, seconds=1))).is_new
    assert await world.store.intents.get(world.organization.id, first.id) is not None


async def test_a_key_whose_request_certainly_did_nothing_is_free_again(world: World) -> None:
    first = await opened(world)
    await world.write(lambda tx: world.store.intents.finish(tx, first.id, IntentState.FAILED))
    again = await opened(world)
    assert again.is_new
    assert again.id != first.id


async def test_a_start_finds_what_is_not_settled(world: World) -> None:
    intents = [await opened(world, key=None) for _ in range(4)]
    for intent, state in zip(intents, IntentState, strict=True):
        await world.write(lambda tx, i=intent, s=state: world.store.intents.finish(tx, i.id, s))  # type: ignore[misc]
    found = await world.store.intents.open_intents()
    assert [intent.state for intent in found] == [IntentState.OPEN, IntentState.UNKNOWN]
    await world.write(lambda tx: world.store.intents.forget_before(tx, world.organization.id, at(1)))
    assert await world.store.intents.open_intents() == found
    assert await world.store.intents.get(world.organization.id, intents[1].id) is None
