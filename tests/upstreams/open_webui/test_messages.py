"""Open WebUI's tree of messages, with everything that was seen in one."""

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.records import Agent, AgentKind, Attachment, MessageRole, MessageState, Part, PartKind, Person
from domain.source import NOTHING_SKIPPED
from tests.upstreams.open_webui.server import CHAT, a_chat, a_message
from tests.upstreams.recorded import load
from tests.upstreams.wire import a_source
from upstreams.json_reading import Json, WrongShape
from upstreams.open_webui.messages import Tree, message_from_json, tree_from_json

SOURCE = a_source("open_webui")


def tree_of(messages: dict[str, Any], current: str | None = None) -> Tree:
    return tree_from_json(SOURCE, Json(a_chat(messages, current)))


def message_of(**fields: Any) -> Any:
    return message_from_json(SOURCE, CHAT, "m", Json(a_message("m", **fields)))


def said(text: str, status: str = "completed") -> dict[str, Any]:
    return {
        "type": "message",
        "id": "msg_1",
        "status": status,
        "role": "assistant",
        "content": [{"type": "output_text", "text": text}],
    }


def test_recorded_conversation_is_read() -> None:
    tree = tree_from_json(SOURCE, Json(load("open_webui")["get_chat_after_send"].body))
    assert tree.skipped.count == 0
    user, reply = tree.messages[0], tree.messages[1]
    assert (user.role, reply.role) == (MessageRole.USER, MessageRole.ASSISTANT)
    assert reply.parent_id == user.native_id
    assert reply.state is MessageState.COMPLETE
    assert reply.parts == ()
    assert isinstance(user.author, Person)
    assert isinstance(reply.author, Agent)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("get_while_streaming", MessageState.STREAMING),
        ("get_chat_after_stop", MessageState.CANCELLED),
        ("get_chat_after_failure", MessageState.FAILED),
    ],
)
def test_recorded_reply_has_its_state(name: str, state: MessageState) -> None:
    tree = tree_from_json(SOURCE, Json(load("open_webui")[name].body))
    assert state in [message.state for message in tree.messages]


def test_parents_come_first_and_siblings_oldest_first() -> None:
    tree = tree_of(
        {
            "c": a_message("c", parent="b", timestamp=3),
            "b": a_message("b", parent="a", timestamp=2),
            "b2": a_message("b2", parent="a", timestamp=1),
            "a": a_message("a", timestamp=1),
        },
        "c",
    )
    assert [message.native_id for message in tree.messages] == ["a", "b2", "b", "c"]
    assert tree.active_leaf == "c"


def test_missing_parent_key_is_a_root_and_missing_time_is_unknown() -> None:
    """The vendor's own example of a chat has neither."""
    tree = tree_of({"m": {"role": "user", "content": "hi"}}, "m")
    assert (tree.messages[0].native_id, tree.messages[0].parent_id, tree.messages[0].created_at) == ("m", None, None)


def test_circle_and_lost_parent_lose_no_message() -> None:
    tree = tree_of(
        {
            "x": a_message("x", parent="y"),
            "y": a_message("y", parent="x"),
            "lost": a_message("lost", parent="gone"),
            "a": a_message("a"),
        }
    )
    assert sorted(message.native_id for message in tree.messages) == ["a", "lost", "x", "y"]


def test_current_id_that_points_nowhere_is_no_leaf() -> None:
    assert tree_of({"a": a_message("a")}, "gone").active_leaf is None
    assert tree_of({}, None).active_leaf is None


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "text",
        {},
        {"role": "user"},
        {"role": 3, "content": "x"},
        {"role": "user", "content": 7},
        a_message("m", timestamp="now"),
    ],
    ids=["null", "text", "empty", "no content", "role", "content", "time"],
)
def test_strange_message_is_left_out_and_counted(entry: Any) -> None:
    tree = tree_of({"a": a_message("a"), "m": entry, "..": a_message(".."), "x" * 400: a_message("x")})
    assert [message.native_id for message in tree.messages] == ["a"]
    assert tree.skipped.count == 3


@pytest.mark.parametrize("history", ["text", {"messages": []}, {"messages": "text"}])
def test_history_of_another_shape_is_named(history: Any) -> None:
    body = a_chat()
    body["chat"]["history"] = history
    with pytest.raises(WrongShape, match=r"\$\.chat\.history"):
        tree_from_json(SOURCE, Json(body))


@pytest.mark.parametrize("history", [None, {}, {"messages": None}])
def test_chat_without_history_is_empty(history: Any) -> None:
    body = a_chat()
    body["chat"]["history"] = history
    assert tree_from_json(SOURCE, Json(body)) == Tree([], None, NOTHING_SKIPPED)


