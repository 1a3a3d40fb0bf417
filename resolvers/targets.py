"""From the ids in a request to what it works on. An id of another tenant, of an unseen source, or that is no id at all is "not found"."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from domain.capabilities import Capabilities, Capability
from domain.errors import CapabilityMissing, NotFound
from domain.ids import IdType, parse_id_of
from domain.records import GATEWAY, FolderRef, Source
from domain.source import ChatSource
from resolvers.context import Context


@dataclass(frozen=True, slots=True)
class SourceTarget:
    """A visible source and its open connection."""

    source: Source
    live: ChatSource

    @property
    def capabilities(self) -> Capabilities:
        """Short for `live.capabilities`."""
        return self.live.capabilities

    def require(self, capability: Capability) -> None:
        """Raise `CapabilityMissing` unless the source can do it. Nothing is sent to it."""
        support = self.capabilities.of(capability)
        if not self.capabilities.can(capability):
            reason = f" ({support.note})" if support.note else ""
            raise CapabilityMissing(
                f"{self.source.key}: {capability.value} was asked of a source that cannot do it{reason}. "
                "Look at `Source.capabilities` before you offer it.",
                capability=capability,
                source_id=self.source.id,
            )


@dataclass(frozen=True, slots=True)
class ChatTarget(SourceTarget):
    """A chat of a visible source; whether it exists is not known yet."""

    chat_id: str

    @property
    def key(self) -> tuple[int, str]:
        """As `Chat.key`."""
        return (self.source.id, self.chat_id)


@dataclass(frozen=True, slots=True)
class MessageTarget(ChatTarget):
    """A message of a chat of a visible source; whether it exists is not known yet."""

    message_id: str


async def source_target(context: Context, id_text: str, path: Sequence[str] = ("sourceId",)) -> SourceTarget:
    """The source of an id, or `NotFound` with `path`."""
    parsed = parse_id_of(id_text, IdType.SOURCE)
    opened = await _open(context, parsed.short) if parsed else None
    if opened is None:
        raise not_found("source", id_text, path)
    return opened


async def chat_target(context: Context, id_text: str, path: Sequence[str] = ("chatId",)) -> ChatTarget:
    """The chat of an id, or `NotFound` with `path` when its source is not visible."""
    parsed = parse_id_of(id_text, IdType.CHAT)
    opened = await _open(context, parsed.short) if parsed else None
    if parsed is None or opened is None:
        raise not_found("chat", id_text, path)
    return ChatTarget(opened.source, opened.live, parsed.parts[0])


async def message_target(context: Context, id_text: str, path: Sequence[str] = ("messageId",)) -> MessageTarget:
    """The message of an id, or `NotFound` with `path` when its source is not visible."""
    parsed = parse_id_of(id_text, IdType.MESSAGE)
    opened = await _open(context, parsed.short) if parsed else None
    if parsed is None or opened is None:
        raise not_found("message", id_text, path)
    return MessageTarget(opened.source, opened.live, parsed.parts[0], parsed.parts[1])


async def folder_ref(context: Context, id_text: str, path: Sequence[str] = ("folderId",)) -> FolderRef:
    """The folder of an id, or `NotFound` with `path` when its source is not visible."""
    parsed = parse_id_of(id_text, IdType.FOLDER)
    if parsed is None or (parsed.short != GATEWAY and await _source(context, parsed.short) is None):
        raise not_found("folder", id_text, path)
    return FolderRef(parsed.short, parsed.parts[0])


async def open_source(context: Context, source_id: int) -> SourceTarget | None:
    """The visible source of a short id."""
    return await _open(context, source_id)


def not_found(noun: str, id_text: str, path: Sequence[str] = ()) -> NotFound:
    """The one sentence for "no such thing", whatever the reason."""
    return NotFound(
        f"There is no {noun} with this id for you. It may have been deleted, or belong to somebody else: read the list again.",
        missing_id=id_text,
        path=path,
    )


@contextmanager
def denied_as(noun: str, id_text: str, path: Sequence[str]) -> Iterator[None]:
    """What a source or the store says is not there becomes the one sentence, with the id and the field of the input that named it.

    An error that names its field itself stays as it is.
    """
    try:
        yield
    except NotFound as denied:
        if denied.path:
            raise
        raise not_found(noun, id_text, path) from denied


async def _source(context: Context, source_id: int) -> Source | None:
    return await context.gateway.sources.get(context.organization.id, context.principal, source_id)


async def _open(context: Context, source_id: int) -> SourceTarget | None:
    source = await _source(context, source_id)
    if source is None:
        return None
    return SourceTarget(source, await context.gateway.sources.connect(source))
