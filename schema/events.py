"""What happens: the events of `chatEvents` and `messageAdded`, each built from a line of the log or from words of a reply."""

from datetime import datetime

import strawberry

from domain import records
from domain.ids import chat_id, folder_id, message_id
from domain.records import EventKind
from resolvers import chats, sources
from resolvers import live_events as live
from schema.arguments import Info
from schema.chat import Chat
from schema.enums import GapReason
from schema.folder import Folder
from schema.message import Message
from schema.scalars import EventCursor
from schema.source import Source, SourceHealth, SourceStatus


@strawberry.interface(
    description=(
        "Something that happened. There will be more kinds: keep the `cursor` of one that you do not know, and go on."
    )
)
class ChatEvent:
    cursor: EventCursor = strawberry.field(description="Pass it as `after` to continue behind this event.")
    occurred_at: datetime = strawberry.field(description="When the gateway learned of it.")


@strawberry.type(
    description=(
        "A message is new. An answer that is still being written is announced once, with the state "
        "`PENDING` or `STREAMING`."
    )
)
class MessageCreated(ChatEvent):
    chat_id: strawberry.ID = strawberry.field(description="The chat.")
    message: Message = strawberry.field(description="The message.")
    client_mutation_id: str | None = strawberry.field(
        description="The `clientMutationId` of the request that sent it, told to its sender only, or null."
    )


@strawberry.type(description="A message changed: it was edited, or an answer is finished.")
class MessageUpdated(ChatEvent):
    chat_id: strawberry.ID = strawberry.field(description="The chat.")
    message: Message = strawberry.field(description="The message as it is now.")


@strawberry.type(description="A message was deleted.")
class MessageDeleted(ChatEvent):
    chat_id: strawberry.ID = strawberry.field(description="The chat.")
    message_id: strawberry.ID = strawberry.field(description="The message that is gone.")


@strawberry.type(
    description=(
        "The next words of an answer that is being written. Deltas are not kept: their `cursor` is that "
        "of the last kept event, and who continues from it first gets all words so far."
    )
)
class MessageDelta(ChatEvent):
    chat_id: strawberry.ID = strawberry.field(description="The chat.")
    message_id: strawberry.ID = strawberry.field(description="The answer.")
    offset: int = strawberry.field(
        description=(
            "How much text stands before these words, counted as JavaScript does (UTF-16 code units), never "
            "inside a character. Do `text = text.slice(0, offset) + delta.text`:\n"
            "applying one twice is harmless. Who comes in the middle first gets everything so far with "
            "`offset: 0`; when the source rewrites earlier words, `offset` goes back."
        )
    )
    text: str = strawberry.field(description="The words.")


@strawberry.type(description="A chat is new.")
class ChatCreated(ChatEvent):
    chat_id: strawberry.ID = strawberry.field(description="The chat.")
    chat: Chat = strawberry.field(description="The chat.")


@strawberry.type(description="A chat changed: title, tags, folder, pin, archive or another field of its own.")
class ChatUpdated(ChatEvent):
    chat_id: strawberry.ID = strawberry.field(description="The chat.")
    chat: Chat = strawberry.field(description="The chat as it is now.")


@strawberry.type(description="A chat was deleted, or you may no longer read it.")
class ChatDeleted(ChatEvent):
    chat_id: strawberry.ID = strawberry.field(description="The chat.")


@strawberry.type(description="A folder is new, changed or gone.")
class FolderChanged(ChatEvent):
    folder_id: strawberry.ID = strawberry.field(description="The folder.")
    folder: Folder | None = strawberry.field(description="The folder as it is now, or null when it is gone.")


@strawberry.type(description="Your read marker in a chat moved, on this device or on another.")
class ReadStateChanged(ChatEvent):
    chat_id: strawberry.ID = strawberry.field(description="The chat.")
    read_up_to_message_id: strawberry.ID | None = strawberry.field(
        description="The last message that you have read, or null when you have read none."
    )
    chat_key: strawberry.Private[chats.ChatKey]

    @strawberry.field(description="How many messages came after it, or null when that is not known.")
    async def unread_count(self, info: Info) -> int | None:
        return await info.context.batches.load(chats.load_unread_counts, self.chat_key)


@strawberry.type(description="A source began to fail, or recovered. While it is down, its events may come late.")
class SourceHealthChanged(ChatEvent):
    source: Source = strawberry.field(description="The source.")

    @strawberry.field(description="How it is now.")
    async def health(self, info: Info) -> SourceHealth:
        return SourceHealth.of(await sources.health(info.context, self.source.record))


@strawberry.type(
    description=(
        "Something between two positions may be missing. Read again what you show, then go on: the stream continues."
    )
)
class StreamGap(ChatEvent):
    only_chat_id: strawberry.ID | None = strawberry.field(
        description="The only chat that it is about, or null when it may be any."
    )
    from_: EventCursor = strawberry.field(name="from", description="The last position that is certain.")
    to: EventCursor = strawberry.field(description="The position from which all is certain again.")
    reason: GapReason = strawberry.field(description="Why.")


