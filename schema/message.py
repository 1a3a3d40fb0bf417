"""A message of a chat, and pages of messages."""

from datetime import datetime

import strawberry

from domain import records
from domain.ids import message_id
from resolvers import messages
from schema import chat as chat_types
from schema.actor import Actor, actor_of
from schema.arguments import Info
from schema.connection import Connection, Count, Edge, exact_count, rows_of
from schema.enums import MessageRole, MessageState
from schema.late import LateChat
from schema.node import Node
from schema.part import Attachment, MessagePart, parts_of
from schema.scalars import JSON, EventCursor, json_of
from schema.source import SourceStatus


@strawberry.type(
    description=(
        "A message of a chat. A deleted message stays readable by its id, without content and with `deletedAt`."
    )
)
class Message(Node):
    id: strawberry.ID = strawberry.field(description="The opaque id.")
    role: MessageRole = strawberry.field(description="Whose words it holds.")
    author: Actor | None = strawberry.field(description="Who wrote it, or null when the source does not tell.")
    state: MessageState = strawberry.field(description="How far it is.")
    text: str = strawberry.field(
        description="The words of it as one text: its text parts, joined. Empty when there are none."
    )
    parts: list[MessagePart] = strawberry.field(
        description="Everything it consists of, in order: text, reasoning, tool calls, files and more."
    )
    model: str | None = strawberry.field(
        description=(
            "The model that wrote it, as the source names it, or null when that does not apply or is not told."
        )
    )
    attachments: list[Attachment] = strawberry.field(description="The files that came with it.")
    created_at: datetime | None = strawberry.field(
        description="When it was written, or null when the source does not tell."
    )
    edited_at: datetime | None = strawberry.field(description="When it was last edited, or null when it never was.")
    deleted_at: datetime | None = strawberry.field(description="When it was deleted, or null when it was not.")
    metadata: JSON | None = strawberry.field(
        description="What the client or the source attached to it, or null when there is nothing."
    )
    record: strawberry.Private[records.Message]

    @classmethod
    def of(cls, record: records.Message) -> "Message":
        """The GraphQL type of a record."""
        return cls(
            record=record,
            id=strawberry.ID(message_id(*record.key)),
            role=record.role,
            author=actor_of(record.author),
            state=record.state,
            text=record.text,
            parts=parts_of(record),
            model=record.model,
            attachments=[Attachment.of(attachment) for attachment in record.attachments],
            created_at=record.created_at,
            edited_at=record.edited_at,
            deleted_at=record.deleted_at,
            metadata=json_of(record.metadata),
        )

    @strawberry.field(
        description=("The chat it belongs to. Null, with an entry in `errors`, when its source could not be asked.")
    )
    async def chat(self, info: Info) -> LateChat | None:
        return await chat_types.chat_of(info, (self.record.source_id, self.record.chat_id))

    @strawberry.field(description="The message before it, or null when it is the first.")
    async def parent(self, info: Info) -> "Message | None":
        if self.record.parent_id is None:
            return None
        key = (self.record.source_id, self.record.chat_id, self.record.parent_id)
        record = await info.context.batches.load(messages.load_message, key)
        return None if record is None else Message.of(record)

    @strawberry.field(
        description=(
            "All answers to the same parent, this one included, oldest first: what a “2 of 3” switch needs. "
            "Null when it could not be read."
        )
    )
    async def siblings(self, info: Info) -> "list[Message] | None":
        found = await info.context.batches.load(messages.load_siblings, self.record.key)
        return None if found is None else [Message.of(record) for record in found]

    @strawberry.field(
        description=(
            "The messages that directly follow it, one for each branch, oldest first. Null when it could not be read."
        )
    )
    async def children(self, info: Info) -> "list[Message] | None":
        found = await info.context.batches.load(messages.load_children, self.record.key)
        return None if found is None else [Message.of(record) for record in found]

    @strawberry.field(
        description=(
            "The fields of the source that this schema has no name for, or null when there are none. Not "
            "stable; for looking, not for building upon. Null unless you are an admin."
        )
    )
    def raw(self, info: Info) -> JSON | None:
        return json_of(self.record.raw) if info.context.is_admin else None


@strawberry.type(description="A message in a list.")
class MessageEdge(Edge[Message]):
    node: Message = strawberry.field(description="The message.")


@strawberry.type(description="A page of messages along one path of a chat.")
class MessageConnection(Connection[Message, MessageEdge]):
    total_count: Count | None = strawberry.field(
        description="How many the path has, or null when the source does not tell."
    )
    status: SourceStatus = strawberry.field(description="How the source of the chat answered.")
    event_cursor: EventCursor = strawberry.field(
        description="Subscribe with `after` set to this to hear of everything that is not yet on this page."
    )

    @classmethod
    def of(cls, found: messages.MessageList) -> "MessageConnection":
        """The GraphQL type of a page."""
        return cls(
            **rows_of(found.page, Message.of, MessageEdge),
            total_count=exact_count(found.page),
            status=SourceStatus.of(found.status),
            event_cursor=EventCursor(found.event_cursor),
        )
