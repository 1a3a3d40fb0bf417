"""Writing chats: where it is kept, what is refused before any call, and what everybody sees afterwards."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.capabilities import Capability, Support, native, overlay, unsupported
from domain.errors import (
    CapabilityMissing,
    Conflict,
    Forbidden,
    IdempotencyConflict,
    InvalidArgument,
    NotFound,
    OutcomeUnknown,
    UpstreamRejected,
    UpstreamTimeout,
)
from domain.ids import IdType, folder_id, format_id
from domain.records import GATEWAY, Chat, EventKind, Folder, FolderRef, MessageRole, Role
from resolvers.chat_creation import CreateChat, FirstMessageInput, create_chat
from resolvers.chat_writes import (
    delete_chat,
    mark_chat_read,
    move_chat,
    set_chat_archived,
    set_chat_pinned,
    set_chat_tags,
    share_chat,
    unshare_chat,
    update_chat,
)
from resolvers.chats import get_chat, load_unread_counts, version_of
from resolvers.context import Context
from resolvers.folders import create_folder
from resolvers.sending import ReplyMode
from tests.builders import a_chat, a_message, a_principal, at
from tests.fakes import FakeSource
from tests.resolvers.conftest import Room, a_room
from tests.resolvers.rooms import ALL_NATIVE, a_chat_room, a_vendor, chat_id, logged, message_id, say, shown, source_id

pytestmark = pytest.mark.anyio
Write = Callable[[Context, str], Awaitable[Chat]]
WRITES: dict[Capability, tuple[Write, str, Any]] = {
    Capability.RENAME_CHAT: (lambda c, i: update_chat(c, chat_id=i, title="New"), "title", "New"),
    Capability.EDIT_METADATA: (lambda c, i: update_chat(c, chat_id=i, metadata={"a": 1}), "metadata", {"a": 1}),
    Capability.TAG_CHAT: (lambda c, i: set_chat_tags(c, chat_id=i, tags=["b", " a "]), "tags", ("a", "b")),
    Capability.PIN_CHAT: (lambda c, i: set_chat_pinned(c, chat_id=i, pinned=True), "pinned", True),
    Capability.ARCHIVE_CHAT: (lambda c, i: set_chat_archived(c, chat_id=i, archived=True), "archived", True),
}
OTHER: dict[Capability, Callable[[Context, str], Awaitable[Any]]] = {
    Capability.MOVE_CHAT: lambda c, i: move_chat(c, chat_id=i, folder_id=None),
    Capability.SHARE_CHAT: lambda c, i: share_chat(c, chat_id=i),
    Capability.DELETE_CHAT: lambda c, i: delete_chat(c, chat_id=i),
}
CALLS = {
    Capability.RENAME_CHAT: "rename_chat",
    Capability.EDIT_METADATA: "set_metadata",
    Capability.TAG_CHAT: "set_tags",
    Capability.PIN_CHAT: "set_pinned",
    Capability.ARCHIVE_CHAT: "set_archived",
}


def levels(**changes: Support) -> dict[Capability, Support]:
    return {Capability[name]: support for name, support in changes.items()}


# Levels


@pytest.mark.parametrize("capability", WRITES, ids=str)
async def test_native_write_is_done_at_the_source(folder: Path, capability: Capability) -> None:
    write, field, value = WRITES[capability]
    async with a_chat_room(folder, also=ALL_NATIVE) as room:
        await get_chat(room.context(), chat_id(room))
        written = await write(room.context(), chat_id(room))
        assert getattr(written, field) == getattr(room.source.chats[0], field) == value
        assert CALLS[capability] in room.source.calls
        assert await room.gateway.store.chats.overlays(1, [(1, "c1")]) == {}


@pytest.mark.parametrize("capability", WRITES, ids=str)
async def test_overlay_is_kept_here_and_survives_every_reading(folder: Path, capability: Capability) -> None:
    write, field, value = WRITES[capability]
    async with a_chat_room(folder, also={capability: overlay()}) as room:
        before = getattr(room.source.chats[0], field)
        written = await write(room.context(), chat_id(room))
        assert getattr(written, field) == value
        assert getattr(room.source.chats[0], field) == before
        assert CALLS[capability] not in room.source.calls
        again = await get_chat(room.context(), chat_id(room))
        assert again is not None
        assert getattr(again, field) == value


@pytest.mark.parametrize("capability", [*WRITES, *OTHER], ids=str)
async def test_what_a_source_cannot_do_costs_no_call(folder: Path, capability: Capability) -> None:
    write = WRITES[capability][0] if capability in WRITES else OTHER[capability]
    async with a_chat_room(folder, also={capability: unsupported("it is too old")}) as room:
        with pytest.raises(CapabilityMissing) as caught:
            await write(room.context(), chat_id(room))
        assert caught.value.capability is capability
        assert "it is too old" in caught.value.message
        assert room.source.calls == []


@pytest.mark.parametrize("level", [native(), overlay()], ids=["native", "overlay"])
async def test_saying_the_same_twice_is_news_once(folder: Path, level: Support) -> None:
    async with a_chat_room(folder, also={Capability.PIN_CHAT: level}) as room:
        await get_chat(room.context(), chat_id(room))
        for _ in range(2):
            await set_chat_pinned(room.context(), chat_id=chat_id(room), pinned=True)
        assert await logged(room, EventKind.CHAT_UPDATED) == [("CHAT_UPDATED", "c1")]


async def test_coupled_change_is_shown_as_the_source_made_it(folder: Path) -> None:
    """Archiving takes the chat out of the source's folder."""
    fake = a_vendor(also=ALL_NATIVE, has_folders=True)
    fake.folders = [Folder(organization_id=1, source_id=1, native_id="f1", name="F")]
    async with a_room(folder, fake) as room:
        moved = await move_chat(room.context(), chat_id=chat_id(room), folder_id=folder_id(1, "f1"))
        assert moved.folder == FolderRef(1, "f1")
        archived = await set_chat_archived(room.context(), chat_id=chat_id(room), archived=True)
        assert (archived.archived, archived.folder) == (True, None)


