"""The enums of the schema. Their values are those of `domain`; here each gets the sentence that clients read.

`described` refuses a table that leaves out a value or has one too many, so a new value cannot come without its sentence.
The types import their enums from here: one that came from `domain` directly would reach Strawberry before it was described.
"""

from collections.abc import Mapping
from enum import Enum, StrEnum

import strawberry

from domain.capabilities import Capability, ChatOrderField, SupportLevel
from domain.errors import ErrorCode, SourceStatusCode, UserErrorCode
from domain.records import (
    AccountKind,
    AgentKind,
    HealthState,
    MessageRole,
    MessageState,
    Role,
    Scope,
    Visibility,
)
from domain.source import FolderContents
from resolvers.live_events import GapReason
from resolvers.sending import ReplyMode
from resolvers.sources import WebhookChange

__all__ = [
    "AccountKind",
    "AgentKind",
    "Capability",
    "ChatEventKind",
    "ChatOrderField",
    "ErrorCode",
    "FolderContents",
    "GapReason",
    "HealthState",
    "MessageRole",
    "MessageState",
    "MirrorFate",
    "OrderDirection",
    "ReplyMode",
    "Role",
    "Scope",
    "SourceStatusCode",
    "SupportLevel",
    "UserErrorCode",
    "Visibility",
    "WebhookChange",
    "described",
]


class OrderDirection(StrEnum):
    """Which way a list is ordered."""

    ASC = "ASC"
    DESC = "DESC"


class MirrorFate(StrEnum):
    """What happens to the mirror's rows of a source that is disconnected."""

    DELETE = "DELETE"
    KEEP = "KEEP"


class ChatEventKind(StrEnum):
    """`EventKind` of the log without gaps, which always come, and the words of replies being written, which are not in the log."""

    MESSAGE_CREATED = "MESSAGE_CREATED"
    MESSAGE_UPDATED = "MESSAGE_UPDATED"
    MESSAGE_DELETED = "MESSAGE_DELETED"
    MESSAGE_DELTA = "MESSAGE_DELTA"
    CHAT_CREATED = "CHAT_CREATED"
    CHAT_UPDATED = "CHAT_UPDATED"
    CHAT_DELETED = "CHAT_DELETED"
    FOLDER_CHANGED = "FOLDER_CHANGED"
    READ_STATE_CHANGED = "READ_STATE_CHANGED"
    SOURCE_HEALTH_CHANGED = "SOURCE_HEALTH_CHANGED"


def described(enum: type[Enum], *, description: str, values: Mapping[str, str], name: str | None = None) -> None:
    """Make `enum` a GraphQL enum, with a sentence for each value."""
    names = [member.name for member in enum]
    if list(values) != names:
        raise ValueError(f"{enum.__name__}: the sentences are for {list(values)}, the values are {names}")
    strawberry.enum(enum, name=name, description=description)
    for value in enum.__strawberry_definition__.values:  # type: ignore[attr-defined]  # set by the line above
        value.description = values[value.name]


described(
    OrderDirection,
    description="Which way a list is ordered.",
    values={
        "ASC": "Smallest, oldest or A first.",
        "DESC": "Largest, newest or Z first.",
    },
)

