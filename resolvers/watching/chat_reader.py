"""Reads one chat again and again, and commits what is new.

A reading that shows what the last one showed, while the log has no new line, costs one call and one look at the log's head: nobody can have
changed the rows since, for every change of a row is a line of the log.
"""

from collections.abc import Callable
from dataclasses import dataclass

from domain.capabilities import Capability
from domain.records import MessageState
from domain.source import MessagesRead, MessageWindow
from resolvers.context import Context
from resolvers.joining import Reach, read_back
from resolvers.reading import ask_for_messages, read_chat, take_in
from resolvers.targets import ChatTarget
from resolvers.watching.fingerprints import fingerprint_of_messages
from resolvers.watching.tuning import WatchTuning

_WINDOW = MessageWindow(last=50)
_AGAIN = 3
"""How often in a row a reading is repeated at once. A clock that was set back makes all of them late for a while."""


@dataclass(frozen=True, slots=True)
class ChatNews:
    """What one reading of a chat brought. `again`: something was newer than the reading, so it is not the last word. `is_gone`: there is no such chat."""

    is_news: bool = False
    again: bool = False
    is_gone: bool = False


class ChatReader:
    """One chat of a source. `took` is called for each further page, beside the first call."""

    __slots__ = ("_last", "_outdated", "_took", "_tuning")

    def __init__(self, tuning: WatchTuning, took: Callable[[], None]) -> None:
        self._tuning = tuning
        self._took = took
        self._last: tuple[int, int] | None = None
        self._outdated = 0

    async def read(self, context: Context, target: ChatTarget, *, is_full: bool) -> ChatNews:
        """Read the newest end until the first known message; `is_full`: further back, and the chat itself, for what the newest end does not tell."""
        store, organization_id = context.store, context.organization.id
        read = await ask_for_messages(context, target, _WINDOW)
        if read is None:
            known = await store.chats.get_many(organization_id, [target.key])
            return ChatNews(is_gone=target.key not in known)
        head = await store.events.head(organization_id)
        now = (fingerprint_of_messages(read), head)
        if now == self._last and not is_full:
            return ChatNews(is_news=_is_being_written(read))
        if is_full:
            read = await self._all_of(context, target, read)
        reach = Reach(pages=self._tuning.fill_pages, gives_up=True, took=self._took)
        taken = await take_in(context, target, _WINDOW, read, reach)
        if taken is None:
            return ChatNews(is_gone=True)
        # Lines that this very reading has logged make the next one look closer, once.
        self._last = None if is_full or taken.observed.outdated else now
        self._outdated = self._outdated + 1 if taken.observed.outdated else 0
        return ChatNews(
            is_news=bool(taken.observed.changed) or taken.is_beyond or _is_being_written(read),
            again=0 < self._outdated <= _AGAIN,
        )

    async def _all_of(self, context: Context, target: ChatTarget, read: MessagesRead) -> MessagesRead:
        if read.chat is None and target.capabilities.can(Capability.READ_CHAT):
            self._took()
            await read_chat(context, target)
        return await read_back(context, target, read, Reach(pages=self._tuning.full_pass_pages, took=self._took))


def _is_being_written(read: MessagesRead) -> bool:
    return bool(read.messages) and read.messages[-1].state is MessageState.STREAMING