@pytest.mark.parametrize("capability", [*WRITES, *OTHER], ids=str)
async def test_chat_that_is_not_there_is_not_found(folder: Path, capability: Capability) -> None:
    write = WRITES[capability][0] if capability in WRITES else OTHER[capability]
    async with a_chat_room(
        folder, also=levels(SHARE_CHAT=native(), RENAME_CHAT=overlay(), EDIT_METADATA=native())
    ) as room:
        with pytest.raises(NotFound):
            await write(room.context(), chat_id(room, "nowhere"))
        with pytest.raises(NotFound):
            await write(room.context(), format_id(IdType.CHAT, 9, "c1"))
        assert await logged(room) == []


async def test_write_is_shown_although_somebody_read_the_chat_meanwhile(folder: Path) -> None:
    async with a_chat_room(folder, also=ALL_NATIVE) as room:
        room.source.hold_at["set_pinned"] = asyncio.Event()
        writing = asyncio.ensure_future(set_chat_pinned(room.context(), chat_id=chat_id(room), pinned=True))
        await room.source.until_asked("set_pinned")
        await room.source.rename_chat("c1", "Elsewhere")
        await get_chat(room.context(), chat_id(room))
        room.source.hold_at["set_pinned"].set()
        written = await writing
        assert (written.pinned, written.title) == (True, "Elsewhere")


async def test_viewer_may_not_write(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        with pytest.raises(Forbidden):
            await set_chat_pinned(room.context(role=Role.VIEWER), chat_id=chat_id(room), pinned=True)
        assert room.source.calls == []


async def test_share_and_unshare(folder: Path) -> None:
    async with a_chat_room(folder, also=ALL_NATIVE) as room:
        assert (await share_chat(room.context(), chat_id=chat_id(room))).share_url is not None
        assert (await unshare_chat(room.context(), chat_id=chat_id(room))).share_url is None


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"title": " "}, ("title",)),
        ({"title": "x" * 1001}, ("title",)),
        ({"metadata": [1]}, ("metadata",)),
    ],
)
async def test_impossible_values_are_refused_before_any_call(
    folder: Path, arguments: dict[str, Any], path: tuple[str, ...]
) -> None:
    async with a_chat_room(folder, also=ALL_NATIVE) as room:
        with pytest.raises(InvalidArgument) as caught:
            await update_chat(room.context(), chat_id=chat_id(room), **arguments)
        assert caught.value.path == path
        assert room.source.calls == []


