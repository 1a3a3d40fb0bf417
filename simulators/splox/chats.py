"""Chats (vendor notes 1.4, calls 1 to 4) and their history (5 and 6). There is no call to rename, share or search."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import JSONResponse, Response

from simulators.splox.errors import bad_request
from simulators.splox.records import Message
from simulators.splox.routing import Call, Entry, optional_object, required_text
from simulators.splox.shapes import chat_body, message_body

_TYPES = ("api", "workflow", "agent", "gui")
_RFC_3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def create_chat(call: Call) -> Any:
    """Only `api` may be said; the answer may name another type."""
    said = await call.body()
    name, kind, resource_id = (required_text(said, field) for field in ("name", "resource_type", "resource_id"))
    if kind != "api":
        raise bad_request("resource_type must be api")
    chat = call.store.add_chat(call.account, name, kind, resource_id, optional_object(said, "metadata"))
    return JSONResponse(chat_body(call.store, chat), status_code=201)


async def get_chat(call: Call) -> Any:
    return chat_body(call.store, call.store.chat(call.account, call.path("chat_id")))


async def list_chats(call: Call) -> Any:
    """Not paged. A resource that nobody knows has no chats."""
    kind = call.path("resource_type")
    if kind not in _TYPES:
        raise bad_request(f"resource type must be one of {', '.join(_TYPES)}")
    found = call.store.chats_of(call.account, kind, call.path("resource_id"))
    return {"chats": [chat_body(call.store, chat) for chat in found]}


async def delete_chat(call: Call) -> Any:
    """The messages stay and can still be read by the chat's id: who wants them gone deletes the history first."""
    chat = call.store.chat(call.account, call.path("chat_id"))
    del call.store.chats[chat.id]
    return Response(status_code=204)


async def list_messages(call: Call) -> Any:
    """Newest first; `before` is the `created_at` of the oldest message of the page before."""
    limit = call.limit(50, 200)
    before = call.request.query_params.get("before")
    until = None if before is None else _nanoseconds(before)
    messages = call.store.thread(call.account, call.path("chat_id")).messages
    inclusive = call.store.switches.before == "inclusive"
    found = [one for one in messages if until is None or _is_before(one, until, inclusive)]
    newest = sorted(found, key=lambda one: one.created_us)[::-1]
    rows = [message_body(call.store, one) for one in newest[:limit]]
    if call.store.switches.history_shape == "array":
        return rows
    return {"messages": rows, "has_more": len(found) > limit}


async def delete_history(call: Call) -> Any:
    thread = call.store.thread(call.account, call.path("chat_id"))
    thread.messages.clear()
    return {"message": "Chat history deleted"}


def _is_before(message: Message, until_ns: int, inclusive: bool) -> bool:
    at = message.created_us * 1000
    return at < until_ns or (inclusive and at == until_ns)


def _nanoseconds(text: str) -> int:
    """RFC 3339 to nanoseconds since 1970: a time between two microseconds is not rounded to one of them."""
    found = _RFC_3339.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        whole = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00"))
    except ValueError:
        raise bad_request("before must be an RFC 3339 time") from None
    return (whole - _EPOCH) // timedelta(seconds=1) * 1_000_000_000 + int((found[2] or "0").ljust(9, "0")[:9])


ALL: list[Entry] = [
    ("POST", "/chats", create_chat),
    ("GET", "/chats/{chat_id}", get_chat),
    ("DELETE", "/chats/{chat_id}", delete_chat),
    ("GET", "/chats/{resource_type}/{resource_id}", list_chats),
    ("GET", "/chat-history/{chat_id}/paginated", list_messages),
    ("DELETE", "/chat-history/{chat_id}", delete_history),
]
