"""Kodey.ai: agents that answer in chats of one team.

API: the current pages of `developer.kodey.ai/docs/getting-started/kodey-api/` (`chat-api`, `authentication`, `errors`), read 2026-11-20; no version
is named there. An older page (`api-docs`: `prompt`, `connectionId`, `PUT /chat`) contradicts them and is not followed.

Quirks, each with its source:

- No list is paged, and the order of messages is not told (chat-api). Messages are put into order here.
- A chat is told in halves (chat-api): the list knows `userId` and not `teamId`, the single chat the other way round. There is no title,
  no time of change, no status, and `metadata` goes in and never comes out.
- Sending a message is synchronous: the answer *is* the agent's reply, and the id of the user's own message is not in it (chat-api).
  It is found by reading the list afterwards. How long the agent may take is not told: option `reply_timeout_seconds`.
- Nothing makes a message idempotent, so a message is never sent twice by us.
- A publishable key (`pk_live_`) may list and delete according to chat-api; the 403 that it can get says otherwise in `allowedEndpoints` (errors).
- 429 names the wait in the body, `retryAfter` in seconds (errors); each answer has `X-RateLimit-*` with unix seconds (authentication).
- A publishable key has 100 requests a minute, a secret one 1000 (authentication).
"""

from domain.capabilities import Capabilities, Capability, emulated, native, overlay, unsupported

C = Capability
ROW_FIELDS = frozenset(["owner", "agent", "created_at"])
FULL_FIELDS = frozenset(["agent", "created_at", "raw"])
PUBLISHABLE_KEY_QUOTA, SECRET_KEY_QUOTA = 100, 1000
"""Requests a minute."""

CAPABILITIES = Capabilities(
    support={
        C.CREATE_CHAT: native("Needs `agent`; what `metadata` holds cannot be read back from Kodey."),
        C.LIST_CHATS: native("Kodey gives the whole list at once. A publishable key may be refused."),
        C.READ_CHAT: native("A single chat does not tell its user."),
        C.RENAME_CHAT: overlay(),
        C.TAG_CHAT: overlay(),
        C.EDIT_METADATA: overlay("Kodey takes metadata at creation only and never shows it."),
        C.DELETE_CHAT: native("A publishable key may be refused."),
        C.LIST_MESSAGES: native("Kodey gives all messages at once."),
        C.READ_MESSAGE: emulated("Found in the list of all messages."),
        C.SEND_MESSAGE: native("Kodey answers when the agent has answered."),
        C.GENERATE_REPLY: native("Each message is answered."),
        C.STREAM_REPLY: emulated("The reply comes in one piece."),
        C.STOP_REPLY: unsupported("Kodey has no call for it."),
        C.REGENERATE_REPLY: unsupported("Kodey has no call for it."),
        C.EDIT_MESSAGE: unsupported("Kodey has no call for it."),
        C.DELETE_MESSAGE: unsupported("Kodey has no call for it."),
        C.BRANCHES: unsupported("Kodey's chats are one line."),
        C.PIN_CHAT: overlay(),
        C.ARCHIVE_CHAT: overlay(),
        C.MOVE_CHAT: overlay(),
        C.MARK_CHAT_READ: overlay(),
        C.SHARE_CHAT: unsupported("Kodey has no call for it."),
        C.SEARCH: emulated("Searched in the gateway's own index of what it has seen."),
        C.LIVE_MESSAGES: emulated("By polling each watched chat, with half of the quota at most."),
        C.LIVE_CHANGES: emulated("By polling; only deletions, Kodey has no edits and no titles."),
    },
    native_orders=(),
    row_fields=ROW_FIELDS,
    version_fields=("title", "agent", "created_at"),
    always_replies=True,
    replies_late=True,
    polls_per_minute=SECRET_KEY_QUOTA // 2,
)