@strawberry.type(
    description=(
        "Everything that the gateway knows since `after` has been delivered, and every watched source "
        "has been read once more. What follows is live."
    )
)
class CaughtUp(ChatEvent):
    incomplete: list[SourceStatus] = strawberry.field(
        description=(
            "Sources that could not be read by now: what happened there may still arrive. Empty when "
            "everything is known."
        )
    )


def event_of(event: live.LiveEvent) -> ChatEvent:
    """The GraphQL type of an event."""
    match event:
        case live.Happened():
            return _logged(event)
        case live.DeltaCame():
            return _words(event)
        case live.Gap():
            return StreamGap(
                cursor=EventCursor(event.cursor),
                occurred_at=event.occurred_at,
                only_chat_id=None if event.only_chat is None else strawberry.ID(chat_id(*event.only_chat)),
                from_=EventCursor(event.gap_from),
                to=EventCursor(event.gap_to),
                reason=event.reason,
            )
        case live.CaughtUp():
            return CaughtUp(
                cursor=EventCursor(event.cursor),
                occurred_at=event.occurred_at,
                incomplete=[SourceStatus.of(status) for status in event.incomplete],
            )


def message_created(happened: live.Happened, record: records.Message) -> MessageCreated:
    """The GraphQL type of a message's beginning."""
    return MessageCreated(
        cursor=EventCursor(happened.cursor),
        occurred_at=happened.occurred_at,
        chat_id=strawberry.ID(chat_id(record.source_id, record.chat_id)),
        message=Message.of(record),
        client_mutation_id=happened.client_mutation_id,
    )


def _words(came: live.DeltaCame) -> MessageDelta:
    delta = came.delta
    return MessageDelta(
        cursor=EventCursor(came.cursor),
        occurred_at=came.occurred_at,
        chat_id=strawberry.ID(chat_id(delta.source_id, delta.chat_id)),
        message_id=strawberry.ID(message_id(delta.source_id, delta.chat_id, delta.message_id)),
        offset=delta.offset,
        text=delta.text,
    )


def _logged(happened: live.Happened) -> ChatEvent:
    kind = happened.event.kind
    if kind in (EventKind.MESSAGE_CREATED, EventKind.MESSAGE_UPDATED, EventKind.MESSAGE_DELETED):
        return _of_message(happened)
    if kind in (EventKind.CHAT_CREATED, EventKind.CHAT_UPDATED, EventKind.CHAT_DELETED, EventKind.READ_STATE_CHANGED):
        return _of_chat(happened)
    return _of_folder(happened) if kind is EventKind.FOLDER_CHANGED else _of_source(happened)


def _of_message(happened: live.Happened) -> ChatEvent:
    """A message that is gone by now is told as deleted: its row cannot be shown any more."""
    event, record = happened.event, happened.message
    if record is None or event.kind is EventKind.MESSAGE_DELETED:
        return MessageDeleted(
            cursor=EventCursor(happened.cursor),
            occurred_at=happened.occurred_at,
            chat_id=strawberry.ID(chat_id(event.source_id, event.chat_id)),
            message_id=strawberry.ID(message_id(event.source_id, event.chat_id, event.native_id)),
        )
    if event.kind is EventKind.MESSAGE_CREATED:
        return message_created(happened, record)
    return MessageUpdated(
        cursor=EventCursor(happened.cursor),
        occurred_at=happened.occurred_at,
        chat_id=strawberry.ID(chat_id(event.source_id, event.chat_id)),
        message=Message.of(record),
    )


def _of_chat(happened: live.Happened) -> ChatEvent:
    """A chat that is gone by now is told as deleted."""
    event, record = happened.event, happened.chat
    cursor, occurred_at = EventCursor(happened.cursor), happened.occurred_at
    id_ = strawberry.ID(chat_id(event.source_id, event.chat_id))
    if event.kind is EventKind.READ_STATE_CHANGED:
        read_up_to = event.detail.get("message_id")
        return ReadStateChanged(
            cursor=cursor,
            occurred_at=occurred_at,
            chat_id=id_,
            read_up_to_message_id=(
                strawberry.ID(message_id(event.source_id, event.chat_id, read_up_to)) if read_up_to else None
            ),
            chat_key=(event.source_id, event.chat_id),
        )
    if record is None or event.kind is EventKind.CHAT_DELETED:
        return ChatDeleted(cursor=cursor, occurred_at=occurred_at, chat_id=id_)
    kind = ChatCreated if event.kind is EventKind.CHAT_CREATED else ChatUpdated
    return kind(cursor=cursor, occurred_at=occurred_at, chat_id=id_, chat=Chat.of(record))


def _of_folder(happened: live.Happened) -> ChatEvent:
    event, record = happened.event, happened.folder
    return FolderChanged(
        cursor=EventCursor(happened.cursor),
        occurred_at=happened.occurred_at,
        folder_id=strawberry.ID(folder_id(event.source_id, event.native_id)),
        folder=None if record is None else Folder.of(record),
    )


def _of_source(happened: live.Happened) -> ChatEvent:
    assert happened.source is not None  # see `is_tellable`
    return SourceHealthChanged(
        cursor=EventCursor(happened.cursor), occurred_at=happened.occurred_at, source=Source.of(happened.source)
    )
