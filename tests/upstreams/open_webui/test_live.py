"""The server's own stream over the simulator's Socket.IO: opened once, shared, left, broken; and replies that are followed by it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import asdict
from http import HTTPStatus
from itertools import pairwise
from typing import Any

import httpx
import jwt
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from domain.capabilities import Capability, NativeStream, SupportLevel
from domain.errors import (
    CapabilityMissing,
    GatewayError,
    UnexpectedAnswer,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnauthorized,
    UpstreamUnavailable,
)
from domain.records import MessageRole, MessageState
from domain.source import ChatSource, ChatTouched, NewChat, NewMessage, Notice, Progress, ReplyGrew, StreamOpened
from simulators import open_webui as simulated
from simulators.keys import SESSIONS
from simulators.serving import running
from tests.streams import leaving
from tests.upstreams.open_webui.test_events import BEGINS, delta, told
from tests.upstreams.wire import a_source
from upstreams.http import UpstreamClients
from upstreams.open_webui.access import Access
from upstreams.open_webui.live import Listener, Live
from upstreams.open_webui.source import open_webui
from upstreams.policy import UpstreamSettings, VendorPolicy

pytestmark = pytest.mark.anyio
SESSION = SESSIONS["open_webui"]
KEY = {"api_key": simulated.ADMIN_KEY}
OPENED = StreamOpened()


class Place:
    """A running simulator."""

    def __init__(self, url: str, control: httpx.AsyncClient) -> None:
        self.url = url
        self._control = control

    async def control(self, method: str, what: str, **said: Any) -> Any:
        answer = await self._control.request(method, f"/__control/{what}", json=said or None)
        answer.raise_for_status()
        return answer.json()

    async def switch(self, **said: Any) -> None:
        await self.control("POST", "switches", **said)

    async def emit(self, chat_id: str, text: str, role: str = "assistant") -> str:
        told = await self.control("POST", "emit", chat_id=chat_id, text=text, role=role)
        return str(told["message_id"])

    async def count(self, operation: str) -> int:
        answer = await self._control.get("/__control/calls", params={"operation": operation})
        return len(answer.json())

    async def until_left(self) -> None:
        """No connection is open any more."""
        async with asyncio.timeout(10):
            while (await self.control("GET", "state"))["sockets"]:
                pass

    @asynccontextmanager
    async def source(self, credentials: Any = SESSION, **settings: Any) -> AsyncIterator[ChatSource]:
        clients = UpstreamClients(UpstreamSettings(**{"allow_private_addresses": True, **settings}))
        try:
            yield open_webui(clients).connect(a_source("open_webui", self.url), credentials)
        finally:
            await clients.aclose()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A simulator in a thread of its own, so that its tasks are not among those that a test looks at."""
    with running(simulated.create_app(seed=False)) as url:
        yield url


@pytest.fixture
async def place(url: str) -> AsyncIterator[Place]:
    """With nothing in it, as on its first day."""
    async with httpx.AsyncClient(base_url=url, timeout=20, trust_env=False, verify=False) as control:
        place = Place(url, control)
        await place.control("POST", "reset", seed=False)
        await place.switch(**asdict(simulated.Switches(begin_ms=5, fast_word_ms=0, slow_word_ms=25)))
        yield place


@pytest.fixture
async def source(place: Place) -> AsyncIterator[ChatSource]:
    async with place.source() as source:
        yield source


@pytest.fixture
async def chat_id(source: ChatSource) -> str:
    return (await source.create_chat(NewChat(title="Live", agent="fake-slow"))).native_id


def to_send(chat_id: str, text: str = "one two three", number: int = 1, parent: str | None = None) -> NewMessage:
    return NewMessage(
        id=f"q{number}", reply_id=f"r{number}", chat_id=chat_id, role=MessageRole.USER, text=text, parent_id=parent
    )


async def opened(stack: AsyncExitStack, source: ChatSource) -> AsyncIterator[Notice]:
    """A watch that is open, left with the stack."""
    notices = await stack.enter_async_context(leaving(source.watch(None)))
    assert await anext(notices) == OPENED
    return notices


async def until(notices: AsyncIterator[Notice], last: Notice) -> list[Notice]:
    """What is told up to this notice."""
    seen: list[Notice] = []
    async with asyncio.timeout(20):
        async for notice in notices:
            seen.append(notice)
            if notice == last:
                break
    return seen


