"""One list out of sources that page unlike each other."""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.capabilities import ChatOrder, ChatOrderField
from domain.errors import BadCursor, InvalidArgument, SourceStatusCode, UpstreamUnavailable
from domain.paging import PageRequest, sorted_chats
from domain.records import Chat
from domain.source import SourcePage
from resolvers.chats import ChatFilter, ChatList, chats
from resolvers.context import Tuning
from tests.builders import a_chat, a_source, at
from tests.fakes import NEWEST_FIRST, FakeSource, capabilities
from tests.resolvers.conftest import Room, a_room
from tests.tier import count

pytestmark = pytest.mark.anyio
EVERYTHING = ChatFilter()
BY_TITLE = ChatOrder(ChatOrderField.TITLE, descending=False)


def a_fake(key: str, rows: Sequence[Chat], *, pages: bool = True, page_size: int = 3) -> FakeSource:
    """A source that pages newest first, or one that can only be read whole."""
    table = capabilities(NEWEST_FIRST) if pages else capabilities()
    return FakeSource(a_source(key=key, vendor=key), list(rows), capabilities=table, page_size=page_size)


def rows(prefix: str, *seconds: float) -> list[Chat]:
    return [a_chat(f"{prefix}{n}", title=f"{prefix}{n}", updated_at=at(s)) for n, s in enumerate(seconds)]


async def ask(
    room: Room,
    size: int,
    after: str | None = None,
    *,
    order: ChatOrder = NEWEST_FIRST,
    within_ms: int = 2000,
    **filter_: object,
) -> ChatList:
    page = PageRequest(first=size, after=after)
    return await chats(room.context(), page, ChatFilter(**filter_), order, within_ms)  # type: ignore[arg-type]


async def walk(room: Room, size: int, order: ChatOrder = NEWEST_FIRST) -> list[Chat]:
    """All pages forwards."""
    found: list[Chat] = []
    after = None
    while True:
        answer = await ask(room, size, after, order=order, within_ms=20_000)
        found += answer.page.rows
        if not answer.page.has_next:
            return found
        after = answer.page.cursors[-1]


async def walk_back(room: Room, size: int, order: ChatOrder) -> list[Chat]:
    """All pages backwards, put together in the order of the list."""
    found: list[Chat] = []
    before = None
    while True:
        page = PageRequest(last=size, before=before)
        answer = await chats(room.context(), page, EVERYTHING, order, 20_000)
        found = [*answer.page.rows, *found]
        if not answer.page.has_previous:
            return found
        before = answer.page.cursors[0]


def statuses(answer: ChatList) -> dict[str, SourceStatusCode]:
    return {status.source.key: status.code for status in answer.statuses}


async def test_pages_of_unlike_pagers_make_one_order(folder: Path) -> None:
    paged, whole = rows("p", 1, 5, 3, 9, 7), rows("w", 2, 6, 4, 8)
    async with a_room(folder, a_fake("paged", paged), a_fake("whole", whole, pages=False)) as room:
        shown = await walk(room, 2)
        assert [chat.title for chat in shown] == ["p3", "w3", "p4", "w1", "p1", "w2", "p2", "w0", "p0"]


CASES = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32),
        "sizes": st.lists(st.integers(0, 9), min_size=1, max_size=4),
        "page": st.integers(1, 5),
        "native_page": st.integers(1, 4),
        "descending": st.booleans(),
        "field": st.sampled_from(list(ChatOrderField)),
    }
)


@settings(
    max_examples=count(long=1000, least=10), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(CASES)
def test_every_row_is_shown_once_in_order_both_ways(case: dict[str, Any]) -> None:
    """Ties, unknown values and any mixture of pagers."""
    chance = random.Random(case["seed"])
    fakes = []
    for number, size in enumerate(case["sizes"]):
        made = [
            a_chat(
                f"{number}-{n}",
                title=chance.choice(["a", "B", "c", None]),
                created_at=chance.choice([None, at(chance.randrange(3))]),
                updated_at=chance.choice([None, at(chance.randrange(4))]),
            )
            for n in range(size)
        ]
        # What a vendor pages by, it tells: only the others may leave a time out.
        pages = chance.random() < 0.5
        if pages:
            made = [
                replace(chat, updated_at=chat.updated_at or at(0), created_at=chat.created_at or at(0)) for chat in made
            ]
        fakes.append(a_fake(f"s{number}", made, pages=pages, page_size=case["native_page"]))
    order = ChatOrder(case["field"], case["descending"])

    async def check() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with a_room(Path(folder), *fakes) as room:
                forwards = await walk(room, case["page"], order)
                expected = sorted_chats([chat for fake in fakes for chat in fake.chats], order)
                assert [chat.key for chat in forwards] == [chat.key for chat in expected]
                backwards = await walk_back(room, case["page"], order)
                assert [chat.key for chat in backwards] == [chat.key for chat in expected]

    asyncio.run(check())


@settings(max_examples=count(long=1000, least=10), deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 4), st.booleans(), st.booleans())
def test_rows_that_stay_are_shown_once_whatever_changes_around_them(
    seed: int, size: int, native_page: int, pages: bool, backwards: bool
) -> None:
    """Between pages rows are inserted, deleted and touched; those left alone are none lost and none twice, and stand in order."""
    chance = random.Random(seed)

    async def check() -> None:
        with tempfile.TemporaryDirectory() as folder:
            start = rows("b", *[chance.randrange(12) for _ in range(14)])
            fake = a_fake("busy", start, pages=pages, page_size=native_page)
            async with a_room(Path(folder), fake, a_fake("calm", rows("c", *range(6)))) as room:
                await ask(room, 1)
                still = {chat.key for chat in fake.chats} | {chat.key for chat in room.sources["calm"].chats}
                shown: list[Chat] = []
                cursor = None
                while True:
                    page = PageRequest(last=size, before=cursor) if backwards else PageRequest(first=size, after=cursor)
                    answer = await chats(room.context(), page, EVERYTHING, NEWEST_FIRST, 20_000)
                    shown = [*answer.page.rows, *shown] if backwards else [*shown, *answer.page.rows]
                    if not (answer.page.has_previous if backwards else answer.page.has_next):
                        break
                    cursor = answer.page.cursors[0 if backwards else -1]
                    still -= disturb(fake, chance)
                stayed = [chat for chat in shown if chat.key in still]
                assert len(stayed) == len(still)
                assert {chat.key for chat in stayed} == still
                assert stayed == sorted_chats(stayed, NEWEST_FIRST)

    asyncio.run(check())


