"""What is said of a source whose list lacks something."""

from domain.errors import SourceStatusCode
from domain.source import NOTHING_SKIPPED, Skipped
from resolvers.statuses import SourceStatus
from tests.builders import a_source

GOOD = SourceStatus(source=a_source(key="bot", vendor="kodey"))
ONE = Skipped(1, "list_chats", "$.chats[3].id: expected an id")


def test_whole_list_is_said_to_be_so() -> None:
    assert GOOD.lacking(NOTHING_SKIPPED) == GOOD


def test_row_that_was_left_out_is_named_with_vendor_operation_and_path() -> None:
    status = GOOD.lacking(ONE)
    assert (status.code, status.skipped_rows) == (SourceStatusCode.PARTIAL, 1)
    assert status.message == (
        "bot: list chats was answered by kodey with a row that cannot be understood ($.chats[3].id: expected an id). "
        "It is left out; check the vendor's version."
    )


def test_of_several_rows_the_first_is_named() -> None:
    status = GOOD.lacking(NOTHING_SKIPPED + ONE + Skipped(2, "list_chats", "$.chats[9]: expected an object"))
    assert status.skipped_rows == 3
    assert "3 rows that cannot be understood ($.chats[3].id: expected an id)" in (status.message or "")


def test_list_without_an_end_is_partial_and_says_so() -> None:
    status = GOOD.lacking(NOTHING_SKIPPED, is_cut=True)
    assert (status.code, status.skipped_rows) == (SourceStatusCode.PARTIAL, 0)
    assert status.message == (
        "bot: the list of chats did not come to an end at kodey. What was read of it is shown; narrow the filter, or ask again."
    )
