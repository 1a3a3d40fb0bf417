"""What a subscriber wants to hear: the client's filters, and what they name."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.records import Event, EventKind, FolderRef, MessageRole
from resolvers.chats import ChatKey, targets_of
from resolvers.context import Context
from resolvers.live_events import Happened
from resolvers.statuses import SourceStatus
from resolvers.targets import SourceTarget, chat_target, folder_ref, source_target


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEventFilter:
    """Which new messages to hear of; ids are the client's texts."""

    source_ids: tuple[str, ...] | None = None
    folder_ids: tuple[str, ...] | None = None
    roles: tuple[MessageRole, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatEventFilter:
    """Which events to hear of; ids are the client's texts. `kinds` are names of `ChatEventKind`."""

    source_ids: tuple[str, ...] | None = None
    folder_ids: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a subscriber wants, resolved. None: it does not matter. `messages_only` for `messageAdded`, which tells nothing else."""

    chats: frozenset[ChatKey] | None = None
    sources: frozenset[int] | None = None
    folders: frozenset[FolderRef] | None = None
    roles: frozenset[MessageRole] | None = None
    kinds: frozenset[str] | None = None
    messages_only: bool = False
    targets: Sequence[SourceTarget] = field(default_factory=tuple)
    unopened: Sequence[SourceStatus] = field(default_factory=tuple)

    def wants_event(self, event: Event) -> bool:
        """What can be decided without reading a row. A gap always is: whoever filters must hear of it, too."""
        is_wanted = self.kinds is None or event.kind.value in self.kinds
        return (is_wanted or event.kind is EventKind.STREAM_GAP) and self._is_in_view(event)

    def _is_in_view(self, event: Event) -> bool:
        if self.sources is not None and event.source_id not in self.sources:
            return False
        return self.chats is None or (event.source_id, event.chat_id) in self.chats

    def wants_rows(self, happened: Happened) -> bool:
        """What depends on the rows. A message that was deleted since cannot be told where messages alone are told."""
        if self.messages_only and happened.message is None:
            return False
        if self.folders is not None and (happened.chat is None or happened.chat.folder not in self.folders):
            return False
        return self.roles is None or (happened.message is not None and happened.message.role in self.roles)

    @property
    def is_everything(self) -> bool:
        """Whether it is about all sources, also those that are connected later."""
        return self.chats is None and self.sources is None

    @property
    def wants_words(self) -> bool:
        """Whether words of replies are told."""
        return not self.messages_only and (self.kinds is None or "MESSAGE_DELTA" in self.kinds)


async def wanted_of(
    context: Context,
    chat_ids: Sequence[str] | None,
    filter_: MessageEventFilter | ChatEventFilter,
    path: Sequence[str],
) -> Wanted:
    """Chats, sources and folders that the client named. Raises `NotFound` for one that the principal may not know of."""
    targets: list[SourceTarget] = []
    chats: frozenset[ChatKey] | None = None
    if chat_ids is not None:
        named = [await chat_target(context, text, path) for text in chat_ids]
        targets, chats = list(named), frozenset(target.key for target in named)
    sources: frozenset[int] | None = None
    if filter_.source_ids is not None:
        of = [await source_target(context, text, ("filter", "sourceIds")) for text in filter_.source_ids]
        sources = frozenset(target.source.id for target in of)
        targets = targets or of
    folders: frozenset[FolderRef] | None = None
    if filter_.folder_ids is not None:
        folders = frozenset([await folder_ref(context, text, ("filter", "folderIds")) for text in filter_.folder_ids])
    unopened: Sequence[SourceStatus] = ()
    if not targets:
        targets, unopened = await targets_of(context, None)
    return Wanted(chats=chats, sources=sources, folders=folders, targets=tuple(targets), unopened=tuple(unopened))
