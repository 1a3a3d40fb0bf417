"""The simulator as a whole, and what the control API needs."""

import time
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from simulators.control import Clock, Control, EmitError
from simulators.splox import chats, seeding, workflows
from simulators.splox.agents import pieces
from simulators.splox.identity import ASSISTANT, FLOWS, OWNER
from simulators.splox.records import Chat, Message, Run
from simulators.splox.routing import build, no_route
from simulators.splox.runs import Runs
from simulators.splox.store import Store
from simulators.splox.streams import Streams
from simulators.splox.switches import Switches

_ROLES = ("user", "assistant", "system", "tool")


class Splox:
    """One server with two accounts."""

    vendor = "splox"

    def __init__(self, *, seed: bool = True, clock: Clock = time.time, switches: Switches | None = None) -> None:
        self.store = Store(clock, switches)
        self._streams = Streams(self.store)
        self._runs = Runs(self.store, self._streams)
        entries = [*chats.ALL, *self._runs.entries(), *self._streams.entries(), *workflows.ALL]
        self.app = Starlette(routes=build(self.store, entries), exception_handlers={HTTPException: no_route})
        self.app.router.redirect_slashes = False
        self.reset(seed=seed)

    @property
    def switches(self) -> Switches:
        return self.store.switches

    @property
    def clock(self) -> Clock:
        return self.store.clock

    def reset(self, *, seed: bool) -> None:
        self._runs.forget()
        self.store.clear()
        if seed:
            seeding.fill(self.store)

    def rooms(self) -> dict[str, int]:
        store = self.store
        return {
            chat.id: len(store.threads[chat.id].messages)
            for chat in store.chats.values()
            if chat.user_id == OWNER.user_id
        }

    def begin(self, title: str) -> str:
        return self.store.add_chat(OWNER, title, "api", ASSISTANT.workflow_id, None).id

    def end(self, chat_id: str) -> None:
        """The history first, as the vendor's own application does it."""
        if self.store.chats.pop(chat_id, None) is not None:
            self.store.threads[chat_id].messages.clear()

    def state(self) -> dict[str, Any]:
        """`messages`: by chat id, also of deleted chats. `streams`: a channel for each that is open."""
        store = self.store
        return {
            "chats": [asdict(chat) for chat in store.chats.values()],
            "messages": {
                chat_id: [asdict(one) for one in thread.messages] for chat_id, thread in store.threads.items()
            },
            "runs": [asdict(run) for run in store.runs.values()],
            "streams": self._streams.open_channels(),
        }

    def emit(self, chat_id: str | None, text: str | None, role: str | None) -> dict[str, str]:
        """A run of another client: its states, and between them a user's message as `user_message`, an assistant's word by word; others have no frame."""
        if role not in (None, *_ROLES):
            raise EmitError(f"role is one of {', '.join(_ROLES)}, not {role!r}")
        if chat_id is None:
            newest = max(self.store.chats.values(), key=lambda one: one.created_us, default=None)
            chat = newest or self.store.add_chat(OWNER, "From elsewhere", "api", ASSISTANT.workflow_id, None)
        elif chat_id in self.store.chats:
            chat = self.store.chats[chat_id]
        else:
            raise EmitError(f"there is no chat {chat_id!r}")
        message = self._run_elsewhere(chat, text or "A message from elsewhere.", role or "assistant")
        return {"chat_id": chat.id, "message_id": message.id}

    def _run_elsewhere(self, chat: Chat, said: str, role: str) -> Message:
        """The run is over before anybody can ask for it, so it is not kept: a demo emits for days."""
        store, streams = self.store, self._streams
        flow = next((one for one in FLOWS if one.workflow_id == chat.resource_id), ASSISTANT)
        run = Run(store.new_id(), chat.user_id, flow.version_id, chat.id, {"query": said}, [], store.now_us())
        streams.show_state(run)
        run.status, run.started_us = "in_progress", store.now_us()
        streams.show_state(run)
        message = store.append(chat.id, role, [{"type": "text", "text": said}], run_id=run.id)
        if role == "user":
            streams.show_content(chat.id, {"type": "user_message", "text": said}, run)
        elif role == "assistant":
            for piece in pieces(said):
                streams.show_content(chat.id, {"type": "text_delta", "delta": piece}, run)
            streams.show_content(chat.id, {"type": "done", "iteration": 1, "run_id": run.id}, run)
        streams.show_message(message)
        run.status, run.ended_us = "completed", store.now_us()
        streams.show_state(run)
        return message

    async def close(self) -> None:
        await self._runs.close()


def create_app(*, seed: bool = True, clock: Clock = time.time, switches: Switches | None = None) -> Control:
    return Control(Splox(seed=seed, clock=clock, switches=switches))
