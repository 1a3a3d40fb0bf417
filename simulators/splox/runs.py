"""Runs of a workflow (vendor notes 1.4, calls 8 and 10 to 12): a message is sent by running a workflow with a chat's id."""

import asyncio
from typing import Any

from starlette.responses import JSONResponse, Response

from simulators.splox.agents import perform
from simulators.splox.errors import SploxError, bad_request
from simulators.splox.identity import OWNER
from simulators.splox.records import Flow, NodeRun, Run
from simulators.splox.routing import Call, Entry, optional_object, required_text
from simulators.splox.shapes import pagination, run_body, tree_body
from simulators.splox.store import Store, flow_of
from simulators.splox.streams import Streams
from simulators.splox.writing import Writing, keep_question


class Runs:
    """The runs of one server; each is a task until it has ended."""

    def __init__(self, store: Store, streams: Streams) -> None:
        self._store, self._streams = store, streams
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def entries(self) -> list[Entry]:
        return [
            ("POST", "/workflow-requests/run", self.run_workflow),
            ("GET", "/workflow-requests/{run_id}/execution-tree", self.get_execution_tree),
            ("GET", "/workflow-requests/{run_id}/history", self.list_runs),
            ("POST", "/workflow-requests/{run_id}/stop", self.stop_run),
        ]

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        self.forget()
        await asyncio.gather(*tasks, return_exceptions=True)

    def forget(self) -> None:
        """End all of them without a trace."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    async def run_workflow(self, call: Call) -> Any:
        """The quota counts what is refused as well: only a wrong token comes before it (an assumption)."""
        self._store.count_run(call.account)
        said = await call.body()
        version, chat_id, query = (required_text(said, name) for name in ("workflow_version_id", "chat_id", "query"))
        files, _ = _files(said), optional_object(said, "additional_params")
        flow = self._flow(call, version, chat_id)
        nodes = [NodeRun(self._store.new_id(), flow, "pending", self._store.now_us()) for _ in self._nodes(said, flow)]
        known = ("query", "files", "additional_params", "end_user_id")
        payload = {name: said[name] for name in known if name in said}
        now = self._store.now_us()
        run = Run(self._store.new_id(), call.account.user_id, version, chat_id, payload, nodes, now)
        self._store.runs[run.id] = run
        asked = sum(one.chat_id == chat_id for one in self._store.runs.values())
        writing = Writing(self._store, self._streams, run, number=asked)
        if self._store.switches.question_appears == "at_once":
            keep_question(writing, query, files)
        self._streams.show_state(run)
        task = self._tasks[run.id] = asyncio.create_task(self._execute(writing, query, files))
        task.add_done_callback(lambda _: self._tasks.pop(run.id, None))
        return {"workflow_request_id": run.id}

    def _flow(self, call: Call, version: str, chat_id: str) -> Flow:
        """What is unknown or not the caller's is one refusal: "invalid or unauthorized"."""
        flow = flow_of(version) if call.account == OWNER else None
        try:
            self._store.chat(call.account, chat_id)
        except SploxError:
            flow = None
        if flow is None:
            raise SploxError(self._store.switches.run_refusal_status, "invalid or unauthorized workflow or chat")
        return flow

    def _nodes(self, said: dict[str, Any], flow: Flow) -> list[str]:
        switches = self._store.switches
        given = said.get("entry_node_ids")
        if given is None and switches.accepts_start_node and "start_node_id" in said:
            given = [said["start_node_id"]]
        if given is None and not switches.entry_nodes_required:
            given = [flow.node_id]
        if not isinstance(given, list) or not given:
            raise bad_request("entry_node_ids is required")
        if any(node != flow.node_id for node in given):
            raise SploxError(switches.run_refusal_status, "unknown entry node")
        return given

    async def _execute(self, writing: Writing, query: str, files: Any) -> None:
        store, run = self._store, writing.run
        await asyncio.sleep(store.switches.begin_ms / 1000)
        run.started_us = store.now_us()
        self._advance(run, "in_progress")
        for node in run.nodes:
            if not await perform(writing, node, query, files):
                self._end(run, "failed")
                return
        self._end(run, "completed")

    def _advance(self, run: Run, status: str) -> None:
        run.status = status
        self._streams.show_state(run)

    def _end(self, run: Run, status: str) -> None:
        run.ended_us = self._store.now_us()
        for node in run.nodes:
            if node.status == "pending":
                node.status = "skipped"
        self._advance(run, status)

    async def get_execution_tree(self, call: Call) -> Any:
        return tree_body(self._store, self._store.run(call.account, call.path("run_id")))

    async def list_runs(self, call: Call) -> Any:
        """Which requests belong to the history of one is not documented: here those of its chat, the newest first."""
        asked = self._store.run(call.account, call.path("run_id"))
        limit, query = call.limit(10, 100), call.request.query_params
        found = [run for run in self._store.runs.values() if run.chat_id == asked.chat_id][::-1]
        found = [run for run in found if query.get("search", "").lower() in str(run.payload.get("query", "")).lower()]
        ids = [run.id for run in found]
        if "cursor" in query and query["cursor"] not in ids:
            raise bad_request("invalid cursor")
        start = ids.index(query["cursor"]) if "cursor" in query else 0
        after = ids[start + limit] if start + limit < len(ids) else None
        rows = [run_body(self._store, run) for run in found[start : start + limit]]
        return {"data": rows, "pagination": pagination(limit, after)}

    async def stop_run(self, call: Call) -> Any:
        run = self._store.run(call.account, call.path("run_id"))
        if run.is_over and self._store.switches.stop_ended_status != 200:
            raise SploxError(self._store.switches.stop_ended_status, "the workflow request has ended")
        task = self._tasks.get(run.id)
        if task is not None and not run.is_over:
            task.cancel()
            await asyncio.wait({task})
            self._streams.show_content(run.chat_id, {"type": "stopped"}, run)
            for node in run.nodes:
                if node.status in ("in_progress", "waiting"):
                    node.status, node.ended_us = "stopped", self._store.now_us()
            self._end(run, "stopped")
        if self._store.switches.stop_body == "empty":
            return Response(status_code=200)
        return JSONResponse({"message": "Workflow stopped"})


def _files(said: dict[str, Any]) -> list[dict[str, Any]] | None:
    files = said.get("files")
    if files is None:
        return None
    if not isinstance(files, list) or not all(
        isinstance(one, dict) and isinstance(one.get("url"), str) for one in files
    ):
        raise bad_request("files must be a list of objects with a url")
    return files
