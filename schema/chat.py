"""A chat, whichever source it lives in, and lists of chats."""

from datetime import datetime
from typing import Annotated

import strawberry

from domain import records
from domain.ids import chat_id
from domain.paging import PageRequest, page_request
from resolvers import chats, messages
from schema import folder as folder_types
from schema import message as message_types
from schema import organization as organization_types
from schema.actor import Actor, Agent, actor_of
from schema.arguments import After, Before, First, Info, Last, within
from schema.chat_filter import ChatFilter, ChatOrder
from schema.connection import Connection, Count, Edge, rows_of
from schema.enums import Capability
from schema.late import LateFolder, LateMessage, LateMessageConnection, LateOrganization
from schema.node import Node
from schema.scalars import JSON, URL, EventCursor, json_of
from schema.source import Source, SourceStatus, source_that_exists

Branch = Annotated[
    strawberry.ID | None,
    strawberry.argument(
        description="The path through this message, and on to its newest descendant, instead of the active one."
    ),
]


@strawberry.type(
    description=(
        "A chat, whichever source it lives in. A field that is null is one that the source does not tell "
        "or that is not set; it never stands for 0 or false.\n"
        "Where a value exists but could not be read right now, the field is null and an entry in "
        "`errors` has its path."
    )
)
class Chat(Node):
    id: strawberry.ID = strawberry.field(description="The opaque id.")
    native_id: str = strawberry.field(
        description="The id that the source itself uses. For looking it up there only; the gateway takes `id`."
    )
    title: str | None = strawberry.field(description="The title, or null when it has none.")
    owner: Actor | None = strawberry.field(
        description="Whose chat it is at the source, or null when the source does not tell."
    )
    agent: Agent | None = strawberry.field(
        description="The assistant, agent or model that the chat talks to, or null when there is none."
    )
    metadata: JSON | None = strawberry.field(
        description="What the client or the source attached to it, or null when there is nothing."
    )
    tags: list[str] | None = strawberry.field(
        description="Its tags in alphabetical order, or null when they could not be read."
    )
    pinned: bool | None = strawberry.field(description="Whether it is pinned, or null when the source did not tell.")
    archived: bool | None = strawberry.field(
        description="Whether it is archived, or null when the source did not tell."
    )
    share_url: URL | None = strawberry.field(description="Where the public can read it, or null when it is not shared.")
    created_at: datetime | None = strawberry.field(
        description="When it was created, or null when the source does not tell."
    )
    updated_at: datetime | None = strawberry.field(
        description="When it was last changed, or null when the source does not tell."
    )
    last_message_at: datetime | None = strawberry.field(
        description=("When its newest message was written, or null when there is none or the source does not tell.")
    )
    message_count: int | None = strawberry.field(
        description="How many messages the active path has, or null when the source does not tell."
    )
    as_of: datetime | None = strawberry.field(
        description="How new this copy is when the source could not be asked, or null when it was."
    )
    record: strawberry.Private[records.Chat]

    @classmethod
    def of(cls, record: records.Chat) -> "Chat":
        """The GraphQL type of a record."""
        return cls(
            record=record,
            id=strawberry.ID(chat_id(record.source_id, record.native_id)),
            native_id=record.native_id,
            title=record.title,
            owner=actor_of(record.owner),
            agent=None if record.agent is None else Agent.of(record.agent),
            metadata=json_of(record.metadata),
            tags=None if record.tags is None else list(record.tags),
            pinned=record.pinned,
            archived=record.archived,
            share_url=None if record.share_url is None else URL(record.share_url),
            created_at=record.created_at,
            updated_at=record.updated_at,
            last_message_at=record.last_message_at,
            message_count=record.message_count,
            as_of=record.as_of,
        )

    @strawberry.field(description="The source it lives in.")
    async def source(self, info: Info) -> Source:
        return await source_that_exists(info, self.record.source_id)

    @strawberry.field(description="The organization it belongs to.")
    async def organization(self, info: Info) -> LateOrganization:
        return organization_types.Organization.of(info.context.organization)

    @strawberry.field(description="The folder it is in, or null when it is in none.")
    async def folder(self, info: Info) -> LateFolder | None:
        return None if self.record.folder is None else await folder_types.folder_of(info, self.record.folder)

    @strawberry.field(description="The newest message of the active path, or null when there is none.")
    async def last_message(self, info: Info) -> LateMessage | None:
        record = await info.context.batches.load(messages.load_last_messages, self.record.key)
        return None if record is None else message_types.Message.of(record)

    @strawberry.field(
        description=(
            "How many messages of others came after your read marker, or null when that is not known: you never marked the chat, or its "
            "messages were not read yet."
        )
    )
    async def unread_count(self, info: Info) -> int | None:
        return await info.context.batches.load(chats.load_unread_counts, self.record.key)

    @strawberry.field(
        description=(
            "Its messages from the first to the newest along one path. Without `branch` it is the active "
            "path, the one that the source shows.\n"
            "A source without branches has one path only. Use `last` for the end of the chat, which is what "
            "a chat screen shows first."
        )
    )
    async def messages(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        branch: Branch = None,
    ) -> LateMessageConnection | None:
        page = page_request(first, after, last, before)
        query = messages.MessageQuery(self.record.key, page, branch)
        found = await info.context.batches.load(messages.load_messages, query)
        return None if found is None else message_types.MessageConnection.of(found)

    @strawberry.field(
        description=(
            "Changes whenever the chat changes, its messages apart. Pass it as `expectedVersion` to "
            "overwrite nobody's work. Null when this reading did not tell enough to know it."
        )
    )
    async def version(self, info: Info) -> str | None:
        return await chats.version_of(info.context, self.record)

    @strawberry.field(
        description=("Subscribe with `after` set to this to hear of everything that is newer than what you read here.")
    )
    async def event_cursor(self, info: Info) -> EventCursor:
        return EventCursor(await info.context.event_cursor())

    @strawberry.field(description="What you can do with it: your role allows it and the source supports it.")
    async def viewer_can(self, info: Info) -> list[Capability]:
        return await chats.viewer_can(info.context, self.record)

    @strawberry.field(
        description=(
            "The fields of the source that this schema has no name for, or null when there are none. Not "
            "stable; for looking, not for building upon. Null unless you are an admin."
        )
    )
    def raw(self, info: Info) -> JSON | None:
        return json_of(self.record.raw) if info.context.is_admin else None


