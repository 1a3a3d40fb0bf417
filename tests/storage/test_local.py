"""The local store as a source: what is particular to it. What all sources have in common is said by the contract suite."""

from dataclasses import replace
from itertools import pairwise

import pytest

from domain.capabilities import Capability, ChatOrder, ChatOrderField, SupportLevel
from domain.errors import BadCursor, CapabilityMissing, InvalidArgument, NotFound
from domain.paging import chat_key, comes_before
from domain.records import CHAT_FIELDS, GATEWAY, Chat, FolderRef, HealthState, Message, MessageRole
from domain.source import (
    ChatSource,
    FirstMessage,
    FolderContents,
    MessageWindow,
    NewChat,
    NewMessage,
    SearchRequest,
)
from storage.local import LocalSource, connector
from storage.local_records import MAX_TEXT_BYTES
from tests.storage.conftest import World, an_organization, at

pytestmark = pytest.mark.anyio


@pytest.fixture
async def local(world: World) -> ChatSource:
    world.organization, world.source = await an_organization(world.store, "local", "local")
    return connector(world.store).connect(world.source, {})


async def send(
    local: ChatSource, chat: Chat, message_id: str, parent_id: str | None = None, text: str = "hello"
) -> Message:
    new = NewMessage(
        id=message_id,
        reply_id=f"reply to {message_id}",
        chat_id=chat.native_id,
        role=MessageRole.USER,
        text=text,
        parent_id=parent_id,
    )
    progress = [one async for one in local.send_message(new)]
    assert len(progress) == 1
    assert progress[0].message is not None
    return progress[0].message


async def path(local: ChatSource, chat: Chat, branch: str | None = None) -> list[str]:
    read = await local.read_messages(chat.native_id, MessageWindow(first=100, branch=branch))
    assert read is not None
    return [message.native_id for message in read.messages]


async def test_a_new_chat_tells_everything(local: ChatSource, world: World) -> None:
    chat = await local.create_chat(
        NewChat(title="T", agent="a", user_id="u", metadata={"k": 1}, tags=("b", "a", "a"), idempotency_id="id")
    )
    assert chat.told == CHAT_FIELDS
    assert (chat.native_id, chat.title, chat.tags, chat.pinned, chat.archived) == ("id", "T", ("a", "b"), False, False)
    assert (chat.message_count, chat.created_at, chat.last_message_at, chat.as_of) == (0, world.clock(), None, None)
    assert await world.news() == [("CHAT_CREATED", "id")]


async def test_creating_twice_under_one_id_creates_once(local: ChatSource, world: World) -> None:
    await local.create_chat(NewChat(title="first", idempotency_id="id"))
    assert (await local.create_chat(NewChat(title="second", idempotency_id="id"))).title == "first"
    assert await world.news() == [("CHAT_CREATED", "id")]


async def test_a_chat_can_begin_with_messages(local: ChatSource, world: World) -> None:
    first = (
        FirstMessage(id="m1", role=MessageRole.USER, text="question"),
        FirstMessage(id="m2", role=MessageRole.ASSISTANT, text="answer", metadata={"k": 1}),
    )
    chat = await local.create_chat(NewChat(messages=first))
    assert await path(local, chat) == ["m1", "m2"]
    assert chat.message_count == 2
    kinds = [kind for kind, _ in await world.news()]
    assert kinds == ["CHAT_CREATED", "MESSAGE_CREATED", "MESSAGE_CREATED"]


async def test_a_chat_is_filed_in_a_folder_of_the_gateway(local: ChatSource, world: World) -> None:
    organization_id = world.organization.id
    folder = await world.write(lambda tx: world.store.folders.add(tx, organization_id, "F", at=at(1)))
    chat = await local.create_chat(NewChat(folder_id=folder.native_id))
    assert chat.folder == FolderRef(GATEWAY, folder.native_id)
    assert (await local.move_chat(chat.native_id, None)).folder is None
    assert (await local.move_chat(chat.native_id, folder.native_id)).folder == folder.ref


