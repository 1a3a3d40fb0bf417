"""The protocol that every source speaks, a vendor's as well as the local store's, and what is handed to it.

A connector raises only what `domain.errors` draws. A chat or message that is not there is `None` where something is read, and
`NotFound` where something is written. A method whose capability is an overlay or unsupported is never called.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from domain.capabilities import Capabilities, ChatOrder
from domain.records import (
    Account,
    Agent,
    Attachment,
    Chat,
    Check,
    Folder,
    Health,
    Message,
    MessageRole,
    SearchHit,
    Source,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Skipped:
    """Rows of answers that could not be understood and were left out: how many, and for the first of them which operation was answered
    and which place is not as documented, e.g. `list_chats` and `$.chats[3].id: expected an id`.
    """

    count: int = 0
    operation: str = ""
    place: str = ""

    def __bool__(self) -> bool:
        return self.count > 0

    def __add__(self, other: "Skipped") -> "Skipped":
        first = self or other
        return Skipped(self.count + other.count, first.operation, first.place)


NOTHING_SKIPPED = Skipped()


@dataclass(frozen=True, slots=True)
class SourcePage(Generic[T]):
    """One native page. `next` and `previous` are tokens for the neighbouring pages, opaque to all but the connector; None at an end.

    `started_at` is when its request was started. `breaks_off`: the vendor says that the list goes on, and shows nothing new.
    """

    rows: Sequence[T]
    started_at: datetime
    next: str | None = None
    previous: str | None = None
    skipped: Skipped = NOTHING_SKIPPED
    breaks_off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageWindow:
    """Which part of a path is wanted. Exactly one of `first` and `last` is set; `after` and `before` are native message ids.

    `branch`: the path through this message and on to its newest descendant, instead of the active one.
    """

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None
    branch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesRead:
    """What one reading of a chat's messages showed.

    `is_complete`: `messages` is every message of the chat (the whole tree, parents before children) and `active_leaf` the end of the active path;
    the caller cuts the window. Otherwise `messages` is the window itself, oldest first, and `has_before`/`has_after` tell of its neighbours.
    """

    messages: Sequence[Message]
    started_at: datetime
    is_complete: bool
    active_leaf: str | None = None
    has_before: bool = False
    has_after: bool = False
    total: int | None = None
    skipped: Skipped = NOTHING_SKIPPED
    chat: Chat | None = None
    """The chat, where the same answer showed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstMessage:
    """A message that a new chat begins with; stored, not answered. `id` was made by the gateway."""

    id: str
    role: MessageRole
    text: str
    attachments: tuple[Attachment, ...] = ()
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChat:
    """What `createChat` asks for, checked against the source's `create_chat_schema` before. `folder_id` is native."""

    title: str | None = None
    agent: str | None = None
    user_id: str | None = None
    metadata: Mapping[str, Any] | None = None
    tags: tuple[str, ...] | None = None
    folder_id: str | None = None
    messages: tuple[FirstMessage, ...] = ()
    options: Mapping[str, Any] | None = None
    idempotency_id: str = ""
    """Made by the gateway for this write; a source that can store it finds the write again by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message to send. `id` and `reply_id` were made by the gateway; a source that takes message ids uses them."""

    id: str
    reply_id: str
    chat_id: str
    role: MessageRole
    text: str
    parent_id: str | None
    """The message to follow, None for the first of a chat."""
    model: str | None = None
    metadata: Mapping[str, Any] | None = None
    attachments: tuple[Attachment, ...] = ()
    wants_reply: bool = True


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sent message is. Either may be None while it is not known; the last one yielded has final states."""

    message: Message | None
    reply: Message | None = None


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """A native stream is open: what happens from now on is told. Nothing tells what happened before, so it is to be read."""


@dataclass(frozen=True, slots=True)
class ChatTouched:
    """Something happened in a chat (None: somewhere at the source); reading shows what. Told twice is harmless."""

    chat_id: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyGrew:
    """The words so far of a reply that is being written, whoever asked for it. `reply` holds at least ids, text and state."""

    reply: Message


Notice = StreamOpened | ChatTouched | ReplyGrew
"""What a native stream tells."""


class FolderContents(StrEnum):
    """What happens to the chats in a folder that is deleted."""

    KEEP_CHATS = "KEEP_CHATS"
    DELETE_CHATS = "DELETE_CHATS"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """What to look for at one source. `limit` hits at most; `token` continues an earlier page."""

    text: str
    limit: int
    token: str | None = None
    chat_ids: frozenset[str] | None = None
    tags: tuple[str, ...] = ()
    roles: frozenset[MessageRole] | None = None
    since: datetime | None = None
    until: datetime | None = None


class ChatSource(Protocol):
    """One source, ready to be asked. It holds no state that a restart would lose."""

    @property
    def source(self) -> Source:
        """The record that it was made from."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do: the vendor's table, narrowed by the settings of this source."""

    def health(self) -> Health:
        """How it has been answering lately; makes no call."""

    async def aclose(self) -> None:
        """Let connections go."""

    # Reading

    async def check(self) -> Sequence[Check]:
        """Reach out: reachable, credentials, version. Failures are entries, not exceptions."""

    async def account(self) -> Account | None:
        """What the vendor calls the owner of all this, or None when it does not tell."""

    async def list_chats(self, order: ChatOrder, token: str | None) -> SourcePage[Chat]:
        """A native page in one of `capabilities.native_orders`; `token` None is the first page. Archived chats are left out."""

    def drain_chats(self, needs: frozenset[str]) -> AsyncIterator[SourcePage[Chat]]:
        """Every chat, archived ones included, in any order, page by page; each row tells at least the fields `needs`, as far as the vendor can."""

    async def get_chat(self, chat_id: str) -> Chat | None:
        """One chat, with all that the vendor tells of it."""

    async def read_messages(self, chat_id: str, window: MessageWindow) -> MessagesRead | None:
        """Messages of one chat; more than the window when the vendor cannot read less. None when there is no such chat."""

    async def get_message(self, chat_id: str, message_id: str) -> Message | None:
        """One message."""

    async def list_folders(self) -> Sequence[Folder]:
        """All folders of the source; called only with `capabilities.has_folders`."""

    async def list_agents(self) -> Sequence[Agent] | None:
        """What `createChat(agent)` and `sendMessage(model)` can name; None where the vendor documents no list."""

    async def search(self, request: SearchRequest) -> SourcePage[SearchHit]:
        """Native search, best first."""

    def watch(self, chat_id: str | None) -> AsyncIterator[Notice]:
        """Follow the vendor's own stream: of one chat where `capabilities.stream` is CHAT, of the whole source (None) where it is SOURCE.

        The first notice is `StreamOpened`. It ends when the vendor closes the stream and raises `UpstreamError` when it breaks; who
        watches opens it again. Raises `NotFound` for a chat that is not there. Frames that cannot be understood are counted and left out.
        """

    # Writing: each answers with the chat as it is afterwards

    async def create_chat(self, new: NewChat) -> Chat:
        """Start a chat."""

    async def rename_chat(self, chat_id: str, title: str | None) -> Chat:
        """Set the title; None empties it where the vendor can."""

    async def set_metadata(self, chat_id: str, metadata: Mapping[str, Any] | None) -> Chat:
        """Replace the metadata."""

    async def set_tags(self, chat_id: str, tags: Sequence[str]) -> Chat:
        """Exactly these tags."""

    async def set_pinned(self, chat_id: str, pinned: bool) -> Chat:
        """Pin or unpin; saying the same twice changes nothing."""

    async def set_archived(self, chat_id: str, archived: bool) -> Chat:
        """Archive or bring back; saying the same twice changes nothing."""

    async def move_chat(self, chat_id: str, folder_id: str | None) -> Chat:
        """Into a native folder, or into none."""

    async def share_chat(self, chat_id: str) -> Chat:
        """Publish under a link."""

    async def unshare_chat(self, chat_id: str) -> Chat:
        """Make the link useless."""

    async def delete_chat(self, chat_id: str) -> None:
        """Delete with all its messages."""

    def send_message(self, new: NewMessage) -> AsyncIterator[Progress]:
        """Send, and follow the reply. The first item comes when the vendor has the message, the last when all is final.

        Closing the iterator stops following, not the vendor: see `stop_reply`.
        """

    def regenerate(self, chat_id: str, message_id: str, *, reply_id: str, model: str | None) -> AsyncIterator[Progress]:
        """Let the assistant answer once more: a sibling of `message_id`."""

    def follow_reply(self, chat_id: str, message_id: str) -> AsyncIterator[Message]:
        """Go on reading a reply that somebody else began to follow, until it is final."""

    async def stop_reply(self, chat_id: str, message_id: str) -> Message | None:
        """Stop a reply; the message with what is there of it."""

    async def edit_message(self, chat_id: str, message_id: str, text: str) -> Message:
        """Replace the words."""

    async def delete_message(self, chat_id: str, message_id: str) -> Sequence[str]:
        """Delete; the native ids of every message that went, the named one first."""

    async def create_folder(self, name: str, parent_id: str | None) -> Folder:
        """Create a native folder."""

    async def update_folder(self, folder_id: str, *, name: str | None, parent_id: str | None, moves: bool) -> Folder:
        """Rename when `name` is given; move under `parent_id` (None: to the top) when `moves`."""

    async def delete_folder(self, folder_id: str, contents: FolderContents) -> None:
        """Delete with its subfolders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """A vendor: one line of the registry. The schemas are JSON Schema objects (draft 2020-12).

    `connect` makes a `ChatSource` of a source record and its credentials (name to secret); it makes no call.
    """

    vendor: str
    display_name: str
    capabilities: Capabilities
    credentials_schema: Mapping[str, Any]
    options_schema: Mapping[str, Any]
    create_chat_schema: Mapping[str, Any]
    connect: Callable[[Source, Mapping[str, str]], ChatSource]
    default_base_url: str | None = None
    demands: Callable[[Source], Sequence[str]] = lambda source: ()
    """Fields of `createChat` that a source of these options cannot do without, beside what `create_chat_schema` requires."""