@pytest.mark.parametrize(
    ("tags", "path"), [(["ok", ""], ("tags", "1")), (["x" * 101], ("tags", "0")), (["t"] * 51, ("tags",))]
)
async def test_impossible_tags_are_refused_before_any_call(
    folder: Path, tags: list[str], path: tuple[str, ...]
) -> None:
    async with a_chat_room(folder, also=ALL_NATIVE) as room:
        with pytest.raises(InvalidArgument) as caught:
            await set_chat_tags(room.context(), chat_id=chat_id(room), tags=tags)
        assert caught.value.path == path
        assert room.source.calls == []


async def test_null_title_empties_it_and_title_left_out_stays(folder: Path) -> None:
    async with a_chat_room(folder, also=ALL_NATIVE) as room:
        await update_chat(room.context(), chat_id=chat_id(room), metadata={"a": 1})
        assert room.source.chats[0].title == "A chat"
        await update_chat(room.context(), chat_id=chat_id(room), title=None)
        assert room.source.chats[0].title is None


# Versions


async def test_expected_version_that_is_current_lets_the_write_through(folder: Path) -> None:
    async with a_chat_room(folder, also=ALL_NATIVE) as room:
        chat = await get_chat(room.context(), chat_id(room))
        assert chat is not None
        version = await version_of(room.context(), chat)
        changed = await update_chat(room.context(), chat_id=chat_id(room), title="New", expected_version=version)
        assert changed.title == "New"


async def test_expected_version_that_is_old_changes_nothing_and_names_the_current_one(folder: Path) -> None:
    async with a_chat_room(folder, also=ALL_NATIVE) as room:
        chat = await get_chat(room.context(), chat_id(room))
        assert chat is not None
        old = await version_of(room.context(), chat)
        await room.source.rename_chat("c1", "Elsewhere")
        for write in (
            update_chat(room.context(), chat_id=chat_id(room), title="New", expected_version=old),
            set_chat_tags(room.context(), chat_id=chat_id(room), tags=["a"], expected_version=old),
            delete_chat(room.context(), chat_id=chat_id(room), expected_version=old),
        ):
            with pytest.raises(Conflict) as caught:
                await write
        chat = await get_chat(room.context(), chat_id(room))
        assert chat is not None
        assert caught.value.current_version == await version_of(room.context(), chat) != old
        assert (chat.title, chat.tags) == ("Elsewhere", None)


async def test_expected_version_of_a_chat_that_is_gone_is_not_found(folder: Path) -> None:
    async with a_chat_room(folder, also=ALL_NATIVE) as room:
        with pytest.raises(NotFound):
            await delete_chat(room.context(), chat_id=chat_id(room, "nowhere"), expected_version="x")


# Deleting


