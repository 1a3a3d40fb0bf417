"""`/ws/chat`: the handshake, a message and its reply, what the documents leave open, and what goes wrong."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidMessage, InvalidStatus

from simulators import lexicon
from simulators.calls import fingerprint
from simulators.serving import serve
from tests.simulators.lexicon.conftest import KEY, Clock, Event, Open, Talk

pytestmark = pytest.mark.anyio
Fault = Callable[..., Awaitable[None]]
STREAM = ["message_stream_started", "message_stream_token", "message_stream_ended"]


def kinds(events: list[Event]) -> list[str]:
    """The kinds in their order, repetitions as one."""
    found = [event["event_type"] for event in events]
    return [kind for place, kind in enumerate(found) if place == 0 or found[place - 1] != kind]


async def contents(client: httpx.AsyncClient, chat_id: str) -> list[tuple[str, str]]:
    rows = (await client.get(f"/api/v1/chats/{chat_id}/messages")).json()["messages"]
    return [(row["sender_role"], row["content"]) for row in rows]


async def last_call(client: httpx.AsyncClient, operation: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = (await client.get("/__control/calls", params={"operation": operation})).json()
    return found[-1]


async def test_a_socket_is_greeted_with_what_it_belongs_to(open_socket: Open, chat_id: str) -> None:
    async with open_socket() as talk:
        greeting = await talk.next()
    assert set(greeting) == {"event_type", "timestamp", "user_id", "chat_id", "tenant_id"}
    assert (greeting["event_type"], greeting["chat_id"]) == ("connection_established", chat_id)


async def test_the_query_opens_a_socket_too(client: httpx.AsyncClient, chat_id: str) -> None:
    query = {"api_key": lexicon.API_KEY, "user_id": "user-new", "chat_id": chat_id}
    url = str(client.base_url.copy_with(scheme="ws", path="/ws/chat", query=str(httpx.QueryParams(query)).encode()))
    async with connect(url, proxy=None) as socket:
        assert "connection_established" in str(await socket.recv())
    call = await last_call(client, "open_socket")
    assert (call["status"], call["query"]["api_key"]) == (101, fingerprint(lexicon.API_KEY))


async def test_an_unknown_user_is_made_and_told(open_socket: Open) -> None:
    async with open_socket(X_User_ID="user-stranger") as talk:
        assert kinds(await talk.until("user_created")) == ["connection_established", "user_created"]


async def test_a_message_is_received_and_its_reply_streams(
    client: httpx.AsyncClient, open_socket: Open, chat_id: str
) -> None:
    async with open_socket() as talk:
        await talk.next()
        events = await talk.ask("one two three")
    assert kinds(events) == ["message_received", *STREAM]
    text = "".join(event.get("token", "") for event in events)
    assert (text, events[-1]["content"]) == ("Echo 1: one two three", "Echo 1: one two three")
    asked, reply = (await client.get(f"/api/v1/chats/{chat_id}/messages")).json()["messages"]
    assert (asked["id"], asked["content"]) == (events[0]["message_id"], "one two three")
    assert (reply["id"], reply["content"]) == (events[-1]["message_id"], text)


async def test_two_questions_at_once_are_answered_one_after_the_other(open_socket: Open) -> None:
    async with open_socket() as talk:
        await talk.next()
        await talk.send("first")
        await talk.send("second")
        events = await talk.until("message_stream_ended") + await talk.until("message_stream_ended")
    ended = [event["content"] for event in events if event["event_type"] == "message_stream_ended"]
    assert ended == ["Echo 1: first", "Echo 2: second"]


async def test_metadata_comes_along(client: httpx.AsyncClient, open_socket: Open, chat_id: str) -> None:
    async with open_socket() as talk:
        await talk.send("hi", metadata={"k": 1})
        await talk.until("message_received")
    assert (await client.get(f"/api/v1/chats/{chat_id}/messages")).json()["messages"][0]["metadata"] == {"k": 1}


@pytest.mark.parametrize("frame", ["{", "[]", '{"content": ""}', '{"content": 7}', '{"content": "x", "metadata": 1}'])
async def test_a_frame_that_is_none_is_an_error_and_the_socket_stays(open_socket: Open, frame: str) -> None:
    async with open_socket() as talk:
        await talk.next()
        await talk.socket.send(frame)
        assert (await talk.next())["event_type"] == "error"
        assert kinds(await talk.ask("hi"))[-1] == "message_stream_ended"


async def test_a_chat_is_not_deleted_while_any_socket_is_open(
    client: httpx.AsyncClient, open_socket: Open, chat_id: str
) -> None:
    path = f"/api/v1/chats/{chat_id}"
    async with open_socket() as first, open_socket() as second:
        await first.next()
        await second.next()
        assert (await client.delete(path)).status_code == 409
        await first.socket.close()
        assert (await client.delete(path)).status_code == 409
        await second.socket.close()
        assert (await client.delete(path)).status_code == 200


async def test_a_closed_socket_may_linger(
    client: httpx.AsyncClient, open_socket: Open, chat_id: str, switches: lexicon.Switches, clock: Clock
) -> None:
    switches.socket_lingers_ms = 500
    async with open_socket() as talk:
        await talk.next()
    assert (await client.delete(f"/api/v1/chats/{chat_id}")).status_code == 409
    clock.now += 0.5
    assert (await client.delete(f"/api/v1/chats/{chat_id}")).status_code == 200


WRONG: list[dict[str, str | None]] = [{"X_API_Key": "wrong"}, {"X_API_Key": None}, {"X_Chat_ID": "none"}]


@pytest.mark.parametrize("headers", WRONG)
async def test_a_wrong_handshake_is_opened_told_and_closed(open_socket: Open, headers: dict[str, str | None]) -> None:
    async with open_socket(**headers) as talk:
        event = await talk.next()
        assert (event["event_type"], set(event)) == ("error", {"event_type", "timestamp", "code", "message"})
        with pytest.raises(ConnectionClosedError) as closed:
            await talk.next()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


@pytest.mark.parametrize(("way", "status"), [("http", 404), ("forbidden", 403)])
async def test_a_wrong_handshake_may_get_a_status(
    open_socket: Open, switches: lexicon.Switches, way: Any, status: int
) -> None:
    switches.socket_refusal = way
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket(X_Chat_ID="none"):
            pass
    assert refused.value.response.status_code == status


async def test_a_wrong_handshake_may_be_closed_without_a_word(open_socket: Open, switches: lexicon.Switches) -> None:
    switches.socket_refusal, switches.refusal_close_code = "close", 4404
    async with open_socket(X_Chat_ID="none") as talk:
        with pytest.raises(ConnectionClosed) as closed:
            await talk.next()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4404


async def test_somebody_elses_socket_is_refused_when_it_is_switched(
    open_socket: Open, switches: lexicon.Switches
) -> None:
    switches.foreign_user = "refused"
    async with open_socket(X_User_ID="user-anna") as talk:
        assert (await talk.next())["event_type"] == "error"


async def test_stream_events_may_name_their_fields_otherwise(open_socket: Open, switches: lexicon.Switches) -> None:
    switches.token_field, switches.stream_id_field, switches.stream_events = "delta", None, "nested"
    switches.ended_text_field = switches.received_text_field = None
    async with open_socket() as talk:
        await talk.next()
        received, started, *tokens, ended = await talk.ask("one two")
    assert set(received) == {"event_type", "timestamp", "message_id", "chat_id", "user_id"}
    assert set(started) == {"event_type", "timestamp", "data"}
    assert "".join(event["data"]["delta"] for event in tokens) == "Echo 1: one two"
    assert ended["data"] == {}


@pytest.mark.parametrize(
    ("shape", "keys"),
    [("error_code_message", {"error_code", "error_message"}), ("error_object", {"error"}), ("message", {"message"})],
)
async def test_an_errors_fields_are_a_switch(
    open_socket: Open, switches: lexicon.Switches, shape: Any, keys: set[str]
) -> None:
    switches.error_fields = shape
    async with open_socket() as talk:
        await talk.next()
        await talk.socket.send("{}")
        assert set(await talk.next()) == {"event_type", "timestamp"} | keys


@pytest.mark.parametrize(("when", "before"), [("at_start", []), ("in_the_middle", STREAM[:2])])
async def test_a_failed_reply_is_an_error_and_not_kept(
    client: httpx.AsyncClient, open_socket: Open, switches: lexicon.Switches, chat_id: str, when: Any, before: list[str]
) -> None:
    switches.reply_fails = when
    async with open_socket() as talk:
        await talk.next()
        await talk.send("one two three")
        assert kinds(await talk.until("error")) == ["message_received", *before, "error"]
    assert await contents(client, chat_id) == [("user", "one two three")]


async def test_the_server_may_close_after_a_reply(open_socket: Open, switches: lexicon.Switches) -> None:
    switches.closes_after_reply = True
    async with open_socket() as talk:
        await talk.ask("hi")
        with pytest.raises(ConnectionClosed):
            await talk.next()


@pytest.mark.parametrize("hears", ["own", "all"])
async def test_whether_a_socket_hears_others_is_a_switch(
    open_socket: Open, switches: lexicon.Switches, hears: Any
) -> None:
    switches.socket_hears = hears
    async with open_socket() as silent, open_socket() as talking:
        await silent.next()
        await talking.next()
        await talking.ask("hi")
        await silent.send("me too")
        first = await silent.until("message_received")
    assert first[0]["content"] == ("hi" if hears == "all" else "me too")


async def test_an_emitted_message_is_heard_when_it_is_switched(
    client: httpx.AsyncClient, open_socket: Open, switches: lexicon.Switches, chat_id: str
) -> None:
    switches.socket_hears = "all"
    async with open_socket() as talk:
        await talk.next()
        told = (await client.post("/__control/emit", json={"chat_id": chat_id, "text": "psst"})).json()
        events = await talk.until("message_stream_ended")
    assert kinds(events) == STREAM
    assert events[-1]["message_id"] == told["message_id"]


async def test_a_frame_is_a_call_of_the_book(client: httpx.AsyncClient, open_socket: Open) -> None:
    async with open_socket() as talk:
        await talk.ask("hi")
    call = await last_call(client, "send_message")
    assert (call["method"], call["path"], call["status"]) == ("FRAME", "/ws/chat", 200)
    assert call["body"] == {"content": "hi"}
    assert call["headers"]["x-api-key"] == fingerprint(lexicon.API_KEY)


async def until_replied(client: httpx.AsyncClient, chat_id: str) -> list[tuple[str, str]]:
    while len(found := await contents(client, chat_id)) < 2:
        pass
    return found


@pytest.mark.parametrize("when", ["before", "after", "middle"])
async def test_a_dropped_frame_is_executed_or_not(
    client: httpx.AsyncClient, open_socket: Open, chat_id: str, fault: Fault, when: str
) -> None:
    await fault(operation="send_message", drop=when, times=1)
    async with open_socket() as talk:
        await talk.next()
        await talk.send("one two three four")
        with pytest.raises(ConnectionClosedError):
            await talk.until("message_stream_ended")
    if when == "before":
        assert await contents(client, chat_id) == []
    else:
        assert len(await until_replied(client, chat_id)) == 2
    assert (await last_call(client, "send_message"))["dropped"] == when


async def hear_into(heard: list[Event], talk: Talk) -> None:
    while True:
        heard.append(await talk.next())


async def test_the_middle_is_half_of_the_tokens(open_socket: Open, fault: Fault) -> None:
    await fault(operation="send_message", drop="middle", times=1)
    heard: list[Event] = []
    async with open_socket() as talk:
        await talk.send("three four")
        with pytest.raises(ConnectionClosedError):
            await hear_into(heard, talk)
    assert "".join(event.get("token", "") for event in heard) == "Echo 1: "


async def test_a_reply_may_end_with_its_socket(
    client: httpx.AsyncClient, open_socket: Open, chat_id: str, switches: lexicon.Switches, fault: Fault
) -> None:
    switches.reply_survives_socket = False
    await fault(operation="send_message", drop="middle", times=1)
    async with open_socket() as talk:
        await talk.send("three four")
        with pytest.raises(ConnectionClosedError):
            await talk.until("message_stream_ended")
    async with open_socket() as again:
        assert (await again.ask("still there?"))[-1]["content"] == "Echo 2: still there?"
    assert [text for _, text in await contents(client, chat_id)] == [
        "three four",
        "still there?",
        "Echo 2: still there?",
    ]


@pytest.mark.parametrize(("execute", "kept"), [(False, 0), (True, 2)])
async def test_a_frame_may_be_answered_with_anything(
    client: httpx.AsyncClient, open_socket: Open, chat_id: str, fault: Fault, execute: bool, kept: int
) -> None:
    await fault(operation="send_message", body="<html>", content_type="text/html", times=1, execute=execute)
    async with open_socket() as talk:
        await talk.next()
        await talk.send("hi")
        assert await talk.socket.recv() == "<html>"
        if execute:
            await until_replied(client, chat_id)
    assert len(await contents(client, chat_id)) == kept


async def test_a_frame_may_close_the_socket_with_a_code(open_socket: Open, fault: Fault) -> None:
    await fault(operation="send_message", close_code=1011, times=1)
    async with open_socket() as talk:
        await talk.send("hi")
        with pytest.raises(ConnectionClosedError) as closed:
            await talk.until("message_received")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011


async def test_a_client_that_leaves_during_a_delay_has_sent_nothing(
    client: httpx.AsyncClient, open_socket: Open, chat_id: str, fault: Fault
) -> None:
    await fault(operation="send_message", delay_ms=60_000, times=1)
    async with open_socket() as talk:
        await talk.next()
        await talk.send("hi")
    assert await contents(client, chat_id) == []
    assert (await last_call(client, "send_message"))["dropped"] == "by the caller"


async def test_a_client_that_leaves_during_a_delayed_handshake_was_never_there(
    client: httpx.AsyncClient, open_socket: Open, fault: Fault
) -> None:
    await fault(operation="open_socket", delay_ms=60_000, times=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), open_socket():
            pass
    async with open_socket() as talk:
        assert (await talk.next())["event_type"] == "connection_established"
    first, second = (await client.get("/__control/calls", params={"operation": "open_socket"})).json()
    assert (first["status"], first["dropped"], second["status"]) == (None, "by the caller", 101)


async def test_a_server_that_goes_down_closes_its_sockets() -> None:
    app = lexicon.create_app(switches=lexicon.Switches(token_ms=60_000))
    async with serve(app) as url, httpx.AsyncClient(base_url=url, headers=KEY) as client:
        chat_id = (await client.post("/api/v1/chats/", json={"user_id": "u"})).json()["id"]
        socket_url = str(client.base_url.copy_with(scheme="ws", path="/ws/chat"))
        headers = KEY | {"X-User-ID": "u", "X-Chat-ID": chat_id}
        socket = await connect(socket_url, additional_headers=headers, proxy=None)
        talk = Talk(socket)
        await talk.send("a reply that takes long")
        await talk.until("message_stream_started")
    with pytest.raises(ConnectionClosed) as closed:
        await talk.next()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


async def test_a_handshake_may_be_refused_dropped_or_cut_off(open_socket: Open, fault: Fault) -> None:
    await fault(operation="open_socket", status=503, body={"detail": "down"}, times=1)
    with pytest.raises(InvalidStatus) as refused:
        async with open_socket():
            pass
    assert (refused.value.response.status_code, refused.value.response.body) == (503, b'{"detail": "down"}')
    await fault(operation="open_socket", drop="before", times=1)
    with pytest.raises((InvalidMessage, EOFError)):
        async with open_socket():
            pass
    await fault(operation="open_socket", drop="after", times=1)
    async with open_socket() as talk:
        with pytest.raises(ConnectionClosedError):
            await talk.next()


async def test_a_socket_to_another_path_is_forbidden(client: httpx.AsyncClient) -> None:
    url = str(client.base_url.copy_with(scheme="ws", path="/ws/other"))
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, proxy=None):
            pass
    assert refused.value.response.status_code == 403


async def test_a_close_code_that_is_none_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/__control/faults", json={"close_code": 99})
    assert answer.status_code == 400
