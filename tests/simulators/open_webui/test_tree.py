"""The message tree without a server: merging, following a branch, taking a message out."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.open_webui import tree


def a_history(links: dict[str, str | None], current: str | None = None) -> dict[str, Any]:
    """Messages by id → parent, with the children that follow."""
    messages: tree.Messages = {
        one: {"id": one, "parentId": parent, "role": "user", "content": one, "childrenIds": []}
        for one, parent in links.items()
    }
    for one, parent in links.items():
        tree.add_child(messages, parent, one)
    return {"messages": messages, "currentId": current}


def links_of(history: dict[str, Any]) -> dict[str, tuple[str | None, list[str]]]:
    return {one: (message["parentId"], message["childrenIds"]) for one, message in history["messages"].items()}


def test_what_is_left_out_is_not_deleted() -> None:
    stored = a_history({"a": None, "b": "a"}, "b")
    merged = tree.merge(stored, a_history({"c": "b"}, "c"))
    assert links_of(merged) == {"a": (None, ["b"]), "b": ("a", ["c"]), "c": ("b", [])}
    assert merged["currentId"] == "c"


def test_a_current_message_that_is_none_leaves_the_stored_one() -> None:
    stored = a_history({"a": None, "b": "a"}, "b")
    assert tree.merge(stored, {"messages": {}, "currentId": "nowhere"})["currentId"] == "b"


def test_a_running_reply_is_not_overwritten() -> None:
    stored = a_history({"a": None, "r": "a"}, "r")
    stored["messages"]["r"] |= {"role": "assistant", "content": "so far", "done": False}
    sent = {"messages": {"r": {"id": "r", "parentId": "a", "role": "assistant", "content": "older"}}}
    assert tree.merge(stored, sent)["messages"]["r"]["content"] == "so far"


def test_the_newest_child_is_followed_to_its_leaf() -> None:
    history = a_history({"a": None, "b": "a", "c": "a", "d": "c"})
    assert tree.last_descendant(history["messages"], "a") == "d"


def test_a_circle_of_messages_ends() -> None:
    history = a_history({"a": "b", "b": "a"})
    assert tree.last_descendant(history["messages"], "a") in ("a", "b")
    assert len(tree.path_to(history["messages"], "a")) == 2


@pytest.mark.parametrize(
    ("gone", "left", "current"),
    [
        ("u2", {"u1": (None, ["a1"]), "a1": ("u1", ["u3"]), "u3": ("a1", [])}, "u3"),
        ("u3", {"u1": (None, ["a1"]), "a1": ("u1", ["u2"]), "u2": ("a1", ["a2"]), "a2": ("u2", [])}, "a2"),
        ("u1", {"u2": (None, ["a2"]), "a2": ("u2", ["u3"]), "u3": ("a2", [])}, "u3"),
    ],
)
def test_a_message_takes_its_direct_children_along(gone: str, left: dict[str, Any], current: str) -> None:
    """Each row was seen on a running 0.12.4."""
    history = a_history({"u1": None, "a1": "u1", "u2": "a1", "a2": "u2", "u3": "a2"}, "u3")
    assert tree.remove(history, gone)
    assert links_of(history) == left
    assert history["currentId"] == current


def test_removing_what_is_not_there_changes_nothing() -> None:
    history = a_history({"a": None}, "a")
    assert not tree.remove(history, "b")
    assert history == a_history({"a": None}, "a")


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.data())
def test_after_any_removal_parents_and_children_agree(parents: list[int], data: st.DataObject) -> None:
    links = {f"m{place}": f"m{parent}" if parent < place else None for place, parent in enumerate(parents)}
    history = a_history(links, "m0")
    tree.remove(history, data.draw(st.sampled_from(sorted(links))))
    messages = history["messages"]
    for one, message in messages.items():
        assert message["parentId"] is None or one in messages[message["parentId"]]["childrenIds"]
        assert all(messages[child]["parentId"] == one for child in message["childrenIds"])
    assert history["currentId"] in messages or not messages