async def test_deleting_takes_the_chat_its_messages_and_its_overlay(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        await set_chat_pinned(room.context(), chat_id=chat_id(room), pinned=True)
        await delete_chat(room.context(), chat_id=chat_id(room))
        assert room.source.chats == []
        assert await get_chat(room.context(), chat_id(room)) is None
        assert await room.gateway.store.chats.overlays(1, [(1, "c1")]) == {}
        assert (await logged(room))[-1] == ("CHAT_DELETED", "c1")


async def test_chat_whose_deletion_fails_stays(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        room.source.fails_at["delete_chat"] = UpstreamRejected("No.", source_id=1, operation="delete_chat")
        with pytest.raises(UpstreamRejected):
            await delete_chat(room.context(), chat_id=chat_id(room))
        assert await get_chat(room.context(), chat_id(room)) is not None
        assert await logged(room, EventKind.CHAT_DELETED) == []


# Folders


async def own_folder(room: Room, name: str = "Mixed") -> str:
    made = await create_folder(room.context(), name=name, parent_id=None, source_id=None, idempotency_key=None)
    return folder_id(GATEWAY, made.value.native_id)


def with_folders(key: str) -> FakeSource:
    fake = a_vendor(key, also=ALL_NATIVE, has_folders=True)
    fake.folders = [Folder(organization_id=1, source_id=1, native_id="f1", name="F")]
    return fake


async def test_folder_of_the_gateway_holds_chats_of_any_source(folder: Path) -> None:
    async with a_room(folder, with_folders("one"), a_vendor("two")) as room:
        mixed = await own_folder(room)
        for source in ("one", "two"):
            moved = await move_chat(room.context(), chat_id=chat_id(room, source=source), folder_id=mixed)
            assert moved.folder is not None
            assert moved.folder.source_id == GATEWAY


async def test_folder_of_another_source_is_refused_with_its_path(folder: Path) -> None:
    async with a_room(folder, with_folders("one"), a_vendor("two")) as room:
        with pytest.raises(InvalidArgument) as caught:
            await move_chat(room.context(), chat_id=chat_id(room, source="two"), folder_id=folder_id(1, "f1"))
        assert caught.value.path == ("folderId",)
        assert room.sources["two"].calls == []


async def test_folder_that_is_not_there_is_not_found_with_its_path(folder: Path) -> None:
    async with a_room(folder, with_folders("one")) as room:
        for missing in [folder_id(1, "f9"), folder_id(GATEWAY, "9"), folder_id(7, "f1"), "x"]:
            with pytest.raises(NotFound) as caught:
                await move_chat(room.context(), chat_id=chat_id(room), folder_id=missing)
            assert caught.value.path == ("folderId",)
        assert "move_chat" not in room.source.calls


async def test_chat_is_in_one_folder_at_a_time(folder: Path) -> None:
    async with a_room(folder, with_folders("one")) as room:
        mixed = await own_folder(room)
        await move_chat(room.context(), chat_id=chat_id(room), folder_id=folder_id(1, "f1"))
        assert room.source.chats[0].folder == FolderRef(1, "f1")
        moved = await move_chat(room.context(), chat_id=chat_id(room), folder_id=mixed)
        assert room.source.chats[0].folder is None
        assert moved.folder is not None
        assert moved.folder.source_id == GATEWAY
        back = await move_chat(room.context(), chat_id=chat_id(room), folder_id=folder_id(1, "f1"))
        assert back.folder == FolderRef(1, "f1")
        out = await move_chat(room.context(), chat_id=chat_id(room), folder_id=None)
        assert (out.folder, room.source.chats[0].folder) == (None, None)


# Creating

FORM = {
    "type": "object",
    "additionalProperties": False,
    "required": ["agent"],
    "properties": {
        "title": {"type": "string"},
        "agent": {"type": "string", "description": "Which agent answers."},
        "userId": {"type": "string"},
        "tags": {"type": "array"},
        "messages": {"type": "array", "maxItems": 2},
        "options": {"type": "object", "properties": {"depth": {"type": "integer"}}, "additionalProperties": False},
    },
}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, ("agent",)),
        ({"agent": "a", "metadata": {}}, ("metadata",)),
        ({"agent": "a", "options": {"depth": "deep"}}, ("options", "depth")),
        ({"agent": "a", "options": {"deep": 1}}, ("options", "deep")),
        ({"agent": "a", "title": " "}, ("title",)),
        ({"agent": "a", "tags": ("",)}, ("tags", "0")),
        ({"agent": "a", "userId": "eve"}, ("userId",)),
        ({"agent": "a", "messages": (FirstMessageInput(role=MessageRole.USER, text=" "),)}, ("messages", "0", "text")),
        ({"agent": "a", "messages": (FirstMessageInput(role=MessageRole.USER, text="x"),) * 3}, ("messages",)),
        ({"agent": "a", "idempotency_key": "k" * 201}, ("idempotencyKey",)),
    ],
)
async def test_what_a_source_demands_is_checked_before_any_call(
    folder: Path, fields: dict[str, Any], path: tuple[str, ...]
) -> None:
    async with a_chat_room(folder, form=FORM, record={"options": {"user_ids": ["ann"]}}) as room:
        if "userId" in fields:
            fields = {**fields, "user_id": fields["userId"]}
            del fields["userId"]
        with pytest.raises(InvalidArgument) as caught:
            await create_chat(room.context(), CreateChat(source_id=source_id(1), **fields))
        assert caught.value.path == path
        assert room.source.calls == []


async def test_chat_can_be_created_for_a_user_that_the_source_may_act_for(folder: Path) -> None:
    async with a_chat_room(folder, form=FORM, record={"options": {"user_ids": ["ann"]}}) as room:
        await create_chat(room.context(), CreateChat(source_id=source_id(1), agent="a", user_id="ann"))
        assert room.source.created[0].user_id == "ann"


async def test_user_is_the_viewer_where_the_source_says_so(folder: Path) -> None:
    async with a_chat_room(folder, record={"options": {"user_id": "viewer"}}) as room:
        context = room.context(principal=a_principal(subject="ann"))
        await create_chat(context, CreateChat(source_id=source_id(1)))
        assert room.source.created[0].user_id == "ann"


