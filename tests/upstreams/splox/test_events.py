"""Frames of Splox's event streams, and what they tell of a run."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.records import MessageState
from tests.upstreams.splox.server import delta, state
from upstreams.splox.events import FrameReader, Telling, active_run_of


def frames_of(text: bytes) -> list[Mapping[str, Any]]:
    reader = FrameReader()
    return [frame for line in text.split(b"\n") if (frame := reader.feed(line)) is not None]


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        (b'data: {"a": 1}\n\n', [{"a": 1}]),
        (b'data:{"a": 1}\r\n\r\n', [{"a": 1}]),
        (b'data: {"a": 1}\ndata: {"b": 2}\n', [{"a": 1}, {"b": 2}]),
        (b'data: {"a":\ndata: 1}\n\n', [{"a": 1}]),
        (b'event: x\nid: 7\n: hb\ndata: {"a": 1}\n\n', [{"a": 1}]),
        (b'data: keepalive\n\ndata: {"a": 1}\n\n', [{"a": 1}]),
        (b'data: keepalive\ndata: {"a": 1}\n', [{"a": 1}]),
        (b'data: {"a":\n\ndata: {"b": 2}\n\n', [{"b": 2}]),
        (b'data: [1]\n\ndata: 7\n\ndata: null\n\ndata: {"b": 2}\n\n', [{"b": 2}]),
        (b'data: {"a": "\\ud83d"}\n\n', [{"a": "\ufffd"}]),
        (b"", []),
    ],
)
def test_frames_are_found_however_they_are_written(text: bytes, frames: list[Any]) -> None:
    assert frames_of(text) == frames


_NUMBERS = st.integers(-(2**63), 2**64 - 1)
"""Beyond these JSON's numbers are read as fractions."""


@given(st.lists(st.dictionaries(st.text(max_size=5), _NUMBERS | st.text(max_size=9), max_size=3), max_size=8))
def test_every_frame_comes_out_as_it_went_in(frames: list[dict[str, Any]]) -> None:
    text = b"".join(b"data: " + json.dumps(frame).encode() + b"\n\ndata: keepalive\n\n" for frame in frames)
    assert frames_of(text) == frames


def test_data_that_never_becomes_json_is_not_collected_without_end() -> None:
    reader = FrameReader()
    for _ in range(100):
        assert reader.feed(b"data: {" + b"x" * 1_000_000) is None
    assert sum(map(len, reader._pending)) <= 4 * 1024 * 1024
    assert reader.garbled > 0


@pytest.mark.parametrize(
    ("text", "garbled"),
    [
        (b"data: {half\n\n", 1),
        (b"data: [1]\n\ndata: 7\n\n", 2),
        (b"data: keepalive\n\n: hb\n\n\n\nevent: x\n\n", 0),
        (b'data: {"a":\ndata: 1}\n\n', 0),
    ],
)
def test_data_that_is_no_frame_is_counted(text: bytes, garbled: int) -> None:
    reader = FrameReader()
    for line in text.split(b"\n"):
        reader.feed(line)
    assert reader.garbled == garbled


def told(*frames: Mapping[str, Any], is_from_run: bool = False) -> Telling:
    telling = Telling()
    telling.begin("run-1")
    for frame in frames:
        telling.hear(frame, is_from_run=is_from_run)
    return telling


@pytest.mark.parametrize(
    ("status", "ending"),
    [
        ("pending", None),
        ("in_progress", None),
        ("waiting", None),
        ("completed", MessageState.COMPLETE),
        ("failed", MessageState.FAILED),
        ("stopped", MessageState.CANCELLED),
        ("something_new", None),
    ],
)
def test_run_ends_with_its_own_status(status: str, ending: MessageState | None) -> None:
    assert told(state(status)).ending is ending
    assert told(state(status, run_id="another")).ending is None


def test_words_are_put_together_and_other_frames_add_none() -> None:
    frames: list[dict[str, Any]] = [
        delta("It "),
        {"type": "reasoning_delta", "reasoning_delta": "hm", "reasoning_type": "x"},
        {"type": "tool_call_start", "tool_call_id": "t", "tool_name": "find"},
        {"type": "tool_call_delta", "tool_args_delta": "{"},
        {"type": "tool_complete", "result": {"text": "no"}},
        {"type": "user_message", "text": "no"},
        {"type": "never seen", "delta": "no"},
        {"type": ["a", "list"]},
        {"node_execution": {"status": "completed", "output_data": {"text": "no"}}},
        {"type": "text_delta", "delta": None},
        delta("is."),
    ]
    assert told(*frames).text == "It is."


def test_words_on_both_streams_are_taken_once() -> None:
    telling = told(delta("It is."))
    telling.hear(delta("It is."), is_from_run=True)
    assert telling.text == "It is."
    assert told(delta("It is."), is_from_run=True).text == "It is."


def test_words_before_the_answer_to_the_run_are_kept() -> None:
    """The stream is opened first, so that nothing is missed."""
    telling = Telling()
    telling.hear(delta("It "), is_from_run=False)
    telling.hear({"type": "workflow_status", "is_active": False}, is_from_run=False)
    telling.begin("run-1")
    telling.hear(delta("is."), is_from_run=False)
    assert (telling.text, telling.hint, telling.is_due) == ("It is.", None, False)


def test_words_of_a_broken_stream_are_not_shown() -> None:
    telling = told(delta("It "))
    telling.is_torn = True
    assert telling.text == ""


@pytest.mark.parametrize("content", ["So far", [{"type": "text", "text": "So "}, {"type": "text", "text": "far"}]])
def test_whole_messages_of_the_older_page_say_all_so_far(content: Any) -> None:
    whole = {"id": "m", "chat_id": "c", "role": "assistant", "content": content, "workflow_request_id": "run-1"}
    assert told(delta("x"), whole).text == "So far"
    assert told(whole | {"role": "user"}).text == ""
    assert told(whole | {"workflow_request_id": "another"}).text == ""
    assert told(whole | {"content": 7}).text == ""


@pytest.mark.parametrize(
    ("frame", "hint"),
    [
        ({"type": "done", "iteration": 1, "run_id": "r"}, None),
        ({"type": "stopped"}, MessageState.CANCELLED),
        ({"type": "error", "error": "boom"}, MessageState.FAILED),
        ({"type": "workflow_status", "is_active": False}, MessageState.COMPLETE),
    ],
)
def test_what_may_be_an_end_asks_for_a_look(frame: dict[str, Any], hint: MessageState | None) -> None:
    telling = told(frame)
    assert (telling.ending, telling.is_due, telling.hint) == (None, True, hint)


def test_running_status_is_no_end() -> None:
    telling = told({"type": "workflow_status", "is_active": True})
    assert (telling.ending, telling.is_due) == (None, False)


def test_active_run_is_one_that_has_not_ended() -> None:
    assert active_run_of(state("in_progress")) == "run-1"
    assert active_run_of(state("completed")) is None
    assert active_run_of({"workflow_request": None}) is None
    assert active_run_of(delta("x")) is None
