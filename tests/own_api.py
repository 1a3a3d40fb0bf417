"""What somebody does with the vendors' own APIs, behind the gateway's back: chats that come, change and go, at times that a test sets."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from simulators import splox
from simulators.chatlogger.accounts import SLUG
from simulators.keys import KEYS
from simulators.kodey import SEEDED_AGENTS
from simulators.lexicon import SEEDED_USERS


@dataclass
class Dial:
    """A simulator's clock. `at`: epoch seconds while something is made in the past, None for the time of day."""

    at: float | None = None

    def __call__(self) -> float:
        return time.time() if self.at is None else self.at


@dataclass(frozen=True)
class Row:
    """A chat as its vendor holds it: epoch microseconds, None where the vendor's lists do not tell."""

    native_id: str
    title: str | None
    created: int
    updated: int


@dataclass
class OwnApi:
    """One vendor's API with its own credentials."""

    vendor: str
    url: str
    dial: Dial
    http: httpx.AsyncClient
    changed: dict[str, float] = field(default_factory=dict)
    """Native id → when it was last written to, by the time of day, in epoch seconds."""

    async def insert(self, title: str, at: int) -> str:
        """A new chat, made at `at` (epoch seconds)."""
        self.dial.at = at
        try:
            path, headers, body = self._creating(title)
            made = await self._send("POST", path, headers, body)
        finally:
            self.dial.at = None
        native_id = str(made["chat_id"] if self.vendor == "chatlogger" else made["id"])
        self.changed[native_id] = time.time()
        return native_id

    def _creating(self, title: str) -> tuple[str, Mapping[str, str], Any]:
        key = KEYS[self.vendor]["api_key"]
        match self.vendor:
            case "splox":
                body = {"name": title, "resource_type": "api", "resource_id": splox.ASSISTANT.workflow_id}
                return f"{splox.PREFIX}/chats", {"Authorization": f"Bearer {key}"}, body
            case "lexicon":
                return "/api/v1/chats/", {"X-API-Key": key}, {"user_id": SEEDED_USERS[len(title) % 3], "title": title}
            case "chatlogger":
                return f"/api/v1/orgs/{SLUG}/chats", {"X-Organization-API-Key": key}, {"title": title}
            case "kodey":
                return "/chat", {"X-API-Key": key}, {"agentId": SEEDED_AGENTS[0], "metadata": {}}
        return "/api/v1/chats/new", {"Authorization": f"Bearer {key}"}, {"chat": {"title": title}}

    async def delete(self, native_id: str) -> None:
        """Delete a chat."""
        key = KEYS[self.vendor]["api_key"]
        bearer = {"Authorization": f"Bearer {key}"}
        match self.vendor:
            case "splox":
                await self._send("DELETE", f"{splox.PREFIX}/chats/{native_id}", bearer)
            case "lexicon":
                await self._send("DELETE", f"/api/v1/chats/{native_id}", {"X-API-Key": key})
            case "kodey":
                await self._send("DELETE", f"/chat/{native_id}", {"X-API-Key": key})
            case "chatlogger":
                account = {name: KEYS[self.vendor][name] for name in ("email", "password")}
                login = await self.http.post(f"{self.url}/auth/login", json=account)
                cookie = {"Cookie": login.headers["set-cookie"].partition(";")[0]}
                await self._send("DELETE", f"/api/v1/chats/{native_id}", cookie)
            case _:
                await self._send("DELETE", f"/api/v1/chats/{native_id}", bearer)

    async def touch(self, native_id: str) -> None:
        """A message appears in a chat."""
        await self._send("POST", "/__control/emit", {}, {"chat_id": native_id, "text": "Touched"})
        self.changed[native_id] = time.time()

    async def rows(self) -> dict[str, Row]:
        """Every chat it holds, read at its control API, by native id."""
        state = await self._send("GET", "/__control/state", {})
        rows = [_row(self.vendor, chat) for chat in state["chats"]]
        return {row.native_id: row for row in rows}

    async def _send(self, method: str, path: str, headers: Mapping[str, str], body: Any = None) -> Any:
        answer = await self.http.request(method, self.url + path, headers=dict(headers), json=body)
        assert answer.is_success, (self.vendor, method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None


def _row(vendor: str, chat: Mapping[str, Any]) -> Row:
    if vendor == "splox":
        return Row(chat["id"], chat["name"], chat["created_us"], chat["updated_us"])
    if vendor == "kodey":
        created = int(chat["created"]) * 1_000_000  # its lists tell whole seconds, no title and no change
        return Row(chat["id"], None, created, created)
    if vendor == "open_webui":
        return Row(chat["id"], chat["title"], chat["created_at"] * 1_000_000, chat["updated_at"] * 1_000_000)
    digits = 0 if vendor == "lexicon" else 6  # as the simulators show times where no switch was turned
    created, updated = (int(chat[name] * 10**digits) * 10 ** (6 - digits) for name in ("created", "updated"))
    return Row(str(chat["id"]), chat["title"], created, updated)
