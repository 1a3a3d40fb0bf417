"""Sending as a run of a workflow: once, heard word by word, found again in the history, stopped."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from domain.errors import (
    InvalidArgument,
    NotFound,
    UnexpectedAnswer,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from domain.records import Attachment, Message, MessageRole, MessageState
from domain.source import ChatSource, MessageWindow, Progress
from tests.upstreams.recorded import load
from tests.upstreams.splox.server import (
    NODE,
    RUN,
    VERSION,
    WORKFLOW,
    Splox,
    a_chat,
    a_message,
    an_account,
    delta,
    paths,
    state,
    to_send,
)
from tests.upstreams.wire import FakeClock, an_answer
from upstreams.clock import Clock

pytestmark = pytest.mark.anyio
ROUTE: dict[str, Any] = {"workflow_version_id": VERSION, "entry_nodes": [NODE]}


def asked_and(server: Splox, *frames: Any, reply: str | None = "It is.") -> Callable[[dict[str, Any]], None]:
    """What the server does with a run: it keeps the message, says the frames, ends the run, and has the reply in its history."""

    def on_run(body: dict[str, Any]) -> None:
        number = len(server.messages)
        server.messages.append(a_message(f"q{number}", text=body["query"], at=number))
        server.chat_stream.say(*frames)
        if reply is not None:
            server.messages.append(a_message(f"r{number}", "assistant", reply, at=number + 1))
        server.status = "completed"
        server.run_stream.say(state("completed"))

    return on_run


async def sent(source: ChatSource, **more: Any) -> list[Progress]:
    return [progress async for progress in source.send_message(to_send(**more))]


def the_reply(progress: Progress) -> Message:
    assert progress.reply is not None
    return progress.reply


# The way of a message


async def test_message_is_run_heard_and_read_back() -> None:
    server = Splox(messages=[a_message("old", "assistant", at=-5)])
    server.on_run = asked_and(server, delta("It "), "keepalive", delta("is."))
    source, transport = an_account(server)
    steps = await sent(source)
    first, last = steps[0], steps[-1]
    assert first.message is not None
    assert (first.message.native_id, first.message.text, first.message.parent_id) == ("q1", "hi", "old")
    assert (the_reply(first).native_id, the_reply(first).state) == ("ours-too", MessageState.STREAMING)
    assert last.message == first.message
    assert (the_reply(last).native_id, the_reply(last).text, the_reply(last).state, the_reply(last).parent_id) == (
        "r1",
        "It is.",
        MessageState.COMPLETE,
        "q1",
    )
    read = await source.read_messages("c", MessageWindow(last=5))
    assert read is not None
    assert read.messages[-1] == last.reply
    run = next(request for request in transport.requests if request.url.path.endswith("/run"))
    assert json.loads(run.content) == {
        "workflow_version_id": VERSION,
        "chat_id": "c",
        "entry_node_ids": [NODE],
        "query": "hi",
    }


async def test_stream_is_open_before_the_run_begins() -> None:
    server = Splox()
    server.on_run = asked_and(server)
    source, transport = an_account(server, **ROUTE)
    await sent(source)
    order = paths(transport.requests)
    assert order.index("GET /chat-internal-messages/c/listen") < order.index("POST /workflow-requests/run")


async def test_streams_are_left_when_the_reply_is_there() -> None:
    server = Splox()
    server.on_run = asked_and(server)
    source, _ = an_account(server, **ROUTE)
    await sent(source)
    async with asyncio.timeout(5):
        await server.chat_stream.left.wait()
        await server.run_stream.left.wait()


async def test_who_stops_listening_leaves_the_streams_and_not_the_run() -> None:
    server = Splox()
    server.on_run = lambda body: server.messages.append(a_message("q", text=body["query"]))
    source, transport = an_account(server, clock=Clock(), **ROUTE)
    steps = source.send_message(to_send())
    await anext(steps)
    await steps.aclose()  # type: ignore[attr-defined]  # it is an async generator
    async with asyncio.timeout(5):
        await server.chat_stream.left.wait()
    assert not [path for path in paths(transport.requests) if path.endswith("/stop")]


async def test_words_come_while_they_are_written() -> None:
    server = Splox()
    server.on_run = lambda body: server.messages.append(a_message("q", text=body["query"]))
    source, _ = an_account(server, clock=Clock(), **ROUTE)
    steps = source.send_message(to_send())
    texts = [the_reply(await anext(steps)).text]
    for words in ("It ", "is ", "🙂."):
        server.chat_stream.say(delta(words))
        texts.append(the_reply(await anext(steps)).text)
    server.messages.append(a_message("r", "assistant", "It is 🙂.", at=1))
    server.run_stream.say(state("completed"))
    last = the_reply(await anext(steps))
    assert texts == ["", "It ", "It is ", "It is 🙂."]
    assert (last.native_id, last.text, last.state) == ("r", "It is 🙂.", MessageState.COMPLETE)


@pytest.mark.parametrize("ends", ["chat", "run", "both", "refused"])
async def test_run_whose_streams_break_is_asked_for(ends: str) -> None:
    """There is no position to come back to: words that were missed are not guessed, and the history has the last word."""
    server = Splox()
    say = asked_and(server, delta("It "))

    def on_run(body: dict[str, Any]) -> None:
        say(body)
        server.run_stream.says = asyncio.Queue()  # it never tells the end
        for stream, name in ((server.chat_stream, "chat"), (server.run_stream, "run")):
            if ends in (name, "both"):
                stream.end()

    server.on_run = on_run
    if ends == "refused":
        server.answers["GET /chat-internal-messages/c/listen"] = lambda: an_answer({"error": "no"}, 503)
        server.answers[f"GET /workflow-requests/{RUN}/listen"] = lambda: an_answer({"error": "no"}, 404)
    source, transport = an_account(server, **ROUTE)
    last = the_reply((await sent(source))[-1])
    assert (last.text, last.state) == ("It is.", MessageState.COMPLETE)
    assert f"GET /workflow-requests/{RUN}/execution-tree" in paths(transport.requests)


@pytest.mark.parametrize(
    ("hint", "ending"),
    [
        ({"type": "workflow_status", "is_active": False}, MessageState.COMPLETE),
        ({"type": "stopped"}, MessageState.CANCELLED),
        ({"type": "error", "error": "boom"}, MessageState.FAILED),
    ],
)
async def test_hint_counts_where_the_state_of_a_run_cannot_be_read(hint: dict[str, Any], ending: MessageState) -> None:
    server = Splox()

    def on_run(body: dict[str, Any]) -> None:
        server.messages += [a_message("q", text=body["query"]), a_message("r", "assistant", "It", at=1)]
        server.chat_stream.say(delta("It"), hint)

    server.on_run = on_run
    server.answers[f"GET /workflow-requests/{RUN}/execution-tree"] = lambda: an_answer({"error": "gone"}, 404)
    source, _ = an_account(server, clock=Clock(), **ROUTE)
    async with asyncio.timeout(20):
        assert the_reply((await sent(source))[-1]).state is ending


async def test_end_of_one_round_of_an_agent_is_not_the_end() -> None:
    server = Splox()

    def on_run(body: dict[str, Any]) -> None:
        server.messages.append(a_message("q", text=body["query"]))
        server.chat_stream.say(delta("First. "), {"type": "done", "iteration": 1}, delta("Second."))

    server.on_run = on_run
    source, _ = an_account(server, clock=Clock(), **ROUTE)
    steps = source.send_message(to_send())
    async for step in steps:
        if the_reply(step).text == "First. Second.":
            break
    server.messages.append(a_message("r", "assistant", "First. Second.", at=1))
    server.run_stream.say(state("completed"))
    assert the_reply([step async for step in steps][-1]).state is MessageState.COMPLETE


@pytest.mark.parametrize(("status", "expected"), [("failed", MessageState.FAILED), ("stopped", MessageState.CANCELLED)])
@pytest.mark.parametrize("is_kept", [True, False])
async def test_run_that_does_not_complete_says_so(status: str, expected: MessageState, is_kept: bool) -> None:
    server = Splox()

    def on_run(body: dict[str, Any]) -> None:
        server.messages.append(a_message("q", text=body["query"]))
        if is_kept:
            server.messages.append(a_message("r", "assistant", "It", at=1))
        server.chat_stream.say(delta("It"), state(status))

    server.on_run = on_run
    source, _ = an_account(server, **ROUTE)
    last = the_reply((await sent(source))[-1])
    assert (last.state, last.text) == (expected, "It")
    assert last.native_id == ("r" if is_kept else "ours-too")


async def test_run_that_answers_nothing_failed() -> None:
    server = Splox()
    server.on_run = asked_and(server, reply=None)
    source, _ = an_account(server, **ROUTE)
    last = the_reply((await sent(source))[-1])
    assert (last.state, last.parts[0].text) == (MessageState.FAILED, "The workflow ended without an answer.")


async def test_reply_that_was_heard_and_is_not_in_the_history_stays_open() -> None:
    """The next reading of the chat shows it under its own id; ending it here would show it twice."""
    server = Splox()
    server.on_run = asked_and(server, delta("It is."), reply=None)
    source, _ = an_account(server, **ROUTE)
    with pytest.raises(UpstreamUnavailable, match="does not show it yet"):
        await sent(source)


async def test_second_message_with_the_same_words_is_told_from_the_first() -> None:
    server = Splox()
    server.on_run = asked_and(server)
    source, _ = an_account(server, **ROUTE)
    found = [(await sent(source))[-1] for _ in range(3)]
    assert [step.message.native_id for step in found if step.message] == ["q0", "q2", "q4"]
    assert [the_reply(step).native_id for step in found] == ["r0", "r2", "r4"]


async def test_message_that_the_history_does_not_show_at_once_is_found_in_the_end() -> None:
    server = Splox()
    source, _ = an_account(server, **ROUTE)
    readings = 0

    def history() -> httpx.Response:
        nonlocal readings
        readings += 1
        rows = [a_message("r", "assistant", "It is.", at=1), a_message("q", at=0)]
        return an_answer(rows if readings > 8 else [])

    server.answers["GET /chat-history/c/paginated"] = history
    server.on_run = asked_and(server, reply=None)
    steps = await sent(source)
    assert steps[0].message is None
    assert steps[-1].message is not None
    assert (steps[-1].message.native_id, the_reply(steps[-1]).native_id) == ("q", "r")


async def test_patience_with_a_run_has_an_end() -> None:
    server = Splox()
    server.on_run = lambda body: server.messages.append(a_message("q", text=body["query"]))
    source, _ = an_account(server, reply_timeout_seconds=30, **ROUTE)
    with pytest.raises(UpstreamTimeout, match="`reply_timeout_seconds`"):
        await sent(source)


# Once


@pytest.mark.parametrize("status", [500, 502, 503, 429, 400, 403])
async def test_run_is_never_asked_for_twice(status: int) -> None:
    server = Splox()
    server.on_run = lambda body: an_answer({"error": "x"}, status)
    source, transport = an_account(server, **ROUTE)
    with pytest.raises(UpstreamError) as caught:
        await sent(source)
    assert caught.value.perhaps_executed is (status >= 500)
    assert paths(transport.requests).count("POST /workflow-requests/run") == 1
    async with asyncio.timeout(5):
        await server.chat_stream.left.wait()


async def test_run_answered_in_another_shape_was_perhaps_executed() -> None:
    server = Splox()
    server.on_run = lambda body: an_answer({"id": "x"})
    source, _ = an_account(server, **ROUTE)
    with pytest.raises(UnexpectedAnswer) as caught:
        await sent(source)
    assert (caught.value.json_path, caught.value.perhaps_executed) == ("$.workflow_request_id", True)


@pytest.mark.parametrize(("name", "seconds"), [("rate_limited", 42), ("usage_window_exceeded", 1800)])
async def test_limit_of_runs_holds_no_reading_up(name: str, seconds: float) -> None:
    server = Splox()
    server.on_run = lambda body: load("splox")[name].response()
    time = FakeClock()
    source, _ = an_account(server, clock=time.clock, **ROUTE)
    with pytest.raises(UpstreamRateLimited) as caught:
        await sent(source)
    assert caught.value.retry_after_seconds == seconds
    assert await source.get_chat("c") is not None
    assert time.sleeps == []
    with pytest.raises(UpstreamRateLimited, match="was not sent"):
        await sent(source)


async def test_twenty_runs_a_minute_and_no_more() -> None:
    server = Splox()
    server.on_run = lambda body: an_answer({"error": "x"}, 400)
    time = FakeClock()
    source, transport = an_account(server, clock=time.clock, **ROUTE)
    for _ in range(20):
        with pytest.raises(UpstreamRejected):
            await sent(source)
    with pytest.raises(UpstreamRateLimited, match="quota"):
        await sent(source)
    assert paths(transport.requests).count("POST /workflow-requests/run") == 20


async def test_refused_run_says_where_to_look() -> None:
    server = Splox()
    server.on_run = lambda body: load("splox")["run_refused"].response()
    source, _ = an_account(server, **ROUTE)
    with pytest.raises(UpstreamRejected, match=r"invalid request or unauthorized.*`workflow_version_id`"):
        await sent(source)


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"role": MessageRole.ASSISTANT}, ("role",)),
        ({"metadata": {"a": 1}}, ("metadata",)),
        ({"attachments": (Attachment(name="x"),)}, ("attachments", "0", "url")),
    ],
)
async def test_impossible_message_is_refused_before_any_request(more: dict[str, Any], path: tuple[str, ...]) -> None:
    source, transport = an_account(Splox())
    with pytest.raises(InvalidArgument) as caught:
        await sent(source, **more)
    assert caught.value.path == path
    assert transport.requests == []


async def test_files_go_out_with_their_address() -> None:
    server = Splox()
    server.on_run = asked_and(server)
    source, transport = an_account(server, **ROUTE)
    file = Attachment(name="a.pdf", media_type="application/pdf", size_bytes=2**60, url="https://files.test/a.pdf")
    await sent(source, attachments=(file,))
    run = next(request for request in transport.requests if request.url.path.endswith("/run"))
    assert json.loads(run.content)["files"] == [
        {"url": "https://files.test/a.pdf", "content_type": "application/pdf", "file_name": "a.pdf", "file_size": 2**60}
    ]


# What answers


def a_run_of(transport: Any) -> tuple[str, list[str]]:
    body = json.loads(next(one for one in transport.requests if one.url.path.endswith("/run")).content)
    return body["workflow_version_id"], body["entry_node_ids"]


@pytest.mark.parametrize(
    ("options", "more", "route", "looked_up"),
    [
        (ROUTE, {}, (VERSION, [NODE]), []),
        ({}, {}, (VERSION, [NODE]), ["GET /chats/c", f"GET /workflows/{WORKFLOW}/versions/latest"]),
        ({"workflow_version_id": "v-9"}, {}, ("v-9", [NODE]), ["GET /workflows/v-9/entry-nodes"]),
        (
            {**ROUTE, "resources": [{"id": WORKFLOW, "workflow_version_id": "v-8", "entry_nodes": ["n-8", "n-9"]}]},
            {},
            ("v-8", ["n-8", "n-9"]),
            ["GET /chats/c"],
        ),
        ({}, {"model": WORKFLOW}, (VERSION, [NODE]), [f"GET /workflows/{WORKFLOW}/versions/latest"]),
    ],
    ids=["options", "discovered", "version only", "of the resource", "model"],
)
async def test_workflow_that_answers_is_named_or_looked_up(
    options: dict[str, Any], more: dict[str, Any], route: tuple[str, list[str]], looked_up: list[str]
) -> None:
    server = Splox()
    server.on_run = asked_and(server)
    source, transport = an_account(server, **options)
    await sent(source, **more)
    assert a_run_of(transport) == route
    assert set(looked_up) <= set(paths(transport.requests))
    if not looked_up:
        assert not [path for path in paths(transport.requests) if path.startswith("GET /workflows")]


async def test_what_was_looked_up_is_remembered_until_a_run_is_refused() -> None:
    server = Splox()
    server.on_run = asked_and(server)
    source, transport = an_account(server)
    await sent(source)
    await sent(source)
    look_up = f"GET /workflows/{WORKFLOW}/versions/latest"
    assert paths(transport.requests).count(look_up) == 1
    server.on_run = lambda body: an_answer({"error": "no such version"}, 400)
    with pytest.raises(UpstreamRejected):
        await sent(source)
    server.on_run = asked_and(server)
    await sent(source)
    assert paths(transport.requests).count(look_up) == 2


@pytest.mark.parametrize("nodes", [(), ("a", "b")])
async def test_entry_nodes_that_are_not_one_ask_for_the_option(nodes: tuple[str, ...]) -> None:
    source, transport = an_account(Splox(nodes=nodes))
    with pytest.raises(UpstreamRejected, match=f"{len(nodes)} entry nodes.*option `entry_nodes`"):
        await sent(source)
    assert not [path for path in paths(transport.requests) if path.startswith("POST")]


async def test_resource_that_is_no_workflow_asks_for_the_options() -> None:
    server = Splox(chats={"c": a_chat(resource_type="agent", resource_id="an-agent")})
    source, transport = an_account(server)
    with pytest.raises(UpstreamRejected, match="options `workflow_version_id` and `entry_nodes`"):
        await sent(source)
    assert not [path for path in paths(transport.requests) if path.startswith("POST")]


async def test_message_to_a_missing_chat_is_not_sent() -> None:
    source, transport = an_account(Splox())
    with pytest.raises(NotFound):
        await sent(source, chat_id="gone")
    assert paths(transport.requests) == ["GET /chats/gone"]


# Stopping, and following again


async def stopped_in_the_middle(server: Splox) -> tuple[ChatSource, AsyncIterator[Progress], Any]:
    server.on_run = lambda body: server.messages.append(a_message("q", text=body["query"]))
    source, transport = an_account(server, clock=Clock(), **ROUTE)
    steps = source.send_message(to_send())
    await anext(steps)
    server.chat_stream.say(delta("It"))
    assert the_reply(await anext(steps)).text == "It"
    return source, steps, transport


async def test_reply_is_stopped_by_the_id_under_which_it_is_followed() -> None:
    server = Splox()
    source, steps, transport = await stopped_in_the_middle(server)
    status = {"type": "incomplete", "reason": "cancelled"}
    server.on_stop = lambda: server.messages.append(a_message("r", "assistant", "It", at=1, status=status))
    stopped = await source.stop_reply("c", "ours-too")
    assert stopped is not None
    assert (stopped.native_id, stopped.text, stopped.state) == ("r", "It", MessageState.CANCELLED)
    assert f"POST /workflow-requests/{RUN}/stop" in paths(transport.requests)
    server.run_stream.say(state("stopped"))
    last = the_reply([step async for step in steps][-1])
    assert last == stopped
    assert await source.stop_reply("c", "r") == stopped
    assert paths(transport.requests).count(f"POST /workflow-requests/{RUN}/stop") == 1


async def test_stopped_reply_that_the_history_does_not_keep_has_the_words_that_were_heard() -> None:
    server = Splox()
    source, _, _ = await stopped_in_the_middle(server)
    stopped = await source.stop_reply("c", "ours-too")
    assert stopped is not None
    assert (stopped.native_id, stopped.text, stopped.state) == ("ours-too", "It", MessageState.CANCELLED)


async def test_run_that_ended_meanwhile_is_as_it_ended() -> None:
    server = Splox()
    source, _, _ = await stopped_in_the_middle(server)
    server.messages.append(a_message("r", "assistant", "It is.", at=1))
    server.status = "completed"
    server.answers[f"POST /workflow-requests/{RUN}/stop"] = lambda: an_answer({"error": "already ended"}, 400)
    stopped = await source.stop_reply("c", "ours-too")
    assert stopped is not None
    assert (stopped.text, stopped.state) == ("It is.", MessageState.COMPLETE)


async def test_run_of_another_process_is_found_on_the_chats_stream() -> None:
    running = {"type": "running"}
    server = Splox(messages=[a_message("q"), a_message("r", "assistant", "It", at=1, status=running)])
    server.chat_stream.say("keepalive", state("in_progress", "run-9"))
    source, transport = an_account(server, clock=Clock(), **ROUTE)
    stopped = await source.stop_reply("c", "r")
    assert stopped is not None
    assert stopped.state is MessageState.CANCELLED
    assert "POST /workflow-requests/run-9/stop" in paths(transport.requests)


async def test_finished_reply_stays_as_it_is_and_an_unknown_one_is_none() -> None:
    server = Splox(messages=[a_message("q"), a_message("r", "assistant", "It is.", at=1)])
    server.chat_stream.end()
    source, transport = an_account(server, clock=Clock(), **ROUTE)
    found = await source.stop_reply("c", "r")
    assert found is not None
    assert found.state is MessageState.COMPLETE
    assert await source.stop_reply("c", "gone") is None
    assert not [path for path in paths(transport.requests) if path.startswith("POST")]


async def test_reply_is_followed_again_until_it_is_final() -> None:
    server = Splox(messages=[a_message("q")])
    source, _ = an_account(server, **ROUTE)
    grown = iter([("I", "running"), ("I", "running"), ("It", "running"), ("It is.", "complete")])

    def history() -> httpx.Response:
        text, status = next(grown)
        return an_answer([a_message("r", "assistant", text, at=1, status={"type": status}), a_message("q")])

    server.answers["GET /chat-history/c/paginated"] = history
    found = [message async for message in source.follow_reply("c", "r")]
    assert [(message.text, message.state.is_final) for message in found] == [
        ("I", False),
        ("It", False),
        ("It is.", True),
    ]


async def test_reply_that_is_gone_is_not_followed() -> None:
    source, _ = an_account(Splox(), **ROUTE)
    with pytest.raises(NotFound):
        [message async for message in source.follow_reply("c", "gone")]
