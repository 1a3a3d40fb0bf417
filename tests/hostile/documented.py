"""The errors that the vendors' documents name, or that were seen of them, and what each of them is for a client.

An error is one of the recorded answers of `tests/upstreams/answers`, each of which names its origin, given to an operation that may get it.
"""

import json
from dataclasses import dataclass
from typing import Any

from tests.upstreams.recorded import FOLDER

UNAVAILABLE, CHANGED, UNAUTHORIZED = "UPSTREAM_UNAVAILABLE", "UPSTREAM_CHANGED", "UPSTREAM_UNAUTHORIZED"
REJECTED, LIMITED, UNKNOWN = "UPSTREAM_REJECTED", "UPSTREAM_RATE_LIMITED", "OUTCOME_UNKNOWN"
ABSENT = "null, and no error"
"""What a client gets for a chat that is not there."""


@dataclass(frozen=True)
class Documented:
    """`act`: what is asked through GraphQL. `operation`: what the vendor is asked then, and refuses. `code`: that of the status for
    `list`, of the error for `chat` and `messages`, of the user error for what writes.
    """

    vendor: str
    name: str
    act: str
    operation: str
    code: str

    def __str__(self) -> str:
        return f"{self.vendor} {self.name} {self.act}"

    def told(self) -> dict[str, Any]:
        """The recorded answer: `origin status headers body`."""
        return dict(json.loads((FOLDER / self.vendor / f"{self.name}.json").read_text()))


