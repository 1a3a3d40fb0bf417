"""Folders (observed on 0.12.4): the collection has a trailing slash, unknown fields are refused."""

import uuid
from typing import Any

from simulators.open_webui.errors import DetailError, not_found
from simulators.open_webui.routing import Call, Entry
from simulators.open_webui.store import Folder
from simulators.open_webui.validation import query_bool, read_model

FOLDERS = "/api/v1/folders"
_FORM = {"name": "str", "data": "dict?", "meta": "dict?"}


def _mine(call: Call) -> Folder:
    folder = call.store.folders.get(call.path("folder_id"))
    if folder is None or (folder.user_id != call.user.id and not call.user.is_admin):
        raise not_found()
    return folder


def _refuse_twin(call: Call, name: str, parent_id: str | None, *, except_id: str | None = None) -> None:
    """The same name in the same parent, ignoring case."""
    for other in call.store.folders.values():
        same = (other.user_id, other.parent_id, other.name.lower()) == (call.user.id, parent_id, name.lower())
        if same and other.id != except_id:
            raise DetailError(400, "[ERROR: Folder already exists]")


async def list_folders(call: Call) -> Any:
    """Flat. This GET moves orphans to the root."""
    mine = [folder for folder in call.store.folders.values() if folder.user_id == call.user.id]
    for folder in mine:
        if folder.parent_id not in call.store.folders:
            folder.parent_id = None
    return [
        {
            "id": folder.id,
            "name": folder.name,
            "meta": folder.meta,
            "parent_id": folder.parent_id,
            "is_expanded": folder.is_expanded,
            "unread_count": _unread(call, folder),
            "created_at": folder.created_at,
            "updated_at": folder.updated_at,
        }
        for folder in mine
    ]


def _unread(call: Call, folder: Folder) -> int:
    inside = [chat for chat in call.store.chats.values() if chat.folder_id == folder.id and not chat.archived]
    return sum(chat.last_read_at is not None and chat.last_read_at < chat.updated_at for chat in inside)


async def create_folder(call: Call) -> Any:
    """An empty name and an unknown parent are accepted."""
    form = read_model(call.body, _FORM | {"parent_id": "str?"}, forbid_extra=True)
    _refuse_twin(call, form["name"], form["parent_id"])
    now = call.store.now()
    folder = Folder(str(uuid.uuid4()), call.user.id, form["name"], now, now)
    folder.parent_id, folder.meta, folder.data = form["parent_id"], form["meta"], form["data"]
    call.store.folders[folder.id] = folder
    return folder.full()


async def get_folder(call: Call) -> Any:
    return _mine(call).full() | {"access_grants": [], "write_access": True}


async def update_folder(call: Call) -> Any:
    form = read_model(call.body, _FORM | {"name": "str?"}, forbid_extra=True)
    folder = _mine(call)
    if "name" in call.body:
        if form["name"] is None:
            raise DetailError(400, "[ERROR: Error updating folder]")
        _refuse_twin(call, form["name"], folder.parent_id, except_id=folder.id)
        folder.name = form["name"]
    folder.meta = form["meta"] if form["meta"] is not None else folder.meta
    folder.data = {**(folder.data or {}), **form["data"]} if form["data"] is not None else folder.data
    folder.updated_at = call.store.now()
    return folder.full()


async def move_folder(call: Call) -> Any:
    """No `parent_id` means to the root; an unknown one is accepted."""
    form = read_model(call.body, {"parent_id": "str?"})
    folder = _mine(call)
    if form["parent_id"] in call.store.subtree(folder.id):
        raise DetailError(400, "[ERROR: Cannot move a folder into itself or one of its subfolders]")
    _refuse_twin(call, folder.name, form["parent_id"], except_id=folder.id)
    folder.parent_id, folder.updated_at = form["parent_id"], call.store.now()
    return folder.full()


async def expand_folder(call: Call) -> Any:
    form = read_model(call.body, {"is_expanded": "bool"})
    folder = _mine(call)
    folder.is_expanded, folder.updated_at = form["is_expanded"], call.store.now()
    return folder.full()


async def delete_folder(call: Call) -> Any:
    """With everything below it; the chats too, unless `delete_contents=false`, which drops them to the root."""
    with_chats = query_bool(call.request, "delete_contents", True)
    inside = call.store.subtree(_mine(call).id)
    for chat in [chat for chat in call.store.chats.values() if chat.folder_id in inside]:
        if with_chats:
            call.store.remove_chat(chat)
        else:
            chat.folder_id = None
    for folder_id in inside:
        del call.store.folders[folder_id]
    return True


ALL = [
    Entry("GET", f"{FOLDERS}/", list_folders),
    Entry("POST", f"{FOLDERS}/", create_folder, takes_body=True),
    Entry("GET", f"{FOLDERS}/{{folder_id}}", get_folder),
    Entry("DELETE", f"{FOLDERS}/{{folder_id}}", delete_folder),
    Entry("POST", f"{FOLDERS}/{{folder_id}}/update", update_folder, takes_body=True),
    Entry("POST", f"{FOLDERS}/{{folder_id}}/update/parent", move_folder, takes_body=True),
    Entry("POST", f"{FOLDERS}/{{folder_id}}/update/expanded", expand_folder, takes_body=True),
]
