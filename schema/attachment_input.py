"""A file to send along."""

import strawberry

from domain import records
from schema.scalars import URL


@strawberry.input(description="A file to send along.")
class AttachmentInput:
    url: URL = strawberry.field(description="Where the source can fetch it.")
    name: str | None = strawberry.field(default=None, description="The name to show to people.")
    media_type: str | None = strawberry.field(default=None, description="Its media type, for example `image/png`.")


def attachments_of(inputs: list[AttachmentInput] | None) -> tuple[records.Attachment, ...]:
    """As resolvers take them."""
    return tuple(records.Attachment(name=one.name, media_type=one.media_type, url=one.url) for one in inputs or [])
