"""Anything by its id. An id that is no id, names nothing, or belongs to somebody else is null, without a difference."""

import asyncio
from collections.abc import Sequence

from domain.errors import InvalidArgument
from domain.ids import GlobalId, IdType, NotAnId, parse_id
from domain.records import ApiKey, AuditEntry, Chat, Folder, FolderRef, Member, Message, Organization, Scope, Source
from resolvers.chats import load_chats
from resolvers.context import Context
from resolvers.folders import load_folders
from resolvers.messages import load_message
from resolvers.organizations import get_api_key, get_audit_entry, get_member, load_organizations
from resolvers.sources import load_sources

Node = Organization | Source | Chat | Message | Folder | Member | ApiKey | AuditEntry
MAX_NODES = 100


async def node(context: Context, id_text: str) -> Node | None:
    """The thing with this id, or None."""
    context.require(Scope.READ)
    try:
        parsed = parse_id(id_text)
    except NotAnId:
        return None
    return await _load(context, parsed)


async def nodes(context: Context, ids: Sequence[str]) -> list[Node | BaseException | None]:
    """The things with these ids, in order; an exception in place of one that could not be read."""
    if len(ids) > MAX_NODES:
        raise InvalidArgument(f"{len(ids)} ids were asked for; `nodes` takes at most {MAX_NODES}.", path=("ids",))
    return list(await asyncio.gather(*(node(context, id_text) for id_text in ids), return_exceptions=True))


async def _load(context: Context, parsed: GlobalId) -> Node | None:
    load = context.batches.load
    match parsed.type:
        case IdType.ORGANIZATION:
            return await load(load_organizations, parsed.short)
        case IdType.SOURCE:
            return await load(load_sources, parsed.short)
        case IdType.CHAT:
            return await load(load_chats, (parsed.short, parsed.parts[0]))
        case IdType.MESSAGE:
            return await load(load_message, (parsed.short, parsed.parts[0], parsed.parts[1]))
        case IdType.FOLDER:
            return await load(load_folders, FolderRef(parsed.short, parsed.parts[0]))
        case IdType.MEMBER:
            return await get_member(context, parsed.short)
        case IdType.API_KEY:
            return await get_api_key(context, parsed.short)
        case IdType.AUDIT_ENTRY:
            return await get_audit_entry(context, parsed.short)
