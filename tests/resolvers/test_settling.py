"""Our own messages are found again in what a source shows under ids of its own."""

from pathlib import Path

import pytest

from domain.errors import OutcomeUnknown
from domain.records import Message, MessageRole, MessageState
from domain.source import MessagesRead
from resolvers.context import utc_now
from resolvers.sending import ReplyMode
from resolvers.settling import match_own, own_rows_settled
from resolvers.targets import chat_target
from tests.builders import a_message
from tests.fakes import Fault
from tests.resolvers.rooms import a_chat_room, at_source, chat_id, say, settled, shown, texts

pytestmark = pytest.mark.anyio


def user(native_id: str, text: str, parent: str | None = None) -> Message:
    return a_message(native_id, text=text, parent_id=parent)


def answer(native_id: str, text: str = "Yes", parent: str | None = None) -> Message:
    return a_message(native_id, text=text, parent_id=parent, role=MessageRole.ASSISTANT)


def chained(*messages: Message) -> list[Message]:
    """Each behind the one before it."""
    return list(messages)


def test_row_is_the_first_equal_message_behind_its_parent() -> None:
    seen = chained(user("n1", "Hi"), answer("n2"), user("n3", "Hi"), user("n4", "Hi"))
    assert match_own(seen, [user("p", "Hi", "n2")], {}) == {"n3": "p"}


def test_row_whose_parent_is_not_shown_is_not_guessed() -> None:
    assert match_own([user("n1", "Hi")], [user("p", "Hi", "elsewhere")], {}) == {}


def test_message_of_another_role_is_not_ours() -> None:
    assert match_own([answer("n1", "Hi")], [user("p", "Hi")], {}) == {}


def test_two_equal_rows_are_two_messages_in_their_order() -> None:
    seen = chained(user("n1", "Hi"), answer("n2"), user("n3", "Hi"), answer("n4"))
    own = [user("p1", "Hi"), answer("r1", "", "p1"), user("p2", "Hi", "r1"), answer("r2", "", "p2")]
    assert match_own(seen, own, {}) == {"n1": "p1", "n2": "r1", "n3": "p2", "n4": "r2"}


def test_one_message_for_two_equal_rows_is_the_later_one() -> None:
    """The earlier one was looked for before the later one was sent."""
    own = [user("p1", "Hi"), answer("r1", "", "p1"), user("p2", "Hi", "r1"), answer("r2", "", "p2")]
    assert match_own(chained(user("n1", "Hi"), answer("n2")), own, {}) == {"n1": "p2", "n2": "r2"}


def test_row_behind_one_that_never_came_is_found_all_the_same() -> None:
    own = [user("p1", "Lost", "m0"), answer("r1", "", "p1"), user("p2", "Here", "r1")]
    assert match_own(chained(user("m0", "Before"), user("n1", "Here")), own, {}) == {"n1": "p2"}


def test_reply_is_the_answer_before_anybody_else_speaks() -> None:
    seen = chained(user("n1", "Hi"), user("n2", "Foreign"), answer("n3", "To the foreign one"))
    assert match_own(seen, [user("p", "Hi"), answer("r", "", "p")], {}) == {"n1": "p"}


def test_nothing_is_bound_twice() -> None:
    seen = chained(user("n1", "Hi"))
    assert match_own(seen, [user("p2", "Hi")], {"n1": "p1"}) == {}
    assert match_own(seen, [user("p1", "Hi")], {"n1": "p1"}) == {}


async def test_row_that_never_comes_hides_nothing_that_comes_later(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        room.source.faults.append(Fault.BEFORE)
        with pytest.raises(OutcomeUnknown):
            await say(room, "Lost")
        await say(room, "Here")
        room.source.says_by_itself("c1", "From elsewhere")
        assert await texts(room) == ["Here", "From elsewhere", "Lost"]
        assert (await shown(room))[-1].state is MessageState.PENDING


async def test_equal_texts_in_a_row_of_which_the_first_was_lost(folder: Path) -> None:
    async with a_chat_room(folder, "Before") as room:
        room.source.faults.extend([Fault.BEFORE, Fault.AFTER])
        with pytest.raises(OutcomeUnknown):
            await say(room, "Hi", reply=ReplyMode.STREAM)
        second = await say(room, "Hi", reply=ReplyMode.STREAM)
        await settled(room)
        assert at_source(room, "Hi") == ["Hi"]
        assert second.message is not None
        complete = [row.native_id for row in await shown(room) if row.text == "Hi" and row.state.is_final]
        assert complete == [second.message.native_id]


async def test_page_from_the_middle_does_not_end_with_what_waits(folder: Path) -> None:
    async with a_chat_room(folder, "One", "Two") as room:
        room.source.faults.append(Fault.BEFORE)
        with pytest.raises(OutcomeUnknown):
            await say(room, "Lost")
        target = await chat_target(room.context(), chat_id(room))
        page = MessagesRead(messages=[user("m0", "One")], started_at=utc_now(), is_complete=False, has_after=True)
        assert (await own_rows_settled(room.context(), target, page)).messages == page.messages
        end = MessagesRead(messages=[answer("m1", "Two", "m0")], started_at=utc_now(), is_complete=False)
        appended = await own_rows_settled(room.context(), target, end)
        assert [message.text for message in appended.messages] == ["Two", "Lost"]
