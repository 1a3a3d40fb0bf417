"""Both streams: frames, what keeps them alive, and the three ways in which one ends."""

import asyncio
from typing import Any

import httpx
import pytest

from simulators import splox
from simulators.splox.records import Flow
from tests.simulators.splox.asking import Clock, Splox, follow

pytestmark = pytest.mark.anyio


@pytest.fixture
async def chat_id(mine: Splox) -> str:
    made: str = (await mine.create())["id"]
    return made


def chat_stream(chat_id: str) -> str:
    return f"/chat-internal-messages/{chat_id}/listen"


def run_stream(run_id: str) -> str:
    return f"/workflow-requests/{run_id}/listen"


async def told(mine: Splox, chat_id: str, until: str, flow: Flow = splox.ASSISTANT) -> list[Any]:
    """What a chat's stream says of a run, up to a frame of this type, without what only keeps it alive."""
    seen = []
    async with mine.listening(chat_stream(chat_id)) as frames:
        await mine.begin(chat_id, "hi", flow)
        async for frame in frames:
            if frame == "keepalive":
                continue
            seen.append(frame)
            if frame.get("type") == until:
                break
    return seen


def families(frames: list[Any]) -> set[str]:
    return {"content" if "type" in frame else "state" if "workflow_request" in frame else "message" for frame in frames}


async def test_a_chats_stream_shows_states_and_contents(mine: Splox, chat_id: str) -> None:
    seen = await told(mine, chat_id, "workflow_status")
    states = [frame["workflow_request"]["status"] for frame in seen if "workflow_request" in frame]
    assert list(dict.fromkeys(states)) == ["pending", "in_progress", "completed"]
    assert any("node_execution" in frame for frame in seen)
    assert any("workflow_request" in frame and "node_execution" not in frame for frame in seen)
    contents = [frame for frame in seen if "type" in frame]
    assert contents[:-2] == [{"type": "text_delta", "delta": piece} for piece in ("Echo", " 1:", " hi")]
    assert set(contents[-2]) == {"type", "iteration", "run_id"}
    assert seen[-1] == {"type": "workflow_status", "is_active": False}


@pytest.mark.parametrize(("family", "shown"), [("content", {"content"}), ("state", {"state", "content"})])
async def test_which_family_arrives_is_a_switch(mine: Splox, chat_id: str, family: str, shown: set[str]) -> None:
    await mine.switch(chat_frames=family)
    seen = await told(mine, chat_id, "workflow_status")
    assert families(seen) == shown
    assert {frame["type"] for frame in seen if "type" in frame} == (
        {"workflow_status"} if family == "state" else {"text_delta", "done", "workflow_status"}
    )


async def test_an_older_pages_frames_are_whole_messages(mine: Splox, chat_id: str) -> None:
    await mine.switch(chat_frames="messages")
    *messages, _ = await told(mine, chat_id, "workflow_status")
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert all(
        set(message) == {"id", "chat_id", "role", "content", "created_at", "workflow_request_id"}
        for message in messages
    )
    assert [message["id"] for message in messages] == [row["id"] for row in (await mine.history(chat_id))[::-1]]


async def test_a_failure_is_told(mine: Splox, chat_id: str) -> None:
    seen = await told(mine, chat_id, "workflow_status", splox.FAILING)
    assert [frame["error"] for frame in seen if frame.get("type") == "error"] == [
        "The model of this node is out of order."
    ]
    assert seen[-2]["workflow_request"]["status"] == "failed"


async def test_a_stop_is_told(mine: Splox, chat_id: str) -> None:
    kinds = []
    async with mine.listening(chat_stream(chat_id)) as frames:
        run_id = await mine.begin(chat_id, "hi", splox.SLOW)
        async for frame in frames:
            if frame == "keepalive":
                continue
            kinds.append(frame.get("type") or frame["workflow_request"]["status"])
            if kinds[-1] == "text_delta" and kinds.count("text_delta") == 1:
                await mine.client.post(f"/workflow-requests/{run_id}/stop")
            if kinds[-1] == "stopped" and kinds.count("stopped") == 2:
                break
    assert kinds[-2:] == ["stopped", "stopped"]  # the frame, and the run's state


