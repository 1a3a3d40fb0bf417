"""ChatLogger API (Go, self-hosted): a store for logging chats that never answers.

Written from its published specification (chatlogger-api-docs.kjanat.com, operation page "Create Chat") and what its source
up to v0.5.0 does (`kjanat/chatlogger-api-go`; both read 2026-11-20). Operations: `log_in log_out get_me list_keys create_key
delete_key create_chat create_chat_with_key create_message list_chats get_chat update_chat delete_chat list_messages version
health`; anything else is `unknown`. Left out, and answered as unknown paths: registering, changing a user or a password,
analytics and exports.

The quirks: an organization's API key only writes, and a login's cookie does all else but cannot write messages; the
`Authorization` header is not looked at; in lists tags and metadata are JSON inside a string; ids are 64-bit numbers, and
what is none is a 400; somebody else's chat is a 403; nothing tells how many chats there are. What the sources leave open
is a switch.
"""

from simulators.chatlogger.accounts import (
    ADMIN_EMAIL,
    API_KEY,
    OTHER_API_KEY,
    OTHER_EMAIL,
    OTHER_SLUG,
    PASSWORD,
    SLUG,
    USER_EMAIL,
)
from simulators.chatlogger.server import ChatLogger, create_app
from simulators.chatlogger.switches import Switches

__all__ = [
    "ADMIN_EMAIL",
    "API_KEY",
    "OTHER_API_KEY",
    "OTHER_EMAIL",
    "OTHER_SLUG",
    "PASSWORD",
    "SLUG",
    "USER_EMAIL",
    "ChatLogger",
    "Switches",
    "create_app",
]
