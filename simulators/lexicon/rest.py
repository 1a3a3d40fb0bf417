"""The five REST calls that the page "introduction" lists."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulators.lexicon.errors import LexiconError, answer_error, bad_request, no_chat, unauthorized
from simulators.lexicon.store import Chat, Store

_MESSAGES_MAX = 100

Handler = Callable[[Request, str], Awaitable[Response]]
"""With the tenant of the key."""


def routes(store: Store) -> list[Route]:
    async def create_chat(request: Request, tenant: str) -> Response:  # page "create": 201
        said = await _json_object(request)
        user, title, metadata = said.get("user_id"), said.get("title"), said.get("metadata")
        if not isinstance(user, str) or not user:
            raise bad_request("user_id is required")
        if title is not None and not isinstance(title, str):
            raise bad_request("title must be a string")
        if metadata is not None and not isinstance(metadata, dict):
            raise bad_request("metadata must be an object")
        chat = store.add_chat(tenant, user, title, metadata or {})
        return JSONResponse(store.show_chat(chat), status_code=201)

    async def list_chats(
        request: Request, tenant: str
    ) -> Response:  # page "list-user-chats": 404 for nobody and nothing
        found = store.chats_of(tenant, request.path_params["user_id"])
        if not found:
            raise LexiconError(404, "USER_NOT_FOUND", "User not found or has no chats")
        rows = [_row(store, chat) for chat in found]
        return _page(store, request, "chats", rows, order="desc", most=store.switches.chat_page_max)

    async def get_chat(request: Request, tenant: str) -> Response:  # page "get-chat"
        chat = _chat(store, request, tenant)
        return JSONResponse(_row(store, chat) | {"status": chat.status})

    async def list_messages(request: Request, tenant: str) -> Response:  # page "get-messages"
        rows = [store.show_message(one) for one in _chat(store, request, tenant).messages]
        return _page(store, request, "messages", rows, order="asc", most=_MESSAGES_MAX)

    async def delete_chat(request: Request, tenant: str) -> Response:  # page "delete-chat"
        chat = _chat(store, request, tenant)
        if store.is_in_use(chat.id):
            raise LexiconError(409, "CHAT_IN_USE", "Chat has an active WebSocket connection")
        del store.chats[chat.id]
        deleted_at = store.time(store.clock())
        return JSONResponse({"success": True, "message": "Chat deleted", "deleted_at": deleted_at})

    def route(method: str, path: str, handler: Handler) -> Route:
        return Route(f"/api/v1/chats/{path}", _guard(store, handler), methods=[method], name=handler.__name__)

    return [
        route("POST", "", create_chat),
        route("GET", "user/{user_id}", list_chats),
        route("GET", "{chat_id}", get_chat),
        route("GET", "{chat_id}/messages", list_messages),
        route("DELETE", "{chat_id}", delete_chat),
    ]


def _guard(store: Store, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def guarded(request: Request) -> Response:
        try:
            tenant = store.tenants.get(request.headers.get("x-api-key", ""))
            if tenant is None:
                raise unauthorized()
            return await handler(request, tenant)
        except LexiconError as refused:
            return answer_error(store.switches, refused)

    return guarded


def _chat(store: Store, request: Request, tenant: str) -> Chat:
    chat = store.chat_of(tenant, request.path_params["chat_id"])
    if chat is None:
        raise no_chat()
    return chat


def _row(store: Store, chat: Chat) -> dict[str, Any]:
    return store.show_chat(chat) | {"message_count": len(chat.messages)}


def _page(
    store: Store, request: Request, name: str, rows: list[dict[str, Any]], *, order: str, most: int | None
) -> Response:
    """`rows` are the oldest first; `order` is what the page has when it is not asked for one."""
    offset, limit = _number(request, "offset", 0), _number(request, "limit", 50)
    if most is not None and limit > most:
        raise bad_request(f"limit must be at most {most}")
    order = request.query_params.get("order", order)
    if order not in ("asc", "desc"):
        raise bad_request("order must be asc or desc")
    ordered = rows[::-1] if order == "desc" else rows
    has_more = offset + limit < len(rows) and store.switches.has_more == "right"
    page = {name: ordered[offset : offset + limit], "total": len(rows), "offset": offset, "limit": limit}
    return JSONResponse(page | {"has_more": has_more})


def _number(request: Request, name: str, default: int) -> int:
    given = request.query_params.get(name, str(default))
    if not given.isascii() or not given.isdigit():
        raise bad_request(f"{name} must be a number of 0 or more")
    return int(given)


async def _json_object(request: Request) -> dict[str, Any]:
    try:
        said = json.loads(await request.body())
    except ValueError:
        raise bad_request("the body is not valid JSON") from None
    if not isinstance(said, dict):
        raise bad_request("the body must be an object")
    return said