described(
    ErrorCode,
    description=(
        "Every value that `extensions.code` of a top-level error can have. New values may be added: "
        "treat one that you do not know like `INTERNAL`.\n"
        "Outcomes of a mutation that you can act on are not here but in the `userErrors` of its payload."
    ),
    values={
        "UNAUTHENTICATED": "No key or token was sent, or it is not valid (any more). Sign in again.",
        "ORGANIZATION_REQUIRED": (
            "You belong to several organizations and did not say which one this request is for. "
            "`extensions.organizations` lists them; send the header `X-Organization`."
        ),
        "FORBIDDEN": "You are known, but your role or the scopes of your key do not allow this.",
        "GRAPHQL_PARSE_FAILED": "The document is not GraphQL. The message says where.",
        "GRAPHQL_VALIDATION_FAILED": "The document does not fit this schema, or a variable has the wrong type.",
        "INVALID_ARGUMENT": "An argument has the right type but an impossible value, for example `first: 0`.",
        "BAD_CURSOR": (
            "The cursor is damaged, was made by another list, or was made with another filter or order. "
            "Start again from the first page."
        ),
        "LIMIT_EXCEEDED": (
            "The document is too deep, too long or too expensive. Both the limit and the figure stand in `extensions`."
        ),
        "UPSTREAM_BUDGET_EXCEEDED": (
            "Answering would need more calls to sources than one operation may make. Ask for smaller pages."
        ),
        "RATE_LIMITED": "You asked too much in too little time. `extensions.retryAfterMs` says when to try again.",
        "PERSISTED_DOCUMENT_NOT_FOUND": "The document of this hash is not known here. Send it once in full.",
        "DOCUMENT_NOT_ALLOWED": "Only documents that were registered beforehand are served here.",
        "STREAM_GAP": (
            "Ends or interrupts `messageAdded`: messages between `extensions.from` and `extensions.to` may "
            "be missing.\n"
            "Read the chat again and subscribe with `after` set to `extensions.to`."
        ),
        "UPSTREAM_TIMEOUT": (
            "One thing could not be read because its source did not answer in time, and no earlier copy is at hand."
        ),
        "UPSTREAM_UNAVAILABLE": (
            "One thing could not be read because its source is down or answers with errors, and no earlier "
            "copy is at hand."
        ),
        "UPSTREAM_UNAUTHORIZED": (
            "One thing could not be read because its source refuses the credentials that are configured for "
            "it. An admin has to look."
        ),
        "UPSTREAM_CHANGED": (
            "One thing could not be read because its source answered in an unexpected shape. The operators "
            "of the gateway have to look."
        ),
        "INTERNAL": "A fault of the gateway. Quote `extensions.requestId` when you report it.",
    },
)

described(
    Capability,
    description="Something that a source can, or cannot, do. New values may be added.",
    values={
        "CREATE_CHAT": "Start a chat.",
        "LIST_CHATS": "List the chats of the source.",
        "READ_CHAT": "Read one chat.",
        "RENAME_CHAT": "Change the title of a chat.",
        "TAG_CHAT": "Change the tags of a chat.",
        "EDIT_METADATA": "Change the metadata of a chat after it was created.",
        "DELETE_CHAT": "Delete a chat.",
        "LIST_MESSAGES": "List the messages of a chat.",
        "READ_MESSAGE": "Read one message by its id.",
        "SEND_MESSAGE": "Add a message to a chat.",
        "GENERATE_REPLY": "Let an assistant answer.",
        "STREAM_REPLY": "Deliver an answer while it is being written.",
        "STOP_REPLY": "Stop an answer that is being written.",
        "REGENERATE_REPLY": "Let an assistant answer the same message once more.",
        "EDIT_MESSAGE": "Change a message after it was sent.",
        "DELETE_MESSAGE": "Delete a message.",
        "BRANCHES": "Keep several paths through a chat.",
        "PIN_CHAT": "Pin a chat.",
        "ARCHIVE_CHAT": "Archive a chat.",
        "MOVE_CHAT": "Put a chat into a folder.",
        "MARK_CHAT_READ": "Remember how far you have read a chat.",
        "SHARE_CHAT": "Publish a chat under a link.",
        "SEARCH": "Find chats and messages by their words.",
        "LIVE_MESSAGES": "Tell of new messages that others wrote.",
        "LIVE_CHANGES": "Tell of edits, deletions and renames that others made.",
    },
)

described(
    SupportLevel,
    description="How well something is supported.",
    values={
        "NATIVE": "The source does it itself, so the vendor's own app shows it too.",
        "EMULATED": ("The gateway does it with other calls to the source. The result is the same, it may take longer."),
        "OVERLAY": "The gateway remembers it on its side. The vendor's own app does not see it.",
        "UNSUPPORTED": "Not possible. A mutation answers with a `CapabilityError`.",
    },
)