def disturb(fake: FakeSource, chance: random.Random) -> set[tuple[int, str]]:
    """Change the source as another client would; the keys of the rows that did not stay as they were."""
    touched = set()
    for _ in range(chance.randrange(4)):
        kind = chance.choice(["insert", "delete", "touch"])
        if kind == "insert" or not fake.chats:
            number = f"new{len(fake.calls)}-{chance.random()}"
            row = a_chat(number, updated_at=at(chance.randrange(20)), source_id=fake.source.id)
            fake.chats.append(replace(row, organization_id=fake.source.organization_id))
            touched.add((fake.source.id, number))
            continue
        index = chance.randrange(len(fake.chats))
        touched.add(fake.chats[index].key)
        if kind == "delete":
            del fake.chats[index]
        else:
            fake.chats[index] = replace(fake.chats[index], updated_at=at(100 + chance.randrange(9)))
    return touched


async def test_source_that_hangs_costs_its_own_rows_only(folder: Path) -> None:
    slow = a_fake("slow", rows("s", 1, 2))
    slow.hold = asyncio.Event()
    async with a_room(folder, slow, a_fake("fine", rows("f", 3, 4))) as room:
        answer = await asyncio.wait_for(ask(room, 10, within_ms=800), 5)
        assert [chat.title for chat in answer.page.rows] == ["f1", "f0"]
        assert statuses(answer) == {"slow": SourceStatusCode.TIMEOUT, "fine": SourceStatusCode.OK}


async def test_source_that_failed_is_served_from_the_copy_and_stays_so(folder: Path) -> None:
    flaky = a_fake("flaky", rows("k", 1, 2, 3, 4))
    async with a_room(folder, flaky, a_fake("fine", rows("f", 2.5))) as room:
        await walk(room, 10)
        flaky.fails = UpstreamUnavailable("down", source_id=1, operation="list_chats")
        first = await ask(room, 2)
        assert [chat.title for chat in first.page.rows] == ["k3", "k2"]
        status = next(status for status in first.statuses if status.source.key == "flaky")
        assert (status.code, status.stale) == (SourceStatusCode.UPSTREAM_UNAVAILABLE, True)
        assert status.as_of is not None
        flaky.fails = None
        second = await ask(room, 3, first.page.cursors[-1])
        assert [chat.title for chat in second.page.rows] == ["f0", "k1", "k0"]
        assert next(status for status in second.statuses if status.source.key == "flaky").stale


async def test_source_that_missed_a_page_joins_from_there_and_says_so(folder: Path) -> None:
    late = a_fake("late", rows("l", 1, 2, 3, 9))
    late.fails = UpstreamUnavailable("down", source_id=1, operation="list_chats")
    async with a_room(folder, late, a_fake("fine", rows("f", 2.5, 0.5, 5))) as room:
        first = await ask(room, 1)
        assert [chat.title for chat in first.page.rows] == ["f2"]
        assert statuses(first)["late"] is SourceStatusCode.UPSTREAM_UNAVAILABLE
        late.fails = None
        second = await ask(room, 10, first.page.cursors[-1])
        assert [chat.title for chat in second.page.rows] == ["l2", "f0", "l1", "l0", "f1"]
        status = next(status for status in second.statuses if status.source.key == "late")
        assert status.code is SourceStatusCode.INCOMPLETE
        assert status.missing_before is not None
        again = await ask(room, 10)
        assert "l3" in [chat.title for chat in again.page.rows]