@pytest.mark.parametrize(
    ("options", "asked", "is_allowed"),
    [
        ({"user_id": "viewer"}, "ann", True),
        ({"user_id": "viewer"}, "eve", False),
        ({"user_id": "viewer", "user_ids": ["eve"]}, "eve", True),
        ({"user_id": "robot", "user_ids": ["eve"]}, "robot", True),
        ({"user_id": "robot"}, "ann", False),
        ({}, "anybody", True),
    ],
)
async def test_user_that_is_asked_for_is_one_of_the_options_or_the_viewer(
    folder: Path, options: dict[str, Any], asked: str, is_allowed: bool
) -> None:
    """With `viewer` alone, anybody could have created chats in the name of everybody."""
    async with a_chat_room(folder, record={"options": options}) as room:
        context = room.context(principal=a_principal(subject="ann"))
        request = CreateChat(source_id=source_id(1), user_id=asked)
        if is_allowed:
            await create_chat(context, request)
            assert room.source.created[0].user_id == asked
            return
        with pytest.raises(InvalidArgument) as caught:
            await create_chat(context, request)
        assert caught.value.path == ("userId",)
        assert room.source.calls == []


async def test_created_chat_is_news_and_keeps_here_what_the_source_cannot(folder: Path) -> None:
    kept = levels(RENAME_CHAT=overlay(), TAG_CHAT=overlay(), EDIT_METADATA=overlay())
    async with a_chat_room(folder, also=kept) as room:
        mixed = await own_folder(room)
        request = CreateChat(source_id=source_id(1), title="T", tags=("b ", "a"), metadata={"m": 1}, folder_id=mixed)
        made = (await create_chat(room.context(), request)).value
        assert (made.title, made.tags, made.metadata) == ("T", ("a", "b"), {"m": 1})
        assert made.folder is not None
        assert ("CHAT_CREATED", "new1") in await logged(room)
        assert room.source.created[0].tags is None


async def test_tags_go_to_a_source_that_keeps_them(folder: Path) -> None:
    async with a_chat_room(folder, also=ALL_NATIVE) as room:
        await create_chat(room.context(), CreateChat(source_id=source_id(1), tags=("b", "a", "a ")))
        assert room.source.created[0].tags == ("a", "b")


