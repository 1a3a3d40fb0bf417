"""How the nodes of the simulated workflows answer. What they say is ours; the frames and statuses are the vendor's."""

import asyncio
import json
from typing import Any

from simulators.splox.records import NodeRun
from simulators.splox.writing import Reply, Writing, keep_question

FAILURE = "The model of this node is out of order."
_TOOL_CALL, _TOOL, _ARGUMENTS, _RESULT = "call_1", "look_up", {"word": "chat"}, {"found": 3}


async def perform(writing: Writing, node: NodeRun, query: str, files: Any) -> bool:
    """Let one node work; whether it succeeded. Cancelled, it leaves what the switches say."""
    _advance(writing, node, "in_progress")
    reply = Reply(writing)
    try:
        if node.flow.behaviour == "failing":
            await writing.pause(slow=False)
            keep_question(writing, query, files)
            writing.show({"type": "error", "error": FAILURE})
            _advance(writing, node, "failed", {"error": FAILURE})
            return False
        if node.flow.behaviour == "tools":
            keep_question(writing, query, files)
            await _think_and_look_up(writing, reply)
        if node.flow.behaviour == "approval":
            await _wait_for_approval(writing, node)
        await _write(writing, reply, query, slow=node.flow.behaviour == "slow")
    except asyncio.CancelledError:
        if writing.is_wanted:
            keep_question(writing, query, files)
            reply.abandon()
        raise
    keep_question(writing, query, files)
    reply.finish()
    _advance(writing, node, "completed", {"response": reply.text})
    return True


async def _write(writing: Writing, reply: Reply, query: str, *, slow: bool) -> None:
    for piece in pieces(_answer(writing, query, slow)):
        await writing.pause(slow)
        reply.add(piece)


def _answer(writing: Writing, query: str, slow: bool) -> str:
    """Numbered by the runs of the chat, so that equal questions have unlike answers."""
    said = f"Echo {writing.number}: {query}"
    return said + "".join(f" and {number}" for number in range(1, 41)) if slow else said


async def _think_and_look_up(writing: Writing, reply: Reply) -> None:
    """A thought and one call of a tool, frame by frame."""
    call, thought = {"tool_call_id": _TOOL_CALL, "tool_name": _TOOL}, "Let me look that up."
    arguments: dict[str, Any] = {"tool_args_delta": json.dumps(_ARGUMENTS)}
    for frame in (
        {"type": "reasoning_delta", "reasoning_delta": thought, "reasoning_type": "thinking"},
        {"type": "tool_call_start", **call},
        {"type": "tool_call_delta", "tool_call_id": _TOOL_CALL, **arguments},
        {"type": "tool_start", **call},
        {"type": "tool_complete", **call, "result": _RESULT},
    ):
        await writing.pause(slow=False)
        writing.show(frame)
    named = {"toolCallId": _TOOL_CALL, "toolName": _TOOL}
    made: list[dict[str, Any]] = [
        {"type": "reasoning", "reasoning": thought},
        {"type": "tool-call", **named, "args": _ARGUMENTS},
    ]
    result: dict[str, Any] = {"type": "tool-result", **named, "result": _RESULT}
    if writing.store.switches.tool_results == "parts":
        reply.parts += [*made, result]
    else:
        writing.keep("assistant", made)
        writing.keep("tool", [result])


async def _wait_for_approval(writing: Writing, node: NodeRun) -> None:
    """Nobody approves here: no call of v1 that would is documented. Such a run waits until it is stopped."""
    writing.show({"type": "tool_approval_request", "tool_call_id": _TOOL_CALL, "tool_name": _TOOL, "args": _ARGUMENTS})
    writing.run.status = "waiting"
    _advance(writing, node, "waiting")
    await asyncio.Event().wait()


def _advance(writing: Writing, node: NodeRun, status: str, output: dict[str, Any] | None = None) -> None:
    node.status, node.output = status, output
    if status in ("completed", "failed"):
        node.ended_us = writing.store.now_us()
    writing.streams.show_state(writing.run, node)


def pieces(text: str) -> list[str]:
    """Word by word."""
    first, *others = text.split(" ")
    return [first, *(f" {word}" for word in others)]
