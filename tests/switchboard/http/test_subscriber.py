"""Subscriptions to a real log: a reply's words reach early and late listeners, those who stall and those who come back, all whole."""

import asyncio
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from domain.records import MessageState
from engine.broadcasts import Broadcasts
from engine.execution import Engine, Subscription
from engine.requests import OperationRequest, Response
from engine.sharing import Rendered
from resolvers.audience import Audience, audience_of, context_of
from resolvers.context import Context
from resolvers.sending import ReplyMode
from schema.errors import format_error
from schema.root import public_schema
from schema.viewer import VIEWER_DEPENDENT
from switchboard.http.subscriber import Subscriber
from tests.builders import a_principal
from tests.resolvers.conftest import Room
from tests.resolvers.rooms import a_chat_room, say, settled
from tests.resolvers.test_live import expire
from tests.tier import count

pytestmark = pytest.mark.anyio
EVENTS = """subscription ($after: EventCursor) { chatEvents(after: $after) {
  __typename cursor
  ... on MessageCreated { message { id text state } }
  ... on MessageUpdated { message { id text state } }
  ... on MessageDelta { messageId offset text }
  ... on StreamGap { reason from to }
} }"""
ADDED = "subscription ($after: EventCursor) { messageAdded(after: $after) { cursor message { text } } }"


class RoomAudiences:
    """As the gateway's, with sessions whose rights never change."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def of(self, context: Context, *, is_viewers_own: bool) -> Audience:
        return await audience_of(context, is_viewers_own=is_viewers_own)

    def context(self, audience: Audience, *, request_id: str) -> Context:
        return context_of(self._room.gateway, audience, request_id=request_id)

    async def epoch(self, context: Context) -> int:
        return 0


class Session:
    """One principal of the room."""

    expires_at = None

    def __init__(self, room: Room, who: str) -> None:
        self._room = room
        self.address = who

    def context(self, *, request_id: str, client_left: asyncio.Event | None = None) -> Context:
        return self._room.context(principal=a_principal(key=self.address))

    def watch(self, ended: Any) -> None: ...

    async def renew(self, payload: Any) -> bool:
        return False

    async def close(self) -> None: ...


class Client:
    """The outlet of one subscription. It has room for `room` more; `events` is what came."""

    def __init__(self, room: int = 10**9) -> None:
        self.events: list[dict[str, Any]] = []
        self.error: Response | None = None
        self.is_complete = False
        self.tasks: set[asyncio.Task[None]] = set()
        self._left = room
        self._has_room = asyncio.Event()

    def give_room(self, number: int) -> None:
        self._left = number
        if number:
            self._has_room.set()

    def take(self, rendered: Rendered) -> bool:
        if self._left <= 0:
            self._has_room.clear()
            return False
        self._left -= 1
        (event,) = orjson.loads(rendered.json)["data"].values()
        self.events.append(event)
        return True

    async def room(self) -> None:
        if self._left <= 0:
            self._has_room.clear()
            await self._has_room.wait()

    def failed(self, response: Response) -> None:
        self.error = response

    def completed(self) -> None:
        self.is_complete = True

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def kinds(self) -> list[str]:
        return [event["__typename"] for event in self.events]


class Hall:
    """A room that many listen to."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.engine = Engine(
            public_schema, format_error=format_error, viewers_own=VIEWER_DEPENDENT, position_argument="after"
        )
        self.broadcasts = Broadcasts(RoomAudiences(room))

    @asynccontextmanager
    async def listening(
        self, query: str = EVENTS, who: str = "key:1", *, after: str | None = None, room: int = 10**9
    ) -> AsyncIterator[Client]:
        session, client = Session(self.room, who), Client(room)
        request = OperationRequest(query=query, variables={"after": after})
        started = await self.engine.subscribe(request, session.context(request_id="r"))
        assert isinstance(started, Subscription)
        subscriber = Subscriber(session, "r", client, self.broadcasts)
        running = client.spawn(subscriber.run(started))
        if room == 10**9:
            await asyncio.wait_for(running, 10)
        try:
            yield client
        finally:
            subscriber.stop()
            for task in client.tasks:
                task.cancel()
            if client.tasks:
                await asyncio.wait(client.tasks)


@asynccontextmanager
async def a_hall(folder: Path) -> AsyncIterator[Hall]:
    async with a_chat_room(folder, takes_message_ids=True) as room:
        hall = Hall(room)
        yield hall
        await hall.broadcasts.aclose()
        assert (len(hall.broadcasts), hall.broadcasts.subscriptions, room.gateway.feed.count()) == (0, 0, 0)


async def until(client: Client, kind: str, state: str | None = None) -> None:
    def has_come() -> bool:
        return any(
            event["__typename"] == kind and (state is None or event["message"]["state"] == state)
            for event in client.events
        )

    async with asyncio.timeout(20):
        while not has_come():  # noqa: ASYNC110  it comes from a thread of the store
            await asyncio.sleep(0.001)


