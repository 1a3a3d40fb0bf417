"""Sending over the socket; each test is named after its quirk."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from domain.errors import (
    Conflict,
    GatewayError,
    InvalidArgument,
    NotFound,
    UnexpectedAnswer,
    UpstreamError,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnauthorized,
    UpstreamUnavailable,
)
from domain.records import Attachment, MessageRole, MessageState
from domain.source import NewMessage, Progress
from tests.upstreams.lexicon.tenant import (
    AT,
    KEY,
    Place,
    Script,
    Tenant,
    a_chat,
    a_message,
    a_place,
    answering,
    greet,
    say,
    with_socket,
)
from tests.upstreams.wire import an_answer

pytestmark = pytest.mark.anyio


def to_send(text: str = "hello", chat_id: str = "c", **more: Any) -> NewMessage:
    known: dict[str, Any] = {"role": MessageRole.USER, "parent_id": None}
    return NewMessage(id="ours", reply_id="ours-too", chat_id=chat_id, text=text, **{**known, **more})


async def sent(place: Place, new: NewMessage | None = None) -> list[Progress]:
    return [progress async for progress in place.source.send_message(new or to_send())]


def a_tenant(script: Script | None = None, *rows: dict[str, Any]) -> Tenant:
    return Tenant(chats=[a_chat()], messages={"c": list(rows)}, script=script)


async def failure(script: Script, **options: Any) -> tuple[Any, Place]:
    """The error that sending ends with."""
    async with with_socket(a_tenant(script), **options) as place:
        with pytest.raises(GatewayError) as caught:
            await sent(place)
    assert KEY not in caught.value.message
    assert caught.value.message.endswith(".")
    return caught.value, place


async def test_message_goes_over_a_socket_of_its_own_and_the_answer_grows() -> None:
    async with with_socket(a_tenant(answering("Blue", " ", "sky"), a_message("m0"))) as place:
        steps = await sent(place, to_send(metadata={"n": 1}))
        assert place.tenant.open_sockets == 0
        (headers,) = place.tenant.sockets
    assert (headers["x-api-key"], headers["x-user-id"], headers["x-chat-id"]) == (KEY, "anna", "c")
    assert place.tenant.frames == [{"content": "hello", "metadata": {"n": 1}}]
    assert [step.reply.text for step in steps if step.reply] == ["", "Blue", "Blue ", "Blue sky", "Blue sky"]
    first, last = steps[0], steps[-1]
    assert first.message is not None
    assert first.reply is not None
    assert (first.message.native_id, first.message.parent_id) == ("msg-mine", "m0")
    assert (first.reply.native_id, first.reply.parent_id, first.reply.state) == (
        "ours-too",
        "ours",
        MessageState.STREAMING,
    )
    assert last.message is not None
    assert last.reply is not None
    assert (last.reply.native_id, last.reply.parent_id, last.reply.state, last.reply.model) == (
        "msg-reply",
        "msg-mine",
        MessageState.COMPLETE,
        "m-1",
    )
    assert (last.message.parent_id, last.message.metadata) == ("m0", {"n": 1})


@pytest.mark.parametrize(
    "fields",
    [
        {"token": "word"},
        {"content": "word"},
        {"delta": "word"},
        {"delta": {"content": "word"}},
        {"chunk": "word"},
        {"data": {"token": "word"}},
        {"message": {"content": "word"}},
        {"payload": {"text": "word"}, "index": 3},
    ],
    ids=lambda fields: json.dumps(fields),
)
async def test_token_is_found_in_every_usual_place(fields: dict[str, Any]) -> None:
    """The fields of the stream's events are not documented."""

    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        chat_id, frame = await greet(tenant, connection)
        tenant.store(chat_id, a_message("q", content=frame["content"]))
        await say(connection, "message_received", data={"message_id": "q"})
        await say(connection, "message_stream_token", **fields)
        tenant.store(chat_id, a_message("r", "assistant", "word"))
        await say(connection, "message_stream_ended")

    async with with_socket(a_tenant(script)) as place:
        steps = await sent(place)
    assert [step.reply.text for step in steps if step.reply] == ["", "word", "word"]
    assert [step.message.native_id for step in steps if step.message] == ["q", "q", "q"]


async def test_strange_frames_and_unknown_events_are_passed_over() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        for strange in ("", "null", "[1]", "{", '{"event_type": 7}', '{"event_type": "user_typing"}'):
            await connection.send(strange)
        await say(connection, "user_created", user_id="anna")
        chat_id, frame = await greet(tenant, connection)
        tenant.store(chat_id, a_message("q", content=frame["content"]), a_message("r", "assistant", "a\ufffd"))
        await connection.send(b'{"event_type": "message_received", "message_id": "q"}')
        await connection.send('{"event_type": "message_stream_token", "token": "a\\ud800", "n": 99999999999999999999}')
        await connection.send("not json")
        await say(connection, "message_stream_ended")

    async with with_socket(a_tenant(script)) as place:
        last = (await sent(place))[-1]
    assert last.reply is not None
    assert (last.reply.native_id, last.reply.text) == ("r", "a\ufffd")


