"""What the sources of an organization tell those who watch them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from resolvers.context import utc_now
from resolvers.routing import Sources
from resolvers.writes import ChatLocks
from tests.builders import a_source
from tests.resolvers.conftest import a_room
from tests.resolvers.rooms import a_vendor

pytestmark = pytest.mark.anyio


async def test_equal_credentials_at_one_address_are_known_as_one_and_nothing_shows_them(tmp_path: Path) -> None:
    async with a_room(tmp_path, a_vendor("one"), a_vendor("two")) as room:
        secrets: Mapping[str, str] = {"api_key": "hush"}
        sources = Sources(room.gateway.store, room.gateway.connectors, lambda sealed: secrets, utc_now)

        async def signs_in(vendor: str, base_url: str | None, id_: int) -> str:
            record = a_source(id=id_, vendor=vendor, base_url=base_url, organization_id=room.organization.id)
            return await sources.credential(record)

        first = await signs_in("kodey", "https://a.example.com", 1)
        assert await signs_in("kodey", "https://a.example.com", 2) == first
        assert await signs_in("kodey", "https://b.example.com", 3) != first
        assert await signs_in("splox", "https://a.example.com", 4) != first
        assert "hush" not in first


async def test_credentials_that_cannot_be_decrypted_are_one_of_their_own(tmp_path: Path) -> None:
    async with a_room(tmp_path, a_vendor("one"), a_vendor("two")) as room:

        def refuse(sealed: bytes) -> Mapping[str, str]:
            raise ValueError("another key")

        await room.gateway.store.database.write(
            lambda tx: tx.execute("UPDATE source SET credentials = x'00' WHERE organization_id = 1")
        )
        sources = Sources(room.gateway.store, room.gateway.connectors, refuse, utc_now)
        records = await sources.of(room.organization.id)
        assert len({await sources.credential(record) for record in records}) == 2


async def test_who_watches_is_told_of_each_change(tmp_path: Path) -> None:
    async with a_room(tmp_path, a_vendor()) as room:
        told: list[tuple[int, int]] = []
        room.gateway.sources.on_changed(lambda organization_id, source_id: told.append((organization_id, source_id)))
        await room.gateway.sources.changed(room.organization.id, 1)
        await room.gateway.sources.changed(room.organization.id)
        assert told == [(room.organization.id, 1)]


async def test_end_of_a_write_is_told_whatever_came_of_it() -> None:
    told: list[object] = []
    locks = ChatLocks(told.append)
    async with locks.hold((1, 2, "c")):
        assert told == []
    with pytest.raises(ZeroDivisionError):
        async with locks.hold("other"):
            raise ZeroDivisionError
    assert told == [(1, 2, "c"), "other"]
    assert len(locks) == 0
