"""Answers of a model (observed on 0.12.4): four behaviours, and the tasks of those that run in the background.

    no chat_id, no parent_id                       a plain OpenAI answer, or SSE; nothing is stored
    chat_id, id, parent_id, user_message           waits, stores both turns, answers the OpenAI object
    the same with stream: true                     the same, answers `null`
    the same with any session_id                   answers at once; the text grows in the stored message until `done`

A `parent_id` of null without a `chat_id` makes the chat.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.responses import JSONResponse, Response, StreamingResponse

from simulators.open_webui import models, tree
from simulators.open_webui.errors import MESSAGE_ID_TAKEN, DetailError, not_found
from simulators.open_webui.routing import Access, Call, Entry
from simulators.open_webui.store import Chat, Store
from simulators.open_webui.validation import read_dict
from simulators.open_webui.writing import Turn, Writer


class Completions:
    """The running replies of one server."""

    def __init__(self, store: Store, writer: Writer) -> None:
        self._store, self._writer = store, writer

    def entries(self) -> list[Entry]:
        return [
            Entry("POST", "/api/chat/completions", self.complete, takes_body=True),
            Entry("POST", "/api/v1/chat/completions", self.complete, takes_body=True),
            Entry("GET", "/api/tasks", self.list_tasks, access=Access.ADMIN),
            Entry("GET", "/api/tasks/chat/{chat_id}", self.list_chat_tasks),
            Entry("POST", "/api/tasks/stop/{task_id}", self.stop_task, access=Access.ADMIN),
            Entry("POST", "/api/tasks/chat/{chat_id}/stop", self.stop_chat_tasks),
        ]

    async def close(self) -> None:
        tasks = [task for running in self._store.running.values() for task in running.values()]
        for chat_id in list(self._store.running):
            self._store.stop_all(chat_id)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def complete(self, call: Call) -> Any:
        said = read_dict(call.body)
        model = said.get("model")
        if model not in models.MODELS:
            raise DetailError(400, "Model not found")
        if said.get("chat_id") is None and "parent_id" not in said:
            return self._plain(model, said)
        turn = _begin(call, model, said)
        await self._writer.begun(turn)
        if said.get("session_id"):
            return {"status": True, "task_ids": [self._start(turn)], "chat_id": turn.chat.id}
        await self._writer.write(turn)
        if model == models.FAILING:
            return JSONResponse(models.failure(), status_code=500)
        return None if turn.streams else models.whole(model, turn.prompt, self._store.now())

    def _plain(self, model: str, said: dict[str, Any]) -> Response:
        prompt = said.get("messages") or []
        if model == models.FAILING:
            return JSONResponse(models.failure(), status_code=500)
        answer = models.whole(model, prompt, self._store.now())
        if not said.get("stream"):
            return JSONResponse(answer)
        headers = {"connection": "close"}
        return StreamingResponse(
            self._chunks(answer), media_type=None, headers=headers | {"content-type": "text/event-stream"}
        )

    async def _chunks(self, answer: dict[str, Any]) -> AsyncIterator[str]:
        def line(delta: dict[str, str], finish: str | None = None) -> str:
            return f"data: {json.dumps(models.chunk(answer, delta, finish))}\n\n"

        yield line({"role": "assistant", "content": ""})
        for text in models.pieces(answer["choices"][0]["message"]["content"]):
            await self._writer.pause(answer["model"])
            yield line({"content": text})
        yield line({}, "stop")
        yield "data: [DONE]\n\n"

    def _start(self, turn: Turn) -> str:
        task_id = turn.task_id = str(uuid.uuid4())
        turn.message["meta"] = {"task_id": task_id}
        task = asyncio.create_task(self._writer.write(turn))
        self._store.running.setdefault(turn.chat.id, {})[task_id] = task
        task.add_done_callback(lambda _: self._store.running.get(turn.chat.id, {}).pop(task_id, None))
        return task_id

    async def list_tasks(self, _: Call) -> Any:
        return {"tasks": [task_id for running in self._store.running.values() for task_id in running]}

    async def list_chat_tasks(self, call: Call) -> Any:
        """Empty for anybody but the owner, and for a chat that is not there."""
        chat = self._store.owned(call.user, call.path("chat_id"))
        return {"task_ids": list(self._store.running.get(chat.id, {})) if chat is not None else []}

    async def stop_task(self, call: Call) -> Any:
        task_id = call.path("task_id")
        for running in self._store.running.values():
            if task_id in running:
                return await _stop(task_id, running[task_id])
        return {"status": False, "message": f"Task with ID {task_id} not found."}

    async def stop_chat_tasks(self, call: Call) -> Any:
        """All of them; the answer names the last."""
        chat = self._store.owned(call.user, call.path("chat_id"))
        if chat is None:
            raise not_found()
        answer: dict[str, Any] = {"status": True, "message": "No tasks found."}
        for task_id, task in list(self._store.running.get(chat.id, {}).items()):
            answer = await _stop(task_id, task)
        return answer


async def _stop(task_id: str, task: asyncio.Task[None]) -> dict[str, Any]:
    task.cancel()
    await asyncio.wait({task})
    return {"status": True, "message": f"Task {task_id} successfully stopped."}


def _begin(call: Call, model: str, said: dict[str, Any]) -> Turn:
    """Put the question and an empty reply into the tree. Refuses before anything is changed."""
    chat_id, reply_id, question = said.get("chat_id"), said.get("id"), said.get("user_message")
    chat = None if chat_id is None else call.store.owned(call.user, chat_id)
    if chat_id is not None and chat is None:
        raise not_found()
    messages = {} if chat is None else tree.messages_of(chat.body)
    reply_id = _checked_id(messages, reply_id, question)
    if question is not None and question["id"] not in messages:
        for parent_id in (question.get("parentId"), said.get("parent_id")):
            if parent_id is not None and parent_id not in messages:
                raise DetailError(409, "Parent message no longer exists.")
    reply = _empty_reply(reply_id, model, question, call.store.now())
    build = _new_chat if chat is None else _continued(chat)
    chat = build(call, model, said, question, reply)
    history = chat.body["history"]
    history["messages"][reply["id"]] = reply
    tree.add_child(history["messages"], reply["parentId"], reply["id"])
    history["currentId"] = chat.current_message_id = reply["id"]
    prompt = tree.path_to(history["messages"], reply["parentId"]) or said.get("messages") or []
    question_id = question["id"] if question is not None else None
    return Turn(chat, reply, model, prompt, bool(said.get("stream")), question_id)


def _checked_id(messages: tree.Messages, reply_id: Any, question: Any) -> str:
    """The reply's id must be new; a question that is there already is answered once more (regenerate)."""
    ids = [reply_id] if question is None else [reply_id, question.get("id")]
    if not all(isinstance(one, str) and one for one in ids) or reply_id in messages:
        raise DetailError(409, MESSAGE_ID_TAKEN)
    return str(reply_id)


