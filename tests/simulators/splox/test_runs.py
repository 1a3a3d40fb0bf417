"""Running a workflow: refusals, the quota, what is kept, and stopping."""

import asyncio

import httpx
import pytest

from simulators import splox
from tests.simulators.splox.asking import Clock, Splox, text_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def chat_id(mine: Splox) -> str:
    made: str = (await mine.create())["id"]
    return made


async def test_a_run_ends_with_the_question_and_its_reply(mine: Splox, chat_id: str) -> None:
    for number in (1, 2):
        tree = await mine.ended(await mine.begin(chat_id))
        assert tree["status"] == "completed"
        assert [node["output_data"] for node in tree["nodes"]] == [{"response": f"Echo {number}: hi"}]
    messages = (await mine.history(chat_id))[::-1]
    assert [text_of(message) for message in messages] == ["hi", "Echo 1: hi", "hi", "Echo 2: hi"]
    assert [message["parent_id"] for message in messages] == [None, *(message["id"] for message in messages[:-1])]


async def test_a_replys_parent_is_its_own_question(mine: Splox, chat_id: str) -> None:
    """Also when several are asked at once."""
    await mine.switch(begin_ms=20)
    runs = [await mine.begin(chat_id, f"question {number}") for number in (1, 2, 3)]
    for run_id in runs:
        await mine.ended(run_id)
    messages = await mine.history(chat_id)
    said = {message["id"]: text_of(message) for message in messages}
    pairs = [(text_of(one), said[one["parent_id"]]) for one in messages if one["role"] == "assistant"]
    assert sorted(pairs) == [(f"Echo {number}: question {number}", f"question {number}") for number in (1, 2, 3)]


async def test_parents_may_be_unknown(mine: Splox, chat_id: str) -> None:
    await mine.switch(parents="null")
    await mine.ended(await mine.begin(chat_id))
    assert [message["parent_id"] for message in await mine.history(chat_id)] == [None, None]


@pytest.mark.parametrize(
    "more",
    [
        {"workflow_version_id": splox.ASSISTANT.workflow_id},
        {"chat_id": "00000000-0000-4000-8000-000000000000"},
        {"entry_node_ids": [splox.SLOW.node_id]},
        {"entry_node_ids": []},
        {"entry_node_ids": None, "start_node_id": splox.ASSISTANT.node_id},
        {"query": ""},
        {"files": [{"name": "no url"}]},
        {"additional_params": 3},
    ],
)
async def test_a_run_that_cannot_be_is_a_400(mine: Splox, chat_id: str, more: dict[str, object]) -> None:
    answer = await mine.ask(chat_id, **more)
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert (await mine.state())["runs"] == []


async def test_a_strangers_run_is_a_400_or_what_is_switched(theirs: Splox) -> None:
    chat_id = (await theirs.create())["id"]
    assert (await theirs.ask(chat_id)).status_code == 400
    await theirs.switch(run_refusal_status=403)
    assert (await theirs.ask(chat_id)).status_code == 403


async def test_entry_nodes_may_be_left_out_or_named_as_once(mine: Splox, chat_id: str) -> None:
    await mine.switch(accepts_start_node=True)
    await mine.begin(chat_id, entry_node_ids=None, start_node_id=splox.ASSISTANT.node_id)
    await mine.switch(accepts_start_node=False, entry_nodes_required=False)
    await mine.begin(chat_id, entry_node_ids=None)


async def test_a_run_keeps_what_it_was_given(mine: Splox, chat_id: str) -> None:
    files = [{"url": "https://files.example/a.pdf", "content_type": "application/pdf"}]
    run_id = await mine.begin(chat_id, files=files, additional_params={"tone": "dry"}, end_user_id="u1")
    await mine.ended(run_id)
    (kept,) = (await mine.get(f"/workflow-requests/{run_id}/history")).json()["data"]
    assert kept["payload"] == {"query": "hi", "files": files, "additional_params": {"tone": "dry"}, "end_user_id": "u1"}
    (_, question) = await mine.history(chat_id)
    assert question["files"] == files


async def test_the_older_version_runs_too(mine: Splox, chat_id: str) -> None:
    run_id = await mine.begin(chat_id, workflow_version_id=splox.ASSISTANT.older_version_id)
    assert (await mine.ended(run_id))["status"] == "completed"


