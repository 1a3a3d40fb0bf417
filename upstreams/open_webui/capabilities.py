"""Open WebUI: chats with language models, on a server of one's own.

API: release 0.12.4, observed on a running server (2026-11-20); releases before 0.9 are refused. The vendor publishes no reference of these
routes. Sources below: "observed" is that server, "code" the installed package.

Quirks:

- 401 says "not signed in", "not allowed" or "not there": only the words tell (observed; see `errors`).
- `%2F` in a path is read as `/` (observed), so an id with a slash could reach another route; such ids are refused.
- An unknown path, also a list without its trailing slash, is 200 with the web app (observed). The shared client refuses web pages.
- After a 500 the connection is dropped without a word, so the next request on it dies (observed). The shared client replaces it once.
- Pin and archive are toggles; archiving clears the folder, filing into a folder unpins and unarchives (observed).
- A list row tells neither pin, folder, tags, owner nor, although it has the field, whether it is archived (observed: always false).
- A page has 60 rows; the list leaves out pinned and filed chats unless asked, archived ones always (observed). `/all` has them too (observed).
- An administrator's key reads, and in part writes, the chats of everybody (observed): a chat of another user is treated as absent here.
- `history` is merged by message id: nothing is deleted by leaving it out, and one message is appended by sending only that one (observed).
- Editing a message id that does not exist creates it; deleting one that does not exist is a success (observed). Both are looked up before.
- Deleting a message takes its direct children along, grandchildren move up (observed, code).
- Sending: with any `session_id` the completion runs in the background and its text grows in the chat (observed). `parent_id` is the parent of
  the *user's* message; a user's message whose id exists is used as it is stored, which is how a reply is made again (code).
- A reply id that exists with words in it is 409 (observed), so sending the same message again under the same ids cannot double it.
- Epoch seconds everywhere in chats; a message's timestamp may be missing, and so may its `parentId` (observed).
- A shared chat's page is `/s/<share id>` (code). Deleting a folder deletes its subfolders, and its chats unless told otherwise (observed).
- Names of folders are compared without case; a parent that does not exist is accepted (observed), so it is looked up before.
- `GET /folders/` repairs orphaned folders: a reading that writes (observed). The shared client never runs it twice at once.
- An empty search is a 500 (observed); words like `tag:x` or `archived:true` in the text filter (observed).
- A title cannot be emptied: null is 400 (observed). Renaming and tags do not move `updated_at` (observed); messages do, when they begin and
  when they end (observed).
- Socket.IO takes the transport `websocket` alone, and any token: only the acknowledgement of `user-join` tells whether it is one, and an API key never
  is (observed). Nothing is told of what REST calls create, rename, pin, archive, tag, file or delete (observed): only replies and edits of messages are.
- Deltas have no number and no beginning: `chat:active` says when a reply begins (observed). Calls that wait for the answer have no `chat:active`
  (observed), so the words of such a reply are not told, only that it has ended.
"""

from dataclasses import replace
from datetime import timedelta

from domain.capabilities import (
    Capabilities,
    Capability,
    ChatOrder,
    ChatOrderField,
    NativeStream,
    emulated,
    native,
    overlay,
)
from domain.records import CHAT_FIELDS

C = Capability
ROW_FIELDS = frozenset(["title", "created_at", "updated_at"])
FULL_FIELDS = CHAT_FIELDS
PAGE_ROWS = 60
UPDATED_DESC = ChatOrder(ChatOrderField.UPDATED_AT, descending=True)

CAPABILITIES = Capabilities(
    support={
        C.CREATE_CHAT: native(),
        C.LIST_CHATS: native("Pages of 60; rows tell neither pin, folder, tags nor owner."),
        C.READ_CHAT: native(),
        C.RENAME_CHAT: native("A title cannot be emptied."),
        C.TAG_CHAT: native("Tags are lower-cased, spaces become `_`."),
        C.EDIT_METADATA: native("Kept in the chat's own object, under `metadata`."),
        C.DELETE_CHAT: native(),
        C.LIST_MESSAGES: native("The whole tree at once."),
        C.READ_MESSAGE: emulated("Found in the tree."),
        C.SEND_MESSAGE: native(),
        C.GENERATE_REPLY: native(),
        C.STREAM_REPLY: native(
            "With a session token word by word over the server's socket; with an API key the text is read as it grows."
        ),
        C.STOP_REPLY: native("Stops every reply under way in the chat."),
        C.REGENERATE_REPLY: native("A sibling in the tree."),
        C.EDIT_MESSAGE: native(),
        C.DELETE_MESSAGE: native("The direct children go too; the answer names them all."),
        C.BRANCHES: native(),
        C.PIN_CHAT: native("A toggle at Open WebUI: read, compared, toggled, verified."),
        C.ARCHIVE_CHAT: native("A toggle at Open WebUI, which also clears the folder."),
        C.MOVE_CHAT: native("Also unpins and unarchives."),
        C.MARK_CHAT_READ: overlay("Open WebUI's own marks belong to the account of the credentials."),
        C.SHARE_CHAT: native("A snapshot; sharing again renews it under the same link."),
        C.SEARCH: native("Finds chats; archived ones only with `archived:true` in the text."),
        C.LIVE_MESSAGES: native(
            "With a session token the server's socket tells every reply that its models write; anything else, and all with an API key, "
            "is found by polling the list."
        ),
        C.LIVE_CHANGES: emulated(
            "By polling the list, which shows that messages of a chat were edited or deleted, and new titles; tags in a slow pass over all chats."
        ),
    },
    native_orders=(UPDATED_DESC,),
    row_fields=ROW_FIELDS,
    version_fields=("title", "created_at", "updated_at"),
    has_folders=True,
    takes_message_ids=True,
    absence_proves_not_sent=True,  # sent again under the same ids, it is the same message or a 409
    stream=NativeStream.SOURCE,
    rows_tell_messages=True,  # `updated_at` moves with each message that begins, ends, is edited or deleted
    clock_tick=timedelta(seconds=1),
)
"""What a session token can."""

_BY_POLLING = {
    C.STREAM_REPLY: emulated("The reply's text is read as it grows; a session token brings it word by word."),
    C.LIVE_MESSAGES: emulated("By polling the list; a session token brings the server's own stream."),
}


def table_of(*, has_session: bool) -> Capabilities:
    """What a source can whose credentials are a session token, or an API key, which the server's socket takes and tells nothing."""
    if has_session:
        return CAPABILITIES
    return replace(CAPABILITIES, stream=NativeStream.NONE, support={**CAPABILITIES.support, **_BY_POLLING})
