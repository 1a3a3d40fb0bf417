"""Splox: agents and workflows that answer in chats; v1 of its API.

API: docs.splox.io, pages `create-chat`, `get-chat`, `list-chats`, `delete-chat`, `get-chat-history`, `delete-chat-history`, `listen-chat-messages`,
`run-workflow`, `listen-workflow-execution`, and `openapi.json` ("Splox API", 1.0.0); the SDK `splox` 0.0.18 on PyPI. Read 2026-11-20. v2 of the API has no
calls for chats and is not used.

Quirks, each with its source:

- Chats are listed per resource (`/chats/{type}/{id}`), never paged, and there is no list of all chats (`list-chats`). A chat is created with the type `api` and
  may be shown with another one (`create-chat`, second example), so resources are compared by id.
- History comes newest first. Its next page is asked for with the time of its oldest message (`get-chat-history`), so messages of one
  instant can be cut apart: the next page is asked for one microsecond later, and what comes twice is dropped.
- A page is a bare list (`openapi.json`) or `{messages, has_more}` (SDK): both are read.
- Whether an unknown chat's history is 404 or an empty list is not told: an empty one is followed by a look at the chat.
- Sending is running a workflow (`run-workflow`), which answers before anything happened. It takes a workflow's version and entry nodes; where the options
  do not name them they are looked up.
- Runs are limited to 20 a minute and user (`run-workflow`). 429 comes with `Retry-After`, or with `retry_after_seconds` in its body.
- 400 on a run is "invalid or unauthorized" (`openapi.json`).
- Both event streams have `data:` lines alone, `keepalive` every 3 s, two families of frames, no position to come back to, and end after 30 minutes
  (`listen-…`, SDK). Words are on the chat's stream, the state of a run on its own.
- Words (`text_delta`) name no message (SDK), so they cannot be told on as those of one. A message comes into a chat by a run alone, there is no
  other call for it (`openapi.json`), and a chat's stream tells of its runs: so it tells of every message, if not which.
- Whether a message moves a chat's `updated_at` is not told, and times are shown in whole seconds (`create-chat`).
- Deleting a chat leaves its messages, so they are deleted first (`delete-chat`).
- A message's `status` is `{type, reason}` without a list of values (`openapi.json`).
"""

from datetime import timedelta

from domain.capabilities import Capabilities, Capability, NativeStream, emulated, native, overlay, unsupported

C = Capability
CHAT_FIELDS_TOLD = frozenset(["title", "owner", "agent", "metadata", "created_at", "updated_at", "raw"])
PAGE_MESSAGES = 200

CAPABILITIES = Capabilities(
    support={
        C.CREATE_CHAT: native("`agent` is the id of the resource; a chat without a title is named `New chat`."),
        C.LIST_CHATS: emulated("Each configured resource is read whole."),
        C.READ_CHAT: native(),
        C.RENAME_CHAT: overlay(),
        C.TAG_CHAT: overlay(),
        C.EDIT_METADATA: overlay("Splox takes metadata at creation only."),
        C.DELETE_CHAT: native("Its messages are deleted first."),
        C.LIST_MESSAGES: native("Newest first, paged by time."),
        C.READ_MESSAGE: emulated("Found in the history."),
        C.SEND_MESSAGE: native("Runs a workflow; at most 20 a minute."),
        C.GENERATE_REPLY: native("Each message is answered."),
        C.STREAM_REPLY: native(),
        C.STOP_REPLY: native(),
        C.REGENERATE_REPLY: unsupported("Splox has no call for it."),
        C.EDIT_MESSAGE: unsupported("Splox has no call for it."),
        C.DELETE_MESSAGE: unsupported("Splox can only clear a whole history."),
        C.BRANCHES: unsupported("Splox shows parents and has no call to follow another branch."),
        C.PIN_CHAT: overlay(),
        C.ARCHIVE_CHAT: overlay(),
        C.MOVE_CHAT: overlay(),
        C.MARK_CHAT_READ: overlay(),
        C.SHARE_CHAT: unsupported("Splox has no call for it; `raw` shows whether a chat is public."),
        C.SEARCH: emulated("Searched in the gateway's own index of what it has seen."),
        C.LIVE_MESSAGES: native("The stream of each watched chat says that there is something to read."),
        C.LIVE_CHANGES: emulated(
            "Renamed and deleted chats by polling the lists; a cleared history by reading the chat."
        ),
    },
    native_orders=(),
    row_fields=CHAT_FIELDS_TOLD,
    version_fields=("title", "agent", "created_at"),
    max_page=PAGE_MESSAGES,
    always_replies=True,
    tells_endings=False,  # a message's `status` may be null
    stream=NativeStream.CHAT,
    stream_tells_messages=True,
    clock_tick=timedelta(seconds=1),
)
