"""What is particular to Kodey; each test is named after its quirk."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from domain.errors import (
    CapabilityMissing,
    InvalidArgument,
    UnexpectedAnswer,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamUnauthorized,
)
from domain.records import Account, AccountKind, Agent, AgentKind, MessageRole, MessageState, Person
from domain.source import ChatSource, MessageWindow, NewChat, NewMessage, Progress, SearchRequest
from tests.upstreams.recorded import Replay, load
from tests.upstreams.wire import FakeClock, Scripted, a_source, an_answer
from upstreams.http import UpstreamClients
from upstreams.kodey.source import kodey

pytestmark = pytest.mark.anyio
AT = "2026-01-15T10:30:00Z"


@dataclass
class Team:
    """A Kodey that knows one chat and its messages, and answers as a test says."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    reply: Callable[[], httpx.Response] = lambda: an_answer(
        {"id": "r", "chatId": "c", "content": "yes", "role": "assistant", "createdAt": AT}
    )
    list_messages: Callable[[], httpx.Response] | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.method == "POST" and path == "/chat":
            return an_answer(
                {"id": "new", "agentId": json.loads(request.content)["agentId"], "teamId": "t", "createdAt": AT}
            )
        if request.method == "POST":
            return self.reply()
        if path.endswith("/message"):
            return self.list_messages() if self.list_messages else an_answer({"messages": self.messages})
        return an_answer({}, 404)


def a_team(
    team: Callable[[httpx.Request], httpx.Response], key: str = "sk_live_12345", **options: Any
) -> tuple[ChatSource, Scripted]:
    transport = Scripted(team)
    clients = UpstreamClients(clock=FakeClock().clock, transport=transport)
    return kodey(clients).connect(a_source("kodey", **options), {"api_key": key}), transport


def a_message(message_id: str, role: str = "user", content: str = "hi", at: str = AT) -> dict[str, Any]:
    return {"id": message_id, "role": role, "content": content, "createdAt": at}


def to_send(text: str = "hi", **more: Any) -> NewMessage:
    known: dict[str, Any] = {"role": MessageRole.USER, "parent_id": None}
    return NewMessage(id="ours", reply_id="ours-too", chat_id="c", text=text, **{**known, **more})


async def sent(source: ChatSource, new: NewMessage) -> list[Progress]:
    return [progress async for progress in source.send_message(new)]


async def test_list_and_single_chat_tell_different_halves() -> None:
    answers = load("kodey")
    transport = Replay(answers, ["list_chats", "get_chat"])
    source = kodey(UpstreamClients(transport=transport)).connect(a_source("kodey"), {"api_key": "sk_live_x"})
    (page,) = [page async for page in source.drain_chats(frozenset())]
    row = page.rows[0]
    assert (row.owner, row.agent) == (Person("user-anna"), Agent("agent_support", kind=AgentKind.AGENT))
    full = await source.get_chat("chat_1")
    assert full is not None
    assert "owner" not in full.told
    assert full.raw == {"id": "chat_1", "agentId": "agent_support", "teamId": "team_abc123", "createdAt": AT}
    assert await source.account() == Account(kind=AccountKind.TEAM, native_id="team_abc123")
    assert [request.headers["x-api-key"] for request in transport.requests] == ["sk_live_x"] * 2


async def test_team_of_an_empty_list_is_unknown() -> None:
    source, _ = a_team(lambda request: an_answer({"chats": []}))
    assert await source.account() is None


async def test_user_of_a_chat_may_be_missing_in_the_list() -> None:
    source, _ = a_team(lambda request: an_answer({"chats": [{"id": "c", "agentId": "a", "createdAt": AT}]}))
    (page,) = [page async for page in source.drain_chats(frozenset())]
    assert "owner" in page.rows[0].told
    assert page.rows[0].owner is None


async def test_strange_row_is_skipped_and_counted() -> None:
    good = {"id": "c", "agentId": "a", "createdAt": AT}
    source, _ = a_team(lambda request: an_answer({"chats": [good, {"id": "d"}, None, {**good, "id": ".."}]}))
    (page,) = [page async for page in source.drain_chats(frozenset())]
    assert ([chat.native_id for chat in page.rows], page.skipped.count) == (["c"], 3)
    assert source.health().contract_drift == 3


@pytest.mark.parametrize("backwards", [False, True])
async def test_messages_are_put_into_order_and_chained(backwards: bool) -> None:
    """The documents do not tell the order of the list."""
    listed = [
        a_message("1", at="2026-01-01T00:00:00Z"),
        a_message("2", "assistant", at="2026-01-01T00:00:01Z"),
        a_message("3", at="2026-01-01T00:00:01Z"),
        a_message("4", "system", at="2026-01-01T00:00:02.5Z"),
    ]
    source, _ = a_team(Team(messages=listed[::-1] if backwards else listed))
    found = await source.read_messages("c", MessageWindow(last=2))
    assert found is not None
    assert [(message.native_id, message.parent_id) for message in found.messages] == [
        ("1", None),
        ("2", "1"),
        ("3", "2"),
        ("4", "3"),
    ]
    assert found.messages[3].role is MessageRole.OTHER
    assert (found.active_leaf, found.total, found.is_complete) == ("4", 4, True)


async def test_sending_finds_the_users_message_by_reading_the_list_again() -> None:
    listed = [a_message("old"), a_message("r0", "assistant"), a_message("mine"), a_message("r", "assistant", "yes")]
    source, transport = a_team(Team(messages=listed))
    (progress,) = await sent(source, to_send())
    assert progress.message is not None
    assert progress.reply is not None
    assert (progress.message.native_id, progress.message.text) == ("mine", "hi")
    assert (progress.reply.native_id, progress.reply.parent_id, progress.reply.state) == (
        "r",
        "mine",
        MessageState.COMPLETE,
    )
    assert transport.lines == ["POST /chat/c/message", "GET /chat/c/message"]
    assert json.loads(transport.requests[0].content) == {"content": "hi", "role": "user"}