async def test_what_is_final_is_what_the_chat_shows_whatever_the_tokens_said() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        chat_id, frame = await greet(tenant, connection)
        await say(connection, "message_received", message_id="q")
        for so_far in ("One", "One two"):  # cumulative, if a release should say it that way
            await say(connection, "message_stream_token", content=so_far)
        tenant.store(chat_id, a_message("q", content=frame["content"]), a_message("r", "assistant", "One two"))
        await say(connection, "message_stream_ended")

    async with with_socket(a_tenant(script)) as place:
        last = (await sent(place))[-1]
    assert last.reply is not None
    assert last.reply.text == "One two"


async def test_message_without_an_id_is_found_by_its_words_behind_what_was_there_before() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        chat_id, frame = await greet(tenant, connection)
        tenant.store(chat_id, a_message("q2", content=frame["content"]))
        await say(connection, "message_received", id="event-7")
        tenant.store(chat_id, a_message("r2", "assistant", "two"))
        await say(connection, "message_stream_ended", content="two")

    async with with_socket(a_tenant(script, a_message("q1", content="hello"), a_message("r1", "assistant"))) as place:
        steps = await sent(place)
    assert [step.message.native_id for step in steps if step.message] == ["q2", "q2"]
    assert steps[-1].reply is not None
    assert steps[-1].reply.native_id == "r2"


async def test_what_somebody_else_says_in_the_chat_is_not_taken_for_ours() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        chat_id, frame = await greet(tenant, connection)
        await say(connection, "message_received", message_id="theirs", content="something else")
        await answer(tenant, connection, chat_id, frame)

    async def answer(tenant: Tenant, connection: ServerConnection, chat_id: str, frame: Any) -> None:
        tenant.store(chat_id, a_message("theirs", content="something else"))
        tenant.store(chat_id, a_message("q", content=frame["content"]), a_message("r", "assistant", "yes"))
        await say(connection, "message_received", message_id="q", content="hello ")
        await say(connection, "message_stream_ended", text="yes")

    async with with_socket(a_tenant(script)) as place:
        last = (await sent(place))[-1]
    assert last.message is not None
    assert last.message.native_id == "q"


async def test_answer_may_begin_before_the_message_is_said_to_be_received() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        chat_id, frame = await greet(tenant, connection)
        tenant.store(chat_id, a_message("q", content=frame["content"]))
        await say(connection, "message_stream_token", token="so")
        tenant.store(chat_id, a_message("r", "assistant", "so"))
        await say(connection, "message_stream_ended")

    async with with_socket(a_tenant(script)) as place:
        steps = await sent(place)
    assert [step.reply.text for step in steps if step.reply] == ["", "so", "so"]
    assert steps[0].message is not None
    assert steps[0].message.native_id == "q"


async def test_answer_that_the_list_shows_late_is_waited_for() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        chat_id, frame = await greet(tenant, connection)
        await say(connection, "message_received", message_id="q")
        await say(connection, "message_stream_token", token="late")
        path = f"GET /api/v1/chats/{chat_id}/messages"
        tenant.overrides[path] = [an_answer({}, 503), an_answer({"messages": [], "total": 0, "has_more": False})]
        tenant.overrides[path].append(
            an_answer(
                {
                    "messages": [a_message("r", "assistant", "late"), a_message("q", content=frame["content"])],
                    "total": 2,
                    "has_more": False,
                }
            )
        )
        await say(connection, "message_stream_ended")

    async with with_socket(a_tenant(script)) as place:
        last = (await sent(place))[-1]
    assert last.reply is not None
    assert (last.reply.native_id, last.reply.state) == ("r", MessageState.COMPLETE)


async def test_answer_that_the_list_never_shows_is_what_was_heard() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        await greet(tenant, connection)
        await say(connection, "message_received", message_id="q")
        await say(connection, "message_stream_token", token="heard")
        await say(connection, "message_stream_ended")

    async with with_socket(a_tenant(script)) as place:
        last = (await sent(place))[-1]
    assert last.reply is not None
    assert (last.reply.native_id, last.reply.text, last.reply.state) == ("ours-too", "heard", MessageState.COMPLETE)


# What breaks


