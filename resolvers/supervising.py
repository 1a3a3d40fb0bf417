"""Looks after what nobody works on any more, in this process or in one that died, at a bounded rate.

    every few seconds, or when a process dies: unfinished rows and open intents
        ─▶ those that a living process sees to: left alone
        ─▶ the others, chat by chat: looked at (`resolvers.recovery`), less and less often while nothing changes

Several processes share a store, and each looks. A reply is followed by the one that claims its row; what is looked at twice is read
twice, and settled once.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.errors import GatewayError
from domain.records import MessageState
from resolvers.context import Gateway, system_context
from resolvers.intents import is_left
from resolvers.recovery import Left, settle_chat
from storage.followers import Unfinished
from storage.intents import Intent, IntentState

_MOST_ROWS = 1000
_AT_ONCE = 8
_FOREIGN_QUIET = timedelta(seconds=10)
"""A reply that somebody else asked for is looked at when no reading has shown more of it for so long: whoever watches its chat reads it anyway."""
_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(seconds=15)
_LONGEST_PAUSE_IN_DOUBT = timedelta(minutes=10)
"""Where only messages of unknown fate are left."""

_log = logging.getLogger(__name__)

ChatOf = tuple[int, int, str]
"""(organization id, source id, chat)."""


@dataclass(slots=True)
class _Due:
    """When a chat is looked at again."""

    at: datetime
    pause: timedelta


@dataclass(slots=True)
class _Pile:
    """What is left behind in one chat."""

    messages: list[Unfinished] = field(default_factory=list)
    intents: list[Intent] = field(default_factory=list)

    @property
    def is_in_doubt(self) -> bool:
        """Whether nothing is left that is being written."""
        return all(row.message.state is MessageState.PENDING for row in self.messages)


class Supervisor:
    """That of one process."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._due: dict[ChatOf, _Due] = {}
        self._called = asyncio.Event()

    def call(self) -> None:
        """Look now: a process died."""
        self._called.set()

    async def look(self, *, at_all: bool = False) -> int:
        """Look once at what is due, or at all that is left; at how many chats."""
        piles = await self._piles(at_all)
        now = self._gateway.clock()
        self._due = {chat: due for chat, due in self._due.items() if chat in piles}
        wanted = [chat for chat in piles if at_all or chat not in self._due or self._due[chat].at <= now]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(chat: ChatOf) -> None:
            async with gate:
                await self._look_at(chat, piles[chat])

        await asyncio.gather(*(one(chat) for chat in wanted))
        return len(wanted)

    async def run(self, every_seconds: float) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:  # whatever it was: what is left behind must not be forgotten because of it
                _log.exception("What was left behind could not be looked after. It is tried again.")
            self._called.clear()
            try:
                await asyncio.wait_for(self._called.wait(), every_seconds)
            except TimeoutError:
                continue

    async def _piles(self, at_all: bool) -> Mapping[ChatOf, _Pile]:
        store = self._gateway.store
        rows = await store.followers.unfinished(_MOST_ROWS)
        intents = await store.intents.open_intents(_MOST_ROWS)
        living = self._gateway.presence.living()
        left = {one.id for one in intents if one.state is IntentState.UNKNOWN or is_left(self._gateway, one, living)}
        busy = {(one.organization_id, one.message_id) for one in intents if one.id not in left}
        piles: defaultdict[ChatOf, _Pile] = defaultdict(_Pile)
        for row in rows:
            if (
                self._is_orphan(row, living, at_all)
                and (row.message.organization_id, row.message.native_id) not in busy
            ):
                piles[row.message.organization_id, *row.message.key[:2]].messages.append(row)
        for intent in intents:
            chat = (intent.organization_id, intent.source_id, intent.chat_id)
            if intent.id in left and (intent.state is IntentState.OPEN or chat in piles or at_all):
                piles[chat].intents.append(intent)
        return piles

    def _is_orphan(self, row: Unfinished, living: frozenset[str], at_all: bool) -> bool:
        if self._gateway.replies.get(row.message.key) is not None:
            return False
        if row.follower is not None and row.follower != self._gateway.presence.own and row.follower in living:
            return False
        is_fresh = row.changed_at > self._gateway.clock() - _FOREIGN_QUIET
        return row.is_own or at_all or not is_fresh

    async def _look_at(self, chat: ChatOf, pile: _Pile) -> None:
        organization_id, source_id, chat_id = chat
        organization = await self._gateway.store.organizations.get(organization_id)
        if organization is None:
            return
        principal = pile.intents[0].principal if pile.intents else "system"
        context = system_context(self._gateway, organization, principal)
        try:
            await settle_chat(context, Left(source_id, chat_id, pile.messages, pile.intents))
        except GatewayError as error:
            _log.info("what is left in a chat could not be settled: %s", error.message)
        self._put_off(chat, pile.is_in_doubt)

    def _put_off(self, chat: ChatOf, is_in_doubt: bool) -> None:
        before = self._due.get(chat)
        pause = before.pause * 1.5 if before is not None else _FIRST_PAUSE
        pause = min(pause, _LONGEST_PAUSE_IN_DOUBT if is_in_doubt else _LONGEST_PAUSE)
        self._due[chat] = _Due(self._gateway.clock() + pause, pause)


async def recover(gateway: Gateway) -> int:
    """Settle at once what can be settled of all that nobody works on; at how many chats that was."""
    return await Supervisor(gateway).look(at_all=True)


@asynccontextmanager
async def supervising(supervisor: Supervisor, *, every_seconds: float = 5.0) -> AsyncIterator[None]:
    """Look after it at once and then again and again, until the block is left."""
    task = asyncio.create_task(supervisor.run(every_seconds), name="supervisor")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
