"""What ChatLogger's refusals mean. It has no codes: operation and status decide, and in two places the words."""

from typing import Any

from upstreams.policy import VendorPolicy
from upstreams.truth import Meaning, Truth

_SLUG = "Check the option `slug` of the source, and that its `api_key` was made for that organization."
_LOGIN = frozenset(["login"])
_WITH_KEY = frozenset(["create_chat", "send_message", "try_api_key"])
_CREATING = frozenset(["create_chat", "create_chat_as_user"])
_OF_ONE_CHAT = frozenset(["get_chat", "list_messages", "delete_chat"])
_NO_CHATS = frozenset(["login", "read_version", "read_account", "list_chats"])

TRUTHS = (
    # The router's own 404: the path is wrong, and no chat was looked for.
    Truth(
        Meaning.CHANGED,
        (404, 404),
        "Check `base_url` and the option `path_prefix` of the source: `/api/v1` up to ChatLogger 0.4.9, `/v1` from 0.5.0 on.",
        without_json=True,
    ),
    Truth(Meaning.UNAUTHORIZED, (400, 401), "Check the credential `password` of the source, and its `email`.", _LOGIN),
    Truth(
        Meaning.UNAUTHORIZED,
        (404, 404),
        "The user of the login is gone. Check the credential `email` of the source.",
        frozenset(["read_account"]),
    ),
    Truth(Meaning.CHANGED, (404, 404), "Check `base_url` and the option `path_prefix` of the source.", _NO_CHATS),
    Truth(Meaning.UNAUTHORIZED, (401, 401), "Check the credential `api_key` of the source.", _WITH_KEY),
    Truth(Meaning.UNAUTHORIZED, (403, 403), _SLUG, _WITH_KEY),
    Truth(Meaning.UNAUTHORIZED, (404, 404), _SLUG, _WITH_KEY, pattern=r"organi[sz]ation"),
    Truth(Meaning.UNAUTHORIZED, (404, 404), _SLUG, frozenset(["create_chat"])),
    Truth(
        Meaning.UNAUTHORIZED,
        (401, 401),
        "A fresh login was refused too. Check the credential `email` of the source and `password`, and the clock of the server.",
    ),
    Truth(
        Meaning.UNAUTHORIZED, (403, 403), "It belongs to another organization of this server. Use a login of that one."
    ),
    Truth(Meaning.NOT_FOUND, (400, 400), "Use an id that the gateway gave out.", pattern=r"invalid chat id"),
    Truth(Meaning.NOT_FOUND, (400, 400), "Use an id that the gateway gave out.", _OF_ONE_CHAT),
    Truth(Meaning.REJECTED, (400, 400), "Check `title`, `tags`, `metadata` and `userId`.", _CREATING),
    Truth(
        Meaning.UNAVAILABLE,
        (500, 500),
        "Try again later. ChatLogger also answers so when there is no user with the id in `userId`.",
        frozenset(["create_chat"]),
    ),
)


def words_from_json(body: Any) -> str:
    """ChatLogger's own explanation of an error."""
    words = body.get("error") if isinstance(body, dict) else None
    return words if isinstance(words, str) else ""


POLICY = VendorPolicy(truths=TRUTHS, words=words_from_json)
