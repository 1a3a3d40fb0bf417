"""What is particular to Open WebUI; each test is named after its quirk."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from domain.errors import (
    Conflict,
    GatewayError,
    InvalidArgument,
    NotFound,
    UnexpectedAnswer,
    UpstreamError,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnauthorized,
    UpstreamUnavailable,
)
from domain.records import Chat, FolderRef, MessageRole, MessageState, Person
from domain.source import ChatSource, FirstMessage, FolderContents, NewChat, NewMessage, Progress, SearchRequest
from tests.upstreams.open_webui.server import CHAT, NOT_FOUND, OWN, Server, a_chat, a_message, a_row
from tests.upstreams.recorded import load
from tests.upstreams.wire import an_answer
from upstreams.open_webui.capabilities import UPDATED_DESC
from upstreams.open_webui.chats import highlights

pytestmark = pytest.mark.anyio
GET_CHAT = f"GET /api/v1/chats/{CHAT}"
FOLDERS = [
    {"id": "top", "name": "Top", "parent_id": None, "created_at": 1, "updated_at": 2},
    {"id": "below", "name": "Below", "parent_id": "top", "created_at": 1, "updated_at": 2},
]


async def drained(source: ChatSource, *needs: str) -> list[Chat]:
    return [chat async for page in source.drain_chats(frozenset(needs)) for chat in page.rows]


async def progress_of(steps: AsyncIterator[Progress]) -> list[Progress]:
    return [step async for step in steps]


def to_send(**more: Any) -> NewMessage:
    known: dict[str, Any] = {"chat_id": CHAT, "role": MessageRole.USER, "text": "hello", "parent_id": None}
    return NewMessage(id="u", reply_id="a", **{**known, **more})


# The release


@pytest.mark.parametrize("version", ["0.8.12", "0.6.43", "0.0"])
async def test_old_release_is_refused_in_a_clear_sentence(version: str) -> None:
    server = Server()
    server.routes["GET /api/version"] = lambda request: an_answer({"version": version})
    source = server.connect()
    with pytest.raises(UpstreamRejected, match=f"Open WebUI {version} answered, and 0.9 is the oldest"):
        await source.get_chat(CHAT)
    assert server.asked == []
    checks = {check.name: check.passed for check in await source.check()}
    assert checks == {"reachable": True, "version": False, "credentials": None}


@pytest.mark.parametrize("version", ["0.9.0", "0.12.4", "v1.0-rc1", "0.10.0.dev1"])
async def test_recent_release_is_probed_once(version: str) -> None:
    server = Server()
    server.routes["GET /api/version"] = lambda request: an_answer({"version": version})
    source = server.connect()
    for _ in range(3):
        assert await source.get_chat(CHAT) is not None
    assert server.transport.lines.count("GET /api/version") == 1


@pytest.mark.parametrize(
    "answer",
    [
        an_answer({"version": "latest"}),
        an_answer({}),
        an_answer({}, 404),
        an_answer(content=b"<html>", headers={"Content-Type": "text/html"}),
    ],
    ids=["words", "none", "missing", "html"],
)
async def test_what_is_no_open_webui_is_named(answer: httpx.Response) -> None:
    server = Server()
    server.routes["GET /api/version"] = lambda request: answer
    with pytest.raises(UnexpectedAnswer, match="`base_url`"):
        await server.connect().get_chat(CHAT)


# Whose chats


async def test_chat_of_another_user_is_not_found_for_an_administrator() -> None:
    server = Server()
    server.routes["GET /api/v1/chats/other"] = lambda request: an_answer(a_chat(id="other", user_id="somebody"))
    source = server.connect()
    assert await source.get_chat("other") is None
    for write in (
        lambda: source.delete_chat("other"),
        lambda: source.edit_message("other", "m", "x"),
        lambda: source.set_pinned("other", True),
        lambda: progress_of(source.send_message(to_send(chat_id="other"))),
    ):
        with pytest.raises(NotFound):
            await write()
    assert not [line for line in server.asked if not line.startswith("GET ")]


async def test_chat_of_another_user_is_shown_where_the_option_says_so() -> None:
    server = Server()
    server.chat["user_id"] = "somebody"
    found = await server.connect(all_users=True).get_chat(CHAT)
    assert found is not None
    assert found.owner == Person("somebody")
    assert server.asked == [GET_CHAT]


async def test_own_id_is_learnt_once_from_a_chat_of_the_list() -> None:
    server = Server()
    server.routes["GET /api/v1/chats/second"] = lambda request: an_answer(a_chat(id="second"))
    source = server.connect()
    assert await source.get_chat("second") is not None
    before = len(server.asked)
    assert await source.get_chat(CHAT) is not None
    assert server.asked[before:] == [GET_CHAT]


async def test_own_id_is_learnt_from_the_session_with_a_token() -> None:
    server = Server()
    server.routes["GET /api/v1/auths/"] = lambda request: an_answer({"id": OWN})
    assert await server.connect("jwt").get_chat(CHAT) is not None
    assert server.asked == [GET_CHAT, "GET /api/v1/auths/"]


async def test_account_without_chats_owns_none() -> None:
    server = Server()
    server.routes["GET /api/v1/chats/"] = lambda request: an_answer([])
    assert await server.connect().get_chat(CHAT) is None


# Lists


async def test_row_tells_title_and_times_alone() -> None:
    page = await Server().connect().list_chats(UPDATED_DESC, None)
    (row,) = page.rows
    assert row.told == {"title", "created_at", "updated_at"}
    assert (page.next, page.previous) == (None, None)


async def test_page_of_sixty_goes_on_even_when_rows_of_it_are_strange() -> None:
    server = Server()
    rows = [a_row(f"c{number}") for number in range(59)]
    server.routes["GET /api/v1/chats/"] = lambda request: an_answer([*rows, {"id": 5}])
    page = await server.connect().list_chats(UPDATED_DESC, "3")
    assert (len(page.rows), page.skipped.count, page.next, page.previous) == (59, 1, "4", "2")
    assert server.asked == ["GET /api/v1/chats/?page=3&include_pinned=true&include_folders=true"]


async def test_drain_by_rows_knows_archived_from_the_list_it_stands_in() -> None:
    server = Server()
    server.routes["GET /api/v1/chats/archived"] = lambda request: an_answer([a_row("old")])
    found = {chat.native_id: chat.archived for chat in await drained(server.connect(), "title", "archived")}
    assert found == {CHAT: False, "old": True}


async def test_drain_by_rows_shows_a_chat_once_that_moved_between_pages() -> None:
    server = Server()
    pages = {"1": [a_row(f"c{number}") for number in range(60)], "2": [a_row("c59"), a_row("c60")]}
    server.routes["GET /api/v1/chats/"] = lambda request: an_answer(pages[request.url.params["page"]])
    found = [chat.native_id for chat in await drained(server.connect())]
    assert found == [f"c{number}" for number in range(61)]


async def test_drain_ends_when_the_server_repeats_itself() -> None:
    server = Server()
    server.routes["GET /api/v1/chats/"] = lambda request: an_answer([a_row(f"c{number}") for number in range(60)])
    assert len(await drained(server.connect())) == 60


async def test_drain_that_needs_more_reads_the_export_line_by_line() -> None:
    server = Server()
    chats = [a_chat(id=f"c{number}", archived=number == 1) for number in range(61)]
    lines = [*(httpx.Response(200, json=chat).content for chat in chats), b'{"half": ', b""]
    server.routes["GET /api/v1/chats/all"] = lambda request: an_answer(
        content=b"\n".join(lines), headers={"Content-Type": "application/x-ndjson"}
    )
    pages = [page async for page in server.connect().drain_chats(frozenset(["tags"]))]
    assert [len(page.rows) for page in pages] == [60, 1]
    assert sum(page.skipped.count for page in pages) == 1
    assert [chat.native_id for page in pages for chat in page.rows if chat.archived] == ["c1"]
    assert server.asked == ["GET /api/v1/chats/all"]


async def test_full_chat_is_mapped() -> None:
    server = Server()
    messages = {"u": a_message("u"), "a": a_message("a", "assistant", "yes", "u", timestamp=1795198600, done=True)}
    server.chat = a_chat(messages, "a", share_id="s-123", pinned=None, folder_id="f", meta={"tags": ["b", "a", "b"]})
    server.chat["chat"]["metadata"] = {"k": 1}
    chat = await server.connect().get_chat(CHAT)
    assert chat is not None
    assert chat.agent is not None
    assert (chat.title, chat.tags, chat.pinned, chat.archived) == ("T", ("a", "b"), False, False)
    assert (chat.agent.native_id, chat.metadata, chat.folder) == ("m", {"k": 1}, FolderRef(7, "f"))
    assert (chat.message_count, chat.share_url) == (2, "https://vendor.test/s/s-123")
    assert chat.last_message_at is not None
    assert int(chat.last_message_at.timestamp()) == 1795198600
    assert "s-123" not in str(chat.raw)
    assert OWN not in str(chat.raw)


# Set-state over toggles


def toggling(server: Server, name: str, path: str) -> Callable[[httpx.Request], httpx.Response]:
    def toggle(request: httpx.Request) -> httpx.Response:
        server.chat[name] = not server.chat[name]
        return an_answer(server.chat)

    server.routes[f"POST /api/v1/chats/{CHAT}/{path}"] = toggle
    return toggle


@pytest.mark.parametrize(("name", "path"), [("pinned", "pin"), ("archived", "archive")])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
async def test_toggle_is_used_only_when_the_state_differs(name: str, path: str, before: bool, wanted: bool) -> None:
    server = Server()
    server.chat[name] = before
    toggling(server, name, path)
    source = server.connect()
    chat = await (source.set_pinned if name == "pinned" else source.set_archived)(CHAT, wanted)
    assert getattr(chat, name) is wanted
    assert len([line for line in server.asked if line.startswith("POST ")]) == (before is not wanted)


async def test_toggle_that_met_another_is_put_right() -> None:
    server = Server()
    toggle = toggling(server, "pinned", "pin")
    calls = 0

    def with_another(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        if calls == 1:
            toggle(request)  # somebody else's, between our reading and ours
        return toggle(request)

    server.routes[f"POST /api/v1/chats/{CHAT}/pin"] = with_another
    assert (await server.connect().set_pinned(CHAT, True)).pinned is True
    assert calls == 2


async def test_toggle_against_somebody_persistent_is_a_conflict() -> None:
    server = Server()
    server.routes[f"POST /api/v1/chats/{CHAT}/pin"] = lambda request: an_answer(server.chat)
    with pytest.raises(Conflict):
        await server.connect().set_pinned(CHAT, True)


@pytest.mark.parametrize("was_done", [True, False])
async def test_toggle_whose_answer_was_lost_is_looked_for(was_done: bool) -> None:
    server = Server()

    async def lost(request: httpx.Request) -> httpx.Response:
        server.chat["pinned"] = was_done
        raise httpx.ReadError("gone", request=request)

    server.routes[f"POST /api/v1/chats/{CHAT}/pin"] = lost
    if was_done:
        assert (await server.connect().set_pinned(CHAT, True)).pinned is True
    else:
        with pytest.raises(UpstreamUnavailable):
            await server.connect().set_pinned(CHAT, True)
    assert server.asked.count(f"POST /api/v1/chats/{CHAT}/pin") == 1


# Creating


async def test_new_chat_has_its_messages_as_a_history() -> None:
    server = Server()
    server.routes["POST /api/v1/chats/new"] = lambda request: an_answer(a_chat(id="made"))
    messages = (
        FirstMessage(id="1", role=MessageRole.USER, text="one", metadata={"k": 1}),
        FirstMessage(id="2", role=MessageRole.ASSISTANT, text="two"),
    )
    new = NewChat(title="N", agent="gpt", metadata={"a": 1}, folder_id="f", messages=messages, idempotency_id="i-1")
    await server.connect().create_chat(new)
    (body,) = server.bodies("POST /api/v1/chats/new")
    history = body["chat"].pop("history")
    assert body == {
        "chat": {"title": "N", "models": ["gpt"], "metadata": {"a": 1}, "switchboard_intent": "i-1"},
        "folder_id": "f",
    }
    assert history["currentId"] == "2"
    assert history["messages"]["1"]["childrenIds"] == ["2"]
    assert history["messages"]["2"]["parentId"] == "1"
    assert (history["messages"]["2"]["model"], history["messages"]["2"]["done"]) == ("gpt", True)
    assert history["messages"]["1"]["metadata"] == {"k": 1}


@pytest.mark.parametrize("is_there", [True, False])
async def test_creation_whose_answer_was_lost_is_found_by_its_id(is_there: bool) -> None:
    server = Server()

    async def lost(request: httpx.Request) -> httpx.Response:
        if is_there:
            server.chat["chat"]["switchboard_intent"] = "i-1"
        raise httpx.ReadError("gone", request=request)

    server.routes["POST /api/v1/chats/new"] = lost
    source = server.connect()
    if is_there:
        assert (await source.create_chat(NewChat(idempotency_id="i-1"))).native_id == CHAT
    else:
        with pytest.raises(UpstreamUnavailable) as caught:
            await source.create_chat(NewChat(idempotency_id="i-1"))
        assert caught.value.perhaps_executed
    assert server.asked.count("POST /api/v1/chats/new") == 1


@pytest.mark.parametrize(
    ("new", "path"),
    [
        (NewChat(user_id="u"), ("userId",)),
        (NewChat(options={"a": 1}), ("options",)),
        (NewChat(tags=("a", "none")), ("tags", "1")),
        (NewChat(tags=(" ",)), ("tags", "0")),
        (NewChat(messages=(FirstMessage(id="1", role=MessageRole.TOOL, text="x"),)), ("messages", "0", "role")),
    ],
    ids=["user", "options", "none", "empty tag", "role"],
)
async def test_impossible_chat_is_refused_before_any_request(new: NewChat, path: tuple[str, ...]) -> None:
    server = Server()
    with pytest.raises(InvalidArgument) as caught:
        await server.connect().create_chat(new)
    assert caught.value.path == path
    assert server.transport.lines == []


async def test_tags_are_compared_as_the_server_keeps_them() -> None:
    server = Server()
    server.chat["meta"] = {"tags": ["my_tag", "old"]}
    server.routes[f"POST /api/v1/chats/{CHAT}/tags"] = lambda request: an_answer([])
    server.routes[f"DELETE /api/v1/chats/{CHAT}/tags"] = lambda request: an_answer([])
    await server.connect().set_tags(CHAT, ["My Tag", "NEW", "new"])
    assert server.bodies(f"POST /api/v1/chats/{CHAT}/tags") == [{"name": "new"}]
    assert server.bodies(f"DELETE /api/v1/chats/{CHAT}/tags") == [{"name": "old"}]


async def test_failure_behind_a_first_write_counts_as_perhaps_executed() -> None:
    server = Server()
    tags = f"POST /api/v1/chats/{CHAT}/tags"
    server.routes[tags] = lambda request: an_answer([]) if server.asked.count(tags) == 1 else an_answer({}, 403)
    with pytest.raises(UpstreamUnauthorized) as caught:
        await server.connect().set_tags(CHAT, ["a", "b"])
    assert caught.value.perhaps_executed


async def test_new_chat_whose_tags_failed_is_a_chat_without_tags() -> None:
    server = Server()
    server.routes["POST /api/v1/chats/new"] = lambda request: an_answer(server.chat)
    server.routes[f"POST /api/v1/chats/{CHAT}/tags"] = lambda request: an_answer({}, 500)
    made = await server.connect().create_chat(NewChat(tags=("a",)))
    assert (made.native_id, made.tags) == (CHAT, ())


async def test_title_cannot_be_emptied() -> None:
    with pytest.raises(InvalidArgument):
        await Server().connect().rename_chat(CHAT, None)


# Sending


class Growing(Server):
    """A server whose reply grows by a word with each reading, and ends as `final` says."""

    def __init__(self, words: int = 3, **final: Any) -> None:
        super().__init__()
        self.words = 0
        self.chat = a_chat({"old": a_message("old", "assistant", "before", done=True)}, "old")
        self.final = final or {"done": True}
        self.last = words
        self.grows = True
        self.routes["POST /api/chat/completions"] = self.complete
        self.routes[GET_CHAT] = self.read
        self.routes[f"GET /api/tasks/chat/{CHAT}"] = lambda request: an_answer({"task_ids": ["t"]})

    def complete(self, request: httpx.Request) -> httpx.Response:
        (body,) = self.bodies("POST /api/chat/completions")
        turn = body["user_message"]
        self.chat["chat"]["history"]["messages"] |= {
            turn["id"]: turn,
            body["id"]: a_message(body["id"], "assistant", "", turn["id"], done=False, model=body["model"]),
        }
        return an_answer({"status": True, "task_ids": ["t"], "chat_id": CHAT})

    def read(self, request: httpx.Request) -> httpx.Response:
        reply = self.chat["chat"]["history"]["messages"].get("a")
        if reply is not None and self.grows:
            reply["content"] = " ".join(["word"] * self.words)
            if self.words == self.last:
                reply.update(self.final)
            self.words += 1
        return an_answer(self.chat)


async def test_message_is_sent_in_background_mode_with_our_ids() -> None:
    server = Growing()
    await progress_of(server.connect().send_message(to_send(parent_id="old", metadata={"k": 1})))
    (body,) = server.bodies("POST /api/chat/completions")
    turn = body.pop("user_message")
    assert body == {
        "model": "m",
        "stream": True,
        "chat_id": CHAT,
        "id": "a",
        "parent_id": "old",
        "session_id": "switchboard-a",
        "messages": [{"role": "user", "content": "hello"}],
    }
    assert (turn["id"], turn["parentId"], turn["content"], turn["models"]) == ("u", "old", "hello", ["m"])
    assert turn["metadata"] == {"k": 1}


async def test_reply_is_read_as_it_grows() -> None:
    server = Growing()
    steps = await progress_of(server.connect().send_message(to_send()))
    assert [(step.reply.text, step.reply.state) for step in steps if step.reply] == [
        ("", MessageState.STREAMING),
        ("word", MessageState.STREAMING),
        ("word word", MessageState.STREAMING),
        ("word word word", MessageState.COMPLETE),
    ]
    assert {step.message.text for step in steps if step.message} == {"hello"}
    assert server.time.sleeps == [0.15, 0.15, 0.15]


async def test_pauses_grow_while_nothing_is_said() -> None:
    server = Growing()
    source = server.connect(reply_poll_seconds=0.5)
    steps = source.send_message(to_send())
    server.last = 0
    server.final = {"done": False}
    seen = await anext(steps)
    assert seen.reply is not None
    server.grows = False
    server.routes[f"GET /api/tasks/chat/{CHAT}"] = lambda request: an_answer({"task_ids": []})
    rest = [step async for step in steps]
    assert [step.reply.state for step in rest if step.reply] == [MessageState.FAILED]
    assert server.time.sleeps[:5] == [0.15, pytest.approx(0.225), pytest.approx(0.3375), 0.5, 0.5]


async def test_silent_reply_with_a_task_is_waited_for_up_to_the_option() -> None:
    server = Growing(words=10**9)
    source = server.connect(reply_timeout_seconds=30)
    steps = source.send_message(to_send())
    await anext(steps)
    server.grows = False
    with pytest.raises(UpstreamTimeout, match="reply_timeout_seconds"):
        async for _ in steps:
            pass
    assert f"GET /api/tasks/chat/{CHAT}" in server.asked


@pytest.mark.parametrize(
    ("final", "state"),
    [
        ({"done": True, "error": {"content": "no"}}, MessageState.FAILED),
        (
            {"done": True, "output": [{"type": "message", "status": "incomplete", "content": []}]},
            MessageState.CANCELLED,
        ),
    ],
    ids=["failed", "stopped"],
)
async def test_reply_ends_as_the_server_says(final: dict[str, Any], state: MessageState) -> None:
    steps = await progress_of(Growing(1, **final).connect().send_message(to_send()))
    assert steps[-1].reply is not None
    assert steps[-1].reply.state is state


async def test_reading_that_fails_does_not_lose_the_reply() -> None:
    server = Growing()
    read, calls = server.read, 0

    def sometimes(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        return an_answer({}, 502) if 3 <= calls <= 8 else read(request)

    server.routes[GET_CHAT] = sometimes
    source = server.connect()
    steps = await progress_of(source.send_message(to_send()))
    assert steps[-1].reply is not None
    assert steps[-1].reply.state is MessageState.COMPLETE


async def test_chat_that_is_deleted_under_the_reply_ends_it() -> None:
    server = Growing()
    steps = server.connect().send_message(to_send())
    await anext(steps)
    server.routes[GET_CHAT] = lambda request: an_answer(NOT_FOUND, 401)
    with pytest.raises(NotFound):
        async for _ in steps:
            pass


async def test_completion_that_does_not_run_is_unexpected() -> None:
    server = Growing()
    server.routes["POST /api/chat/completions"] = lambda request: an_answer(None)
    with pytest.raises(UnexpectedAnswer) as caught:
        await progress_of(server.connect().send_message(to_send()))
    assert caught.value.perhaps_executed


async def test_unknown_parent_is_refused_before_sending() -> None:
    server = Growing()
    with pytest.raises(NotFound) as caught:
        await progress_of(server.connect().send_message(to_send(parent_id="gone")))
    assert caught.value.path == ("parentId",)
    assert not [line for line in server.asked if line.startswith("POST ")]


async def test_chat_without_a_model_needs_one() -> None:
    server = Growing()
    server.chat["chat"]["models"] = []
    with pytest.raises(InvalidArgument) as caught:
        await progress_of(server.connect().send_message(to_send()))
    assert caught.value.path == ("model",)


async def test_message_without_an_answer_is_merged_into_the_history() -> None:
    server = Server()

    def merge(request: httpx.Request) -> httpx.Response:
        (body,) = server.bodies(f"POST /api/v1/chats/{CHAT}")
        server.chat["chat"]["history"] = body["chat"]["history"]
        return an_answer(server.chat)

    server.routes[f"POST /api/v1/chats/{CHAT}"] = merge
    (step,) = await progress_of(server.connect().send_message(to_send(wants_reply=False)))
    assert step.message is not None
    assert (step.message.native_id, step.reply) == ("u", None)
    (body,) = server.bodies(f"POST /api/v1/chats/{CHAT}")
    assert body["chat"]["history"]["currentId"] == "u"


async def test_reply_is_made_again_under_the_same_question() -> None:
    server = Growing()
    server.chat = a_chat(
        {"q": a_message("q", content="why"), "r": a_message("r", "assistant", "so", "q", model="old", done=True)}, "r"
    )
    await progress_of(server.connect().regenerate(CHAT, "r", reply_id="a", model=None))
    (body,) = server.bodies("POST /api/chat/completions")
    assert (body["id"], body["parent_id"], body["model"]) == ("a", None, "old")
    assert (body["user_message"]["id"], body["user_message"]["content"]) == ("q", "why")


@pytest.mark.parametrize("message_id", ["q", "top"])
async def test_only_an_answer_to_a_user_can_be_made_again(message_id: str) -> None:
    server = Server()
    server.chat = a_chat({"q": a_message("q"), "top": a_message("top", "assistant", "x", done=True)}, "q")
    with pytest.raises(InvalidArgument):
        await progress_of(server.connect().regenerate(CHAT, message_id, reply_id="a", model=None))


@pytest.mark.parametrize("has_route", [True, False])
async def test_reply_is_stopped_by_its_owner_or_task_by_task(has_route: bool) -> None:
    server = Growing(words=10**9)
    steps = server.connect().send_message(to_send())
    await anext(steps)
    stopped = {"done": True, "output": [{"type": "message", "status": "incomplete", "content": []}]}

    def stop(request: httpx.Request) -> httpx.Response:
        server.grows = False
        server.chat["chat"]["history"]["messages"]["a"].update(stopped)
        return an_answer({"status": True})

    by_chat, by_task = f"POST /api/tasks/chat/{CHAT}/stop", "POST /api/tasks/stop/t"
    server.routes[by_chat] = stop if has_route else lambda request: an_answer({"detail": "Method Not Allowed"}, 405)
    server.routes[by_task] = stop
    reply = await server.connect().stop_reply(CHAT, "a")
    assert reply is not None
    assert reply.state is MessageState.CANCELLED
    assert (by_task in server.asked) is not has_route
    assert [step.reply.state for step in [step async for step in steps] if step.reply][-1] is MessageState.CANCELLED


async def test_nothing_is_stopped_where_nothing_runs() -> None:
    server = Server()
    server.chat = a_chat({"r": a_message("r", "assistant", "so", done=True)}, "r")
    source = server.connect()
    done = await source.stop_reply(CHAT, "r")
    assert done is not None
    assert done.state is MessageState.COMPLETE
    assert await source.stop_reply(CHAT, "none") is None
    assert await source.stop_reply("none", "r") is None
    assert not [line for line in server.asked if line.startswith("POST ")]


# Messages


async def test_edit_of_a_missing_message_does_not_create_one() -> None:
    server = Server()
    with pytest.raises(NotFound):
        await server.connect().edit_message(CHAT, "gone", "x")
    assert not [line for line in server.asked if line.startswith("POST ")]


async def test_delete_names_every_message_that_went() -> None:
    server = Server()
    messages = {
        "1": a_message("1"),
        "2": a_message("2", "assistant", parent="1", done=True),
        "3": a_message("3", parent="2"),
        "4": a_message("4", "assistant", parent="3", done=True),
    }
    server.chat = a_chat(messages, "4")
    left = {"1": messages["1"], "4": {**messages["4"], "parentId": "1"}}
    server.routes[f"DELETE /api/v1/chats/{CHAT}/messages/2"] = lambda request: an_answer(a_chat(left, "4"))
    assert list(await server.connect().delete_message(CHAT, "2")) == ["2", "3"]


async def test_id_with_a_slash_reaches_no_other_route() -> None:
    """The server's router reads `%2F` as `/`: `<chat>/archive` would archive."""
    server = Server()
    source = server.connect()
    assert await source.get_chat(f"{CHAT}/pinned") is None
    with pytest.raises(NotFound):
        await source.rename_chat(f"{CHAT}/archive", "x")
    assert server.asked == []


