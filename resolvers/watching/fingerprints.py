"""Whether a source shows what it showed the last time, at a fraction of what it costs to compare it with the store.

A fingerprint is good for this process only. It covers what the store compares, and times.
"""

from collections.abc import Sequence
from typing import Any

from domain.records import Chat, Message
from domain.source import MessagesRead


def fingerprint_of_messages(read: MessagesRead) -> int:
    """Equal for readings that show the same."""
    shown = tuple(_of_message(message) for message in read.messages)
    chat = _of_chat(read.chat) if read.chat is not None else 0
    return hash((shown, read.is_complete, read.active_leaf, read.has_before, read.has_after, read.skipped, chat))


def fingerprint_of_chats(rows: Sequence[Chat]) -> int:
    """Equal for rows that show the same."""
    return hash(tuple(_of_chat(row) for row in rows))


def _of_message(message: Message) -> int:
    return hash(
        (
            message.native_id,
            message.text,
            message.state,
            message.role,
            message.parent_id,
            message.model,
            message.author,
            message.created_at,
            message.edited_at,
            message.deleted_at,
            message.attachments,
            _hashable(message.parts),
            _hashable(message.metadata),
        )
    )


def _of_chat(chat: Chat) -> int:
    return hash(
        (
            chat.native_id,
            chat.told,
            chat.title,
            chat.owner,
            chat.agent,
            chat.tags,
            chat.pinned,
            chat.archived,
            chat.folder,
            chat.share_url,
            chat.created_at,
            chat.updated_at,
            chat.last_message_at,
            chat.message_count,
            _hashable(chat.metadata),
            _hashable(chat.raw),
        )
    )


def _hashable(value: Any) -> Any:
    """JSON inside a record has no hash; the order of its keys may then make equal values look different, which costs one comparison."""
    return repr(value) if value else None