async def words_until(notices: AsyncIterator[Notice], text: str) -> list[str]:
    """The words of a reply each time they grow, up to these."""
    seen: list[str] = []
    async with asyncio.timeout(20):
        async for notice in notices:
            if isinstance(notice, ReplyGrew):
                seen.append(notice.reply.text)
                if notice.reply.text == text:
                    break
    return seen


async def failure_of(source: ChatSource) -> GatewayError:
    """What watching ends with."""
    with pytest.raises(GatewayError) as caught:  # noqa: PT012  what comes before does not matter
        async with asyncio.timeout(20):
            async for _ in source.watch(None):
                pass
    return caught.value


# Who may watch


def test_table_depends_on_the_credentials() -> None:
    def table(**credentials: str) -> Any:
        return open_webui(UpstreamClients()).connect(a_source("open_webui"), credentials).capabilities

    session, key = table(jwt="a.b.c"), table(api_key="sk-0123456789")
    assert (session.stream, key.stream) == (NativeStream.SOURCE, NativeStream.NONE)
    assert table(jwt="sk-0123456789").stream is NativeStream.NONE
    for capability in (Capability.STREAM_REPLY, Capability.LIVE_MESSAGES):
        assert session.level(capability) is SupportLevel.NATIVE
        assert key.level(capability) is SupportLevel.EMULATED
    assert not session.stream_tells_messages  # what REST calls write is told by nothing


async def test_api_key_watches_nothing_and_asks_for_nothing(place: Place) -> None:
    async with place.source(KEY) as source:
        with pytest.raises(CapabilityMissing):
            await anext(aiter(source.watch(None)))
    assert await place.count("open_socket") == 0


async def test_there_is_no_stream_of_a_single_chat(source: ChatSource, chat_id: str) -> None:
    with pytest.raises(CapabilityMissing):
        await anext(aiter(source.watch(chat_id)))


@pytest.mark.parametrize("ends", [-10, None], ids=["expired", "nonsense"])
async def test_token_that_the_server_does_not_know_is_refused(place: Place, ends: int | None) -> None:
    token = "no.such.token"
    if ends is not None:
        claims = jwt.decode(SESSION["jwt"], options={"verify_signature": False}) | {"exp": int(time.time()) + ends}
        token = jwt.encode(claims, "the simulator signs its sessions with this", algorithm="HS256")
    async with place.source({"jwt": token}) as source:
        # An expired token is refused by every call; the release needs none.
        error = await failure_of(source)
    assert isinstance(error, UpstreamUnauthorized)
    assert "`jwt`" in error.message
    assert token not in error.message


# What is told


async def test_another_clients_turn_is_told_with_its_words(place: Place, source: ChatSource, chat_id: str) -> None:
    async with AsyncExitStack() as stack:
        notices = await opened(stack, source)
        message_id = await place.emit(chat_id, "It is blue")
        seen = await words_until(notices, "It is blue")
        assert seen[-1].startswith(seen[0])
        assert (await until(notices, ChatTouched(chat_id)))[-1] == ChatTouched(chat_id)
    read = await source.get_message(chat_id, message_id)
    assert read is not None
    assert read.text == "It is blue"


async def test_words_come_piece_by_piece_while_they_are_written(place: Place, source: ChatSource, chat_id: str) -> None:
    async with AsyncExitStack() as stack:
        notices = await opened(stack, source)
        async with place.source(KEY) as another:
            writing = asyncio.ensure_future(anext(aiter(another.send_message(to_send(chat_id)))))
            seen = await words_until(notices, "Echo 1: one two three")
            await writing
    assert len(seen) > 2
    assert all(later.startswith(earlier) for earlier, later in pairwise(seen))


async def test_edited_message_is_told(place: Place, source: ChatSource, chat_id: str) -> None:
    message_id = await place.emit(chat_id, "before", role="user")
    async with AsyncExitStack() as stack:
        notices = await opened(stack, source)
        async with place.source(KEY) as another:
            await another.edit_message(chat_id, message_id, "after")
        assert await until(notices, ChatTouched(chat_id)) == [ChatTouched(chat_id)]