described(
    HealthState,
    name="SourceHealthState",
    description="Whether a source answers.",
    values={
        "UNKNOWN": "Nobody has asked the source yet.",
        "HEALTHY": "It answers.",
        "DEGRADED": ("It answers, but slowly, with some errors, or in a shape that is not quite the expected one."),
        "DOWN": "It does not answer, or refuses the configured credentials.",
    },
)

described(
    SourceStatusCode,
    description=(
        "How one source contributed to a list. New values may be added: treat one that you do not know "
        "like `UPSTREAM_UNAVAILABLE`."
    ),
    values={
        "OK": "It answered in time, and all its rows are here.",
        "PARTIAL": "It answered, but some rows could not be understood and were left out.",
        "INCOMPLETE": (
            "It missed a part: it joined this listing late, and rows of it that belong before "
            "`missingBefore` are not in it. Start again for the whole."
        ),
        "TIMEOUT": "It did not answer within `withinMs`.",
        "RATE_LIMITED": "It asked us to slow down. `retryAfterMs` says for how long.",
        "UPSTREAM_UNAUTHORIZED": "It refuses the credentials that are configured for it. An admin has to look.",
        "UPSTREAM_UNAVAILABLE": "It is down or answers with errors.",
        "UPSTREAM_CHANGED": "It answered in an unexpected shape. The operators of the gateway have to look.",
        "CIRCUIT_OPEN": "It failed several times in a row and is left alone for a moment.",
        "UNSUPPORTED": "It cannot do this at all.",
    },
)

described(
    Role,
    description="What somebody may do in an organization. Each role includes the ones before it.",
    values={
        "VIEWER": "May read.",
        "MEMBER": "May read and write chats, messages and folders.",
        "ADMIN": "May also change sources, keys and the organization itself.",
    },
)

described(
    Scope,
    name="ApiKeyScope",
    description="What a key may be used for.",
    values={
        "READ": "Queries and subscriptions.",
        "WRITE": "Mutations of chats, messages and folders.",
        "ADMIN": "Mutations of sources, keys and the organization.",
    },
)

described(
    AgentKind,
    description="What can answer in a chat.",
    values={
        "MODEL": "A language model.",
        "AGENT": "An assistant with instructions or tools of its own.",
        "WORKFLOW": "A workflow that runs when a message comes.",
    },
)

described(
    AccountKind,
    name="SourceAccountKind",
    description="What kind of owner a vendor knows. New values may be added.",
    values={
        "ACCOUNT": "A personal account.",
        "TENANT": "A tenant.",
        "ORGANIZATION": "An organization of the vendor.",
        "TEAM": "A team.",
        "INSTANCE": "A whole server.",
    },
)

described(
    Visibility,
    name="SourceVisibility",
    description="Who sees a source and everything in it.",
    values={
        "ORGANIZATION": "Everybody who may read in the organization.",
        "OWNER": "Only the person who connected it.",
    },
)

described(
    ChatOrderField,
    description=(
        "By what chats are ordered. Chats that are equal in it are ordered by id, so an order is always complete."
    ),
    values={
        "UPDATED_AT": "The last change; where a source does not tell it, the newest message, else the creation.",
        "CREATED_AT": "The creation; chats whose source does not tell it come last.",
        "TITLE": "The title, upper and lower case alike; chats without one come last.",
    },
)

described(
    MessageRole,
    description="Whose words a message holds.",
    values={
        "USER": "A person's.",
        "ASSISTANT": "An assistant's.",
        "SYSTEM": "Instructions to the assistant.",
        "TOOL": "The result of a tool.",
        "OTHER": "A role that only the source knows. See `Message.raw`.",
    },
)

described(
    MessageState,
    description="How far a message is.",
    values={
        "PENDING": "On its way, or it is not known yet whether it arrived. The next readings tell.",
        "STREAMING": "Being written. `text` holds what is there so far; `MessageDelta` events bring the rest.",
        "COMPLETE": "Finished.",
        "FAILED": "It broke off with an error. `text` holds what was there.",
        "CANCELLED": "It was stopped. `text` holds what was there.",
    },
)

