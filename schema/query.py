"""Reading: the root of all queries."""

from typing import Annotated

import strawberry

from domain.paging import page_request
from resolvers import chats, folders, messages, nodes, organizations, search, sources
from schema.anything import node_of
from schema.arguments import After, Before, First, Id, Info, Last, WithinMs, within
from schema.chat import Chat, ChatConnection, read_chats
from schema.chat_filter import DEFAULT_ORDER, FilterOfChats, OrderOfChats
from schema.enums import ErrorCode
from schema.folder import Folder, FolderConnection, read_folders
from schema.folder_filter import FilterOfFolders
from schema.message import Message
from schema.node import Node
from schema.organization import Organization, OrganizationConnection
from schema.search import SearchFilter, SearchResultConnection
from schema.source import Source
from schema.vendor import Vendor
from schema.viewer import RateLimit, Viewer

Ids = Annotated[list[strawberry.ID], strawberry.argument(description="The ids, at most 100.")]
Slug = Annotated[str | None, strawberry.argument(description="Its slug. Left out: the one that this request acts in.")]
Words = Annotated[
    str,
    strawberry.argument(
        description="The words. All of them must occur; put several in double quotes to find them together."
    ),
]
FilterOfSearch = Annotated[SearchFilter | None, strawberry.argument(description="Where to search.")]


@strawberry.type(description="Reading.")
class Query:
    @strawberry.field(description="Anything by its id, or null when there is no such thing for you.")
    async def node(self, info: Info, id: Id) -> Node | None:
        return node_of(await nodes.node(info.context, id))

    @strawberry.field(
        description=("Several things by their ids, in the same order, with null where there is no such thing for you.")
    )
    async def nodes(self, info: Info, ids: Ids) -> list[Node | None]:
        found = await nodes.nodes(info.context, ids)
        # An exception in place of a value becomes an entry in `errors` for its index alone.
        return [record if isinstance(record, BaseException) else node_of(record) for record in found]  # type: ignore[misc]

    @strawberry.field(description="You.")
    def viewer(self, info: Info) -> Viewer:
        return Viewer.of(info.context)

    @strawberry.field(
        description=(
            "An organization by its slug, or the one that this request acts in. Null when you do not belong to it."
        )
    )
    async def organization(self, info: Info, slug: Slug = None) -> Organization | None:
        record = await organizations.organization(info.context, slug)
        return None if record is None else Organization.of(record)

    @strawberry.field(description="The organizations that you belong to, by slug.")
    async def organizations(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> OrganizationConnection | None:
        page = page_request(first, after, last, before)
        return OrganizationConnection.of(await organizations.organizations(info.context, page))

    @strawberry.field(description="The kinds of chat system that can be connected here.")
    async def vendors(self, info: Info) -> list[Vendor]:
        return [Vendor.of(connector) for connector in await sources.vendors(info.context)]

    @strawberry.field(description="A source by its id, or null when there is no such source for you.")
    async def source(self, info: Info, id: Id) -> Source | None:
        record = await sources.get_source(info.context, id)
        return None if record is None else Source.of(record)

    @strawberry.field(description="All sources of your organization, ordered by key.")
    async def sources(self, info: Info) -> list[Source]:
        return [Source.of(record) for record in await sources.sources(info.context)]

    @strawberry.field(description="A chat by its id, or null when there is no such chat for you.")
    async def chat(self, info: Info, id: Id) -> Chat | None:
        record = await chats.get_chat(info.context, id)
        return None if record is None else Chat.of(record)

    @strawberry.field(
        description=(
            "The chats of all sources in one order. Give `first` (with `after`) or `last` (with `before`).\n"
            "Sources are asked at the same time; one that is slow or down costs its own rows only, and "
            "`sources` says so."
        )
    )
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
    ) -> ChatConnection | None:
        page = page_request(first, after, last, before)
        return await read_chats(info, page, filter, order_by, within_ms)

    @strawberry.field(description="A message by its id, or null when there is no such message for you.")
    async def message(self, info: Info, id: Id) -> Message | None:
        record = await messages.get_message(info.context, id)
        return None if record is None else Message.of(record)

    @strawberry.field(description="A folder by its id, or null when there is no such folder for you.")
    async def folder(self, info: Info, id: Id) -> Folder | None:
        record = await folders.get_folder(info.context, id)
        return None if record is None else Folder.of(record)

    @strawberry.field(
        description=(
            "The folders of all sources by name. Give `first` (with `after`) or `last` (with `before`). For "
            "the top of a tree: `filter: {topLevel: true}`."
        )
    )
    async def folders(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: FilterOfFolders = None,
        within_ms: WithinMs = 2000,
    ) -> FolderConnection | None:
        page = page_request(first, after, last, before)
        return await read_folders(info, page, filter, within_ms)

    @strawberry.field(description="Chats and messages that contain the words, over all sources, best first.")
    async def search(
        self,
        info: Info,
        query: Words,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: FilterOfSearch = None,
        within_ms: WithinMs = 2000,
    ) -> SearchResultConnection | None:
        page = page_request(first, after, last, before)
        wanted = (filter or SearchFilter()).of_resolvers()
        return SearchResultConnection.of(await search.search(info.context, query, page, wanted, within(within_ms)))

    @strawberry.field(description="What you may still ask, or null when nothing limits you.")
    def rate_limit(self) -> RateLimit | None:
        return None  # no limit by cost is in force

    @strawberry.field(
        description=("Every code that a top-level error can have. What each means stands at the values of the enum.")
    )
    def error_codes(self) -> list[ErrorCode]:
        return list(ErrorCode)
