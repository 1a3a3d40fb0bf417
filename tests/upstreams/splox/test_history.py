"""The walk through a history that is paged by time: none lost, none twice, whichever of the open forms the vendor has."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import BadCursor, UnexpectedAnswer, UpstreamRejected
from domain.records import Message
from domain.source import ChatSource, MessagesRead, MessageWindow
from tests.tier import count
from tests.upstreams.splox.server import T0, Splox, a_message, an_account
from tests.upstreams.wire import an_answer

pytestmark = pytest.mark.anyio
TICK = timedelta(microseconds=1)


def a_history(size: int, *, apart: timedelta = timedelta(seconds=1)) -> list[dict[str, Any]]:
    return [a_message(f"m{number:04}", text=str(number), at=T0 + number * apart) for number in range(size)]


async def read(source: ChatSource, window: MessageWindow) -> MessagesRead:
    found = await source.read_messages("c", window)
    assert found is not None
    return found


def ids(found: MessagesRead) -> list[str]:
    return [message.native_id for message in found.messages]


async def backwards(source: ChatSource, size: int) -> list[Message]:
    """Every message, oldest first, read page by page from the end."""
    rows: list[Message] = []
    before: str | None = None
    for _ in range(1000):
        found = await read(source, MessageWindow(last=size, before=before))
        if found.is_complete:
            at = next((at for at, one in enumerate(found.messages) if one.native_id == before), len(found.messages))
            return [*found.messages[:at], *rows]
        rows = [*found.messages, *rows]
        if not found.has_before:
            return rows
        before = found.messages[0].native_id
    raise AssertionError("the history has no end")


FORMS = list(itertools.product([False, True], [False, True]))


@pytest.mark.parametrize(("is_object", "is_inclusive"), FORMS)
@settings(max_examples=count(long=500, least=10), deadline=None)
@given(
    gaps=st.lists(st.sampled_from([0, 0, 0, 1, 2, 1000]), min_size=0, max_size=450),
    size=st.sampled_from([1, 7, 100, 200, 250]),
)
async def test_paging_back_shows_every_message_once(
    is_object: bool, is_inclusive: bool, gaps: list[int], size: int
) -> None:
    """Gaps are in microseconds; at most 150 messages share one instant."""
    moments: list[int] = []
    for gap in gaps:
        crowded = len(moments) >= 150 and moments[-150] == moments[-1]
        moments.append((moments[-1] if moments else 0) + (gap or int(crowded)))
    messages = [a_message(f"m{number}", at=T0 + moment * TICK) for number, moment in enumerate(moments)]
    server = Splox(messages=messages, is_object=is_object, is_inclusive=is_inclusive)
    source, _ = an_account(server)
    found = await backwards(source, size)
    assert sorted(message.native_id for message in found) == sorted(message["id"] for message in messages)
    times = [message.created_at for message in found if message.created_at is not None]
    assert times == sorted(times)
    parents = [None, *(message.native_id for message in found)]
    assert [message.parent_id for message in found] == parents[: len(found)]


async def test_small_chat_is_read_whole_with_one_call() -> None:
    source, transport = an_account(Splox(messages=a_history(3)))
    found = await read(source, MessageWindow(last=1))
    assert (ids(found), found.is_complete, found.active_leaf, found.total) == (
        ["m0000", "m0001", "m0002"],
        True,
        "m0002",
        3,
    )
    assert transport.lines == ["GET /chat-history/c/paginated?limit=200"]


async def test_window_of_a_long_chat_tells_of_its_neighbours() -> None:
    source, _ = an_account(Splox(messages=a_history(500)))
    newest = await read(source, MessageWindow(last=2))
    assert (ids(newest), newest.is_complete, newest.has_before, newest.has_after, newest.total) == (
        ["m0498", "m0499"],
        False,
        True,
        False,
        None,
    )
    assert [message.parent_id for message in newest.messages] == ["m0497", "m0498"]
    middle = await read(source, MessageWindow(last=3, before="m0490"))
    assert (ids(middle), middle.has_before, middle.has_after) == (["m0487", "m0488", "m0489"], True, True)
    start = await read(source, MessageWindow(first=2))
    assert (start.is_complete, len(start.messages), start.total) == (
        True,
        500,
        500,
    )  # there is no other way to the beginning
    after = await read(source, MessageWindow(first=2, after="m0497"))
    assert (ids(after), after.has_before, after.has_after) == (["m0498", "m0499"], True, False)
    nothing = await read(source, MessageWindow(first=2, after="m0499"))
    assert (ids(nothing), nothing.has_before, nothing.has_after) == ([], True, False)
    oldest = await read(source, MessageWindow(last=5, before="m0002"))
    assert ids(oldest)[:2] == ["m0000", "m0001"]
    assert not oldest.has_before


async def test_next_page_of_a_long_chat_is_one_call_wherever_it_is() -> None:
    source, transport = an_account(Splox(messages=a_history(3000)))
    before = ids(await read(source, MessageWindow(first=1)))[0]
    transport.requests.clear()
    found = await read(source, MessageWindow(last=100, before="m1500"))
    assert ids(found)[0] == "m1400"
    assert len(transport.requests) == 1
    assert before == "m0000"


async def test_message_whose_time_is_not_known_is_walked_to() -> None:
    source, transport = an_account(Splox(messages=a_history(1000)))
    found = await source.get_message("c", "m0100")
    assert found is not None
    assert (found.text, found.parent_id) == ("100", "m0099")
    assert len(transport.requests) == 5


async def test_time_that_was_remembered_and_moved_is_walked_to_again() -> None:
    server = Splox(messages=a_history(400))
    source, _ = an_account(server)
    await read(source, MessageWindow(last=2))
    server.messages[399]["created_at"] = server.messages[0]["created_at"]
    found = await source.get_message("c", "m0399")
    assert found is not None


async def test_position_that_is_gone_is_a_bad_cursor() -> None:
    source, _ = an_account(Splox(messages=a_history(3)))
    for window in (MessageWindow(last=2, before="gone"), MessageWindow(first=2, after="gone")):
        with pytest.raises(BadCursor):
            await source.read_messages("c", window)
    assert await source.get_message("c", "gone") is None


@pytest.mark.parametrize(("is_object", "is_inclusive"), FORMS)
async def test_more_messages_of_one_instant_than_a_page_holds_are_counted_as_missing(
    is_object: bool, is_inclusive: bool
) -> None:
    """Nothing in the documents lets the rest of such an instant be asked for; what is older is still shown."""
    messages = [*a_history(3), *(a_message(f"tie{number}", at=100) for number in range(300)), a_message("new", at=200)]
    source, _ = an_account(Splox(messages=messages, is_object=is_object, is_inclusive=is_inclusive))
    found = await read(source, MessageWindow(first=3))
    assert ids(found) == ["m0000", "m0001", "m0002"]
    assert (found.is_complete, found.skipped.count) == (False, 1)


async def test_vendor_that_ignores_the_position_still_shows_the_newest() -> None:
    server = Splox()
    page = a_history(200)[::-1]
    server.answers["GET /chat-history/c/paginated"] = lambda: an_answer(page)
    source, transport = an_account(server)
    assert ids(await read(source, MessageWindow(last=100)))[-1] == "m0199"
    with pytest.raises(UnexpectedAnswer, match="do not come to an end"):
        await read(source, MessageWindow(first=1))
    assert len(transport.requests) < 10


async def test_history_that_never_ends_is_given_up() -> None:
    numbers = itertools.count()

    def page() -> Any:
        top = next(numbers) * 200
        return an_answer(
            {
                "messages": [a_message(f"m{top + number}", at=-(top + number)) for number in range(200)],
                "has_more": True,
            }
        )

    source, transport = an_account(Splox(answers={"GET /chat-history/c/paginated": page}))
    with pytest.raises(UnexpectedAnswer):
        await read(source, MessageWindow(first=1))
    assert len(transport.requests) == 100


async def test_promise_of_more_that_brings_nothing_is_the_end() -> None:
    source, _ = an_account(
        Splox(answers={"GET /chat-history/c/paginated": lambda: an_answer({"messages": [], "has_more": True})})
    )
    assert ids(await read(source, MessageWindow(last=5))) == []


@pytest.mark.parametrize("body", [{"messages": None, "has_more": False}, {"messages": []}, []])
async def test_empty_history_of_a_known_chat_is_empty(body: Any) -> None:
    source, transport = an_account(Splox(answers={"GET /chat-history/c/paginated": lambda: an_answer(body)}))
    found = await read(source, MessageWindow(last=5))
    assert (ids(found), found.is_complete, found.total) == ([], True, 0)
    assert transport.lines[1:] == ["GET /chats/c"]


async def test_empty_history_of_an_unknown_chat_is_no_chat() -> None:
    """Whether Splox answers 404 or an empty list is not documented."""
    for knows in (True, False):
        source, _ = an_account(Splox(knows_missing_histories=knows))
        assert await source.read_messages("gone", MessageWindow(last=5)) is None
        assert await source.get_message("gone", "m") is None


@pytest.mark.parametrize("chat_id", ["c", "not-a-uuid"])
async def test_refused_history_asks_whether_there_is_such_a_chat(chat_id: str) -> None:
    path = f"GET /chat-history/{chat_id}/paginated"
    source, _ = an_account(Splox(answers={path: lambda: an_answer({"error": "invalid request"}, 400)}))
    if chat_id == "c":
        with pytest.raises(UpstreamRejected):
            await source.read_messages(chat_id, MessageWindow(last=5))
    else:
        assert await source.read_messages(chat_id, MessageWindow(last=5)) is None


async def test_row_that_cannot_be_read_is_counted_and_makes_the_reading_no_whole() -> None:
    """A whole reading would take what it does not show for deleted."""
    bad: list[Any] = [a_message("x") | {"role": None}, {"id": "y"}, None, a_message("z") | {"content": 7}]
    server = Splox(answers={"GET /chat-history/c/paginated": lambda: an_answer([*a_history(2)[::-1], *bad])})
    source, _ = an_account(server)
    found = await read(source, MessageWindow(last=5))
    assert (ids(found), found.skipped.count, found.is_complete, found.has_before) == (
        ["m0000", "m0001"],
        4,
        False,
        False,
    )
    assert source.health().contract_drift == 4


async def test_history_that_runs_forwards_is_turned_round() -> None:
    source, _ = an_account(Splox(answers={"GET /chat-history/c/paginated": lambda: an_answer(a_history(3))}))
    assert ids(await read(source, MessageWindow(last=5))) == ["m0000", "m0001", "m0002"]


async def test_messages_without_times_are_shown_as_far_as_one_page_goes() -> None:
    """`created_at` is optional in the documents."""
    rows = [{**row, "created_at": None} for row in a_history(3)[::-1]]
    source, _ = an_account(Splox(answers={"GET /chat-history/c/paginated": lambda: an_answer(rows)}))
    assert ids(await read(source, MessageWindow(last=5))) == ["m0000", "m0001", "m0002"]


async def test_parents_that_splox_tells_are_shown_and_a_fork_is_listed_in_whole() -> None:
    """Splox's app can fork; its API shows parents and one list. None of the list may disappear behind a branch."""
    messages = a_history(4)
    messages[3]["parent_id"] = "m0000"
    source, _ = an_account(Splox(messages=messages))
    found = await read(source, MessageWindow(last=10))
    assert ids(found) == ["m0000", "m0001", "m0002", "m0003"]
    assert [message.parent_id for message in found.messages] == [None, "m0000", "m0001", "m0000"]
    assert (found.is_complete, found.has_before, found.total) == (False, False, 4)


