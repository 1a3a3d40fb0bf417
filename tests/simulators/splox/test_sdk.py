"""The official SDK 0.0.18 (MIT, `splox` on PyPI) runs its chat and workflow calls against the simulator, both flavours of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from splox import AsyncSploxClient, SploxClient, SSEEvent
from splox.exceptions import SploxAPIError, SploxAuthError, SploxNotFoundError, SploxRateLimitError

from simulators import splox
from simulators.serving import running
from simulators.splox.records import Flow
from tests.simulators.splox.asking import WORKFLOW

pytestmark = pytest.mark.anyio


def run_of(flow: Flow) -> dict[str, Any]:
    """What a run needs beside chat and question."""
    return {"workflow_version_id": flow.version_id, "entry_node_ids": [flow.node_id]}


RUN = run_of(splox.ASSISTANT)


@pytest.fixture
async def sdk(url: str) -> AsyncIterator[AsyncSploxClient]:
    async with AsyncSploxClient(splox.TOKEN, base_url=url + splox.PREFIX) as client:
        yield client


@pytest.fixture
def blocking() -> Iterator[SploxClient]:
    switches = splox.Switches(keepalive_ms=20)
    with (
        running(splox.create_app(switches=switches)) as url,
        SploxClient(splox.TOKEN, base_url=url + splox.PREFIX) as client,
    ):
        yield client


async def test_a_chat_is_created_read_listed_and_deleted(sdk: AsyncSploxClient) -> None:
    made = await sdk.chats.create(name="Ops", resource_id=WORKFLOW, metadata={"k": [1]})
    assert (made.name, made.resource_type, made.resource_id, made.metadata) == ("Ops", "workflow", WORKFLOW, {"k": [1]})
    assert await sdk.chats.get(made.id) == made
    assert made in (await sdk.chats.list_for_resource("workflow", WORKFLOW)).chats
    await sdk.chats.delete_history(made.id)
    await sdk.chats.delete(made.id)
    with pytest.raises(SploxNotFoundError):
        await sdk.chats.get(made.id)


async def test_history_is_paged_to_its_end(sdk: AsyncSploxClient) -> None:
    chat_id = splox.seeded_chat_id(0)
    newest = await sdk.chats.get_history(chat_id, limit=3)
    oldest = await sdk.chats.get_history(chat_id, limit=3, before=newest.messages[-1].created_at)
    assert (newest.has_more, oldest.has_more) == (True, False)
    said = [message.content[0].text for message in [*newest.messages, *oldest.messages]][::-1]
    assert said[0] == "Where is last night's report?"
    assert len(said) == 4


async def test_a_run_is_followed_on_both_streams(sdk: AsyncSploxClient) -> None:
    chat = await sdk.chats.create(name="Ops", resource_id=WORKFLOW)
    text, kinds = "", set[str | None]()

    async def follow() -> None:
        nonlocal text
        async for event in sdk.chats.listen(chat.id):
            kinds.add(event.event_type)
            text += event.text_delta or ""
            listening.set()
            if event.event_type == "done":
                return

    listening = asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(follow())
        await listening.wait()
        run = await sdk.workflows.run(chat_id=chat.id, query="hello there", **RUN)
    assert text == "Echo 1: hello there"
    async for event in sdk.workflows.listen(run.workflow_request_id):
        if event.workflow_request and event.workflow_request.status == "completed":
            break
    question, reply = (await sdk.chats.get_history(chat.id)).messages[::-1]
    assert (question.role, reply.role) == ("user", "assistant")
    assert (reply.content[0].text, reply.parent_id) == (text, question.id)


async def test_tools_are_told_in_the_fields_that_the_sdk_reads(sdk: AsyncSploxClient) -> None:
    chat = await sdk.chats.create(name="Ops", resource_id=WORKFLOW)
    events: list[SSEEvent] = []
    run = run_of(splox.TOOLS)
    async with asyncio.timeout(10):
        async for event in sdk.chats.listen(chat.id):
            if event.is_keepalive and not events:
                await sdk.workflows.run(chat_id=chat.id, query="how many", **run)
            events.append(event)
            if event.event_type == "done":
                break
    told = {event.event_type: event for event in events}
    assert told["reasoning_delta"].reasoning_delta
    assert told["tool_call_start"].tool_name == told["tool_complete"].tool_name == "look_up"
    assert told["tool_call_delta"].tool_args_delta == '{"word": "chat"}'
    assert told["tool_complete"].tool_result == {"found": 3}
    assert told["done"].iteration == 1
    (reply, _) = (await sdk.chats.get_history(chat.id)).messages
    assert [part.type for part in reply.content] == ["reasoning", "tool-call", "tool-result", "text"]
    assert (reply.content[1].args, reply.content[2].result) == ({"word": "chat"}, {"found": 3})


def test_run_and_wait_ends_with_the_tree(blocking: SploxClient) -> None:
    """It listens after it has begun the run, so it relies on being told the state at once."""
    chat = blocking.chats.create(name="Ops", resource_id=WORKFLOW)
    tree = blocking.workflows.run_and_wait(chat_id=chat.id, query="hi", timeout=10, **RUN).execution_tree
    assert tree.status == "completed"
    assert [(node.status, node.output_data) for node in tree.nodes] == [("completed", {"response": "Echo 1: hi"})]


def test_a_run_is_stopped_and_stays_in_the_history(blocking: SploxClient) -> None:
    chat = blocking.chats.create(name="Ops", resource_id=WORKFLOW)
    run = run_of(splox.SLOW)
    run_id = blocking.workflows.run(chat_id=chat.id, query="a story", **run).workflow_request_id
    blocking.workflows.stop(run_id)
    assert blocking.workflows.get_execution_tree(run_id).execution_tree.status == "stopped"
    (kept,) = blocking.workflows.get_history(run_id).data
    assert (kept.id, kept.chat_id, kept.status) == (run_id, chat.id, "stopped")


async def test_version_and_entry_nodes_are_found_from_a_workflow(sdk: AsyncSploxClient) -> None:
    first = await sdk.workflows.list(limit=2)
    rest = await sdk.workflows.list(cursor=first.pagination.next_cursor)
    workflows = [*first.workflows, *rest.workflows]
    assert [one.id for one in workflows] == [flow.workflow_id for flow in splox.FLOWS]
    latest = await sdk.workflows.get_latest_version(WORKFLOW)
    assert latest == (await sdk.workflows.list_versions(WORKFLOW)).versions[0]
    (node,) = (await sdk.workflows.get_entry_nodes(latest.id)).nodes
    assert (latest.id, node.id) == (RUN["workflow_version_id"], RUN["entry_node_ids"][0])
    assert (await sdk.workflows.get(WORKFLOW)).nodes == [node]


async def test_its_errors_are_the_ones_that_the_sdk_knows(url: str, sdk: AsyncSploxClient) -> None:
    with pytest.raises(SploxAPIError) as refused:
        await sdk.chats.create(name="", resource_id=WORKFLOW)
    assert (refused.value.status_code, refused.value.message) == (400, "name is required")
    async with AsyncSploxClient("wrong", base_url=url + splox.PREFIX) as stranger:
        with pytest.raises(SploxAuthError):
            await stranger.chats.get(splox.seeded_chat_id(0))
    for _ in range(20):
        await sdk.workflows.run(chat_id=splox.seeded_chat_id(0), query="hi", **RUN)
    with pytest.raises(SploxRateLimitError) as limited:
        await sdk.workflows.run(chat_id=splox.seeded_chat_id(0), query="hi", **RUN)
    assert limited.value.retry_after == 60
