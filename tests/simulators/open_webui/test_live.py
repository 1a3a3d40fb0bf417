"""The simulator's Socket.IO beyond what `tests/open_webui` compares with a real server: what the control API does to it, and who hears what."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from simulators import open_webui
from simulators.open_webui.accounts import accounts, session_of
from simulators.serving import running
from tests.open_webui.sockets import Line, a_line

ADMIN, USER = (session_of(one, int(time.time()))[0] for one in accounts())
CHATS = "/api/v1/chats"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running(open_webui.create_app(seed=False)) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    """The admin's, of a server with nothing in it."""
    key = {"authorization": f"Bearer {open_webui.ADMIN_KEY}"}
    with httpx.Client(base_url=url, headers=key, trust_env=False, verify=False, timeout=20) as client:
        client.post("/__control/reset", json={"seed": False})
        client.post("/__control/switches", json={"cut_socket_after": 0, "socket_is_mute": False, "slow_word_ms": 20})
        yield client


@pytest.fixture
def chat_id(client: httpx.Client) -> str:
    body = {"chat": {"title": "t", "history": {"messages": {}, "currentId": None}}}
    return str(client.post(f"{CHATS}/new", json=body).json()["id"])


def emit(client: httpx.Client, chat_id: str, **said: Any) -> Any:
    return client.post("/__control/emit", json={"chat_id": chat_id, **said}).json()


def kinds(events: list[Any]) -> list[str]:
    return [event["data"]["type"] for event in events]


def turn(chat_id: str, number: int) -> dict[str, Any]:
    question = {"id": f"q{number}", "parentId": None, "role": "user", "content": "long please", "models": ["fake-slow"]}
    body = {"model": "fake-slow", "stream": True, "session_id": "s", "chat_id": chat_id, "parent_id": None}
    return body | {"id": f"r{number}", "user_message": question}


@pytest.fixture
def line(client: httpx.Client, url: str) -> Iterator[Line]:
    """The admin's, joined."""
    with a_line(url, ADMIN) as line:
        line.join(ADMIN)
        yield line


def test_emitted_answer_is_told_as_another_clients_turn(client: httpx.Client, chat_id: str, line: Line) -> None:
    told = emit(client, chat_id, text="one two")
    events = line.until("chat:active", active=False)
    assert kinds(events) == [
        "chat:list",
        "chat:active",
        *["response:completion"] * 3,
        "chat:completion",
        "chat:list",
        "chat:completion",
        "chat:active",
    ]
    deltas = [
        event["data"]["data"].get("delta", "") for event in events if event["data"]["type"] == "response:completion"
    ]
    assert "".join(deltas) == "one two"
    assert {event["message_id"] for event in events[1:]} == {told["message_id"]}
    stored = client.get(f"{CHATS}/{chat_id}").json()["chat"]["history"]["messages"][told["message_id"]]
    assert stored["content"] == "one two"


def test_many_emitted_answers_are_told_one_after_the_other(client: httpx.Client, chat_id: str, line: Line) -> None:
    ids = [emit(client, chat_id, text="one two three")["message_id"] for _ in range(20)]
    for message_id in ids:
        events = line.until("chat:active", active=False)
        assert {event["message_id"] for event in events[1:]} == {message_id}


def test_emitted_question_is_told_to_nobody(client: httpx.Client, chat_id: str, line: Line) -> None:
    emit(client, chat_id, text="appended by a REST call", role="user")
    emit(client, chat_id, text="heard")
    assert line.next()["data"]["type"] == "chat:list"
    assert len(line.until("chat:active", active=False)) == 7


def test_chat_with_two_replies_is_active_until_both_have_ended(client: httpx.Client, chat_id: str, line: Line) -> None:
    for number in (1, 2):
        client.post("/api/chat/completions", json=turn(chat_id, number))
    line.until("response:completion", type="response.output_text.delta")
    client.post(f"/api/tasks/chat/{chat_id}/stop")
    told = kinds(line.until("chat:active", active=False))
    assert told.count("chat:tasks:cancel") >= 3  # two for each that had words
    emit(client, chat_id, text="next")
    assert line.next()["data"]["type"] == "chat:list"


def test_chat_that_is_deleted_below_its_reply_says_that_it_ends(client: httpx.Client, chat_id: str, line: Line) -> None:
    client.post("/api/chat/completions", json=turn(chat_id, 1))
    line.until("response:completion", type="response.output_text.delta")
    client.delete(f"{CHATS}/{chat_id}")
    told = [kind for kind in kinds(line.until("chat:active", active=False)) if kind != "response:completion"]
    assert told == ["chat:tasks:cancel", "chat:tasks:cancel", "chat:active"]


def test_every_connection_of_a_user_is_told_and_no_other(
    client: httpx.Client, url: str, chat_id: str, line: Line
) -> None:
    with a_line(url, ADMIN) as connected, a_line(url, USER) as another:
        another.join(USER)
        emit(client, chat_id, text="mine")
        assert len(line.until("chat:active", active=False)) == len(connected.until("chat:active", active=False))
        theirs = httpx.post(
            f"{url}{CHATS}/new",
            json={"chat": {"title": "t"}},
            headers={"authorization": f"Bearer {open_webui.USER_KEY}"},
            verify=False,
        ).json()["id"]
        emit(client, theirs, text="theirs")
        assert another.next()["chat_id"] == theirs


def test_connection_is_cut_after_so_many_frames(client: httpx.Client, chat_id: str, line: Line) -> None:
    client.post("/__control/switches", json={"cut_socket_after": 5})
    emit(client, chat_id, text="one two three")
    with pytest.raises(ConnectionClosed):
        line.until("chat:active", active=False)


def test_mute_connection_acknowledges_and_tells_nothing(client: httpx.Client, chat_id: str, line: Line) -> None:
    client.post("/__control/switches", json={"socket_is_mute": True})
    emit(client, chat_id, text="lost")
    assert line.call("heartbeat", {}) == []
    client.post("/__control/switches", json={"socket_is_mute": False})
    assert line.call("heartbeat", {}) == []
    emit(client, chat_id, text="heard")
    assert line.next()["data"]["type"] in ("chat:list", "chat:active", "response:completion", "chat:completion")


def test_fault_refuses_or_closes_a_connection(client: httpx.Client, url: str) -> None:
    client.post("/__control/faults", json={"operation": "open_socket", "status": 503, "times": 1})
    with pytest.raises(Exception, match="503"), a_line(url, ADMIN):
        pass
    client.post("/__control/faults", json={"operation": "open_socket", "close_code": 1013, "times": 1})
    with pytest.raises(ConnectionClosed, match="1013"), a_line(url, ADMIN):
        pass


def test_open_connections_are_counted(client: httpx.Client, url: str) -> None:
    def connections() -> int:
        return int(client.get("/__control/state").json()["sockets"])

    with a_line(url, ADMIN), a_line(url, None):
        assert connections() == 2
    ends = time.monotonic() + 10
    while connections() and time.monotonic() < ends:
        pass
    assert connections() == 0


def test_book_of_calls_has_the_joins_and_not_the_token(client: httpx.Client, line: Line) -> None:
    line.call("heartbeat", {})
    calls = client.get("/__control/calls").json()
    frames = [call["operation"] for call in calls if call["method"] == "FRAME"]
    assert frames == ["user_join", "heartbeat"]
    assert ADMIN not in json.dumps(calls)
    assert next(call for call in calls if call["operation"] == "open_socket")["status"] == 101