async def test_drained_source_is_read_once_for_many_pages(folder: Path) -> None:
    whole = a_fake("whole", rows("w", *range(10)), pages=False)
    async with a_room(folder, whole) as room:
        assert len(await walk(room, 2)) == 10
        assert whole.calls.count("drain_chats") == 1


async def test_chat_that_its_source_denies_leaves_the_list(folder: Path) -> None:
    whole = a_fake("whole", rows("w", 1, 2, 3), pages=False)
    async with a_room(folder, whole) as room:
        await walk(room, 5)
        del whole.chats[1]
        room.gateway.drains.forget(whole.source.id)
        assert [chat.title for chat in await walk(room, 5)] == ["w2", "w0"]


async def test_cursor_of_another_filter_or_order_is_refused(folder: Path) -> None:
    async with a_room(folder, a_fake("one", rows("o", 1, 2, 3))) as room:
        cursor = (await ask(room, 1)).page.cursors[0]
        with pytest.raises(BadCursor):
            await ask(room, 1, cursor, order=BY_TITLE)
        with pytest.raises(BadCursor):
            await ask(room, 1, cursor, text="o")


@pytest.mark.parametrize("within_ms", [0, -1, 30_001])
async def test_impossible_deadline_is_refused(folder: Path, within_ms: int) -> None:
    async with a_room(folder, a_fake("one", [])) as room:
        with pytest.raises(InvalidArgument, match="withinMs"):
            await ask(room, 1, within_ms=within_ms)


async def test_list_that_never_ends_is_cut_and_said_to_be_partial(folder: Path) -> None:
    """Every row is equal in the sort key, so no row is certain before the source has come to its end."""
    endless = a_fake("endless", [a_chat(f"e{n:03}", updated_at=at(1)) for n in range(200)])
    async with a_room(folder, endless) as room:
        answer = await ask(room, 5, within_ms=20_000)
        assert len(answer.page.rows) == 5
        assert statuses(answer) == {"endless": SourceStatusCode.PARTIAL}
        assert len(endless.calls) <= 30


class Repeating(FakeSource):
    """Shows its first page again and again, and says each time that another one follows."""

    async def list_chats(self, order: ChatOrder, token: str | None) -> SourcePage[Chat]:
        page = await super().list_chats(order, None)
        return replace(page, next="more", previous=None)

    async def drain_chats(self, needs: frozenset[str]) -> AsyncIterator[SourcePage[Chat]]:
        async for page in super().drain_chats(needs):
            yield page
        yield SourcePage([], page.started_at, breaks_off=True)


@pytest.mark.parametrize("pages", [True, False], ids=["page by page", "whole"])
async def test_list_that_repeats_itself_ends_for_clients(folder: Path, pages: bool) -> None:
    """Each row once, and no page without rows that is said to have one after it: there would be no place to go on from."""
    table = capabilities(NEWEST_FIRST) if pages else capabilities()
    source = Repeating(a_source(key="loop", vendor="loop"), rows("r", 1, 2, 3), capabilities=table)
    async with a_room(folder, source) as room:
        answer = await ask(room, 10)
        assert [chat.title for chat in answer.page.rows] == ["r2", "r1", "r0"]
        assert not answer.page.has_next
        assert statuses(answer) == {"loop": SourceStatusCode.PARTIAL}
        assert len(source.calls) <= 5
        assert [chat.title for chat in await walk(room, 2)] == ["r2", "r1", "r0"]


async def test_list_that_was_not_read_to_its_end_is_not_begun_anew_for_each_page(folder: Path) -> None:
    long = a_fake("long", rows("l", *range(20)), pages=False)
    async with a_room(folder, long, tuning=Tuning(call_budget=2)) as room:
        assert len(await walk(room, 2)) == 6
        assert statuses(await ask(room, 2)) == {"long": SourceStatusCode.PARTIAL}
        assert long.calls.count("drain_chats") == 1


async def test_one_hangs_one_fails_and_four_are_fine_within_the_deadline(folder: Path) -> None:
    hanging, failing = a_fake("hanging", rows("h", 1)), a_fake("failing", rows("x", 2))
    fine = [a_fake(f"fine{n}", rows(f"f{n}-", *range(n, n + 8))) for n in range(4)]
    async with a_room(folder, hanging, failing, *fine) as room:
        await walk(room, 50)
        hanging.hold = asyncio.Event()
        failing.fails = UpstreamUnavailable("It answered 500.", source_id=2, operation="list_chats")
        started = asyncio.get_running_loop().time()
        answer = await ask(room, 50, within_ms=800)
        assert asyncio.get_running_loop().time() - started < 1.0
        codes = statuses(answer)
        assert codes["hanging"] is SourceStatusCode.TIMEOUT
        assert codes["failing"] is SourceStatusCode.UPSTREAM_UNAVAILABLE
        assert {codes[one.source.key] for one in fine} == {SourceStatusCode.OK}
        stale = {status.source.key for status in answer.statuses if status.stale}
        assert stale == {"hanging", "failing"}
        assert {"h0", "x0"} <= {chat.title for chat in answer.page.rows}
        assert len(answer.page.rows) == 34
