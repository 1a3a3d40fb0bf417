"""Paths, branches and windows of a chat's messages."""

import pytest

from domain.errors import BadCursor
from domain.records import Message
from domain.source import MessageWindow
from domain.tree import branch_path, by_id, children_of, cut, newest_leaf, path_to
from tests.builders import a_message, at


def a_tree() -> dict[str, Message]:
    """a ─ b ─ c, and beside b its sibling b2 ─ c2."""
    return by_id(
        [
            a_message("a", created_at=at(0)),
            a_message("b", parent_id="a", created_at=at(1)),
            a_message("c", parent_id="b", created_at=at(2)),
            a_message("b2", parent_id="a", created_at=at(3)),
            a_message("c2", parent_id="b2", created_at=at(4)),
        ]
    )


def ids(messages: list[Message]) -> str:
    return " ".join(message.native_id for message in messages)


def test_path_runs_from_the_root() -> None:
    assert ids(path_to(a_tree(), "c")) == "a b c"


def test_branch_goes_on_to_its_newest_descendant() -> None:
    assert ids(branch_path(a_tree(), "b", "c2")) == "a b c"
    assert ids(branch_path(a_tree(), "a", "c")) == "a b2 c2"


def test_active_leaf_that_is_gone_falls_back_to_the_newest_path() -> None:
    assert ids(branch_path(a_tree(), None, "nowhere")) == "a b2 c2"


def test_parents_in_a_circle_end_the_walk() -> None:
    circle = by_id([a_message("a", parent_id="b"), a_message("b", parent_id="a")])
    assert ids(path_to(circle, "a")) == "b a"
    assert newest_leaf(circle, "a") in ("a", "b")


def test_missing_parent_makes_a_root() -> None:
    assert children_of(by_id([a_message("x", parent_id="gone")]))[None][0].native_id == "x"


def test_window_tells_of_its_neighbours() -> None:
    path = path_to(a_tree(), "c")
    assert cut(path, MessageWindow(last=1)) == (path[2:], True, False)
    assert cut(path, MessageWindow(first=1)) == (path[:1], False, True)
    assert cut(path, MessageWindow(first=1, after="a")) == (path[1:2], True, True)
    assert cut(path, MessageWindow(last=5, before="c")) == (path[:2], False, True)


def test_position_that_left_the_path_is_a_bad_cursor() -> None:
    with pytest.raises(BadCursor):
        cut(path_to(a_tree(), "c"), MessageWindow(first=1, after="c2"))