def test_time_is_exact() -> None:
    assert message_of().created_at == datetime(2026, 11, 20, 18, 15, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        ([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "b"}], "ab"),
        (["a", "b"], "ab"),
        ([], ""),
        ("", ""),
    ],
    ids=["text", "blocks", "texts", "no blocks", "empty"],
)
def test_content_is_a_text_or_blocks(content: Any, text: str) -> None:
    assert message_of(content=content).text == text


def test_words_of_output_stand_in_for_missing_content() -> None:
    assert message_of(role="assistant", content="", output=[said("one "), said("two")]).text == "one two"


@pytest.mark.parametrize("role", ["user", "assistant", "system", "tool", "critic"])
def test_unknown_role_is_other(role: str) -> None:
    assert message_of(role=role).role is (MessageRole.OTHER if role == "critic" else MessageRole(role.upper()))


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"done": True}, MessageState.COMPLETE),
        ({}, MessageState.COMPLETE),
        ({"done": False}, MessageState.STREAMING),
        ({"done": True, "output": [said("hi", "incomplete")]}, MessageState.CANCELLED),
        ({"done": True, "error": {"content": "no"}}, MessageState.FAILED),
        ({"done": False, "error": True}, MessageState.FAILED),
    ],
    ids=["done", "imported", "running", "stopped", "failed", "failed without words"],
)
def test_state_of_a_reply(fields: dict[str, Any], state: MessageState) -> None:
    assert message_of(role="assistant", **fields).state is state


def test_user_message_is_complete_whatever_it_says() -> None:
    assert message_of(done=False).state is MessageState.COMPLETE


def test_parts_tell_reasoning_tools_and_the_unknown() -> None:
    message = message_of(
        role="assistant",
        content="answer",
        output=[
            {"type": "reasoning", "content": [{"type": "output_text", "text": "hm"}]},
            {"type": "function_call", "name": "look", "call_id": "c1", "arguments": '{"q": 1}'},
            {"type": "function_call_output", "call_id": "c1", "output": "found"},
            {"type": "function_call", "name": "late", "call_id": "c2", "arguments": '{"half'},
            said("answer"),
            {"type": "hologram", "x": 1},
            "not an item",
        ],
    )
    assert message.text == "answer"
    assert message.parts == (
        Part(kind=PartKind.REASONING, text="hm"),
        Part(kind=PartKind.TOOL_CALL, name="look", call_id="c1", arguments={"q": 1}, result="found"),
        Part(kind=PartKind.TOOL_CALL, name="late", call_id="c2", arguments='{"half'),
        Part(kind=PartKind.TEXT, text="answer"),
        Part(kind=PartKind.OTHER, name="hologram", raw={"type": "hologram", "x": 1}),
    )


def test_edited_words_win_over_the_output_that_an_edit_leaves_behind() -> None:
    message = message_of(
        role="assistant", content="edited", output=[{"type": "reasoning", "content": []}, said("first")]
    )
    assert [part.text for part in message.parts if part.kind is PartKind.TEXT] == ["edited"]
    assert message_of(role="assistant", content="edited", output=[said("first")]).parts == ()


def test_failure_is_a_part() -> None:
    message = message_of(role="assistant", content="", error={"content": "The model failed."})
    assert message.parts == (Part(kind=PartKind.OTHER, name="error", text="The model failed."),)


def test_authors_and_model() -> None:
    assert message_of(user={"id": "u", "name": "Ada"}, user_id="u").author == Person("u", "Ada")
    assert message_of(user_id="u").author == Person("u")
    assert message_of().author is None
    reply = message_of(role="assistant", model="gpt", user_id="u")
    assert (reply.author, reply.model) == (Agent("gpt", kind=AgentKind.MODEL), "gpt")


def test_files_are_attachments_as_far_as_they_tell() -> None:
    files = [
        {"name": "a.png", "url": "https://x.test/a.png", "size": 3, "content_type": "image/png"},
        {"name": "b.pdf", "url": "1b2c", "size": "big"},
        {"id": "only"},
        "text",
    ]
    assert message_of(files=files).attachments == (
        Attachment(name="a.png", media_type="image/png", size_bytes=3, url="https://x.test/a.png"),
        Attachment(name="b.pdf"),
    )


def test_raw_passes_an_allow_list() -> None:
    raw = message_of(user={"id": "u", "name": "Ada", "email": "a@x.test"}, secret="s").raw
    assert raw is not None
    assert not {"user", "user_id", "content", "secret"} & set(raw)
