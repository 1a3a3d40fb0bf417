"""ChatLogger's requests: arguments in, descriptions of requests out.

`prefix` is where the API begins: `/v1` or `/api/v1`. Those under `/orgs/` are for an API key, the others for a login.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from domain.errors import NotFound
from domain.source import FirstMessage, NewChat, NewMessage
from upstreams.requests import Request, delete, get, post, segment

_PLAIN = re.compile(r"(?!0[0-9])[A-Za-z0-9]{1,20}")


def version() -> Request:
    """The release; needs no credentials."""
    return get("read_version", "/version")


def login(email: str, password: str) -> Request:
    """A session. Its cookie is in the headers of the answer. Logging in twice harms nothing."""
    return post("login", "/auth/login", {"email": email, "password": password}, idempotent=True)


def read_account(prefix: str) -> Request:
    """Whose login it is."""
    return get("read_account", f"{prefix}/users/me")


def list_chats(prefix: str, *, limit: int, offset: int) -> Request:
    """Chats of the organization, newest creation first."""
    return get("list_chats", f"{prefix}/chats", {"limit": limit, "offset": offset})


def get_chat(prefix: str, chat_id: str) -> Request:
    """One chat."""
    return get("get_chat", _chat(prefix, chat_id))


def update_chat(operation: str, prefix: str, chat_id: str, changes: Mapping[str, Any]) -> Request:
    """Set what `changes` names; the rest stays. Saying it twice changes nothing."""
    return Request(
        operation=operation, method="PATCH", path=_chat(prefix, chat_id), body=dict(changes), idempotent=True
    )


def delete_chat(prefix: str, chat_id: str) -> Request:
    """Delete a chat."""
    return delete("delete_chat", _chat(prefix, chat_id))


def list_messages(prefix: str, chat_id: str) -> Request:
    """All messages of a chat."""
    return get("list_messages", f"{_chat(prefix, chat_id)}/messages")


def create_chat(prefix: str, new: NewChat) -> Request:
    """A chat of the user who is logged in."""
    return post("create_chat_as_user", f"{prefix}/chats", _chat_body(new))


def create_chat_in(prefix: str, slug: str, new: NewChat, *, user_id: str | None) -> Request:
    """A chat of the organization, of a user of it or of nobody."""
    owner = {"user_id": int(user_id)} if user_id is not None else {}
    return post("create_chat", f"{_organization(prefix, slug)}/chats", _chat_body(new) | owner)


def send_message(prefix: str, slug: str, chat_id: str, message: NewMessage | FirstMessage) -> Request:
    """A message of any role. It is stored and not answered."""
    body: dict[str, Any] = {"role": message.role.value.lower(), "content": message.text}
    if message.metadata:
        body["metadata"] = dict(message.metadata)
    return post("send_message", f"{_chat(_organization(prefix, slug), chat_id)}/messages", body)


def try_api_key(prefix: str, slug: str) -> Request:
    """Nothing, to a chat that cannot exist: whether the key is good shows in how this is refused."""
    return post("try_api_key", f"{_chat(_organization(prefix, slug), '0')}/messages", {})


def set_title(title: str) -> dict[str, Any]:
    """The change that renames."""
    return {"title": title}


def set_tags(tags: Sequence[str]) -> dict[str, Any]:
    """The change that sets the tags."""
    return {"tags": list(tags)}


def set_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """The change that replaces the metadata. Null would leave it as it is."""
    return {"metadata": dict(metadata or {})}


def _organization(prefix: str, slug: str) -> str:
    return f"{prefix}/orgs/{segment(slug)}"


def _chat(prefix: str, chat_id: str) -> str:
    """The path of a chat. An id that a router could take for something else (`1/messages`, `007`) is no id and is not sent."""
    if not _PLAIN.fullmatch(chat_id):
        raise NotFound("The id cannot exist at ChatLogger, whose ids are numbers. Use an id that the gateway gave out.")
    return f"{prefix}/chats/{chat_id}"


def _chat_body(new: NewChat) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if new.title is not None:
        body |= set_title(new.title)
    if new.tags is not None:
        body |= set_tags(new.tags)
    if new.metadata is not None:
        body |= set_metadata(new.metadata)
    return body
