"""The list: offsets that shift, texts that hold JSON, ids that are larger than a float, lists that never end."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import NotFound, UnexpectedAnswer
from domain.records import Chat, MessageRole, Person
from domain.source import ChatSource, MessageWindow
from tests.tier import count
from tests.upstreams.chatlogger.server import Server, a_message, a_row
from tests.upstreams.recorded import Replay, load
from tests.upstreams.wire import FakeClock, a_source, an_answer
from upstreams.chatlogger.capabilities import CREATED_DESC
from upstreams.chatlogger.reading import Place
from upstreams.chatlogger.source import chatlogger
from upstreams.http import UpstreamClients

pytestmark = pytest.mark.anyio
BIG = 2**64 - 1
WHOLE = MessageWindow(last=100)


async def paged(source: ChatSource) -> list[Chat]:
    """All pages, one after the other."""
    found: list[Chat] = []
    token: str | None = None
    while True:
        page = await source.list_chats(CREATED_DESC, token)
        found += page.rows
        if page.next is None:
            return found
        token = page.next


async def drained(source: ChatSource) -> list[Chat]:
    """All that a drain shows."""
    return [chat async for page in source.drain_chats(frozenset()) for chat in page.rows]


async def test_recorded_row_and_chat_are_read_alike() -> None:
    transport = Replay(load("chatlogger"), ["version", "login", "list_chats", "get_chat"])
    source = chatlogger(UpstreamClients(clock=FakeClock().clock, transport=transport)).connect(
        a_source("chatlogger"), {"email": "service@example.com", "password": "p"}
    )
    row = (await source.list_chats(CREATED_DESC, None)).rows[0]
    full = await source.get_chat(str(BIG))
    assert full is not None
    for chat in (row, full):
        assert (chat.native_id, chat.title, chat.owner) == (str(BIG), "Leave days", Person("7"))
        assert chat.tags == ("days", "hr")
        assert chat.metadata == {"language_code": "tr", "token_count": 9007199254740993}
        assert chat.created_at is not None
        assert chat.created_at.isoformat() == "2026-01-15T09:30:00.123456+00:00"
    assert full.raw is not None
    assert (full.raw["id"], full.raw["organization_id"]) == (str(BIG), "3")


async def test_empty_values_are_none_and_not_texts() -> None:
    server = Server(chats=[a_row(1, title="", tags="null", metadata='{"is_escalated": false, "token_count": 0}')])
    (row,) = (await server.connect().list_chats(CREATED_DESC, None)).rows
    assert (row.title, row.tags, row.metadata, row.owner) == (None, (), None, None)
    server.chats = [{name: value for name, value in a_row(2).items() if name not in ("tags", "metadata", "title")}]
    (row,) = (await server.connect().list_chats(CREATED_DESC, None)).rows
    assert (row.title, row.tags, row.metadata) == (None, (), None)


@pytest.mark.parametrize(
    "strange",
    [
        {"id": "1"},
        {"id": 1.5},
        {"id": True},
        {"id": -1},
        {"id": 2**64},
        {"tags": "[oops"},
        {"tags": '{"a": 1}'},
        {"tags": "[1]"},
        {"metadata": "[]"},
        {"metadata": "{"},
        {"created_at": "yesterday"},
        {"created_at": None},
        {"title": 5},
        {"user_id": "seven"},
    ],
    ids=str,
)
async def test_strange_row_costs_itself_only(strange: dict[str, Any]) -> None:
    server = Server(chats=[a_row(3), {**a_row(2), **strange}, a_row(1)])
    source = server.connect()
    page = await source.list_chats(CREATED_DESC, None)
    assert ([chat.native_id for chat in page.rows], page.skipped.count) == (["3", "1"], 1)
    assert source.health().contract_drift == 1


async def test_missing_field_of_a_single_chat_is_named() -> None:
    server = Server(chats=[a_row(1)])
    server.routes["GET /v1/chats/1"] = lambda request: an_answer({"id": 1, "organization_id": 3})
    with pytest.raises(UnexpectedAnswer) as caught:
        await server.connect().get_chat("1")
    assert (caught.value.operation, caught.value.json_path) == ("get_chat", "$.created_at")


# Pages


async def test_pages_join_and_lead_back() -> None:
    server = Server(chats=[a_row(number) for number in range(120, 0, -1)])
    source = server.connect()
    assert [int(chat.native_id) for chat in await paged(source)] == list(range(120, 0, -1))
    assert server.asked == [f"GET /v1/chats?limit=51&offset={offset}" for offset in (0, 50, 100)]
    last = await source.list_chats(CREATED_DESC, "100.20")
    assert (last.next, last.previous) == (None, "50")
    middle = await source.list_chats(CREATED_DESC, last.previous)
    assert [int(chat.native_id) for chat in middle.rows] == list(range(70, 20, -1))


@pytest.mark.parametrize("number", [49, 50, 51, 100])
async def test_full_last_page_needs_no_empty_one(number: int) -> None:
    server = Server(chats=[a_row(number) for number in range(number, 0, -1)])
    assert len(await paged(server.connect())) == number
    assert len(server.asked) == (number + 49) // 50


def others(server: Server, chance: random.Random, stays: set[int]) -> Callable[[], None]:
    """What is done between two pages: some chats are created, some of those that need not stay are deleted."""
    newest = 10_000

    def meanwhile() -> None:
        nonlocal newest
        for _ in range(chance.randrange(4)):
            newest += 1
            server.chats.insert(0, a_row(newest))
        goes = [row for row in server.chats if row["id"] not in stays]
        for row in chance.sample(goes, min(len(goes), chance.randrange(25))):
            server.chats.remove(row)

    return meanwhile


@pytest.mark.parametrize("read", [paged, drained], ids=["pages", "drain"])
async def test_rows_that_stay_are_shown_whatever_others_do(read: Callable[[ChatSource], Any]) -> None:
    """Rows are created and deleted between any two pages; in a drain none is shown twice."""
    for seed in range(count(long=500)):
        chance = random.Random(seed)
        server = Server(chats=[a_row(number) for number in range(chance.randrange(40, 700), 0, -1)])
        stays = {row["id"] for row in server.chats if chance.random() < 0.6}
        server.between = others(server, chance, stays)
        found = [int(chat.native_id) for chat in await read(server.connect())]
        assert stays <= set(found), seed
        if read is drained:
            assert len(found) == len(set(found)), seed


async def test_list_that_never_ends_is_left() -> None:
    """The server ignores `offset`, or another one pretends."""
    server = Server()
    full = [a_row(number) for number in range(201, 0, -1)]
    server.routes["GET /v1/chats"] = lambda request: an_answer(full)
    assert len(await drained(server.connect())) == 200
    assert len(server.asked) == 6


async def test_id_on_two_pages_is_shown_once_by_a_drain() -> None:
    server = Server(chats=[a_row(number) for number in range(400, 0, -1)])
    server.chats.insert(250, a_row(390))
    found = [chat.native_id for chat in await drained(server.connect())]
    assert len(found) == len(set(found)) == 400


@pytest.mark.parametrize("token", ["", "x", "-5", "1e9", "9" * 40, "5;drop", "٣", ".5"])
def test_token_that_is_none_of_ours_is_the_beginning(token: str) -> None:
    assert Place.of(token) == Place()


# Single chats and messages


@pytest.mark.parametrize(
    "chat_id", ["1/messages", "007", "00", "1?include_messages=true", "%31", "1.0", "", "..", "é", "٣", "1" * 21]
)
async def test_id_that_a_router_could_take_for_another_is_not_sent(chat_id: str) -> None:
    server = Server(chats=[a_row(1), a_row(7)])
    source = server.connect()
    assert await source.get_chat(chat_id) is None
    assert await source.read_messages(chat_id, WHOLE) is None
    with pytest.raises(NotFound):
        await source.delete_chat(chat_id)
    assert server.asked == []


async def test_id_that_is_no_number_is_not_found() -> None:
    server = Server()
    assert await server.connect().get_chat("abc") is None
    assert server.asked == ["GET /v1/chats/abc"]


@pytest.mark.parametrize("read", ["get_chat", "read_messages"])
async def test_wrong_prefix_does_not_look_like_deleted_chats(read: str) -> None:
    """The router's own 404 is plain text."""
    server = Server(chats=[a_row(1)])
    source = server.connect(path_prefix="/api/v1")
    with pytest.raises(UnexpectedAnswer, match="`path_prefix`"):
        await (source.get_chat("1") if read == "get_chat" else source.read_messages("1", WHOLE))


