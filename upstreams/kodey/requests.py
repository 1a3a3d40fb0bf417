"""Kodey's requests: arguments in, descriptions of requests out."""

from typing import Any

from domain.source import NewChat
from upstreams.requests import Request, delete, get, post, segment


def list_chats_request() -> Request:
    """All chats of the team."""
    return get("list_chats", "/chat")


def get_chat_request(chat_id: str) -> Request:
    """One chat."""
    return get("get_chat", f"/chat/{segment(chat_id)}")


def create_chat_request(new: NewChat, *, user_id: str | None) -> Request:
    """A new chat. `metadata` has no "(optional)" in the documents, so it is always sent."""
    body: dict[str, Any] = {"agentId": new.agent, "metadata": dict(new.metadata or {})}
    if user_id is not None:
        body["userId"] = user_id
    return post("create_chat", "/chat", body)


def delete_chat_request(chat_id: str) -> Request:
    """Delete a chat."""
    return delete("delete_chat", f"/chat/{segment(chat_id)}")


def list_messages_request(chat_id: str) -> Request:
    """All messages of a chat."""
    return get("list_messages", f"/chat/{segment(chat_id)}/message")


def send_message_request(chat_id: str, text: str, *, timeout_seconds: float) -> Request:
    """A message; its answer is the agent's reply."""
    body = {"content": text, "role": "user"}
    return post("send_message", f"/chat/{segment(chat_id)}/message", body, timeout_seconds=timeout_seconds)