async def test_error_before_the_socket_is_confirmed_means_that_nothing_was_done() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        await say(connection, "error", code="BAD_CHAT", message=f"no such chat {KEY}")

    error, place = await failure(script)
    assert isinstance(error, UpstreamRejected)
    assert '"BAD_CHAT: no such chat [redacted]"' in error.message
    assert not error.perhaps_executed
    assert place.tenant.frames == []


async def test_socket_that_is_never_confirmed_times_out_with_nothing_done() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        await connection.wait_closed()

    error, _ = await failure(script, timeout_seconds=0.2)
    assert isinstance(error, UpstreamTimeout)
    assert not error.perhaps_executed


async def test_silence_after_the_frame_counts_as_perhaps_executed() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        await greet(tenant, connection)
        await connection.wait_closed()

    error, place = await failure(script, timeout_seconds=0.2)
    assert isinstance(error, UpstreamTimeout)
    assert error.perhaps_executed
    assert len(place.tenant.frames) == 1


async def test_socket_closed_after_the_frame_counts_as_perhaps_executed() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        await greet(tenant, connection)
        await connection.close(1011, f"broke {KEY}")

    error, place = await failure(script)
    assert isinstance(error, UpstreamUnavailable)
    assert "1011" in error.message
    assert error.perhaps_executed
    assert len(place.tenant.frames) == 1


@pytest.mark.parametrize(
    ("code", "kind"), [(1008, UpstreamUnauthorized), (1011, UpstreamUnavailable), (4001, UpstreamUnavailable)]
)
async def test_socket_closed_before_it_is_confirmed_means_that_nothing_was_done(
    code: int, kind: type[UpstreamError]
) -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        await connection.close(code, "no")

    error, _ = await failure(script)
    assert isinstance(error, kind)
    assert not error.perhaps_executed


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, UpstreamUnauthorized),
        (403, UpstreamUnauthorized),
        (404, UnexpectedAnswer),
        (307, UnexpectedAnswer),
        (500, UpstreamUnavailable),
        (503, UpstreamUnavailable),
    ],
)
async def test_refused_handshake_means_that_nothing_was_done(status: int, kind: type[UpstreamError]) -> None:
    tenant = a_tenant()
    tenant.refuses = status
    async with with_socket(tenant) as place:
        with pytest.raises(kind) as caught:
            await sent(place)
    assert KEY not in repr(caught.value) + repr(caught.value.__cause__)
    assert not caught.value.perhaps_executed
    assert place.tenant.sockets == []


async def test_nobody_at_the_socket_means_that_nothing_was_done() -> None:
    async with with_socket(a_tenant()) as place:
        url = place.source.source.base_url
    gone = a_place(a_tenant(), url or "")
    with pytest.raises(UpstreamUnavailable) as caught:
        await sent(gone)
    assert not caught.value.perhaps_executed
    assert "no connection could be made" in caught.value.message


async def test_complaint_about_a_message_that_was_not_kept_is_a_rejection() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        await greet(tenant, connection)
        await say(connection, "error", error={"message": "too long"})

    error, _ = await failure(script)
    assert isinstance(error, UpstreamRejected)
    assert '"too long"' in error.message
    assert not error.perhaps_executed


async def test_complaint_that_cannot_be_checked_counts_as_perhaps_executed() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        chat_id, _ = await greet(tenant, connection)
        tenant.overrides[f"GET /api/v1/chats/{chat_id}/messages"] = [an_answer({}, 500)]
        await say(connection, "error", detail="who knows")

    error, _ = await failure(script)
    assert error.perhaps_executed


@pytest.mark.parametrize("is_received", [True, False])
async def test_complaint_about_a_message_that_was_kept_is_a_failed_answer(is_received: bool) -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        chat_id, frame = await greet(tenant, connection)
        tenant.store(chat_id, a_message("q", content=frame["content"]))
        if is_received:
            await say(connection, "message_received", message_id="q")
        await say(connection, "error", message="the model is down")

    async with with_socket(a_tenant(script)) as place:
        last = (await sent(place))[-1]
    assert last.message is not None
    assert last.reply is not None
    assert (last.message.native_id, last.reply.state) == ("q", MessageState.FAILED)


async def test_socket_that_breaks_in_an_answer_is_made_up_for_by_reading() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        chat_id, frame = await greet(tenant, connection)
        tenant.store(chat_id, a_message("q", content=frame["content"]), a_message("r", "assistant", "all of it"))
        await say(connection, "message_received", message_id="q")
        await say(connection, "message_stream_token", token="all")
        connection.transport.abort()

    async with with_socket(a_tenant(script)) as place:
        steps = await sent(place)
    assert steps[-1].reply is not None
    assert (steps[-1].reply.text, steps[-1].reply.state) == ("all of it", MessageState.COMPLETE)