# Folders


async def test_folder_below_a_missing_one_is_refused() -> None:
    server = Server()
    server.routes["GET /api/v1/folders/"] = lambda request: an_answer(FOLDERS)
    with pytest.raises(NotFound) as caught:
        await server.connect().create_folder("New", "gone")
    assert caught.value.path == ("parentId",)
    assert server.asked == ["GET /api/v1/folders/"]


@pytest.mark.parametrize("parent", ["top", "below"])
async def test_folder_cannot_be_moved_below_itself(parent: str) -> None:
    server = Server()
    server.routes["GET /api/v1/folders/"] = lambda request: an_answer(FOLDERS)
    with pytest.raises(InvalidArgument):
        await server.connect().update_folder("top", name=None, parent_id=parent, moves=True)
    assert server.asked == ["GET /api/v1/folders/"]


@pytest.mark.parametrize(
    ("contents", "query"), [(FolderContents.KEEP_CHATS, "false"), (FolderContents.DELETE_CHATS, "true")]
)
async def test_deletion_of_a_folder_says_what_becomes_of_the_chats(contents: FolderContents, query: str) -> None:
    server = Server()
    server.routes["DELETE /api/v1/folders/top"] = lambda request: an_answer(True)
    await server.connect().delete_folder("top", contents)
    assert server.asked == [f"DELETE /api/v1/folders/top?delete_contents={query}"]


