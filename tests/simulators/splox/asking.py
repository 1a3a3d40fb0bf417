"""How the tests of this folder talk to the simulator: plain HTTP, so that each answer is seen as it is."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from simulators import splox
from simulators.splox.records import Flow

TERMINAL = ("completed", "failed", "stopped")
WORKFLOW = splox.ASSISTANT.workflow_id


class Clock:
    """Stands still until it is told to move on."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.25

    def __call__(self) -> float:
        return self.now


class Splox:
    """One account's view."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self._control = str(client.base_url).removesuffix(splox.PREFIX + "/") + "/__control"

    async def control(self, method: str, path: str, **said: object) -> Any:
        answer = await self.client.request(method, f"{self._control}/{path}", json=said or None)
        answer.raise_for_status()
        return answer.json()

    async def switch(self, **said: object) -> None:
        await self.control("POST", "switches", **said)

    async def state(self) -> Any:
        return await self.control("GET", "state")

    async def get(self, path: str, **query: object) -> httpx.Response:
        return await self.client.get(path, params={name: str(value) for name, value in query.items()})

    async def create(self, **more: object) -> dict[str, Any]:
        said = {"name": "Ops", "resource_type": "api", "resource_id": WORKFLOW} | more
        answer = await self.client.post("/chats", json=said)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def listed(self, kind: str = "workflow", resource_id: str = WORKFLOW) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await self.get(f"/chats/{kind}/{resource_id}")).json()["chats"]
        return rows

    async def ask(
        self, chat_id: str, query: str = "hi", flow: Flow = splox.ASSISTANT, /, **more: object
    ) -> httpx.Response:
        said = {"workflow_version_id": flow.version_id, "chat_id": chat_id, "entry_node_ids": [flow.node_id]}
        return await self.client.post("/workflow-requests/run", json=said | {"query": query} | more)

    async def begin(self, chat_id: str, query: str = "hi", flow: Flow = splox.ASSISTANT, /, **more: object) -> str:
        answer = await self.ask(chat_id, query, flow, **more)
        assert answer.status_code == 200, answer.text
        run_id: str = answer.json()["workflow_request_id"]
        return run_id

    async def ended(self, run_id: str) -> dict[str, Any]:
        """The execution tree of a run that has ended."""
        async with asyncio.timeout(10), self.listening(f"/workflow-requests/{run_id}/listen") as frames:
            async for frame in frames:
                if frame != "keepalive" and frame["workflow_request"]["status"] in TERMINAL:
                    break
        tree: dict[str, Any] = (await self.get(f"/workflow-requests/{run_id}/execution-tree")).json()["execution_tree"]
        return tree

    async def history(self, chat_id: str, **query: object) -> list[dict[str, Any]]:
        answer = await self.get(f"/chat-history/{chat_id}/paginated", **query)
        assert answer.status_code == 200, answer.text
        return rows_of(answer.json())

    @asynccontextmanager
    async def listening(self, path: str) -> AsyncIterator[AsyncIterator[Any]]:
        """Frames of a stream: JSON, or the text `keepalive`. The stream is open when this is entered."""
        async with asyncio.timeout(10), self.client.stream("GET", path) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield _frames(answer)


async def follow(client: Splox, path: str) -> None:
    """Listen until the stream ends."""
    async with client.listening(path) as frames:
        async for _ in frames:
            pass


def rows_of(body: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = body["messages"] if isinstance(body, dict) else body
    return rows


def text_of(message: dict[str, Any]) -> str:
    return "".join(part["text"] for part in message["content"] if part["type"] == "text")


async def _frames(answer: httpx.Response) -> AsyncIterator[Any]:
    async for line in answer.aiter_lines():
        assert line == "" or line.startswith("data: "), line
        if line:
            data = line.removeprefix("data: ")
            yield data if data == "keepalive" else json.loads(data)
