"""Everything that one simulated Splox holds, and who may see it."""

import math
import random
import re
import secrets
import uuid
from collections import deque
from datetime import UTC, datetime
from typing import Any

from simulators.control import Clock
from simulators.splox.errors import SploxError, not_found
from simulators.splox.identity import ACCOUNTS, AGENT_ID, FLOWS, OWNER
from simulators.splox.records import Account, Chat, Flow, Message, Run, Thread
from simulators.splox.switches import Switches

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Store:
    """Chats by id, threads by chat id, runs by id; each in the order in which it was made."""

    def __init__(self, clock: Clock, switches: Switches | None = None) -> None:
        self.clock = clock
        self.switches = switches or Switches()
        self.tokens = {token: account for account in ACCOUNTS for token in account.tokens}
        """The tokens that this server accepts, each with its account."""
        self.chats: dict[str, Chat] = {}
        self.threads: dict[str, Thread] = {}
        self.runs: dict[str, Run] = {}
        self._run_times: dict[str, deque[float]] = {}
        self._shuffle = random.Random(4003)

    def clear(self) -> None:
        for held in (self.chats, self.threads, self.runs, self._run_times):
            held.clear()

    # Times and ids

    def now_us(self) -> int:
        return self.cut(round(self.clock() * 1_000_000))

    def cut(self, moment_us: int) -> int:
        unit = int(10 ** (6 - self.switches.fraction_digits))
        return moment_us // unit * unit

    def time(self, moment_us: int) -> str:
        digits = self.switches.fraction_digits
        at = datetime.fromtimestamp(moment_us // 1_000_000, UTC)
        return f"{at:%Y-%m-%dT%H:%M:%S}" + (f".{moment_us % 1_000_000:06d}"[: digits + 1] if digits else "") + "Z"

    def new_id(self) -> str:
        """A UUID of version 7."""
        moment = int(self.clock() * 1000) & (1 << 48) - 1
        return str(uuid.UUID(int=moment << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62)))

    # Chats

    def add_chat(self, owner: Account, name: str, asked_type: str, resource_id: str, metadata: Any) -> Chat:
        known = kind_of(resource_id)
        shown = known if known and self.switches.created_type == "resource" else asked_type
        now = self.now_us()
        chat = Chat(self.new_id(), owner.user_id, name, asked_type, shown, resource_id, metadata, now, now)
        self.chats[chat.id] = chat
        self.threads[chat.id] = Thread(owner.user_id, resource_id)
        return chat

    def chat(self, account: Account, chat_id: str) -> Chat:
        """Raises SploxError where there is none for this account."""
        self._check_id(chat_id)
        chat = self.chats.get(chat_id)
        if chat is None:
            raise not_found("Chat")
        self._admit(account, chat.user_id, chat.resource_id)
        return chat

    def chats_of(self, account: Account, kind: str, resource_id: str) -> list[Chat]:
        """For an agent the account's own, for everything else all of the resource (vendor notes 1.6)."""
        found = [
            chat
            for chat in self.chats.values()
            if chat.resource_id == resource_id
            and kind in self._types_of(chat)
            and (kind != "agent" or chat.user_id == account.user_id)
        ]
        if self.switches.chat_order == "shuffled":
            return self._shuffle.sample(found, len(found))
        return sorted(found, key=lambda chat: chat.created_us, reverse=self.switches.chat_order == "desc")

    def _types_of(self, chat: Chat) -> set[str]:
        both = {"shown": chat.shown_type, "asked": chat.asked_type}
        return set(both.values()) if self.switches.list_under == "both" else {both[self.switches.list_under]}

    def _admit(self, account: Account, user_id: str, resource_id: str) -> None:
        """Whose chat it is, or whose resource."""
        if account.user_id == user_id or (account == OWNER and kind_of(resource_id) == "workflow"):
            return
        if self.switches.foreign_chats == "forbidden":
            raise SploxError(403, "Forbidden")
        if self.switches.foreign_chats == "missing":
            raise not_found("Chat")

    def _check_id(self, text: str) -> None:
        if not _UUID.fullmatch(text):
            raise SploxError(self.switches.malformed_id_status, f"invalid id: {text}")

    # Messages

    def thread(self, account: Account, chat_id: str) -> Thread:
        """The messages of a chat, also of one that was deleted without them."""
        if self.switches.missing_history == "empty" and chat_id not in self.threads:
            return Thread(account.user_id, "")
        self._check_id(chat_id)
        thread = self.threads.get(chat_id)
        if thread is None or (chat_id not in self.chats and not thread.messages):
            raise not_found("Chat")
        self._admit(account, thread.user_id, thread.resource_id)
        return thread

    def append(self, chat_id: str, role: str, content: list[dict[str, Any]], **more: Any) -> Message:
        """The newest message of a chat, which is kept also if the chat was deleted meanwhile. `more`: fields of it.

        Its parent is the message before it, unless `more` says otherwise.
        """
        thread = self.threads[chat_id]
        message = Message(self.new_id(), chat_id, role, content, created_us=self.now_us(), **more)
        if message.parent_id is None and thread.messages:
            message.parent_id = thread.messages[-1].id
        if self.switches.parents == "null":
            message.parent_id = None
        thread.messages.append(message)
        self.touch(chat_id)
        return message

    def touch(self, chat_id: str) -> None:
        chat = self.chats.get(chat_id)
        if chat is not None and self.switches.message_touches_chat:
            chat.updated_us = self.now_us()

    # Runs

    def run(self, account: Account, run_id: str) -> Run:
        run = self.runs.get(run_id)
        if run is None or run.user_id != account.user_id:
            raise not_found("Workflow request")
        return run

    def is_active(self, chat_id: str) -> bool:
        return any(run.chat_id == chat_id and not run.is_over for run in self.runs.values())

    def count_run(self, account: Account) -> None:
        """At most 20 a minute for an account (vendor notes 1.8). That the minute slides is an assumption."""
        if self.switches.usage_exceeded:
            wait = self.switches.usage_retry_seconds
            shape: dict[str, Any] = {"retry_after_seconds": wait, "mode": "simulated", "windows": [], "extra": {}}
            raise SploxError(429, "usage_window_exceeded", headers={"Retry-After": str(wait)}, **shape)
        now, times = self.clock(), self._run_times.setdefault(account.user_id, deque())
        while times and times[0] <= now - 60:
            times.popleft()
        if len(times) >= self.switches.runs_per_minute:
            wait = max(1, math.ceil(times[0] + 60 - now)) if times else 60
            raise SploxError(429, "rate limit exceeded", headers={"Retry-After": str(wait)})
        times.append(now)


def kind_of(resource_id: str) -> str | None:
    """The type of a resource that is known here; any other text may be a resource too."""
    if resource_id == AGENT_ID:
        return "agent"
    return "workflow" if any(flow.workflow_id == resource_id for flow in FLOWS) else None


def flow_of(version_id: str) -> Flow | None:
    return next((flow for flow in FLOWS if version_id in flow.version_numbers()), None)
