"""Splox's messages as records."""

from typing import Any

import pytest

from domain.records import Attachment, Message, MessageRole, MessageState, Part, PartKind
from tests.upstreams.recorded import load
from tests.upstreams.splox.server import a_message
from tests.upstreams.wire import a_source
from upstreams.json_reading import WrongShape, as_object
from upstreams.splox.messages import message_from_json


def mapped(message: Any) -> Message:
    return message_from_json(a_source("splox"), "c", as_object(message))


def test_documented_message_is_read_piece_by_piece() -> None:
    _, reply, question = load("splox")["list_messages"].body
    found = mapped(reply)
    assert (found.role, found.text, found.state) == (
        MessageRole.ASSISTANT,
        "It was sent on Monday.",
        MessageState.COMPLETE,
    )
    assert found.parts == (
        Part(kind=PartKind.REASONING, text="Look up the order."),
        Part(
            kind=PartKind.TOOL_CALL,
            name="find_refund",
            call_id="call_1",
            arguments={"order": 7},
            result={"sent": "Monday"},
        ),
        Part(kind=PartKind.TEXT, text="It was sent "),
        Part(kind=PartKind.TEXT, text="on Monday."),
    )
    assert mapped(question).attachments == (
        Attachment(
            name="order.pdf",
            media_type="application/pdf",
            size_bytes=9007199254740993,
            url="https://files.test/order.pdf",
        ),
    )


def test_text_alone_has_no_parts() -> None:
    assert mapped(a_message("m")).parts == ()


@pytest.mark.parametrize(
    ("piece", "part"),
    [
        (
            {"type": "tool-result", "toolCallId": "t", "toolName": "f", "result": 2**60},
            Part(kind=PartKind.TOOL_CALL, name="f", call_id="t", result=2**60),
        ),
        (
            {"type": "source", "url": "https://a.test", "title": "A"},
            Part(kind=PartKind.CITATION, name="A", url="https://a.test"),
        ),
        ({"type": "source", "id": "s"}, Part(kind=PartKind.OTHER, name="source", raw={"type": "source", "id": "s"})),
        ({"type": "hologram"}, Part(kind=PartKind.OTHER, name="hologram", raw={"type": "hologram"})),
        ({}, Part(kind=PartKind.OTHER, raw={})),
        ({"type": "reasoning", "text": "hm"}, Part(kind=PartKind.REASONING, text="hm")),
    ],
)
def test_piece_of_any_kind_is_shown(piece: dict[str, Any], part: Part) -> None:
    found = mapped(a_message("m", "assistant") | {"content": [piece]})
    assert (found.parts, found.text) == ((part,), "")


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("user", MessageRole.USER),
        ("assistant", MessageRole.ASSISTANT),
        ("system", MessageRole.SYSTEM),
        ("tool", MessageRole.TOOL),
        ("oracle", MessageRole.OTHER),
    ],
)
def test_unknown_role_is_other(role: str, expected: MessageRole) -> None:
    assert mapped(a_message("m", role)).role is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, MessageState.COMPLETE),
        ({"type": "complete", "reason": "stop"}, MessageState.COMPLETE),
        ({"type": "running"}, MessageState.STREAMING),
        ({"type": "in_progress"}, MessageState.STREAMING),
        ({"type": "incomplete", "reason": "cancelled"}, MessageState.CANCELLED),
        ({"type": "incomplete", "reason": "error"}, MessageState.FAILED),
        ({"type": "failed", "reason": None}, MessageState.FAILED),
        ({"type": "stopped"}, MessageState.CANCELLED),
        ({"type": "never seen"}, MessageState.COMPLETE),
        ({}, MessageState.COMPLETE),
    ],
)
def test_status_without_documented_values_is_read_as_it_sounds(
    status: dict[str, Any] | None, expected: MessageState
) -> None:
    assert mapped(a_message("m", "assistant", status=status)).state is expected
    assert mapped(a_message("m", "user", status=status)).state is MessageState.COMPLETE


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"id": None}, "$.id"),
        ({"id": 9007199254740993}, "$.id"),
        ({"id": ".."}, "$.id"),
        ({"role": None}, "$.role"),
        ({"content": 7}, "$.content"),
        ({"content": ["x"]}, "$.content[0]"),
        ({"status": "done"}, "$.status"),
        ({"created_at": "yesterday"}, "$.created_at"),
        ({"created_at": 1}, "$.created_at"),
        ({"parent_id": 7}, "$.parent_id"),
        ({"files": {}}, "$.files"),
    ],
)
def test_field_of_another_shape_is_named(wrong: dict[str, Any], path: str) -> None:
    with pytest.raises(WrongShape) as caught:
        mapped(a_message("m", "assistant") | wrong)
    assert caught.value.json_path == path


def test_missing_content_is_named_and_null_is_empty() -> None:
    message = a_message("m")
    assert mapped(message | {"content": None}).text == ""
    assert mapped(message | {"content": "older page"}).text == "older page"
    del message["content"]
    with pytest.raises(WrongShape, match=r"\$\.content"):
        mapped(message)
