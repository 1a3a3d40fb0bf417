"""What events of the server's Socket.IO tell: chats to read, and words of replies, from their beginning or not at all."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.records import MessageRole, MessageState
from domain.source import ChatTouched, Notice, ReplyGrew
from tests.upstreams.wire import a_source
from upstreams.open_webui.events import EventReader

CHAT, REPLY = "chat-1", "reply-1"
TOUCHED = ChatTouched(CHAT)


def event(kind: str, data: Any = None, *, chat_id: Any = CHAT, message_id: Any = REPLY, **more: Any) -> dict[str, Any]:
    """An event as the server sends it."""
    return {"chat_id": chat_id, "message_id": message_id, "data": {"type": kind, "data": data}, **more}


def delta(words: Any, item: Any = 0, part: Any = 0, **more: Any) -> dict[str, Any]:
    """The next words."""
    place = {"item_id": "msg_1", "output_index": item, "content_index": part}
    return event("response:completion", {"type": "response.output_text.delta", **place, "delta": words}, **more)


def said(*texts: str, status: str = "in_progress") -> list[dict[str, Any]]:
    """An `output` with so many messages."""
    return [
        {
            "type": "message",
            "id": "m",
            "status": status,
            "role": "assistant",
            "content": [{"type": "output_text", "text": text}],
        }
        for text in texts
    ]


BEGINS = event("chat:active", {"active": True, "folder_id": None})
ENDS = event("chat:active", {"active": False, "folder_id": None})
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
RAW = event("response:completion", {**CHUNK, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
LAST = event("chat:completion", {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
LIST = event("chat:list", {"chat_id": CHAT, "folder_id": None}, message_id="question-1")
DONE = event("chat:completion", {"done": True, "output": said("Hello there", status="completed"), "title": "T"})


def told(*events: Any, reader: EventReader | None = None) -> list[Notice]:
    """What these events tell, one after the other."""
    reader = reader or EventReader(a_source("open_webui"))
    return [notice for one in events for notice in reader.notices([one])]


def words(notices: Sequence[Notice]) -> list[str]:
    """The words of a reply so far, each time that there are more."""
    return [notice.reply.text for notice in notices if isinstance(notice, ReplyGrew)]


def is_touch(*events: Any) -> bool:
    return told(*events) == [TOUCHED]


# One turn


def test_streamed_turn_is_touches_at_its_ends_and_words_between() -> None:
    notices = told(LIST, BEGINS, RAW, delta("Hello"), delta(" there"), LAST, LIST, DONE, ENDS)
    plain = [notice.reply.text if isinstance(notice, ReplyGrew) else notice for notice in notices]
    assert plain == [TOUCHED, TOUCHED, "Hello", "Hello there", TOUCHED, TOUCHED, TOUCHED]


def test_words_are_those_of_an_assistants_message_that_is_being_written() -> None:
    (grown,) = [notice for notice in told(BEGINS, delta("Hello")) if isinstance(notice, ReplyGrew)]
    assert (grown.reply.chat_id, grown.reply.native_id) == (CHAT, REPLY)
    assert (grown.reply.role, grown.reply.state) == (MessageRole.ASSISTANT, MessageState.STREAMING)
    assert (grown.reply.source_id, grown.reply.organization_id) == (7, 1)


def test_words_of_two_replies_do_not_mix() -> None:
    other = {"message_id": "reply-2"}
    begins = {**BEGINS, **other}
    assert words(told(BEGINS, begins, delta("a"), delta("x", **other), delta("b"), delta("y", **other))) == [
        "a",
        "x",
        "ab",
        "xy",
    ]


def test_what_is_told_in_one_piece_is_told_at_once() -> None:
    assert words(told(BEGINS, DONE)) == ["Hello there"]
    assert told(BEGINS, DONE)[-1] == TOUCHED


def test_stopped_reply_has_its_last_words() -> None:
    notices = told(
        BEGINS,
        delta("He"),
        event("chat:tasks:cancel", {"output": said("Hello", status="incomplete")}),
        event("chat:tasks:cancel"),
    )
    assert words(notices) == ["He", "Hello"]
    assert notices[-2:] == [TOUCHED, TOUCHED]


@pytest.mark.parametrize(
    "kind",
    [
        "chat:message",
        "chat:message:error",
        "chat:message:follow_ups",
        "chat:title",
        "chat:tags",
        "chat:list",
        "chat:reload",
        "chat:tasks:cancel",
        "chat:active",
        "message",
        "replace",
        "files",
    ],
)
def test_what_changes_a_chat_is_something_to_read(kind: str) -> None:
    assert is_touch(event(kind, {}))
    assert is_touch(event(kind))


@pytest.mark.parametrize(
    "kind",
    [
        "status",
        "source",
        "citation",
        "notification",
        "typing",
        "confirmation",
        "execute:tool",
        "chat:presence",
        "chat:access",
        "never seen",
    ],
)
def test_what_changes_no_message_is_left_out(kind: str) -> None:
    reader = EventReader(a_source("open_webui"))
    assert told(event(kind, {"a": 1}), reader=reader) == []
    assert reader.take_garbled() == 0


@pytest.mark.parametrize("chat_id", [None, "local:abc", "channel:abc"])
def test_events_of_no_stored_chat_are_left_out(chat_id: str | None) -> None:
    reader = EventReader(a_source("open_webui"))
    assert told(event("chat:list", {}, chat_id=chat_id), delta("x", chat_id=chat_id), reader=reader) == []
    assert reader.take_garbled() == 0


def test_words_of_a_helper_of_the_model_are_not_the_replys() -> None:
    inner = {**delta("thinking aloud"), "internal": True}
    assert words(told(BEGINS, delta("a"), inner, delta("b"))) == ["a", "ab"]


# Joined in the middle


def test_words_of_a_reply_that_was_not_seen_to_begin_are_not_told() -> None:
    assert words(told(delta("llo"), delta(" there"))) == []


def test_all_words_at_once_make_a_reply_known() -> None:
    so_far = event("chat:completion", {"output": said("Hello")})
    assert words(told(delta("llo"), so_far, delta(" there"))) == ["Hello", "Hello there"]
    assert words(told(event("chat:completion", {"content": "Hello"}), delta("!"))) == ["Hello", "Hello!"]


def test_what_was_told_before_the_end_says_nothing_about_the_next_beginning() -> None:
    assert words(told(BEGINS, delta("a"), ENDS, delta("b"))) == ["a"]
    assert words(told(BEGINS, delta("a"), event("chat:message:error", {}), delta("b"))) == ["a"]
    assert words(told(BEGINS, delta("a"), event("replace", {"content": "x"}), delta("b"))) == ["a"]


def test_hole_in_the_words_ends_them() -> None:
    reader = EventReader(a_source("open_webui"))
    assert words(told(BEGINS, delta("a"), delta(7), delta("b"), reader=reader)) == ["a"]
    assert reader.take_garbled() == 1


# More than one item


def test_words_before_and_after_a_tool_are_one_text() -> None:
    call = event(
        "response:completion",
        {"type": "response.output_item.done", "output_index": 1, "item": {"type": "function_call", "name": "f"}},
    )
    assert words(told(BEGINS, delta("a"), call, delta("b", 3), delta("c", 3, 1))) == ["a", "ab", "abc"]


def test_item_that_is_done_is_as_it_says() -> None:
    whole = event(
        "response:completion", {"type": "response.output_item.done", "output_index": 0, "item": said("Hello")[0]}
    )
    assert words(told(BEGINS, delta("He"), whole, whole, delta("x", 1))) == ["He", "Hello", "Hellox"]


def test_output_of_a_room_that_is_told_less_often_takes_no_words_back() -> None:
    older = event("chat:completion", {"output": said("He")}, shared=True, user_id="u")
    assert words(told(BEGINS, delta("He"), delta("llo"), older, delta("!"))) == ["He", "Hello", "Hello!"]


def test_thoughts_are_no_words() -> None:
    thinking = {"type": "reasoning", "content": [{"type": "output_text", "text": "hm"}]}
    assert words(told(BEGINS, event("chat:completion", {"output": [thinking, *said("Hi")]}))) == ["Hi"]


# Whatever else


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [None],
        ["x"],
        [{}],
        [{"chat_id": CHAT, "data": None}],
        [{"chat_id": CHAT, "data": {"type": 7}}],
        [event("chat:list", chat_id=7)],
        [event("chat:list", chat_id="a/../b\x00")],
        [event("chat:list", message_id={"a": 1})],
        [event("chat:completion", "words")],
        [event("chat:completion", {}, message_id=None)],
    ],
    ids=str,
)
def test_what_cannot_be_understood_is_counted(arguments: list[Any]) -> None:
    reader = EventReader(a_source("open_webui"))
    assert list(reader.notices(arguments)) == []
    assert [reader.take_garbled(), reader.take_garbled()] == [1, 0]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "data",
                    "output",
                    "content",
                    "text",
                    "done",
                    "delta",
                    "output_index",
                    "content_index",
                    "item",
                    "active",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_KINDS = st.sampled_from(
    ["chat:completion", "response:completion", "chat:active", "chat:tasks:cancel", "chat:message", "status"]
)


@given(st.lists(st.tuples(_KINDS, _JSON), max_size=8))
def test_no_event_is_too_strange(events: list[tuple[str, Any]]) -> None:
    told(*(event(kind, data) for kind, data in events))


@given(st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=20))
def test_each_step_begins_with_the_one_before(pieces: list[str]) -> None:
    grown = words(told(BEGINS, *(delta(piece) for piece in pieces)))
    assert grown[-1] == "".join(pieces)
    assert all(later.startswith(earlier) for earlier, later in pairwise(grown))


def test_replies_that_never_end_do_not_fill_the_memory() -> None:
    reader = EventReader(a_source("open_webui"))
    told(*({**BEGINS, "message_id": f"r{number}"} for number in range(1000)), reader=reader)
    assert len(reader._growing) <= 200
    large = delta("x" * 1_000_000)
    assert len(words(told(BEGINS, *[large] * 8, reader=reader))) < 8
    assert (CHAT, REPLY) not in reader._growing