async def test_what_rest_calls_do_is_told_by_nothing(place: Place, source: ChatSource, chat_id: str) -> None:
    async with AsyncExitStack() as stack:
        notices = await opened(stack, source)
        async with place.source(KEY) as another:
            other = await another.create_chat(NewChat(title="Other"))
            await another.rename_chat(chat_id, "Renamed")
            await another.set_pinned(chat_id, True)
            await another.set_tags(chat_id, ["quiet"])
            await another.delete_chat(other.native_id)
            message_id = await place.emit(chat_id, "appended", role="user")
            await another.edit_message(chat_id, message_id, "heard")
        assert await until(notices, ChatTouched(chat_id)) == [ChatTouched(chat_id)]


async def test_chats_of_others_are_told_to_nobody_else(place: Place, source: ChatSource, chat_id: str) -> None:
    async with place.source({"api_key": simulated.USER_KEY}) as theirs, AsyncExitStack() as stack:
        foreign = await theirs.create_chat(NewChat(title="Theirs"))
        notices = await opened(stack, source)
        await place.emit(foreign.native_id, "secret")
        await place.emit(chat_id, "mine")
        assert {_chat_of(notice) for notice in await until(notices, ChatTouched(chat_id))} == {chat_id}


def _chat_of(notice: Notice) -> str | None:
    if isinstance(notice, ReplyGrew):
        return notice.reply.chat_id
    return notice.chat_id if isinstance(notice, ChatTouched) else None


# One connection


async def test_one_connection_serves_all_who_watch(place: Place, source: ChatSource, chat_id: str) -> None:
    async with AsyncExitStack() as stack:
        watches = [await opened(stack, source) for _ in range(5)]
        async for _ in source.send_message(to_send(chat_id)):
            pass
        for notices in watches:
            assert (await words_until(notices, "Echo 1: one two three"))[-1] == "Echo 1: one two three"
        assert await place.count("open_socket") == 1
        assert await place.count("user_join") == 1
    await place.until_left()


async def test_late_one_is_told_all_words_so_far(place: Place, source: ChatSource, chat_id: str) -> None:
    await place.switch(slow_word_ms=100)
    async with AsyncExitStack() as stack:
        first = await opened(stack, source)
        async with place.source(KEY) as another:
            writing = asyncio.ensure_future(anext(aiter(another.send_message(to_send(chat_id, "a b c d e f")))))
            await words_until(first, "Echo 1:")
            late = await opened(stack, source)
            seen = await words_until(late, "Echo 1: a b c d e f")
            await writing
    assert all(words.startswith("Echo 1:") for words in seen)


async def test_last_one_who_leaves_closes_the_connection(place: Place, source: ChatSource) -> None:
    before = asyncio.all_tasks()
    async with AsyncExitStack() as outer:
        await opened(outer, source)
        async with AsyncExitStack() as inner:
            await opened(inner, source)
        assert (await place.control("GET", "state"))["sockets"] == 1
    await place.until_left()
    assert asyncio.all_tasks() == before


async def test_who_is_cancelled_while_it_opens_leaves_nothing(place: Place, source: ChatSource) -> None:
    await place.control("POST", "faults", operation="open_socket", delay_ms=60_000)
    before = asyncio.all_tasks()
    watching = asyncio.ensure_future(anext(aiter(source.watch(None))))
    async with asyncio.timeout(10):
        while not await place.count("open_socket"):
            pass
    watching.cancel()
    await asyncio.wait({watching})
    assert watching.cancelled()
    assert asyncio.all_tasks() == before


async def test_closing_the_source_ends_the_watch(place: Place, source: ChatSource) -> None:
    async with AsyncExitStack() as stack:
        notices = await opened(stack, source)
        await source.aclose()
        assert [notice async for notice in notices] == []
    await place.until_left()


async def test_heartbeat_is_sent_again_and_again(place: Place) -> None:
    clients = UpstreamClients(UpstreamSettings(allow_private_addresses=True))
    record = a_source("open_webui", place.url)
    client = clients.client(record, headers={}, secrets=[], policy=VendorPolicy(words=str))
    live = Live(client, _Released(), record, SESSION["jwt"], timeout_seconds=10, heartbeat_seconds=0.05)
    async with aclosing(live.watch()) as notices:
        assert await anext(notices) == OPENED
        async with asyncio.timeout(10):
            while await place.count("heartbeat") < 3:
                pass
    await clients.aclose()


