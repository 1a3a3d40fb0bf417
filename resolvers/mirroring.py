"""When what was read is committed to the mirror: before the answer leaves, or behind it.

Behind it, through `MirrorQueue`, goes what a query read that mentions no `eventCursor` (`Context.may_mirror_late`). Before it:

- what an answer with an `eventCursor` shows, so that page and stream together miss nothing. Whether an operation mentions the
  field is a property of its text, known before it is executed, so it is right whenever the field is resolved, and if it never is;
- what mutations, feeds, `sync` and the gateway itself read: none of their contexts is marked;
- a first reading of a list or of a chat's messages, its baseline: until that is committed, nothing that happens is news;
- a reading of a chat in which a message of ours is on its way: the row is of the mutation that sends it, which waits to see how it ends;
- drains, because they are paged from the mirror (`must_commit`);
- what the queue could never hold, and would therefore never be kept.

Folders are always read from the mirror, and a denial removes rows: `resolvers.reading` commits both where it sees them. Whoever answers
from the mirror instead of a source waits with `caught_up` for what was shown before.
"""

from collections.abc import Sequence

from domain.records import Chat
from resolvers.context import Context
from storage.chats import ChatsSeen
from storage.database import Transaction, Unit
from storage.messages import MessagesSeen
from storage.observations import Observed
from storage.spelling import spelled

_NOTHING = Observed()


async def mirror_chats(context: Context, seen: ChatsSeen, *, must_commit: bool = False) -> Observed:
    """Bring a reading of chats into the mirror; the outcome is empty where it is not waited for."""
    chats = context.store.chats
    sets_baseline = (seen.from_newest or seen.is_whole) and not chats.has_known_baseline(seen.source_id)
    may_be_late = context.may_mirror_late and not (must_commit or sets_baseline or seen.is_own_write)
    if chats.recognise(seen) and await _is_certain(context, may_be_late):
        return _NOTHING

    async def unit(tx: Transaction) -> Observed:
        return await chats.observe(tx, seen)

    if may_be_late and _is_taken(context, seen.source_id, unit, rows=len(seen.rows), weight=_weight(seen.rows)):
        return _NOTHING
    return await context.store.database.write(unit)


async def mirror_messages(context: Context, seen: MessagesSeen, chat: ChatsSeen | None) -> Observed:
    """Bring a reading of messages into the mirror, with their chat where the same answer showed it; the outcome is empty where it is not waited for."""
    chats, messages = context.store.chats, context.store.messages
    has_newest = seen.includes_newest or seen.is_whole
    sets_baseline = has_newest and not messages.has_known_baseline(seen.source_id, seen.chat_id)
    may_be_late = context.may_mirror_late and not sets_baseline
    is_known = messages.recognise(seen) and (chat is None or chats.recognise(chat))
    if is_known and await _is_certain(context, may_be_late):
        return _NOTHING

    async def unit(tx: Transaction) -> Observed:
        if chat is not None:
            await chats.observe(tx, chat)
        return await messages.observe(tx, seen)

    if may_be_late and not await messages.unfinished_in(seen.organization_id, seen.source_id, seen.chat_id):
        rows = len(seen.messages) + (len(chat.rows) if chat is not None else 0)
        if _is_taken(context, seen.source_id, unit, rows=rows, weight=len(seen.spelled or b"")):
            return _NOTHING
    return await context.store.database.write(unit)


async def caught_up(context: Context, source_id: int) -> None:
    """Until the mirror holds what earlier answers showed of a source, or has given it up."""
    await context.gateway.mirror_queue.caught_up(source_id)


async def _is_certain(context: Context, may_be_late: bool) -> bool:
    """Whether what this process remembers of rows is what they hold.

    Another process may have written them since. An answer that promises a commit looks; what is written behind an answer may also be
    left out, and is seen again within a minute (`SEEN_EVERY`).
    """
    return may_be_late or await context.store.database.is_current()


def _is_taken(context: Context, source_id: int, unit: Unit[object], *, rows: int, weight: int) -> bool:
    """Hand rows to the queue, which may drop them. False: they are more than it ever holds, and have to be waited for."""
    queue = context.gateway.mirror_queue
    if not queue.could_hold(rows, weight):
        return False
    queue.hand_in(context.store.database, source_id, unit, rows=rows, weight=weight)
    return True


def _weight(rows: Sequence[Chat]) -> int:
    return len(spelled(rows) or b"")