async def test_key_creates_once(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        request = CreateChat(source_id=source_id(1), title="T", idempotency_key="k")
        answers = await asyncio.gather(*(create_chat(room.context(), request) for _ in range(3)))
        assert {answer.value.native_id for answer in answers} == {"new1"}
        assert sorted(answer.replayed for answer in answers) == [False, True, True]
        with pytest.raises(IdempotencyConflict):
            await create_chat(room.context(), CreateChat(source_id=source_id(1), title="U", idempotency_key="k"))
        assert room.source.calls.count("create_chat") == 1


async def test_chat_that_was_perhaps_created_is_unknown_and_not_created_again(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        room.source.fails_at["create_chat"] = UpstreamTimeout(
            "Late.", source_id=1, operation="create_chat", perhaps_executed=True
        )
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                await create_chat(room.context(), CreateChat(source_id=source_id(1), idempotency_key="k"))
        assert room.source.calls.count("create_chat") == 1


async def test_certain_refusal_to_create_frees_the_key(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        room.source.fails_at["create_chat"] = UpstreamRejected("No.", source_id=1, operation="create_chat")
        with pytest.raises(UpstreamRejected):
            await create_chat(room.context(), CreateChat(source_id=source_id(1), idempotency_key="k"))
        room.source.fails_at.clear()
        made = await create_chat(room.context(), CreateChat(source_id=source_id(1), idempotency_key="k"))
        assert made.replayed is False


async def test_replay_of_a_chat_that_was_deleted_since_is_not_found(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        request = CreateChat(source_id=source_id(1), idempotency_key="k")
        await create_chat(room.context(), request)
        await delete_chat(room.context(), chat_id=chat_id(room, "new1"))
        with pytest.raises(NotFound):
            await create_chat(room.context(), request)


# Read markers


async def test_marker_moves_forwards_only_and_counts_what_is_behind_it(folder: Path) -> None:
    async with a_chat_room(folder, *"abcd") as room:

        async def unread(key: str = "key:1") -> list[int | None]:
            return await load_unread_counts(room.context(principal=a_principal(key=key)), [(1, "c1")])

        for up_to, left in [("m1", 2), ("m0", 2), ("m2", 1), (None, 0)]:
            mark = message_id(room, up_to) if up_to is not None else None
            await mark_chat_read(room.context(), chat_id=chat_id(room), up_to_message_id=mark)
            assert await unread() == [left]
        assert await unread("key:2") == [None]
        assert len(await logged(room, EventKind.READ_STATE_CHANGED)) == 3


async def test_own_messages_are_not_unread_and_those_of_others_are(folder: Path) -> None:
    async with a_chat_room(folder, "Before") as room:
        ann, bob = (room.context(principal=a_principal(key=key)) for key in ("key:1", "key:2"))

        async def unread() -> list[int | None]:
            return [(await load_unread_counts(who, [(1, "c1")]))[0] for who in (ann, bob)]

        for who in (ann, bob):
            await mark_chat_read(who, chat_id=chat_id(room), up_to_message_id=None)
        assert await unread() == [0, 0]
        await say(room, "Mine", ann)
        assert await unread() == [0, 1]
        await say(room, "And mine", bob, reply=ReplyMode.WAIT)
        assert await unread() == [2, 2]
        await shown(room)
        assert await unread() == [2, 2]
        rows = room.source.messages["c1"]
        rows.append(a_message("else", text="In the app", parent_id=rows[-1].native_id, created_at=at(999)))
        await shown(room)
        assert await unread() == [3, 3]
        await mark_chat_read(bob, chat_id=chat_id(room), up_to_message_id=None)
        assert await unread() == [3, 0]


async def test_marker_moves_back_only_when_that_is_asked_for(folder: Path) -> None:
    async with a_chat_room(folder, *"abcd") as room:
        for backwards, left in [(False, 0), (True, 3)]:
            await mark_chat_read(room.context(), chat_id=chat_id(room), up_to_message_id=None)
            await mark_chat_read(
                room.context(), chat_id=chat_id(room), up_to_message_id=message_id(room, "m0"), backwards=backwards
            )
            assert await load_unread_counts(room.context(), [(1, "c1")]) == [left]


async def test_marker_of_a_message_without_a_time_is_not_given_one(folder: Path) -> None:
    """Else the time of marking would be taken for it, and hide what was written before that on another branch."""
    async with a_chat_room(folder, "One") as room:
        room.source.messages["c1"] = [replace(room.source.messages["c1"][0], native_id="m9", created_at=None)]
        await mark_chat_read(room.context(), chat_id=chat_id(room), up_to_message_id=None)
        rows = await room.gateway.store.database.fetch_all("SELECT message_id, message_at FROM read_marker")
        assert rows == [("m9", None)]


async def test_marker_is_set_to_messages_of_the_chat_only(folder: Path) -> None:
    async with a_chat_room(folder, "One") as room:
        for wrong in [message_id(room, "m9"), message_id(room, "m0", "c2"), "x"]:
            with pytest.raises(NotFound) as caught:
                await mark_chat_read(room.context(), chat_id=chat_id(room), up_to_message_id=wrong)
            assert caught.value.path == ("upToMessageId",)
        with pytest.raises(NotFound):
            await mark_chat_read(room.context(), chat_id=chat_id(room, "nowhere"), up_to_message_id=None)
        assert await logged(room) == []


async def test_marking_an_empty_chat_is_no_news(folder: Path) -> None:
    async with a_chat_room(folder) as room:
        await mark_chat_read(room.context(), chat_id=chat_id(room), up_to_message_id=None)
        assert await shown(room) == []
        assert await logged(room) == []


async def test_chats_are_written_one_after_the_other(folder: Path) -> None:
    """Two writers of one chat never overlap at the source; writers of two chats may."""
    async with a_room(folder, a_vendor(chats=[a_chat("c1"), a_chat("c2")], also=ALL_NATIVE)) as room:
        room.source.hold = asyncio.Event()
        writing = [
            asyncio.ensure_future(set_chat_pinned(room.context(), chat_id=chat_id(room, chat), pinned=True))
            for chat in ("c1", "c1", "c2")
        ]
        await room.source.until_asked("set_pinned")
        while room.source.calls.count("set_pinned") < 2:
            await asyncio.wait(writing, timeout=0)
        assert room.source.calls.count("set_pinned") == 2
        room.source.hold.set()
        await asyncio.gather(*writing)
        assert room.source.calls.count("set_pinned") == 3
