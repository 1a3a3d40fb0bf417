"""A model's reply on its way into the stored message, and what the owner's sockets are told of it (observed on 0.12.4).

    streamed: chat:list, [chat:active], response:completion (a raw chunk, then a delta for each piece), chat:completion (the last chunk),
              chat:list, chat:completion (done), [chat:active]
    in one:   chat:list, [chat:active], chat:completion (the whole answer), chat:completion (done), chat:list, [chat:active]
    stopped:  chat:tasks:cancel with the words so far, where there are some, then chat:tasks:cancel with nothing
    failed:   chat:message:error

`chat:active` comes with replies in the background alone, and says that nothing is active any more when the chat's last one has ended.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from simulators.open_webui import models, tree
from simulators.open_webui.store import Chat, Store


class Tell(Protocol):
    """Tells all connections of a user."""

    def __call__(
        self, user_id: str, chat_id: str, message_id: str | None, kind: str, data: Any = ..., /
    ) -> Awaitable[None]: ...


@dataclass(slots=True)
class Turn:
    """One reply on its way into `message`, which stands in the tree of `chat`. `task_id`: it runs in the background."""

    chat: Chat
    message: dict[str, Any]
    model: str
    prompt: list[dict[str, Any]]
    streams: bool
    question_id: str | None = None
    task_id: str | None = None
    item_id: str = field(default_factory=lambda: f"msg_{secrets.token_hex(12)}")

    def show(self, text: str, status: str) -> None:
        self.message["content"] = text
        part = {"type": "output_text", "text": text}
        item = {"type": "message", "id": self.item_id, "status": status, "role": "assistant", "content": [part]}
        self.message["output"] = [item]


class Writer:
    """Writes the replies of one server."""

    def __init__(self, store: Store, tell: Tell) -> None:
        self._store, self._tell = store, tell

    async def begun(self, turn: Turn) -> None:
        """The question is in the chat."""
        await self._event(turn, "chat:list", _list_of(turn), turn.question_id)

    async def write(self, turn: Turn) -> None:
        """Stopped before the first word, the message stays as it is: `done: false`, with nobody writing it any more."""
        try:
            if turn.task_id is not None:
                await self._active(turn, True)
            await asyncio.sleep(self._store.switches.begin_ms / 1000)
            if turn.model == models.FAILING:
                await self._fail(turn)
            elif turn.streams:
                await self._stream(turn)
            else:
                await self._at_once(turn)
        except asyncio.CancelledError:
            await self._stopped(turn)
            raise
        finally:
            others = set(self._store.running.get(turn.chat.id, {})) - {turn.task_id}
            if turn.task_id is not None and not others:
                await self._active(turn, False)

    async def _fail(self, turn: Turn) -> None:
        turn.message["error"] = {"content": models.FAILURE}
        self._finish(turn)
        await self._event(turn, "chat:message:error", {"error": {"content": models.FAILURE}, "done": True})

    async def _at_once(self, turn: Turn) -> None:
        answer = models.whole(turn.model, turn.prompt, self._store.now())
        counted = answer["usage"]
        also = {"input_tokens": counted["prompt_tokens"], "output_tokens": counted["completion_tokens"]}
        await self._event(turn, "chat:completion", answer)
        turn.message["usage"] = counted | also
        turn.show(answer["choices"][0]["message"]["content"], "completed")
        self._finish(turn)
        await self._done(turn)
        await self._event(turn, "chat:list", _list_of(turn))

    async def _stream(self, turn: Turn) -> None:
        answer = models.whole(turn.model, turn.prompt, self._store.now())
        text, told = answer["choices"][0]["message"]["content"], ""
        await self._event(turn, "response:completion", models.chunk(answer, {"role": "assistant", "content": ""}))
        for piece in models.pieces(text):
            await self.pause(turn.model)
            told += piece
            turn.show(told, "in_progress")
            await self._event(turn, "response:completion", _delta(turn, piece))
        await self._event(turn, "chat:completion", models.chunk(answer, {}, "stop"))
        turn.show(text, "completed")
        self._finish(turn)
        await self._event(turn, "chat:list", _list_of(turn))
        await self._done(turn)

    async def _stopped(self, turn: Turn) -> None:
        if turn.message.get("output"):
            turn.show(turn.message["content"], "incomplete")
            self._finish(turn)
            await self._event(turn, "chat:tasks:cancel", {"output": turn.message["output"]})
        await self._tell(turn.chat.user_id, turn.chat.id, turn.message["id"], "chat:tasks:cancel")

    def _finish(self, turn: Turn) -> None:
        """A reply that was deleted while it ran comes back, below nothing and without its model."""
        turn.message["done"] = True
        turn.chat.updated_at = self._store.now()
        messages, message_id = tree.messages_of(turn.chat.body), turn.message["id"]
        if message_id not in messages:
            left = ("id", "role", "content", "done", "output", "error", "timestamp")
            kept = {name: turn.message[name] for name in left if name in turn.message}
            messages[message_id] = kept | {"parentId": None, "childrenIds": []}
            turn.chat.body["history"]["currentId"] = turn.chat.current_message_id = message_id

    async def pause(self, model: str) -> None:
        """Until the model's next word."""
        switches = self._store.switches
        await asyncio.sleep((switches.slow_word_ms if model == models.SLOW else switches.fast_word_ms) / 1000)

    # What is told

    async def _done(self, turn: Turn) -> None:
        told = {"done": True, "output": turn.message["output"], "title": turn.chat.title}
        await self._event(turn, "chat:completion", told)

    async def _active(self, turn: Turn, active: bool) -> None:
        await self._event(turn, "chat:active", {"active": active, "folder_id": turn.chat.folder_id})

    async def _event(self, turn: Turn, kind: str, data: Any, message_id: Any = ...) -> None:
        about = turn.message["id"] if message_id is ... else message_id
        await self._tell(turn.chat.user_id, turn.chat.id, about, kind, data)

    def as_another_client(self, chat: Chat, message: dict[str, Any]) -> Iterator[Awaitable[None]]:
        """The events of a reply that another client asked for, and that stands in the chat already."""
        turn = Turn(chat, message, models.FAST, [], streams=True, question_id=message.get("parentId"), task_id="")
        answer = models.whole(models.FAST, [], self._store.now())
        turn.show(message["content"], "completed")
        yield self.begun(turn)
        yield self._active(turn, True)
        yield self._event(turn, "response:completion", models.chunk(answer, {"role": "assistant", "content": ""}))
        for piece in models.pieces(message["content"]):
            yield self._event(turn, "response:completion", _delta(turn, piece))
        yield self._event(turn, "chat:completion", models.chunk(answer, {}, "stop"))
        yield self._event(turn, "chat:list", _list_of(turn))
        yield self._done(turn)
        yield self._active(turn, False)


def _list_of(turn: Turn) -> dict[str, Any]:
    return {"chat_id": turn.chat.id, "folder_id": turn.chat.folder_id}


def _delta(turn: Turn, piece: str) -> dict[str, Any]:
    place = {"item_id": turn.item_id, "output_index": 0, "content_index": 0}
    return {"type": "response.output_text.delta", **place, "delta": piece}
