"""Keeps what is known of a chat without holes, for sources that show messages in pages.

    newest page ──nothing known in it──▶ the page before ──▶ … ──▶ one that shows a known message, or the chat's beginning: joined
                                                             ├──▶ too far for a request: the messages stand apart until a feed comes to them
                                                             └──▶ too far for a feed: what stands between is given up, with a `STREAM_GAP`

What is known of a chat from its baseline on is one stretch (`storage.message_joins`). A newest page without a known message would leave a
hole behind it that no later reading sees, because later readings stop at the first known message. So the pages between are read before
anything is committed, and all of it goes into the log at once, oldest first.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from domain.errors import BadCursor, UpstreamError
from domain.records import Message
from domain.source import MessagesRead, MessageWindow
from resolvers.context import Context
from resolvers.targets import ChatTarget
from storage.message_reads import Footing
from storage.messages import Link

_PAGE = 100
"""Messages of one page where a source names no bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far a reading may go back: `pages` and `seconds` (None: as long as it takes). `took` is called for each page.

    `gives_up`: what is out of reach is given up, and a source that fails on the way raises. Otherwise either costs no more than that
    the messages stand apart.
    """

    pages: int
    seconds: float | None = None
    gives_up: bool = False
    took: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A reading, extended by `added` messages at its old end, and how it joins what is known. `is_first`: nothing was known.

    `is_beyond`: known messages were out of reach, `begins_anew`: and what stands between is given up. `is_gone`: so is the chat, all of a sudden.
    """

    read: MessagesRead
    link: Link
    added: int = 0
    is_first: bool = False
    is_beyond: bool = False
    begins_anew: bool = False
    is_gone: bool = False


async def joined(
    context: Context,
    target: ChatTarget,
    window: MessageWindow,
    read: MessagesRead,
    aliases: Mapping[str, str],
    reach: Reach,
) -> Joined:
    """How a reading joins what is known. The newest end is extended until it does; ids in `window` and `read` are the source's own."""
    if read.is_complete:
        return Joined(read=read, link=Link.UNTOLD if target.capabilities.max_page is None else Link.JOINED)
    stretch = _Stretch(context, target, read, aliases)
    neighbours = [one for one in (window.after, window.before) if one is not None]
    is_first, is_joined = await stretch.begin(neighbours)
    if is_joined or is_first:
        return Joined(read=read, link=Link.JOINED if is_joined else Link.APART, is_first=is_first)
    if read.has_after:
        return Joined(read=read, link=Link.APART)
    try:
        async with asyncio.timeout(reach.seconds) if reach.seconds is not None else nullcontext():
            is_joined = await stretch.go_back(reach)
    except (UpstreamError, BadCursor, TimeoutError):  # a cursor is bad when its message was deleted meanwhile
        if reach.gives_up:
            raise
        return Joined(read=read, link=Link.APART, is_beyond=True)
    if stretch.is_gone or (not is_joined and not reach.gives_up):
        return Joined(read=read, link=Link.APART, is_beyond=True, is_gone=stretch.is_gone)
    added = len(stretch.rows) - len(read.messages)
    return Joined(read=stretch.read, link=Link.JOINED, added=added, is_beyond=not is_joined, begins_anew=not is_joined)


async def read_back(context: Context, target: ChatTarget, read: MessagesRead, reach: Reach) -> MessagesRead:
    """A reading of the newest end and all before it, as far as `reach` allows. Complete, if that is to the beginning."""
    if read.is_complete:
        return read
    stretch = _Stretch(context, target, read, {})
    for _ in range(reach.pages):
        if not await stretch.page_before(reach):
            break
    whole = stretch.read
    return replace(whole, is_complete=True) if not (whole.has_before or whole.has_after) else whole


class _Stretch:
    """Neighbouring messages, growing towards the old end."""

    def __init__(self, context: Context, target: ChatTarget, read: MessagesRead, aliases: Mapping[str, str]) -> None:
        self._context = context
        self._target = target
        self._aliases = aliases
        self.read = read
        self.is_gone = False

    @property
    def rows(self) -> Sequence[Message]:
        """Oldest first."""
        return self.read.messages

    async def begin(self, neighbours: Sequence[str]) -> tuple[bool, bool]:
        """Whether it is the first reading of the chat, and whether it joins: its neighbours count, too."""
        footing = await self._footing([*neighbours, *(message.native_id for message in self.rows)])
        if not footing.has_baseline:
            return True, not self.read.has_after
        # What is known begins with the chat, or all of the chat is here.
        is_from_beginning = not self.read.has_before and (not footing.is_partial or not self.read.has_after)
        return False, bool(footing.certain) or is_from_beginning

    async def go_back(self, reach: Reach) -> bool:
        """Read pages until one joins, or the beginning is reached; whether that came."""
        for _ in range(reach.pages):
            before = len(self.rows)
            if not await self.page_before(reach):
                break
            added = self.rows[: len(self.rows) - before]
            if (await self._footing([message.native_id for message in added])).certain:
                return True
        return not self.read.has_before

    async def page_before(self, reach: Reach) -> bool:
        """Read one page more; whether that brought anything."""
        if not self.read.has_before or not self.rows:
            return False
        size = max(
            1, (self._target.capabilities.max_page or _PAGE) - 2
        )  # the anchor and one more fit into the page with it
        window = MessageWindow(last=size, before=self.rows[0].native_id)
        older = await self._target.live.read_messages(self._target.chat_id, window)
        reach.took()
        if older is None:
            self.is_gone = True
            return False
        return self._put_before(older)

    def _put_before(self, older: MessagesRead) -> bool:
        found = list(older.messages)
        present = {message.native_id for message in self.rows}
        if older.is_complete:  # all of the chat at once: what stands before ours
            first = next((place for place, one in enumerate(found) if one.native_id in present), len(found))
            found = found[:first]
        found = [message for message in found if message.native_id not in present]
        self.read = replace(
            self.read,
            messages=[*found, *self.rows],
            has_before=older.has_before and not older.is_complete,
            skipped=self.read.skipped + older.skipped,
        )
        return bool(found)

    async def _footing(self, native_ids: Sequence[str]) -> Footing:
        public = [self._aliases.get(native_id, native_id) for native_id in native_ids]
        return await self._context.store.messages.footing(self._context.organization.id, *self._target.key, public)
