"""Which chats to list, and in which order."""

from datetime import datetime
from typing import Annotated

import strawberry

from domain import capabilities
from resolvers import chats
from schema.arguments import listed
from schema.enums import ChatOrderField, OrderDirection


@strawberry.input(
    description=("Which chats to list. Conditions that are left out do not matter; all that are given must hold.")
)
class ChatFilter:
    source_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Only chats of these sources. Others are not asked."
    )
    folder_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Only chats directly inside one of these folders."
    )
    unfiled: bool | None = strawberry.field(default=None, description="Only chats that are in no folder.")
    tags: list[str] | None = strawberry.field(default=None, description="Only chats that have all of these tags.")
    pinned: bool | None = strawberry.field(
        default=None, description="Only chats that are pinned, or only those that are not."
    )
    archived: bool | None = strawberry.field(
        default=None,
        description=(
            "Only chats that are archived (true), or only those that are not (false). Left out, archived "
            "chats are not listed."
        ),
    )
    updated_since: datetime | None = strawberry.field(
        default=None, description="Only chats that changed at this time or later."
    )
    text: str | None = strawberry.field(
        default=None,
        description=(
            "Only chats whose title contains this text, upper and lower case alike. To look into messages "
            "use `Query.search`."
        ),
    )

    def of_resolvers(self) -> chats.ChatFilter:
        """As resolvers take it."""
        return chats.ChatFilter(
            source_ids=listed(self.source_ids),
            folder_ids=listed(self.folder_ids),
            unfiled=self.unfiled,
            tags=listed(self.tags),
            pinned=self.pinned,
            archived=self.archived,
            updated_since=self.updated_since,
            text=self.text,
        )


@strawberry.input(description="The order of a list of chats.")
class ChatOrder:
    field: ChatOrderField = strawberry.field(default=ChatOrderField.UPDATED_AT, description="By what.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.DESC, description="Which way.")

    def of_resolvers(self) -> capabilities.ChatOrder:
        """As resolvers take it."""
        return capabilities.ChatOrder(self.field, descending=self.direction is OrderDirection.DESC)


FilterOfChats = Annotated[ChatFilter | None, strawberry.argument(description="Which chats.")]
OrderOfChats = Annotated[ChatOrder | None, strawberry.argument(description="In which order.")]
DEFAULT_ORDER = ChatOrder()