async def test_message_that_comes_twice_is_shown_once() -> None:
    rows = a_history(3)[::-1]
    source, _ = an_account(Splox(answers={"GET /chat-history/c/paginated": lambda: an_answer([*rows, *rows])}))
    assert ids(await read(source, MessageWindow(last=10))) == ["m0000", "m0001", "m0002"]


async def test_message_that_comes_again_at_the_end_keeps_its_place() -> None:
    rows = a_history(3)[::-1]
    source, _ = an_account(Splox(answers={"GET /chat-history/c/paginated": lambda: an_answer([*rows, rows[0]])}))
    assert ids(await read(source, MessageWindow(last=10))) == ["m0000", "m0001", "m0002"]


async def test_first_message_of_a_window_has_its_parent_though_a_page_ends_there() -> None:
    """The same message must read alike in every window: another parent would look like an edit."""
    source, _ = an_account(Splox(messages=a_history(450)))
    newest = await read(source, MessageWindow(last=200))
    assert (len(newest.messages), newest.messages[0].native_id, newest.messages[0].parent_id) == (
        200,
        "m0250",
        "m0249",
    )
    older = await read(source, MessageWindow(last=199, before="m0250"))
    assert (len(older.messages), older.messages[0].native_id, older.messages[0].parent_id) == (199, "m0051", "m0050")
