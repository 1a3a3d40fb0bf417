"""What a source can do: one declarative table per vendor, asked by everybody, so that no code ever asks for a vendor's name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class Capability(StrEnum):
    """Something that a source can, or cannot, do. One row of the README's table each."""

    CREATE_CHAT = "CREATE_CHAT"
    LIST_CHATS = "LIST_CHATS"
    READ_CHAT = "READ_CHAT"
    RENAME_CHAT = "RENAME_CHAT"
    TAG_CHAT = "TAG_CHAT"
    EDIT_METADATA = "EDIT_METADATA"
    DELETE_CHAT = "DELETE_CHAT"
    LIST_MESSAGES = "LIST_MESSAGES"
    READ_MESSAGE = "READ_MESSAGE"
    SEND_MESSAGE = "SEND_MESSAGE"
    GENERATE_REPLY = "GENERATE_REPLY"
    STREAM_REPLY = "STREAM_REPLY"
    STOP_REPLY = "STOP_REPLY"
    REGENERATE_REPLY = "REGENERATE_REPLY"
    EDIT_MESSAGE = "EDIT_MESSAGE"
    DELETE_MESSAGE = "DELETE_MESSAGE"
    BRANCHES = "BRANCHES"
    PIN_CHAT = "PIN_CHAT"
    ARCHIVE_CHAT = "ARCHIVE_CHAT"
    MOVE_CHAT = "MOVE_CHAT"
    MARK_CHAT_READ = "MARK_CHAT_READ"
    SHARE_CHAT = "SHARE_CHAT"
    SEARCH = "SEARCH"
    LIVE_MESSAGES = "LIVE_MESSAGES"
    LIVE_CHANGES = "LIVE_CHANGES"


class SupportLevel(StrEnum):
    """How well something is supported.

    NATIVE: the connector calls the vendor. EMULATED: the connector reaches the same result with other calls.
    OVERLAY: the gateway keeps it in its own store and the vendor is not called. UNSUPPORTED: `CapabilityMissing`
    before any call.
    """

    NATIVE = "NATIVE"
    EMULATED = "EMULATED"
    OVERLAY = "OVERLAY"
    UNSUPPORTED = "UNSUPPORTED"


class ChatOrderField(StrEnum):
    """By what chats are ordered."""

    UPDATED_AT = "UPDATED_AT"
    CREATED_AT = "CREATED_AT"
    TITLE = "TITLE"


class NativeStream(StrEnum):
    """Whether a source tells by itself what happens there. NONE: it has to be asked again and again. CHAT: a stream for each chat. SOURCE: one for all chats."""

    NONE = "NONE"
    CHAT = "CHAT"
    SOURCE = "SOURCE"


@dataclass(frozen=True, slots=True)
class ChatOrder:
    """An order of chats. Ties are broken by source id, then native id, both ascending, whatever the direction."""

    field: ChatOrderField = ChatOrderField.UPDATED_AT
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Support:
    """One cell of the table: a level and, in a sentence for people, a limit worth knowing."""

    level: SupportLevel
    note: str | None = None


def native(note: str | None = None) -> Support:
    """The vendor does it itself."""
    return Support(SupportLevel.NATIVE, note)


def emulated(note: str | None = None) -> Support:
    """The gateway does it with other calls to the vendor."""
    return Support(SupportLevel.EMULATED, note)


def overlay(note: str | None = None) -> Support:
    """The gateway remembers it; the vendor's own app does not see it."""
    return Support(SupportLevel.OVERLAY, note)


def unsupported(note: str | None = None) -> Support:
    """Not possible; refused before any call."""
    return Support(SupportLevel.UNSUPPORTED, note)


_ABSENT = Support(SupportLevel.UNSUPPORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The whole table of one vendor, with what the gateway must know to use it well."""

    support: Mapping[Capability, Support]
    native_orders: tuple[ChatOrder, ...] = ()
    """Orders in which `list_chats` gives pages. Any other order is drained into the mirror and paged there."""
    row_fields: frozenset[str] = frozenset()
    """Which fields of `Chat` a row of `list_chats` tells; `Chat.told` of such a row."""
    version_fields: tuple[str, ...] = ("title",)
    """The fields of `Chat` that list row and full object share: `version` is a hash over them."""
    reads_from_store: bool = False
    """The store's rows are the source itself, so reading them asks it: many of its records can be read at once."""
    max_page: int | None = None
    """Most messages of one native page, None where the vendor does not page."""
    has_folders: bool = False
    """The vendor keeps folders of its own, which hold its own chats only."""
    takes_message_ids: bool = False
    """The vendor stores a message under the id that we choose, so a write can be found again by it."""
    replies_late: bool = False
    """`send_message` yields nothing until the reply is finished: answer the client before that."""
    always_replies: bool = False
    """A message cannot be sent without an answer being made."""
    absence_proves_not_sent: bool = False
    """A message that a complete read does not show was never accepted, so sending it again is safe."""
    tells_endings: bool = True
    """A reading shows how an answer ended. Where it does not, what was learnt while it was written stays: stopped, or failed."""
    stream: NativeStream = NativeStream.NONE
    """What `ChatSource.watch` follows; depends on the credentials where they decide it."""
    stream_tells_messages: bool = False
    """Every new message is told by the stream, whoever writes it: while it is open, reading now and then is enough."""
    rows_tell_messages: bool = False
    """A chat's row in `list_chats` changes with each new message: a chat whose row is the same need not be read."""
    polls_per_minute: int | None = None
    """Most calls a minute that watching may make, so that it stays inside the vendor's quota and leaves room for requests. None: no quota is known."""
    clock_tick: timedelta = field(default=timedelta(microseconds=1))
    """Resolution of the vendor's times: two changes within it look like one."""

    def of(self, capability: Capability) -> Support:
        """The cell for `capability`; what a table leaves out is unsupported."""
        return self.support.get(capability, _ABSENT)

    def level(self, capability: Capability) -> SupportLevel:
        """The level alone."""
        return self.of(capability).level

    def can(self, capability: Capability) -> bool:
        """Whether it is possible at all, at whatever level."""
        return self.level(capability) is not SupportLevel.UNSUPPORTED

    def asks_vendor(self, capability: Capability) -> bool:
        """Whether the connector is called for it; False means overlay or unsupported."""
        return self.level(capability) in (SupportLevel.NATIVE, SupportLevel.EMULATED)