async def test_another_clients_run_appears(mine: Splox, chat_id: str) -> None:
    seen: list[Any] = []
    async with mine.listening(chat_stream(chat_id)) as frames:
        await mine.control("POST", "emit", chat_id=chat_id, text="over here", role="user")
        await mine.control("POST", "emit", chat_id=chat_id, text="psst you")
        async for frame in frames:
            if frame != "keepalive":
                seen.append(frame["workflow_request"]["status"] if "workflow_request" in frame else frame)
            if seen and seen[-1] == {"type": "workflow_status", "is_active": False} and "completed" in seen[5:]:
                break
    told = [frame for frame in seen if frame != {"type": "workflow_status", "is_active": False}]
    assert told[:4] == ["pending", "in_progress", {"type": "user_message", "text": "over here"}, "completed"]
    assert told[4:8] == [
        "pending",
        "in_progress",
        {"type": "text_delta", "delta": "psst"},
        {"type": "text_delta", "delta": " you"},
    ]
    assert (told[8]["type"], told[9]) == ("done", "completed")


async def test_a_run_is_told_its_state_on_connecting_and_nothing_of_before(mine: Splox, chat_id: str) -> None:
    run_id = await mine.begin(chat_id)
    await mine.ended(run_id)
    async with mine.listening(run_stream(run_id)) as frames:
        first, second = await anext(frames), await anext(frames)
    assert first["workflow_request"]["status"] == "completed"
    assert second == "keepalive"
    await mine.switch(state_on_connect=False)
    async with mine.listening(run_stream(run_id)) as frames:
        assert await anext(frames) == "keepalive"


async def test_a_runs_stream_may_carry_contents_and_end_with_it(mine: Splox, chat_id: str) -> None:
    await mine.switch(run_stream_has_content=True, run_stream_ends=True, begin_ms=50)
    run_id = await mine.begin(chat_id)
    async with mine.listening(run_stream(run_id)) as frames:
        seen = [frame async for frame in frames if frame != "keepalive"]
    assert [frame["delta"] for frame in seen if frame.get("type") == "text_delta"] == ["Echo", " 1:", " hi"]
    assert seen[-1]["workflow_request"]["status"] == "completed"


def test_the_documented_times_are_the_defaults() -> None:
    defaults = splox.Switches()
    assert (defaults.keepalive_ms, defaults.status_check_ms, defaults.stream_seconds) == (3000, 5000, 30 * 60)


async def test_a_stream_is_closed_after_half_an_hour(mine: Splox, chat_id: str, clock: Clock) -> None:
    async with mine.listening(chat_stream(chat_id)) as frames:
        clock.now += 1799
        assert await anext(frames) == "keepalive"
        clock.now += 2
        left = [frame async for frame in frames]
    assert set(left) <= {"keepalive"}


async def test_a_stream_may_be_cut(mine: Splox, chat_id: str) -> None:
    await mine.switch(cut_streams_after=2)
    with pytest.raises(httpx.RemoteProtocolError):
        await follow(mine, chat_stream(chat_id))


@pytest.mark.parametrize("when", ["middle", "after"])
async def test_a_fault_drops_a_stream_that_never_ends(mine: Splox, chat_id: str, when: str) -> None:
    await mine.control("POST", "faults", operation="listen_chat", drop=when, times=1)
    async with asyncio.timeout(10):
        with pytest.raises(httpx.RemoteProtocolError):
            await follow(mine, chat_stream(chat_id))
        while (await mine.state())["streams"]:
            pass


async def test_who_left_listens_no_more(mine: Splox, chat_id: str) -> None:
    async with mine.listening(chat_stream(chat_id)), mine.listening(chat_stream(chat_id)):
        assert (await mine.state())["streams"] == [f"chat:{chat_id}"] * 2
    async with asyncio.timeout(10):
        while (await mine.state())["streams"]:
            pass


async def test_a_missing_or_strange_chat_is_not_listened_to(mine: Splox, theirs: Splox, chat_id: str) -> None:
    assert (await theirs.get(chat_stream(chat_id))).status_code == 404
    assert (await mine.get(chat_stream("00000000-0000-4000-8000-000000000000"))).status_code == 404
