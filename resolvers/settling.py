"""Finds our own messages again in what a source shows that gives them ids of its own.

A row that we wrote in advance (`PENDING`, or the `STREAMING` reply to it) has the id that clients know. In a complete reading it is the first
message of equal role and text that stands after its parent and is not yet known by another id; the reply is the assistant's
message right behind it. Once found, the two ids are bound for good. What the source does not show yet is appended.
"""

from collections.abc import Sequence
from dataclasses import replace

from domain.records import Message, MessageRole
from domain.source import MessagesRead
from resolvers.context import Context
from resolvers.targets import ChatTarget
from storage.database import Transaction


async def own_rows_settled(context: Context, target: ChatTarget, read: MessagesRead) -> MessagesRead:
    """The reading under the ids that clients know, own rows that the source does not show yet at its end."""
    store, organization_id = context.store, context.organization.id
    aliases = await store.messages.aliases(organization_id, target.source.id, target.chat_id)
    own = await store.messages.unfinished_in(organization_id, target.source.id, target.chat_id)
    found = match_own(read.messages, own, aliases)
    if found:

        async def unit(tx: Transaction) -> None:
            for native, public in found.items():
                await store.messages.bind(tx, organization_id, target.source.id, target.chat_id, public, native)

        await store.database.write(unit)
        aliases = {**aliases, **found}
    if not aliases and not own:
        return read
    shown = [renamed(message, aliases) for message in read.messages]
    present = {message.native_id for message in shown}
    waiting = [message for message in own if message.native_id not in present]
    leaf = aliases.get(read.active_leaf, read.active_leaf) if read.active_leaf is not None else None
    if waiting and (leaf is None or waiting[0].parent_id == leaf or waiting[0].parent_id not in present):
        leaf = waiting[-1].native_id
    return replace(read, messages=[*shown, *waiting], active_leaf=leaf)


def match_own(shown: Sequence[Message], own: Sequence[Message], aliases: dict[str, str]) -> dict[str, str]:
    """Which native id belongs to which public one, for own rows that are recognised now."""
    taken = set(aliases)
    found: dict[str, str] = {}
    bound = {public: native for native, public in aliases.items()}
    position = {message.native_id: index for index, message in enumerate(shown)}
    for row in own:
        if row.native_id in bound or row.native_id in position:
            continue
        parent = bound.get(row.parent_id, row.parent_id) if row.parent_id is not None else None
        if parent is not None and parent not in position:
            continue  # its parent is itself not recognised yet
        after = position[parent] + 1 if parent is not None else 0
        for message in shown[after:]:
            if message.native_id in taken or message.role is not row.role:
                continue
            if row.role is MessageRole.ASSISTANT or message.text == row.text:
                taken.add(message.native_id)
                found[message.native_id] = row.native_id
                bound[row.native_id] = message.native_id
                break
    return found


def renamed(message: Message, aliases: dict[str, str]) -> Message:
    """The message under the ids that clients know."""
    own = aliases.get(message.native_id, message.native_id)
    parent = aliases.get(message.parent_id, message.parent_id) if message.parent_id is not None else None
    if own == message.native_id and parent == message.parent_id:
        return message
    return replace(message, native_id=own, parent_id=parent)