# Search


async def test_search_pages_within_a_page_and_beyond() -> None:
    server = Server()
    pages = {"1": [a_row(f"c{number}") for number in range(60)], "2": [a_row("last")]}
    server.routes["GET /api/v1/chats/search"] = lambda request: an_answer(pages[request.url.params["page"]])
    source = server.connect()
    found: list[str] = []
    scores: list[float] = []
    token: str | None = None
    while True:
        page = await source.search(SearchRequest(text="x", limit=25, token=token, tags=("t",)))
        found += [hit.found.native_id for hit in page.rows]
        scores += [hit.score for hit in page.rows]
        if (token := page.next) is None:
            break
    assert found == [*(f"c{number}" for number in range(60)), "last"]
    assert scores == sorted(scores, reverse=True)
    assert server.asked[0] == "GET /api/v1/chats/search?text=x+tag%3At&page=1"


async def test_search_keeps_to_chats_and_times() -> None:
    server = Server()
    rows = [a_row("a", updated_at=1795198509), a_row("b", updated_at=1795198600), a_row("c", updated_at=1795198700)]
    server.routes["GET /api/v1/chats/search"] = lambda request: an_answer(rows)
    source = server.connect()
    (_, middle, last) = [hit.found for hit in (await source.search(SearchRequest(text="x", limit=9))).rows]
    assert isinstance(middle, Chat)
    assert isinstance(last, Chat)
    request = SearchRequest(text="x", limit=9, since=middle.updated_at, until=last.updated_at)
    assert [hit.found.native_id for hit in (await source.search(request)).rows] == ["b"]
    request = SearchRequest(text="x", limit=9, chat_ids=frozenset(["a", "z"]))
    assert [hit.found.native_id for hit in (await source.search(request)).rows] == ["a"]


