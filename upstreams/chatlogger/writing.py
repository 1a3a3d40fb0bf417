"""What may be written to a ChatLogger, checked before any call."""

from domain.errors import InvalidArgument
from domain.records import MessageRole
from domain.source import FirstMessage, NewChat, NewMessage
from upstreams.chatlogger.forms import Options
from upstreams.chatlogger.mapping import LARGEST_ID
from upstreams.chatlogger.metadata import CHAT_METADATA, MESSAGE_METADATA, check_metadata

_ROLES = frozenset([MessageRole.USER, MessageRole.ASSISTANT, MessageRole.SYSTEM])


def check_new_chat(new: NewChat, *, has_key: bool) -> None:
    """Raise `InvalidArgument` for what ChatLogger does not keep."""
    if new.agent is not None:
        raise InvalidArgument(
            "Nobody answers at ChatLogger, so a chat has no agent. Leave `agent` out.", path=("agent",)
        )
    if new.options:
        raise InvalidArgument("ChatLogger takes no further options. Leave `options` out.", path=("options",))
    if new.messages and not has_key:
        raise InvalidArgument(
            "Messages are written to ChatLogger with an API key. Give the source the credential `api_key` and the option `slug`, or leave `messages` out.",
            path=("messages",),
        )
    check_metadata(new.metadata, CHAT_METADATA)
    for index, message in enumerate(new.messages):
        check_message(message, ("messages", str(index)))


def check_message(message: NewMessage | FirstMessage, path: tuple[str, ...] = ()) -> None:
    """Raise `InvalidArgument` for what ChatLogger does not keep of a message. `path` leads to the message."""
    if message.role not in _ROLES:
        raise InvalidArgument("ChatLogger keeps messages of USER, ASSISTANT and SYSTEM only.", path=(*path, "role"))
    if not message.text:
        raise InvalidArgument("ChatLogger keeps no message without words. Give some.", path=(*path, "text"))
    if message.attachments:
        raise InvalidArgument("ChatLogger keeps no files. Leave `attachments` out.", path=(*path, "attachments"))
    if isinstance(message, NewMessage) and message.model is not None:
        raise InvalidArgument("Nobody answers at ChatLogger. Leave `model` out.", path=(*path, "model"))
    check_metadata(message.metadata, MESSAGE_METADATA, (*path, "metadata"))


def owner_of_new_chat(options: Options, asked: str | None, *, has_key: bool) -> str | None:
    """Whose chat it will be, None for nobody's. `viewer` was replaced by the subject of whoever asks before."""
    if asked is None:
        return options.user_id if has_key and options.user_id != "viewer" else None
    if not has_key:
        raise InvalidArgument(
            "With a login the chats belong to its own user. Give the source the credential `api_key` and the option `slug`, or leave `userId` out.",
            path=("userId",),
        )
    if not (asked.isascii() and asked.isdecimal() and 0 < int(asked[:21]) <= LARGEST_ID and asked[0] != "0"):
        raise InvalidArgument("A user id of ChatLogger is a whole number, such as `42`.", path=("userId",))
    if options.user_id != "viewer" and asked != options.user_id and asked not in options.user_ids:
        raise InvalidArgument(
            "This source may not create chats for that user. Name one of its option `user_ids`, or leave `userId` out.",
            path=("userId",),
        )
    return asked