@pytest.mark.parametrize(
    ("version", "prefix"),
    [("0.3.3", "/api/v1"), ("v0.4.9", "/api/v1"), ("0.5.0", "/v1"), ("v1.0.0-rc1", "/v1"), ("dev", "/v1")],
)
async def test_prefix_follows_the_release(version: str, prefix: str) -> None:
    server = Server(version=version)
    server.routes[f"GET {prefix}/chats/1"] = lambda request: an_answer(a_row(1))
    source = server.connect()
    for _ in range(2):
        assert await source.get_chat("1") is not None
    assert server.transport.lines.count("GET /version") == 1


async def test_prefix_of_the_options_is_taken_as_it_is() -> None:
    server = Server(version="0.3.3", chats=[a_row(1)])
    assert await server.connect(path_prefix="api/v1/").get_chat("1") is not None
    assert "GET /version" not in server.transport.lines


async def test_messages_are_ordered_chained_and_shown_once() -> None:
    server = Server(chats=[a_row(1)])
    server.messages = [
        a_message(BIG, "assistant", "second", second=1),
        a_message(9, "user", "first", second=1),
        a_message(10, "system", "before", metadata='{"token_count": 3}'),
        a_message(9, "user", "first", second=1),
        a_message(11, "robot", "last", second=2, metadata={"response_time": 1.5, "token_count": 0}),
        {"id": 12, "role": "user"},
    ]
    found = await server.connect().read_messages("1", WHOLE)
    assert found is not None
    assert [(message.native_id, message.parent_id) for message in found.messages] == [
        ("10", None),
        ("9", "10"),
        (str(BIG), "9"),
        ("11", str(BIG)),
    ]
    assert [message.role for message in found.messages][::3] == [MessageRole.SYSTEM, MessageRole.OTHER]
    assert [message.metadata for message in found.messages] == [{"token_count": 3}, None, None, {"response_time": 1.5}]
    assert (found.active_leaf, found.skipped.count, found.total, found.is_complete) == ("11", 1, None, True)
