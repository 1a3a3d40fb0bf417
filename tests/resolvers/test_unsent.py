"""Messages that failed after their sender was answered: they stay to be seen, at the end, until they are deleted or sent once more."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from domain.errors import CapabilityMissing, UpstreamRejected
from domain.records import EventKind, Message, MessageRole, MessageState
from resolvers.sending import ReplyMode, Sent, delete_message
from resolvers.targets import message_target
from storage.messages import MessagesSeen
from tests.builders import a_message
from tests.fakes import Fault
from tests.resolvers.conftest import Room
from tests.resolvers.rooms import a_chat_room, at_source, logged, message_id, say, settled, shown, texts

pytestmark = pytest.mark.anyio
LATE: dict[str, Any] = {"replies_late": True, "always_replies": True}
FAILED = MessageState.FAILED


async def fail(room: Room, text: str = "Lost", **fields: Any) -> Sent:
    """Send what the source refuses."""
    room.source.faults.append(Fault.REFUSED)
    sent = await say(room, text, reply=ReplyMode.WAIT, **fields)
    await settled(room)
    return sent


def ids_of(sent: Sent) -> list[str]:
    assert sent.message is not None
    assert sent.reply is not None
    return [sent.message.native_id, sent.reply.native_id]


def last(rows: Sequence[Message]) -> list[tuple[str, MessageState]]:
    return [(row.native_id, row.state) for row in rows[-2:]]


async def test_failed_message_is_still_there_after_complete_readings(folder: Path) -> None:
    async with a_chat_room(folder, "Before", **LATE) as room:
        lost = [(id_, FAILED) for id_ in ids_of(await fail(room))]
        for _ in range(3):
            assert last(await shown(room)) == lost
        assert await texts(room) == ["Before", "Lost", ""]
        assert await logged(room, EventKind.MESSAGE_DELETED) == []


async def test_reading_a_failed_message_again_is_no_news(folder: Path) -> None:
    async with a_chat_room(folder, "Before", **LATE) as room:
        await fail(room)
        await shown(room)
        known = await logged(room)
        await shown(room)
        assert await logged(room) == known


async def test_failed_message_stands_behind_whatever_comes_later(folder: Path) -> None:
    async with a_chat_room(folder, "Before", **LATE) as room:
        await fail(room)
        room.source.says_by_itself("c1", "From elsewhere")
        assert await texts(room) == ["Before", "From elsewhere", "Lost", ""]
        await say(room, "Here", reply=ReplyMode.WAIT)
        assert await texts(room) == ["Before", "From elsewhere", "Here", "Hello yourself", "Lost", ""]


async def test_next_message_follows_what_is_at_the_source(folder: Path) -> None:
    async with a_chat_room(folder, "Before", **LATE) as room:
        await fail(room)
        sent = await say(room, "Here", reply=ReplyMode.WAIT)
        assert sent.message is not None
        assert sent.message.parent_id == "m0"
        rows = {row.native_id: row for row in await shown(room)}
        assert [rows[id_].state for id_ in ids_of(sent)] == [MessageState.COMPLETE, MessageState.COMPLETE]
        assert rows[sent.message.native_id].parent_id == "m0"


async def test_failed_message_is_shown_while_the_source_is_down_too(folder: Path) -> None:
    async with a_chat_room(folder, "Before", **LATE) as room:
        await fail(room)
        await shown(room)
        room.source.fails = UpstreamRejected("Down.", source_id=1, operation="read_messages")
        assert await texts(room) == ["Before", "Lost", ""]


async def test_equal_words_at_the_source_are_not_the_failed_message(folder: Path) -> None:
    async with a_chat_room(folder, "Before", **LATE) as room:
        lost = ids_of(await fail(room))
        room.source.says_by_itself("c1", "Lost")
        rows = await shown(room)
        assert [row.text for row in rows] == ["Before", "Lost", "Lost", ""]
        assert last(rows) == [(id_, FAILED) for id_ in lost]


async def test_sending_once_more_takes_the_failed_message_away(folder: Path) -> None:
    async with a_chat_room(folder, "Before", **LATE) as room:
        lost = ids_of(await fail(room, idempotency_key="k"))
        again = await say(room, "Lost", reply=ReplyMode.WAIT, idempotency_key="k")
        assert at_source(room) == ["Before", "Lost"]
        assert [row.native_id for row in await shown(room)] == ["m0", *ids_of(again)]
        gone = [native_id for _, native_id in await logged(room, EventKind.MESSAGE_DELETED)]
        assert sorted(gone) == sorted(lost)


async def test_another_failure_under_the_same_key_leaves_one_message(folder: Path) -> None:
    async with a_chat_room(folder, "Before", **LATE) as room:
        await fail(room, idempotency_key="k")
        second = ids_of(await fail(room, idempotency_key="k"))
        assert last(await shown(room)) == [(id_, FAILED) for id_ in second]
        assert await texts(room) == ["Before", "Lost", ""]


async def test_failed_message_is_deleted_with_its_reply_and_without_a_call(folder: Path) -> None:
    async with a_chat_room(folder, "Before", **LATE) as room:
        lost = ids_of(await fail(room))
        await shown(room)
        room.source.calls.clear()
        deleted = await delete_message(room.context(), message_id=message_id(room, lost[0]))
        assert deleted.ids == [message_id(room, id_) for id_ in lost]
        assert deleted.message is not None
        assert deleted.message.deleted_at is not None
        assert room.source.calls == []
        for _ in range(2):
            assert await texts(room) == ["Before"]


async def test_any_other_message_is_deleted_only_where_the_source_can(folder: Path) -> None:
    async with a_chat_room(folder, "Before", **LATE) as room:
        await fail(room)
        with pytest.raises(CapabilityMissing):
            await delete_message(room.context(), message_id=message_id(room, "m0"))


async def test_what_was_deleted_at_the_source_goes_although_it_was_ours(folder: Path) -> None:
    async with a_chat_room(folder, "Before", **LATE) as room:
        lost = ids_of(await fail(room))
        sent = ids_of(await say(room, "Here", reply=ReplyMode.WAIT))
        await shown(room)
        del room.source.messages["c1"][-2:]
        assert [row.native_id for row in await shown(room)] == ["m0", *lost]
        gone = [native_id for _, native_id in await logged(room, EventKind.MESSAGE_DELETED)]
        assert sorted(gone) == sorted(sent)


async def test_failed_reply_that_the_source_had_shown_goes_with_it(folder: Path) -> None:
    async with a_chat_room(folder, "Before", **LATE) as room:
        sent = ids_of(await say(room, "Here", reply=ReplyMode.WAIT))
        rows = room.source.messages["c1"]
        rows[-1] = a_message(rows[-1].native_id, role=MessageRole.ASSISTANT, state=FAILED, parent_id=rows[-2].native_id)
        assert last(await shown(room))[1] == (sent[1], FAILED)
        del rows[-1]
        assert [row.native_id for row in await shown(room)] == ["m0", sent[0]]


async def test_reply_that_broke_off_behind_a_message_of_the_source_goes(folder: Path) -> None:
    """The source has the message and shows no reply to it: whatever it makes of it later is another one."""
    async with a_chat_room(folder, "Before", **LATE) as room:
        sent = ids_of(await say(room, "Here", reply=ReplyMode.WAIT))
        reply = a_message("broken", role=MessageRole.ASSISTANT, text="Half", state=FAILED, parent_id=sent[0])
        seen = MessagesSeen(
            organization_id=1,
            source_id=1,
            chat_id="c1",
            messages=[reply],
            started_at=room.context().now(),
            is_whole=False,
            includes_newest=False,
            is_own_write=True,
        )
        await room.gateway.store.database.write(lambda tx: room.gateway.store.messages.observe(tx, seen))
        await shown(room)
        target = await message_target(room.context(), message_id(room, "broken"))
        row = await room.gateway.store.messages.get(1, *target.key, "broken")
        assert row is not None
        assert row.deleted_at is not None


async def test_where_the_mutation_itself_fails_no_message_stays(folder: Path) -> None:
    async with a_chat_room(folder, "Before") as room:
        room.source.faults.append(Fault.REFUSED)
        with pytest.raises(UpstreamRejected):
            await say(room, "Lost")
        assert await texts(room) == ["Before"]
