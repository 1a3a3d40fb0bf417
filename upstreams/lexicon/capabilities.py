"""Lexicon Labs: assistants that answer in chats of one tenant's users.

API: the pages of `docs.lexiconlabs.ai/api-reference/chats/` (`introduction`, `create`, `list-user-chats`, `get-chat`, `get-messages`,
`delete-chat`, `websocket`), read 2026-11-20; no version is named there but `v1` in the paths.

Quirks, each with its source:

- One key per tenant; whose chat it is says the caller (create). So the users of a source are its options, and a chat of anybody else is
  treated as absent here.
- Chats are listed per user (list-user-chats). One user: pages by offset, by the time of creation, both ways. Several: read whole and merged.
- A user without chats is 404, as an unknown one is (list-user-chats).
- `has_more` is false on an example page that shows fewer rows than `total` (list-user-chats): where the two disagree, the next page is asked
  for, and an empty one is the end.
- Metadata goes in as `metadata` and comes out as `config.metadata` (create). Title and metadata cannot be changed later (introduction).
- Messages by offset, both orders, at most 100 a page; a message names neither its chat nor its parent, and has no state (get-messages).
- A message is sent over a socket only, `/ws/chat`, one socket for one chat (websocket). Key, user and chat go into headers: a query stays in logs.
- Of the socket's events only the names are known, and of few the fields (websocket), so `events` reads them tolerantly; what was said is read
  again over REST when the answer has ended. There is no call to stop it, and no id of ours for a message: it is never sent twice by us.
- Deleting answers 409 while any socket is open to the chat, also somebody else's (delete-chat). Our own is closed as soon as the answer ended.
- The shape of errors is not documented; `errors` tries `detail`, `error` and `message`.
- The slash at the end of `POST /api/v1/chats/` belongs there (create).
"""

from datetime import timedelta

from domain.capabilities import (
    Capabilities,
    Capability,
    ChatOrder,
    ChatOrderField,
    emulated,
    native,
    overlay,
    unsupported,
)

C = Capability
ROW_FIELDS = frozenset(
    ["title", "owner", "metadata", "created_at", "updated_at", "last_message_at", "message_count", "raw"]
)
CREATED_DESC = ChatOrder(ChatOrderField.CREATED_AT, descending=True)
CREATED_ASC = ChatOrder(ChatOrderField.CREATED_AT, descending=False)
CHAT_ROWS = 50
"""Rows of one page of chats: the documented default. How many are allowed is not told."""
MESSAGE_ROWS = 100
"""Most messages of one page; more is 400."""

CAPABILITIES = Capabilities(
    support={
        C.CREATE_CHAT: native("Needs a user of the option `user_ids`."),
        C.LIST_CHATS: native("The chats of each user of the option `user_ids`; of several users they are read whole."),
        C.READ_CHAT: native(),
        C.RENAME_CHAT: overlay("Lexicon takes a title at creation only."),
        C.TAG_CHAT: overlay(),
        C.EDIT_METADATA: overlay("Lexicon takes metadata at creation only."),
        C.DELETE_CHAT: native("Refused while any socket is open to the chat."),
        C.LIST_MESSAGES: native("Pages of 100."),
        C.READ_MESSAGE: emulated("Found in the list."),
        C.SEND_MESSAGE: native("Over a socket that is open for as long as the answer takes."),
        C.GENERATE_REPLY: native("Each message is answered."),
        C.STREAM_REPLY: native("Word by word over the socket."),
        C.STOP_REPLY: unsupported("Lexicon has no call for it."),
        C.REGENERATE_REPLY: unsupported("Lexicon has no call for it."),
        C.EDIT_MESSAGE: unsupported("Lexicon has no call for it."),
        C.DELETE_MESSAGE: unsupported("Lexicon has no call for it."),
        C.BRANCHES: unsupported("Lexicon's chats are one line."),
        C.PIN_CHAT: overlay(),
        C.ARCHIVE_CHAT: overlay(),
        C.MOVE_CHAT: overlay(),
        C.MARK_CHAT_READ: overlay(),
        C.SHARE_CHAT: unsupported("Lexicon has no call for it."),
        C.SEARCH: emulated("Searched in the gateway's own index of what it has seen."),
        C.LIVE_MESSAGES: emulated(
            "By polling the list, which tells the newest message; an open socket would keep everybody from deleting the chat."
        ),
        C.LIVE_CHANGES: emulated("By polling; only deletions, Lexicon has no edits."),
    },
    native_orders=(CREATED_DESC, CREATED_ASC),
    row_fields=ROW_FIELDS,
    version_fields=("title", "metadata", "created_at"),
    max_page=MESSAGE_ROWS,
    always_replies=True,
    rows_tell_messages=True,  # `last_message_at` and `message_count`
    clock_tick=timedelta(seconds=1),
)