described(
    MirrorFate,
    description="What happens to the copy that the gateway holds of a source.",
    values={
        "DELETE": "It is deleted.",
        "KEEP": "It stays readable until its retention ends.",
    },
)

described(
    ReplyMode,
    description="Whether to let the assistant answer, and whether to wait for it.",
    values={
        "STREAM": (
            "Let it answer where the source can, and return as soon as the source has the message. The "
            "answer's row exists at once, and its text comes by `chatEvents`.\n"
            "Where the source cannot answer, the message is just stored."
        ),
        "WAIT": (
            "Let it answer, and return when the answer is finished, or with what there is when the time is "
            "over. A source that cannot answer gives a `CapabilityError` and stores nothing."
        ),
        "NONE": ("Just store the message. A source that always answers gives a `CapabilityError` and stores nothing."),
    },
)

described(
    FolderContents,
    description="What happens to the chats in a folder that is deleted.",
    values={
        "KEEP_CHATS": "They stay, in no folder.",
        "DELETE_CHATS": "They are deleted with all their messages, for good.",
    },
)

described(
    UserErrorCode,
    description=(
        "Why a mutation did not do what was asked. New values may be added: treat one that you do not "
        "know as a failure and show `message`."
    ),
    values={
        "INVALID_ARGUMENT": "A value is not acceptable. `path` says which.",
        "NOT_FOUND": "There is no such thing for you. `path` says which id.",
        "FORBIDDEN": "Your role or the scopes of your key do not allow it.",
        "UNSUPPORTED": "The source cannot do it. A `CapabilityError`.",
        "CONFLICT": "Somebody else was faster, or the name is taken. A `ConflictError`.",
        "IDEMPOTENCY_CONFLICT": "The same `idempotencyKey` was used before with another input.",
        "OUTCOME_UNKNOWN": "It is not known whether the source did it. An `OutcomeUnknownError`.",
        "UPSTREAM_TIMEOUT": "The source did not answer in time; nothing was done. An `UpstreamError`.",
        "UPSTREAM_UNAVAILABLE": "The source is down or answers with errors; nothing was done. An `UpstreamError`.",
        "UPSTREAM_UNAUTHORIZED": "The source refuses the credentials that are configured for it. An `UpstreamError`.",
        "UPSTREAM_REJECTED": "The source understood and said no. An `UpstreamError`.",
        "UPSTREAM_RATE_LIMITED": "The source asked us to slow down. An `UpstreamError`.",
        "UPSTREAM_CHANGED": "The source answered in an unexpected shape. An `UpstreamError`.",
    },
)

described(
    ChatEventKind,
    description="The kinds of event that can be chosen, each named after its type.",
    values={
        "MESSAGE_CREATED": "`MessageCreated`.",
        "MESSAGE_UPDATED": "`MessageUpdated`.",
        "MESSAGE_DELETED": "`MessageDeleted`.",
        "MESSAGE_DELTA": "`MessageDelta`.",
        "CHAT_CREATED": "`ChatCreated`.",
        "CHAT_UPDATED": "`ChatUpdated`.",
        "CHAT_DELETED": "`ChatDeleted`.",
        "FOLDER_CHANGED": "`FolderChanged`.",
        "READ_STATE_CHANGED": "`ReadStateChanged`.",
        "SOURCE_HEALTH_CHANGED": "`SourceHealthChanged`.",
    },
)

described(
    GapReason,
    name="StreamGapReason",
    description="Why something may be missing from a stream.",
    values={
        "EXPIRED": "`after` is older than what is kept, or was made with a key that is no longer in use.",
        "SLOW_READER": "You read more slowly than it happened.",
        "SOURCE_INTERRUPTED": "The source was cut off, and what happened meanwhile could not be read again.",
    },
)

described(
    WebhookChange,
    description="What to do with the address that the vendor of a source can send its webhooks to.",
    values={
        "RENEW": "Make an address. The one before, if there was one, is good no longer.",
        "REMOVE": "Take no more webhooks.",
    },
)
