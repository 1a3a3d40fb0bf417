"""A folder of chats."""

from dataclasses import replace
from datetime import datetime

import strawberry

from domain import records
from domain.errors import InvalidArgument
from domain.ids import folder_id
from domain.paging import PageRequest, page_request
from domain.records import GATEWAY, FolderRef
from resolvers import chats, folders
from schema import chat as chat_types
from schema.arguments import After, Before, First, Info, Last, WithinMs, within
from schema.chat_filter import DEFAULT_ORDER, ChatFilter, FilterOfChats, OrderOfChats
from schema.connection import Connection, Count, Edge, rows_of
from schema.enums import SupportLevel
from schema.folder_filter import FolderFilter
from schema.late import LateChatConnection
from schema.node import Node
from schema.scalars import EventCursor
from schema.source import Source, SourceStatus, source_of


@strawberry.type(description="A folder of chats. Folders nest.")
class Folder(Node):
    id: strawberry.ID = strawberry.field(description="The opaque id.")
    name: str = strawberry.field(description="The name to show to people.")
    origin: SupportLevel = strawberry.field(
        description="`NATIVE` when the source keeps it, `OVERLAY` when the gateway does."
    )
    created_at: datetime | None = strawberry.field(
        description="When it was created, or null when the source does not tell."
    )
    updated_at: datetime | None = strawberry.field(
        description="When it was last changed, or null when the source does not tell."
    )
    record: strawberry.Private[records.Folder]

    @classmethod
    def of(cls, record: records.Folder) -> "Folder":
        """The GraphQL type of a record."""
        return cls(
            record=record,
            id=strawberry.ID(folder_id(record.source_id, record.native_id)),
            name=record.name,
            origin=SupportLevel.OVERLAY if record.source_id == GATEWAY else SupportLevel.NATIVE,
            created_at=record.created_at,
            updated_at=record.updated_at,
        )

    @strawberry.field(
        description=(
            "The source that keeps it and whose chats alone it can hold, or null for a folder of the "
            "gateway, which holds chats of any source without folders of its own."
        )
    )
    async def source(self, info: Info) -> Source | None:
        return None if self.record.source_id == GATEWAY else await source_of(info, self.record.source_id)

    @strawberry.field(description="The folder around it, or null at the top.")
    async def parent(self, info: Info) -> "Folder | None":
        if self.record.parent_id is None:
            return None
        return await folder_of(info, FolderRef(self.record.source_id, self.record.parent_id))

    @strawberry.field(description="The folders directly inside it, by name.")
    async def children(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> "FolderConnection | None":
        found = await folders.children(info.context, self.record, page_request(first, after, last, before))
        return FolderConnection.of(found)

    @strawberry.field(description="The chats directly inside it.")
    async def chats(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: FilterOfChats = None,
        order_by: OrderOfChats = DEFAULT_ORDER,
        within_ms: WithinMs = 2000,
    ) -> LateChatConnection | None:
        page = page_request(first, after, last, before)
        only_here = replace(filter or ChatFilter(), folder_ids=[self.id])
        if filter is not None and filter.folder_ids is not None:
            raise InvalidArgument(
                "`folderIds` was given for the chats of one folder. Leave it out, or ask `Query.chats`.",
                path=("filter", "folderIds"),
            )
        return await chat_types.read_chats(info, page, only_here, order_by, within_ms)


@strawberry.type(description="A folder in a list.")
class FolderEdge(Edge[Folder]):
    node: Folder = strawberry.field(description="The folder.")


@strawberry.type(description="A page of folders.")
class FolderConnection(Connection[Folder, FolderEdge]):
    total_count: Count | None = strawberry.field(description="How many there are in all, or null when no source tells.")
    sources: list[SourceStatus] = strawberry.field(description="How each source that was asked contributed.")
    event_cursor: EventCursor = strawberry.field(
        description="Subscribe with `after` set to this to hear of everything that is not yet on this page."
    )

    @classmethod
    def of(cls, found: folders.FolderList) -> "FolderConnection":
        """The GraphQL type of a page."""
        return cls(
            **rows_of(found.page, Folder.of, FolderEdge),
            total_count=count_of(found.total),
            sources=[SourceStatus.of(status) for status in found.statuses],
            event_cursor=EventCursor(found.event_cursor),
        )


def count_of(count: chats.Count | None) -> Count | None:
    """The GraphQL type of a count."""
    return None if count is None else Count(value=count.value, exact=count.exact)


async def folder_of(info: Info, ref: FolderRef) -> Folder | None:
    """The folder that a record names, None when it is gone or not yours."""
    record = await info.context.batches.load(folders.load_folders, ref)
    return None if record is None else Folder.of(record)


async def read_folders(
    info: Info, page: PageRequest, filter_: FolderFilter | None, within_ms: int | None
) -> FolderConnection:
    """The folders of all sources."""
    wanted = (filter_ or FolderFilter()).of_resolvers()
    return FolderConnection.of(await folders.folders(info.context, page, wanted, within(within_ms)))
