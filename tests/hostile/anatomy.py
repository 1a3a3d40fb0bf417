"""Where things stand in the answers of the five vendors: operations, lists of rows, and fields that may not be missing.

Operations are named as the simulators name them, and in sentences as the connectors do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A list inside an answer: `at` leads to it, none of them when the answer is the list. `required`: a field of each row."""

    operation: str
    at: str | None
    required: str
    role: str = "role"

    def of(self, body: Any) -> list[Any]:
        """The list."""
        return list(body if self.at is None else body[self.at])

    def put(self, body: Any, rows: list[Any]) -> Any:
        """The answer with other rows."""
        return rows if self.at is None else {**body, self.at: rows}

    def path(self, index: int) -> str:
        """Where the required field of a row stands."""
        return f"{'$' if self.at is None else f'$.{self.at}'}[{index}].{self.required}"


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """One vendor. `messages` None: they stand in the answer for the chat, as a map (Open WebUI)."""

    chats: Rows
    messages: Rows | None
    required: str
    """A field of a chat alone."""
    create: str = "create_chat"
    send: str = "send_message"


VENDORS: Mapping[str, Anatomy] = {
    "splox": Anatomy(
        chats=Rows(operation="list_chats", at="chats", required="created_at"),
        messages=Rows(operation="list_messages", at="messages", required="content"),
        required="created_at",
        send="run_workflow",
    ),
    "lexicon": Anatomy(
        chats=Rows(operation="list_chats", at="chats", required="user_id"),
        messages=Rows(operation="list_messages", at="messages", required="content", role="sender_role"),
        required="created_at",
        send="open_socket",
    ),
    "chatlogger": Anatomy(
        chats=Rows(operation="list_chats", at=None, required="created_at"),
        messages=Rows(operation="list_messages", at=None, required="content"),
        required="updated_at",
        create="create_chat_with_key",
        send="create_message",
    ),
    "kodey": Anatomy(
        chats=Rows(operation="list_chats", at="chats", required="createdAt"),
        messages=Rows(operation="list_messages", at="messages", required="content"),
        required="teamId",
    ),
    "open_webui": Anatomy(
        chats=Rows(operation="list_chats", at=None, required="title"),
        messages=None,
        required="title",
        send="complete",
    ),
}

CREATED: Mapping[str, str] = {"field": "CREATED_AT", "direction": "DESC"}
TITLE: Mapping[str, str] = {"field": "TITLE", "direction": "ASC"}
LISTS: list[tuple[str, Mapping[str, str] | None]] = [
    *((vendor, None) for vendor in VENDORS),
    ("chatlogger", CREATED),
    ("open_webui", TITLE),
]
"""Vendors with the default order, and in the other way of reading their lists: page by page, or whole."""


def named(value: Any) -> str:
    """A parameter in the name of a test."""
    return value["field"] if isinstance(value, Mapping) else str(value)