async def test_twenty_runs_a_minute_for_an_account_whatever_its_token(mine: Splox, chat_id: str, clock: Clock) -> None:
    statuses = [(await mine.ask(chat_id)).status_code for _ in range(20)]
    assert statuses == [200] * 20
    clock.now += 12.5
    mine.client.headers["authorization"] = f"Bearer {splox.SECOND_TOKEN}"
    refused = await mine.ask(chat_id)
    assert (refused.status_code, refused.headers["retry-after"], list(refused.json())) == (429, "48", ["error"])
    assert (await mine.get(f"/chats/{chat_id}")).status_code == 200
    clock.now += float(refused.headers["retry-after"])
    assert (await mine.ask(chat_id)).status_code == 200


async def test_the_second_kind_of_429_has_a_shape_of_its_own(mine: Splox, chat_id: str) -> None:
    await mine.switch(usage_exceeded=True, usage_retry_seconds=90)
    refused = await mine.ask(chat_id)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "90")
    assert set(refused.json()) == {"error", "retry_after_seconds", "mode", "windows", "extra"}
    assert (refused.json()["error"], refused.json()["retry_after_seconds"]) == ("usage_window_exceeded", 90)


async def test_a_failing_run_keeps_the_question_alone(mine: Splox, chat_id: str) -> None:
    tree = await mine.ended(await mine.begin(chat_id, "hi", splox.FAILING))
    assert (tree["status"], [node["status"] for node in tree["nodes"]]) == ("failed", ["failed"])
    assert tree["nodes"][0]["failed_at"] is not None
    assert [text_of(message) for message in await mine.history(chat_id)] == ["hi"]


async def begin_slowly(mine: Splox, chat_id: str) -> str:
    """A run whose first word was seen."""
    async with mine.listening(f"/chat-internal-messages/{chat_id}/listen") as frames:
        run_id = await mine.begin(chat_id, "hi", splox.SLOW)
        async for frame in frames:
            if frame != "keepalive" and frame.get("type") == "text_delta":
                break
    return run_id


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("appears", ["at_end", "while_written"])
async def test_a_stopped_run_keeps_what_was_written_or_nothing(
    mine: Splox, chat_id: str, keeps: bool, appears: str
) -> None:
    await mine.switch(keeps_stopped_text=keeps, reply_appears=appears)
    run_id = await begin_slowly(mine, chat_id)
    stopped = await mine.client.post(f"/workflow-requests/{run_id}/stop")
    assert (stopped.status_code, stopped.content) == (200, b"")
    assert (await mine.ended(run_id))["status"] == "stopped"
    replies = [text_of(message) for message in await mine.history(chat_id) if message["role"] == "assistant"]
    assert len(replies) == int(keeps)
    assert all("Echo 1: hi and 1 and 2".startswith(reply) or reply.startswith("Echo") for reply in replies)
    assert all("and 40" not in reply for reply in replies)


async def test_stopping_what_has_ended_is_a_switch(mine: Splox, chat_id: str) -> None:
    run_id = await mine.begin(chat_id)
    await mine.ended(run_id)
    await mine.switch(stop_body="object")
    again = await mine.client.post(f"/workflow-requests/{run_id}/stop")
    assert (again.status_code, again.json()) == (200, {"message": "Workflow stopped"})
    assert (await mine.ended(run_id))["status"] == "completed"
    await mine.switch(stop_ended_status=400)
    assert (await mine.client.post(f"/workflow-requests/{run_id}/stop")).status_code == 400


async def test_a_run_that_waits_for_approval_waits_until_it_is_stopped(mine: Splox, chat_id: str) -> None:
    async with mine.listening(f"/chat-internal-messages/{chat_id}/listen") as frames:
        run_id = await mine.begin(chat_id, "hi", splox.APPROVAL)
        async for frame in frames:
            if frame != "keepalive" and frame.get("node_execution", {}).get("status") == "waiting":
                break
    assert frame["workflow_request"]["status"] == "waiting"
    await mine.client.post(f"/workflow-requests/{run_id}/stop")
    tree = await mine.ended(run_id)
    assert (tree["status"], tree["nodes"][0]["status"]) == ("stopped", "stopped")
    assert [text_of(message) for message in await mine.history(chat_id)] == ["hi"]


