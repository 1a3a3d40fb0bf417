"""Mutations that only write to the store: with an `idempotencyKey` they are done once, the key being kept in the same transaction."""

from collections.abc import Awaitable, Callable
from typing import Any

from resolvers.context import Context
from resolvers.intents import earlier, new_intent, same_input
from resolvers.writes import Done
from storage.database import Transaction
from storage.intents import IntentState


async def done_before(context: Context, mutation: str, key: str | None, payload: Any) -> int | None:
    """The id that an earlier request with this key made. `IdempotencyConflict` when its input was another."""
    known = await earlier(context, new_intent(context, mutation, key, payload))
    return int(known.result["id"]) if known is not None else None


async def write_once(
    context: Context,
    mutation: str,
    key: str | None,
    payload: Any,
    act: Callable[[Transaction], Awaitable[int]],
) -> Done[int]:
    """Run `act` in a transaction; the id that it made, or that an earlier request with this key made."""
    intent = new_intent(context, mutation, key, payload)
    store = context.store

    async def unit(tx: Transaction) -> Done[int]:
        if intent.idempotency_key is None:
            return Done(await act(tx))
        opened = await store.intents.open_intent(tx, intent)
        if not opened.is_new:
            same_input(opened, intent)
            return Done(int(opened.result["id"]), replayed=True)
        made = await act(tx)
        await store.intents.finish(tx, opened.id, IntentState.DONE, {"id": made})
        return Done(made)

    return await store.database.write(unit)
