"""The tenant."""

from datetime import datetime

import strawberry

from domain import records
from domain.errors import InvalidArgument
from domain.ids import IdType, format_id
from domain.paging import Page, page_request
from resolvers import organizations, sources
from schema import audit as audit_types
from schema import chat as chat_types
from schema import folder as folder_types
from schema.api_key import ApiKeyConnection
from schema.arguments import After, Before, First, Info, Last, WithinMs
from schema.chat_filter import DEFAULT_ORDER, FilterOfChats, OrderOfChats
from schema.connection import Connection, Count, Edge, exact_count, rows_of
from schema.enums import Role
from schema.folder_filter import FilterOfFolders
from schema.late import LateAuditEntryConnection, LateChatConnection, LateFolderConnection
from schema.member import MemberConnection
from schema.node import Node
from schema.source import Source


@strawberry.type(description="The tenant: it owns sources, folders, chats and keys, and nothing crosses its border.")
class Organization(Node):
    id: strawberry.ID = strawberry.field(description="The opaque id.")
    slug: str = strawberry.field(
        description="Short name for addresses, unique on this gateway: lower-case letters, digits and hyphens."
    )
    name: str = strawberry.field(description="The name to show to people.")
    created_at: datetime = strawberry.field(description="When it was created.")
    record: strawberry.Private[records.Organization]

    @classmethod
    def of(cls, record: records.Organization) -> "Organization":
        """The GraphQL type of a record."""
        return cls(
            record=record,
            id=strawberry.ID(format_id(IdType.ORGANIZATION, record.id)),
            slug=record.slug,
            name=record.name,
            created_at=record.created_at,
        )

    def _must_be_current(self, info: Info, field: str) -> None:
        """A request speaks for one organization: what belongs to another one is read by a request of its own."""
        current = info.context.organization
        if self.record.id != current.id:
            raise InvalidArgument(
                f"`{field}` of {self.record.slug} was asked for by a request that acts in {current.slug}. "
                f"Send the header `X-Organization: {self.record.slug}` to read it.",
            )

    @strawberry.field(description="What you may do here.")
    async def viewer_role(self, info: Info) -> Role:
        return await organizations.viewer_role(info.context, self.record)

    @strawberry.field(
        description="All its sources, ordered by key. Null, with an entry in `errors`, unless this request acts in it."
    )
    async def sources(self, info: Info) -> list[Source] | None:
        self._must_be_current(info, "sources")
        return [Source.of(source) for source in await sources.sources(info.context)]

    @strawberry.field(
        description="Its folders. See `Query.folders`. Null, with an entry in `errors`, unless this request acts in it."
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
    ) -> LateFolderConnection | None:
        self._must_be_current(info, "folders")
        page = page_request(first, after, last, before)
        return await folder_types.read_folders(info, page, filter, within_ms)

    @strawberry.field(
        description="Its chats. See `Query.chats`. Null, with an entry in `errors`, unless this request acts in it."
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
    ) -> LateChatConnection | None:
        self._must_be_current(info, "chats")
        page = page_request(first, after, last, before)
        return await chat_types.read_chats(info, page, filter, order_by, within_ms)

    @strawberry.field(description="Who belongs to it. Null unless you are an admin of it.")
    async def members(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> MemberConnection | None:
        page = page_request(first, after, last, before)
        found = await organizations.members(info.context, self.record, page)
        return MemberConnection.of(found) if found is not None else None

    @strawberry.field(description="Its API keys, without their secrets. Null unless you are an admin of it.")
    async def api_keys(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> ApiKeyConnection | None:
        page = page_request(first, after, last, before)
        found = await organizations.api_keys(info.context, self.record, page)
        return ApiKeyConnection.of(found) if found is not None else None

    @strawberry.field(description="What admins did, newest first. Null unless you are an admin of it.")
    async def audit_log(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> LateAuditEntryConnection | None:
        page = page_request(first, after, last, before)
        found = await organizations.audit_log(info.context, self.record, page)
        return audit_types.AuditEntryConnection.of(found) if found is not None else None


@strawberry.type(description="An organization in a list.")
class OrganizationEdge(Edge[Organization]):
    node: Organization = strawberry.field(description="The organization.")


@strawberry.type(description="A page of organizations.")
class OrganizationConnection(Connection[Organization, OrganizationEdge]):
    total_count: Count | None = strawberry.field(description="How many there are in all.")

    @classmethod
    def of(cls, page: Page[records.Organization]) -> "OrganizationConnection":
        """The GraphQL type of a page."""
        return cls(**rows_of(page, Organization.of, OrganizationEdge), total_count=exact_count(page))