def reply_of(events: list[dict[str, Any]]) -> tuple[str, str]:
    """The reply's text as its words give it, and as its end in the log does. Checks their order on the way."""
    text, final, message_id = "", "", None
    for event in events:
        match event["__typename"]:
            case "MessageCreated" if event["message"]["state"] != "COMPLETE":
                message_id = event["message"]["id"]
            case "MessageDelta":
                assert final == "", "words behind the end"
                assert message_id in (None, event["messageId"])
                units = text.encode("utf-16-le")
                assert 2 * event["offset"] <= len(units), "words are missing"
                text = units[: 2 * event["offset"]].decode("utf-16-le") + event["text"]
            case "MessageUpdated" if event["message"]["state"] == "COMPLETE":
                final = event["message"]["text"]
    return text, final


WORDS = ["Hello", " 🏃‍♀️", " e\u0301", " 👨‍👩‍👧‍👦", " zwölf", "\n"]


@pytest.mark.parametrize("seed", range(count(long=20, least=1)))
async def test_words_of_a_reply_are_whole_for_whoever_comes_whenever(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with a_hall(tmp_path) as hall:
        source = hall.room.source
        source.words = asyncio.Queue()
        text, pieces = "", count(long=300, least=30)
        async with hall.listening() as early, hall.listening(room=5) as stalled:
            cursor = await hall.room.context().event_cursor()
            await say(hall.room, reply=ReplyMode.STREAM)
            for _ in range(pieces // 2):
                text += chance.choice(WORDS)
                await source.grows_to(text)
            async with hall.listening() as late, hall.listening(after=cursor) as resumed:
                for _ in range(pieces // 2):
                    text += chance.choice(WORDS)
                    await source.grows_to(text)
                    if chance.random() < 0.1:
                        stalled.give_room(chance.randrange(3))
                assert len(hall.broadcasts) == 1
                stalled.give_room(10**9)
                source.words.put_nowait(MessageState.COMPLETE)
                await settled(hall.room)
                for client in (early, stalled, late, resumed):
                    await until(client, "MessageUpdated", "COMPLETE")
                    words, final = reply_of(client.events)
                    assert final == text
                    assert final.startswith(words)
                for client in (early, late, resumed):
                    assert reply_of(client.events)[0] == text
                deltas = [event for event in late.events if event["__typename"] == "MessageDelta"]
                assert deltas[0]["offset"] == 0
                assert all(event["offset"] > 0 for event in deltas[1:])
                assert late.kinds()[0] == "MessageDelta", "it came in the middle"
                assert resumed.kinds()[:3] == ["MessageCreated", "MessageCreated", "CaughtUp"]


async def test_who_falls_behind_what_is_kept_is_told_and_goes_on(tmp_path: Path) -> None:
    async with (
        a_hall(tmp_path) as hall,
        hall.listening() as other,
        hall.listening(room=1) as stalled,
        hall.listening(ADDED, room=1) as messages,
    ):
        await say(hall.room, "One")
        await until(stalled, "MessageCreated")
        await say(hall.room, "Lost")
        await expire(hall.room)
        await say(hall.room, "Lost as well")
        await expire(hall.room)
        hall.room.gateway.tail._tails.clear()  # it would still know them
        stalled.give_room(10**9)
        messages.give_room(10**9)
        await until(stalled, "StreamGap")
        await say(hall.room, "Next")
        async with asyncio.timeout(10):
            while messages.error is None or stalled.kinds()[-1] != "MessageCreated":  # noqa: ASYNC110  threads
                await asyncio.sleep(0.001)
        assert stalled.kinds() == ["MessageCreated", "StreamGap", "MessageCreated"]
        gap = stalled.events[1]
        assert (gap["reason"], gap["from"]) == ("SLOW_READER", stalled.events[0]["cursor"])
        assert gap["to"] == gap["cursor"]
        (error,) = messages.error.body["errors"]
        assert error["extensions"]["code"] == "STREAM_GAP"
        assert error["extensions"]["resumeFrom"] == gap["to"]
        assert [event["message"]["text"] for event in messages.events] == ["One"]
        assert other.kinds() == ["MessageCreated"] * 4


async def test_error_before_it_begins_is_its_only_response(tmp_path: Path) -> None:
    async with a_hall(tmp_path) as hall:
        request = OperationRequest(query='subscription { chatEvents(chatIds: ["nonsense"]) { cursor } }')
        started = await hall.engine.subscribe(request, hall.room.context())
        assert isinstance(started, Response)
        assert started.body["errors"][0]["extensions"]["code"] == "INVALID_ARGUMENT"