async def test_answer_that_is_lost_is_left_to_later_readings() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        chat_id, frame = await greet(tenant, connection)
        tenant.store(chat_id, a_message("q", content=frame["content"]))
        await say(connection, "message_received", message_id="q")
        connection.transport.abort()

    error, place = await failure(script)
    assert isinstance(error, UpstreamUnavailable)
    assert error.perhaps_executed
    assert len(place.tenant.frames) == 1


async def test_answer_that_takes_too_long_is_let_go() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        await greet(tenant, connection)
        await say(connection, "message_received", message_id="q")
        await connection.wait_closed()

    error, place = await failure(script, reply_timeout_seconds=0.1)
    assert isinstance(error, UpstreamTimeout)
    assert "`reply_timeout_seconds`" in error.message
    assert place.tenant.open_sockets == 0


async def test_answer_without_end_is_left() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        chat_id, frame = await greet(tenant, connection)
        tenant.store(chat_id, a_message("q", content=frame["content"]))
        await say(connection, "message_received", message_id="q")
        with suppress(ConnectionClosed):
            while True:
                await say(connection, "message_stream_token", token="x" * 500_000)
                await asyncio.sleep(
                    0
                )  # what is compressed so well never fills a buffer, and sending would not let anybody else run

    async with with_socket(a_tenant(script)) as place:
        last = (await sent(place))[-1]
    assert last.reply is not None
    assert last.reply.state is MessageState.FAILED
    assert len(last.reply.text) < 5 * 1024 * 1024


async def test_closing_the_iterator_closes_the_socket() -> None:
    async def script(tenant: Tenant, connection: ServerConnection) -> None:
        await greet(tenant, connection)
        await say(connection, "message_received", message_id="q")
        await connection.wait_closed()

    async with with_socket(a_tenant(script)) as place:
        steps = place.source.send_message(to_send())
        await anext(steps)
        assert place.tenant.open_sockets == 1
        await steps.aclose()  # type: ignore[attr-defined]  # an async generator, as every connector's
        await asyncio.wait_for(place.tenant.left.wait(), 2)


async def test_chat_can_be_deleted_as_soon_as_the_answer_is_final() -> None:
    async with with_socket(a_tenant(answering("yes"))) as place:
        await sent(place)
        await place.source.delete_chat("c")
    assert place.tenant.chats == []


async def test_deletion_waits_for_a_socket_of_somebody_else_and_gives_up_in_time() -> None:
    tenant = a_tenant()
    tenant.overrides["DELETE /api/v1/chats/c"] = [an_answer({"detail": "open"}, 409)] * 3 + [an_answer({})]
    place = a_place(tenant)
    await place.source.delete_chat("c")
    assert place.time.sleeps == [0.1, 0.2, 0.4]
    tenant.overrides["DELETE /api/v1/chats/c"] = [an_answer({"detail": "open"}, 409)]
    with pytest.raises(Conflict, match="Somebody is connected to the chat"):
        await place.source.delete_chat("c")
    assert sum(place.time.sleeps[3:]) <= 5.0


# What is refused before any call


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"role": MessageRole.ASSISTANT}, "role"),
        ({"model": "m"}, "model"),
        ({"attachments": (Attachment(name="a"),)}, "attachments"),
        ({"metadata": [1]}, "metadata"),
    ],
)
async def test_message_of_another_kind_is_refused_before_any_call(more: dict[str, Any], path: str) -> None:
    place = a_place(a_tenant())
    with pytest.raises(InvalidArgument) as caught:
        await sent(place, to_send(**more))
    assert caught.value.path == (path,)
    assert place.lines == []


async def test_chat_of_another_user_opens_no_socket() -> None:
    tenant = Tenant(chats=[a_chat("c", "ben")])
    async with with_socket(tenant) as place:
        with pytest.raises(NotFound):
            await sent(place)
    assert tenant.sockets == []


async def test_user_whose_id_no_header_carries_opens_no_socket() -> None:
    tenant = Tenant(chats=[a_chat("c", "José")])
    async with with_socket(tenant, user_ids=["José"]) as place:
        with pytest.raises(InvalidArgument) as caught:
            await sent(place)
    assert caught.value.path == ("chatId",)
    assert tenant.sockets == []


async def test_followed_reply_is_waited_for_and_then_missing() -> None:
    place = a_place(a_tenant(None, a_message("q", at=AT), a_message("r", "assistant", "yes")))
    found = [message async for message in place.source.follow_reply("c", "r")]
    assert [(message.text, message.parent_id, message.state) for message in found] == [
        ("yes", "q", MessageState.COMPLETE)
    ]
    with pytest.raises(NotFound):
        [message async for message in place.source.follow_reply("c", "never")]
