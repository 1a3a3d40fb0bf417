"""Full-text search: what is found, what is not, and that no text does harm."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import BadCursor, InvalidArgument
from domain.records import MessageRole, MessageState
from domain.source import SearchRequest
from storage.excerpts import excerpt, terms_of
from tests.storage.conftest import World, an_organization, at
from tests.tier import count

pytestmark = pytest.mark.anyio


async def find(world: World, text: str, limit: int = 10, **filters: Any) -> list[str]:
    request = SearchRequest(text=text, limit=limit, **filters)
    hits = await world.store.search.find(world.organization.id, (world.source.id,), request)
    return sorted(hit.found.native_id for hit in hits)


async def fill(world: World) -> None:
    await world.see(world.chat("c", title="Holiday plans", tags=("fun",), updated_at=at(5)), world.chat("d"))
    await world.see_messages(
        world.message("1", text="The quick brown fox", created_at=at(1)),
        world.message("2", "1", text="quick thinking, 100% fox_like", role=MessageRole.ASSISTANT, created_at=at(2)),
        world.message("3", "2", text='Übermut tut selten gut. 東京タワー O\'Neill "quoted"', created_at=at(3)),
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("quick", ["1", "2"]),
        ("QUICK Fox", ["1", "2"]),
        ("quick brown", ["1"]),
        ('"brown fox"', ["1"]),
        ('"fox brown"', []),
        ("uick", ["1", "2"]),
        ("übermut", ["3"]),
        ("東京", ["3"]),
        ("東京タ", ["3"]),
        ("fo", ["1", "2"]),
        ("FO br", ["1"]),
        ("Üb selten", ["3"]),
        ("0%", ["2"]),
        ("x_", ["2"]),
        ("fox_like", ["2"]),
        ("o'neill", ["3"]),
        ("holiday", ["c"]),
        ("nothing like this", []),
        ("", []),
        ('""', []),
        ("  ", []),
    ],
)
async def test_every_word_must_occur(world: World, query: str, expected: list[str]) -> None:
    await fill(world)
    assert await find(world, query) == expected


async def test_filters(world: World) -> None:
    await fill(world)
    assert await find(world, "quick", roles=frozenset({MessageRole.ASSISTANT})) == ["2"]
    assert await find(world, "holiday", roles=frozenset({MessageRole.USER})) == []
    assert await find(world, "quick", since=at(2)) == ["2"]
    assert await find(world, "quick", until=at(2)) == ["1"]
    assert await find(world, "quick", chat_ids=frozenset({"d"})) == []
    assert await find(world, "quick", tags=("fun",)) == ["1", "2"]
    assert await find(world, "quick", tags=("fun", "more")) == []
    assert await find(world, "holiday", tags=("fun",), chat_ids=frozenset({"c"}), since=at(5)) == ["c"]
    assert await find(world, "quick", limit=1) != await find(world, "quick", limit=1, token="1")


async def test_another_organization_finds_nothing(world: World) -> None:
    await fill(world)
    other, _ = await an_organization(world.store, "other")
    request = SearchRequest(text="quick", limit=10)
    assert await world.store.search.find(other.id, (world.source.id,), request) == []
    assert await world.store.search.find(world.organization.id, (), request) == []


async def test_the_index_follows_the_rows(world: World) -> None:
    await fill(world)
    await world.see(world.chat("c", title="Work"), started=30)
    await world.see_messages(world.message("1", text="slow turtle", created_at=at(1)), started=30)
    assert await find(world, "holiday") == []
    assert await find(world, "work") == ["c"]
    assert await find(world, "quick") == []
    assert await find(world, "turtle") == ["1"]
    ids = (world.organization.id, world.source.id, "c")
    await world.write(lambda tx: world.store.chats.remove(tx, *ids, at(40)))
    for word in ("work", "turtle", "tu"):
        assert await find(world, word) == []
    await check_index(world)


async def test_a_reply_is_found_once_it_is_final(world: World) -> None:
    await world.see(world.chat())
    reply = world.message("r", text="", state=MessageState.STREAMING)
    await world.see_messages(reply, is_whole=False, is_own_write=True)
    ids = (world.organization.id, world.source.id, "c", "r")
    await world.write(lambda tx: world.store.messages.save_text(tx, *ids, "half an answer"))
    assert await find(world, "answer") == []
    await world.see_messages(world.message("r", text="whole answer"), is_whole=False, is_own_write=True)
    assert await find(world, "answer") == ["r"]
    await check_index(world)


async def test_a_removed_source_leaves_nothing_to_find(world: World) -> None:
    await fill(world)
    ids = (world.organization.id, world.source.id)
    await world.write(lambda tx: world.store.sources.remove(tx, *ids, at=at(50)))
    assert await find(world, "quick") == []
    await check_index(world)


async def test_what_the_mirror_forgets_cannot_be_found(world: World) -> None:
    await fill(world)
    await world.write(lambda tx: world.store.chats.forget_unseen(tx, world.organization.id, at(9999), keep=()))
    assert await find(world, "quick") == []
    assert await find(world, "fo") == []
    await check_index(world)


async def check_index(world: World) -> None:
    """SQLite itself compares the index with the rows; it raises when they differ."""

    async def unit(tx: Any) -> None:
        # 1: with the rows too. What is being written is not indexed on purpose, so only rows that are final may be there.
        await tx.execute("INSERT INTO message_text (message_text, rank) VALUES ('integrity-check', 1)")

    await world.write(unit)


async def test_the_better_hit_comes_first(world: World) -> None:
    await world.see(world.chat())
    await world.see_messages(
        world.message("much", text="zebra " * 5), world.message("little", "much", text="a zebra " + "and more " * 50)
    )
    request = SearchRequest(text="zebra", limit=10)
    hits = await world.store.search.find(world.organization.id, (world.source.id,), request)
    assert [hit.found.native_id for hit in hits] == ["much", "little"]
    assert hits[0].score > hits[1].score


@settings(
    max_examples=count(long=5000, least=50), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    query=st.text(
        alphabet=st.one_of(st.sampled_from("\"'*()-+:^{}[]%_!\\\x00 ANDORNEAR"), st.characters(codec="utf-8")),
        max_size=30,
    )
)
async def test_no_text_does_harm(world: World, query: str) -> None:
    await fill(world)
    await find(world, query)


@pytest.mark.parametrize("text", ["x" * 1001, " ".join(f"w{n}" for n in range(33))])
async def test_a_search_that_is_too_large_is_refused(world: World, text: str) -> None:
    with pytest.raises(InvalidArgument, match="Search for at most"):
        await find(world, text)


@pytest.mark.parametrize("token", ["x", "-1", "1234567"])
async def test_a_token_that_is_not_ours_is_a_bad_cursor(world: World, token: str) -> None:
    with pytest.raises(BadCursor):
        await find(world, "quick", token=token)


@given(
    before=st.text(alphabet="ab🙂é ", max_size=150),
    word=st.sampled_from(["needle", "🙂🙂", "Ünder"]),
    after=st.text(alphabet="ab🙂é ", max_size=300),
)
@settings(max_examples=count(long=5000, least=50), deadline=None)
def test_highlights_are_where_javascript_counts(before: str, word: str, after: str) -> None:
    piece = excerpt(before + word + after, [word.lower()])
    units = piece.text.encode("utf-16-le")
    found = [units[2 * start : 2 * end].decode("utf-16-le") for start, end in piece.highlights]
    assert found
    assert all(one.lower() == word.lower() for one in found)
    assert len(piece.text) <= 202


def test_an_excerpt_without_a_match_is_the_beginning() -> None:
    piece = excerpt("abc", ["x"])
    assert (piece.text, piece.highlights) == ("abc", ())


def test_terms() -> None:
    assert terms_of('one "two  three" one four" five') == ("one", "two  three", "four", "five")
    assert terms_of("a\x00b\tc") == ("a", "b", "c")
