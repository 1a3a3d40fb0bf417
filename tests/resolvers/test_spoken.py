"""Whatever several followers say of one reply, a listener gets one text of it, piece by piece."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.records import Delta
from resolvers.spoken import Growth, Spoken, common_prefix, utf16_length
from tests.tier import count

KEY = (1, 1, "c", "m")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def words(text: str, speaker: str = "a", message: str = "m") -> Growth:
    delta = Delta(
        organization_id=1,
        source_id=1,
        chat_id="c",
        message_id=message,
        after_seq=7,
        offset=0,
        text=text,
        occurred_at=NOW,
    )
    return Growth(delta, text, speaker)


def told(spoken: Spoken, text: str, speaker: str = "a") -> tuple[int, str] | None:
    """(offset, words) of the delta, None when there is none."""
    growth = spoken.take(words(text, speaker))
    return (growth.delta.offset, growth.delta.text) if growth is not None else None


def joined(text: str, delta: Delta) -> str:
    """As JavaScript does it: `text.slice(0, offset) + delta.text`, both counted in UTF-16 code units."""
    kept = text.encode("utf-16-le", "surrogatepass")[: 2 * delta.offset]
    return (kept + delta.text.encode("utf-16-le", "surrogatepass")).decode("utf-16-le")


def test_first_words_are_told_whole_and_the_others_from_where_they_begin() -> None:
    spoken = Spoken()
    assert told(spoken, "He") == (0, "He")
    assert told(spoken, "Hello 👋") == (2, "llo 👋")
    assert told(spoken, "Hello 👋🏽 you") == (8, "🏽 you")


def test_no_words_and_the_same_words_are_nothing() -> None:
    spoken = Spoken()
    assert told(spoken, "") is None
    assert told(spoken, "x") == (0, "x")
    assert told(spoken, "x") is None


def test_rewritten_words_go_back_to_where_they_differ_and_not_into_a_pair() -> None:
    spoken = Spoken()
    assert [told(spoken, text) for text in ("😀😀x", "😀😁", "😀")] == [(0, "😀😀x"), (2, "😁"), (2, "")]


def test_follower_that_lags_behind_another_is_absorbed_until_it_says_more() -> None:
    spoken = Spoken()
    told(spoken, "Hello wor", "a")
    assert told(spoken, "Hello", "b") is None
    assert told(spoken, "Hello world", "b") == (9, "ld")
    assert told(spoken, "Hello wor", "a") is None


def test_what_comes_after_the_end_is_absorbed() -> None:
    spoken = Spoken()
    told(spoken, "Hello")
    spoken.end(KEY)
    assert told(spoken, "Hello again") is None
    assert list(spoken.under_way(1)) == []
    spoken.begin_again(KEY)
    assert told(spoken, "Hello again") == (0, "Hello again")


def test_reply_that_is_followed_again_is_told_whole() -> None:
    spoken = Spoken()
    told(spoken, "Hello", "a")
    spoken.forget("a")
    assert told(spoken, "Hello you", "b") == (0, "Hello you")


def test_replies_under_way_are_those_of_the_organization_with_all_their_words() -> None:
    spoken = Spoken()
    told(spoken, "He")
    told(spoken, "Hello")
    (growth,) = spoken.under_way(1)
    assert (growth.delta.offset, growth.delta.text) == (0, "Hello")
    assert list(spoken.under_way(2)) == []


_PIECES = st.text(st.sampled_from("ab é\u0301👋🏽\u200d👩𝔘🇩🇪\n"), max_size=4)
_STEP = st.tuples(st.integers(0, 9), _PIECES, st.sampled_from("ab"))


@settings(max_examples=count(long=5000, least=100), deadline=None)
@given(st.lists(_STEP, max_size=30))
def test_pieces_always_join_to_what_was_said(steps: list[Any]) -> None:
    """Two followers that grow, and rewrite, a text: what a listener joins is the text that was told last."""
    spoken, text, heard, last = Spoken(), "", "", ""
    for cut, more, speaker in steps:
        text = text[: max(0, len(text) - cut)] + more
        growth = spoken.take(words(text, speaker))
        if growth is None:
            continue
        heard, last = joined(heard, growth.delta), growth.text_so_far
        assert heard == last
        assert growth.delta.offset + utf16_length(growth.delta.text) == utf16_length(last)


@settings(deadline=None)
@given(st.text(), st.text())
def test_common_prefix_is_the_longest(old: str, new: str) -> None:
    length = common_prefix(old, new)
    assert old[:length] == new[:length]
    assert old[length : length + 1] != new[length : length + 1] or length == len(old) == len(new)
