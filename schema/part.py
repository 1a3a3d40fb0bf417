"""What a message consists of."""

from typing import Any

import strawberry

from domain import records
from domain.records import PartKind
from schema.scalars import JSON, URL


@strawberry.interface(
    description=(
        "A piece of a message. There will be more kinds: show `text` for one that you do not know, or "
        "nothing when it is null."
    )
)
class MessagePart:
    text: str | None = strawberry.field(description="The piece as plain text, or null when words cannot stand for it.")


@strawberry.type(description="Words.")
class TextPart(MessagePart):
    text: str | None = strawberry.field(description="The words, usually Markdown.")


@strawberry.type(description="What the assistant thought before it answered.")
class ReasoningPart(MessagePart):
    text: str | None = strawberry.field(description="The thoughts, usually Markdown.")


@strawberry.type(description="A tool that the assistant called, and what came of it.")
class ToolCallPart(MessagePart):
    text: str | None = strawberry.field(description="A short line for people, or null when there is none.")
    call_id: str | None = strawberry.field(description="Ties a call to its result, or null when the source tells none.")
    tool_name: str = strawberry.field(description="The name of the tool.")
    arguments: JSON | None = strawberry.field(description="What the tool was given, or null when that is not told.")
    result: JSON | None = strawberry.field(
        description="What the tool returned, or null while it runs or when that is not told."
    )


@strawberry.type(description="Something the assistant leaned on, for example a web page or a document.")
class CitationPart(MessagePart):
    text: str | None = strawberry.field(description="The quoted words, or null when there are none.")
    title: str | None = strawberry.field(description="The title of it, or null when it has none.")
    url: URL | None = strawberry.field(description="Where it can be read, or null when that is not told.")


@strawberry.type(description="A file that came with a message.")
class Attachment:
    name: str | None = strawberry.field(description="Its name, or null when it has none.")
    media_type: str | None = strawberry.field(
        description="Its media type, for example `image/png`, or null when that is not told."
    )
    size_bytes: float | None = strawberry.field(
        description="Its size, a whole number of bytes, or null when that is not told."
    )
    url: URL | None = strawberry.field(
        description=(
            "Where it can be fetched, or null when the source gives no address. It may ask for credentials "
            "of the source."
        )
    )

    @classmethod
    def of(cls, record: records.Attachment) -> "Attachment":
        """The GraphQL type of a record."""
        return cls(
            name=record.name,
            media_type=record.media_type,
            # GraphQL's Int ends at 2 GB; a Float is exact up to 9 PB.
            size_bytes=None if record.size_bytes is None else float(record.size_bytes),
            url=None if record.url is None else URL(record.url),
        )


@strawberry.type(description="A file in its place among the words.")
class AttachmentPart(MessagePart):
    text: str | None = strawberry.field(description="The name of the file.")
    attachment: Attachment = strawberry.field(description="The file.")


@strawberry.type(description="A piece of a kind that the gateway does not know.")
class OtherPart(MessagePart):
    text: str | None = strawberry.field(description="The piece as plain text, or null when words cannot stand for it.")
    kind: str = strawberry.field(description="What the source calls this kind.")
    raw: JSON = strawberry.field(description="The piece as the source sent it.")


def parts_of(message: records.Message) -> list[MessagePart]:
    """The pieces of a message; one whose text is all there is has one piece."""
    if message.parts:
        return [part_of(part) for part in message.parts]
    return [TextPart(text=message.text)] if message.text else []


def part_of(part: records.Part) -> MessagePart:
    """The GraphQL type of a piece."""
    match part.kind:
        case PartKind.TEXT:
            return TextPart(text=part.text)
        case PartKind.REASONING:
            return ReasoningPart(text=part.text)
        case PartKind.TOOL_CALL:
            return ToolCallPart(
                text=part.text,
                call_id=part.call_id,
                tool_name=part.name or "",
                arguments=_as_object(part.arguments),
                result=_as_object(part.result),
            )
        case PartKind.CITATION:
            return CitationPart(text=part.text, title=part.name, url=None if part.url is None else URL(part.url))
        case PartKind.ATTACHMENT:
            attachment = Attachment.of(part.attachment or records.Attachment(name=part.name, url=part.url))
            return AttachmentPart(text=part.text or attachment.name, attachment=attachment)
        case PartKind.OTHER:
            return OtherPart(text=part.text, kind=part.name or "", raw=_as_object(part.raw) or JSON({}))


def _as_object(value: Any) -> JSON | None:
    """`JSON` promises an object: what a vendor sends as a text or a list is put into one, under `value`."""
    if value is None:
        return None
    return JSON(value if isinstance(value, dict) else {"value": value})
