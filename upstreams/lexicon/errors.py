"""What Lexicon's refusals mean. The shape of an error is not documented, so every usual place for words is tried."""

from typing import Any

from upstreams.policy import VendorPolicy
from upstreams.truth import Meaning, Truth

_PLACES = ("detail", "error", "message", "msg")


def words_from_json(body: Any) -> str:
    """Lexicon's own explanation of an error, wherever it stands. Of a list of complaints only the words: some quote the input beside them."""
    if isinstance(body, str):
        return body
    if isinstance(body, list):
        return "; ".join(words for item in body[:5] if (words := words_from_json(item)))
    if isinstance(body, dict):
        return ": ".join(words for name in _PLACES if (words := words_from_json(body.get(name))))
    return ""


_SOCKET = frozenset(["open_socket"])
TRUTHS = (
    Truth(
        Meaning.UNAUTHORIZED,
        (401, 403),
        "The socket was refused. Check the credential `api_key` of the source, and that the chat is a user's of its option `user_ids`.",
        operations=_SOCKET,
    ),
    Truth(
        Meaning.CHANGED,
        (404, 404),
        "There is no socket at `/ws/chat`. Check `base_url` and that a proxy before it lets WebSockets through.",
        operations=_SOCKET,
    ),
    Truth(
        Meaning.CHANGED,
        (200, 299),
        "There is no socket at `/ws/chat`. Check `base_url` and that a proxy before it lets WebSockets through.",
        operations=_SOCKET,
    ),
    Truth(Meaning.UNAUTHORIZED, (401, 401), "Check the credential `api_key` of the source."),
    Truth(
        Meaning.CONFLICT,
        (409, 409),
        "Somebody is connected to the chat. Delete it when the conversation has ended.",
        operations=frozenset(["delete_chat"]),
    ),
    Truth(
        Meaning.REJECTED,
        (400, 400),
        "Check `userId`, `title` and `metadata`.",
        operations=frozenset(["create_chat"]),
    ),
)
POLICY = VendorPolicy(truths=TRUTHS, words=words_from_json)
