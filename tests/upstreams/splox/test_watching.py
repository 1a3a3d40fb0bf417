"""Watching a chat of Splox: which frames say that there is something to read, and how a stream begins, ends and breaks."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from domain.capabilities import NativeStream
from domain.errors import CapabilityMissing, NotFound, UpstreamRateLimited, UpstreamTimeout, UpstreamUnavailable
from domain.source import ChatTouched, Notice, StreamOpened
from simulators import splox as simulated
from simulators.serving import serve
from tests.simulators.splox.asking import Clock
from tests.streams import leaving
from tests.upstreams.splox.server import Splox, a_message, an_account, data, delta, state
from tests.upstreams.wire import a_source, an_answer, wire
from upstreams.http import UpstreamClients
from upstreams.policy import UpstreamSettings
from upstreams.splox.source import splox
from upstreams.splox.watching import Attention

pytestmark = pytest.mark.anyio

OPENED, TOUCHED = StreamOpened(), ChatTouched("c")
DONE: Mapping[str, Any] = {"type": "done", "iteration": 1, "run_id": "run-1"}
INACTIVE: Mapping[str, Any] = {"type": "workflow_status", "is_active": False}


def a_node(status: str, node_id: str = "node-1") -> dict[str, Any]:
    return {"node_execution": {"id": node_id, "status": status}}


def woken(*frames: Mapping[str, Any]) -> list[bool]:
    """For each frame, whether there is something to read after it."""
    attention = Attention()
    return [attention.wakes(frame) for frame in frames]


# Frames


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "user_message", "text": "hi"},
        DONE,
        {"type": "stopped"},
        {"type": "error", "error": "boom"},
        INACTIVE,
        {"type": "tool_approval_request", "args": {}},
        state("pending"),
        state("failed"),
        a_node("completed"),
        a_message("m", "assistant"),
        a_message("m", content="the older page's text"),
        delta("the first words of a message that nobody announced"),
        {"type": "never_seen"},
    ],
    ids=str,
)
def test_frame_that_a_message_began_or_ended_is_something_to_read(frame: Mapping[str, Any]) -> None:
    assert woken(frame) == [True]


def test_words_between_beginning_and_end_are_not_read_one_by_one() -> None:
    words = [delta("x"), {"type": "reasoning_delta", "reasoning_delta": "hm"}, {"type": "tool_start"}, delta("y")]
    assert woken(*words, DONE, *words, INACTIVE) == [True, False, False, False, True] * 2


def test_words_of_an_announced_message_are_none_of_their_own() -> None:
    assert woken({"type": "user_message"}, delta("x"), delta("y")) == [True, False, False]
    assert woken(state("in_progress"), delta("x"), delta("y")) == [True, False, False]


def test_state_that_is_told_again_is_no_news() -> None:
    told = [state("pending"), state("in_progress"), state("in_progress"), state("completed"), state("completed")]
    assert woken(*told) == [True, True, False, True, False]


def test_each_run_has_a_state_of_its_own() -> None:
    assert woken(state("pending", "a"), state("pending", "b"), state("pending", "a")) == [True, True, False]


def test_node_is_news_when_it_has_ended() -> None:
    with_run = {**state("in_progress"), **a_node("in_progress")}
    ended = {**state("in_progress"), **a_node("completed")}
    assert woken(with_run, with_run, ended, ended) == [True, False, True, False]
    assert woken(a_node("pending"), a_node("in_progress"), a_node("failed")) == [False, False, True]


def test_states_of_a_thousand_runs_are_not_all_remembered() -> None:
    attention = Attention()
    for number in range(1000):
        assert attention.wakes(state("pending", f"run-{number}"))
    assert len(attention._states) <= 100


@pytest.mark.parametrize("frame", [{}, {"foo": 1}, {"type": 7}, {"workflow_request": None}, {"role": "user"}], ids=str)
def test_frame_that_is_none_of_those_known_is_counted(frame: Mapping[str, Any]) -> None:
    attention = Attention()
    assert not attention.wakes(frame)
    assert [attention.take_misunderstood(), attention.take_misunderstood()] == [1, 0]


# The stream


async def all_of(notices: AsyncIterator[Notice]) -> list[Notice]:
    return [notice async for notice in notices]


async def until_broken(notices: AsyncIterator[Notice], error: type[Exception]) -> list[Notice]:
    """What was told before it broke with this error."""
    seen: list[Notice] = []
    with pytest.raises(error):  # noqa: PT012  the notices before the break are what is looked at
        async for notice in notices:
            seen.append(notice)
    return seen


async def noticed(server: Splox, **more: Any) -> list[Notice]:
    source, _ = an_account(server, **more)
    return await all_of(source.watch("c"))


async def test_stream_tells_that_it_is_open_before_anything_is_said() -> None:
    source, _ = an_account(Splox())
    async with asyncio.timeout(5), leaving(source.watch("c")) as notices:
        assert await anext(notices) == OPENED


async def test_another_clients_turn_is_told() -> None:
    server = Splox()
    server.chat_stream.say(
        "keepalive", state("pending"), {"type": "user_message", "text": "hi"}, delta("a"), delta("b"), DONE, INACTIVE
    )
    server.chat_stream.end()
    assert await noticed(server) == [OPENED, TOUCHED, TOUCHED, TOUCHED, TOUCHED]


async def test_same_frame_twice_is_harmless() -> None:
    server = Splox()
    server.chat_stream.say(DONE, DONE)
    server.chat_stream.end()
    assert await noticed(server) == [OPENED, TOUCHED, TOUCHED]


async def test_garbage_is_counted_and_left_out() -> None:
    server = Splox()
    source, _ = an_account(server)
    server.chat_stream.say("{half", "[1, 2]", "\x00\x01", DONE, {"nobody": "knows"})
    server.chat_stream.says.put_nowait(b"\xff\xfe no line of a stream\ndata: \n\n" + data(DONE))
    server.chat_stream.end()
    assert await all_of(source.watch("c")) == [OPENED, TOUCHED, TOUCHED]
    assert source.health().contract_drift == 5


async def test_stream_that_splox_closes_just_ends() -> None:
    server = Splox()
    server.chat_stream.end()
    assert await noticed(server) == [OPENED]


async def test_stream_cut_in_the_middle_of_a_frame_is_broken() -> None:
    async def act(exchange: Any) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        piece = data(DONE) + data(DONE)[:12]
        await exchange.write(head + f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        exchange.drop()

    async with wire(act) as server, a_splox(server.url) as source:
        assert await until_broken(source.watch("c"), UpstreamUnavailable) == [OPENED, TOUCHED]


async def test_stream_without_even_a_keepalive_is_broken() -> None:
    source, _ = an_account(Splox(), settings={"read_seconds": 0.05})
    assert await until_broken(source.watch("c"), UpstreamTimeout) == [OPENED]


@pytest.mark.parametrize(("status", "error"), [(404, NotFound), (429, UpstreamRateLimited), (503, UpstreamUnavailable)])
async def test_stream_that_is_refused_was_never_open(status: int, error: type[Exception]) -> None:
    server = Splox()
    server.answers["GET /chat-internal-messages/c/listen"] = lambda: an_answer({}, status)
    source, _ = an_account(server)
    with pytest.raises(error):
        await anext(aiter(source.watch("c")))


async def test_who_leaves_early_leaves_the_stream() -> None:
    server = Splox()
    server.chat_stream.say(DONE)
    source, _ = an_account(server)
    before = asyncio.all_tasks()
    async with leaving(source.watch("c")) as notices:
        assert [await anext(notices), await anext(notices)] == [OPENED, TOUCHED]
    assert asyncio.all_tasks() == before


async def test_who_is_cancelled_while_nothing_is_said_leaves_the_stream() -> None:
    server = Splox()
    source, _ = an_account(server)
    watching = asyncio.ensure_future(all_of(source.watch("c")))
    async with asyncio.timeout(5):
        await server.chat_stream.asked.wait()
        watching.cancel()
        await asyncio.wait({watching})
        await server.chat_stream.left.wait()
    assert watching.cancelled()


async def test_there_is_no_stream_for_all_chats() -> None:
    source, transport = an_account(Splox())
    assert source.capabilities.stream is NativeStream.CHAT
    with pytest.raises(CapabilityMissing):
        await anext(aiter(source.watch(None)))
    assert transport.requests == []


# Over the simulator


def a_splox(url: str) -> Any:
    """A source at an address, until the block ends."""
    clients = UpstreamClients(UpstreamSettings(allow_private_addresses=True))
    return _Closing(clients, splox(clients).connect(a_source("splox", url), {"api_key": simulated.TOKEN}))


class _Closing:
    def __init__(self, clients: UpstreamClients, source: Any) -> None:
        self._clients, self._source = clients, source

    async def __aenter__(self) -> Any:
        return self._source

    async def __aexit__(self, *_: object) -> None:
        await self._clients.aclose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def place(clock: Clock) -> AsyncIterator[tuple[str, httpx.AsyncClient]]:
    app = simulated.create_app(clock=clock, switches=simulated.Switches(keepalive_ms=20))
    async with serve(app) as url, httpx.AsyncClient(base_url=url, timeout=10) as control:
        yield url, control


async def test_half_an_hour_later_the_stream_has_ended(place: tuple[str, httpx.AsyncClient], clock: Clock) -> None:
    url, control = place
    chat_id = (await control.get("/__control/state")).json()["chats"][0]["id"]
    seen: list[Notice] = []
    async with asyncio.timeout(20), a_splox(url + simulated.PREFIX) as source:
        async for notice in source.watch(chat_id):
            seen.append(notice)
            if notice == OPENED:
                await control.post("/__control/emit", json={"chat_id": chat_id, "text": "psst"})
            else:
                clock.now += 1801
    assert seen[:2] == [OPENED, ChatTouched(chat_id)]
    assert (await control.get("/__control/state")).json()["streams"] == []


async def test_who_left_is_known_to_have_left_by_the_vendor(place: tuple[str, httpx.AsyncClient]) -> None:
    url, control = place
    chat_id = (await control.get("/__control/state")).json()["chats"][0]["id"]
    async with asyncio.timeout(20), a_splox(url + simulated.PREFIX) as source:
        async with leaving(source.watch(chat_id)) as notices:
            assert await anext(notices) == OPENED
            assert (await control.get("/__control/state")).json()["streams"] == [f"chat:{chat_id}"]
        while (await control.get("/__control/state")).json()["streams"]:
            pass