@pytest.mark.parametrize(
    ("snippet", "text", "ranges"),
    [
        ("Say Hello to hello", "hello", [(4, 9), (13, 18)]),
        ("😀 hello", "hello", [(3, 8)]),
        ("one two", "two one", [(0, 3), (4, 7)]),
        ("one two", "archived:true two", [(4, 7)]),
        (None, "x", []),
        ("İx", "x", []),
    ],
)
def test_highlights_count_utf16(snippet: str | None, text: str, ranges: list[tuple[int, int]]) -> None:
    assert highlights(snippet, text) == ranges


# The truth table


@pytest.mark.parametrize(
    ("name", "call", "kind", "path"),
    [
        ("pin_missing", lambda source: source.set_pinned(CHAT, True), NotFound, ()),
        ("rename_missing", lambda source: source.rename_chat(CHAT, "x"), NotFound, ()),
        ("delete_chat_missing", lambda source: source.delete_chat(CHAT), NotFound, ()),
        ("move_missing_folder", lambda source: source.move_chat(CHAT, "f"), NotFound, ("folderId",)),
        ("folder_missing", lambda source: source.delete_folder("f", FolderContents.KEEP_CHATS), NotFound, ()),
        ("folder_twin", lambda source: source.create_folder("Twin", None), Conflict, ("name",)),
        ("validation_422", lambda source: source.create_chat(NewChat()), UpstreamRejected, ()),
        ("old_path", lambda source: source.create_chat(NewChat()), UnexpectedAnswer, ()),
        ("forbidden", lambda source: source.list_folders(), UpstreamUnauthorized, ()),
        ("garbage_token", lambda source: source.list_folders(), UpstreamUnauthorized, ()),
        ("unknown_key", lambda source: source.list_folders(), UpstreamUnauthorized, ()),
        ("unknown_path_html", lambda source: source.list_folders(), UnexpectedAnswer, ()),
        ("server_error_500", lambda source: source.list_folders(), UpstreamUnavailable, ()),
        ("send_missing_chat", lambda source: progress_of(source.send_message(to_send())), NotFound, ()),
        ("send_missing_parent", lambda source: progress_of(source.send_message(to_send())), Conflict, ()),
        ("send_taken_id", lambda source: progress_of(source.send_message(to_send())), Conflict, ()),
        ("send_unknown_model", lambda source: progress_of(source.send_message(to_send())), InvalidArgument, ("model",)),
        ("complete_failing_model", lambda source: progress_of(source.send_message(to_send())), UpstreamUnavailable, ()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_recorded_refusal_means(
    name: str, call: Callable[[ChatSource], Awaitable[Any]], kind: type[GatewayError], path: tuple[str, ...]
) -> None:
    recorded = load("open_webui")[name]
    server = Server()
    source = server.connect()
    await source.get_chat(CHAT)
    probe = dict(server.routes)

    class Refusing(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            known = probe.get(key)
            return known if known is not None and key == GET_CHAT else lambda request: recorded.response()

    server.routes = Refusing()
    with pytest.raises(kind) as caught:
        await call(source)
    assert type(caught.value) is kind
    assert getattr(caught.value, "path", ()) == path
    if isinstance(caught.value, UpstreamError):
        assert caught.value.source_id == 7


async def test_refused_input_is_not_quoted_back() -> None:
    """A 422 repeats what was sent, and that may be somebody's message."""
    server = Server()
    detail = [{"type": "x", "loc": ["body", "chat"], "msg": "Field required", "input": {"text": "my secret thought"}}]
    server.routes["POST /api/v1/chats/new"] = lambda request: an_answer({"detail": detail}, 422)
    with pytest.raises(UpstreamRejected, match=r"body\.chat Field required") as caught:
        await server.connect().create_chat(NewChat())
    assert "thought" not in str(caught.value)
