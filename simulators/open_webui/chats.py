"""Listing, opening, creating, changing and deleting chats and their messages (observed on 0.12.4)."""

import json
from typing import Any

from starlette.responses import Response

from simulators.open_webui import tree
from simulators.open_webui.errors import (
    DetailError,
    UnhandledError,
    forbidden,
    not_found,
    not_found_as_401,
    went_wrong,
)
from simulators.open_webui.routing import Access, Call, Entry
from simulators.open_webui.store import Chat, stamp
from simulators.open_webui.validation import query_bool, query_int, read_model

CHATS = "/api/v1/chats"
_FORM = {"chat": "dict", "folder_id": "str?", "variables": "dict?"}


def page_of(call: Call, found: list[Any], page: int | None, size: int) -> list[Any]:
    """1-based; 0 and below is the first page; past the end there is nothing, and no page at all is everything."""
    if page is None:
        return found
    start = (max(page, 1) - 1) * size
    return found[start : start + size]


async def list_chats(call: Call) -> Any:
    """Without `page` everything; pinned ones and those in folders only when asked for; archived ones never."""
    with_pinned = query_bool(call.request, "include_pinned", False)
    with_folders = query_bool(call.request, "include_folders", False)
    page = query_int(call.request, "page")
    found = [
        chat
        for chat in call.store.chats_of(call.user.id)
        if not chat.archived and (with_pinned or not chat.pinned) and (with_folders or chat.folder_id is None)
    ]
    found = _sorted(found, call.request.query_params)
    return [call.store.row(chat) for chat in page_of(call, found, page, call.store.switches.page_size)]


def _sorted(found: list[Chat], query: Any) -> list[Chat]:
    """An unknown `sort_by` is `updated_at`, an unknown `sort_dir` is descending."""
    rising = query.get("sort_dir", "desc").lower() == "asc"
    if query.get("sort_by") == "title":
        return sorted(found, key=lambda chat: chat.title.lower(), reverse=not rising)
    return sorted(found, key=lambda chat: (chat.updated_at if rising else -chat.updated_at, chat.id))


async def create_chat(call: Call) -> Any:
    form = read_model(call.body, _FORM)
    folder_id, body = form["folder_id"], form["chat"]
    if folder_id is not None and call.store.folder_of(call.user, folder_id) is None:
        raise not_found()
    if not isinstance(body.get("title", ""), str) or not stamp(body, call.user):
        raise went_wrong(400)
    return call.store.add_chat(call.user, body, folder_id=folder_id).full()


async def import_chats(call: Call) -> Any:
    """The only way to set times. Nothing is stamped here."""
    form = read_model(call.body, {"chats": "list"})
    spec = _FORM | {
        "meta": "dict?",
        "pinned": "bool?",
        "archived": "bool?",
        "created_at": "int?",
        "updated_at": "int?",
    }
    items = [read_model(one, spec, at=("body", "chats", place)) for place, one in enumerate(form["chats"])]
    return [_imported(call, item).full() for item in items]


def _imported(call: Call, item: dict[str, Any]) -> Chat:
    folder_id = item["folder_id"]
    if folder_id is not None and call.store.folder_of(call.user, folder_id) is None:
        folder_id = None
    stamp(item["chat"], call.user)
    chat = call.store.add_chat(call.user, item["chat"], folder_id=folder_id)
    chat.meta, chat.pinned, chat.archived = item["meta"] or {}, bool(item["pinned"]), bool(item["archived"])
    chat.created_at = item["created_at"] or chat.created_at
    chat.updated_at = item["updated_at"] or chat.updated_at
    known = call.store.tags.setdefault(call.user.id, {})
    for tag in chat.tags:
        known.setdefault(tag, tag)
    return chat


async def get_chat(call: Call) -> Any:
    chat = call.store.readable(call.user, call.path("chat_id"))
    if chat is None:
        raise not_found_as_401()
    return chat.opened(may_write=chat.user_id == call.user.id)


async def update_chat(call: Call) -> Any:
    """The keys of `chat` are merged over the stored ones; `history` is merged by message id."""
    form = read_model(call.body, _FORM)
    chat = call.store.owned(call.user, call.path("chat_id"))
    if chat is None:
        raise forbidden()
    sent = form["chat"]
    if not isinstance(sent.get("title", ""), str) or not stamp(sent, call.user):
        raise UnhandledError
    merged = {**chat.body, **sent}
    if "history" in sent:
        merged["history"] = tree.merge(chat.body.get("history") or {}, sent["history"])
    chat.body, chat.title = merged, merged.get("title", chat.title)
    if "history" in sent:
        chat.current_message_id = merged["history"].get("currentId")
    if "history" in sent or "messages" in sent:
        chat.updated_at = call.store.now()
    return chat.full()


async def delete_chat(call: Call) -> Any:
    """Here, and only here, an unknown chat is a 404. An admin may delete anyone's."""
    chat = call.store.readable(call.user, call.path("chat_id"))
    if chat is None:
        raise not_found()
    call.store.remove_chat(chat)
    return True


async def delete_all_chats(call: Call) -> Any:
    for chat in call.store.chats_of(call.user.id):
        call.store.remove_chat(chat)
    return True