class _Released(Access):
    """A release that is recent enough."""

    def __init__(self) -> None:
        """There is nothing to ask."""

    async def version(self) -> str:
        return "0.12.4"


# How it ends


async def test_connection_that_is_cut_fails_everybody_and_is_opened_again(
    place: Place, source: ChatSource, chat_id: str
) -> None:
    async with AsyncExitStack() as stack:
        watches = [await opened(stack, source) for _ in range(2)]
        await place.switch(cut_socket_after=1)
        await place.emit(chat_id, "cut here")
        for notices in watches:
            with pytest.raises(UpstreamUnavailable):
                await until(notices, StreamOpened())
        await place.switch(cut_socket_after=0)
        again = await opened(stack, source)
        await place.emit(chat_id, "heard")
        await words_until(again, "heard")


async def test_connection_that_hangs_is_left() -> None:
    settings = '{"sid": "s", "pingInterval": 50, "pingTimeout": 50}'
    async with a_scripted(f"0{settings}", '40{"sid": "t"}', '431[{"id": "u"}]', stays=True) as source:
        seen: list[Notice] = []
        with pytest.raises(UpstreamTimeout):  # noqa: PT012  what comes before is looked at
            async for notice in source.watch(None):
                seen.append(notice)
    assert seen == [OPENED]


@asynccontextmanager
async def a_scripted(*frames: str | bytes, stays: bool = False) -> AsyncIterator[ChatSource]:
    """A source at a server that answers everything with these frames, and then closes the connection unless it `stays`."""

    def release(connection: ServerConnection, request: Request) -> Response | None:
        return connection.respond(HTTPStatus.OK, '{"version": "0.12.4"}') if request.path == "/api/version" else None

    async def talk(connection: ServerConnection) -> None:
        for frame in frames[:2]:
            await connection.send(frame)
            await connection.recv()
        for frame in frames[2:]:
            await connection.send(frame)
        if stays:
            await connection.wait_closed()

    clients = UpstreamClients(UpstreamSettings(allow_private_addresses=True))
    async with serve(talk, "127.0.0.1", 0, process_request=release) as server:
        url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        try:
            yield open_webui(clients).connect(a_source("open_webui", url), SESSION)
        finally:
            await clients.aclose()


async def test_pings_keep_a_silent_connection_open(place: Place, source: ChatSource, chat_id: str) -> None:
    await place.switch(socket_ping_ms=30, socket_ping_timeout_ms=300)
    async with AsyncExitStack() as stack:
        notices = await opened(stack, source)
        await asyncio.sleep(0.6)  # longer than both together: only pings can have kept it
        await place.emit(chat_id, "still here")
        await words_until(notices, "still here")


async def test_server_that_goes_down_ends_the_watch() -> None:
    with running(simulated.create_app(seed=False)) as url:
        async with httpx.AsyncClient(base_url=url) as control, Place(url, control).source() as source:
            watching = source.watch(None)
            assert await anext(aiter(watching)) == OPENED
            rest = asyncio.ensure_future(_all(watching))
            await asyncio.sleep(0)
            stopping = rest
    async with asyncio.timeout(10):
        assert await stopping == []


async def _all(notices: AsyncIterator[Notice]) -> list[Notice]:
    return [notice async for notice in notices]


