"""Arguments of connections, and the order of chats."""

from functools import cmp_to_key
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.capabilities import ChatOrder, ChatOrderField
from domain.errors import InvalidArgument
from domain.paging import chat_key, comes_before, micros, page_request, sorted_chats
from domain.records import Chat
from tests.builders import T0, a_chat, at


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ((0, None, None, None), ("first",)),
        ((101, None, None, None), ("first",)),
        ((None, None, 0, None), ("last",)),
        ((None, None, 101, None), ("last",)),
        ((None, None, None, None), ("first",)),
        ((1, None, 1, None), ("last",)),
        ((None, "a", 1, None), ("after",)),
        ((1, None, None, "b"), ("before",)),
    ],
)
def test_impossible_page_names_its_argument(arguments: tuple[Any, ...], path: tuple[str, ...]) -> None:
    with pytest.raises(InvalidArgument) as refused:
        page_request(*arguments)
    assert refused.value.path == path


def test_page_of_one_and_of_a_hundred_are_possible() -> None:
    assert page_request(1, None, None, None).size == 1
    assert page_request(None, None, 100, "x").is_backwards


def test_micros_are_exact() -> None:
    assert micros(at(0.000001)) - micros(T0) == 1
    assert micros(T0) == 1_795_176_000_000_000


CHATS = st.lists(
    st.builds(
        lambda n, s, source, title: a_chat(n, source_id=source, updated_at=None if s is None else at(s), title=title),
        st.text("abc", min_size=1, max_size=3),
        st.none() | st.integers(0, 3),
        st.integers(1, 3),
        st.none() | st.text("aAbB", max_size=2),
    ),
    unique_by=lambda chat: chat.key,
    max_size=12,
)


@given(CHATS, st.sampled_from(list(ChatOrderField)), st.booleans())
def test_sorting_and_comparing_agree(chats: list[Chat], field: ChatOrderField, descending: bool) -> None:
    """The merge sorts, the pagers compare: a row must never be before in one and behind in the other."""
    order = ChatOrder(field, descending)

    def compared(a: Chat, b: Chat) -> int:
        return -1 if comes_before(chat_key(a, field), chat_key(b, field), order) else 1

    assert sorted_chats(chats, order) == sorted(chats, key=cmp_to_key(compared))


def test_unknown_values_come_last_in_both_directions() -> None:
    known = a_chat("a", title="x")
    unknown = a_chat("b", title=None)
    for descending in (True, False):
        assert sorted_chats([unknown, known], ChatOrder(ChatOrderField.TITLE, descending)) == [known, unknown]


def test_titles_compare_without_case() -> None:
    rows = [a_chat("1", title="b"), a_chat("2", title="A"), a_chat("3", title="C")]
    assert [row.title for row in sorted_chats(rows, ChatOrder(ChatOrderField.TITLE, descending=False))] == [
        "A",
        "b",
        "C",
    ]