@strawberry.type(description="A chat in a list.")
class ChatEdge(Edge[Chat]):
    node: Chat = strawberry.field(description="The chat.")


@strawberry.type(
    description=("A page of chats, merged from several sources into one order. `sources` says how complete it is.")
)
class ChatConnection(Connection[Chat, ChatEdge]):
    sources: list[SourceStatus] = strawberry.field(description="How each source that was asked contributed.")
    event_cursor: EventCursor = strawberry.field(
        description="Subscribe with `after` set to this to hear of everything that is not yet on this page."
    )
    found: strawberry.Private[chats.ChatList]

    @classmethod
    def of(cls, found: chats.ChatList) -> "ChatConnection":
        """The GraphQL type of a page."""
        return cls(
            **rows_of(found.page, Chat.of, ChatEdge),
            found=found,
            sources=[SourceStatus.of(status) for status in found.statuses],
            event_cursor=EventCursor(found.event_cursor),
        )

    @strawberry.field(description="How many there are in all, or null when no source tells.")
    async def total_count(self) -> Count | None:
        return folder_types.count_of(await self.found.count())


async def chat_of(info: Info, key: chats.ChatKey) -> Chat | None:
    """The chat that a record names, None when it is gone or not yours."""
    record = await info.context.batches.load(chats.load_chats, key)
    return None if record is None else Chat.of(record)


async def read_chats(
    info: Info, page: PageRequest, filter_: ChatFilter | None, order: ChatOrder | None, within_ms: int | None
) -> ChatConnection:
    """The chats of all sources in one order."""
    wanted, ordered = (filter_ or ChatFilter()).of_resolvers(), (order or ChatOrder()).of_resolvers()
    return ChatConnection.of(await chats.chats(info.context, page, wanted, ordered, within(within_ms)))
