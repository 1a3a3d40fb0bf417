"""Intent first: what a mutation is about to do is committed before a vendor is called, so that a repeated or interrupted request is recognised.

(none) ──open──▶ OPEN ──done──▶ DONE ──same key──▶ replayed
                  │ └─certainly not done─▶ FAILED ──same key──▶ OPEN again
                  └─cannot tell, or its process died─▶ UNKNOWN ──found by a look-up──▶ DONE
                                                          └─its absence proves it─▶ FAILED

An intent names the process that works on it, so that the others know whether to wait for it or to settle it (`resolvers.recovery`).
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from domain.errors import GatewayError, IdempotencyConflict, InvalidArgument, UnexpectedAnswer
from resolvers.context import Context, Gateway
from storage.database import Transaction
from storage.intents import Intent, IntentState
from storage.store import Store

_MAX_KEY = 200
_LOOK_SECONDS = 0.1
_running: WeakKeyDictionary[Store, dict[int, asyncio.Event]] = WeakKeyDictionary()
"""By id, the intents of each store that this process works on now: whoever repeats one waits for it."""


class Overtaken(Exception):
    """Another request with the same key opened its intent in between: ask `earlier` again."""


def input_hash(payload: Any) -> bytes:
    """What two requests with one key must share."""
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).digest()


def new_intent(
    context: Context, mutation: str, key: str | None, payload: Any, *, source_id: int = 0, chat_id: str = "", **ids: Any
) -> Intent:
    """An intent that is not committed yet."""
    if key is not None and not 1 <= len(key) <= _MAX_KEY:
        raise InvalidArgument(
            f"An `idempotencyKey` of {len(key)} characters was given. Use 1 to {_MAX_KEY}, for example a UUID.",
            path=("idempotencyKey",),
        )
    return Intent(
        organization_id=context.organization.id,
        principal=context.principal.key,
        mutation=mutation,
        idempotency_key=key,
        input_hash=input_hash(payload),
        source_id=source_id,
        chat_id=chat_id,
        created_at=context.now(),
        process=context.gateway.presence.own,
        **ids,
    )


async def earlier(context: Context, intent: Intent) -> Intent | None:
    """What an earlier request with the same key did; one that still runs, in whichever process, is waited for.

    None: there was none, or it certainly did nothing. `IdempotencyConflict` when its input was another.
    """
    if intent.idempotency_key is None:
        return None
    while True:
        known = await context.store.intents.by_key(
            intent.organization_id, intent.principal, intent.mutation, intent.idempotency_key
        )
        if known is None:
            return None
        same_input(known, intent)
        event = _of(context.store).get(known.id)
        if known.state is IntentState.OPEN and event is not None:
            await event.wait()
        elif _is_elsewhere(context.gateway, known):
            await asyncio.sleep(_LOOK_SECONDS)
        else:
            return None if known.state is IntentState.FAILED else known


def is_left(gateway: Gateway, intent: Intent, living: frozenset[str]) -> bool:
    """Whether nobody works on it, though it is open. `living`: the processes that live."""
    is_ours = intent.id in _of(gateway.store)
    return intent.state is IntentState.OPEN and not is_ours and not _is_elsewhere(gateway, intent, living)


def _is_elsewhere(gateway: Gateway, intent: Intent, living: frozenset[str] | None = None) -> bool:
    """Whether another process works on it now. `living`: those that live, where that is known already: it takes a look at the disk."""
    if intent.state is not IntentState.OPEN or intent.process in (None, gateway.presence.own):
        return False
    return intent.process in (gateway.presence.living() if living is None else living)


async def begin(context: Context, intent: Intent) -> Intent:
    """Open an intent, or what an earlier request with the same key did (`is_new` is False then)."""
    while True:
        if (known := await earlier(context, intent)) is not None:
            return known
        try:
            return await open_intent(context, intent)
        except Overtaken:
            continue


def same_input(known: Intent, intent: Intent) -> None:
    """Raise `IdempotencyConflict` unless both ask for the same."""
    if known.input_hash != intent.input_hash:
        raise IdempotencyConflict(
            f"{intent.mutation}: this `idempotencyKey` came before with another input, and nothing was done now. "
            "Use a new key for a new request.",
            first_used_at=known.created_at,
        )


async def open_intent(
    context: Context, intent: Intent, also: Callable[[Transaction, Intent], Awaitable[None]] | None = None
) -> Intent:
    """Commit an intent, with `also` in the same transaction, which gets it as it was opened. Raises `Overtaken` when a request with the same key was faster."""

    opened: Intent | None = None

    async def unit(tx: Transaction) -> Intent:
        nonlocal opened
        opened = await context.store.intents.open_intent(tx, intent)
        if opened.is_new:
            _of(context.store)[opened.id] = asyncio.Event()
            if also is not None:
                await also(tx, opened)
        return opened

    try:
        committed = await context.store.database.write(unit)
    except BaseException:
        if opened is not None and opened.is_new:
            abandon(context, opened)
        raise
    if not committed.is_new:
        same_input(committed, intent)
        raise Overtaken
    return committed


async def finish(
    context: Context,
    intent: Intent,
    state: IntentState,
    result: Mapping[str, Any] | None = None,
    also: Callable[[Transaction], Awaitable[None]] | None = None,
) -> None:
    """Commit how an intent ended, with `also` in the same transaction."""

    async def unit(tx: Transaction) -> None:
        if also is not None:
            await also(tx)
        await context.store.intents.finish(tx, intent.id, state, dict(result or {}))

    try:
        await context.store.database.write(unit)
    finally:
        abandon(context, intent)


def abandon(context: Context, intent: Intent) -> None:
    """This process does not work on it any more, however it stands: nobody shall go on waiting."""
    if (event := _of(context.store).pop(intent.id, None)) is not None:
        event.set()


def _of(store: Store) -> dict[int, asyncio.Event]:
    return _running.setdefault(store, {})


def why_unknown(error: GatewayError) -> str:
    """The middle of a sentence about a write whose outcome nobody can tell."""
    if isinstance(error, UnexpectedAnswer):
        return "was answered in a way that cannot be understood"
    return "was cut off before the source answered"
