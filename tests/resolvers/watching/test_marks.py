"""Which chats are to be read, seen from the rows of a list."""

from datetime import timedelta
from typing import Any

from domain.records import Chat
from resolvers.watching.marks import RowMarks, mark_of
from storage.chats import WatchedChat
from tests.builders import a_chat, at

SECOND = timedelta(seconds=1)


def row(native_id: str, updated: float, **told: object) -> Chat:
    return a_chat(native_id, updated_at=at(updated), **told)


def marks(*known: tuple[str, str | None], most: int = 100, tick: timedelta = SECOND) -> RowMarks:
    return RowMarks([WatchedChat(native_id, True, mark) for native_id, mark in known], tick, most)


def test_unknown_chat_is_to_be_read_until_it_is_settled() -> None:
    some = marks()
    assert some.walked([row("a", 0)], 100, is_news=[]) == ["a"]
    assert some.walked([row("a", 0)], 101, is_news=[]) == ["a"]
    assert some.was_read("a", 102, at(0)) == (mark_of(row("a", 0)), None)
    assert some.walked([row("a", 0)], 103, is_news=[]) == []


def test_reading_within_two_ticks_of_the_change_is_made_again() -> None:
    """A second message in the same second of the vendor's clock would look like nothing."""
    some = marks()
    some.walked([row("a", 0)], 100, is_news=[])
    assert some.was_read("a", 100.5, at(0.5)) == (None, 102)
    assert some.was_read("a", 101.9, at(1.9)) == (None, 102)
    assert some.was_read("a", 102, at(2)) == (mark_of(row("a", 0)), None)


def test_mark_that_is_old_anyway_is_settled_at_once() -> None:
    some = marks()
    some.walked([row("a", 0)], 100, is_news=[])
    mark, again_at = some.was_read("a", 100, at(63))
    assert (mark, again_at) == (mark_of(row("a", 0)), None)


def test_vendor_whose_clock_is_behind_hides_nothing() -> None:
    """By its times the change is 30 seconds old, and really it was just made."""
    some = marks()
    some.walked([row("a", -30)], 100, is_news=[])
    assert some.was_read("a", 100, at(0)) == (None, 102)


def test_change_while_a_chat_is_read_is_read_again() -> None:
    some = marks()
    some.walked([row("a", 0)], 100, is_news=[])
    some.walked([row("a", 9)], 110, is_news=[])
    assert some.was_read("a", 109, at(9)) == (None, 112)


def test_every_thing_that_a_row_tells_of_messages_counts() -> None:
    some = marks()
    rows: list[dict[str, Any]] = [{}, {"last_message_at": at(5)}, {"message_count": 1}, {"message_count": 2}]
    for number, told in enumerate(rows):
        began = 100 + 10 * number
        assert some.walked([row("a", 0, **told)], began, is_news=[]) == ["a"]
        some.was_read("a", began + 5, at(0))
    assert some.walked([row("a", 0, message_count=2, title="renamed")], 200, is_news=[]) == []


def test_what_only_a_full_pass_tells_does_not_count() -> None:
    """Otherwise every chat would look changed after each of them, and once more afterwards."""
    some = RowMarks([], SECOND, 100, frozenset({"title", "updated_at"}))
    some.walked([row("a", 0)], 100, is_news=[])
    some.was_read("a", 110, at(0))
    assert some.walked([row("a", 0, message_count=7, last_message_at=at(0))], 120, is_news=[]) == []


def test_chat_that_is_known_and_not_listed_is_not_told_of() -> None:
    some = marks(("a", mark_of(row("a", 0))), ("archived", mark_of(row("archived", 0))))
    assert not some.tells_of("a")
    some.walked([row("a", 0)], 100, is_news=[])
    assert [some.tells_of(name) for name in ("a", "archived", "unknown")] == [True, False, False]


def test_what_was_read_before_a_restart_need_not_be_read_again() -> None:
    some = marks(("a", mark_of(row("a", 0))), ("b", mark_of(row("b", 0))), ("c", None))
    assert some.walked([row("a", 0), row("b", 1), row("c", 0)], 100, is_news=[]) == ["b", "c"]


def test_walk_stops_where_the_last_one_has_been() -> None:
    some = marks()
    assert not some.may_stop_at(row("a", 0))
    some.walked([row("a", 0)], 100, is_news=[])
    assert not some.may_stop_at(row("a", 0)), "seen too freshly"
    some.walked([row("a", 0)], 102, is_news=[])
    assert some.may_stop_at(row("a", 0))
    assert not some.may_stop_at(row("a", 1))
    assert not some.may_stop_at(row("b", 0))


def test_walk_that_broke_off_is_made_again_in_full() -> None:
    """Its rows are not taken over, so nothing below the place where it broke off is taken for seen."""
    some = marks()
    for began in (100, 110):
        some.walked([row("b", 0), row("a", 0)], began, is_news=[])
    # A walk sees b2 and breaks off before a2.
    assert not some.may_stop_at(row("b", 5))


def test_old_chats_beyond_the_bound_wait_until_something_happens_there() -> None:
    some = marks(most=2)
    rows = [row(name, -number) for number, name in enumerate("abcd")]
    assert some.walked(rows, 100, is_news=[]) == ["a", "b"]
    assert some.walked([row("d", 9), *rows[:3]], 110, is_news=[]) == ["d", "a", "b"]


def test_first_reading_is_history_unless_the_chat_is_news() -> None:
    some = RowMarks([WatchedChat("a", False, None), WatchedChat("b", True, None)], SECOND, 100)
    some.walked([row("a", 0), row("b", 0), row("c", 0), row("d", 0)], 100, is_news=["d"])
    assert [some.brings_news(name) for name in "abcdx"] == [False, True, False, True, False]
    some.was_read("a", 100, at(0))
    assert some.brings_news("a")


def test_chat_that_is_gone_is_forgotten() -> None:
    some = marks(("a", "x"))
    some.forget("a")
    some.forget("a")
    assert "a" not in some
    assert some.was_read("a", 100, at(0)) == (None, None)