async def test_a_folder_that_is_not_there_is_refused_and_nothing_is_written(local: ChatSource, world: World) -> None:
    with pytest.raises(InvalidArgument, match="Choose a folder") as caught:
        await local.create_chat(NewChat(folder_id="nowhere"))
    assert caught.value.path == ("folderId",)
    assert await world.events() == []
    assert (await local.list_chats(ChatOrder(), None)).rows == []


async def test_each_change_is_one_event_and_none_the_second_time(local: ChatSource, world: World) -> None:
    chat = await local.create_chat(NewChat(title="T", idempotency_id="c"))
    world.clock.now = at(2000)
    for _ in range(2):
        assert (await local.rename_chat("c", "New")).title == "New"
        assert (await local.set_tags("c", ["b", "a", "b"])).tags == ("a", "b")
        assert (await local.set_metadata("c", {"k": 1})).metadata == {"k": 1}
        assert (await local.set_pinned("c", True)).pinned is True
        assert (await local.set_archived("c", True)).archived is True
    assert [kind for kind, _ in await world.news()] == ["CHAT_CREATED"] + ["CHAT_UPDATED"] * 5
    assert (await local.rename_chat("c", None)).title is None
    assert chat.updated_at != (await local.set_pinned("c", False)).updated_at == at(2000)


async def test_pinning_does_not_move_a_chat_in_the_list(local: ChatSource, world: World) -> None:
    chat = await local.create_chat(NewChat(idempotency_id="c"))
    world.clock.now = at(2000)
    assert (await local.set_pinned("c", True)).updated_at == chat.updated_at


async def test_a_clock_that_goes_back_loses_no_write(local: ChatSource, world: World) -> None:
    await local.create_chat(NewChat(title="T", idempotency_id="c"))
    world.clock.now = at(-1000)
    assert (await local.rename_chat("c", "New")).title == "New"
    await local.delete_chat("c")
    assert await local.get_chat("c") is None


async def test_sending_extends_the_path_and_the_chat(local: ChatSource, world: World) -> None:
    chat = await local.create_chat(NewChat())
    await send(local, chat, "m1")
    world.clock.now = at(2000)
    message = await send(local, chat, "m2", "m1", "there")
    assert (message.text, message.created_at, message.parent_id) == ("there", at(2000), "m1")
    after = await local.get_chat(chat.native_id)
    assert after is not None
    assert (after.message_count, after.last_message_at, after.updated_at) == (2, at(2000), at(2000))
    assert [kind for kind, _ in await world.news()] == ["CHAT_CREATED", "MESSAGE_CREATED", "MESSAGE_CREATED"]


async def test_sending_twice_under_one_id_sends_once(local: ChatSource) -> None:
    chat = await local.create_chat(NewChat())
    await send(local, chat, "m1", text="first")
    assert (await send(local, chat, "m1", text="second")).text == "first"
    assert await path(local, chat) == ["m1"]


async def test_sending_to_an_older_message_begins_a_branch(local: ChatSource) -> None:
    chat = await local.create_chat(NewChat())
    await send(local, chat, "1")
    await send(local, chat, "2a", "1")
    await send(local, chat, "3a", "2a")
    await send(local, chat, "2b", "1")
    assert await path(local, chat) == ["1", "2b"]
    assert await path(local, chat, branch="2a") == ["1", "2a", "3a"]
    after = await local.get_chat(chat.native_id)
    assert after is not None
    assert after.message_count == 2


async def test_sending_to_a_message_that_is_gone_is_refused(local: ChatSource) -> None:
    chat = await local.create_chat(NewChat())
    with pytest.raises(NotFound, match="Read the chat again") as caught:
        await send(local, chat, "m1", "nowhere")
    assert caught.value.path == ("parentId",)