def _empty_reply(reply_id: str, model: str, question: dict[str, Any] | None, now: int) -> dict[str, Any]:
    return {
        "id": reply_id,
        "parentId": question["id"] if question is not None else None,
        "childrenIds": [],
        "role": "assistant",
        "content": "",
        "done": False,
        "model": model,
        "timestamp": now,
    }


Builder = Callable[[Call, str, dict[str, Any], dict[str, Any] | None, dict[str, Any]], Chat]


def _continued(chat: Chat) -> Builder:
    """A question in a chat that is there: its time is the server's, whatever was sent."""

    def build(
        call: Call, model: str, _: dict[str, Any], question: dict[str, Any] | None, reply: dict[str, Any]
    ) -> Chat:
        reply |= {"modelIdx": None, "user_id": call.user.id}
        history = chat.body.setdefault("history", {})
        messages = history.setdefault("messages", {})
        if question is not None and question["id"] not in messages:
            author = {"user_id": call.user.id, "user": {"id": call.user.id, "name": call.user.name}}
            messages[question["id"]] = {**question, "childrenIds": [], "timestamp": call.store.now(), **author}
            tree.add_child(messages, question.get("parentId"), question["id"])
        chat.body["models"] = (question or {}).get("models") or [model]
        chat.updated_at = call.store.now()
        return chat

    return build


def _new_chat(call: Call, model: str, said: dict[str, Any], question: dict[str, Any] | None, _: dict[str, Any]) -> Chat:
    """The title stays `New Chat`: making one is a background task of the web client's asking, left out here."""
    author = {"user_id": call.user.id, "user": {"id": call.user.id, "name": call.user.name}}
    folder_id = said.get("folder_id")
    if folder_id is not None and call.store.folder_of(call.user, folder_id) is None:
        raise not_found()
    messages = {} if question is None else {question["id"]: {**question, "childrenIds": [], **author}}
    listed = [{**message, **author} for message in said.get("messages") or []]
    body = {"title": "New Chat", "models": [model], "history": {"currentId": None, "messages": messages}}
    more = {"messages": listed, "files": [], "tags": [], "timestamp": int(call.store.clock() * 1000)}
    chat = call.store.add_chat(call.user, body | more, folder_id=folder_id)
    chat.body = {"id": chat.id, **chat.body}
    return chat
