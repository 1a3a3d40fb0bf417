"""What a run writes: the question, and a reply that grows on the chat's stream and ends in its history."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from simulators.splox.records import Message, Run
from simulators.splox.store import Store
from simulators.splox.streams import Frame, Streams


@dataclass(slots=True)
class Writing:
    """One run's messages. `last`: the newest of them; `number`: its place among the chat's runs, from 1; `iteration` counts its replies."""

    store: Store
    streams: Streams
    run: Run
    question: Message | None = None
    last: Message | None = None
    number: int = 0
    iteration: int = 0

    @property
    def is_wanted(self) -> bool:
        """False once everything was reset."""
        return self.store.runs.get(self.run.id) is self.run

    def show(self, frame: Frame) -> None:
        self.streams.show_content(self.run.chat_id, frame, self.run)

    def keep(self, role: str, content: list[dict[str, Any]], files: Any = None, *, shown: bool = True) -> Message:
        parent_id = self.last.id if self.last is not None else None
        more = {"parent_id": parent_id, "files": files, "run_id": self.run.id}
        self.last = self.store.append(self.run.chat_id, role, content, **more)
        if shown:
            self.streams.show_message(self.last)
        return self.last

    async def pause(self, slow: bool) -> None:
        switches = self.store.switches
        await asyncio.sleep((switches.slow_word_ms if slow else switches.word_ms) / 1000)


def keep_question(writing: Writing, query: str, files: Any) -> None:
    """Into the history, once."""
    if writing.question is None:
        writing.question = writing.keep("user", [{"type": "text", "text": query}], files)


@dataclass(slots=True)
class Reply:
    """One assistant's message on its way. `parts`: what stands before its text."""

    writing: Writing
    parts: list[dict[str, Any]] = field(default_factory=list)
    text: str = ""
    message: Message | None = None

    def add(self, piece: str) -> None:
        self.text += piece
        self.writing.show({"type": "text_delta", "delta": piece})
        if self.writing.store.switches.reply_appears == "while_written":
            self._keep(shown=False)

    def finish(self) -> Message:
        writing = self.writing
        writing.iteration += 1
        message = self._keep(shown=True)
        writing.show({"type": "done", "iteration": writing.iteration, "run_id": writing.run.id})
        return message

    def abandon(self) -> None:
        """Stopped: what was written so far is kept, or all of it is gone."""
        store, message = self.writing.store, self.message
        if store.switches.keeps_stopped_text and self.text:
            self._keep(shown=True)
        elif message is not None:
            thread = store.threads[message.chat_id]
            thread.messages[:] = [one for one in thread.messages if one is not message]

    def _keep(self, *, shown: bool) -> Message:
        content = [*self.parts, {"type": "text", "text": self.text}]
        if self.message is None:
            self.message = self.writing.keep("assistant", content, shown=shown)
            return self.message
        self.message.content = content
        self.writing.store.touch(self.message.chat_id)
        if shown:
            self.writing.streams.show_message(self.message)
        return self.message