@pytest.mark.parametrize("text", ["", " \n", "x" * (MAX_TEXT_BYTES + 1), "ä" * (MAX_TEXT_BYTES // 2 + 1)])
async def test_empty_and_too_long_texts_are_refused(local: ChatSource, world: World, text: str) -> None:
    chat = await local.create_chat(NewChat(idempotency_id="c"))
    with pytest.raises(InvalidArgument) as caught:
        await send(local, chat, "m", text=text)
    assert caught.value.path == ("text",)
    with pytest.raises(InvalidArgument):
        await local.create_chat(NewChat(messages=(FirstMessage(id="m", role=MessageRole.USER, text=text),)))
    assert await world.news() == [("CHAT_CREATED", "c")]


async def test_a_text_of_exactly_the_limit_is_kept(local: ChatSource) -> None:
    chat = await local.create_chat(NewChat())
    text = "ä" * (MAX_TEXT_BYTES // 2)
    assert (await send(local, chat, "m", text=text)).text == text


async def test_editing_replaces_the_words_and_says_when(local: ChatSource, world: World) -> None:
    chat = await local.create_chat(NewChat(idempotency_id="c"))
    await send(local, chat, "m")
    world.clock.now = at(3000)
    message = await local.edit_message("c", "m", "new words")
    assert (message.text, message.edited_at) == ("new words", at(3000))
    await local.edit_message("c", "m", "new words")
    assert [kind for kind, _ in await world.news()] == ["CHAT_CREATED", "MESSAGE_CREATED", "MESSAGE_UPDATED"]


async def test_what_follows_a_deleted_message_moves_up(local: ChatSource, world: World) -> None:
    chat = await local.create_chat(NewChat(idempotency_id="c"))
    for message_id, parent_id in (("1", None), ("2", "1"), ("3a", "2"), ("3b", "2")):
        await send(local, chat, message_id, parent_id)
    assert await local.delete_message("c", "2") == ("2",)
    assert await path(local, chat) == ["1", "3b"]
    assert await path(local, chat, branch="3a") == ["1", "3a"]
    gone = await local.get_message("c", "2")
    assert gone is not None
    assert (gone.deleted_at, gone.text) == (world.clock(), "")
    assert [event for event in await world.news() if event[0] == "MESSAGE_DELETED"] == [("MESSAGE_DELETED", "2")]


async def test_deleting_the_end_of_the_path_ends_it_earlier(local: ChatSource) -> None:
    chat = await local.create_chat(NewChat(idempotency_id="c"))
    await send(local, chat, "1")
    await send(local, chat, "2", "1")
    await local.delete_message("c", "2")
    assert await path(local, chat) == ["1"]
    await local.delete_message("c", "1")
    assert await path(local, chat) == []
    after = await local.get_chat("c")
    assert after is not None
    assert (after.message_count, after.last_message_at) == (0, None)
    await send(local, chat, "3")
    assert await path(local, chat) == ["3"]


async def test_what_is_not_there_is_none_when_read_and_not_found_when_written(local: ChatSource) -> None:
    chat = await local.create_chat(NewChat(idempotency_id="c"))
    assert await local.get_chat("x") is None
    assert await local.read_messages("x", MessageWindow(first=1)) is None
    assert await local.get_message("c", "x") is None
    for write in (
        local.rename_chat("x", "T"),
        local.move_chat("x", None),
        local.delete_chat("x"),
        local.edit_message("c", "x", "T"),
        local.edit_message("x", "x", "T"),
        local.delete_message("c", "x"),
        send(local, replace(chat, native_id="x"), "m"),
    ):
        with pytest.raises(NotFound, match="Check the id"):
            await write


async def test_deleting_a_chat_is_one_event(local: ChatSource, world: World) -> None:
    chat = await local.create_chat(NewChat(idempotency_id="c"))
    await send(local, chat, "m")
    await local.delete_chat("c")
    assert (await world.news())[-1] == ("CHAT_DELETED", "c")
    assert await local.read_messages("c", MessageWindow(first=1)) is None


@pytest.mark.parametrize(
    "order", [ChatOrder(field, down) for field in ChatOrderField for down in (True, False)], ids=str
)
async def test_the_list_is_paged_both_ways_in_every_order(local: ChatSource, world: World, order: ChatOrder) -> None:
    for number in range(105):
        world.clock.now = at(number // 3)
        await local.create_chat(NewChat(title=f"T{number % 7}", idempotency_id=f"{number:03}"))
    await local.set_archived("007", True)
    pages = [await local.list_chats(order, None)]
    while (token := pages[-1].next) is not None:
        pages.append(await local.list_chats(order, token))
    rows = [chat for page in pages for chat in page.rows]
    assert [len(page.rows) for page in pages] == [50, 50, 4]
    keys = [chat_key(chat, order.field) for chat in rows]
    assert all(comes_before(one, other, order) for one, other in pairwise(keys))
    assert "007" not in {chat.native_id for chat in rows}
    back = [pages[-1]]
    while (token := back[0].previous) is not None:
        back.insert(0, await local.list_chats(order, token))
    assert [chat for page in back for chat in page.rows] == rows
    assert pages[0].previous is None


async def test_a_place_in_the_list_outlives_its_row(local: ChatSource, world: World) -> None:
    for number in range(60):
        world.clock.now = at(number)
        await local.create_chat(NewChat(idempotency_id=f"{number:02}"))
    first = await local.list_chats(ChatOrder(), None)
    for chat in first.rows:
        await local.delete_chat(chat.native_id)
    second = await local.list_chats(ChatOrder(), first.next)
    assert [chat.native_id for chat in second.rows] == [f"{number:02}" for number in range(9, -1, -1)]
    empty = await local.list_chats(ChatOrder(), second.previous)
    assert empty.rows == []


@pytest.mark.parametrize("token", ["", "x", "[]", '["after",1,2,3,4]', '["sideways",false,1,1,"a"]', "null"])
async def test_a_token_that_is_not_ours_is_a_bad_cursor(local: ChatSource, token: str) -> None:
    with pytest.raises(BadCursor, match="Start again without a cursor"):
        await local.list_chats(ChatOrder(), token)


async def test_draining_gives_every_chat_archived_ones_too(local: ChatSource, world: World) -> None:
    for number in range(3):
        await local.create_chat(NewChat(idempotency_id=str(number)))
    await local.set_archived("1", True)
    rows = [chat.native_id async for page in local.drain_chats(frozenset({"title"})) for chat in page.rows]
    assert sorted(rows) == ["0", "1", "2"]


async def test_search_goes_on_behind_a_page(local: ChatSource) -> None:
    chat = await local.create_chat(NewChat(title="needle"))
    for number in range(4):
        await send(local, chat, str(number), str(number - 1) if number else None, text=f"a needle, number {number}")
    found: list[str] = []
    token: str | None = None
    while True:
        page = await local.search(SearchRequest(text="needle", limit=2, token=token))
        found += [hit.found.native_id for hit in page.rows]
        token = page.next
        if token is None:
            break
    assert sorted(found) == sorted(["0", "1", "2", "3", chat.native_id])


async def test_the_table_is_kept(local: ChatSource, world: World) -> None:
    table = local.capabilities
    refused = {one for one in Capability if table.level(one) is SupportLevel.UNSUPPORTED}
    assert refused == {
        Capability.GENERATE_REPLY,
        Capability.STREAM_REPLY,
        Capability.STOP_REPLY,
        Capability.REGENERATE_REPLY,
        Capability.SHARE_CHAT,
    }
    assert set(table.support) == set(Capability)
    assert len(table.native_orders) == 6
    assert not table.has_folders
    before = await world.events()
    for call in (
        local.share_chat("c"),
        local.unshare_chat("c"),
        local.stop_reply("c", "m"),
        local.create_folder("F", None),
        local.update_folder("f", name="F", parent_id=None, moves=False),
        local.delete_folder("f", FolderContents.KEEP_CHATS),
        anext(aiter(local.regenerate("c", "m", reply_id="r", model=None))),
    ):
        with pytest.raises(CapabilityMissing, match=r"Source\.capabilities"):
            await call
    assert await world.events() == before


async def test_it_answers_for_itself(local: ChatSource, world: World) -> None:
    assert isinstance(local, LocalSource)
    assert local.source == world.source
    assert local.health().state is HealthState.HEALTHY
    assert [check.passed for check in await local.check()] == [True]
    account = await local.account()
    assert account is not None
    assert (account.slug, account.native_id) == ("local", str(world.organization.id))
    assert (list(await local.list_folders()), await local.list_agents()) == ([], None)
    chat = await local.create_chat(NewChat())
    sent = await send(local, chat, "m")
    assert [one async for one in local.follow_reply(chat.native_id, "m")] == [sent]
    await local.aclose()
