"""Lexicon's requests: arguments in, descriptions of requests out."""

from typing import Any

from domain.errors import InvalidArgument
from domain.source import NewChat, NewMessage
from upstreams.lexicon.capabilities import CHAT_ROWS
from upstreams.requests import QueryValue, Request, delete, get, post, segment


def list_chats_request(user_id: str, *, offset: int, newest_first: bool) -> Request:
    """A page of one user's chats, by the time of creation."""
    query: dict[str, QueryValue] = {"offset": offset, "limit": CHAT_ROWS, "order": _order(newest_first)}
    return get("list_chats", f"/api/v1/chats/user/{segment(user_id)}", query)


def get_chat_request(chat_id: str) -> Request:
    """One chat."""
    return get("get_chat", f"/api/v1/chats/{segment(chat_id)}")


def create_chat_request(new: NewChat, *, user_id: str) -> Request:
    """A new chat. Without a title Lexicon makes one up."""
    body: dict[str, Any] = {"user_id": user_id}
    if new.title is not None:
        body["title"] = new.title
    if new.metadata is not None:
        body["metadata"] = dict(new.metadata)
    return post("create_chat", "/api/v1/chats/", body)


def delete_chat_request(chat_id: str) -> Request:
    """Delete a chat with its messages."""
    return delete("delete_chat", f"/api/v1/chats/{segment(chat_id)}")


def list_messages_request(chat_id: str, *, offset: int, limit: int, newest_first: bool) -> Request:
    """A page of a chat's messages."""
    query: dict[str, QueryValue] = {"offset": offset, "limit": limit, "order": _order(newest_first)}
    return get("list_messages", f"/api/v1/chats/{segment(chat_id)}/messages", query)


def open_socket_request() -> Request:
    """The socket of a chat; which one it is, its headers say."""
    return get("open_socket", "/ws/chat")


def socket_headers(user_id: str, chat_id: str) -> dict[str, str]:
    """What names the chat. A header is ASCII for certain only; Lexicon's other way, the query, would put the key into logs."""
    if not (user_id.isascii() and chat_id.isascii()):
        raise InvalidArgument(
            "Messages cannot be sent to this chat: the id of its user has characters that a header does not carry. Use a chat of another user.",
            path=("chatId",),
        )
    return {"X-User-ID": user_id, "X-Chat-ID": chat_id}


def frame(new: NewMessage) -> dict[str, Any]:
    """What is said over the socket."""
    return {"content": new.text} if new.metadata is None else {"content": new.text, "metadata": dict(new.metadata)}


def _order(newest_first: bool) -> str:
    return "desc" if newest_first else "asc"
