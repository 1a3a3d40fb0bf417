"""Pins, archive, folders of chats, and tags (observed on 0.12.4). Pin and archive are toggles without a body."""

from typing import Any

from simulators.open_webui.chats import CHATS, page_of
from simulators.open_webui.errors import DetailError, UnhandledError, not_found, not_found_as_401, went_wrong
from simulators.open_webui.routing import Call, Entry
from simulators.open_webui.store import Chat
from simulators.open_webui.validation import query_int, read_model


def _mine(call: Call) -> Chat:
    chat = call.store.owned(call.user, call.path("chat_id"))
    if chat is None:
        raise went_wrong()
    return chat


async def pin_chat(call: Call) -> Any:
    chat = _mine(call)
    chat.pinned = not chat.pinned
    chat.updated_at = chat.last_read_at = call.store.now()
    return chat.full()


async def archive_chat(call: Call) -> Any:
    """Either way it leaves its folder."""
    chat = _mine(call)
    chat.archived, chat.folder_id = not chat.archived, None
    chat.updated_at = chat.last_read_at = call.store.now()
    return chat.full()


async def move_chat(call: Call) -> Any:
    """Unpins, and unarchives when it goes into a folder. No `folder_id` means out of every folder."""
    form = read_model(call.body, {"folder_id": "str?"})
    chat, folder_id = _mine(call), form["folder_id"]
    if folder_id is not None and call.store.folder_of(call.user, folder_id) is None:
        raise not_found()
    chat.folder_id, chat.pinned = folder_id, False
    chat.archived = chat.archived and folder_id is None
    chat.updated_at = chat.last_read_at = call.store.now()
    return chat.full()


async def get_pinned(call: Call) -> Any:
    return _mine(call).pinned


async def list_pinned(call: Call) -> Any:
    found = [chat for chat in call.store.chats_of(call.user.id) if chat.pinned and not chat.archived]
    return [call.store.row(chat) for chat in found]


async def list_archived(call: Call) -> Any:
    """Rows say `archived: false` here too, and `last_read_at` is null."""
    page, query = query_int(call.request, "page"), call.request.query_params
    order, direction = query.get("order_by"), query.get("direction")
    found = [chat for chat in call.store.chats_of(call.user.id) if chat.archived]
    if query.get("query"):
        found = [chat for chat in found if query["query"].lower() in chat.title.lower()]
    if order and direction:
        if order not in ("title", "updated_at", "created_at", "id") or direction.lower() not in ("asc", "desc"):
            raise UnhandledError
        found.sort(key=lambda chat: getattr(chat, order), reverse=direction.lower() == "desc")
    rows = page_of(call, found, page or 1, call.store.switches.page_size)
    return [call.store.row(chat) | {"last_read_at": None} for chat in rows]


async def count_archived(call: Call) -> Any:
    return sum(chat.archived for chat in call.store.chats_of(call.user.id))


async def list_folder_chats(call: Call) -> Any:
    """Full chats, of the folder and everything below it, unpaged; an unknown folder is empty."""
    inside = call.store.subtree(call.path("folder_id"))
    return [chat.full() for chat in call.store.chats_of(call.user.id) if chat.folder_id in inside and not chat.archived]


async def page_folder_chats(call: Call) -> Any:
    """Rows, of that folder only, 10 a page; a pinned chat is missing."""
    found = [
        chat
        for chat in call.store.chats_of(call.user.id)
        if chat.folder_id == call.path("folder_id") and not chat.pinned and not chat.archived
    ]
    size = call.store.switches.folder_page_size
    return [call.store.row(chat) for chat in page_of(call, found, query_int(call.request, "page") or 1, size)]


def _tag_id(name: str) -> str:
    return name.replace(" ", "_").lower()


async def list_chat_tags(call: Call) -> Any:
    chat = call.store.readable(call.user, call.path("chat_id"))
    if chat is None:
        raise not_found_as_401()
    return call.store.tag_rows(chat.user_id, sorted(chat.tags))


async def add_tag(call: Call) -> Any:
    form = read_model(call.body, {"name": "str"})
    chat, tag = _mine(call), _tag_id(form["name"])
    if tag == "none":
        raise DetailError(400, "[ERROR: Tag name cannot be 'None']")
    call.store.tags.setdefault(call.user.id, {}).setdefault(tag, form["name"])
    if tag not in chat.tags:
        chat.meta["tags"] = list({*chat.tags, tag})  # a set there too: the order means nothing
    return call.store.tag_rows(call.user.id, sorted(chat.tags))


async def remove_tag(call: Call) -> Any:
    """DELETE with a JSON body. An absent tag is no error; a tag that no chat has any more is gone."""
    form = read_model(call.body, {"name": "str"})
    chat = call.store.owned(call.user, call.path("chat_id"))
    if chat is None:
        raise not_found_as_401()
    tag = _tag_id(form["name"])
    if tag in chat.tags:
        chat.meta["tags"] = [one for one in chat.tags if one != tag]
        call.store.forget_unused_tags(call.user.id, [tag])
    return call.store.tag_rows(call.user.id, sorted(chat.tags))


async def list_all_tags(call: Call) -> Any:
    return call.store.tag_rows(call.user.id, list(call.store.tags.get(call.user.id, {})))


async def list_chats_by_tag(call: Call) -> Any:
    """Deletes the tag when the list is empty, even past the end."""
    form = read_model(call.body, {"name": "str", "skip": "int?", "limit": "int?"})
    tag = _tag_id(form["name"])
    skip, limit = form["skip"] or 0, 50 if form["limit"] is None else form["limit"]
    found = [chat for chat in call.store.chats_of(call.user.id) if tag in chat.tags and not chat.archived]
    rows = [call.store.row(chat) for chat in found[skip : skip + limit]]
    if not rows:
        call.store.tags.get(call.user.id, {}).pop(tag, None)
    return rows


FIRST = [
    Entry("GET", f"{CHATS}/pinned", list_pinned),
    Entry("GET", f"{CHATS}/archived", list_archived),
    Entry("GET", f"{CHATS}/archived/count", count_archived),
    Entry("GET", f"{CHATS}/all/tags", list_all_tags),
    Entry("POST", f"{CHATS}/tags", list_chats_by_tag, takes_body=True),
    Entry("GET", f"{CHATS}/folder/{{folder_id}}", list_folder_chats),
    Entry("GET", f"{CHATS}/folder/{{folder_id}}/list", page_folder_chats),
]

LAST = [
    Entry("GET", f"{CHATS}/{{chat_id}}/pinned", get_pinned),
    Entry("POST", f"{CHATS}/{{chat_id}}/pin", pin_chat),
    Entry("POST", f"{CHATS}/{{chat_id}}/archive", archive_chat),
    Entry("POST", f"{CHATS}/{{chat_id}}/folder", move_chat, takes_body=True),
    Entry("GET", f"{CHATS}/{{chat_id}}/tags", list_chat_tags),
    Entry("POST", f"{CHATS}/{{chat_id}}/tags", add_tag, takes_body=True),
    Entry("DELETE", f"{CHATS}/{{chat_id}}/tags", remove_tag, takes_body=True),
]
