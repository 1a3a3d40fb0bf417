"""Finds our own messages again in what a source shows that gives them ids of its own.

A row that we wrote in advance (`PENDING`, or the `STREAMING` reply to it) has the id that clients know. In a reading it is the first
message of equal role and text that stands after what was there before it and is not yet known by another id; the reply is the
assistant's message behind it, before anybody else says something. Where several of ours are equal and fewer are shown, the last
ones are meant: those before were looked for already. Once found, the two ids are bound for good. What the source does not show
yet is appended, and so is what certainly never came to it: see `unsent`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from domain.records import Message, MessageRole, MessageState
from domain.source import MessagesRead
from domain.tree import by_id, newest_leaf
from resolvers.context import Context
from resolvers.targets import ChatTarget
from storage.database import Transaction


async def own_rows_settled(context: Context, target: ChatTarget, read: MessagesRead) -> MessagesRead:
    """The reading under the ids that clients know, own rows that the source does not show yet at its end."""
    store, organization_id = context.store, context.organization.id
    aliases = await store.messages.aliases(organization_id, target.source.id, target.chat_id)
    own = await store.messages.unfinished_in(organization_id, target.source.id, target.chat_id)
    failed = await unsent(context, target)
    found = match_own(read.messages, own, aliases, failed)
    if found:

        async def unit(tx: Transaction) -> None:
            for native, public in found.items():
                await store.messages.bind(tx, organization_id, target.source.id, target.chat_id, public, native)

        await store.database.write(unit)
        aliases = {**aliases, **found}
    if not (aliases or own or failed):
        return read
    shown = [renamed(message, aliases) for message in read.messages]
    leaf = aliases.get(read.active_leaf, read.active_leaf) if read.active_leaf is not None else None
    present = {message.native_id for message in shown}
    # One that has failed between the two statements is in both, and failed.
    kept = {message.native_id: message for message in (*own, *failed)}
    waiting = [message for message in kept.values() if message.native_id not in present]
    if not waiting or (read.has_after and not read.is_complete):
        return replace(read, messages=shown, active_leaf=leaf)
    waiting, leaf = _appended(shown, waiting, leaf if leaf is not None else _end(read, shown))
    return replace(read, messages=[*shown, *waiting], active_leaf=leaf)


async def unsent(context: Context, target: ChatTarget) -> list[Message]:
    """Messages of ours that failed before their source had them, each before the reply that it never got.

    Only where the sender is answered before the source was: nothing else tells of the failure, so they stay until they are deleted, or
    sent once more. Elsewhere the mutation itself failed. A reply that broke off behind a message that the source has is not among them.
    """
    if not target.capabilities.replies_late:
        return []
    kept: dict[str, Message] = {}
    for row in await context.store.messages.failed_in(context.organization.id, *target.key):
        if row.role is not MessageRole.ASSISTANT or row.parent_id in kept:
            kept[row.native_id] = row
    return list(kept.values())


async def newest_at_source(context: Context, target: ChatTarget, read: MessagesRead) -> str | None:
    """The newest message of a reading's path that may be followed; None in a chat without one."""
    at = read.active_leaf if read.is_complete else (read.messages[-1].native_id if read.messages else None)
    failed = by_id(await unsent(context, target))
    shown = by_id(read.messages)
    while at is not None and at in failed:
        at = shown[at].parent_id if at in shown else None
    return at


async def endings_kept(context: Context, target: ChatTarget, read: MessagesRead) -> MessagesRead:
    """The reading with the endings that are known: an answer that was stopped does not become a complete one at a source that shows no
    endings, and one that broke off is not written again because its source never noticed.
    """
    tells = target.capabilities.tells_endings
    answers = [message for message in read.messages if message.role is MessageRole.ASSISTANT]
    asked = [(*target.key, one.native_id) for one in answers if not tells or not one.state.is_final]
    if not asked:
        return read
    known = await context.store.messages.get_many(context.organization.id, asked)

    def kept(message: Message) -> Message:
        row = known.get((*target.key, message.native_id))
        if row is None or row.deleted_at is not None or row.state not in (MessageState.CANCELLED, MessageState.FAILED):
            return message
        is_hidden = message.state is MessageState.COMPLETE
        is_unnoticed = not message.state.is_final and message.text == row.text
        return replace(message, state=row.state) if is_hidden or is_unnoticed else message

    return replace(read, messages=[kept(message) for message in read.messages])


def _end(read: MessagesRead, shown: Sequence[Message]) -> str | None:
    if read.is_complete:
        return newest_leaf(by_id(shown), None)
    return shown[-1].native_id if shown else None


def _appended(
    shown: Sequence[Message], waiting: Sequence[Message], leaf: str | None
) -> tuple[list[Message], str | None]:
    """Rows that the source does not show yet, behind all that it shows, and the end of the path with them."""
    placed: dict[str, Message] = {}
    for row in waiting:
        if row.role is not MessageRole.ASSISTANT and row.parent_id not in placed:
            row = replace(row, parent_id=leaf)
        if row.parent_id == leaf:
            leaf = row.native_id
        placed[row.native_id] = row
    return list(placed.values()), leaf


def match_own(
    shown: Sequence[Message], own: Sequence[Message], aliases: Mapping[str, str], failed: Sequence[Message] = ()
) -> dict[str, str]:
    """Which native id belongs to which public one, for own rows that are recognised now. `failed` rows are looked behind, and never found."""
    bound = {public: native for native, public in aliases.items()}
    position = {message.native_id: index for index, message in enumerate(shown)}
    open_rows = [row for row in own if row.native_id not in bound and row.native_id not in position]
    taken = set(aliases)
    found: dict[str, str] = {}
    for place, row in enumerate(open_rows):
        after = _stands_after(row, by_id([*failed, *open_rows]), bound, position)
        if after is None:
            continue
        candidates = [one for one in _behind(shown, after, row) if one.native_id not in taken and _is_like(one, row)]
        rivals = (
            0 if row.role is MessageRole.ASSISTANT else sum(_is_like(other, row) for other in open_rows[place + 1 :])
        )
        if len(candidates) <= rivals:
            continue
        native = candidates[0].native_id
        taken.add(native)
        found[native] = row.native_id
        bound[row.native_id] = native
    return found


def _stands_after(
    row: Message, own: Mapping[str, Message], bound: Mapping[str, str], position: Mapping[str, int]
) -> int | None:
    """The first place at which a row can be; None while that cannot be told.

    What a message of ours followed may itself never have come to the source: then it is what stood before that.
    """
    at = row.parent_id
    while at is not None:
        native = bound.get(at, at)
        if native in position:
            return position[native] + 1
        if at not in own or row.role is MessageRole.ASSISTANT:
            return None
        at = own[at].parent_id
    return 0


def _behind(shown: Sequence[Message], after: int, row: Message) -> Iterator[Message]:
    for message in shown[after:]:
        if row.role is MessageRole.ASSISTANT and message.role is MessageRole.USER:
            return
        yield message


def _is_like(message: Message, row: Message) -> bool:
    return message.role is row.role and (row.role is MessageRole.ASSISTANT or message.text == row.text)


def renamed(message: Message, aliases: Mapping[str, str]) -> Message:
    """The message under the ids that clients know."""
    own = aliases.get(message.native_id, message.native_id)
    parent = aliases.get(message.parent_id, message.parent_id) if message.parent_id is not None else None
    if own == message.native_id and parent == message.parent_id:
        return message
    return replace(message, native_id=own, parent_id=parent)
