"""Open WebUI's requests: arguments in, descriptions of requests out. `prefix` is the option `path_prefix`."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.errors import NotFound
from upstreams.requests import Request, delete, get, post, segment

# The completion route answers at once in background mode, but a busy server may think longer about it than about a reading.
_COMPLETION_SECONDS = 60.0


def version() -> Request:
    """Which release this is; needs no credentials."""
    return get("read_version", "/api/version")


def open_socket() -> Request:
    """The server's Socket.IO, which takes no other transport."""
    return get("open_socket", "/ws/socket.io/", {"EIO": 4, "transport": "websocket"})


def session(prefix: str) -> Request:
    """Who is signed in; for session tokens only, API keys are refused."""
    return get("read_session", f"{prefix}/auths/")


def list_chats(prefix: str, page: int) -> Request:
    """One page of 60 rows, `page` from 1, newest change first; without archived ones."""
    query = {"page": page, "include_pinned": True, "include_folders": True}
    return get("list_chats", f"{prefix}/chats/", query)


def list_archived(prefix: str, page: int) -> Request:
    """One page of 60 rows of archived chats."""
    return get("list_archived_chats", f"{prefix}/chats/archived", {"page": page})


def all_chats(prefix: str) -> Request:
    """Every chat in full, archived ones too, one JSON object a line."""
    return get("read_all_chats", f"{prefix}/chats/all")


def get_chat(prefix: str, chat_id: str) -> Request:
    """One chat in full, with the tree of its messages."""
    return get("get_chat", _chat(prefix, chat_id))


def create_chat(prefix: str, chat: Mapping[str, Any], folder_id: str | None) -> Request:
    """A new chat; the server chooses its id."""
    return post("create_chat", f"{prefix}/chats/new", {"chat": chat, "folder_id": folder_id})


def update_chat(prefix: str, chat_id: str, chat: Mapping[str, Any], *, operation: str = "update_chat") -> Request:
    """Merge keys into the chat's object; `history` is merged by message id. The same twice is the same as once."""
    return post(operation, _chat(prefix, chat_id), {"chat": chat}, idempotent=True)


def delete_chat(prefix: str, chat_id: str) -> Request:
    """Delete a chat."""
    return delete("delete_chat", _chat(prefix, chat_id))


def toggle_pin(prefix: str, chat_id: str) -> Request:
    """Pin an unpinned chat, unpin a pinned one."""
    return post("pin_chat", f"{_chat(prefix, chat_id)}/pin")


def toggle_archive(prefix: str, chat_id: str) -> Request:
    """Archive or bring back; clears the folder."""
    return post("archive_chat", f"{_chat(prefix, chat_id)}/archive")


def move_chat(prefix: str, chat_id: str, folder_id: str | None) -> Request:
    """Into a folder, or into none."""
    return post("move_chat", f"{_chat(prefix, chat_id)}/folder", {"folder_id": folder_id}, idempotent=True)


def add_tag(prefix: str, chat_id: str, name: str) -> Request:
    """Add one tag."""
    return post("tag_chat", f"{_chat(prefix, chat_id)}/tags", {"name": name}, idempotent=True)


def remove_tag(prefix: str, chat_id: str, name: str) -> Request:
    """Remove one tag; the name goes into the body of a DELETE."""
    return delete("untag_chat", f"{_chat(prefix, chat_id)}/tags", {"name": name})


def share_chat(prefix: str, chat_id: str) -> Request:
    """Make, or renew, the public snapshot."""
    return post("share_chat", f"{_chat(prefix, chat_id)}/share", {}, idempotent=True)


def unshare_chat(prefix: str, chat_id: str) -> Request:
    """Remove the public snapshot."""
    return delete("unshare_chat", f"{_chat(prefix, chat_id)}/share")


def edit_message(prefix: str, chat_id: str, message_id: str, text: str) -> Request:
    """Replace a message's words. An id that does not exist would be created."""
    path = f"{_chat(prefix, chat_id)}/messages/{_id(message_id)}"
    return post("edit_message", path, {"content": text}, idempotent=True)


def delete_message(prefix: str, chat_id: str, message_id: str) -> Request:
    """Delete a message and its direct children."""
    return delete("delete_message", f"{_chat(prefix, chat_id)}/messages/{_id(message_id)}")


def search(prefix: str, text: str, page: int) -> Request:
    """One page of 60 rows with snippets."""
    return get("search", f"{prefix}/chats/search", {"text": text, "page": page})


def complete(body: Mapping[str, Any]) -> Request:
    """Let a model answer, in the background."""
    return post("send_message", "/api/chat/completions", body, timeout_seconds=_COMPLETION_SECONDS)


def list_tasks(chat_id: str) -> Request:
    """The ids of the replies under way in a chat."""
    return get("list_tasks", f"/api/tasks/chat/{_id(chat_id)}")


def stop_tasks(chat_id: str) -> Request:
    """Stop every reply under way in a chat; for its owner."""
    return post("stop_reply", f"/api/tasks/chat/{_id(chat_id)}/stop", idempotent=True)


def stop_task(task_id: str) -> Request:
    """Stop one task; for administrators, or anybody on older releases."""
    return post("stop_task", f"/api/tasks/stop/{_id(task_id)}", idempotent=True)


def list_models(prefix: str) -> Request:
    """The models that can answer."""
    return get("list_models", f"{prefix}/models")


def list_folders(prefix: str) -> Request:
    """All folders, flat."""
    return get("list_folders", f"{prefix}/folders/")


def create_folder(prefix: str, name: str, parent_id: str | None) -> Request:
    """A new folder. Fields that it does not know are refused, so a missing parent is left out."""
    body = {"name": name} if parent_id is None else {"name": name, "parent_id": parent_id}
    return post("create_folder", f"{prefix}/folders/", body)


def rename_folder(prefix: str, folder_id: str, name: str) -> Request:
    """Another name."""
    return post("update_folder", f"{prefix}/folders/{_id(folder_id)}/update", {"name": name}, idempotent=True)


def move_folder(prefix: str, folder_id: str, parent_id: str | None) -> Request:
    """Under another folder, or to the top."""
    path = f"{prefix}/folders/{_id(folder_id)}/update/parent"
    return post("move_folder", path, {"parent_id": parent_id}, idempotent=True)


def delete_folder(prefix: str, folder_id: str, *, deletes_chats: bool) -> Request:
    """Delete with subfolders; the query says what becomes of the chats."""
    path = f"{prefix}/folders/{_id(folder_id)}"
    return Request(
        operation="delete_folder", method="DELETE", path=path, query={"delete_contents": deletes_chats}, idempotent=True
    )


def completion_body(
    *,
    chat_id: str,
    model: str,
    reply_id: str,
    user_message: Mapping[str, Any],
    parent_id: str | None,
    session_id: str,
    prompt: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """What the completion route takes in background mode. `parent_id` is the parent of the user's message.

    The server builds the prompt from the stored branch; `prompt` is there for releases that do not.
    """
    return {
        "model": model,
        "stream": True,
        "chat_id": chat_id,
        "id": reply_id,
        "parent_id": parent_id,
        "user_message": user_message,
        "session_id": session_id,
        "messages": list(prompt),
    }


def _chat(prefix: str, chat_id: str) -> str:
    return f"{prefix}/chats/{_id(chat_id)}"


def _id(native_id: str) -> str:
    """An id as a path segment. Open WebUI's router reads `%2F` as `/`, so an id with one could reach another route: there is none such."""
    if "/" in native_id:
        raise NotFound("The id cannot exist at Open WebUI. Use an id that the gateway gave out.")
    return segment(native_id)
