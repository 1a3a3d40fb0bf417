"""Anything by its id; nothing of anybody else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from domain.errors import Forbidden, InvalidArgument, UpstreamUnavailable
from domain.ids import IdType, folder_id, format_id
from domain.paging import PageRequest
from domain.records import (
    GATEWAY,
    ApiKey,
    AuditEntry,
    Chat,
    Folder,
    Member,
    Message,
    Organization,
    Role,
    Scope,
    Source,
    Visibility,
)
from resolvers.folders import create_folder
from resolvers.nodes import node, nodes
from resolvers.organizations import add_member, audit_log, create_api_key
from tests.builders import a_principal
from tests.resolvers.conftest import Room, a_room
from tests.resolvers.rooms import a_vendor, chat_id, message_id, shown, source_id

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def a_full_room(folder: Path) -> AsyncIterator[tuple[Room, dict[str, str]]]:
    """One thing of each kind; the source belongs to key:1 alone."""
    mine = a_vendor("mine", "One", record={"visibility": Visibility.OWNER, "owner": "key:1"})
    async with a_room(folder, mine) as room:
        await shown(room)
        made = await create_folder(room.context(), name="F", parent_id=None, source_id=None, idempotency_key=None)
        member = await add_member(
            room.context(),
            organization_id=format_id(IdType.ORGANIZATION, room.organization.id),
            subject="ann",
            issuer="https://id.example.com",
            display_name=None,
            role=Role.MEMBER,
        )
        key, _ = await create_api_key(room.context(), name="K", scopes=[Scope.READ], expires_at=None)
        audit = await audit_log(room.context(), room.organization, PageRequest(first=1))
        assert audit is not None
        yield (
            room,
            {
                "Organization": format_id(IdType.ORGANIZATION, room.organization.id),
                "Source": source_id(1),
                "Chat": chat_id(room),
                "Message": message_id(room, "m0"),
                "Folder": folder_id(GATEWAY, made.value.native_id),
                "Member": format_id(IdType.MEMBER, member.id),
                "ApiKey": format_id(IdType.API_KEY, key.id),
                "AuditEntry": format_id(IdType.AUDIT_ENTRY, audit.rows[0].id),
            },
        )


async def test_each_kind_is_found_by_its_id(folder: Path) -> None:
    async with a_full_room(folder) as (room, ids):
        found = await nodes(room.context(), list(ids.values()))
        assert [type(one) for one in found] == [Organization, Source, Chat, Message, Folder, Member, ApiKey, AuditEntry]


async def test_private_source_and_all_in_it_is_null_to_others(folder: Path) -> None:
    async with a_full_room(folder) as (room, ids):
        other = room.context(principal=a_principal(key="key:2"))
        for kind in ("Source", "Chat", "Message"):
            assert await node(other, ids[kind]) is None
        assert await node(other, ids["Folder"]) is not None


async def test_everything_of_another_tenant_is_null(folder: Path) -> None:
    async with a_full_room(folder) as (room, ids):
        neighbour = room.context(organization=room.neighbour)
        room.source.calls.clear()
        assert await nodes(neighbour, list(ids.values())) == [None] * len(ids)
        assert room.source.calls == []


async def test_what_is_no_id_or_names_nothing_is_null(folder: Path) -> None:
    async with a_full_room(folder) as (room, _):
        for text in ["", "x", "ö", "A" * 5000, *(format_id(kind, 99, *("z",) * parts) for kind, parts in [
            (IdType.ORGANIZATION, 0), (IdType.SOURCE, 0), (IdType.CHAT, 1), (IdType.MESSAGE, 2), (IdType.FOLDER, 1),
            (IdType.MEMBER, 0), (IdType.API_KEY, 0), (IdType.AUDIT_ENTRY, 0)])]:  # fmt: skip
            assert await node(room.context(), text) is None


async def test_one_that_fails_costs_no_other(folder: Path) -> None:
    async with a_full_room(folder) as (room, ids):
        room.source.fails = UpstreamUnavailable("Down.", source_id=1, operation="get_chat")
        found = await nodes(room.context(), [chat_id(room, "never-seen"), ids["Folder"]])
        assert isinstance(found[0], UpstreamUnavailable)
        assert isinstance(found[1], Folder)


async def test_more_than_a_hundred_are_refused(folder: Path) -> None:
    async with a_full_room(folder) as (room, ids):
        with pytest.raises(InvalidArgument):
            await nodes(room.context(), [ids["Chat"]] * 101)


async def test_reading_needs_its_scope(folder: Path) -> None:
    async with a_full_room(folder) as (room, ids):
        with pytest.raises(Forbidden):
            await node(room.context(scopes=frozenset({Scope.WRITE})), ids["Chat"])