@pytest.mark.parametrize(
    "team",
    [Team(list_messages=lambda: an_answer({}, 500)), Team(list_messages=lambda: an_answer({}, 404)), Team(messages=[])],
    ids=["list fails", "chat deleted", "not listed yet"],
)
async def test_answered_message_is_a_success_even_when_the_list_does_not_show_it(team: Team) -> None:
    source, _ = a_team(team)
    (progress,) = await sent(source, to_send())
    assert progress.message is None
    assert progress.reply is not None
    assert progress.reply.text == "yes"


async def test_message_that_comes_twice_is_shown_once() -> None:
    """As its own parent it would hide all that stands before it."""
    listed = [a_message("1"), a_message("2", "assistant"), a_message("3")]
    source, _ = a_team(Team(messages=[*listed[:2], listed[1], listed[2], listed[0]]))
    found = await source.read_messages("c", MessageWindow(last=5))
    assert found is not None
    assert [(message.native_id, message.parent_id) for message in found.messages] == [
        ("1", None),
        ("2", "1"),
        ("3", "2"),
    ]
    assert found.total == 3


async def test_message_is_never_sent_twice() -> None:
    source, transport = a_team(Team(reply=lambda: an_answer({}, 503)))
    with pytest.raises(UpstreamError) as caught:
        await sent(source, to_send())
    assert caught.value.perhaps_executed
    assert len(transport.requests) == 1


async def test_reply_of_another_shape_counts_as_perhaps_executed() -> None:
    source, _ = a_team(Team(reply=lambda: an_answer({"id": "r"})))
    with pytest.raises(UnexpectedAnswer) as caught:
        await sent(source, to_send())
    assert (caught.value.json_path, caught.value.perhaps_executed) == ("$.role", True)


@pytest.mark.parametrize(
    ("more", "path"),
    [({"role": MessageRole.ASSISTANT}, "role"), ({"model": "m"}, "model"), ({"metadata": {"a": 1}}, "metadata")],
)
async def test_message_takes_nothing_but_words(more: dict[str, Any], path: str) -> None:
    source, transport = a_team(Team())
    with pytest.raises(InvalidArgument) as caught:
        await sent(source, to_send(**more))
    assert caught.value.path == (path,)
    assert transport.requests == []


@pytest.mark.parametrize(
    ("new", "path"),
    [
        (NewChat(), ("agent",)),
        (NewChat(agent="a", options={"x": 1}), ("options",)),
        (NewChat(agent="a", user_id="stranger"), ("userId",)),
    ],
    ids=["no agent", "options", "user"],
)
async def test_impossible_chat_is_refused_before_any_request(new: NewChat, path: tuple[str, ...]) -> None:
    source, transport = a_team(Team(), user_ids=["anna"])
    with pytest.raises(InvalidArgument) as caught:
        await source.create_chat(new)
    assert caught.value.path == path
    assert transport.requests == []


@pytest.mark.parametrize(
    ("options", "asked", "used"),
    [
        ({"user_ids": ["anna"]}, "anna", "anna"),
        ({"user_ids": ["anna"]}, None, None),
        ({"user_id": "robot"}, None, "robot"),
        ({"user_id": "robot"}, "robot", "robot"),
        ({"user_id": "viewer"}, "whoever", "whoever"),
        ({"user_id": "viewer"}, None, None),
    ],
)
async def test_user_of_a_new_chat_follows_the_options(
    options: dict[str, Any], asked: str | None, used: str | None
) -> None:
    source, transport = a_team(Team(), **options)
    chat = await source.create_chat(NewChat(agent="a", user_id=asked, metadata={"k": 1}))
    body = json.loads(transport.requests[0].content)
    assert body == {"agentId": "a", "metadata": {"k": 1}} | ({"userId": used} if used else {})
    assert chat.owner == (Person(used) if used else None)
    assert "metadata" not in chat.told


async def test_publishable_key_that_may_not_delete_is_told_what_to_use() -> None:
    body = load("kodey")["forbidden"].body
    source, _ = a_team(lambda request: an_answer(body, 403), key="pk_live_1")
    with pytest.raises(UpstreamUnauthorized, match=r"Use a team's secret key \(`sk_live_…`\)"):
        await source.delete_chat("c")


async def test_wait_of_a_rate_limit_stands_in_the_body() -> None:
    recorded = load("kodey")["rate_limited"]
    source, _ = a_team(lambda request: recorded.response())
    with pytest.raises(UpstreamRateLimited) as caught:
        await source.get_chat("c")
    assert caught.value.retry_after_seconds == 42


@pytest.mark.parametrize(("key", "burst"), [("pk_live_1", 10), ("sk_live_1", 100)])
async def test_quota_follows_the_kind_of_key(key: str, burst: int) -> None:
    time = FakeClock()
    transport = Scripted(lambda request: an_answer({}, 204))
    source = kodey(UpstreamClients(clock=time.clock, transport=transport)).connect(a_source("kodey"), {"api_key": key})
    for number in range(burst):
        await source.delete_chat(str(number))
    assert time.sleeps == []
    await source.delete_chat("one more")
    assert time.sleeps == [pytest.approx(6 / burst)]


async def test_nothing_is_searched_or_ordered_at_kodey() -> None:
    source, transport = a_team(Team())
    with pytest.raises(CapabilityMissing):
        await source.search(SearchRequest(text="x", limit=1))
    assert list(await source.list_folders()) == []
    assert await source.list_agents() is None
    assert transport.requests == []
