"""Listening: the root of all subscriptions.

The source stream is the resolvers' (`live.Stream`), and each event that it tells (`LiveEvent`, with its `cursor`) is executed as root
value; `event_of` makes it a GraphQL type there. So who runs subscriptions can share the stream, and sees the cursor without running
the selection.
"""

from collections.abc import AsyncGenerator, Callable
from typing import Annotated, Any, cast

import strawberry

from resolvers import live
from resolvers.live_events import Happened, LiveEvent
from schema.arguments import Info
from schema.event_filter import ChatEventFilter, MessageEventFilter
from schema.events import ChatEvent, MessageCreated, event_of, message_created
from schema.scalars import EventCursor

ChatId = Annotated[
    strawberry.ID | None,
    strawberry.argument(description="Only in this chat. Left out: in every chat that you may read."),
]
ChatIds = Annotated[
    list[strawberry.ID] | None,
    strawberry.argument(
        description=(
            "Only in these chats, at most 100. Left out: in every chat that you may read, and what concerns no single chat."
        )
    ),
]
WhichMessages = Annotated[MessageEventFilter | None, strawberry.argument(description="Which messages.")]
WhichEvents = Annotated[ChatEventFilter | None, strawberry.argument(description="Which events.")]
AfterEvent = Annotated[EventCursor | None, strawberry.argument(description="Continue after this event.")]


@strawberry.type(
    description=(
        "Listening. Without `after` you hear what happens from now on. With `after` you first get "
        "everything since then, in order, then what happens,\n"
        "without a hole and nothing twice. Keep the `cursor` of the last event and pass it as `after` "
        "when you connect again."
    )
)
class Subscription:
    @strawberry.subscription(
        description=(
            "Every new message, finished or just begun, once. The simple way to keep a chat screen fresh: "
            "each event has its `message`.\n"
            "When something may have been missed, an error with the code `STREAM_GAP` tells it. To see "
            "edits, deletions and answers while they are written, use `chatEvents`."
        )
    )
    async def message_added(
        self, info: Info, chat_id: ChatId = None, filter: WhichMessages = None, after: AfterEvent = None
    ) -> AsyncGenerator[MessageCreated, None]:
        wanted = (filter or MessageEventFilter()).of_resolvers()
        stream = await live.message_stream(info.context, chat_id=chat_id, filter_=wanted, after=after)
        return cast(AsyncGenerator[MessageCreated, None], stream)

    @strawberry.subscription(description="Everything that happens to chats, messages, folders and sources.")
    async def chat_events(
        self, info: Info, chat_ids: ChatIds = None, filter: WhichEvents = None, after: AfterEvent = None
    ) -> AsyncGenerator[ChatEvent, None]:
        wanted = (filter or ChatEventFilter()).of_resolvers()
        stream = await live.event_stream(info.context, chat_ids=chat_ids, filter_=wanted, after=after)
        return cast(AsyncGenerator[ChatEvent, None], stream)


def resolve_message_added(event: Happened, _info: Any, **_arguments: Any) -> MessageCreated:
    """The value of `messageAdded` for one event."""
    assert event.message is not None  # `Wanted.wants_rows` leaves the others out
    return message_created(event, event.message)


def resolve_chat_events(event: LiveEvent, _info: Any, **_arguments: Any) -> ChatEvent:
    """The value of `chatEvents` for one event."""
    return event_of(event)


RESOLVERS: dict[str, Callable[..., Any]] = {"messageAdded": resolve_message_added, "chatEvents": resolve_chat_events}
"""Field to resolver of one event; Strawberry's own hands the event on as it is."""
