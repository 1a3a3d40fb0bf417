"""What Open WebUI's refusals mean. It has no codes: status, operation and words decide (observed on 0.12.4)."""

from typing import Any

from upstreams.policy import VendorPolicy
from upstreams.truth import Meaning, Truth

_CREDENTIALS = "Check the credential `api_key` or `jwt` of the source."
_GONE = "Read the list again; it may have been deleted, or belong to somebody else."
_WRITES_TO_CHATS = frozenset(
    [
        "update_chat",
        "rename_chat",
        "set_metadata",
        "append_message",
        "pin_chat",
        "archive_chat",
        "move_chat",
        "tag_chat",
        "untag_chat",
        "share_chat",
        "unshare_chat",
        "edit_message",
        "delete_message",
    ]
)
_IN_FOLDERS = frozenset(["create_folder", "update_folder", "move_folder"])
_FOLDER = ("folderId",)

_NO_SOCKET = "Check that the server has its WebSocket support on (`ENABLE_WEBSOCKET_SUPPORT`), and that a proxy in front of it passes `/ws/socket.io` on."
_SOCKET = frozenset(["open_socket"])

TRUTHS = (
    Truth(Meaning.CHANGED, (100, 400), _NO_SOCKET, _SOCKET),
    Truth(Meaning.CHANGED, (404, 428), _NO_SOCKET, _SOCKET),
    # 401 is what it says only sometimes.
    Truth(Meaning.NOT_FOUND, (401, 401), _GONE, pattern=r"could not find"),
    Truth(Meaning.NOT_FOUND, (401, 401), _GONE, _WRITES_TO_CHATS, pattern=r"permission|something went wrong"),
    Truth(
        Meaning.UNAUTHORIZED,
        (401, 401),
        "The account of the source may not do this; it may still be `pending`. Let an administrator allow it.",
        pattern=r"permission",
    ),
    Truth(Meaning.UNAUTHORIZED, (401, 401), _CREDENTIALS),
    Truth(
        Meaning.UNAUTHORIZED,
        (403, 403),
        "Let an administrator allow API keys (`ENABLE_API_KEYS`, permission `features.api_keys`), or give a `jwt`.",
        pattern=r"api key|human session",
    ),
    Truth(Meaning.UNAUTHORIZED, (403, 403), "Let an administrator allow it to the account of the source."),
    Truth(
        Meaning.NOT_FOUND,
        (404, 404),
        "Read the folders again; it may have been deleted.",
        frozenset(["move_chat", "create_chat"]),
        argument=_FOLDER,
    ),
    Truth(Meaning.NOT_FOUND, (404, 404), _GONE),
    Truth(
        Meaning.INVALID,
        (400, 400),
        "Name one of the source's `agents`.",
        frozenset(["send_message"]),
        pattern=r"model not found",
        argument=("model",),
    ),
    Truth(
        Meaning.CONFLICT,
        (400, 400),
        "Choose another name.",
        _IN_FOLDERS,
        pattern=r"already exists",
        argument=("name",),
    ),
    Truth(
        Meaning.CONFLICT,
        (409, 409),
        "Read the messages again; it may have been sent already.",
        frozenset(["send_message"]),
    ),
    Truth(Meaning.CHANGED, (405, 405), "Check `base_url` and the option `path_prefix` of the source."),
    Truth(
        Meaning.UNAVAILABLE,
        (500, 599),
        "The model's provider failed. Try again, or name another model.",
        frozenset(["send_message"]),
    ),
)


def words_from_json(body: Any) -> str:
    """`detail`, or of a 422 what is wrong with which field (never the input that it quotes), or a model provider's message."""
    if not isinstance(body, dict):
        return ""
    detail = body.get("detail")
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list):
        return "; ".join(_complaint(entry) for entry in detail[:3] if isinstance(entry, dict))
    provider = body.get("error")
    if isinstance(provider, dict) and isinstance(provider.get("message"), str):
        return str(provider["message"])
    return ""


def _complaint(entry: dict[str, Any]) -> str:
    place = entry.get("loc")
    where = ".".join(str(part) for part in place) if isinstance(place, list) else ""
    return f"{where} {entry.get('msg', '')}".strip()


POLICY = VendorPolicy(truths=TRUTHS, words=words_from_json)