@pytest.mark.parametrize(
    ("fault", "error", "advice"),
    [
        ({"status": 503}, UpstreamUnavailable, "Try again later"),
        ({"status": 429, "headers": {"Retry-After": "7"}}, UpstreamRateLimited, "Ask less often"),
        ({"status": 404}, UnexpectedAnswer, "ENABLE_WEBSOCKET_SUPPORT"),
        ({"status": 200, "body": "<html>", "content_type": "text/html"}, UnexpectedAnswer, "ENABLE_WEBSOCKET_SUPPORT"),
        ({"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}, UnexpectedAnswer, "ENABLE_WEBSOCKET_SUPPORT"),
        ({"drop": "before"}, UpstreamUnavailable, "try again"),
    ],
    ids=["503", "429", "404", "web page", "redirect", "dropped"],
)
async def test_connection_that_is_refused_says_why(
    place: Place, source: ChatSource, fault: Any, error: Any, advice: str
) -> None:
    await place.control("POST", "faults", operation="open_socket", **fault)
    failure = await failure_of(source)
    assert isinstance(failure, error)
    assert advice in failure.message
    assert SESSION["jwt"] not in failure.message


async def test_private_address_is_not_connected_to(place: Place) -> None:
    async with place.source(allow_private_addresses=False) as source:
        error = await failure_of(source)
    assert isinstance(error, UpstreamUnavailable)
    assert "allow_private_addresses" in error.message
    assert await place.count("open_socket") == 0


async def test_release_that_is_too_old_is_not_connected_to(place: Place, source: ChatSource) -> None:
    await place.switch(version="0.6.43")
    assert isinstance(await failure_of(source), UpstreamRejected)
    assert await place.count("open_socket") == 0


async def test_garbage_is_counted_and_left_out() -> None:
    settings = '{"sid": "s", "pingInterval": 25000, "pingTimeout": 20000}'
    garbage = ("garbage", b"\x00", '42["events"]', '42["events",{"data":7}]')
    events = ["42" + json.dumps(["events", one]) for one in (BEGINS, delta("Hello"))]
    channel = '42["events:channel",{"channel_id":"c","data":{"type":"message"}}]'
    async with a_scripted(f"0{settings}", '40{"sid": "t"}', '431[{"id": "u"}]', *garbage, *events, channel) as source:
        notices = await _all(source.watch(None))  # the server says good-bye when it has said all
        assert source.health().contract_drift == len(garbage)
    plain = [notice.reply.text if isinstance(notice, ReplyGrew) else notice for notice in notices]
    assert plain == [OPENED, ChatTouched("chat-1"), "Hello"]


# Whoever listens


def grown(text: str, reply_id: str = "r") -> ReplyGrew:
    (notice,) = [
        one
        for one in told({**BEGINS, "message_id": reply_id}, {**delta(text), "message_id": reply_id})
        if isinstance(one, ReplyGrew)
    ]
    return notice


@pytest.fixture
def listener() -> Listener:
    return Listener(a_source("open_webui"))


async def test_slow_one_is_told_the_newest_of_each(listener: Listener) -> None:
    for notice in (
        OPENED,
        ChatTouched("a"),
        grown("x"),
        ChatTouched("a"),
        grown("xy"),
        grown("z", "other"),
        ChatTouched("b"),
    ):
        listener.tell(notice)
    listener.end()
    seen = []
    while (heard := await listener.next()) is not None:
        seen.append(heard)
    assert seen == [OPENED, grown("xy"), ChatTouched("a"), grown("z", "other"), ChatTouched("b")]


async def test_touch_that_ends_a_reply_comes_after_its_words(listener: Listener) -> None:
    for notice in (ChatTouched("a"), grown("x"), ChatTouched("a")):
        listener.tell(notice)
    assert [await listener.next(), await listener.next()] == [grown("x"), ChatTouched("a")]


async def test_one_who_takes_nothing_is_told_that_something_was_dropped(listener: Listener) -> None:
    for number in range(10_001):
        listener.tell(ChatTouched(str(number)))
    with pytest.raises(UpstreamUnavailable, match="dropped"):
        await listener.next()


async def test_failure_comes_after_what_was_told_before_it(listener: Listener) -> None:
    listener.tell(OPENED)
    listener.end(RuntimeError("a fault of ours"))
    assert await listener.next() == OPENED
    for _ in range(2):
        with pytest.raises(RuntimeError, match="a fault of ours"):
            await listener.next()


# Replies that are followed by it


async def replies_of(steps: AsyncIterator[Progress]) -> list[tuple[str, MessageState]]:
    seen = []
    async with asyncio.timeout(30):
        async for step in steps:
            assert step.reply is not None
            seen.append((step.reply.text, step.reply.state))
    return seen


async def test_own_reply_comes_word_by_word_and_is_hardly_read(place: Place, source: ChatSource, chat_id: str) -> None:
    text = " ".join(f"w{number}" for number in range(40))
    await place.control("DELETE", "calls")
    before = asyncio.all_tasks()
    seen = await replies_of(source.send_message(to_send(chat_id, text)))
    assert seen[-1] == (f"Echo 1: {text}", MessageState.COMPLETE)
    texts = list(dict.fromkeys(words for words, _ in seen))
    assert len(texts) > 35
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    assert await place.count("get_chat") <= 8  # the first, those that touches ask for, the last: not one for each word
    assert await place.count("open_socket") == 1
    assert asyncio.all_tasks() == before
    await place.until_left()


async def test_own_reply_uses_the_connection_that_is_open(place: Place, source: ChatSource, chat_id: str) -> None:
    async with AsyncExitStack() as stack:
        notices = await opened(stack, source)
        await replies_of(source.send_message(to_send(chat_id)))
        await words_until(notices, "Echo 1: one two three")
        assert await place.count("open_socket") == 1


async def test_reply_made_once_more_comes_word_by_word(source: ChatSource, chat_id: str) -> None:
    await replies_of(source.send_message(to_send(chat_id)))
    seen = await replies_of(source.regenerate(chat_id, "r1", reply_id="r2", model=None))
    assert seen[-1] == ("Echo 1: one two three", MessageState.COMPLETE)
    assert len({text for text, _ in seen}) > 3


async def test_reply_is_read_as_it_grows_where_the_connection_cannot_be_opened(
    place: Place, source: ChatSource, chat_id: str
) -> None:
    await place.control("POST", "faults", operation="open_socket", status=503, times=100)
    for number in (1, 2):
        seen = await replies_of(
            source.send_message(to_send(chat_id, number=number, parent="r1" if number == 2 else None))
        )
        assert seen[-1][1] is MessageState.COMPLETE
    assert await place.count("open_socket") == 1  # it was given up for a while


async def test_reply_is_read_on_where_the_connection_is_cut(place: Place, source: ChatSource, chat_id: str) -> None:
    await place.switch(cut_socket_after=9)
    text = " ".join(f"w{number}" for number in range(20))
    seen = await replies_of(source.send_message(to_send(chat_id, text)))
    assert seen[-1] == (f"Echo 1: {text}", MessageState.COMPLETE)
    assert await place.count("get_chat") > 3


@pytest.mark.slow
async def test_reply_whose_words_are_lost_on_their_way_is_read_to_its_end(
    place: Place, source: ChatSource, chat_id: str
) -> None:
    """A stream that has told words and tells no more is trusted for 5 s."""
    seen = []
    async with asyncio.timeout(30):
        async for step in source.send_message(to_send(chat_id)):
            assert step.reply is not None
            seen.append((step.reply.text, step.reply.state))
            if seen[-1][0]:
                await place.switch(socket_is_mute=True)
    assert seen[-1] == ("Echo 1: one two three", MessageState.COMPLETE)


async def test_stopped_reply_ends_at_once(source: ChatSource, chat_id: str) -> None:
    seen: list[Progress] = []
    async with asyncio.timeout(30):
        async for step in source.send_message(to_send(chat_id, "long please")):
            seen.append(step)
            if step.reply is not None and len(step.reply.text.split()) == 5:
                await source.stop_reply(chat_id, "r1")
    last = seen[-1].reply
    assert last is not None
    assert last.state is MessageState.CANCELLED
    assert last.text.startswith("word0 word1")


async def test_failed_reply_ends_at_once(source: ChatSource) -> None:
    chat = await source.create_chat(NewChat(title="Live", agent="fake-error"))
    seen = await replies_of(source.send_message(to_send(chat.native_id)))
    assert seen[-1][1] is MessageState.FAILED


async def test_reply_that_was_not_seen_to_begin_is_read_until_it_is_whole(
    place: Place, source: ChatSource, chat_id: str
) -> None:
    async with place.source(KEY) as another:
        steps = another.send_message(to_send(chat_id, " ".join("x" * 20)))
        await anext(aiter(steps))
        seen = [message.text async for message in source.follow_reply(chat_id, "r1")]
    assert seen[-1] == "Echo 1: " + " ".join("x" * 20)


async def test_who_stops_following_leaves_the_connection_and_not_the_reply(
    place: Place, source: ChatSource, chat_id: str
) -> None:
    before = asyncio.all_tasks()
    async with leaving(source.send_message(to_send(chat_id))) as steps:
        await anext(aiter(steps))
    await place.until_left()
    assert asyncio.all_tasks() == before
    async with asyncio.timeout(20):
        while True:
            message = await source.get_message(chat_id, "r1")
            if message is not None and message.state is MessageState.COMPLETE:
                break
            await asyncio.sleep(0.01)
