"""Processes of one store tell each other at once what they commit and what the replies that they follow say."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.records import Delta
from resolvers.cursors import Cursors
from resolvers.feed import Feed, Listener
from resolvers.spoken import Growth
from storage.presence import Present, present
from storage.store import Store, open_store
from switchboard.neighbours import Neighbours, neighbours
from switchboard.tidings import Voice
from tests.switchboard.http.toy import until
from tests.tier import count

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = (1, 2, "c", "m")


@dataclass
class Process:
    """A feed, and the way to the others."""

    presence: Present
    feed: Feed
    around: Neighbours
    deaths: list[None] = field(default_factory=list)

    def says(self, text: str, message: str = "m", speaker: str | None = None) -> None:
        delta = Delta(
            organization_id=1,
            source_id=2,
            chat_id="c",
            message_id=message,
            after_seq=5,
            offset=0,
            text=text,
            occurred_at=NOW,
        )
        self.feed.grew(Growth(delta, text, speaker or self.presence.own))

    def hears(self, message: str = "m") -> str | None:
        """All words so far of a reply, None where it knows none."""
        texts = {growth.delta.message_id: growth.text_so_far for growth in self.feed.under_way(1)}
        return texts.get(message)


@asynccontextmanager
async def a_process(store: Store, url: str) -> AsyncIterator[Process]:
    deaths: list[None] = []
    feed = Feed(Cursors([b"k" * 32]))
    with present(url) as presence:
        async with neighbours(presence, store, feed, lambda: deaths.append(None)) as around:
            yield Process(presence, feed, around, deaths)


@asynccontextmanager
async def processes(folder: Path, number: int = 2) -> AsyncIterator[list[Process]]:
    """So many, who have all met. They are in one process of the test, and share nothing but the folder."""
    url = f"sqlite:///{folder}/store.db"
    async with open_store(url, readers=1) as store, AsyncExitStack() as stack:
        made = [await stack.enter_async_context(a_process(store, url)) for _ in range(number)]
        await until(lambda: all(len(one.around) == number - 1 for one in made))
        yield made


def joined(text: str, growth: Growth) -> str:
    """As JavaScript does it."""
    kept = text.encode("utf-16-le", "surrogatepass")[: 2 * growth.delta.offset]
    return (kept + growth.delta.text.encode("utf-16-le", "surrogatepass")).decode("utf-16-le")


async def heard(listener: Listener, text: str, wanted: str) -> str:
    async with asyncio.timeout(20):
        while text != wanted:
            await listener.wait()
            for growth in listener.take_words():
                text = joined(text, growth)
    return text


async def test_commit_of_one_wakes_the_listeners_of_the_others(tmp_path: Path) -> None:
    async with processes(tmp_path, 3) as (first, second, third):
        with second.feed.listen(1) as one, third.feed.listen(1) as other, third.feed.listen(7) as deaf:
            first.around.committed(1, 42)
            await asyncio.wait_for(asyncio.gather(one.wait(), other.wait()), 10)
            assert (one.head, other.head, deaf.head) == (42, 42, 0)


async def test_words_of_one_are_heard_by_the_listeners_of_the_others(tmp_path: Path) -> None:
    async with processes(tmp_path) as (first, second):
        with second.feed.listen(1) as listener:
            listener.take_words()
            text = ""
            for words in ("He", "Hello 👩‍👩", "Hello 👩‍👩‍👧", "Hello 👩", "Hello 👩🏽 you"):
                first.says(words)
                text = await heard(listener, text, words)


async def test_process_that_comes_in_the_middle_hears_the_whole_with_the_next_words(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    async with open_store(url, readers=1) as store, a_process(store, url) as first:
        first.says("One")
        async with a_process(store, url) as second:
            await until(lambda: len(first.around) == 1)
            first.says("One two")
            await until(lambda: second.hears() == "One two")


async def test_end_that_one_commits_is_the_end_for_all(tmp_path: Path) -> None:
    async with processes(tmp_path) as (first, second):
        first.says("One")
        await until(lambda: second.hears() == "One")
        second.around.settled(KEY, True)
        second.feed.settled(KEY, True)
        await until(lambda: first.hears() is None)
        first.says("One two")
        second.says("One two three")
        assert (first.hears(), second.hears()) == (None, None)


async def test_words_after_the_end_are_absorbed_whoever_says_them(tmp_path: Path) -> None:
    async with processes(tmp_path, 3) as (first, second, third):
        first.says("One")
        await until(lambda: third.hears() == "One")
        third.feed.settled(KEY, True)
        second.says("One two")
        second.says("Other", message="n")
        await until(lambda: third.hears("n") == "Other")
        assert third.hears() is None


async def test_one_that_follows_no_more_is_forgotten_and_heard_whole_when_it_goes_on(tmp_path: Path) -> None:
    async with processes(tmp_path) as (first, second):
        first.says("One", speaker="s")
        await until(lambda: second.hears() == "One")
        first.feed.fell_silent("s")
        await until(lambda: second.hears() is None)
        first.says("One two", speaker="t")
        await until(lambda: second.hears() == "One two")


async def test_death_of_one_is_noticed_and_what_it_followed_forgotten(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    async with open_store(url, readers=1) as store, a_process(store, url) as first:
        async with a_process(store, url) as second:
            await until(lambda: len(first.around) == 1)
            second.says("One")
            await until(lambda: first.hears() == "One")
        await until(lambda: first.deaths == [None])
        assert len(first.around) == 0
        assert first.hears() is None


async def test_folder_with_a_long_path_serves_too(tmp_path: Path) -> None:
    """The address of a socket may have a hundred bytes only."""
    folder = tmp_path / ("a" * 100) / ("b" * 100)
    async with processes(folder) as (first, second):
        first.says("One")
        await until(lambda: second.hears() == "One")


async def test_neighbour_that_does_not_read_costs_nothing_and_hears_the_whole_afterwards(tmp_path: Path) -> None:
    async with processes(tmp_path) as (first, second):
        first.says("begin")
        await until(lambda: second.hears() == "begin")
        text = "begin"
        # Nothing is read as long as the loop is not left: all that is said fills the buffers.
        for number in range(3000):
            text += f" {number:01000d}"
            first.says(text)
        waiting = [one._writer.transport.get_write_buffer_size() for one in first.around._known.values()]
        assert max(waiting) < 8 * 1024 * 1024
        await asyncio.sleep(0)
        with second.feed.listen(1) as listener:
            async with asyncio.timeout(20):
                while second.hears() != text:
                    text += "."
                    first.says(text)
                    await asyncio.sleep(0.01)
            assert listener.take_words()


@pytest.mark.parametrize("seed", range(count(long=100, least=3)))
async def test_listeners_of_all_processes_join_the_same_text(tmp_path: Path, seed: int) -> None:
    """Also when two follow the same reply, one behind the other, and rewrite it."""
    chance, alphabet = random.Random(seed), "ab é\u0301👋🏽\u200d👩𝔘🇩🇪"
    async with processes(tmp_path, 3) as all_of_them, AsyncExitStack() as stack:
        listeners = [stack.enter_context(one.feed.listen(1)) for one in all_of_them]
        texts = [""] * 3
        text = ""
        for _ in range(60):
            text = text[: len(text) - chance.choice([0, 0, 0, 2])] + chance.choice(alphabet) * chance.randrange(1, 4)
            speaker = chance.choice(all_of_them[:2])
            speaker.says(text)
            if chance.random() < 0.3:
                await asyncio.sleep(0)
        text += "the end"
        for speaker in all_of_them[:2]:
            speaker.says(text)
        await asyncio.gather(
            *(heard(one, was, text) for one, was in zip(listeners, texts, strict=True)),
        )


async def test_lines_of_another_release_are_passed_over(tmp_path: Path) -> None:
    feed = Feed(Cursors([b"k" * 32]))
    voice = Voice(feed)
    lines: list[Any] = [
        b"[]",
        b"{}",
        b'["grew"]',
        b'["grew",1,2,"c","m",1,0,"x"]',
        b'["weather","fine"]',
        b'["head","1",2]',
    ]
    for line in lines:
        assert voice.hear(line) is False
    assert feed.under_way(1) == []


async def test_words_that_miss_what_came_before_wait_for_the_whole(tmp_path: Path) -> None:
    feed = Feed(Cursors([b"k" * 32]))
    voice = Voice(feed)
    voice.hear(b'["grew",1,2,"c","m",1,3,"lo",0,"s"]')
    assert feed.under_way(1) == []
    voice.hear(b'["grew",1,2,"c","m",1,0,"Hello",0,"s"]')
    voice.hear(b'["grew",1,2,"c","m",1,3,"lo",0,"s"]')
    assert [growth.text_so_far for growth in feed.under_way(1)] == ["Hello"]


async def test_no_task_and_no_file_is_left(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with processes(tmp_path, 3):
        pass
    assert asyncio.all_tasks() - before == set()
    assert list((tmp_path / "store.db-processes").iterdir()) == []
