"""Rooms with one chat in them, and the verbs that tests of writing and of streams say."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, cast

from domain.capabilities import Capability, Support, native
from domain.ids import IdType, format_id
from domain.ids import chat_id as global_chat_id
from domain.ids import message_id as global_message_id
from domain.paging import PageRequest
from domain.records import Chat, EventKind, Message, MessageRole
from resolvers.context import Context, Tuning
from resolvers.live import chat_events
from resolvers.live_events import CaughtUp, LiveEvent
from resolvers.messages import MessageQuery, load_messages
from resolvers.sending import ReplyMode, SendMessage, Sent, send_message
from resolvers.wanted import ChatEventFilter
from tests.builders import a_chat, a_message, a_source, at
from tests.fakes import NEWEST_FIRST, FakeSource, capabilities
from tests.resolvers.conftest import Room, a_room

REPLIES = {Capability.GENERATE_REPLY: native(), Capability.STREAM_REPLY: native()}
ALL_NATIVE = {capability: native() for capability in Capability}


def a_vendor(
    key: str = "vendor",
    *messages: str,
    chats: Sequence[Chat] | None = None,
    also: Mapping[Capability, Support] | None = None,
    record: Mapping[str, Any] | None = None,
    form: Mapping[str, Any] | None = None,
    kind: type[FakeSource] = FakeSource,
    **traits: Any,
) -> FakeSource:
    """A source with the chat `c1`, in which these words were exchanged in turn before."""
    fake = kind(
        a_source(key=key, vendor=key, **(record or {})),
        list(chats) if chats is not None else [a_chat("c1")],
        capabilities=capabilities(NEWEST_FIRST, also=REPLIES if also is None else also, **traits),
        form=form,
    )
    fake.messages["c1"] = [
        a_message(
            f"m{place}",
            text=text,
            role=MessageRole.ASSISTANT if place % 2 else MessageRole.USER,
            parent_id=f"m{place - 1}" if place else None,
            created_at=at(place),
        )
        for place, text in enumerate(messages)
    ]
    return fake


@asynccontextmanager
async def a_chat_room(folder: Path, *messages: str, tuning: Tuning | None = None, **traits: Any) -> AsyncIterator[Room]:
    """One source that has the chat `c1`, read before."""
    async with a_room(folder, a_vendor("vendor", *messages, **traits), tuning=tuning) as room:
        await shown(room)
        room.source.calls.clear()
        yield room


def chat_id(room: Room, chat: str = "c1", source: str | None = None) -> str:
    """The client's id of a chat."""
    fake = room.sources[source] if source is not None else room.source
    return global_chat_id(_source_id(room, fake), chat)


def source_id(number: int) -> str:
    """The client's id of the so many-th source, counted from 1."""
    return format_id(IdType.SOURCE, number)


def message_id(room: Room, message: str, chat: str = "c1") -> str:
    """The client's id of a message."""
    return global_message_id(_source_id(room, room.source), chat, message)


def _source_id(room: Room, fake: FakeSource) -> int:
    return list(room.sources.values()).index(fake) + 1


async def say(room: Room, text: str = "Hi", context: Context | None = None, **fields: Any) -> Sent:
    """Send into `c1`; nobody answers, unless `reply` says so."""
    request = SendMessage(**{"chat_id": chat_id(room), "text": text, "reply": ReplyMode.NONE, **fields})
    return await send_message(context or room.context(), request)


async def shown(room: Room, chat: str = "c1") -> list[Message]:
    """The active path, as a client reads it now."""
    query = MessageQuery((_source_id(room, room.source), chat), PageRequest(last=100))
    (found,) = await load_messages(room.context(), [query])
    assert found is not None
    if isinstance(found, BaseException):
        raise found
    return list(found.page.rows)


async def texts(room: Room) -> list[str]:
    """The words of the active path."""
    return [message.text for message in await shown(room)]


def at_source(room: Room, text: str | None = None) -> list[str]:
    """What the source has in `c1` of the user's words."""
    rows = room.source.messages["c1"]
    return [one.text for one in rows if one.role is MessageRole.USER and text in (None, one.text)]


async def logged(room: Room, *kinds: EventKind, after: int = 0) -> list[tuple[str, str]]:
    """(kind, native id) of the lines of the log."""
    events = await room.gateway.store.events.after(room.organization.id, after, 10_000)
    return [(event.kind.value, event.native_id) for event in events if not kinds or event.kind in kinds]


async def settled(room: Room) -> None:
    """Until no reply is followed any more."""
    await room.gateway.replies.drain(20)


_MOMENT = 0.0003
"""Seconds in which the store's threads may work without waiting for ours."""


async def quiet(room: Room) -> None:
    """Until no feed reads anything any more. Readings end in threads of the store, so there is nothing else to wait for."""
    still = 0
    for _ in count():
        still = 0 if room.feeds.is_reading else still + 1
        if still > 10:  # what the end of a reading sets going has begun by then
            return
        await asyncio.sleep(0 if still else _MOMENT)


class Ear:
    """A subscriber whose events are taken one by one. `heard` is all so far. `patience`: seconds that one may take."""

    def __init__(self, stream: AsyncGenerator[LiveEvent, None], patience: float = 10) -> None:
        self._stream = stream
        self._patience = patience
        self.heard: list[LiveEvent] = []

    async def next(self) -> LiveEvent:
        """The next event."""
        event = await asyncio.wait_for(anext(self._stream), self._patience)
        self.heard.append(event)
        return event

    async def until(self, kind: type[LiveEvent]) -> LiveEvent:
        """The next event of a class, others being heard on the way."""
        while not isinstance(event := await self.next(), kind):
            pass
        return event


@asynccontextmanager
async def an_ear(
    room: Room,
    context: Context | None = None,
    *,
    after: str | None = None,
    chats: Sequence[str] | None = None,
    patience: float = 10,
    **wants: Any,
) -> AsyncIterator[Ear]:
    """A subscription to `chatEvents` from `after`, or from now on, that has caught up. `heard` begins with what it replayed."""
    context = context or room.context()
    after = after or await room.context().event_cursor()
    stream = chat_events(context, chat_ids=chats, filter_=ChatEventFilter(**wants), after=after)
    async with aclosing(cast(AsyncGenerator[LiveEvent, None], stream)) as closing:
        ear = Ear(closing, patience)
        await ear.until(CaughtUp)
        yield ear