ERRORS = [
    Documented("splox", "unauthorized", "list", "list_chats", UNAUTHORIZED),
    Documented("splox", "unauthorized", "chat", "get_chat", UNAUTHORIZED),
    Documented("splox", "unauthorized", "create", "create_chat", UNAUTHORIZED),
    Documented("splox", "forbidden", "list", "list_chats", UNAUTHORIZED),
    Documented("splox", "get_chat_missing", "list", "list_chats", CHANGED),  # no resource of the options is known there
    Documented("splox", "get_chat_missing", "chat", "get_chat", ABSENT),
    Documented("splox", "gone", "chat", "get_chat", ABSENT),
    Documented("splox", "rate_limited", "list", "list_chats", "RATE_LIMITED"),
    Documented("splox", "rate_limited", "send", "run_workflow", LIMITED),
    Documented("splox", "usage_window_exceeded", "send", "run_workflow", LIMITED),
    Documented("splox", "run_refused", "send", "run_workflow", REJECTED),
    Documented("splox", "run_refused", "create", "create_chat", REJECTED),
    Documented("splox", "server_error", "list", "list_chats", UNAVAILABLE),
    Documented("splox", "server_error", "messages", "list_messages", UNAVAILABLE),
    Documented("splox", "server_error", "send", "run_workflow", UNKNOWN),
    Documented("lexicon", "unauthorized", "list", "list_chats", UNAUTHORIZED),
    Documented("lexicon", "unauthorized", "chat", "get_chat", UNAUTHORIZED),
    Documented("lexicon", "unauthorized", "messages", "list_messages", UNAUTHORIZED),
    Documented("lexicon", "unauthorized", "create", "create_chat", UNAUTHORIZED),
    Documented("lexicon", "unauthorized", "send", "open_socket", UNAUTHORIZED),
    Documented("lexicon", "list_chats_none", "list", "list_chats", "OK"),  # a user without chats is none
    Documented("lexicon", "get_chat_missing", "chat", "get_chat", ABSENT),
    Documented("lexicon", "list_messages_limit", "messages", "list_messages", UNAVAILABLE),
    Documented("lexicon", "create_chat_invalid", "create", "create_chat", REJECTED),
    Documented("lexicon", "server_error", "list", "list_chats", UNAVAILABLE),
    Documented("lexicon", "server_error", "create", "create_chat", UNKNOWN),
    Documented("chatlogger", "unauthorized", "list", "list_chats", UNAUTHORIZED),
    Documented("chatlogger", "unauthorized", "send", "create_message", UNAUTHORIZED),
    Documented("chatlogger", "login_refused", "list", "log_in", UNAUTHORIZED),
    Documented("chatlogger", "get_chat_missing", "chat", "get_chat", ABSENT),
    Documented("chatlogger", "get_chat_not_a_number", "chat", "get_chat", ABSENT),
    Documented("chatlogger", "get_chat_of_another_organization", "chat", "get_chat", UNAUTHORIZED),
    Documented("chatlogger", "get_chat_of_another_organization", "messages", "list_messages", UNAUTHORIZED),
    Documented("chatlogger", "create_chat_invalid", "create", "create_chat_with_key", REJECTED),
    Documented("chatlogger", "create_chat_no_organization", "create", "create_chat_with_key", UNAUTHORIZED),
    Documented("chatlogger", "create_chat_wrong_slug", "create", "create_chat_with_key", UNAUTHORIZED),
    Documented("chatlogger", "create_chat_failed", "create", "create_chat_with_key", UNKNOWN),
    Documented("chatlogger", "panic", "list", "list_chats", UNAVAILABLE),
    Documented("chatlogger", "unknown_path", "list", "list_chats", CHANGED),
    Documented("chatlogger", "delete_chat_failed", "delete", "delete_chat", REJECTED),  # no cascade: it is still there
    Documented("kodey", "unauthorized", "list", "list_chats", UNAUTHORIZED),
    Documented("kodey", "unauthorized", "chat", "get_chat", UNAUTHORIZED),
    Documented("kodey", "unauthorized", "create", "create_chat", UNAUTHORIZED),
    Documented("kodey", "forbidden", "list", "list_chats", UNAUTHORIZED),
    Documented("kodey", "forbidden", "delete", "delete_chat", UNAUTHORIZED),
    Documented("kodey", "get_chat_missing", "chat", "get_chat", ABSENT),
    Documented("kodey", "bad_request", "create", "create_chat", REJECTED),
    Documented("kodey", "rate_limited", "list", "list_chats", "RATE_LIMITED"),
    Documented("kodey", "rate_limited", "create", "create_chat", LIMITED),
    Documented("kodey", "server_error", "list", "list_chats", UNAVAILABLE),
    Documented("kodey", "server_error", "messages", "list_messages", UNAVAILABLE),
    Documented("kodey", "server_error", "create", "create_chat", UNKNOWN),
    Documented("open_webui", "unauthorized", "list", "list_chats", UNAUTHORIZED),
    Documented("open_webui", "unknown_key", "list", "list_chats", UNAUTHORIZED),
    Documented("open_webui", "unknown_key", "chat", "get_chat", UNAUTHORIZED),
    Documented("open_webui", "unknown_key", "create", "create_chat", UNAUTHORIZED),
    Documented("open_webui", "garbage_token", "list", "list_chats", UNAUTHORIZED),
    Documented("open_webui", "forbidden", "list", "list_chats", UNAUTHORIZED),
    Documented("open_webui", "get_chat_missing", "chat", "get_chat", ABSENT),  # it says 401
    Documented("open_webui", "get_chat_of_another", "chat", "get_chat", ABSENT),
    Documented("open_webui", "delete_chat_missing", "delete", "delete_chat", "NOT_FOUND"),
    Documented("open_webui", "validation_422", "create", "create_chat", REJECTED),
    Documented("open_webui", "wrong_method", "list", "list_chats", CHANGED),
    Documented("open_webui", "unknown_path_html", "list", "list_chats", CHANGED),
    Documented("open_webui", "server_error_500", "list", "list_chats", UNAVAILABLE),
    Documented("open_webui", "server_error_500", "create", "create_chat", UNKNOWN),
    Documented("open_webui", "send_unknown_model", "send", "complete", "INVALID_ARGUMENT"),
    Documented("open_webui", "send_taken_id", "send", "complete", "CONFLICT"),
]
