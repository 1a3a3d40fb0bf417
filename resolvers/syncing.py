"""Reads a source whole into the mirror: its folders, its chats, and the messages of every chat that were not read yet.

Resumable by nature: a chat whose messages were read with their newest end is skipped next time, and what was read stays.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from domain.capabilities import Capability
from domain.errors import UpstreamError
from domain.source import MessageWindow
from resolvers.context import Context
from resolvers.legs import drain
from resolvers.reading import read_messages, see_folders
from resolvers.targets import ChatTarget, SourceTarget

_TOLD = frozenset({"archived", "folder", "pinned", "tags", "title", "updated_at"})
_WINDOW = MessageWindow(last=100)


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """How far a source is: `done` of `total` chats have their messages read; `failed` could not be."""

    done: int
    total: int
    failed: int = 0
    last_error: str | None = None


async def sync_source(context: Context, target: SourceTarget, *, again: bool = False) -> AsyncIterator[SyncProgress]:
    """Read everything; `again` reads messages that were read before, too. Raises `UpstreamError` when the list itself cannot be read.

    A chat that fails is counted and left for the next run.
    """
    capabilities = target.capabilities
    if capabilities.reads_from_store or not capabilities.can(Capability.LIST_CHATS):
        return
    if capabilities.has_folders:
        await see_folders(context, target)
    await drain(context, target, _TOLD)
    store, organization_id = context.store, context.organization.id
    native_ids = sorted(await store.chats.native_ids(organization_id, target.source.id))
    keys = [(target.source.id, native_id) for native_id in native_ids]
    read = set() if again else await store.messages.has_baseline(organization_id, keys)
    done, failed, error_text = len(read), 0, None
    yield SyncProgress(done, len(keys))
    for key in keys:
        if key in read:
            continue
        try:
            await read_messages(context, ChatTarget(target.source, target.live, key[1]), _WINDOW)
            done += 1
        except UpstreamError as error:
            failed, error_text = failed + 1, error.message
        yield SyncProgress(done, len(keys), failed, error_text)