async def edit_message(call: Call) -> Any:
    """An unknown message is created, and becomes the current one. An admin may do this in another's chat."""
    form = read_model(call.body, {"content": "str?", "voice": "any?"})
    chat = call.store.readable(call.user, call.path("chat_id"))
    if chat is None:
        raise forbidden()
    if form["content"] is None:
        raise DetailError(400, "No message changes supplied")
    history = chat.body.setdefault("history", {})
    messages, message_id = history.setdefault("messages", {}), call.path("message_id")
    if message_id in messages:
        messages[message_id]["content"] = form["content"]
    else:
        messages[message_id] = _created_by_edit(messages, message_id, form["content"], call.store.now())
        tree.add_child(messages, messages[message_id]["parentId"], message_id)
        history["currentId"] = message_id
    chat.current_message_id = history.get("currentId")
    chat.updated_at = call.store.now()
    told = {"chat_id": chat.id, "message_id": message_id, "content": form["content"]}
    await call.tell(chat.user_id, chat.id, message_id, "chat:message", told)
    return chat.full()


def _created_by_edit(messages: tree.Messages, message_id: str, content: str, now: int) -> dict[str, Any]:
    parent_id = next((one for one, m in messages.items() if message_id in (m.get("childrenIds") or [])), None)
    return {
        "content": content,
        "id": message_id,
        "parentId": parent_id,
        "childrenIds": [],
        "role": tree.guess_role(messages, parent_id),
        "timestamp": now,
    }


async def delete_message(call: Call) -> Any:
    """An unknown message changes nothing and is no error."""
    chat = call.store.readable(call.user, call.path("chat_id"))
    if chat is None:
        raise forbidden()
    if tree.remove(chat.body.get("history") or {}, call.path("message_id")):
        chat.current_message_id = chat.body["history"]["currentId"]
        chat.updated_at = call.store.now()
    return chat.full()


async def message_event(call: Call) -> Any:
    form = read_model(call.body, {"type": "str", "data": "dict"})
    chat = call.store.owned(call.user, call.path("chat_id"))
    if chat is None:
        raise forbidden()
    message_id = call.path("message_id")
    message = tree.messages_of(chat.body).get(message_id)
    if form["type"] == "status" and message is not None:
        message.setdefault("statusHistory", []).append(form["data"])
    await call.tell(chat.user_id, chat.id, message_id, form["type"], form["data"])
    return True


async def set_params(call: Call) -> Any:
    chat = call.store.owned(call.user, call.path("chat_id"))
    if chat is None:
        raise forbidden()
    params = {**chat.body.get("params", {}), **(call.body or {})}
    chat.body["params"] = params
    return params


async def mark_unread(call: Call) -> Any:
    chat = call.store.owned(call.user, call.path("chat_id"))
    if chat is None:
        raise not_found()
    chat.last_read_at = 0
    counts = {chat.folder_id: 1} if chat.folder_id else {}
    return {"chat_id": chat.id, "last_read_at": 0, "folder_id": chat.folder_id, "folder_unread_counts": counts}


async def mark_all_read(call: Call) -> Any:
    mine = [chat for chat in call.store.chats_of(call.user.id) if not chat.archived]
    for chat in mine:
        chat.last_read_at = chat.updated_at
    return {"updated_count": len(mine), "folder_unread_counts": {}}


async def export_chats(call: Call) -> Any:
    """One JSON object on each line."""
    lines = [json.dumps(chat.full(), ensure_ascii=False) + "\n" for chat in call.store.chats_of(call.user.id)]
    return Response("".join(lines), media_type="application/x-ndjson")


async def export_archived(call: Call) -> Any:
    return [chat.full() for chat in call.store.chats_of(call.user.id) if chat.archived]


async def export_all_users(call: Call) -> Any:
    return [chat.full() for chat in call.store.chats.values()]


async def list_chats_of_user(call: Call) -> Any:
    """For admins."""
    return [call.store.row(chat) for chat in call.store.chats_of(call.path("user_id")) if not chat.archived]


FIRST = [
    Entry("GET", f"{CHATS}/", list_chats),
    Entry("GET", f"{CHATS}/list", list_chats),
    Entry("DELETE", f"{CHATS}/", delete_all_chats),
    Entry("POST", f"{CHATS}/new", create_chat, takes_body=True),
    Entry("POST", f"{CHATS}/import", import_chats, takes_body=True),
    Entry("POST", f"{CHATS}/read", mark_all_read),
    Entry("GET", f"{CHATS}/all", export_chats),
    Entry("GET", f"{CHATS}/all/archived", export_archived),
    Entry("GET", f"{CHATS}/all/db", export_all_users, access=Access.ADMIN),
    Entry("GET", f"{CHATS}/list/user/{{user_id}}", list_chats_of_user, access=Access.ADMIN),
]
"""Before the routes with a chat's id in the path."""

LAST = [
    Entry("GET", f"{CHATS}/{{chat_id}}", get_chat),
    Entry("POST", f"{CHATS}/{{chat_id}}", update_chat, takes_body=True),
    Entry("DELETE", f"{CHATS}/{{chat_id}}", delete_chat),
    Entry("PATCH", f"{CHATS}/{{chat_id}}/params", set_params, takes_body=True),
    Entry("POST", f"{CHATS}/{{chat_id}}/unread", mark_unread),
    Entry("POST", f"{CHATS}/{{chat_id}}/messages/{{message_id}}", edit_message, takes_body=True),
    Entry("DELETE", f"{CHATS}/{{chat_id}}/messages/{{message_id}}", delete_message),
    Entry("POST", f"{CHATS}/{{chat_id}}/messages/{{message_id}}/event", message_event, takes_body=True),
]
