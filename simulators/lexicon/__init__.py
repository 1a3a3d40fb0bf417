"""Lexicon Labs' chats: REST, and the socket that is the only way to send.

Written from its documentation (docs.lexiconlabs.ai, `api-reference/chats/*`: create, introduction, list-user-chats, get-chat,
get-messages, delete-chat, websocket; read 2026-11-20). Operations: `create_chat list_chats get_chat list_messages
delete_chat open_socket send_message` (a frame on the socket); anything else is `unknown`.

The documents' quirks: only a user's chats are listed, and one without any is a 404; metadata goes in at the top and comes
out under `config`; only a single chat has a `status`; a message names no chat; nothing is ever changed; and a chat is not
deleted while a socket to it is open. What the documents leave open is a switch.
"""

from simulators.lexicon.server import Lexicon, create_app
from simulators.lexicon.store import API_KEY, OTHER_TENANT_KEY, SEEDED_USERS, TENANT
from simulators.lexicon.switches import Switches

__all__ = ["API_KEY", "OTHER_TENANT_KEY", "SEEDED_USERS", "TENANT", "Lexicon", "Switches", "create_app"]