async def test_a_reply_may_be_read_while_it_is_written(mine: Splox, chat_id: str) -> None:
    await mine.switch(reply_appears="while_written")
    run_id = await begin_slowly(mine, chat_id)
    reply, _ = await mine.history(chat_id)
    assert text_of(reply).startswith("Echo")
    await mine.client.post(f"/workflow-requests/{run_id}/stop")
    (kept, _) = await mine.history(chat_id)
    assert kept["id"] == reply["id"]


async def test_the_question_may_appear_with_its_reply_only(mine: Splox, chat_id: str) -> None:
    await mine.switch(question_appears="at_end")
    run_id = await begin_slowly(mine, chat_id)
    assert await mine.history(chat_id) == []
    await mine.client.post(f"/workflow-requests/{run_id}/stop")
    assert [message["role"] for message in await mine.history(chat_id)] == ["assistant", "user"]


async def test_results_of_tools_may_be_messages(mine: Splox, chat_id: str) -> None:
    await mine.switch(tool_results="messages")
    await mine.ended(await mine.begin(chat_id, "hi", splox.TOOLS))
    messages = (await mine.history(chat_id))[::-1]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant"]


async def test_a_chats_runs_are_paged_and_searched(mine: Splox, chat_id: str) -> None:
    runs = [await mine.begin(chat_id, f"question {number}") for number in range(5)]
    path, seen = f"/workflow-requests/{runs[0]}/history", []
    cursor: dict[str, str] = {}
    while True:
        page = (await mine.get(path, limit=2, **cursor)).json()
        seen += [run["id"] for run in page["data"]]
        if not page["pagination"]["has_more"]:
            break
        cursor = {"cursor": page["pagination"]["next_cursor"]}
    assert seen == runs[::-1]
    assert [run["id"] for run in (await mine.get(path, search="QUESTION 3")).json()["data"]] == [runs[3]]
    assert (await mine.get(path, cursor="none")).status_code == 400


async def test_a_strangers_run_is_not_found(mine: Splox, theirs: Splox, chat_id: str) -> None:
    run_id = await mine.begin(chat_id)
    for path in ("execution-tree", "history", "listen"):
        assert (await theirs.get(f"/workflow-requests/{run_id}/{path}")).status_code == 404
    assert (await theirs.client.post(f"/workflow-requests/{run_id}/stop")).status_code == 404
    assert (await theirs.get(f"/workflows/{splox.ASSISTANT.workflow_id}")).status_code == 404
    assert (await theirs.get(f"/workflows/{splox.ASSISTANT.version_id}/entry-nodes")).status_code == 404


async def test_a_reset_ends_runs_without_a_trace(mine: Splox) -> None:
    chat_id = splox.seeded_chat_id(11)
    before = (await mine.state())["messages"][chat_id]
    await begin_slowly(mine, chat_id)
    await mine.control("POST", "reset")
    state = await mine.state()
    assert (state["runs"], len(state["messages"][chat_id])) == ([], len(before))


async def test_every_call_is_in_the_book_under_its_name(mine: Splox, chat_id: str) -> None:
    run_id = await mine.begin(chat_id)
    await mine.ended(run_id)
    await mine.client.delete(f"/chat-history/{chat_id}")
    await mine.client.delete(f"/chats/{chat_id}")
    book = await mine.control("GET", "calls")
    assert [call["operation"] for call in book] == [
        *("create_chat", "run_workflow", "listen_run", "get_execution_tree", "delete_history", "delete_chat")
    ]
    assert all(splox.TOKEN not in str(call) for call in book)


async def test_a_run_that_executes_and_fails_to_answer_is_kept_once(mine: Splox, chat_id: str) -> None:
    """What a gateway must not send again."""
    await mine.control("POST", "faults", operation="run_workflow", drop="after", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await mine.ask(chat_id, "only once")
    async with asyncio.timeout(10):
        while len(messages := await mine.history(chat_id)) < 2:
            pass
    assert [text_of(message) for message in messages] == ["Echo 1: only once", "only once"]
