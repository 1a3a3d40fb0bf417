"""Pages of the mirror's chats: the order of the merge, both ways, along an index."""

from functools import cmp_to_key
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.capabilities import ChatOrder, ChatOrderField
from domain.paging import ChatKey, chat_key, comes_before
from domain.records import Chat, FolderRef
from storage.chat_list import ChatQuery, in_order, page_statement
from storage.database import Transaction
from storage.store import open_store
from tests.storage.conftest import START, Clock, World, an_organization, at
from tests.tier import count

pytestmark = pytest.mark.anyio
ORDERS = [ChatOrder(field, descending) for field in ChatOrderField for descending in (True, False)]


def a_query(world: World, **values: Any) -> ChatQuery:
    values.setdefault("source_ids", (world.source.id,))
    return ChatQuery(organization_id=world.organization.id, **values)


async def ids(world: World, **values: Any) -> list[str]:
    return [chat.native_id for chat in await world.store.chats.page(a_query(world, **values))]


async def another_source(world: World, key: str) -> int:
    async def unit(tx: Transaction) -> int:
        source = await world.store.sources.add(
            tx, organization_id=world.organization.id, key=key, vendor="local", display_name=key, created_at=START
        )
        return source.id

    return await world.write(unit)


_TITLES = st.one_of(st.none(), st.text(alphabet="aAäÄßzZ🙂", max_size=3))
_TIMES = st.one_of(st.none(), st.integers(0, 3))
_ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 30), _TITLES, _TIMES, _TIMES),
    unique_by=lambda row: row[:2],
    max_size=25,
)


@settings(max_examples=count(long=1000, least=20), deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=_ROWS, order=st.sampled_from(ORDERS), size=st.integers(1, 7))
async def test_pages_both_ways_are_the_sorted_list(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], order: ChatOrder, size: int
) -> None:
    path = tmp_path_factory.mktemp("pages") / "store.db"
    async with open_store(f"sqlite:///{path}", readers=1, clock=Clock()) as store:
        organization, first = await an_organization(store)
        world = World(store, Clock(), organization, first)
        source_ids = (first.id, await another_source(world, "b"), await another_source(world, "c"))
        chats = [
            Chat(
                organization_id=organization.id,
                source_id=source_ids[source],
                native_id=f"n{number}",
                title=title,
                updated_at=at(updated) if updated is not None else None,
                created_at=at(created) if created is not None else None,
            )
            for source, number, title, updated, created in rows
        ]
        for source_id in source_ids:
            own = [chat for chat in chats if chat.source_id == source_id]
            if own:
                await world.see(*own)

        def compare(a: Chat, b: Chat) -> int:
            one, other = chat_key(a, order.field), chat_key(b, order.field)
            return 0 if one == other else -1 if comes_before(one, other, order) else 1

        expected = [chat.key for chat in sorted(chats, key=cmp_to_key(compare))]
        assert [chat.key for chat in in_order(list(chats), order)] == expected
        query = ChatQuery(organization_id=organization.id, source_ids=source_ids, order=order, limit=size)
        assert await forwards(world, query) == expected
        assert await backwards(world, query) == expected
        assert await store.chats.count(query) == len(expected)


async def forwards(world: World, query: ChatQuery) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    after: ChatKey | None = None
    while rows := await world.store.chats.page(_from(query, after=after)):
        found += [chat.key for chat in rows]
        after = chat_key(rows[-1], query.order.field)
    return found


async def backwards(world: World, query: ChatQuery) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    before: ChatKey | None = None
    while rows := await world.store.chats.page(_from(query, before=before, from_end=before is None)):
        found = [chat.key for chat in rows] + found
        before = chat_key(rows[0], query.order.field)
    return found


def _from(query: ChatQuery, **place: Any) -> ChatQuery:
    return ChatQuery(
        organization_id=query.organization_id,
        source_ids=query.source_ids,
        order=query.order,
        limit=query.limit,
        **place,
    )


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("place", ["first", "after", "before", "after unknown", "before unknown"])
async def test_a_page_is_read_along_an_index_and_no_source_is_sorted(
    world: World, order: ChatOrder, place: str
) -> None:
    value: int | str = "k" if order.field is ChatOrderField.TITLE else 5
    key = ("unknown" in place, value, world.source.id, "n")
    query = a_query(
        world,
        order=order,
        source_ids=(world.source.id, 99),
        after=key if "after" in place else None,
        before=key if "before" in place else None,
    )
    sql, parameters = page_statement(query)
    plan = [row[3] for row in await world.store.database.fetch_all(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    # The one sort is of what the stretches gave, `limit` rows of each at most.
    assert len([step for step in plan if "TEMP B-TREE" in step]) <= 1
    assert not [step for step in plan if step.startswith("SCAN chat")]
    assert [step for step in plan if f"USING INDEX chat_by_{_INDEX[order.field]}" in step]


_INDEX = {ChatOrderField.UPDATED_AT: "updated", ChatOrderField.CREATED_AT: "created", ChatOrderField.TITLE: "title"}


async def test_filters(world: World) -> None:
    folder, other = FolderRef(world.source.id, "f"), FolderRef(world.source.id, "g")
    await world.see(
        world.chat("a", title="Straße", tags=("x", "y"), pinned=True, folder=folder, updated_at=at(1)),
        world.chat("b", title="b_%", tags=("x",), archived=True, folder=other, updated_at=at(2)),
        world.chat("c", updated_at=at(3)),
    )
    assert await ids(world, folders=(folder,)) == ["a"]
    assert await ids(world, folders=(folder, other)) == ["b", "a"]
    assert await ids(world, folders=()) == []
    assert await ids(world, unfiled=True) == ["c"]
    assert await ids(world, unfiled=False) == ["b", "a"]
    assert await ids(world, tags=("x",)) == ["b", "a"]
    assert await ids(world, tags=("x", "y")) == ["a"]
    assert await ids(world, pinned=True) == ["a"]
    assert await ids(world, pinned=False) == ["c", "b"]
    assert await ids(world, archived=False) == ["c", "a"]
    assert await ids(world, archived=None) == ["c", "b", "a"]
    assert await ids(world, updated_since=at(2)) == ["c", "b"]
    assert await ids(world, text="STRASSE") == ["a"]
    assert await ids(world, text="_%") == ["b"]
    assert await world.store.chats.count(a_query(world, tags=("x",), archived=False)) == 1


async def test_no_source_is_an_empty_page(world: World) -> None:
    await world.see(world.chat("a"))
    assert await ids(world, source_ids=()) == []


async def test_a_page_costs_one_statement_whatever_its_size(world: World) -> None:
    await world.see(*(world.chat(str(n), title=str(n)) for n in range(40)))
    costs = []
    for limit in (20, 40):
        before = world.store.database.statements
        assert len(await ids(world, limit=limit)) == limit
        costs.append(world.store.database.statements - before)
    assert costs == [1, 1]


async def test_the_ids_of_a_source_are_those_that_are_not_deleted(world: World) -> None:
    await world.see(world.chat("a"), world.chat("b"))
    key = (world.organization.id, world.source.id)
    await world.write(lambda tx: world.store.chats.remove(tx, *key, "a", at(20)))
    assert await world.store.chats.native_ids(*key) == ["b"]
