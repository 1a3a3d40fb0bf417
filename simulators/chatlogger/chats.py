"""Chats and messages: what a cookie may, and what a key may."""

from collections.abc import Mapping
from typing import Any

from starlette.routing import Route

from simulators.chatlogger.accounts import USERS
from simulators.chatlogger.binding import (
    CHAT_METADATA,
    MESSAGE_METADATA,
    bind,
    bind_metadata,
    read_body,
    read_id,
    read_number,
)
from simulators.chatlogger.errors import ChatLoggerError, bad_request
from simulators.chatlogger.routing import Access, Call, route
from simulators.chatlogger.store import Chat, Store

_CHAT = {"title": "text", "tags": "texts", "metadata": "object"}
_ROLES = ("user", "assistant", "system")


def routes(store: Store) -> list[Route]:
    async def create_chat(call: Call) -> tuple[int, Any]:
        """The caller's own id wins over the body's."""
        return _create(store, call.organization, call.user.id, await read_body(call.request))

    async def create_chat_with_key(call: Call) -> tuple[int, Any]:
        said = await read_body(call.request)
        user = bind(said, {"user_id": "int"}).get("user_id")
        if user is not None and user < 0:
            raise bad_request()
        if user is not None and user not in {one.id for one in USERS}:  # the foreign key
            raise ChatLoggerError(500, "Failed to create chat")
        return _create(store, call.organization, user, said)

    async def create_message(call: Call) -> tuple[int, Any]:
        chat = _chat(store, call)
        said = bind(await read_body(call.request), {"role": "text", "content": "text", "metadata": "object"})
        if said.get("role") not in _ROLES or not said.get("content"):
            raise bad_request()
        metadata = bind_metadata(said.get("metadata", {}), MESSAGE_METADATA)
        message = store.add_message(chat, said["role"], said["content"], metadata)
        return 201, {"message": "Message created successfully", "message_id": message.id}

    async def list_chats(call: Call) -> tuple[int, Any]:
        """A bare array, and nothing about what follows."""
        query = call.request.query_params
        limit, offset = read_number(query.get("limit", "20")), max(read_number(query.get("offset", "0")), 0)
        found = store.chats_of(call.organization)[offset:]
        has_limit = limit > 0 or (limit == 0 and store.switches.limit_zero == "empty")
        return 200, [store.row(chat) for chat in (found[:limit] if has_limit else found)]

    async def get_chat(call: Call) -> tuple[int, Any]:
        """Exactly `true` brings the messages."""
        with_messages = call.request.query_params.get("include_messages") == "true"
        return 200, store.one(_chat(store, call), with_messages=with_messages)

    async def update_chat(call: Call) -> tuple[int, Any]:
        """An empty title is none; tags and metadata are replaced whole."""
        chat = _chat(store, call)
        said = bind(await read_body(call.request), _CHAT)
        metadata = bind_metadata(said["metadata"], CHAT_METADATA) if "metadata" in said else chat.metadata
        chat.title, chat.tags, chat.metadata = said.get("title") or chat.title, said.get("tags", chat.tags), metadata
        chat.updated = store.clock()
        return 200, store.one(chat)

    async def delete_chat(call: Call) -> tuple[int, Any]:
        chat = _chat(store, call)
        if chat.messages and store.switches.delete_fails:
            raise ChatLoggerError(500, "Failed to delete chat")
        del store.chats[chat.id]
        return 200, {"message": "Chat deleted successfully"}

    async def list_messages(call: Call) -> tuple[int, Any]:
        """All of them, the oldest first."""
        chat = _chat(store, call)
        return 200, [store.message(chat, one) for one in chat.messages]

    return [
        route(store, "POST", "/chats", create_chat, Access.COOKIE),
        route(store, "GET", "/chats", list_chats, Access.COOKIE),
        route(store, "GET", "/chats/{chat_id}", get_chat, Access.COOKIE),
        route(store, "PATCH", "/chats/{chat_id}", update_chat, Access.COOKIE),
        route(store, "DELETE", "/chats/{chat_id}", delete_chat, Access.COOKIE),
        route(store, "GET", "/chats/{chat_id}/messages", list_messages, Access.COOKIE),
        route(store, "POST", "/orgs/{slug}/chats", create_chat_with_key, Access.KEY),
        route(store, "POST", "/orgs/{slug}/chats/{chat_id}/messages", create_message, Access.KEY),
    ]


def _create(store: Store, organization: int, user: int | None, said: Mapping[str, Any]) -> tuple[int, Any]:
    bound = bind(said, _CHAT)
    metadata = bind_metadata(bound.get("metadata", {}), CHAT_METADATA)
    chat = store.add_chat(organization, user, bound.get("title", ""), bound.get("tags", []), metadata)
    return 201, {"message": "Chat created successfully", "chat_id": chat.id}


def _chat(store: Store, call: Call) -> Chat:
    chat = store.chats.get(read_id(call.path("chat_id"), "chat"))
    if chat is None:
        raise ChatLoggerError(404, "Chat not found")
    if chat.organization != call.organization:
        raise ChatLoggerError(403, "Access denied")
    return chat
