"""ChatLogger: a store for logged chats of several organizations. Nobody answers in it.

API: `chatlogger-api-docs.kjanat.com` ("Create Chat") and the Go sources v0.3.3 to v0.5.0 (`kjanat/chatlogger-api-go`), read 2026-11-20.

Quirks, each with its source:

- Two credentials that reach different things (sources): an organization's API key, which only creates chats and messages under
  `/orgs/{slug}`; and a login, whose cookie `auth_token` does everything but create messages. The documents say Bearer; only the cookie is read.
- Paths begin with `/api/v1` up to 0.4.9 and with `/v1` from 0.5.0 on, `/auth/login` and `/version` with neither (sources). An unknown path is
  a 404 in plain text, and must not look like a chat that was deleted.
- In the list `tags` and `metadata` are texts that hold JSON; a single chat has them as they are (sources). Both are read everywhere.
- Ids are 64-bit numbers, too large for a float (sources); here they are texts.
- The list is `limit` and `offset`, newest creation first, without a total and without an upper bound of `limit` (sources). Rows that are
  created or deleted meanwhile shift it: a page's token names the row that it must begin with.
- `metadata` is twelve fields, replaced as a whole; other keys are dropped without a word, and false, 0 and "" are not shown (sources).
- An empty title does not clear the title (sources).
- With a login the caller's own id replaces `user_id`; with an API key it is stored as given, and one that does not exist is a 500 (sources).
- Deleting a chat that has messages is a 500 where the database was made without cascading (inferred from the migrations).
- Creating answers with the id alone (sources): the chat is read afterwards, which an API key cannot.
- The words of an error are in `error`; an id that is no number is a 400, a chat of another organization a 403 (sources).
"""

from dataclasses import replace

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
CREATED_DESC = ChatOrder(ChatOrderField.CREATED_AT, descending=True)
PAGE_ROWS = 50
CHAT_FIELDS = frozenset(["title", "owner", "metadata", "tags", "created_at", "updated_at"])
FULL_FIELDS = CHAT_FIELDS | {"raw"}
_NO_CALL = "ChatLogger has no call for it."
_NOBODY = "Nobody answers in ChatLogger."
_NEEDS_LOGIN = "An API key can only write. Give the source the credentials `email` and `password` too."
_NEEDS_KEY = "A login cannot write messages. Give the source the credential `api_key` and the option `slug` too."

CAPABILITIES = Capabilities(
    support={
        C.CREATE_CHAT: native(
            "With the API key, or with the login. With an API key alone the chat cannot be read again."
        ),
        C.LIST_CHATS: native("Needs the login."),
        C.READ_CHAT: native("Needs the login."),
        C.RENAME_CHAT: native("Needs the login. A title cannot be emptied."),
        C.TAG_CHAT: native("Needs the login."),
        C.EDIT_METADATA: native(
            "Needs the login. Twelve fields, replaced as a whole; false, 0 and empty texts are not shown."
        ),
        C.DELETE_CHAT: native("Needs the login. Refused for a chat with messages where the database does not cascade."),
        C.LIST_MESSAGES: native("Needs the login. All messages at once."),
        C.READ_MESSAGE: emulated("Found in the list of all messages."),
        C.SEND_MESSAGE: native("Needs the API key. Any role may be sent."),
        C.GENERATE_REPLY: unsupported(_NOBODY),
        C.STREAM_REPLY: unsupported(_NOBODY),
        C.STOP_REPLY: unsupported(_NOBODY),
        C.REGENERATE_REPLY: unsupported(_NOBODY),
        C.EDIT_MESSAGE: unsupported(_NO_CALL),
        C.DELETE_MESSAGE: unsupported(_NO_CALL),
        C.BRANCHES: unsupported("ChatLogger's chats are one line."),
        C.PIN_CHAT: overlay(),
        C.ARCHIVE_CHAT: overlay(),
        C.MOVE_CHAT: overlay(),
        C.MARK_CHAT_READ: overlay(),
        C.SHARE_CHAT: unsupported(_NO_CALL),
        C.SEARCH: emulated("Searched in the gateway's own index of what it has seen."),
        C.LIVE_MESSAGES: emulated("Needs the login. By polling each watched chat: its row does not tell."),
        C.LIVE_CHANGES: emulated("Needs the login. In a slow pass over the whole list."),
    },
    native_orders=(CREATED_DESC,),
    row_fields=CHAT_FIELDS,
    version_fields=("title", "owner", "metadata", "tags", "created_at"),
)
"""What both credentials together can."""

_BY_LOGIN = (
    C.LIST_CHATS,
    C.READ_CHAT,
    C.RENAME_CHAT,
    C.TAG_CHAT,
    C.EDIT_METADATA,
    C.DELETE_CHAT,
    C.LIST_MESSAGES,
    C.READ_MESSAGE,
    # The gateway keeps these for chats that it can read again.
    C.PIN_CHAT,
    C.ARCHIVE_CHAT,
    C.MOVE_CHAT,
    C.MARK_CHAT_READ,
    C.LIVE_MESSAGES,
    C.LIVE_CHANGES,
)


def table_of(*, has_login: bool, has_key: bool) -> Capabilities:
    """What a source with these credentials can. `has_key`: an API key together with its organization's slug."""
    support = dict(CAPABILITIES.support)
    if not has_key:
        support[C.SEND_MESSAGE] = unsupported(_NEEDS_KEY)
        support[C.CREATE_CHAT] = native("With the login: its own user owns the chat.")
    if not has_login:
        support |= {capability: unsupported(_NEEDS_LOGIN) for capability in _BY_LOGIN}
        if not has_key:
            support[C.CREATE_CHAT] = unsupported("An API key needs the option `slug`, the name of its organization.")
    orders = CAPABILITIES.native_orders if has_login else ()
    return replace(CAPABILITIES, support=support, native_orders=orders)
