"""Sharing, cloning and forking a chat (observed on 0.12.4). Copies keep their message ids."""

import copy
import uuid
from typing import Any

from simulators.open_webui import tree
from simulators.open_webui.accounts import User
from simulators.open_webui.chats import CHATS
from simulators.open_webui.errors import (
    DetailError,
    UnhandledError,
    forbidden,
    not_found,
    not_found_as_401,
    went_wrong,
)
from simulators.open_webui.routing import Access, Call, Entry
from simulators.open_webui.store import Chat, Share
from simulators.open_webui.validation import query_int, read_model


def _shareable(call: Call) -> Chat:
    chat = call.store.owned(call.user, call.path("chat_id"))
    if chat is None:
        raise forbidden()
    return chat


async def share_chat(call: Call) -> Any:
    """A snapshot; again takes a new one under the same id."""
    chat = _shareable(call)
    chat.share_id = chat.share_id or str(uuid.uuid4())
    snapshot = chat.full() | {"id": chat.share_id, "meta": {}, "current_message_id": None}
    call.store.shares[chat.share_id] = Share(chat.share_id, chat.id, snapshot, call.store.now())
    return chat.full()


async def unshare_chat(call: Call) -> Any:
    chat = _shareable(call)
    if chat.share_id is not None:
        call.store.shares.pop(chat.share_id, None)
        chat.share_id = None
    return True


async def get_shared_chat(call: Call) -> Any:
    """Its id is the share id. Its owner and admins see it; for others a grant is needed, which is left out here."""
    share = call.store.shares.get(call.path("share_id"))
    if share is None or not _may_see(call.user, share):
        raise not_found_as_401()
    shown = copy.deepcopy(share.snapshot)
    shown["chat"]["share_mode"] = None
    return shown


def _may_see(user: User, share: Share) -> bool:
    return user.is_admin or share.snapshot["user_id"] == user.id


async def get_share_access(call: Call) -> Any:
    if call.store.owned(call.user, call.path("chat_id")) is None:
        raise not_found()
    return []


async def list_shared(call: Call) -> Any:
    shared = [chat for chat in call.store.chats_of(call.user.id) if chat.share_id is not None]
    page = max(query_int(call.request, "page") or 1, 1) - 1
    size = call.store.switches.page_size
    return [
        {
            "id": chat.id,
            "chat_id": chat.id,
            "title": chat.title,
            "share_id": chat.share_id,
            "updated_at": chat.updated_at,
            "created_at": call.store.shares[chat.share_id or ""].created_at,
        }
        for chat in shared[page * size : (page + 1) * size]
    ]


async def clone_chat(call: Call) -> Any:
    """A body is required. A chat without a history is an unhandled exception there."""
    form = read_model(call.body, {"title": "str?"})
    chat = call.store.owned(call.user, call.path("chat_id"))
    if chat is None:
        raise went_wrong()
    history = chat.body.get("history")
    if not isinstance(history, dict) or "currentId" not in history:
        raise UnhandledError
    more = {
        "originalChatId": chat.id,
        "branchPointMessageId": history["currentId"],
        "title": form["title"] or f"Clone of {chat.title}",
    }
    made = call.store.add_chat(call.user, {**copy.deepcopy(chat.body), **more})
    made.meta, made.pinned, made.folder_id = copy.deepcopy(chat.meta), chat.pinned, chat.folder_id
    made.archived = chat.archived
    return made.full()


async def fork_chat(call: Call) -> Any:
    """Only the path to one message (the current one by default); refused while a reply is running."""
    form = read_model(call.body if call.body is not None else {}, {"message_id": "str?"})
    chat = call.store.owned(call.user, call.path("chat_id"))
    if chat is None:
        raise not_found_as_401()
    if call.store.running.get(chat.id):
        raise DetailError(409, "Wait for the current response to finish before forking.")
    messages = tree.messages_of(chat.body)
    if not messages:
        raise DetailError(400, "chat has no messages to fork")
    point = form["message_id"] or chat.current_message_id
    if point not in messages:
        raise DetailError(404, "message not found")
    made = call.store.add_chat(call.user, _forked_body(chat, messages, point))
    made.pinned, made.folder_id = chat.pinned, chat.folder_id
    made.meta = {**copy.deepcopy(chat.meta), "forked_from": chat.id, "forked_from_message_id": point}
    return made.full()


def _forked_body(chat: Chat, messages: tree.Messages, point: str) -> dict[str, Any]:
    path = copy.deepcopy(tree.path_to(messages, point))
    for message, child in zip(path, [*path[1:], None], strict=True):
        message["childrenIds"] = [child["id"]] if child is not None else []
        message.setdefault("done", True)
    return {
        **copy.deepcopy(chat.body),
        "title": f"{chat.title} (fork)",
        "history": {"messages": {message["id"]: message for message in path}, "currentId": point},
        "originalChatId": chat.id,
        "branchPointMessageId": point,
        "messages": copy.deepcopy(path),
    }


FIRST = [
    Entry("GET", f"{CHATS}/shared", list_shared),
    Entry("GET", f"{CHATS}/share/{{share_id}}", get_shared_chat, access=Access.SHARED),
    Entry("GET", f"{CHATS}/shared/{{chat_id}}/access", get_share_access),
]

LAST = [
    Entry("POST", f"{CHATS}/{{chat_id}}/share", share_chat),
    Entry("DELETE", f"{CHATS}/{{chat_id}}/share", unshare_chat),
    Entry("POST", f"{CHATS}/{{chat_id}}/clone", clone_chat, takes_body=True),
    Entry("POST", f"{CHATS}/{{chat_id}}/fork", fork_chat, takes_body=True),
]
